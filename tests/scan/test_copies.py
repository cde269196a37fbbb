"""Files named best, last or final: which save beside them each is a copy of, and what follows of it."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptctl.best import find_own_bests
from ckptctl.core.model import Checkpoint, Entry, Pointer, Run
from ckptctl.core.retention.plan import plan_run
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepLast
from ckptctl.formats.torch_writer import encode_torch, make_tensor
from ckptctl.scan.copies import part_copies
from ckptctl.scan.runs import Options, scan
from tests.cli.calls import call
from tests.scan.test_loose_files import ADAM, left, listed, put
from tests.stores.memory import MemoryStore, _Bytes

LARGE = 40_000
"""Numbers of a tensor whose file is not read whole."""


def save(epoch: int, *, seed: int | None = None, length: int = 2, full: bool = True) -> bytes:
    """What a loop of one's own saves."""
    weights = {"fc.weight": make_tensor([float(epoch if seed is None else seed)] * length, (length,))}
    return encode_torch({"epoch": epoch, "model": weights, **({"optimizer": ADAM} if full else {})})


def weights(seed: int, length: int = 2) -> bytes:
    return encode_torch({"fc.weight": make_tensor([float(seed)] * length, (length,))})


def layers(*values: float) -> bytes:
    """A safetensors file of layers of 40 kB each, which has no checksums."""
    length = 10_000
    names = {
        f"layer.{n}.weight": {"dtype": "F32", "shape": [length], "data_offsets": [4 * n * length, 4 * (n + 1) * length]}
        for n in range(len(values))
    }
    header = json.dumps(names).encode()
    body = b"".join(struct.pack("<f", value) * length for value in values)
    return struct.pack("<Q", len(header)) + header + body


def pointers_of(folder: Path) -> dict[str, tuple[str, str]]:
    (run,) = call("ls", folder, "--json").json["runs"]
    return {it["path"]: (it["kind"], it["target"]) for it in run["pointers"]}


@pytest.mark.parametrize("length", [2, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("name", ["best.pt", "last.pt", "latest.pt", "final.pt", "model_best.pth", "best_epoch_2.pt"])
def test_a_copy_of_a_save_is_another_name_of_it(tmp_path: Path, name: str, length: int) -> None:
    files = {f"epoch_{n}.pt": save(n, length=length) for n in (1, 2, 3)}
    put(tmp_path, files | {name: files["epoch_2.pt"]})
    assert set(listed(tmp_path)) == files.keys()
    assert listed(tmp_path)["epoch_2.pt"]["aliases"] == [name]
    assert pointers_of(tmp_path) == {name: ("copy", "epoch_2.pt")}


def test_a_copy_is_shown_as_a_mark_and_counted_once(tmp_path: Path) -> None:
    files = {f"epoch_{n}.pt": weights(n) for n in (1, 2, 3)}
    put(tmp_path, files | {"best.pt": files["epoch_2.pt"]})
    shown = call("ls", tmp_path, "--color", "always").out
    assert "linked by best.pt" in shown
    assert "1 run · 3 checkpoints" in shown


def test_a_copy_takes_no_place_in_a_rule_and_holds_its_save(tmp_path: Path) -> None:
    files = {f"epoch_{n}.pt": weights(n) for n in range(1, 6)}
    put(tmp_path, files | {"best.pt": files["epoch_2.pt"], "last.pt": files["epoch_5.pt"]})
    assert left(tmp_path, "--keep-last", "2") == {"epoch_2.pt", "epoch_4.pt", "epoch_5.pt", "best.pt", "last.pt"}


@pytest.mark.parametrize("command", ["show", "verify"])
def test_a_copy_named_by_its_path_is_looked_at_itself(tmp_path: Path, command: str) -> None:
    files = {f"epoch_{n}.pt": save(n, length=LARGE) for n in (1, 2)}
    changed = bytearray(files["epoch_2.pt"])
    changed[len(changed) // 2] ^= 1  # a flaw that neither end shows: the directory's checksums still agree
    put(tmp_path, files | {"best.pt": bytes(changed)})
    assert pointers_of(tmp_path) == {"best.pt": ("copy", "epoch_2.pt")}
    told = call(command, tmp_path / "best.pt", "--json")
    assert "best.pt" in told.out
    assert "epoch_2.pt" not in told.out
    for path in (tmp_path / "best.pt", tmp_path):
        assert call("verify", path, "--deep").code == 5
    assert call("verify", tmp_path / "epoch_2.pt", "--deep").code == 0


def test_a_copy_goes_where_a_person_names_it_and_its_save_stays(tmp_path: Path) -> None:
    files = {f"epoch_{n}.pt": weights(n) for n in (1, 2, 3)}
    put(tmp_path, files | {"best.pt": files["epoch_2.pt"]})
    assert call("rm", tmp_path / "epoch_2.pt", "--yes").code != 0
    assert call("rm", tmp_path / "best.pt", "--yes").code == 0
    assert {it.name for it in tmp_path.iterdir() if it.is_file()} == files.keys()
    assert call("rm", tmp_path / "epoch_2.pt", "--yes").code == 0


def test_a_copy_that_is_pinned_stays_a_checkpoint(tmp_path: Path) -> None:
    files = {f"epoch_{n}.pt": weights(n) for n in (1, 2, 3)}
    put(tmp_path, files | {"best.pt": files["epoch_2.pt"]})
    call("pin", tmp_path / "best.pt")
    assert listed(tmp_path)["best.pt"]["pinned"]
    assert call("rm", tmp_path / "best.pt", "--yes").code != 0


def test_doctor_still_says_what_a_hard_link_would_save(tmp_path: Path) -> None:
    files = {f"epoch_{n}.pt": weights(n) for n in (1, 2, 3)}
    put(tmp_path, files | {"best.pt": files["epoch_2.pt"]})
    assert "holds the same bytes as" in call("doctor", tmp_path).out


def test_only_a_copy_that_is_no_checkpoint_any_more_keeps_its_save_from_being_slimmed(tmp_path: Path) -> None:
    files = {f"epoch_{n}.pt": save(n) for n in range(1, 6)}
    put(tmp_path, files | {"best.pt": files["epoch_2.pt"], "final.pt": save(3, seed=9)})
    assert pointers_of(tmp_path) == {"best.pt": ("copy", "epoch_2.pt"), "final.pt": ("copy", "epoch_3.pt")}
    call("prune", tmp_path, "--keep-last", "5", "--resumable", "1", "--yes")
    assert {name for name, data in files.items() if (tmp_path / name).read_bytes() == data} == {
        "epoch_2.pt",
        "epoch_5.pt",
    }
    again = call("prune", tmp_path, "--keep-last", "5", "--resumable", "1", "--check")
    assert again.code == 0


# What is no copy, or is not known to be one


def test_a_save_of_its_own_under_such_a_name_stays_one(tmp_path: Path) -> None:
    files = {f"epoch_{n}.pt": weights(n) for n in (1, 2, 3)}
    put(tmp_path, files | {"best.pt": weights(7)})
    assert set(listed(tmp_path)) == {*files, "best.pt"}
    assert pointers_of(tmp_path) == {}


def test_where_several_saves_have_the_same_bytes_nobody_can_say_which_it_is(tmp_path: Path) -> None:
    files = {f"epoch_{n}.pt": weights(1) for n in (1, 2, 3)}
    put(tmp_path, files | {"best.pt": weights(1)})
    assert set(listed(tmp_path)) == {*files, "best.pt"}
    assert pointers_of(tmp_path) == {}


def test_the_same_ends_in_every_save_link_nothing(tmp_path: Path) -> None:
    files = {f"epoch_{n}.safetensors": layers(0, n, 0) for n in (1, 2, 3)}
    put(tmp_path, files | {"best.safetensors": layers(0, 2, 0)})
    assert pointers_of(tmp_path) == {}


def test_what_only_looks_the_same_is_still_a_checkpoint_and_holds_the_save(tmp_path: Path) -> None:
    files = {f"epoch_{n}.safetensors": layers(n, n, n) for n in range(1, 6)}
    put(tmp_path, files | {"best.safetensors": layers(2, 9, 2)})  # its middle is another's
    assert set(listed(tmp_path)) == {*files, "best.safetensors"}
    assert pointers_of(tmp_path) == {"best.safetensors": ("copy", "epoch_2.safetensors")}
    kept = {f"epoch_{n}.safetensors" for n in (2, 5)}
    assert left(tmp_path, "--keep-last", "1") == {*kept, "best.safetensors"}


def test_a_save_of_the_same_epoch_without_the_optimizer_is_marked(tmp_path: Path) -> None:
    files = {f"net_{n:03d}.pt": save(n) for n in range(1, 6)}
    put(tmp_path, files | {"best.pt": save(2, full=False)})
    assert set(listed(tmp_path)) == {*files, "best.pt"}
    assert pointers_of(tmp_path) == {"best.pt": ("copy", "net_002.pt")}
    assert listed(tmp_path)["net_002.pt"]["aliases"] == ["best.pt"]


def test_two_saves_of_the_same_epoch_inside_link_nothing(tmp_path: Path) -> None:
    files = {f"epoch_2_step_{n}.pt": save(2, seed=n) for n in (10, 20, 30)}
    put(tmp_path, files | {"best.pt": save(2, full=False)})
    assert pointers_of(tmp_path) == {}


def lightning(epoch: int) -> bytes:
    return encode_torch(
        {"epoch": epoch, "pytorch-lightning_version": "2.0.0", "state_dict": {"w": make_tensor([epoch], (1,))}}
    )


def test_what_a_framework_copies_keeps_no_save(tmp_path: Path) -> None:
    files = {f"epoch={n}-step={n}0.ckpt": lightning(n) for n in (1, 2)}
    put(tmp_path, files | {"last.ckpt": lightning(2)})
    assert "last.ckpt" in listed(tmp_path)
    assert pointers_of(tmp_path) == {}


def test_the_numbers_inside_say_with_which_save_to_begin(tmp_path: Path) -> None:
    files = {f"net_it{n}.tar": save(n, length=LARGE) for n in range(100, 2000, 100)}
    put(tmp_path, files | {"best.tar": files["net_it300.tar"]})
    assert set(listed(tmp_path)) == files.keys()
    assert pointers_of(tmp_path) == {"best.tar": ("copy", "net_it300.tar")}


def test_a_copy_that_is_a_checkpoint_too_is_itself_what_training_called_best() -> None:
    store = MemoryStore({f"net_{n:03d}.pt": save(n) for n in range(1, 6)} | {"best.pt": save(2, full=False)})
    run = run_in(store)
    assert [it.target for it in run.pointers] == ["net_002.pt"]
    assert [it.path for it in find_own_bests(store, run)][:1] == ["best.pt"]


# What looking costs


class Counting(MemoryStore):
    """A store that counts how often a file was opened."""

    opened = 0

    @contextmanager
    def open(self, path: str) -> Iterator[_Bytes]:
        self.opened += 1
        with super().open(path) as source:
            yield source


def run_in(store: MemoryStore, *, stat: bool = True) -> Run:
    (run,) = scan(store, Options(now=store.clock(), stat=stat))
    return run


def count_for_copies(files: Mapping[str, bytes]) -> int:
    """How many files are opened because there is a file of such a name."""
    plain, more = Counting({it: data for it, data in files.items() if "best" not in it}), Counting(files)
    run_in(plain)
    run_in(more)
    return more.opened - plain.opened


def test_few_files_are_opened_however_many_saves_there_are() -> None:
    files = {f"epoch_{n}.pt": weights(n) for n in range(1, 200)}
    assert count_for_copies(files | {"best.pt": weights(1000)}) <= 12


def test_where_only_names_are_asked_for_nothing_is_compared() -> None:
    files = {f"epoch_{n}.pt": weights(n) for n in (1, 2, 3)}
    run = run_in(MemoryStore(files | {"best.pt": files["epoch_2.pt"]}), stat=False)
    assert run.pointers == ()
    assert len(run.checkpoints) == 4


def entry_of(path: str, tag: str | None) -> Checkpoint:
    entry = Entry(path, "file", 10, 1, tag)
    roles = ("best",) if "best" in path else ()
    return Checkpoint(path, "generic", "file", (entry,), epoch=None if roles else 1, state="complete", roles=roles)


@pytest.mark.parametrize(("tag", "names"), [("abc", ["best.pt"]), ("other", []), (None, [])])
def test_on_an_object_store_the_tag_tells_and_nothing_is_opened(tag: str | None, names: list[str]) -> None:
    held = [entry_of("epoch_1.pt", "abc"), entry_of("best.pt", tag)]
    store = Counting()
    kept, pointers, _ = part_copies(store, held)
    assert store.opened == 0
    assert pointers == [Pointer(name, "copy", "epoch_1.pt", "ok") for name in names]
    assert [it.path for it in kept] == [it.path for it in held if it.path not in names]


def test_what_vanished_is_no_copy() -> None:
    held = [entry_of("epoch_1.pt", None), entry_of("best.pt", None)]
    held = [it._replace(entries=(it.entries[0]._replace(identity=(1, n)),)) for n, it in enumerate(held)]
    assert part_copies(MemoryStore(), held) == (held, [], [])


def test_many_such_names_are_looked_into_by_nobody() -> None:
    files = {f"epoch_{n}.pt": weights(n) for n in (1, 2)}
    names = ["best.pt", "last.pt", "final.pt", "best_acc.pt"]
    run = run_in(MemoryStore(files | {name: weights(1) for name in names}))
    assert run.pointers == ()


# Laws

CONTENTS = [save(n, seed=seed, full=full) for n in (1, 2, 3) for seed in (5, 6) for full in (True, False)]
saves = st.dictionaries(st.integers(1, 8), st.sampled_from(CONTENTS), min_size=1, max_size=6)
DAY = 86_400 * 10**9


def dropped(files: Mapping[str, bytes], count: int) -> set[str]:
    store = MemoryStore(files)
    now = store.clock() + DAY
    (run,) = scan(store, Options(now=now))
    return {it.path for it in plan_run(run, Policy((KeepLast(count),)), now).dropped}


@given(
    saves,
    st.sampled_from(["best.pt", "last.pt", "final.pt", "latest.pt"]),
    st.sampled_from(CONTENTS),
    st.integers(1, 3),
)
def test_a_file_under_such_a_name_never_makes_another_go(
    held: Mapping[int, bytes], name: str, data: bytes, count: int
) -> None:
    files = {f"epoch_{n}.pt": it for n, it in sorted(held.items())}
    assert dropped(files | {name: data}, count) <= dropped(files, count)

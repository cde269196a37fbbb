from __future__ import annotations

import json
import os
import shutil
import struct
from math import prod
from pathlib import Path

import pytest

from ckptctl.formats.torch_writer import encode_torch, make_tensor
from ckptctl.formats.torch_zip import read_values
from ckptctl.prune.lock import acquire_lock
from ckptctl.stores.local import open_url
from tests.cli.calls import PROGRAM, Answer, age, call, environment, listing
from tests.cli.schema import SLIM as SCHEMA
from tests.cli.schema import misfits
from tests.conftest import lacks
from tests.formats.samples import FIXTURES, Bytes, dictionary, global_, tensor, text, torch_file
from tests.terminal import Terminal

needs_torch = pytest.mark.skipif(lacks("torch") is not None, reason=str(lacks("torch")))
WEIGHTS = {"w": make_tensor(range(64), (8, 8)), "b": make_tensor([5, 6], (2,))}
ADAM = {"state": {0: {"exp_avg": make_tensor([9] * 1000, (1000,))}}, "param_groups": [{"lr": 0.1}]}
WHOLE = encode_torch({"epoch": 3, "global_step": 9, "state_dict": WEIGHTS, "optimizer_states": [ADAM], "callbacks": {}})
NAME = "epoch=3-step=9.ckpt"
LONG_AGO = 1_700_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A whole checkpoint of Lightning's."""
    return put(tmp_path / "run" / NAME, WHOLE)


def put(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def make_folder(path: Path) -> Path:
    """A checkpoint as Hugging Face's Trainer leaves it."""
    for name in ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "config.json"):
        put(path / name, (FIXTURES / "layouts/torch/x.safetensors").read_bytes() if "model" in name else b"{}")
    put(path / "trainer_state.json", b'{"global_step": 500}')
    return path


def keys(path: Path) -> set[object]:
    return set(read_values(Bytes(path.read_bytes())))


def refused(answer: Answer, id: str, code: int = 6) -> bool:  # noqa: A002 - the word of the contract
    return answer.code == code and f"error[{id}]" in answer.err


def test_a_copy_holds_the_weights_alone_and_the_checkpoint_is_as_it_was(path: Path) -> None:
    answer = call("slim", path, "-o", path.parent / "small.ckpt")
    assert answer.code == 0
    assert answer.rows[0]["without"] == "optimizer_states, callbacks"
    assert keys(path.parent / "small.ckpt") == {"epoch", "global_step", "state_dict"}
    assert path.read_bytes() == WHOLE
    assert int((path.parent / "small.ckpt").stat().st_mtime) == LONG_AGO
    assert call("verify", path.parent, "--deep").code == 0


@pytest.mark.parametrize("words", [("-o", "small.ckpt"), ("--in-place", "-y")], ids=["copy", "in place"])
def test_bare_keeps_the_mapping_with_the_weights_alone(
    path: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    answer = call("slim", path, "--bare", *words)
    assert (answer.code, answer.rows[0]["without"]) == (0, "all but the weights"), answer.err
    assert keys(path if "-y" in words else Path("small.ckpt")) == {"w", "b"}


def test_what_is_bare_already_has_nothing_to_leave_out(tmp_path: Path) -> None:
    path = put(tmp_path / "a.pt", encode_torch(WEIGHTS))
    assert refused(call("slim", path, "--bare", "-o", tmp_path / "b.pt"), "nothing-to-slim")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param((), "names argparse.Namespace, which torch.load(weights_only=True) refuses: --bare", id="whole"),
        pytest.param(("--bare",), "", id="bare"),
    ],
)
def test_what_torch_will_not_load_as_weights_alone_is_told(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    answer = call("slim", put(tmp_path / "a.pt", with_arguments()), *words, "-o", tmp_path / "small.pt")
    assert answer.code == 0, answer.err
    assert told in answer.err
    assert ("refuses" in answer.err) == bool(told)


def with_arguments() -> bytes:
    """A checkpoint with the arguments of its script, as timm saves them."""
    weights = b"}" + text("w") + tensor("FloatStorage", shape=(1,)) + b"s"
    optimizer = b"}" + text("param_groups") + b"]s"
    arguments = global_("argparse", "Namespace") + b")\x81}b"
    pickled = dictionary(state_dict=weights, args=arguments, optimizer=optimizer)
    return torch_file(pickled, bytes(4))


def test_in_place_only_the_file_itself_changes_and_its_time_and_rights_stay(path: Path) -> None:
    path.chmod(0o640)
    other = put(path.parent / "hparams.yaml")
    assert call("slim", path, "--in-place", "-y").code == 0
    assert keys(path) == {"epoch", "global_step", "state_dict"}
    assert (path.stat().st_mode & 0o777, int(path.stat().st_mtime)) == (0o640, LONG_AGO)
    assert sorted(path.parent.iterdir()) == sorted([path, other])


def test_in_place_what_was_there_can_be_set_aside_and_put_back(path: Path) -> None:
    before = path.stat()
    answer = call("slim", path, "--in-place", "-y", "--trash")
    assert answer.code == 0
    assert "set aside" in answer.err
    assert keys(path) == {"epoch", "global_step", "state_dict"}
    undo = next(line for line in answer.err.splitlines() if line.startswith("Undo: ckptctl undo ")).split()
    assert call(*undo[2:]).code == 0
    assert path.read_bytes() == WHOLE
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert [it.name for it in path.parent.iterdir()] == [NAME]


def test_in_place_two_folders_have_an_undo_each(path: Path, tmp_path: Path) -> None:
    other = put(tmp_path / "other" / NAME, WHOLE)
    answer = call("slim", path, other, "--in-place", "-y", "--trash-for", "7d", "--json")
    assert misfits(answer.json, SCHEMA) == []
    assert [it["root"] for it in answer.json["kept"]] == [str(path.parent), str(other.parent)]
    for undo in answer.json["kept"]:
        assert call("undo", undo["txid"], undo["root"]).code == 0
    assert path.read_bytes() == other.read_bytes() == WHOLE


def test_in_place_without_trash_nothing_of_ours_is_left(path: Path) -> None:
    assert call("slim", path, "--in-place", "-y", "--json").json["kept"] == []
    assert [it.name for it in path.parent.iterdir()] == [NAME]


def test_in_place_a_file_with_another_name_is_refused(path: Path) -> None:
    os.link(path, path.parent / "mine.bin")
    answer = call("slim", path, "--in-place", "-y")
    assert refused(answer, "cannot-slim")
    assert "other names hold its files" in answer.err
    assert path.read_bytes() == WHOLE


def test_in_place_of_several_each_that_is_broken_is_named_and_the_others_are_done(path: Path) -> None:
    bad = bytearray(WHOLE)
    bad[bad.index(make_tensor(range(64), (8, 8)).data) + 5] ^= 1
    broken = put(path.parent / "epoch=4-step=12.ckpt", bytes(bad))
    answer = call("slim", path, broken, "--in-place", "-y")
    assert answer.code == 3
    assert "1 of 2 were not slimmed" in answer.err
    assert "checksum" in answer.err
    assert broken.read_bytes() == bytes(bad)
    assert "optimizer_states" not in keys(path)


def test_in_place_waits_for_nobody_who_is_at_work_there(path: Path, tmp_path: Path) -> None:
    other = put(tmp_path / "other" / NAME, WHOLE)
    with acquire_lock(open_url(str(path.parent)), "prune"):
        assert refused(call("slim", path, "--in-place", "-y"), "locked", 7)
        answer = call("slim", path, other, "--in-place", "-y")
    assert answer.code == 3
    assert path.read_bytes() == WHOLE
    assert "optimizer_states" not in keys(other)


def test_in_place_a_person_is_asked(path: Path) -> None:
    answer = call("slim", path, "--in-place")
    assert refused(answer, "no-consent")
    assert "pass --yes" in answer.err
    assert path.read_bytes() == WHOLE


@pytest.mark.tty
@pytest.mark.parametrize(("word", "code"), [("y", 0), ("n", 6)])
def test_only_a_yes_slims_in_place(path: Path, word: str, code: int) -> None:
    terminal = Terminal([*PROGRAM, "slim", NAME, "--in-place"], cwd=path.parent, env=environment())
    terminal.wait_for(r"Slim 1 checkpoint in place \(.* go for good\)\? \[y/N\]")
    terminal.type(f"{word}\n")
    assert terminal.finish()[0] == code
    assert (path.read_bytes() == WHOLE) == bool(code)


def test_a_dry_run_changes_nothing(path: Path) -> None:
    before = listing(path.parent)
    answer = call("slim", path, "--in-place", "-n")
    assert (answer.code, listing(path.parent)) == (0, before)
    assert "would go" in answer.err


def test_several_go_into_a_folder_by_their_names(path: Path) -> None:
    other = put(path.parent / "epoch=4-step=12.ckpt", WHOLE)
    out = path.parent.parent / "out"
    assert call("slim", path, other, "-o", out).code == 0
    assert sorted(it.name for it in out.iterdir()) == [path.name, other.name]


def test_of_several_what_cannot_be_slimmed_is_named_and_the_others_are_done(path: Path) -> None:
    bad = put(path.parent / "epoch=4-step=12.ckpt", encode_torch({"epoch": 1, "state_dict": WEIGHTS}))
    answer = call("slim", path, bad, "--in-place", "-y")
    assert answer.code == 3
    assert f"{bad.name}: nothing in it is known" in answer.err
    assert keys(path) == {"epoch", "global_step", "state_dict"}


def test_nothing_is_ever_overwritten(path: Path) -> None:
    taken = put(path.parent / "taken.ckpt", WHOLE)
    before = listing(path.parent)
    assert refused(call("slim", path, "-o", taken), "exists")
    assert refused(call("slim", path, "-o", path.parent), "exists")
    assert listing(path.parent) == before


def test_two_of_one_name_are_refused_before_anything_is_written(path: Path, tmp_path: Path) -> None:
    twin = put(tmp_path / "other" / NAME, WHOLE)
    answer = call("slim", path, twin, "-o", tmp_path / "out")
    assert refused(answer, "usage", 2)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("-o", "x", "--in-place"),
        ("--in-place", "--to", "safetensors"),
        ("-o", "x", "-n", "-y"),
        ("-o", "x", "--trash"),
    ],
    ids=["nowhere", "both", "another format in place", "a dry run with consent", "a trash for a copy"],
)
def test_what_contradicts_itself_is_a_usage_error(path: Path, words: tuple[str, ...]) -> None:
    assert refused(call("slim", path, *words), "usage", 2)


def test_what_a_configuration_file_protects_it_protects_here_too(path: Path) -> None:
    (path.parent / "ckptctl.toml").write_text(f'keep = ["{NAME}"]')
    assert refused(call("slim", path, "--in-place", "-y"), "pinned")
    assert path.read_bytes() == WHOLE
    (path.parent / "ckptctl.toml").write_text("trash = true")
    assert call("slim", path, "--in-place", "-y").code == 0
    assert path.read_bytes() != WHOLE
    assert call("undo", path.parent).code == 0
    assert path.read_bytes() == WHOLE


def test_what_is_pinned_is_not_slimmed_in_place(path: Path) -> None:
    put(path.parent / f"{NAME}.keep", b"")
    assert refused(call("slim", path, "--in-place", "-y"), "pinned")
    assert path.read_bytes() == WHOLE
    assert call("slim", path, "-o", path.parent / "small.ckpt").code == 0


def test_what_is_being_written_or_cut_short_is_left_alone(path: Path) -> None:
    path.write_bytes(WHOLE[:-40])
    age(path, -1)
    assert refused(call("slim", path, "--in-place", "-y"), "live")
    os.utime(path, (LONG_AGO, LONG_AGO))
    assert refused(call("slim", path, "--in-place", "-y"), "damaged", 5)
    assert path.read_bytes() == WHOLE[:-40]


def test_bytes_that_went_bad_are_found_and_the_checkpoint_stays(path: Path) -> None:
    content = bytearray(WHOLE)
    content[content.index(make_tensor(range(64), (8, 8)).data) + 5] ^= 1
    put(path, bytes(content))
    for words in (("--in-place", "-y"), ("-o", path.parent / "out.ckpt")):
        answer = call("slim", path, *words)
        assert refused(answer, "damaged", 5)
        assert "checksum" in answer.err
    assert path.read_bytes() == bytes(content)
    assert [it for it in path.parent.iterdir() if it.name != ".ckptctl"] == [path]


# Folders and families ------------------------------------------------------------------------------------------------


def test_of_a_folder_the_files_go_that_only_serve_to_resume(tmp_path: Path) -> None:
    whole = make_folder(tmp_path / "out" / "checkpoint-500")
    before = listing(whole)
    answer = call("slim", whole, "-o", tmp_path / "small")
    assert answer.code == 0
    assert sorted(listing(tmp_path / "small")) == ["config.json", "model.safetensors", "trainer_state.json"]
    assert listing(whole) == before
    assert listing(tmp_path / "small").items() <= before.items()
    assert listing(tmp_path).keys() & {".ckptctl"} == set()


def test_a_folder_is_slimmed_in_place_and_is_a_whole_checkpoint_still(tmp_path: Path) -> None:
    whole = make_folder(tmp_path / "out" / "checkpoint-500")
    assert call("slim", whole, "--in-place", "-y").code == 0
    assert sorted(listing(whole)) == ["config.json", "model.safetensors", "trainer_state.json"]
    assert call("ls", tmp_path / "out", "--json").json["runs"][0]["checkpoints"][0]["state"] == "complete"


def test_what_would_look_unfinished_then_is_refused_in_place(tmp_path: Path) -> None:
    for name in ("11.pdparams", "11.pdopt", "12.pdparams", "12.pdopt"):
        put(tmp_path / name, b"\x80\x02}.")
    before = listing(tmp_path)
    answer = call("slim", tmp_path / "12.pdparams", "--in-place", "-y")
    assert refused(answer, "cannot-slim")
    assert "would take it for unfinished then: " in answer.err
    assert listing(tmp_path) == before


def make_zero(path: Path, weights: dict[str, bytes]) -> Path:
    """A checkpoint as Trainer and DeepSpeed leave it together."""
    make_folder(path)
    for name in ("model.safetensors", "optimizer.pt"):
        (path / name).unlink()
    for name in ("mp_rank_00_model_states.pt", "zero_pp_rank_0_mp_rank_00_optim_states.pt"):
        put(path / "global_step500" / name, b"x" * 100)
    put(path / "latest", b"global_step500")
    for name, data in weights.items():
        put(path / name, data)
    return path


def header(**shapes: list[int]) -> bytes:
    """A safetensors file; a shape with 0 in it has no numbers."""
    held, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 4 * prod(shape)
        held[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(held).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


@pytest.mark.parametrize(
    "weights",
    [
        {"model.safetensors": header(w=[2, 3])},
        {"adapter_model.safetensors": header(lora_A=[2, 3]), "adapter_config.json": b"{}"},
        {f"model-0000{n}-of-00002.safetensors": header(w=[n]) for n in (1, 2)},
        {"pytorch_model.bin": encode_torch({"w": make_tensor([1, 2], (2,))})},
    ],
    ids=["whole", "an adapter", "shards", "a torch file"],
)
def test_deepspeeds_folder_goes_where_the_weights_lie_beside_it(tmp_path: Path, weights: dict[str, bytes]) -> None:
    whole = make_zero(tmp_path / "out" / "checkpoint-500", weights)
    assert call("slim", whole, "--in-place", "-y").code == 0
    assert set(os.listdir(whole)) == {"config.json", "trainer_state.json", *weights}
    assert {name: (whole / name).read_bytes() for name in weights} == weights


@pytest.mark.parametrize(
    ("weights", "code", "why"),
    [
        ({}, 6, "it holds none of model*.safetensors"),
        ({"model.safetensors": header(w=[0])}, 6, "a file of its weights holds none"),
        ({"model.safetensors": header(w=[2], v=[0, 4])}, 6, "a file of its weights holds none"),
        ({"model.safetensors": header()}, 6, "a file of its weights holds none"),
        ({"pytorch_model.bin": encode_torch({"w": make_tensor([], (0,))})}, 6, "a file of its weights holds none"),
        ({"model.safetensors": header(w=[2, 3])[:-1]}, 5, "damaged"),
        ({"pytorch_model.bin": b"no weights at all"}, 5, "pytorch_model.bin"),
    ],
    ids=["missing", "empty", "one is empty", "no tensor", "an empty torch file", "cut", "a text"],
)
def test_deepspeeds_folder_stays_where_it_may_hold_the_only_weights(
    tmp_path: Path, weights: dict[str, bytes], code: int, why: str
) -> None:
    whole = make_zero(tmp_path / "out" / "checkpoint-500", weights)
    before = listing(whole)
    answer = call("slim", whole, "--in-place", "-y")
    assert (answer.code, why in answer.err) == (code, True), answer.err
    assert listing(whole) == before


def test_the_folder_of_an_optimizer_goes_whole(tmp_path: Path) -> None:
    whole = make_folder(tmp_path / "out" / "checkpoint-500")
    put(whole / "optimizer_0" / ".metadata")
    put(whole / "optimizer_0" / "__0_0.distcp")
    assert call("slim", whole, "--in-place", "-y").code == 0
    assert "optimizer_0" not in listing(whole)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        pytest.param(
            ["zero_pp_rank_0_mp_rank_00_model_states.pt", "zero_pp_rank_0_mp_rank_00_optim_states.pt"],
            "it holds none of mp_rank_",
            id="ZeRO-3",
        ),
        pytest.param([".metadata", "__0_0.distcp"], "share", id="DCP"),
    ],
)
def test_where_the_weights_lie_with_the_optimizers_state_nothing_is_done(
    tmp_path: Path, files: list[str], why: str
) -> None:
    for name in files:
        put(
            tmp_path / "run" / "global_step500" / name,
            (FIXTURES / "layouts/torch/dcp/step-5" / ".metadata").read_bytes(),
        )
    os.utime(tmp_path / "run" / "global_step500", (LONG_AGO, LONG_AGO))
    put(tmp_path / "run" / "latest", b"global_step500")
    before = listing(tmp_path)
    answer = call("slim", tmp_path / "run" / "global_step500", "-o", tmp_path / "out")
    assert answer.code in (5, 6)
    assert why in answer.err or "missing" in answer.err
    assert listing(tmp_path) == before


@pytest.mark.parametrize("name", ["dcp/step-5", "x.safetensors", "legacy.pth", "trunc.ckpt"])
def test_real_files_of_other_kinds_are_refused_in_one_line(tmp_path: Path, name: str) -> None:
    source = FIXTURES / "layouts/torch" / name
    target = tmp_path / source.name
    shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    for path in (target, *target.rglob("*")):
        os.utime(path, (LONG_AGO, LONG_AGO))
    before = listing(tmp_path)
    answer = call("slim", target, "--in-place", "-y")
    assert answer.code in (5, 6)
    assert answer.err.startswith("ckptctl: error[")
    assert listing(tmp_path) == before


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_keras_files_are_refused(tmp_path: Path, name: str) -> None:
    shutil.copy(FIXTURES / "layouts/keras" / name, tmp_path / name)
    os.utime(tmp_path / name, (LONG_AGO, LONG_AGO))
    assert call("slim", tmp_path / name, "-o", tmp_path / "out").code == 6


def test_of_a_family_the_members_go_that_only_serve_to_resume(tmp_path: Path) -> None:
    for name in ("12.pdparams", "12.pdopt", "12.pdstates"):
        put(tmp_path / "run" / name, b"\x80\x02}.")
    answer = call("slim", tmp_path / "run" / "12.pdparams", "-o", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert sorted(listing(tmp_path / "out")) == ["12.pdparams"]


# safetensors ---------------------------------------------------------------------------------------------------------


@needs_torch
@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_safetensors_hold_the_state_dict_under_its_own_names(tmp_path: Path, kind: str) -> None:
    import torch

    from ckptctl.formats.contents import Contents
    from tests.formats.held import load as hold
    from tests.formats.held import take

    big = torch.randn(70, 50)
    kinds = (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool, torch.uint8, torch.complex64)
    state = {
        **{f"k.{it}": torch.randint(0, 2, (3, 5)).to(it) for it in kinds},
        "a": big,
        "b": big,
        "t": big.t(),
        "s": big[::3, 1::2],
        "x": torch.ones(1, 4).expand(3, 4),
        "n": torch.tensor(2.5),
        "e": torch.empty(0, 3),
        "c": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    }
    path = tmp_path / "run" / NAME
    path.parent.mkdir()
    torch.save({"state_dict": state, "optimizer_states": [1]}, path, _use_new_zipfile_serialization=kind == "zip")
    os.utime(path, (LONG_AGO, LONG_AGO))
    assert call("slim", path, "--to", "safetensors", "-o", f"{tmp_path}/out/").code == 0
    from ckptctl.formats import read_file

    files = hold(tmp_path / "out" / "epoch=3-step=9.safetensors")
    found = read_file(files, "epoch=3-step=9.safetensors")
    assert type(found) is Contents
    assert found.flaws == ()
    assert found.metadata == {"format": "pt", "b": "a"}
    held = {it.name: it for it in found.tensors}
    assert set(held) == set(state) - {"b"}
    for name, it in held.items():
        value = state[name]
        assert (it.shape, f"torch.{it.dtype}") == (tuple(value.shape), str(value.dtype))
        raw = value.contiguous().view(-1).view(torch.uint8) if value.numel() else value
        assert take(files, found, it) == bytes(raw.tolist()), name


# Machines ------------------------------------------------------------------------------------------------------------


def test_the_json_is_as_the_contract_has_it(path: Path) -> None:
    answer = call("slim", path, "-o", path.parent / "small.ckpt", "--json")
    assert misfits(answer.json, SCHEMA) == []
    assert answer.json["slimmed"][0]["without"] == ["optimizer_states", "callbacks"]


@pytest.mark.tty
def test_a_screen_tells_what_went_and_how_much(path: Path) -> None:
    code, text = Terminal([*PROGRAM, "slim", NAME, "-o", "s.ckpt"], cwd=path.parent, env=environment()).finish()
    assert code == 0
    assert "without optimizer_states, callbacks" in text
    assert "1 checkpoint: 4.6 kB of 5.9 kB gone, 79 %" in text

"""From a listing to runs: what belongs together, what stands for what, and what was not understood."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from ckptctl.core.model import Pointer, Run, Stray
from ckptctl.core.names.template import Template
from ckptctl.core.units import QUIET
from ckptctl.errors import UsageError
from ckptctl.formats.torch_writer import encode_torch
from ckptctl.scan.runs import Options, choose_layouts, scan
from ckptctl.stores import Folder, ReadableFile
from ckptctl.stores.local import open_url
from tests.states import Watched, lightning
from tests.stores.memory import MemoryStore
from tests.wording import worded

FIXTURES = Path(__file__).parents[1] / "fixtures" / "lightning"
WHOLE = encode_torch({"pytorch-lightning_version": "2.6.6", "state_dict": {}})
"""Whole, of Lightning, and no record of a training inside."""


def runs(store: MemoryStore, **options: object) -> dict[str, Run]:
    wanted = Options(now=store.clock() + QUIET)._replace(**options)  # type: ignore[arg-type] # as the test says
    return {it.path: it for it in scan(store, wanted)}


def run_of(*names: str, links: dict[str, str] | None = None, **options: object) -> Run:
    """The one run of a folder that holds these files."""
    (run,) = runs(MemoryStore(dict.fromkeys(names, WHOLE), links), **options).values()
    return run


def paths(run: Run) -> list[str]:
    return [it.path for it in run.checkpoints]


class Broken(MemoryStore):
    """A store in which one folder cannot be listed."""

    def walk(self, *, stat: bool, enter: Callable[[str], bool] | None = None, top: str = "") -> Iterator[Folder]:
        for folder in super().walk(stat=stat, enter=enter, top=top):
            yield Folder(folder.path, [], "permission denied") if folder.path == "b" else folder


# Runs


def test_each_folder_with_checkpoints_is_a_run_those_below_first() -> None:
    store = MemoryStore(dict.fromkeys(["b/2.ckpt", "1.ckpt", "b/c/3.ckpt", "a/x.txt"], WHOLE))
    assert {path: paths(run) for path, run in runs(store).items()} == {
        "b/c": ["b/c/3.ckpt"],
        "b": ["b/2.ckpt"],
        "": ["1.ckpt"],
    }


def test_checkpoints_come_in_the_order_of_saving() -> None:
    assert paths(run_of("epoch=10.ckpt", "epoch=9.ckpt", "epoch=1-v2.ckpt", "epoch=1-v10.ckpt")) == [
        "epoch=1-v2.ckpt",
        "epoch=1-v10.ckpt",
        "epoch=9.ckpt",
        "epoch=10.ckpt",
    ]


def test_a_metrics_slash_makes_no_run_of_its_own() -> None:
    run = run_of("r/epoch=1-val/loss=0.40.ckpt", "r/epoch=0-val/loss=0.50.ckpt")
    assert run.path == "r"
    assert [(it.epoch, it.metrics["val/loss"].text) for it in run.checkpoints] == [(0, "0.50"), (1, "0.40")]


def test_a_metric_with_two_slashes_makes_none_either() -> None:
    run = run_of("r/epoch=1-a/b/loss=0.40.ckpt", "r/epoch=0-a/b/loss=0.50.ckpt")
    assert run.path == "r"
    assert [(it.epoch, it.metrics["a/b/loss"].text) for it in run.checkpoints] == [(0, "0.50"), (1, "0.40")]


def test_a_folder_whose_name_only_looks_cut_is_a_run() -> None:
    assert set(runs(MemoryStore({"lr=0.1/a.ckpt": WHOLE, "b.ckpt": WHOLE}))) == {"lr=0.1", ""}


@pytest.mark.parametrize(
    "path",
    [
        "lr=0.1-vit/epoch=1-val_loss=0.4.ckpt",
        "lr=0.1-vit/val_loss=0.4.ckpt",
        "epoch=100-vit/epoch=1.ckpt",
        "max_epoch=100-vit/epoch=1.ckpt",
        "epoch=100-vit/model.ckpt",
    ],
)
def test_the_folders_of_a_sweep_are_runs_of_their_own(path: str) -> None:
    folder = path.partition("/")[0]
    assert set(runs(MemoryStore({path: WHOLE, path.replace("vit", "mlp"): WHOLE}))) == {
        folder,
        folder.replace("vit", "mlp"),
    }


def test_a_folder_that_is_a_checkpoint_is_taken_whole() -> None:
    inside = ("meta.pt", ".metadata", "__0_0.distcp", "deep/x.ckpt")
    store = MemoryStore({f"r/epoch=1-step=2.ckpt/{name}": b"x" for name in inside})
    run = runs(store)["r"]
    (checkpoint,) = run.checkpoints
    assert (checkpoint.layout, checkpoint.unit, checkpoint.step) == ("lightning-sharded", "dir", 2)
    assert {it.path.removeprefix("r/epoch=1-step=2.ckpt").strip("/") for it in checkpoint.entries} == {
        "",
        "deep",
        *inside,
    }
    assert (checkpoint.state, checkpoint.entries[0].path) == ("complete", checkpoint.path)


def test_a_folder_that_cannot_be_listed_is_told_and_marks_its_run() -> None:
    found = runs(Broken({"a/1.ckpt": WHOLE, "b/2.ckpt": WHOLE}))
    assert (found["a"].listed, found["b"].listed) == (True, False)
    assert worded(found["b"].notices) == ("b: permission denied",)
    assert found["b"].checkpoints == ()


def test_a_folder_in_a_checkpoint_that_cannot_be_listed_marks_the_run() -> None:
    class Sealed(MemoryStore):
        def walk(self, *, stat: bool, enter: Callable[[str], bool] | None = None, top: str = "") -> Iterator[Folder]:
            for folder in super().walk(stat=stat, enter=enter, top=top):
                yield folder._replace(failure="stale") if folder.path == "x.ckpt/deep" else folder

    store = Sealed({"x.ckpt/meta.pt": b"x", "x.ckpt/.metadata": b"x", "x.ckpt/deep/y": b"x"})
    assert not runs(store)[""].listed


def test_the_tools_own_folder_is_never_seen() -> None:
    store = MemoryStore({"a.ckpt": WHOLE, ".ckptctl/trash/1/0": WHOLE, "r/.ckptctl/trash/1/b.ckpt": WHOLE})
    assert set(runs(store)) == {""}


def test_a_run_that_is_not_worth_it_is_left_out_and_nothing_of_it_is_opened() -> None:
    store = Watched({"a/epoch=1.ckpt": WHOLE, "b/epoch=2.ckpt": WHOLE})

    def is_worth(paths: Sequence[str]) -> bool:
        return list(paths) == ["epoch=2.ckpt"]

    assert set(runs(store, is_worth=is_worth)) == {"b"}
    assert set(store.opened) == {"b/epoch=2.ckpt"}


def test_without_stat_states_are_unchecked_and_only_the_newest_is_opened() -> None:
    store = Watched({f"epoch={n}.ckpt": lightning() for n in range(5)})
    run = runs(store, stat=False)[""]
    assert {it.state for it in run.checkpoints} == {"unchecked"}
    assert store.opened == ["epoch=4.ckpt"]


# What a name says


def test_a_checkpoint_says_what_its_name_says() -> None:
    (it,) = run_of("epoch=02-step=30-val_loss=0.50-v3.ckpt").checkpoints
    assert (it.epoch, it.step, it.version, it.layout, it.unit) == (2, 30, 3, "lightning", "file")
    assert {key: (score.value, score.text, score.source) for key, score in it.metrics.items()} == {
        "val_loss": (0.5, "0.50", "name")
    }


@pytest.mark.parametrize(
    ("name", "epoch", "step"),
    [
        ("epoch=7.0.ckpt", 7, None),
        ("epoch=7.5.ckpt", 7.5, None),
        ("epoch=nan.ckpt", None, None),
        ("epoch=inf-step=-inf.ckpt", None, None),
        ("global_step=40.ckpt", None, 40),
        ("step=3-global_step=40.ckpt", None, 3),
        ("step=40.0.ckpt", None, 40),
    ],
)
def test_what_counts_is_read_as_a_number(name: str, epoch: float | None, step: int | None) -> None:
    (checkpoint,) = run_of(name).checkpoints
    assert (checkpoint.epoch, checkpoint.step) == (epoch, step)
    assert checkpoint.metrics == {}


@pytest.mark.parametrize(
    ("names", "monitor", "metrics"),
    [
        (["05-0.32.keras"], None, {"value": 0.32}),
        (["05-0.32.keras"], "val_loss", {"val_loss": 0.32}),
        (["05-0.32-0.91.keras"], None, {}),
        (["05.keras"], None, {}),
    ],
)
def test_a_number_without_a_name_is_what_the_user_says_it_is(
    names: list[str], monitor: str | None, metrics: dict[str, float]
) -> None:
    (it,) = run_of(*names, monitor=monitor).checkpoints
    assert {key: score.value for key, score in it.metrics.items()} == metrics
    assert it.epoch == 5


def test_keras_names_count_epochs_from_1() -> None:
    keras = (FIXTURES.parent / "layouts" / "keras" / "m.keras").read_bytes()
    (run,) = runs(MemoryStore({"05-0.32.keras": keras})).values()
    assert (run.epoch_base, run.checkpoints[0].epoch) == (1, 5)
    assert run_of("epoch=5.ckpt").epoch_base == 0


def test_a_template_reads_what_names_alone_do_not() -> None:
    run = run_of("run7x0.25.ckpt", template=Template("run{epoch}x{val_loss:.2f}"))
    (checkpoint,) = run.checkpoints
    assert checkpoint.metrics["val_loss"].value == 0.25


def test_another_equals_sign_may_be_asked_for() -> None:
    (it,) = run_of("epoch~3-val_loss~0.5.ckpt", equals="~").checkpoints
    assert (it.epoch, it.metrics["val_loss"].value) == (3, 0.5)


@pytest.mark.parametrize("extensions", [(), (".tpkc",)], ids=["by what it holds", "as asked"])
def test_a_custom_extension_is_no_obstacle(extensions: tuple[str, ...]) -> None:
    store = MemoryStore({"epoch=0-step=1.tpkc": WHOLE, "notes.tpkd": b"some words"})
    (it,) = runs(store, extensions=extensions)[""].checkpoints
    assert (it.path, it.layout, it.step) == ("epoch=0-step=1.tpkc", "lightning", 1)


def test_a_layout_may_be_asked_for_alone() -> None:
    store = MemoryStore({"a.ckpt": WHOLE, "b.keras": WHOLE})
    assert paths(runs(store, layout="keras")[""]) == ["b.keras"]
    assert [it.name for it in choose_layouts(Options(layout="lightning"))] == [
        "lightning-deepspeed",
        "lightning-sharded",
        "lightning",
    ]
    assert [it.name for it in choose_layouts(Options(layout="lightning-sharded"))] == ["lightning-sharded"]


def test_a_name_that_ends_in_a_dot_hides_no_checkpoint_without_an_ending() -> None:
    assert "checkpoint_100" in paths(run_of("a.", "checkpoint_100"))


def test_an_asked_for_extension_goes_to_the_asked_for_layout() -> None:
    rows = choose_layouts(Options(layout="keras", extensions=(".x",)))
    assert {it.name: it.extensions[-1:] for it in rows}["keras"] == (".x",)


@pytest.mark.parametrize("name", ["", "torch", "light"])
def test_an_unknown_layout_is_a_usage_error(name: str) -> None:
    with pytest.raises(UsageError, match="no layout") as caught:
        choose_layouts(Options(layout=name))
    assert "keras" in (caught.value.hint or "")


# Roles, links, pins, markers


@pytest.mark.parametrize(
    ("name", "roles", "version"),
    [
        ("last.ckpt", ("last",), None),
        ("last-v1.ckpt", ("last",), 1),
        ("best.ckpt", ("best",), None),
        ("on_exception.ckpt", ("exception",), None),
        ("on_exception-v1.ckpt", ("exception",), 1),
        ("hpc_ckpt_10.ckpt", ("hpc",), 10),
        ("epoch=1.ckpt", (), None),
    ],
)
def test_a_name_says_what_a_checkpoint_is_for(name: str, roles: tuple[str, ...], version: int | None) -> None:
    (it,) = run_of(name).checkpoints
    assert (it.roles, it.version) == (roles, version)


@pytest.mark.parametrize("name", ["on_exception.ckpt", "hpc_ckpt_10.ckpt"])
def test_a_reserved_name_says_no_number_and_no_metric(name: str) -> None:
    (it,) = run_of(name).checkpoints
    assert (it.epoch, it.step, it.counter, it.metrics) == (None, None, None, {})


def test_a_link_is_no_checkpoint_but_another_name_for_one() -> None:
    run = run_of("r/epoch=1.ckpt", links={"r/best.ckpt": "epoch=1.ckpt", "r/latest": "epoch=1.ckpt"})
    (checkpoint,) = run.checkpoints
    assert checkpoint.aliases == ("r/best.ckpt", "r/latest")
    assert run.pointers == (
        Pointer("r/best.ckpt", "symlink", "r/epoch=1.ckpt", "ok"),
        Pointer("r/latest", "symlink", "r/epoch=1.ckpt", "ok"),
    )


@pytest.mark.parametrize(
    ("target", "state"), [("gone.ckpt", "dangling"), ("last.ckpt", "loop"), ("/far/epoch=3.ckpt", "outside")]
)
def test_a_broken_link_is_shown_even_alone(target: str, state: str) -> None:
    run = run_of(links={"last.ckpt": target})
    assert run.checkpoints == ()
    assert [(it.path, it.target, it.state) for it in run.pointers] == [("last.ckpt", None, state)]


def test_a_link_to_something_else_is_no_pointer() -> None:
    assert run_of("a.ckpt", links={"log": "notes.txt"}).pointers == ()


@pytest.mark.parametrize("name", ["last.ckpt", "best.ckpt"])
def test_a_hard_link_under_a_role_is_another_name_of_the_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "epoch=1.ckpt").write_bytes(WHOLE)
    os.link(tmp_path / "epoch=1.ckpt", tmp_path / name)
    (run,) = scan(open_url(str(tmp_path)), Options())
    assert paths(run) == ["epoch=1.ckpt"]
    assert run.pointers == (Pointer(name, "hardlink", "epoch=1.ckpt", "ok"),)
    assert run.checkpoints[0].aliases == (name,)


def test_hard_links_without_a_role_or_a_plain_name_are_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "best.ckpt").write_bytes(WHOLE)
    os.link(tmp_path / "best.ckpt", tmp_path / "last.ckpt")
    (tmp_path / "epoch=1.ckpt").write_bytes(WHOLE)
    os.link(tmp_path / "epoch=1.ckpt", tmp_path / "epoch=1-v1.ckpt")
    (run,) = scan(open_url(str(tmp_path)), Options())
    assert sorted(paths(run)) == ["best.ckpt", "epoch=1-v1.ckpt", "epoch=1.ckpt", "last.ckpt"]
    assert run.pointers == ()


def test_a_sidecar_pins_what_it_is_named_for() -> None:
    run = run_of("r/epoch=1.ckpt", "r/epoch=2.ckpt", "r/epoch=1.ckpt.keep")
    assert [it.pinned for it in run.checkpoints] == [True, False]
    assert run.strays == ()


def test_what_a_writers_marker_calls_unfinished_is_partial() -> None:
    run = run_of("epoch=1.ckpt", "epoch=1-unfinished", "epoch=2-unfinished.ckpt", "epoch=3.ckpt")
    note = "its writer's marker says unfinished"
    assert [(it.path, it.state, worded(it.note)) for it in run.checkpoints] == [
        ("epoch=1.ckpt", "partial", note),
        ("epoch=2-unfinished.ckpt", "partial", note),
        ("epoch=3.ckpt", "complete", None),
    ]


@pytest.mark.parametrize(
    ("name", "text", "target"),
    [
        ("r/best", b"epoch=1.ckpt", "r/epoch=1.ckpt"),
        ("r/latest", b"epoch=1.ckpt\n", "r/epoch=1.ckpt"),
        ("r/best", b"./epoch=1.ckpt", "r/epoch=1.ckpt"),
        ("r/best", b"epoch=2.ckpt", None),
        ("r/best", b"epoch=1.ckpt epoch=2.ckpt", "r/epoch=1.ckpt"),
        ("r/best", b"path=epoch=1.ckpt\r\nval_loss=0.1\r\n", "r/epoch=1.ckpt"),
        ("r/latest", b"\xef\xbb\xbfepoch=1.ckpt \r\n\r\n", "r/epoch=1.ckpt"),
        ("r/latest", b"/gone/elsewhere/r/epoch=1.ckpt", "r/epoch=1.ckpt"),
        ("r/latest", b"C:\\runs\\r\\epoch=1.ckpt", "r/epoch=1.ckpt"),
        ("r/latest.json", b'{"path": "r/epoch=1.ckpt", "epoch": 1}', "r/epoch=1.ckpt"),
        ("r/last_checkpoint.txt", b"/r/epoch=1.ckpt\n", "r/epoch=1.ckpt"),
        ("r/best", b"", None),
        ("r/best", b"\n", None),
        ("r/best", b"\xff", None),
        ("r/best", b"epoch=1.ckpt" + b"\n" * 5000, None),
        ("r/best.txt", b"epoch=1.ckpt", "r/epoch=1.ckpt"),
        ("r/notes.txt", b"epoch=1.ckpt", None),
    ],
)
def test_a_text_that_names_a_checkpoint_is_a_pointer_to_it(name: str, text: bytes, target: str | None) -> None:
    run = runs(MemoryStore({"r/epoch=1.ckpt": WHOLE, name: text}))["r"]
    assert run.pointers == (() if target is None else (Pointer(name, "text", target, "ok"),))
    assert run.checkpoints[0].aliases == (() if target is None else (name,))
    assert [it.path for it in run.strays] == ([name] if target is None else [])


def test_a_text_that_cannot_be_read_is_a_stray() -> None:
    class Locked(MemoryStore):
        @contextmanager
        def open(self, path: str) -> Iterator[ReadableFile]:  # type: ignore[override]
            if path == "best":
                raise PermissionError(13, "Permission denied", path)
            with super().open(path) as source:
                yield source

    run = runs(Locked({"epoch=1.ckpt": WHOLE, "best": b"epoch=1.ckpt"}))[""]
    assert (run.pointers, [it.path for it in run.strays]) == ((), ["best"])


def test_a_text_that_grew_after_it_was_listed_is_a_stray() -> None:
    class Growing(MemoryStore):
        @contextmanager
        def open(self, path: str) -> Iterator[ReadableFile]:  # type: ignore[override]
            if path == "best":
                self.write(path, b"epoch=1.ckpt\n" * 1000)
            with super().open(path) as source:
                yield source

    run = runs(Growing({"epoch=1.ckpt": WHOLE, "best": b"epoch=1.ckpt"}))[""]
    assert (run.pointers, [it.path for it in run.strays]) == ((), ["best"])


# Strays


def test_what_is_not_understood_is_a_stray_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "epoch=1.ckpt").write_bytes(WHOLE)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "epoch=2.ckpt.tmp").write_bytes(b"half")
    (tmp_path / "odd.ckpt").mkdir()
    os.mkfifo(tmp_path / "pipe.ckpt")
    (run,) = scan(open_url(str(tmp_path)), Options())
    assert worded(run.strays) == (
        Stray("epoch=2.ckpt.tmp", "not understood"),
        Stray("notes.txt", "not understood"),
        Stray("odd.ckpt", "a folder that no layout knows"),
        Stray("pipe.ckpt", "neither a file nor a folder"),
    )
    assert paths(run) == ["epoch=1.ckpt"]


def test_a_folder_without_checkpoints_has_no_strays_to_tell() -> None:
    assert runs(MemoryStore({"notes.txt": b"x"})) == {}


# Real folders


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (
            "pl26/topk2_last",
            {"epoch=01-val_loss=0.40.ckpt": (), "epoch=03-val_loss=0.30.ckpt": (), "last.ckpt": ("last",)},
        ),
        ("pl26/slash_nested", {"epoch=1-val/loss=0.40.ckpt": ()}),
        (
            "pl26/linkbest",
            {"epoch=00-val_loss=0.50.ckpt": (), "epoch=01-val_loss=0.40.ckpt": (), "last.ckpt": ("last",)},
        ),
        ("pl26/constant_name", {"best.ckpt": ("best",), "best-v1.ckpt": ("best",)}),
        ("pl14/default", {"epoch=1-step=3.ckpt": ()}),
    ],
)
def test_a_real_folder_is_one_run(tmp_path: Path, case: str, expected: dict[str, tuple[str, ...]]) -> None:
    shutil.copytree(FIXTURES / case, tmp_path / "run", symlinks=True)
    (run,) = scan(open_url(str(tmp_path)), Options())
    assert {it.path.removeprefix("run/"): it.roles for it in run.checkpoints} == expected
    assert {it.state for it in run.checkpoints} == {"complete"}
    assert run.strays == ()


def test_links_of_a_real_folder_lead_to_their_checkpoints() -> None:
    (run,) = scan(open_url(str(FIXTURES / "pl26" / "linkbest")), Options())
    assert [(it.path, it.target, it.state) for it in run.pointers] == [
        ("best.ckpt", "epoch=01-val_loss=0.40.ckpt", "ok")
    ]


class Closed(MemoryStore):
    """A store in which one file may not be read."""

    @contextmanager
    def open(self, path: str) -> Iterator[ReadableFile]:  # type: ignore[override]
        if path == "r/latest":
            raise PermissionError(13, "Permission denied", path)
        with super().open(path) as source:
            yield source


def test_what_a_file_may_name_that_cannot_be_read_is_in_doubt() -> None:
    tags = {f"r/global_step{n}/mp_rank_00_model_states.pt": WHOLE for n in (1, 2, 3)}
    store = Closed({**tags, "r/latest": b"global_step1"})
    (run,) = scan(store, Options(now=store.clock() + 3600 * 10**9))
    assert [it.state for it in run.checkpoints] == ["doubtful"] * 3
    assert worded(run.checkpoints[0].note) == "r/latest cannot be read, and may name it"


# Folders of any name, and second names


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        pytest.param("weights_7", (None, None, 7), id="a number alone counts saves"),
        pytest.param("epoch_7", (7, None, None), id="an epoch"),
        pytest.param("step_700", (None, 700, None), id="a step"),
        pytest.param("for-the-paper", (None, None, None), id="a person's name"),
    ],
)
def test_a_folder_of_any_name_says_its_number_as_a_file_would(
    name: str, numbers: tuple[int | None, int | None, int | None]
) -> None:
    (found,) = run_of(f"{name}/__0_0.distcp", f"{name}/.metadata").checkpoints
    assert (found.layout, (found.epoch, found.step, found.counter)) == ("dcp", numbers)
    assert ("named" in found.roles) == (numbers == (None, None, None))


@pytest.mark.parametrize("second", ["last-epoch=3-step=30.ckpt", "last.ckpt", "mine.ckpt"])
def test_a_second_name_of_a_numbered_checkpoints_file_stands_for_it(tmp_path: Path, second: str) -> None:
    first = "epoch=3-step=30.ckpt"
    (tmp_path / first).write_bytes(WHOLE)
    os.link(tmp_path / first, tmp_path / second)
    (run,) = scan(open_url(str(tmp_path)), Options())
    assert paths(run) == [first]
    assert run.checkpoints[0].aliases == (second,)
    assert run.pointers == (Pointer(second, "hardlink", first, "ok"),)


def test_second_names_of_which_none_is_numbered_are_all_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(WHOLE)
    os.link(tmp_path / "last.ckpt", tmp_path / "mine.ckpt")
    (run,) = scan(open_url(str(tmp_path)), Options())
    assert sorted(paths(run)) == ["last.ckpt", "mine.ckpt"]

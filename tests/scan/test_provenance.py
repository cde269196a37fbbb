"""What one training noted of the checkpoint that it began from, found again among those of another."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ckptctl.core.model import Origin, Run
from ckptctl.layouts import LAYOUTS
from ckptctl.layouts.schema import OriginFile
from ckptctl.scan.runs import Options
from ckptctl.scan.tree_listing import MOST_BYTES, RecordedOrigin, attach_references, find_setting_values, list_tree
from tests.cli.calls import NAMES, call, make_run
from tests.core.samples import run_of, save
from tests.stores.memory import MemoryStore

FILES = {f"{layout.name} {origin.file}": origin for layout in LAYOUTS for origin in layout.origins}
ROOT = os.path.realpath("/data/team")
RUNS = [
    run_of(save("runs/a/step=1.ckpt"), save("runs/a/step=2.ckpt"), path="runs/a"),
    run_of(save("runs/b/version_0/checkpoints/step=1.ckpt"), path="runs/b/version_0/checkpoints"),
    run_of(save("other/a/step=1.ckpt"), path="other/a"),
    run_of(save("hf/checkpoint-500"), save("hf/checkpoint-1000"), path="hf"),
]


def origins(*said: RecordedOrigin) -> list[Origin]:
    return [origin for run in attach_references(RUNS, said, ROOT) for origin in run.origins]


def targets(path: str) -> list[str]:
    """What a path means that a training noted which has no checkpoint yet."""
    return [origin.target for origin in origins(RecordedOrigin("c/args.yaml", path))]


@pytest.mark.parametrize("origin", FILES.values(), ids=FILES)
def test_a_line_of_every_file_that_a_layout_names_is_read(origin: OriginFile) -> None:
    text = f"lr: 0.1\n{origin.example}\nseed = 3\n"
    assert find_setting_values(text.encode(), origin.keys) == ["runs/a/x"]
    if origin.file.endswith(".json"):
        text = f'{{"nested": [{{{origin.example} "seed": 3}}]}}'
    store = MemoryStore({f"runs/b/{origin.file}": text.encode(), "runs/b/other.yaml": text.encode()})
    assert list(list_tree(store, Options()).origins) == [RecordedOrigin(f"runs/b/{origin.file}", "runs/a/x")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("ckpt_path: /r/a.ckpt", ["/r/a.ckpt"], id="YAML"),
        pytest.param("ckpt_path: '/r/a b.ckpt'  # why", ["/r/a b.ckpt"], id="YAML in quotes"),
        pytest.param("fit:\n  ckpt_path: r/epoch=1,loss=2.ckpt\n", ["r/epoch=1,loss=2.ckpt"], id="YAML, nested"),
        pytest.param('{"lr": 0.1, "ckpt_path": "r/a.ckpt", "n": 1}', ["r/a.ckpt"], id="JSON in one line"),
        pytest.param('model = dict(\n    ckpt_path="r/a.ckpt",\n)', ["r/a.ckpt"], id="Python"),
        pytest.param("ckpt_path: null", ["null"], id="nothing, which is no checkpoint's path"),
        pytest.param("ckpt_path:\nother: r/a.ckpt", [], id="no value"),
        pytest.param("my_ckpt_path: r/a.ckpt", [], id="another setting that ends alike"),
    ],
)
def test_a_setting_is_read_in_every_format_that_holds_one(text: str, found: list[str]) -> None:
    assert find_setting_values(text.encode(), ["ckpt_path"]) == found


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        pytest.param("runs/a/step=1.ckpt", ["runs/a/step=1.ckpt"], id="as seen from the root"),
        pytest.param("team/runs/a/step=1.ckpt", ["runs/a/step=1.ckpt"], id="as seen from above it"),
        pytest.param("../runs/./a/step=1.ckpt", ["runs/a/step=1.ckpt"], id="as seen from beside it"),
        pytest.param(f"{ROOT}/runs/a/step=1.ckpt", ["runs/a/step=1.ckpt"], id="in full"),
        pytest.param("/old/home/runs/a/step=1.ckpt", ["runs/a/step=1.ckpt"], id="of another machine"),
        pytest.param(r"C:\old\runs\a\step=1.ckpt", ["runs/a/step=1.ckpt"], id="of Windows"),
        pytest.param("a/step=1.ckpt", ["runs/a/step=1.ckpt", "other/a/step=1.ckpt"], id="either of two"),
        pytest.param("hf/checkpoint-500/", ["hf/checkpoint-500"], id="a folder"),
        pytest.param("hf/checkpoint-500/model.safetensors", ["hf/checkpoint-500"], id="a file in it"),
        pytest.param("step=1.ckpt", [], id="a bare name, which anything may have"),
        pytest.param("/elsewhere/a/step=1.ckpt", [], id="too little is shared"),
        pytest.param("old/runs/a/step=1.ckpt", [], id="a relative path that leads elsewhere"),
        pytest.param("old/hf/checkpoint-500/model.safetensors", [], id="a file at the end of such a one"),
        pytest.param("runs/a/step=9.ckpt", [], id="one that is gone"),
        pytest.param("bert-base-uncased", [], id="a name of a hub"),
        pytest.param("", [], id="nothing"),
        pytest.param("/", [], id="the root"),
    ],
)
def test_a_path_means_the_checkpoint_whose_own_it_ends(path: str, meant: list[str]) -> None:
    assert targets(path) == meant


@pytest.mark.parametrize(
    ("file", "path", "counts"),
    [
        ("runs/a/args.yaml", "runs/a/step=1.ckpt", False),
        ("runs/a/logs/args.yaml", "runs/a/step=1.ckpt", False),
        ("runs/a/finetune/args.yaml", "hf/checkpoint-500", True),
        ("runs/b/version_0/config.yaml", "runs/b/version_0/checkpoints/step=1.ckpt", False),
        ("runs/b/version_0/.hydra/config.yaml", "runs/b/version_0/checkpoints/step=1.ckpt", False),
        ("runs/b/version_0/config.yaml", "runs/a/step=1.ckpt", True),
        ("hf/checkpoint-1000/config.json", "hf/checkpoint-500", False),
        ("config.yaml", "runs/a/step=1.ckpt", False),
    ],
)
def test_only_what_another_training_says_counts(file: str, path: str, *, counts: bool) -> None:
    assert origins(RecordedOrigin(file, path)) == ([Origin(file, path)] if counts else [])


def test_a_file_that_is_too_large_or_of_another_kind_says_nothing() -> None:
    line = b"ckpt_path: runs/a/step=1.ckpt\n"
    store = MemoryStore({"config.yaml": line + b" " * MOST_BYTES, "b/config.yaml": b"\xff\xfe" + line})
    assert list(list_tree(store, Options()).origins) == [RecordedOrigin("b/config.yaml", "runs/a/step=1.ckpt")]


def test_runs_stay_as_they_are_where_nothing_is_said() -> None:
    assert attach_references(RUNS, [], ROOT) == RUNS
    assert attach_references([Run("", ())], [RecordedOrigin("x/args.yaml", "a/b")], ROOT) == [Run("", ())]


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs, of which the second began from the worst of the first."""
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "runs" / "a")
    make_run(tmp_path / "runs" / "b")
    (tmp_path / "runs" / "b" / "config.yaml").write_text(f"ckpt_path: /old/machine/runs/a/{NAMES[0]}\n")
    return tmp_path / "runs"


@pytest.mark.parametrize("paths", [["runs"], ["runs/a", "runs/b"]], ids=["one root", "two places"])
def test_prune_keeps_what_another_training_began_from(pair: Path, paths: list[str]) -> None:
    answer = call("prune", *paths, "--keep-last", "1", "--yes")
    assert answer.code == 0, answer.err
    assert sorted(it.name for it in (pair / "a").glob("*.ckpt")) == sorted([NAMES[0], NAMES[-1]])
    assert [it.name for it in (pair / "b").glob("*.ckpt")] == [NAMES[-1]]


def test_the_reason_names_the_file_that_says_so(pair: Path) -> None:
    answer = call("explain", pair / "a" / NAMES[0], "--in", "runs", "--keep-last", "1")
    assert "another training began from it: b/config.yaml" in answer.out


def test_a_prune_of_one_run_alone_knows_nothing_of_others(pair: Path) -> None:
    assert call("prune", "runs/a", "--keep-last", "1", "--yes").code == 0
    assert [it.name for it in (pair / "a").glob("*.ckpt")] == [NAMES[-1]]


def test_rm_deletes_it_when_a_person_names_it(pair: Path) -> None:
    assert call("rm", pair / "a" / NAMES[0], "--yes").code == 0
    assert not (pair / "a" / NAMES[0]).exists()


def test_settings_are_of_the_nearest_run_around_them_and_speak_of_those_further_out() -> None:
    runs = [run_of(save("a/b/step=1.ckpt"), path="a/b"), run_of(save("a/step=1.ckpt"), path="a")]
    said = [RecordedOrigin("a/b/logs/args.yaml", path) for path in ("team/a/step=1.ckpt", "team/a/b/step=1.ckpt")]
    assert [[it.target for it in run.origins] for run in attach_references(runs, said, ROOT)] == [[], ["a/step=1.ckpt"]]

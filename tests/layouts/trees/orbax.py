"""What Orbax, MaxText and Flax leave in a folder."""

from __future__ import annotations

import json
from pathlib import Path

from tests.layouts.tree import Expected, Tree, json_file

_REAL = Path(__file__).parents[2] / "fixtures" / "layouts" / "orbax"
_DONE = b"Checkpoint commit was successful to gs://bucket/run"


def _item(*, done: bool = False) -> dict[str, bytes]:
    """What lies in the folder of one item."""
    files = {"_METADATA": b"{}", "_sharding": b"{}", "manifest.ocdbt": b"x", "d/0123": b"x"}
    files |= {"array_metadatas/process_0": b"{}", "ocdbt.process_0/manifest.ocdbt": b"x", "ocdbt.process_0/d/45": b"x"}
    return {**files, "commit_success.txt": _DONE} if done else files


def _step(path: str, *, item: str = "default", metrics: object = None, done: bool = False) -> dict[str, bytes]:
    """What lies in the folder of one step."""
    files = {"_CHECKPOINT_METADATA": json.dumps({"item_handlers": {}, "metrics": {}, "custom_metadata": {}}).encode()}
    files |= {f"{item}/{name}": data for name, data in _item(done=done).items()}
    if metrics is not None:
        files["metrics/metrics"] = json_file(metrics)
    if done:
        files["commit_success.txt"] = _DONE
    return {f"{path}/{name}": data for name, data in files.items()}


TREES = (
    Tree(
        "two steps with metrics, as Orbax 0.12.8 wrote them",
        "orbax",
        {
            **{str(it.relative_to(_REAL)): it.read_bytes() for it in sorted(_REAL.rglob("*")) if it.is_file()},
            "_ROOT_METADATA": b"{}",
        },
        (Expected("20", step=20, metrics={"loss": 0.05}), Expected("30", step=30, metrics={"loss": 1 / 30})),
    ),
    Tree(
        "steps behind a prefix, and a save that was killed",
        "orbax",
        {
            **_step("state_00000100", metrics={"loss": 0.5, "accuracy": 0.7}),
            **_step("state_00000200", metrics={"loss": 0.4, "accuracy": 0.8}),
            **_step("state_00000300", metrics={"loss": float("nan"), "accuracy": 0.75}),
            **_step("state_00000400.orbax-checkpoint-tmp"),
            **_step("state_00000500.orbax-checkpoint-tmp-1700000000000000"),
            "_ROOT_METADATA": b"{}",
        },
        (
            Expected("state_00000400.orbax-checkpoint-tmp", state="partial"),
            Expected("state_00000500.orbax-checkpoint-tmp-1700000000000000", state="partial"),
            Expected("state_00000100", step=100, metrics={"loss": 0.5, "accuracy": 0.7}),
            Expected("state_00000200", step=200, metrics={"loss": 0.4, "accuracy": 0.8}),
            Expected("state_00000300", step=300, metrics={"loss": float("nan"), "accuracy": 0.75}),
        ),
    ),
    Tree(
        "a store without renaming, the newest not committed",
        "orbax",
        {**_step("100", done=True), **_step("200", done=True), **_step("300")},
        (Expected("100", step=100), Expected("200", step=200), Expected("300", step=300, state="doubtful")),
    ),
    Tree(
        "a state that was saved by hand",
        "orbax",
        {**_step("100"), **_step("200"), **_step("final_params")},
        (
            Expected("final_params", roles=("named",), layout="orbax-named"),
            Expected("100", step=100),
            Expected("200", step=200),
        ),
    ),
    Tree(
        "Flax by way of Orbax",
        "orbax",
        {
            f"checkpoint_{step}/{name}": data
            for step in (100, 200, 300)
            for name, data in {**_item(), "checkpoint": b"x"}.items()
        },
        tuple(Expected(f"checkpoint_{step}", step=step) for step in (100, 200, 300)),
    ),
    Tree(
        "MaxText",
        "orbax-maxtext",
        {
            path: data
            for step in (0, 1000, 2000)
            for path, data in {**_step(str(step), item="items"), f"{step}/iter/process_0-of-1.json": b"{}"}.items()
        }
        | _step("3000.orbax-checkpoint-tmp", item="items"),
        (
            Expected("3000.orbax-checkpoint-tmp", state="partial", layout="orbax"),
            *(Expected(str(step), step=step) for step in (0, 1000, 2000)),
        ),
    ),
    Tree(
        "runs of a logger that calls them default are no steps",
        "orbax",
        {**_step("run/100"), **_step("run/200"), "42/default/version_0/metrics.csv": b"epoch,step\n"},
        (Expected("run/100", step=100), Expected("run/200", step=200)),
    ),
    Tree(
        "files of Flax, what processes share beside them, and a save that was killed",
        "orbax-flax",
        {
            **{f"checkpoint_{step}": b"\x81\xa1w\xc0" for step in (100, 200, 300)},
            "checkpoint_200_gda/params.w/.zarray": b"{}",
            "checkpoint_200_gda/params.w/0.0": b"x",
            "checkpoint_300_gda/commit_success.txt": _DONE,
            "checkpoint_300_gda/params.w/0.0": b"x",
            "checkpoint_tmp": b"\x81",
            "checkpoint_tmp_gda/params.w/.zarray": b"{}",
            "events.out.tfevents.1700000000.host": b"x",
        },
        (
            Expected("checkpoint_tmp", state="partial"),
            Expected("checkpoint_tmp_gda", state="partial"),
            Expected("checkpoint_100", step=100),
            Expected("checkpoint_200", ("checkpoint_200", "checkpoint_200_gda"), step=200),
            Expected("checkpoint_300", ("checkpoint_300", "checkpoint_300_gda"), step=300),
        ),
    ),
)

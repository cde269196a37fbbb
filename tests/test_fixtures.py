"""The commands on real runs, each written by a release of Lightning, against what its own callback said of them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests.cli.calls import Answer, call, listing

FIXTURES = Path(__file__).parent / "fixtures" / "lightning"
LAST = {
    "pl14/default": "epoch=1-step=3.ckpt",
    "pl14/nan_topk3": "epoch=3-val_loss=0.40.ckpt",
    "pl14/topk2_last": "last.ckpt",
    "pl14/weights_only": "epoch=0-val_loss=0.50.ckpt",
    "pl15/default": "epoch=1-step=3.ckpt",
    "pl15/nan_topk3": "epoch=3-val_loss=0.40.ckpt",
    "pl15/topk2_last": "last.ckpt",
    "pl15/weights_only": "epoch=0-val_loss=0.50.ckpt",
    "pl26/constant_name": "best-v1.ckpt",
    "pl26/last_is_old": "last.ckpt",
    "pl26/linkbest": "last.ckpt",
    "pl26/max_negative": "epoch=2-val_loss=-0.4.ckpt",
    "pl26/rerun": "last-v1.ckpt",
    "pl26/rounding": "val_loss=0.50-v2.ckpt",
    "pl26/slash_nested": "epoch=1-val/loss=0.40.ckpt",
    "pl26/time_interval": "epoch=0-step=2.ckpt",
    "pl26/topk2_last": "last.ckpt",
    "pl26/topk3_link": "epoch=3-val_loss=0.30.ckpt",
    "pl26/weights_only": "epoch=00-val_loss=0.50.ckpt",
}
"""The newest of each run; of equals the one that was written last."""
MAXIMIZED = {"pl26/max_negative"}
PARTLY_LISTED = {"pl26/rerun"}
"""The second training in the folder knew nothing of the files of the first."""
POLICIES = [
    ["--top-k", "1"],
    ["--top-k", "2"],
    ["--top-k", "1", "--monitor", "val_loss", "--mode", "max"],
    ["--top-k", "1", "--no-protect-last"],
    ["--keep-last", "1"],
    ["--keep-every", "2epochs"],
    ["--keep-best", "val_loss:min=1", "--keep-last", "1"],
]
WITH_SCORES = [name for name in LAST if (FIXTURES / name / "best_k_models.yaml").exists()]


def recorded(name: str) -> dict[str, float]:
    """What the callback wrote: paths below the run's folder to scores."""
    text = (FIXTURES / name / "best_k_models.yaml").read_text()
    return {path.partition(f"/{name}/")[2]: score for path, score in yaml.safe_load(text).items()}


@pytest.fixture
def copy(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of the run that a test names."""
    return copy_to(tmp_path, request.param)


def copy_to(place: Path, name: str) -> Path:
    """A copy of a run with a stray; its files were written in the order of their epochs, a second training's after."""
    folder = place / "runs" / "copy"
    shutil.copytree(FIXTURES / name, folder, symlinks=True)
    (folder / "notes of mine").write_text("not a checkpoint")
    for path in folder.rglob("*.ckpt"):
        if not path.is_symlink():
            moment = 1_700_000_000 + 3600 * _age_of(path.name)
            os.utime(path, (moment, moment))
    return folder


def _age_of(name: str) -> int:
    epoch, version = (re.search(pattern, name) for pattern in (r"epoch=(\d+)", r"-v(\d+)"))
    return (int(epoch[1]) if epoch else 9) + (10 * int(version[1]) if version else 0)


def test_every_run_is_looked_at() -> None:
    assert {path.relative_to(FIXTURES).as_posix() for path in FIXTURES.glob("*/*")} == set(LAST)


class Pruned(NamedTuple):
    """What lay in a copy of a run before and after each of three calls, and what they said."""

    before: dict[str, str]
    planned: Answer
    planned_for: dict[str, str]
    applied: Answer
    after: dict[str, str]
    again: Answer
    at_last: dict[str, str]


@pytest.fixture(scope="module")
def prunes() -> dict[tuple[str, ...], Pruned]:
    """What was pruned already, by run and policy."""
    return {}


@pytest.fixture
def prune(prunes: dict[tuple[str, ...], Pruned], tmp_path: Path) -> Callable[[str, list[str]], Pruned]:
    """Plans, prunes and prunes again, once for each run and policy."""

    def ask(name: str, policy: list[str]) -> Pruned:
        key = (name, *policy)
        if key not in prunes:
            prunes[key] = plan_and_prune_twice(copy_to(tmp_path, name), policy)
        return prunes[key]

    return ask


def plan_and_prune_twice(run: Path, policy: list[str]) -> Pruned:
    folder = run.parent
    before, planned = listing(folder), call("prune", run, *policy, "--dry-run", "--json")
    planned_for, applied = listing(folder), call("prune", run, *policy, "--yes", "--json")
    after, again = listing(folder), call("prune", run, *policy, "--yes", "--json")
    return Pruned(before, planned, planned_for, applied, after, again, listing(folder))


@pytest.mark.parametrize("policy", POLICIES, ids=" ".join)
@pytest.mark.parametrize("name", LAST)
def test_prune_does_what_its_dry_run_says_and_touches_nothing_else(
    name: str, policy: list[str], prune: Callable[[str, list[str]], Pruned]
) -> None:
    before, planned, planned_for, applied, after, *_ = prune(name, policy)
    assert planned_for == before
    assert applied.code == planned.code
    (told,), (done,) = planned.json["runs"], applied.json["runs"]
    assert told == done
    dropped = [it["path"] for it in told["verdicts"] if it["action"] == "drop"]
    assert (applied.json["outcome"] or {"dropped": []})["dropped"] == dropped
    assert after == {path: what for path, what in before.items() if path.removeprefix("copy/") not in dropped}


@pytest.mark.parametrize("policy", POLICIES, ids=" ".join)
@pytest.mark.parametrize("name", LAST)
def test_a_second_prune_does_nothing(name: str, policy: list[str], prune: Callable[[str, list[str]], Pruned]) -> None:
    pruned = prune(name, policy)
    assert pruned.again.code == pruned.applied.code
    assert pruned.again.json["outcome"] is None
    assert pruned.at_last == pruned.after
    assert not [path for path in pruned.at_last if path.endswith(".ckptctl")]


@pytest.mark.parametrize("policy", POLICIES[:1] + POLICIES[4:5], ids=" ".join)
@pytest.mark.parametrize("copy", LAST, indirect=True)
def test_best_and_last_are_the_same_before_and_after(copy: Path, policy: list[str]) -> None:
    before = [call(command, copy).raw for command in ("best", "last")]
    call("prune", copy, "--top-k", "1", *policy, "--yes")
    assert [call(command, copy).raw for command in ("best", "last")] == before


@pytest.mark.parametrize(("copy", "name"), [(name, name) for name in WITH_SCORES], indirect=["copy"])
def test_best_is_what_the_callback_holds_for_best(copy: Path, name: str) -> None:
    scores = recorded(name)
    pick = max if name in MAXIMIZED else min
    best = pick(scores, key=scores.__getitem__)
    (answer,) = call("best", copy, "--json").json["checkpoints"]
    assert answer["score"] == scores[best]
    assert answer["path"] == best or name in PARTLY_LISTED


@pytest.mark.parametrize(("copy", "name"), [(name, name) for name in WITH_SCORES], indirect=["copy"])
def test_the_ranking_is_the_callbacks(copy: Path, name: str) -> None:
    scores = {path: score for path, score in recorded(name).items() if abs(score) != float("inf")}
    ranking = [it["path"] for it in call("best", copy, "-k", "-1", "--json").json["checkpoints"]]
    known = [path for path in ranking if path in scores]
    assert known == sorted(scores, key=scores.__getitem__, reverse=name in MAXIMIZED)


@pytest.mark.parametrize(("copy", "name"), [(name, name) for name in WITH_SCORES], indirect=["copy"])
def test_the_exported_yaml_is_the_callbacks_but_for_the_folder(copy: Path, name: str) -> None:
    answer = call("export", copy, "--format", "yaml")
    assert answer.code == 0
    scores = {f"{copy}/{path}": score for path, score in recorded(name).items()}
    if name not in PARTLY_LISTED:
        assert answer.out == yaml.dump(scores)
    exported = yaml.safe_load(answer.out)
    assert {path: exported.get(path) for path in scores} == scores


@pytest.mark.parametrize(("copy", "last"), LAST.items(), indirect=["copy"], ids=LAST)
def test_last_is_the_newest(copy: Path, last: str) -> None:
    assert call("last", copy).lines == [f"{copy}/{last}"]


@pytest.mark.parametrize("copy", LAST, indirect=True)
def test_every_checkpoint_is_whole_and_nothing_is_warned_of(copy: Path) -> None:
    answer = call("ls", copy, "--json")
    (run,) = answer.json["runs"]
    assert {it["state"] for it in run["checkpoints"]} == {"complete"}
    assert [it["path"] for it in run["strays"]] == ["notes of mine"]
    listed = {it["path"] for it in run["checkpoints"]} | {it["path"] for it in run["pointers"]}
    assert listed == {path.relative_to(copy).as_posix() for path in copy.rglob("*.ckpt")}


@pytest.mark.parametrize("copy", ["pl26/linkbest", "pl26/topk3_link"], indirect=True)
@pytest.mark.parametrize("policy", POLICIES, ids=" ".join)
def test_what_a_link_names_stays(copy: Path, policy: list[str]) -> None:
    links = {path: path.resolve() for path in copy.iterdir() if path.is_symlink()}
    assert links
    call("prune", copy, *policy, "--yes")
    assert all(path.is_symlink() and path.resolve() == target and target.exists() for path, target in links.items())

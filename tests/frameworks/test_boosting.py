"""ckptctl beside XGBoost and LightGBM: what their savers left, and what they load after a prune."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.frameworks.conftest import run
from tests.frameworks.environments import ask
from tests.frameworks.folders import check, copy, list_checkpoints, prune

pytestmark = [pytest.mark.environments, pytest.mark.slow]

RUNS = ("xgboost", "lightgbm")


class Trained(NamedTuple):
    """What the writer left, and what it says of it."""

    folder: str
    truth: dict[str, Any]


@pytest.fixture(scope="module")
def trained(case_folder: Callable[[str], str]) -> Trained:
    source = case_folder("boosting")
    truth = ask("boosting", "boosting_run.py", "train", source, "1")
    return Trained(copy(source, os.path.join(case_folder("boosting-old"), "runs")), truth)


@pytest.mark.parametrize("name", RUNS)
def test_every_save_is_listed_once_with_its_round(trained: Trained, name: str) -> None:
    found = list_checkpoints(os.path.join(trained.folder, name))
    truth = [(it["path"], it["step"], name) for it in trained.truth[name]["checkpoints"]]
    assert [(it["path"], it["step"], it["layout"]) for it in found] == truth
    assert os.path.basename(run("last", os.path.join(trained.folder, name)).path) == trained.truth[name]["last"]


@pytest.mark.parametrize("name", RUNS)
def test_prune_leaves_the_newest_and_the_final_model(
    trained: Trained, case_folder: Callable[[str], str], name: str
) -> None:
    root = copy(os.path.join(trained.folder, name), os.path.join(case_folder(name), "run"))
    truth = trained.truth[name]
    check(prune(root, "--keep-last", "2"), truth, [it["path"] for it in truth["checkpoints"][-2:]])
    if name == "xgboost":
        loaded = ask("boosting", "boosting_run.py", "resume", root)[root]
        assert loaded == {"latest": truth["last"], "rounds": truth["checkpoints"][-1]["step"] + 1}


@pytest.mark.parametrize("name", ["xgboost_by_default", "xgboost_pickled"])
def test_files_whose_names_any_model_could_have_are_left_alone(
    trained: Trained, case_folder: Callable[[str], str], name: str
) -> None:
    root = copy(os.path.join(trained.folder, name), os.path.join(case_folder(name), "run"))
    found = prune(root, "--keep-last", "1")
    assert found.answer.code in (0, 4)  # listed or not, nothing proves them to be saves in a row
    assert found.after == found.before

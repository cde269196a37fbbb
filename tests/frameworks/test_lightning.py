"""ckptctl beside Lightning: real trainings, whose callback says what is best, last and kept."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from math import inf, isnan, nan
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.frameworks.conftest import RUNS, run, seeds
from tests.frameworks.truth import Save, against, can_rank, expect, ranked

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("lightning.pytorch", reason="Lightning is not installed", exc_type=ImportError)
    from tests.frameworks import lightning_runs as lightning

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.lightning, pytest.mark.filterwarnings("ignore")]


class Case(NamedTuple):
    """One recipe, trained as it says and once more keeping everything."""

    recipe: lightning.Recipe
    kept: lightning.Training
    answers: lightning.Answers
    everything: lightning.Training


@pytest.fixture(scope="module", params=seeds(RUNS), ids="seed{}".format)
def case(request: pytest.FixtureRequest, case_folder: Callable[[str], str]) -> Case:
    recipe = lightning.draw_recipe(request.param)
    folder = case_folder(f"lightning-{recipe.seed}")
    kept = lightning.train(recipe, os.path.join(folder, "kept"), recipe.top_k)
    answers = lightning.ask(kept.callback, os.path.join(folder, "scratch.yaml"))
    everything = lightning.train(recipe, os.path.join(folder, "everything"), -1, resume_at=kept.resumed_at)
    return Case(recipe, kept, answers, everything)


@pytest.fixture
def twin(case: Case, case_folder: Callable[[str], str]) -> lightning.Training:
    """Keeps everything, and may be pruned."""
    folder = case_folder(f"lightning-{case.recipe.seed}-pruned")
    return lightning.train(case.recipe, os.path.join(folder, "pruned"), -1, resume_at=case.kept.resumed_at)


def metric(recipe: lightning.Recipe) -> list[str]:
    """The flags that name the metric, where the recipe gives them; and the template where signs would be a guess."""
    unsure = not recipe.inserts_names and recipe.weights_only
    template = ["--template", str(recipe.template)] if unsure else []
    return [*template, *(["--monitor", recipe.monitor, "--mode", recipe.mode] if recipe.says_metric else [])]


def files(root: str) -> tuple[set[str], set[str]]:
    """Checkpoint files and links below a folder."""
    paths = {
        os.path.join(parent, name) for parent, _, names in os.walk(root) for name in names if name.endswith(".ckpt")
    }
    links = {path for path in paths if os.path.islink(path)}
    return paths - links, links


def newest(training: lightning.Training) -> set[str]:
    """The saves that nothing is newer than: the farthest steps since the steps last fell."""
    line: list[Save] = []
    for save in training.saves:
        line = [*line, save] if not line or (save.step or 0) >= (line[-1].step or 0) else [save]
    return {save.path for save in line if save.step == line[-1].step}


def test_the_callback_itself_keeps_and_prefers_what_retention_says(case: Case) -> None:
    if not case.kept.straight:
        pytest.skip("the callback remembers only its own part of the folder")
    recipe = case.recipe
    ranking = ranked([save._replace(seen=save.value) for save in case.everything.saves], recipe.mode)
    places = [save.value for save in ranking][: None if recipe.top_k < 0 else recipe.top_k]
    assert lightning.placed_scores(case.answers, recipe.mode) == places, recipe
    own = ranked([save._replace(seen=save.value) for save in case.kept.saves], recipe.mode)
    assert not own or own[0].path == case.answers.best, recipe


def test_what_the_witness_remembers_is_what_lies_on_disk(case: Case) -> None:
    for training in (case.kept, case.everything):
        assert files(training.root)[0] == {save.path for save in training.saves}, case.recipe


@pytest.mark.parametrize("which", ["kept", "everything"])
def test_every_save_is_listed_once_with_its_numbers(case: Case, which: str) -> None:
    """Read exactly; and without, where what only a checkpoint's own state tells may be missing, but not wrong."""
    training: lightning.Training = getattr(case, which)
    lasts = {save.path for save in training.saves if save.is_last}
    for exactly in (["--exact"], []):
        answer = run("ls", training.root, "--json", *exactly, *metric(case.recipe))
        assert answer.code == 0, (case.recipe, answer)
        listed = [
            (os.path.join(training.root, checkpoint["path"]), checkpoint)
            for one in answer.json["runs"]
            for checkpoint in one["checkpoints"]
        ]
        pointed = {os.path.join(training.root, it["path"]) for one in answer.json["runs"] for it in one["pointers"]}
        assert {path for path, _ in listed} | (pointed & lasts) == {save.path for save in training.saves}, case.recipe
        assert len(listed) == len({path for path, _ in listed}), case.recipe
        assert pointed - lasts == files(training.root)[1], case.recipe
        saves = {save.path: save for save in training.saves}
        wrong = [line for path, it in listed for line in compare(saves[path], it, case.recipe, may_miss=not exactly)]
        assert not wrong, (case.recipe, exactly, wrong)


def compare(save: Save, listed: dict[str, object], recipe: lightning.Recipe, *, may_miss: bool) -> list[str]:
    """Where a listed checkpoint differs from the save that made it."""
    wrong = [
        f"{save.path}: {name} {listed[name]}, but {truth}"
        for name, truth in (("epoch", save.epoch), ("step", save.step), ("state", "complete"))
        if listed[name] != truth and not (may_miss and listed[name] is None)
    ]
    if save.is_last:
        return wrong if listed["roles"] == ["last"] else [*wrong, f"{save.path}: roles {listed['roles']}"]
    score = score_in(listed, recipe.monitor)
    if score is None:
        return wrong if save.seen is None or may_miss else [*wrong, f"{save.path}: no score, but {save.seen}"]
    rounded = lightning.printed(recipe, save.value) if may_miss else None
    told = [value for value in (save.seen, rounded) if value is not None and is_told(value, score)]
    stands_in = not can_rank(save.value, recipe.mode) and lightning.printed(recipe, save.value) is None
    if stands_in and is_told(nan, score):  # the state alone cannot tell an infinity from the NaN that it stands for
        return wrong
    return wrong if told else [*wrong, f"{save.path}: score {score}, but {save.seen}"]


def score_in(listed: dict[str, object], monitor: str) -> dict[str, object] | None:
    metrics: dict[str, dict[str, object]] = listed["metrics"]  # type: ignore[assignment]
    return next((it for name, it in metrics.items() if name.replace("/", "_") == monitor.replace("/", "_")), None)


def is_told(seen: float, score: dict[str, object]) -> bool:
    """Whether a listed score says what can be seen; NaN may stand as the infinity that Lightning records for it."""
    if isnan(seen):
        return score["value"] is None and score["state"] in ("nan", "inf", "-inf")
    if seen in {inf, -inf}:
        return score["value"] is None and score["state"] == ("inf" if seen > 0 else "-inf")
    return score["value"] == seen


@pytest.mark.parametrize("which", ["kept", "everything"])
def test_best_is_the_best_that_the_training_left(case: Case, which: str) -> None:
    training: lightning.Training = getattr(case, which)
    ranking = ranked(training.saves, case.recipe.mode)
    answer = run("best", training.root, *metric(case.recipe))
    if not ranking:
        assert (answer.code, answer.out) == (4, ""), (case.recipe, answer)
        return
    assert answer.code == 0, (case.recipe, answer)
    equals = [save.path for save in ranking if save.seen == ranking[0].seen]
    assert answer.path in (equals[:1] if training.straight else equals), (case.recipe, answer)
    if training is case.kept and training.straight and ranking[0].seen == ranking[0].value:
        assert len(equals) > 1 or answer.path == case.answers.best, (case.recipe, answer)


def test_best_k_ranks_everything_in_the_order_of_the_scores(case: Case) -> None:
    ranking = ranked(case.everything.saves, case.recipe.mode)
    if not ranking:
        pytest.skip("nothing to rank")
    answer = run("best", case.everything.root, "-k", "99", "--json", *metric(case.recipe))
    assert answer.code == 0, (case.recipe, answer)
    listed = answer.json["checkpoints"]
    paths = [os.path.join(case.everything.root, it["path"]) for it in listed]
    seen = {save.path: save.seen for save in ranking}
    assert [seen[path] for path in paths] == [save.seen for save in ranking], case.recipe
    assert [it["rank"] for it in listed] == list(range(1, len(ranking) + 1)), case.recipe
    assert (answer.json["mode"], answer.json["monitor"].replace("/", "_")) == (
        case.recipe.mode,
        case.recipe.monitor.replace("/", "_"),
    )
    if case.everything.straight:
        assert paths == [save.path for save in ranking], case.recipe


@pytest.mark.parametrize("which", ["kept", "everything"])
def test_last_is_the_newest_save(case: Case, which: str) -> None:
    training: lightning.Training = getattr(case, which)
    answer = run("last", training.root)
    assert answer.code == 0, (case.recipe, answer)
    assert answer.path in newest(training), (case.recipe, answer, newest(training))


def test_exported_yaml_has_the_bytes_of_the_callbacks_own(case: Case) -> None:
    held = {save.path for save in case.kept.saves if not save.is_last}
    whole = all(save.seen is not None and (save.seen == save.value or isnan(save.value)) for save in case.kept.saves)
    if not case.kept.straight or not whole or held != set(case.answers.scores):
        pytest.skip("the folder holds more, or tells less, than the callback knows")
    answer = run("export", case.kept.root, "--format", "yaml", *metric(case.recipe))
    assert answer.code == 0, (case.recipe, answer)
    assert answer.out.encode() == case.answers.yaml, case.recipe


def test_prune_leaves_what_the_callback_would_have_kept(case: Case, twin: lightning.Training) -> None:
    recipe = case.recipe
    before, links = files(twin.root)
    answer = run("prune", twin.root, "--top-k", str(recipe.top_k), "--yes", "--json", *metric(recipe))
    kept, _ = files(twin.root)
    if recipe.top_k < 0:
        assert (answer.code, kept) == (0, before), (recipe, answer)
    elif not ranked(twin.saves, recipe.mode):
        assert (answer.code, kept) == (4, before), (recipe, answer)
    else:
        assert answer.code == 0, (recipe, answer)
        expected = expect(twin.saves, recipe.mode, recipe.top_k, {os.path.realpath(link) for link in links})
        assert not against(kept, expected, earliest=twin.straight), (recipe, answer)
        assert all(os.path.exists(link) for link in links), recipe
    check_outcome(answer.json, twin.root, before - kept)


def check_outcome(told: dict[str, object], root: str, gone: set[str]) -> None:
    """What it says it dropped is what is gone, and doing it again does nothing."""
    outcome: dict[str, list[str]] | None = told["outcome"]  # type: ignore[assignment]
    assert {os.path.join(root, path) for path in (outcome or {"dropped": []})["dropped"]} == gone


def test_a_second_prune_finds_nothing_to_do(case: Case, twin: lightning.Training) -> None:
    prune = ("prune", twin.root, "--top-k", str(max(1, case.recipe.top_k)), *metric(case.recipe))
    first = run(*prune, "--yes")
    after = files(twin.root)
    if first.code == 0:
        assert run(*prune, "--check").code == 0, case.recipe
    assert files(twin.root) == after, case.recipe


def test_a_moved_folder_gives_the_same_best(case: Case, twin: lightning.Training) -> None:
    ranking = ranked(twin.saves, case.recipe.mode)
    if not ranking:
        pytest.skip("nothing to rank")
    moved = f"{twin.root}-moved"
    os.rename(twin.root, moved)
    answer = run("best", moved, *metric(case.recipe))
    equals = {save.path.replace(twin.root, moved, 1) for save in ranking if save.seen == ranking[0].seen}
    assert answer.code == 0, (case.recipe, answer)
    assert answer.path in equals, (case.recipe, answer)


def test_the_callback_and_a_prune_agree_on_the_scores_that_stay(case: Case, twin: lightning.Training) -> None:
    """The two survivors side by side, without our own arithmetic between them."""
    recipe = case.recipe
    placed = lightning.placed_scores(case.answers, recipe.mode)
    exact = all(save.seen == save.value or not can_rank(save.value, recipe.mode) for save in twin.saves)
    if not (twin.straight and case.kept.straight and placed and exact) or recipe.top_k < 0:
        pytest.skip("the callback does not answer for the whole folder")
    answer = run("prune", twin.root, "--top-k", str(recipe.top_k), "--yes", *metric(recipe))
    assert answer.code == 0, (recipe, answer)
    kept, links = files(twin.root)
    always = {os.path.realpath(link) for link in links} | newest(twin)
    stayed = Counter(save.value for save in ranked(twin.saves, recipe.mode) if save.path in kept)
    extra = Counter(save.value for save in ranked(twin.saves, recipe.mode) if save.path in kept & always)
    assert not Counter(placed) - stayed, recipe
    assert not stayed - Counter(placed) - extra, recipe

"""ckptctl beside Keras: real trainings, whose callback says what is best and which records there were."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.frameworks.conftest import RUNS, Answer, run, seeds
from tests.frameworks.truth import Save, against, can_rank, expect, ranked

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    os.environ.setdefault("KERAS_BACKEND", "torch")  # Keras reads it when it is imported
    pytest.importorskip("torch", reason="Keras trains on torch here, which is not installed", exc_type=ImportError)
    pytest.importorskip("keras", reason="Keras is not installed", exc_type=ImportError)
    from tests.frameworks import keras_runs as keras

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.keras, pytest.mark.filterwarnings("ignore")]


class Case(NamedTuple):
    """One recipe, trained three times."""

    recipe: keras.Recipe
    records: keras.Training
    """``save_best_only``."""
    above: keras.Training
    """``save_best_only`` with the recipe's threshold."""
    everything: keras.Training


@pytest.fixture(scope="module", params=seeds((RUNS + 1) // 2), ids="seed{}".format)
def case(request: pytest.FixtureRequest, case_folder: Callable[[str], str]) -> Case:
    recipe = keras.draw_recipe(request.param)
    folder = case_folder(f"keras-{recipe.seed}")
    return Case(
        recipe,
        keras.train(recipe, os.path.join(folder, "records"), best_only=True),
        keras.train(recipe, os.path.join(folder, "above"), best_only=True, threshold=recipe.threshold),
        keras.train(recipe, os.path.join(folder, "everything"), best_only=False),
    )


@pytest.fixture
def twin(case: Case, case_folder: Callable[[str], str]) -> keras.Training:
    """Keeps everything, and may be pruned."""
    folder = case_folder(f"keras-{case.recipe.seed}-pruned")
    return keras.train(case.recipe, os.path.join(folder, "pruned"), best_only=False)


def metric(recipe: keras.Recipe, *, template: bool = True) -> list[str]:
    """The flags that name the metric and, since names hold bare numbers, the template."""
    return ["--monitor", recipe.monitor, "--mode", recipe.mode, *(["--template", recipe.stem] if template else [])]


def files(root: str) -> set[str]:
    return {os.path.join(root, name) for name in os.listdir(root)}


def check_best(answer: Answer, saves: tuple[Save, ...], recipe: keras.Recipe) -> None:
    """The first of the best by what the names tell, or none and exit 4."""
    ranking = ranked(saves, recipe.mode)
    if not ranking:
        assert (answer.code, answer.out) == (4, ""), (recipe, answer)
        return
    assert answer.code == 0, (recipe, answer)
    assert answer.path == ranking[0].path, (recipe, answer, ranking[0])


@pytest.mark.parametrize("which", ["records", "above", "everything"])
def test_what_the_witness_remembers_is_what_lies_on_disk(case: Case, which: str) -> None:
    training: keras.Training = getattr(case, which)
    assert files(training.root) == {save.path for save in training.saves}, case.recipe


def test_the_callbacks_record_is_the_best_of_everything(case: Case) -> None:
    """But for a first value that is NaN: since 3.11 it becomes the record, and nothing is saved ever after."""
    exact = [save._replace(seen=save.value) for save in case.everything.saves]
    ranking = ranked(exact, case.recipe.mode)
    if case.records.is_poisoned:
        assert [save.epoch for save in case.records.saves] == [1], case.recipe
    elif ranking:
        assert (case.records.best, case.records.saves[-1].epoch) == (ranking[0].value, ranking[0].epoch), case.recipe
    else:
        assert not can_rank(case.records.best, case.recipe.mode), case.recipe


@pytest.mark.parametrize("which", ["records", "everything"])
def test_every_save_is_listed_once_with_its_numbers(case: Case, which: str) -> None:
    training: keras.Training = getattr(case, which)
    answer = run("ls", training.root, "--json", *metric(case.recipe))
    assert answer.code == 0, (case.recipe, answer)
    listed = {os.path.join(training.root, it["path"]): it for one in answer.json["runs"] for it in one["checkpoints"]}
    assert answer.json["totals"]["checkpoints"] == len(training.saves), case.recipe
    assert set(listed) == {save.path for save in training.saves}, case.recipe
    for save in training.saves:
        checkpoint = listed[save.path]
        assert (checkpoint["epoch"], checkpoint["state"], checkpoint["layout"]) == (save.epoch, "complete", "keras"), (
            case.recipe,
            checkpoint,
        )
        score = checkpoint["metrics"].get(case.recipe.monitor)
        assert (score is None) == (save.seen is None), (case.recipe, checkpoint)
        finite = score is not None and score["state"] == "finite"
        assert not finite or score["value"] == save.seen, (case.recipe, checkpoint)
        assert finite == (save.seen is not None and abs(save.seen) < float("inf")), (case.recipe, checkpoint)


@pytest.mark.parametrize("which", ["records", "everything"])
def test_best_is_the_callbacks_record(case: Case, which: str) -> None:
    training: keras.Training = getattr(case, which)
    answer = run("best", training.root, *metric(case.recipe))
    check_best(answer, training.saves, case.recipe)
    if answer.code == 0 and not case.records.is_poisoned and case.records.best is not None:
        chosen = next(save for save in training.saves if save.path == answer.path)
        assert chosen.seen == case.recipe.seen(case.records.best), (case.recipe, answer)


def test_a_bare_number_beside_the_epoch_is_the_monitors(case: Case) -> None:
    if "--" in case.recipe.template:
        pytest.skip("without a template '--' reads as a separator and a sign")
    answer = run("best", case.everything.root, *metric(case.recipe, template=False))
    check_best(answer, case.everything.saves, case.recipe)


def test_a_threshold_counts_only_what_is_strictly_better(case: Case) -> None:
    recipe, bar = case.recipe, case.recipe.threshold
    if bar is None:
        pytest.skip("no threshold in this recipe")
    answer = run("best", case.everything.root, "--threshold", repr(bar), *metric(recipe))
    over = tuple(save for save in case.everything.saves if save.seen is not None and beats(save.seen, bar, recipe))
    check_best(answer, over, recipe)
    crossing = any(
        save.seen is None or beats(save.seen, bar, recipe) != beats(save.value, bar, recipe)
        for save in case.everything.saves
    )
    if crossing:  # a name that was rounded over the bar cannot tell what the callback saw
        return
    assert (answer.code == 0) == bool(case.above.saves), (recipe, answer)
    if case.above.saves:
        chosen = next(save for save in case.everything.saves if save.path == answer.path)
        assert chosen.seen == case.above.saves[-1].seen, (recipe, answer)


def beats(value: float, bar: float, recipe: keras.Recipe) -> bool:
    return value < bar if recipe.mode == "min" else value > bar


@pytest.mark.parametrize("which", ["records", "everything"])
def test_last_is_the_newest_save(case: Case, which: str) -> None:
    training: keras.Training = getattr(case, which)
    answer = run("last", training.root, *metric(case.recipe)[-2:])
    assert (answer.code, answer.path) == (0, training.saves[-1].path), (case.recipe, answer)


@pytest.mark.parametrize("top_k", [1, 3])
def test_prune_leaves_the_best_and_the_newest(case: Case, twin: keras.Training, top_k: int) -> None:
    recipe, before = case.recipe, files(twin.root)
    answer = run("prune", twin.root, "--top-k", str(top_k), "--yes", "--json", *metric(recipe))
    kept = files(twin.root)
    if not ranked(twin.saves, recipe.mode):
        assert (answer.code, kept) == (4, before), (recipe, answer)
        return
    assert answer.code == 0, (recipe, answer)
    assert not against(kept, expect(twin.saves, recipe.mode, top_k, ()), earliest=True), (recipe, answer)
    assert {
        os.path.join(twin.root, path) for path in (answer.json["outcome"] or {"dropped": []})["dropped"]
    } == before - kept
    if not case.records.is_poisoned and case.records.best is not None:
        scores = [save.seen for save in twin.saves if save.path in kept]
        assert recipe.seen(case.records.best) in scores, (recipe, answer)

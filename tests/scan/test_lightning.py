from __future__ import annotations

from math import inf, nan
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ckptctl.core.score_sources import CallbackState, TrainingRecord
from ckptctl.formats.torch_zip import read_values, scalar
from ckptctl.formats.zip import open_archive
from ckptctl.scan.metrics.lightning import read_record, read_settings
from tests.formats.samples import FIXTURES, fixture

LIGHTNING = FIXTURES / "lightning"
CHECKPOINTS = sorted(str(path.relative_to(LIGHTNING)) for path in LIGHTNING.rglob("*.ckpt"))
SUMMARIES = sorted(path.parent for path in LIGHTNING.rglob("best_k_models.yaml"))


class Number(NamedTuple):
    """Stands for a tensor of one element."""

    value: float


def number_of(node: object) -> float | None:
    return node.value if type(node) is Number else None


def record_of(path: str) -> TrainingRecord:
    archive = open_archive(fixture(f"lightning/{path}"))
    record = read_record(read_values(archive), lambda node: scalar(archive, node))
    assert record is not None
    return record


def summary_of(folder: Path) -> dict[str, float]:
    loaded: dict[str, float] = yaml.safe_load((folder / "best_k_models.yaml").read_text())
    return loaded


def written(path: str) -> str:
    """The checkpoint's path on the machine that wrote it."""
    return f"/data/teams/experiments/lightning/{path}"


def test_the_samples_are_there_and_their_links_are_links() -> None:
    assert len(CHECKPOINTS) == 47
    assert sorted(path for path in CHECKPOINTS if (LIGHTNING / path).is_symlink()) == [
        "pl26/linkbest/best.ckpt",
        "pl26/slash_nested/last.ckpt",
        "pl26/topk3_link/last.ckpt",
    ]


@pytest.mark.parametrize("path", CHECKPOINTS)
def test_every_checkpoint_tells_its_writer_and_its_training(path: str) -> None:
    record = record_of(path)
    generation, case = path.split("/")[:2]
    assert record.writer == {"pl14": "1.4.9", "pl15": "1.5.10", "pl26": "2.6.6"}[generation]
    assert record.resumable is (case != "weights_only")
    assert len(record.watches) == (case != "weights_only")
    for watch in record.watches:
        assert watch.folder == written(f"{generation}/{case}")
        assert watch.monitor == {"default": None, "time_interval": None, "slash_nested": "val/loss"}.get(
            case, "val_loss"
        )
        assert watch.mode == (None if generation == "pl14" else "max" if case == "max_negative" else "min")


@pytest.mark.parametrize("folder", SUMMARIES, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_scores_are_those_of_the_summary_that_lightning_wrote_beside_them(folder: Path) -> None:
    summary = summary_of(folder)
    paths = [path for path in CHECKPOINTS if (LIGHTNING / path).is_relative_to(folder)]
    in_order = sorted(paths, key=lambda path: record_of(path).step or 0)  # names come again, and the later save counts
    watches = {path: watch for path in in_order for watch in record_of(path).watches}
    told = {path: score for watch in watches.values() for path, score in watch.scores.items() if path in summary}
    told |= {
        written(path): watch.current
        for path, watch in watches.items()
        if not watch.scores and watch.current is not None
    }
    expected = {} if folder.name == "weights_only" else summary
    assert {path: told[path] for path in expected} == expected


EXPECTED = {
    "pl14/topk2_last/epoch=03-val_loss=0.30.ckpt": TrainingRecord(
        "1.4.9",
        4,
        8,
        True,
        (
            CallbackState(
                "val_loss",
                None,
                written("pl14/topk2_last"),
                {},
                written("pl14/topk2_last/epoch=03-val_loss=0.30.ckpt"),
                None,
                0.30000001192092896,
            ),
        ),
        ahead=1,
    ),
    "pl14/nan_topk3/epoch=2-val_loss=nan.ckpt": TrainingRecord(
        "1.4.9",
        3,
        6,
        True,
        (
            CallbackState(
                "val_loss",
                None,
                written("pl14/nan_topk3"),
                {},
                written("pl14/nan_topk3/epoch=1-val_loss=0.50.ckpt"),
                None,
                inf,
            ),
        ),
        ahead=1,
    ),
    "pl15/default/epoch=1-step=3.ckpt": TrainingRecord(
        "1.5.10",
        2,
        4,
        True,
        (
            CallbackState(
                None, "min", written("pl15/default"), {}, written("pl15/default/epoch=1-step=3.ckpt"), None, None, inf
            ),
        ),
        ahead=1,
    ),
    "pl26/max_negative/epoch=2-val_loss=-0.4.ckpt": TrainingRecord(
        "2.6.6",
        2,
        6,
        True,
        (
            CallbackState(
                "val_loss",
                "max",
                written("pl26/max_negative"),
                {
                    written("pl26/max_negative/epoch=1-val_loss=-1e-05.ckpt"): -9.999999747378752e-06,
                    written("pl26/max_negative/epoch=2-val_loss=-0.4.ckpt"): -0.4000000059604645,
                },
                written("pl26/max_negative/epoch=1-val_loss=-1e-05.ckpt"),
                None,
                -0.4000000059604645,
                -inf,
            ),
        ),
    ),
    "pl26/topk2_last/last.ckpt": TrainingRecord(
        "2.6.6",
        3,
        8,
        True,
        (
            CallbackState(
                "val_loss",
                "min",
                written("pl26/topk2_last"),
                {
                    written("pl26/topk2_last/epoch=01-val_loss=0.40.ckpt"): 0.4000000059604645,
                    written("pl26/topk2_last/epoch=03-val_loss=0.30.ckpt"): 0.30000001192092896,
                },
                written("pl26/topk2_last/epoch=03-val_loss=0.30.ckpt"),
                written("pl26/topk2_last/last.ckpt"),
                0.30000001192092896,
                inf,
            ),
        ),
    ),
    "pl26/weights_only/epoch=00-val_loss=0.50.ckpt": TrainingRecord("2.6.6", 0, 2, False),
}


@pytest.mark.parametrize("path", EXPECTED)
def test_a_real_checkpoint_reads_as_its_record(path: str) -> None:
    assert record_of(path) == EXPECTED[path]


def test_scores_keep_the_order_of_saving() -> None:
    (watch,) = record_of("pl26/constant_name/best-v1.ckpt").watches
    assert list(watch.scores) == [written("pl26/constant_name/best.ckpt"), written("pl26/constant_name/best-v1.ckpt")]


STATE = {"best_model_path": "/r/a.ckpt", "best_k_models": {"/r/a.ckpt": Number(0.5)}, "current_score": Number(0.5)}


def watches_of(callbacks: object) -> tuple[CallbackState, ...]:
    record = read_record({"pytorch-lightning_version": "2.6.6", "callbacks": callbacks}, number_of)
    assert record is not None
    return record.watches


def test_every_callback_that_saves_the_best_is_a_watch_in_order() -> None:
    callbacks = {
        "ModelCheckpoint{'monitor': 'val_loss', 'mode': 'min'}": STATE | {"monitor": "val_loss"},
        "EarlyStopping{'monitor': 'val_loss', 'mode': 'min'}": {"wait_count": 0, "best_score": Number(0.5)},
        "ModelCheckpoint{'monitor': 'val_acc', 'mode': 'max'}": STATE | {"monitor": "val_acc"},
        "Timer": {"time_elapsed": {}},
    }
    assert [(watch.monitor, watch.mode) for watch in watches_of(callbacks)] == [("val_loss", "min"), ("val_acc", "max")]


@pytest.mark.parametrize(
    ("key", "state", "found"),
    [
        ("ModelCheckpointWithLinkBest{'monitor': 'a', 'mode': 'max'}", {}, 1),
        ("MyModelCheckpoint{'monitor': 'a', 'mode': 'max'}", {}, 1),
        ("ModelCheckpoint", {}, 1),
        ("make.<locals>.BestKeeper{'monitor': 'a', 'mode': 'max'}", {"best_model_path": ""}, 1),
        ("something else entirely", {"best_model_path": ""}, 1),
        (("a", "tuple"), {"best_model_path": ""}, 1),
        ("EarlyStopping{'monitor': 'a', 'mode': 'max'}", {}, 0),
        ("ModelCheckpoint{'monitor': 'a', 'mode': 'max'}", None, 0),
        (("a", "tuple"), {}, 0),
    ],
    ids=["link best", "subclass", "bare", "renamed", "own key", "odd key", "other", "no state", "odd and other"],
)
def test_a_watch_is_known_by_its_class_or_by_what_it_remembers(key: object, state: object, found: int) -> None:
    assert len(watches_of({key: state})) == found


@pytest.mark.parametrize("callbacks", [None, [], "x", 3, Number(1)], ids=repr)
def test_callbacks_that_are_no_dict_are_none(callbacks: object) -> None:
    assert watches_of(callbacks) == ()


def test_the_monitor_of_the_state_goes_before_that_of_the_key() -> None:
    key = "ModelCheckpoint{'monitor': 'of the key', 'mode': 'min'}"
    assert watches_of({key: {"monitor": "of the state"}})[0].monitor == "of the state"
    assert watches_of({key: {}})[0].monitor == "of the key"


@pytest.mark.parametrize("mode", ["'auto'", "None", "1", "'MIN'"])
def test_a_mode_that_is_neither_min_nor_max_is_none(mode: str) -> None:
    assert watches_of({f"ModelCheckpoint{{'monitor': 'a', 'mode': {mode}}}": {}})[0].mode is None


def test_empty_texts_are_nothing() -> None:
    (watch,) = watches_of(
        {"ModelCheckpoint": {"best_model_path": "", "last_model_path": "", "dirpath": "", "monitor": ""}}
    )
    assert watch == CallbackState(None, None, None, {}, None, None, None)


def test_scores_may_be_tensors_or_plain_numbers_and_all_else_is_left_out() -> None:
    models = {"a": Number(1.5), "b": 2, "c": -inf, "d": None, "e": "0.5", "f": True, "g": 10**400, 7: Number(1)}
    (watch,) = watches_of({"ModelCheckpoint": {"best_k_models": models, "current_score": None}})
    assert watch.scores == {"a": 1.5, "b": 2.0, "c": -inf}
    assert watch.current is None


def test_a_score_that_is_nan_stays_nan() -> None:
    (watch,) = watches_of({"ModelCheckpoint": {"current_score": Number(nan)}})
    assert str(watch.current) == "nan"


def test_lightning_before_0_10_tells_the_best_path_and_its_score() -> None:
    values: dict[object, object] = {
        "epoch": 5,
        "global_step": 100,
        "pytorch-lightning_version": "0.9.0",
        "state_dict": {},
        "optimizer_states": [{}],
        "checkpoint_callback_best_model_path": "/r/epoch=4.ckpt",
        "checkpoint_callback_best_model_score": Number(0.25),
    }
    watch = CallbackState(None, None, None, {"/r/epoch=4.ckpt": 0.25}, "/r/epoch=4.ckpt", None, None)
    assert read_record(values, number_of) == TrainingRecord("0.9.0", 5, 100, True, (watch,), ahead=1)


def test_lightning_before_0_10_without_a_path_has_no_watch() -> None:
    values: dict[object, object] = {
        "epoch": 5,
        "state_dict": {},
        "checkpoint_callback_best_model_path": "",
        "checkpoint_callback_best": 0.25,
    }
    assert read_record(values, number_of) == TrainingRecord(None, 5, None, False)


@pytest.mark.parametrize(
    ("values", "is_one"),
    [
        ({}, False),
        ({"state_dict": {}}, False),
        ({"epoch": 1}, False),
        ({"model": {}, "optimizer": {}, "epoch": 1}, False),
        ({"pytorch-lightning_version": 3}, False),
        ({"pytorch-lightning_version": "2.6.6"}, True),
        ({"state_dict": {}, "epoch": 1}, True),
    ],
    ids=["nothing", "weights", "epoch", "plain torch", "odd version", "version", "no version"],
)
def test_a_dictionary_that_lightning_did_not_write_has_no_record(values: dict[object, object], is_one: bool) -> None:
    assert (read_record(values, number_of) is not None) is is_one


@pytest.mark.parametrize("odd", [None, "3", 1.5, True, Number(3)], ids=repr)
def test_an_epoch_or_step_that_is_no_whole_number_is_none(odd: object) -> None:
    assert read_record(
        {"pytorch-lightning_version": "2", "epoch": odd, "global_step": odd}, number_of
    ) == TrainingRecord("2", None, None, False)


@pytest.mark.parametrize(
    ("states", "resumable"), [([], False), ([{}], True), (None, False)], ids=["none", "one", "missing"]
)
def test_a_checkpoint_is_resumable_with_the_state_of_an_optimizer(states: object, resumable: bool) -> None:
    record = read_record({"pytorch-lightning_version": "2", "optimizer_states": states}, number_of)
    assert record is not None
    assert record.resumable is resumable


@pytest.mark.parametrize(
    ("inside", "settings"),
    [
        ("{'monitor': 'val_loss', 'mode': 'min', 'every_n_epochs': 1}", {"monitor": "val_loss", "mode": "min"}),
        ("{'monitor': None, 'mode': 'max', 'x': True}", {"mode": "max"}),
        ("{'train_time_interval': datetime.timedelta(seconds=3600), 'mode': 'max'}", {"mode": "max"}),
        ("{'train_time_interval': datetime.timedelta(0), 'mode': 'max'}", {"mode": "max"}),
        ("{'train_time_interval': datetime.timedelta(days=1, seconds=2), 'mode': 'max'}", {"mode": "max"}),
        ("{'monitor': \"it's\", 'mode': 'min'}", {"monitor": "it's", "mode": "min"}),
        ("{'monitor': \"', 'mode': 'max\", 'mode': 'min'}", {"monitor": "', 'mode': 'max", "mode": "min"}),
        ("{'monitor': 'datetime.timedelta(0)', 'mode': 'min'}", {"monitor": "datetime.timedelta(0)", "mode": "min"}),
        ("{'monitor': 'a{b}', 'mode': 'min'}", {"monitor": "a{b}", "mode": "min"}),
        ("{}", {}),
        ("", {}),
        ("{'mode': 'min'", {}),
        ("{'mode': 'min'} more", {}),
        ("{'mode': __import__('os').system('x')}", {}),
        ("{'mode': {'deep': 1}}", {}),
        ("{mode: 'min'}", {}),
        ("{'mode': 'min', broken}", {}),
    ],
)
def test_settings_are_read_from_the_key_and_nothing_is_evaluated(inside: str, settings: dict[str, str]) -> None:
    assert read_settings(f"ModelCheckpoint{inside}") == settings


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["min", "max"]))
def test_a_monitor_of_any_text_comes_back_from_the_key(monitor: str, mode: str) -> None:
    settings = {"monitor": monitor, "mode": mode, "every_n_train_steps": 0, "train_time_interval": None}
    assert read_settings(f"ModelCheckpoint{settings!r}") == {"monitor": monitor, "mode": mode}


@given(st.text())
def test_no_key_is_too_odd_to_be_read(key: str) -> None:
    assert isinstance(read_settings(key), dict)
    assert isinstance(read_settings("ModelCheckpoint{" + key + "}"), dict)

"""The checkpoints of a run judged beside each other, seen in the listing: what the others hold tells what one lacks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

import ckptctl.layouts
from ckptctl.layouts.index import find_layout
from ckptctl.scan.peer_checks import check_against_peers
from ckptctl.scan.runs import Options, scan
from ckptctl.stores import open_store
from tests.cli.calls import HOUR, call
from tests.layouts.tree import torch_file

WHOLE = torch_file()


def plant(root: Path, saves: Iterable[Mapping[str, bytes]], *, newest_age: float = HOUR) -> Path:
    """Write saves an hour apart, the newest last; their folders are as old as they are."""
    saves = list(saves)
    now = root.stat().st_ctime
    for hours, files in enumerate(reversed(saves)):
        moment = now - newest_age - hours * HOUR
        for path, data in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data)
            for part in (root / path, *(root / path).parents):
                if part != root and root in part.parents:
                    os.utime(part, (moment, moment))
    return root


def states(root: Path) -> dict[str, str]:
    """Of each checkpoint its state and why, as the listing says."""
    return {os.path.relpath(it["path"], root): _say(it["state"], it["marks"]) for it in call("ls", root).rows}


def _say(state: str, marks: str) -> str:
    _, colon, why = marks.partition(f"{state}: ")
    return f"{state}{colon and ': '}{why}"


def verdicts(root: Path) -> dict[str, str]:
    """What a prune that keeps the last would do."""
    (run,) = call("prune", root, "--keep-last", "1", "-n", "--json").json["runs"]
    return {it["path"]: it["action"] for it in run["verdicts"]}


# Fewer ranks than the others


def ranked(name: str, ranks: int) -> dict[str, bytes]:
    """A save of accelerate by so many ranks."""
    states = {f"{name}/random_states_{rank}.pkl": b"x" for rank in range(ranks)}
    return {f"{name}/model.safetensors": WHOLE, **states}


def by_ranks(root: Path, *ranks: int) -> Path:
    return plant(root, [ranked(f"checkpoint_{number}", count) for number, count in enumerate(ranks, 1)])


FEWER = "unknown: it has the files of 1 ranks, others of 2"


@pytest.mark.parametrize(
    ("ranks", "marks"),
    [
        pytest.param((2, 2, 1), ["complete", "complete", FEWER], id="the newest"),
        pytest.param((1, 2, 2), [FEWER, "complete", "complete"], id="the oldest"),
        pytest.param((2, 1, 1), ["complete", FEWER, FEWER], id="two of three"),
        pytest.param((1, 1, 1, 2), ["complete"] * 4, id="three as few: the cluster changed"),
        pytest.param((2, 2, 2), ["complete"] * 3, id="all alike"),
        pytest.param((1,), ["complete"], id="a single one"),
    ],
)
def test_a_save_of_fewer_ranks_than_the_others_is_in_doubt(tmp_path: Path, ranks: tuple[int], marks: list[str]) -> None:
    assert list(states(by_ranks(tmp_path, *ranks)).values()) == marks


def test_three_saves_of_few_ranks_vouch_for_none_of_yet_fewer(tmp_path: Path) -> None:
    root = by_ranks(tmp_path, 4, 2, 2, 2, 1)
    assert list(states(root).values())[:4] == ["complete"] * 4
    assert list(states(root).values())[4] == "unknown: it has the files of 1 ranks, others of 4"


def test_half_written_saves_do_not_vouch_for_few_ranks(tmp_path: Path) -> None:
    """Of three with the files of one rank, one lacks its state of rank 0: two are too few for another cluster."""
    root = by_ranks(tmp_path, 2, 1, 1, 1)
    (root / "checkpoint_4/random_states_0.pkl").rename(root / "checkpoint_4/random_states_1.pkl")
    assert list(states(root).values())[1:3] == [FEWER, FEWER]


def test_ranks_are_compared_within_a_layout(tmp_path: Path) -> None:
    saves = [ranked("checkpoint_1", 1), ranked("checkpoint_2", 1)]
    other = {f"checkpoint-500/{name}": b"{}" for name in ("trainer_state.json", "rng_state_0.pth", "rng_state_1.pth")}
    assert set(states(plant(tmp_path, [*saves, other])).values()) == {"complete"}


def test_a_prune_leaves_a_save_of_fewer_ranks_alone_and_keeps_the_last_whole_one(tmp_path: Path) -> None:
    assert verdicts(by_ranks(tmp_path, 2, 2, 1)) == {
        "checkpoint_1": "drop",
        "checkpoint_2": "keep",
        "checkpoint_3": "skip",
    }


# What all others hold


def parts(name: str, *held: str) -> dict[str, bytes]:
    """A save of accelerate that holds these next to its weights and its last file."""
    return {f"{name}/{it}": WHOLE for it in ("model.safetensors", "random_states_0.pkl", *held)}


@pytest.mark.parametrize(
    ("held", "mark"),
    [
        pytest.param(
            (("optimizer.bin",), ("optimizer.bin",), ()),
            "unknown: it lacks optimizer.bin, which all others here have",
            id="what all older ones hold",
        ),
        pytest.param(
            (("optimizer.bin",), ()),
            "unknown: it lacks optimizer.bin, which all others here have",
            id="one older is enough",
        ),
        pytest.param(((), ("optimizer.bin",), ()), "complete", id="what only some hold"),
        pytest.param((("optimizer.bin",), ("optimizer.bin", "scheduler.bin")), "complete", id="it holds more"),
        pytest.param((("custom_checkpoint_0.pkl",), ("custom_checkpoint_1.pkl",)), "complete", id="numbers aside"),
        pytest.param(
            (("b.bin", "a.bin"), ()), "unknown: it lacks a.bin, which all others here have", id="the first of several"
        ),
    ],
)
def test_the_newest_is_in_doubt_where_it_lacks_what_all_others_hold(
    tmp_path: Path, held: tuple[tuple[str, ...], ...], mark: str
) -> None:
    root = plant(tmp_path, [parts(f"checkpoint_{number}", *it) for number, it in enumerate(held, 1)])
    *older, newest = states(root).values()
    assert newest == mark
    assert set(older) == {"complete"}


def test_an_older_one_may_lack_what_the_others_hold(tmp_path: Path) -> None:
    root = plant(tmp_path, [parts("checkpoint_1"), *(parts(f"checkpoint_{it}", "optimizer.bin") for it in (2, 3))])
    assert set(states(root).values()) == {"complete"}


def test_a_half_written_newest_is_not_measured_and_the_whole_one_before_it_is(tmp_path: Path) -> None:
    saves = [parts("checkpoint_1", "optimizer.bin"), parts("checkpoint_2"), {"checkpoint_3/model.safetensors": WHOLE}]
    assert states(plant(tmp_path, saves)) == {
        "checkpoint_1": "complete",
        "checkpoint_2": "unknown: it lacks optimizer.bin, which all others here have",
        "checkpoint_3": "partial: random_states_0.pkl is missing",
    }


def test_the_last_save_of_torchtune_may_lack_its_recipes_state(tmp_path: Path) -> None:
    usual = ("model.safetensors", "config.json", "recipe_state.pt", "original_repo_id.json")
    saves = [{f"epoch_{it}/{name}": b"{}" for name in usual} for it in (0, 1, 2)]
    del saves[2]["epoch_2/recipe_state.pt"]
    assert set(states(plant(tmp_path, saves)).values()) == {"complete"}


# A document that is cut off


def documented(name: str, text: bytes) -> dict[str, bytes]:
    """A pipeline of diffusers, whose index is its required document."""
    return {f"{name}/unet/diffusion_pytorch_model.safetensors": WHOLE, f"{name}/model_index.json": text}


WHOLE_TEXT = b'{"a": [1, 2]}'


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        pytest.param(WHOLE_TEXT, "complete", id="whole"),
        pytest.param(WHOLE_TEXT + b"\n\n", "complete", id="whole, with line ends behind"),
        pytest.param(b"[1, 2]", "complete", id="a list"),
        pytest.param(b" " * 100 + WHOLE_TEXT, "complete", id="longer than what is read of its end"),
        pytest.param(WHOLE_TEXT[:-1] + b",", "partial: model_index.json is cut short", id="cut"),
        pytest.param(WHOLE_TEXT + b" " * 100 + b'"b', "partial: model_index.json is cut short", id="cut far behind"),
    ],
)
def test_the_newest_is_half_written_where_its_document_has_no_end(tmp_path: Path, text: bytes, mark: str) -> None:
    root = plant(tmp_path, [documented("me-000001", WHOLE_TEXT), documented("me-000002", text)])
    assert list(states(root).values()) == ["complete", mark]


def test_a_document_without_an_end_that_was_just_written_is_being_written(tmp_path: Path) -> None:
    saves = [documented("me-000001", WHOLE_TEXT), documented("me-000002", b'{"a"')]
    older, newest = states(plant(tmp_path, saves, newest_age=0)).values()
    assert older == "complete"
    assert newest.startswith("live: ")


def test_a_document_in_a_folder_further_down_is_not_asked_for_its_end(tmp_path: Path) -> None:
    cut = {"me-000002/unet/model_index.json": b'{"a"', **documented("me-000002", WHOLE_TEXT)}
    root = plant(tmp_path, [documented("me-000001", WHOLE_TEXT), cut])
    assert set(states(root).values()) == {"complete"}


# What all lack


UNFINISHED = [{f"checkpoint_{it}/model.safetensors": WHOLE} for it in (1, 2)]


def test_saves_that_all_lack_the_same_are_in_doubt(tmp_path: Path) -> None:
    root = plant(tmp_path, UNFINISHED)
    assert set(states(root).values()) == {"unknown: random_states_0.pkl is missing, as in all others here"}


def test_saves_of_which_one_is_whole_are_half_written_where_they_lack_something(tmp_path: Path) -> None:
    assert states(plant(tmp_path, [*UNFINISHED, parts("checkpoint_3")])) == {
        "checkpoint_1": "partial: random_states_0.pkl is missing",
        "checkpoint_2": "partial: random_states_0.pkl is missing",
        "checkpoint_3": "complete",
    }


def test_saves_that_lack_different_things_are_half_written(tmp_path: Path) -> None:
    bad = {f"checkpoint_2/random_states_{rank}.pkl": b"x" for rank in (0, 2)}
    assert states(plant(tmp_path, [UNFINISHED[0], bad])) == {
        "checkpoint_1": "partial: random_states_0.pkl is missing",
        "checkpoint_2": "partial: rank 1 of random_states_N.pkl is missing",
    }


def test_a_save_that_is_being_written_says_nothing_of_what_the_others_lack(tmp_path: Path) -> None:
    new = {"checkpoint_3/model.safetensors": WHOLE}
    *older, newest = states(plant(tmp_path, [*UNFINISHED, new], newest_age=0)).values()
    assert set(older) == {"unknown: random_states_0.pkl is missing, as in all others here"}
    assert newest.startswith("live: random_states_0.pkl is missing")


def test_a_single_save_that_lacks_something_is_half_written(tmp_path: Path) -> None:
    root = plant(tmp_path, [{"checkpoint_1/model.safetensors": WHOLE}])
    assert states(root) == {"checkpoint_1": "partial: random_states_0.pkl is missing"}


# What the last save lacks by design


@pytest.mark.parametrize("age", [HOUR, 0])
def test_what_a_row_says_the_last_save_lacks_is_not_missing_of_the_newest_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: float
) -> None:
    row = find_layout("accelerate")._replace(
        name="weaver", required=("random_states_0.pkl", "thread.bin"), newest_lacks=("thread.bin",)
    )
    monkeypatch.setattr(ckptctl.layouts, "LAYOUTS", (row,))
    saves = [parts("checkpoint_1", "thread.bin"), parts("checkpoint_2"), parts("checkpoint_3")]
    older, between, newest = states(plant(tmp_path, saves, newest_age=age)).values()
    assert older == "complete"
    assert between == "partial: thread.bin is missing"
    assert newest == ("complete" if age else "live: thread.bin is missing, written 0s ago")


# Further shapes


def recipe(name: str, config: bytes = b"{}", **more: bytes) -> dict[str, bytes]:
    """A save of torchtune, of whose documents any may be the required one."""
    held = {"model.safetensors": WHOLE, "config.json": config, "original_repo_id.json": b"{}", **more}
    return {f"{name}/{path}": data for path, data in held.items()}


def test_a_document_that_one_of_several_may_stand_for_is_asked_for_its_end_too(tmp_path: Path) -> None:
    root = plant(tmp_path, [recipe("epoch_0"), recipe("epoch_1", b'{"a": 1,')])
    assert states(root) == {"epoch_0": "complete", "epoch_1": "partial: config.json is cut short"}


def test_an_older_saves_document_is_not_asked_for_its_end(tmp_path: Path) -> None:
    root = plant(tmp_path, [recipe("epoch_0", b'{"a": 1,'), recipe("epoch_1")])
    assert set(states(root).values()) == {"complete"}


def test_a_document_that_no_row_requires_is_not_asked_for_its_end(tmp_path: Path) -> None:
    cut = {**documented("me-000002", WHOLE_TEXT), "me-000002/notes.json": b'{"a"'}
    root = plant(tmp_path, [{**documented("me-000001", WHOLE_TEXT), "me-000001/notes.json": b"{}"}, cut])
    assert set(states(root).values()) == {"complete"}


def test_a_document_that_is_gone_when_it_is_looked_at_is_not_said_to_be_cut(tmp_path: Path) -> None:
    root = plant(tmp_path, [documented("me-000001", WHOLE_TEXT), documented("me-000002", b'{"a"')])
    store = open_store(str(root))
    now = store.clock()
    (run,) = scan(store, Options(now=now))
    checkpoints = [it._replace(state="complete", note=None) for it in run.checkpoints]
    (root / "me-000002/model_index.json").unlink()
    assert [it.state for it in check_against_peers(store, checkpoints, now)] == ["complete", "complete"]


def test_a_save_without_any_ranks_files_has_fewer_than_the_others(tmp_path: Path) -> None:
    ranks = {"rng_state_0.pth": b"x", "rng_state_1.pth": b"x"}
    saves = [{f"checkpoint-{step}/{name}": b"{}" for name in ("trainer_state.json", *ranks)} for step in (1, 2)]
    root = plant(tmp_path, [*saves, {"checkpoint-3/trainer_state.json": b"{}"}])
    assert list(states(root).values()) == [
        "complete",
        "complete",
        "unknown: it has the files of 0 ranks, others of 2",
    ]


def test_a_save_that_a_person_named_is_not_measured_by_the_others(tmp_path: Path) -> None:
    saves = [parts("checkpoint_1", "optimizer.bin"), parts("checkpoint_2"), parts("for-the-paper")]
    found = states(plant(tmp_path, saves))
    assert found["for-the-paper"] == "complete"
    assert found["checkpoint_2"] == "unknown: it lacks optimizer.bin, which all others here have"


def test_a_save_of_several_files_that_lacks_one_that_the_others_have_is_partial(tmp_path: Path) -> None:
    saves = [{f"{part}_epoch_{it}.pt": WHOLE for part in ("model", "optim", "ema")} for it in (1, 2, 3)]
    del saves[2]["ema_epoch_3.pt"]
    assert list(states(plant(tmp_path, saves)).values()) == [
        "complete",
        "complete",
        "partial: ema_epoch_{epoch}.pt is missing",
    ]


def test_the_newest_of_whole_saves_may_lack_what_its_row_says_the_last_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = find_layout("accelerate")._replace(
        name="weaver", required=("random_states_0.pkl", "thread.bin"), newest_lacks=("thread.bin",)
    )
    monkeypatch.setattr(ckptctl.layouts, "LAYOUTS", (row,))
    root = plant(tmp_path, [*(parts(f"checkpoint_{it}", "thread.bin") for it in (1, 2)), parts("checkpoint_3")])
    assert set(states(root).values()) == {"complete"}
    (root / "checkpoint_3/random_states_0.pkl").unlink()
    assert states(root)["checkpoint_3"].startswith("live: random_states_0.pkl is missing")


def test_saves_that_share_no_part_are_not_measured_by_each_other(tmp_path: Path) -> None:
    adapter = {f"epoch_1/{name}": b"{}" for name in ("adapter_model.pt", "adapter_config.json")}
    weights = {f"epoch_0/{name}": b"{}" for name in ("model.safetensors", "config.json", "recipe_state.pt")}
    assert states(plant(tmp_path, [weights, adapter])) == {"epoch_0": "complete", "epoch_1": "complete"}

"""What the layouts of frameworks set as traps for who reads or prunes them. The number in a test's name is the trap's.

Of 8, 9 and 10, which are traps for who rewrites or verifies, what is promised today is here.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ckptctl.core.retention.plan import Plan, plan_run
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepLast
from ckptctl.layouts.index import find_layout, first_match
from ckptctl.prune.apply import ApplyOptions, apply
from ckptctl.scan.runs import Options, scan
from tests.cli.calls import HOUR, Answer, call, listing, save
from tests.doors import assert_same
from tests.layouts.tree import json_file, torch_file
from tests.layouts.trees import deepspeed, megatron, openpcdet, transformers
from tests.states import Watched, lightning
from tests.stores.memory import MemoryStore

FIXTURES = Path(__file__).parents[1] / "fixtures" / "layouts" / "torch"
WHOLE = torch_file()
LATER = 100 * HOUR * 1_000_000_000


def write(root: Path, files: Mapping[str, bytes]) -> Path:
    """Write files, all as old as each other and older than a day; folders are as old as what they hold."""
    for path, data in files.items():
        save(root, [path], data)
    settle(root)
    return root


def settle(root: Path, order: Iterable[str] = ()) -> None:
    """Let everything below a folder be two days old, and what is named an hour younger each than the one before."""
    now = root.stat().st_ctime
    for path in [root, *sorted(root.rglob("*"))]:
        os.utime(path, (now - 48 * HOUR, now - 48 * HOUR), follow_symlinks=False)
    for hours, name in enumerate(order, 1):
        for path in [root / name, *(root / name).rglob("*")]:
            os.utime(path, (now - (48 - hours) * HOUR,) * 2, follow_symlinks=False)


def found(root: Path, *flags: str) -> dict[str, Any]:
    """All checkpoints below a folder by path, in the order of the listing."""
    answer = call("ls", root, "--json", *flags)
    assert answer.code == 0, answer.err
    return {it["path"]: it for run in answer.json["runs"] for it in run["checkpoints"]}


def values(root: Path, metric: str, *flags: str) -> dict[str, float | None]:
    """One metric of all that have it."""
    held = {path: it["metrics"].get(metric) for path, it in found(root, *flags).items()}
    return {path: score["value"] for path, score in held.items() if score is not None}


def states(root: Path) -> dict[str, str]:
    return {path: it["state"] for path, it in found(root).items()}


def pointers(root: Path) -> dict[str, str | None]:
    """The names that stand for checkpoints, and what they stand for."""
    runs = call("ls", root, "--json").json["runs"]
    return {it["path"]: it["target"] for run in runs for it in run["pointers"]}


def pruned(root: Path, *flags: str) -> Answer:
    assert_same(root, *flags)
    answer = call("prune", root, *flags, "--yes")
    assert answer.code == 0, answer.err
    return answer


def left(root: Path) -> set[str]:
    """What lies in a folder."""
    return set(os.listdir(root))


def best(root: Path, *flags: str) -> str:
    answer = call("best", root, *flags)
    assert answer.code == 0, answer.err
    return answer.lines[0].removeprefix(f"{root}/")


def test_trap_01_the_last_digits_of_fairseqs_best_are_drawn_by_lot(tmp_path: Path) -> None:
    names = ["checkpoint.best_loss_2.3459.pt", "checkpoint.best_loss_2.3451.pt", "checkpoint.best_loss_2.3440.pt"]
    write(tmp_path, dict.fromkeys([*names, "checkpoint_last.pt"], WHOLE))
    settle(tmp_path, names)
    assert sorted(values(tmp_path, "loss").values(), key=str) == [2.344, 2.345, 2.345]
    assert found(tmp_path)[names[0]]["metrics"]["loss"]["text"] == "2.345"
    assert best(tmp_path, "--monitor", "loss") == names[2]
    answer = call("prune", tmp_path, "--top-k", "2", "--monitor", "loss", "-n")
    assert "loss is 2.345 on both sides of place 2" in answer.err


def test_trap_02_ignites_losses_are_negated_and_more_is_better(tmp_path: Path) -> None:
    names = [f"best_model_{epoch}_neg_val_loss=-{loss}.pt" for epoch, loss in ((1, "0.8000"), (2, "0.1000"))]
    worst = "best_model_3_neg_val_loss=-0.5000.pt"
    write(tmp_path, dict.fromkeys([*names, worst], WHOLE))
    assert values(tmp_path, "neg_val_loss") == {names[0]: -0.8, names[1]: -0.1, worst: -0.5}
    assert best(tmp_path) == names[1]
    pruned(tmp_path, "--top-k", "1", "--no-protect-last")
    assert left(tmp_path) == {names[1]}


def test_trap_03_yolos_names_count_from_0_and_its_padded_table_from_1(tmp_path: Path) -> None:
    rows = [(1, 0.1), (11, 0.9), (21, 0.5)]
    table = "                  epoch,      metrics/mAP50(B),   lr/pg0\n"
    table += "".join(f"{epoch:>23},{score:>22},   0.01\n" for epoch, score in rows)
    files = {"results.csv": table.encode(), "args.yaml": b"task: detect\n"}
    write(tmp_path, files | {f"weights/epoch{epoch}.pt": WHOLE for epoch in (0, 10, 20)})
    wanted = {"weights/epoch0.pt": 0.1, "weights/epoch10.pt": 0.9, "weights/epoch20.pt": 0.5}
    assert values(tmp_path, "metrics/mAP50(B)") == wanted
    pruned(tmp_path, "--top-k", "1", "--monitor", "metrics/mAP50(B)", "--mode", "max")
    assert left(tmp_path / "weights") == {"epoch10.pt", "epoch20.pt"}


def test_trap_04_lightnings_metrics_may_hold_a_slash_an_exponent_a_sign(tmp_path: Path) -> None:
    losses = {
        "epoch=0-val/loss=0.40.ckpt": 0.4,
        "epoch=1-val/loss=1e-05.ckpt": 1e-05,
        "epoch=2-val/loss=-0.5.ckpt": -0.5,
    }
    write(tmp_path, dict.fromkeys(losses, lightning()))
    assert values(tmp_path, "val/loss") == losses
    pruned(tmp_path, "--top-k", "1", "--no-protect-last", "--monitor", "val/loss", "--mode", "min")
    assert [str(it.relative_to(tmp_path)) for it in tmp_path.rglob("*.ckpt")] == ["epoch=2-val/loss=-0.5.ckpt"]


def test_trap_05_a_version_is_another_checkpoint_of_the_same_step(tmp_path: Path) -> None:
    names = ["epoch=0-step=10.ckpt", "epoch=1-step=20.ckpt", "epoch=1-step=20-v1.ckpt"]
    write(tmp_path, dict.fromkeys(names, lightning()))
    settle(tmp_path, names)
    assert {path: (it["step"], it["version"]) for path, it in found(tmp_path).items()} == {
        names[0]: (10, None),
        names[1]: (20, None),
        names[2]: (20, 1),
    }
    pruned(tmp_path, "--keep-last", "2")
    assert left(tmp_path) == set(names[1:])


def test_trap_06_transformers_json_may_hold_nan_which_never_wins(tmp_path: Path) -> None:
    losses = {500: 0.5, 1000: float("nan"), 1500: 0.7}
    write(tmp_path, transformers.saves(losses, None, transformers.ONE))
    assert b"NaN" in (tmp_path / "checkpoint-1500/trainer_state.json").read_bytes()
    told = {path: it["metrics"]["eval_loss"]["state"] for path, it in found(tmp_path).items()}
    assert told == {"checkpoint-500": "finite", "checkpoint-1000": "nan", "checkpoint-1500": "finite"}
    assert best(tmp_path) == "checkpoint-500"
    pruned(tmp_path, "--top-k", "1", "--monitor", "eval_loss", "--mode", "min", "--drop-unranked")
    assert left(tmp_path) == {"checkpoint-500", "checkpoint-1500"}


def test_trap_07_deepspeeds_folder_inside_transformers_is_told_of_once(tmp_path: Path) -> None:
    losses = {500: 0.5, 1000: 0.4}
    files = transformers.saves(losses, None, ("rng_state_0.pth", "rng_state_1.pth"))
    write(tmp_path, files | {path: data for step in losses for path, data in transformers.zero(step, (0, 1)).items()})
    answer = call("ls", tmp_path, "--json").json
    assert [it["path"] for run in answer["runs"] for it in run["checkpoints"]] == ["checkpoint-500", "checkpoint-1000"]
    held = sum(path.is_file() for path in tmp_path.rglob("*"))
    assert (answer["totals"]["checkpoints"], answer["totals"]["files"]) == (2, held)


def test_trap_08_zero_3_keeps_the_only_weights_with_the_optimizer() -> None:
    nested = find_layout("transformers-deepspeed").slimming
    assert nested is not None
    assert nested.require
    assert nested.may_be_empty
    own = find_layout("deepspeed").slimming
    assert own is not None
    for files, is_enough in ((deepspeed.zero2("", 2), True), (deepspeed.zero3("", 2), False)):
        names = [path.removeprefix("/") for path in files]
        assert any(first_match(glob, names) for glob in own.require) is is_enough


def test_trap_09_a_file_of_dcp_is_several_archives_and_is_not_opened_as_one() -> None:
    manifest = (FIXTURES / "dcp/step-5/.metadata").read_bytes()
    files = {f"step-{step}/__0_0.distcp": WHOLE + WHOLE[:-30] for step in (5, 10)}
    store = Watched(files | {f"step-{step}/.metadata": manifest for step in (5, 10)})
    (run,) = scan(store, Options(now=store.clock() + LATER))
    assert [(it.path, it.layout, it.state) for it in run.checkpoints] == [
        ("step-5", "torchtitan", "complete"),
        ("step-10", "torchtitan", "complete"),
    ]
    assert {path for path in store.opened if path.endswith(".distcp")} == set()


def test_trap_10_a_torch_file_without_checksums_is_whole(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "nocrc.pt", tmp_path / "epoch_1.pt")
    shutil.copy(FIXTURES / "nocrc.pt", tmp_path / "epoch_2.pt")
    os.truncate(tmp_path / "epoch_2.pt", (FIXTURES / "nocrc.pt").stat().st_size - 30)
    settle(tmp_path)
    assert states(tmp_path) == {"epoch_1.pt": "complete", "epoch_2.pt": "damaged"}


def test_trap_11_timms_three_names_are_one_file(tmp_path: Path) -> None:
    names = [f"checkpoint-{epoch}.pth.tar" for epoch in range(3)]
    write(tmp_path, dict.fromkeys(names, WHOLE) | {"summary.csv": b"epoch,eval_top1\n0,10\n1,30\n2,20\n"})
    for name in ("last.pth.tar", "model_best.pth.tar"):
        os.link(tmp_path / names[1], tmp_path / name)
    settle(tmp_path, names)
    listed = found(tmp_path)
    assert list(listed) == names
    assert sorted(listed[names[1]]["aliases"]) == ["last.pth.tar", "model_best.pth.tar"]
    answer = call("prune", tmp_path, "--keep-last", "1", "--yes", "--json").json
    assert answer["outcome"]["dropped"] == [names[0]]
    assert answer["outcome"]["freed"] == len(WHOLE)
    assert left(tmp_path) == {*names[1:], "last.pth.tar", "model_best.pth.tar", "summary.csv"}


def test_trap_11_a_file_that_has_a_name_elsewhere_frees_nothing(tmp_path: Path) -> None:
    names = [f"checkpoint-{epoch}.pth.tar" for epoch in range(3)]
    write(tmp_path / "run", dict.fromkeys(names, WHOLE) | {"summary.csv": b"epoch,eval_top1\n0,10\n"})
    os.link(tmp_path / "run" / names[0], tmp_path / "kept.pth.tar")
    settle(tmp_path / "run", names)
    answer = call("prune", tmp_path / "run", "--keep-last", "2", "--yes", "--json").json
    assert (answer["outcome"]["dropped"], answer["outcome"]["freed"]) == ([names[0]], 0)
    assert (tmp_path / "kept.pth.tar").read_bytes() == WHOLE


def test_trap_12_what_only_begins_like_a_step_is_none_and_stays(tmp_path: Path) -> None:
    manifest = (FIXTURES / "dcp/step-5/.metadata").read_bytes()
    names = ["step-100", "step-200", "step-300", "step-100-bak", "old-step-100"]
    files = {f"{name}/{it}": data for name in names for it, data in ((".metadata", manifest), ("__0_0.distcp", b"x"))}
    write(tmp_path, files)
    listed = {path: it["layout"] for path, it in found(tmp_path).items()}
    assert [path for path, layout in listed.items() if layout == "torchtitan"] == names[:3]
    pruned(tmp_path, "--keep-last", "1", "--layout", "torchtitan")
    assert left(tmp_path) == set(names[2:])


def test_trap_13_detectron2s_last_checkpoint_may_name_the_best(tmp_path: Path) -> None:
    names = [f"model_{iteration:07d}.pth" for iteration in (999, 1999, 2999)]
    files = dict.fromkeys([*names, "model_best.pth"], WHOLE)
    write(tmp_path, files | {"last_checkpoint": b"model_best.pth", "metrics.json": b'{"iteration": 999}\n'})
    assert pointers(tmp_path) == {"last_checkpoint": "model_best.pth"}
    pruned(tmp_path, "--keep-last", "1")
    assert left(tmp_path) == {names[-1], "model_best.pth", "last_checkpoint", "metrics.json"}


def test_trap_14_what_tensorflow_kept_for_its_hour_is_no_orphan(tmp_path: Path) -> None:
    stems = [f"model.ckpt-{step}" for step in (0, 1000, 2000)]
    state = f'model_checkpoint_path: "{stems[2]}"\n' + "".join(
        f'all_model_checkpoint_paths: "{stem}"\n' for stem in stems[1:]
    )
    parts = (".index", ".meta", ".data-00000-of-00001")
    write(tmp_path, {f"{stem}{it}": b"x" for stem in stems for it in parts} | {"checkpoint": state.encode()})
    assert states(tmp_path) == dict.fromkeys(stems, "complete")
    (run,) = call("ls", tmp_path, "--json").json["runs"]
    assert run["strays"] == []
    pruned(tmp_path, "--keep-step", "0,2000")
    assert left(tmp_path) == {"checkpoint", *(f"{stem}{it}" for stem in (stems[0], stems[2]) for it in parts)}
    assert stems[1] not in (tmp_path / "checkpoint").read_text()
    assert stems[2] in (tmp_path / "checkpoint").read_text()


def test_trap_15_megatrons_tracker_may_say_release(tmp_path: Path) -> None:
    names = ["release", "iter_0000500", "iter_0001000"]
    files = {path: data for name in names for path, data in megatron.save(name).items()}
    write(tmp_path, files | {megatron.TRACKER: b"release"})
    listed = found(tmp_path)
    assert (listed["release"]["roles"], listed["release"]["step"]) == (["final"], None)
    assert pointers(tmp_path) == {megatron.TRACKER: "release"}
    pruned(tmp_path, "--keep-last", "1")
    assert left(tmp_path) == {"release", "iter_0001000", megatron.TRACKER}


GPT = "megatron_gpt--val_loss={}-step={}"
RANKS = ("mp_rank_00", "mp_rank_01")


def gpt(*steps: int) -> dict[str, bytes]:
    """Checkpoints of NeMo, of two ranks, each with its average."""
    names = [f"{GPT.format(1.5, step)}{end}.ckpt" for step in steps for end in ("", "-EMA")]
    return {f"{rank}/{name}": WHOLE for rank in RANKS for name in names}


def test_trap_16_nemos_marker_is_of_all_ranks_and_of_the_average_too(tmp_path: Path) -> None:
    write(tmp_path, gpt(100, 200, 300) | {f"{GPT.format(1.5, 300)}-unfinished": b""})
    listed = found(tmp_path)
    assert {path: (it["state"], len(it["members"])) for path, it in listed.items()} == {
        GPT.format(1.5, 100): ("complete", 4),
        GPT.format(1.5, 200): ("complete", 4),
        GPT.format(1.5, 300): ("partial", 4),
    }
    before = listing(tmp_path)
    pruned(tmp_path, "--keep-last", "1")
    gone = {path for path in before if "step=100" in path}
    assert listing(tmp_path) == {path: held for path, held in before.items() if path not in gone}


def test_trap_16_while_one_is_deleted_its_marker_stands_beside_it() -> None:
    class Seen(MemoryStore):
        """A store that remembers which markers stood when something was moved."""

        markers: tuple[set[str], ...] = ()

        def rename(self, entry: Any, path: str) -> None:  # noqa: ANN401 - as the store has it
            held = {it.path for folder in self.walk(stat=False) for it in folder.entries}
            self.markers += ({it for it in held if it.endswith("-unfinished")},)
            super().rename(entry, path)

    store = Seen(gpt(100, 200))
    now = store.clock() + LATER
    runs = [plan_run(run, Policy((KeepLast(1),)), now) for run in scan(store, Options(now=now))]
    assert len(apply(Plan(Policy((KeepLast(1),)), tuple(runs)), store, ApplyOptions("x")).dropped) == 1
    assert len(store.markers) == 4
    assert store.markers == ({f"{GPT.format(1.5, 100)}-unfinished"},) * 4
    held = {it.path for folder in store.walk(stat=False) for it in folder.entries if it.kind == "file"}
    assert held == set(gpt(200))


def test_trap_17_what_espnets_chain_of_links_ends_at_stays(tmp_path: Path) -> None:
    names = [f"{epoch}epoch.pth" for epoch in (7, 8, 9, 10)]
    write(tmp_path, dict.fromkeys([*names, "checkpoint.pth"], WHOLE))
    links = {
        "valid.acc.ave.pth": "valid.acc.ave_1best.pth",
        "valid.acc.ave_1best.pth": "7epoch.pth",
        "latest.pth": "10epoch.pth",
    }
    for name, target in links.items():
        (tmp_path / name).symlink_to(target)
    settle(tmp_path, names)
    assert pointers(tmp_path) == {**links, "valid.acc.ave.pth": "7epoch.pth"}
    pruned(tmp_path, "--keep-last", "1")
    assert left(tmp_path) == {"7epoch.pth", "10epoch.pth", "checkpoint.pth", *links}
    assert (tmp_path / "valid.acc.ave.pth").read_bytes() == WHOLE


def test_trap_18_a_replay_buffer_goes_with_its_model(tmp_path: Path) -> None:
    parts = ("rl_model_{}_steps.zip", "rl_model_replay_buffer_{}_steps.pkl", "rl_model_vecnormalize_{}_steps.pkl")
    write(tmp_path, {part.format(steps): WHOLE for steps in (1000, 2000) for part in parts})
    assert [(it["kind"], len(it["members"]), it["step"]) for it in found(tmp_path).values()] == [
        ("family", 3, 1000),
        ("family", 3, 2000),
    ]
    pruned(tmp_path, "--keep-last", "1")
    assert left(tmp_path) == {part.format(2000) for part in parts}


LEFTOVERS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "transformers": (("checkpoint-{}/trainer_state.json",), "tmp-checkpoint-400/config.json"),
    "orbax": (("{}/_CHECKPOINT_METADATA", "{}/default/_METADATA"), "400.orbax-checkpoint-tmp/default/_METADATA"),
    "ignite": (("net_epoch={}.pt",), "tmpq3f_9x2q"),
    "nemo_rl": (("step_{}/training_info.json", "step_{}/policy/weights/x.safetensors"), "tmp_step_400/policy/x"),
    "timm": (("checkpoint-{}.pth.tar",), "tmp.pth.tar"),
}
"""What whole saves consist of, and what is left of one that is under way."""


@pytest.mark.parametrize("is_fresh", [True, False], ids=["fresh", "stale"])
@pytest.mark.parametrize(("names", "leftover"), LEFTOVERS.values(), ids=LEFTOVERS)
def test_trap_19_what_a_save_under_way_is_called_is_left_alone(
    names: tuple[str, ...], leftover: str, is_fresh: bool, tmp_path: Path
) -> None:
    held = [name.format(number) for number in (100, 200, 300) for name in names]
    files = {name: WHOLE if name.endswith((".pt", ".tar")) else b"{}" for name in held}
    write(tmp_path, files | {leftover: b"PK\x03\x04", "summary.csv": b"epoch,eval_top1\n"})
    top = leftover.partition("/")[0]
    for path in (tmp_path / top, tmp_path / leftover) if is_fresh else ():
        os.utime(path)
    assert states(tmp_path)[top] == ("live" if is_fresh else "partial")
    pruned(tmp_path, "--keep-last", "1")
    assert (tmp_path / leftover).read_bytes() == b"PK\x03\x04"
    whole = {path for path, state in states(tmp_path).items() if state == "complete"}
    assert whole == {held[-1].partition("/")[0]}


def test_trap_20_openpcdet_writes_the_format_of_before_torch_1_6(tmp_path: Path) -> None:
    tree = openpcdet.TREES[1]
    write(tmp_path, dict(tree.files))
    files = [data for path, data in tree.files.items() if "/checkpoint_" in path]
    assert {data[:6] for data in files} == {b"\x80\x02\x8a\x0a\x6c\xfc"}
    assert states(tmp_path) == {
        "ckpt/checkpoint_epoch_1.pth": "complete",
        "ckpt/checkpoint_epoch_2.pth": "complete",
        "ckpt/checkpoint_epoch_3.pth": "damaged",
    }
    pruned(tmp_path, "--keep-last", "1")
    assert set(states(tmp_path)) == {"ckpt/checkpoint_epoch_2.pth", "ckpt/checkpoint_epoch_3.pth"}


RANKED: Mapping[str, tuple[dict[str, bytes], str, str]] = {
    "deepspeed": (
        {path: data for step in (100, 200, 300) for path, data in deepspeed.zero2(f"global_step{step}", 2, 2).items()},
        "global_step300",
        "global_step300/bf16_zero_pp_rank_0_mp_rank_01_optim_states.pt",
    ),
    "composer": (
        {f"ep{epoch}-ba100-rank{rank}.pt": WHOLE for epoch in (1, 2, 3) for rank in (0, 1, 2)},
        "ep3-",
        "ep3-ba100-rank1.pt",
    ),
    "nemo": (gpt(100, 200, 300), "step=300", f"mp_rank_01/{GPT.format(1.5, 300)}.ckpt"),
    "transformers": (
        transformers.saves({100: 0.5, 200: 0.4, 300: 0.3}, None, ("rng_state_0.pth", "rng_state_1.pth")),
        "checkpoint-300",
        "checkpoint-300/rng_state_0.pth",
    ),
}
"""Three whole saves, what the paths of the newest hold, and what it lacks."""


@pytest.mark.parametrize(("files", "newest", "missing"), RANKED.values(), ids=RANKED)
def test_trap_21_a_checkpoint_that_lacks_a_rank_is_not_complete(
    files: dict[str, bytes], newest: str, missing: str, tmp_path: Path
) -> None:
    held = {path: data for path, data in files.items() if path != missing}
    write(tmp_path, held)
    assert sorted(states(tmp_path).values()) == ["complete", "complete", "partial"]
    pruned(tmp_path, "--keep-last", "1")
    assert [path for path in held if newest in path and not (tmp_path / path).exists()] == []
    assert sorted(states(tmp_path).values()) == ["complete", "partial"]


def test_trap_22_a_symlink_of_composer_may_be_a_text(tmp_path: Path) -> None:
    names = [f"ep{epoch}-ba{10 * epoch}-rank0.pt" for epoch in (1, 2, 3)]
    write(
        tmp_path, dict.fromkeys(names, WHOLE) | {"latest-rank0.pt.symlink": f"my-run/checkpoints/{names[0]}".encode()}
    )
    assert pointers(tmp_path) == {"latest-rank0.pt.symlink": names[0]}
    pruned(tmp_path, "--keep-last", "1")
    assert left(tmp_path) == {names[0], names[2], "latest-rank0.pt.symlink"}


def test_trap_23_megatrons_folders_that_are_links_stay_and_so_does_what_they_name(tmp_path: Path) -> None:
    archived = ["iter_0000100", "iter_0000200"]
    own = ["iter_0000300", "iter_0000400"]
    write(tmp_path, {f"archive/{path}": data for name in archived for path, data in megatron.save(name).items()})
    write(tmp_path, {f"run/{path}": data for name in own for path, data in megatron.save(name).items()})
    (tmp_path / "run" / archived[0]).symlink_to(f"../archive/{archived[0]}")
    settle(tmp_path)
    pruned(tmp_path, "--keep-last", "1")
    assert left(tmp_path / "run") == {archived[0], own[1]}
    assert left(tmp_path / "archive") == set(archived)


def test_trap_24_of_two_equal_scores_the_earlier_wins_and_the_tie_is_told(tmp_path: Path) -> None:
    names = [f"checkpoint-{step}" for step in (100, 200, 300)]
    losses = {100: 0.25, 200: 0.25, 300: 0.5}
    write(tmp_path, transformers.saves(losses, None, transformers.ONE))
    assert best(tmp_path) == names[0]
    answer = pruned(tmp_path, "--top-k", "1", "--monitor", "eval_loss", "--mode", "min")
    assert "eval_loss is 0.25 on both sides of place 1" in answer.err
    assert left(tmp_path) == {names[0], names[2]}


def test_trap_25_what_was_not_evaluated_is_not_ranked_and_not_dropped_for_it(tmp_path: Path) -> None:
    names = [f"checkpoint-{epoch}.pth.tar" for epoch in range(6)]
    rows = "".join(f"{epoch},1.5,{score}\n" for epoch, score in enumerate(("10.5", "", "30.5", "", "20.5", "")))
    write(tmp_path, dict.fromkeys(names, WHOLE) | {"summary.csv": f"epoch,train_loss,eval_top1\n{rows}".encode()})
    settle(tmp_path, names)
    assert values(tmp_path, "eval_top1") == {names[0]: 10.5, names[2]: 30.5, names[4]: 20.5}
    flags = ("--top-k", "1", "--monitor", "eval_top1", "--mode", "max")
    answer = pruned(tmp_path, *flags)
    assert left(tmp_path) == {"summary.csv", names[1], names[2], names[3], names[5]}
    assert "unranked: no value of eval_top1" in answer.out


def test_trap_25_a_run_that_is_evaluated_now_and_then_tells_each_of_its_own_row(tmp_path: Path) -> None:
    history = [{"step": 100, "loss": 1.0}, {"step": 200, "eval_loss": 0.5}, {"step": 300, "loss": 0.8}]
    for step in (100, 200, 300):
        rows = [row for row in history if row["step"] <= step]
        write(tmp_path, transformers.save(step))
        write(
            tmp_path, {f"checkpoint-{step}/trainer_state.json": json_file({"global_step": step, "log_history": rows})}
        )
    assert values(tmp_path, "eval_loss") == {"checkpoint-200": 0.5}

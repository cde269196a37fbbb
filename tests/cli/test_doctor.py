from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cli.calls import HOUR, PROGRAM, Answer, age, call, environment, listing, remember, save, state, watch
from tests.cli.calls import NAMES as SAVES
from tests.cli.schema import DOCTOR, misfits
from tests.layouts.tree import json_file, safetensors
from tests.terminal import Terminal

Build = Callable[[Path], object]
BEST, LAST = SAVES[2], SAVES[3]
RANK_0 = "zero_pp_rank_0_mp_rank_00_optim_states.pt"
TRACKER = "latest_checkpointed_iteration.txt"
SNAPSHOT = "checkpoint_manager_snapshot.json"


def train(folder: Path) -> Path:
    """Four saves in which all is well: no two are alike."""
    save(folder, SAVES)
    for epoch, name in enumerate(SAVES):
        rewrite(folder / name, state(epoch=epoch, global_step=100 * (epoch + 1)))
    return folder


def rewrite(path: Path, data: bytes) -> None:
    """Other content, the time as it was."""
    moment = path.stat().st_mtime
    path.write_bytes(data)
    os.utime(path, (moment, moment))


def write(folder: Path, files: Mapping[str, bytes], ago: float = HOUR) -> None:
    """Files of any kind, and all folders, so many seconds old."""
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    for path in folder.rglob("*"):
        if path.relative_to(folder).as_posix() in files or path.is_dir():
            age(path, ago)


def link(folder: Path, name: str, target: str) -> None:
    train(folder)
    (folder / name).symlink_to(target)


def deepspeed(folder: Path, *steps: int, latest: str | None = None, ranks: int = 2) -> None:
    """Tags of so many ranks each; the file that names the newest, where it is asked for."""
    files = {}
    for step in steps:
        files |= {
            f"global_step{step}/zero_pp_rank_{it}_mp_rank_00_optim_states.pt": b"%d" % step for it in range(ranks)
        }
        files[f"global_step{step}/mp_rank_00_model_states.pt"] = b"%d" % step
    write(folder, files | ({} if latest is None else {"latest": latest.encode()}))


def trainer(folder: Path, *steps: int, best: str | None = None) -> None:
    """Checkpoints of transformers' Trainer."""
    files = {}
    for step in steps:
        files[f"checkpoint-{step}/model.safetensors"] = safetensors({"step": str(step)})
        noted = {"best_model_checkpoint": best, "global_step": step, "log_history": []}
        files[f"checkpoint-{step}/trainer_state.json"] = json_file(noted)
    write(folder, files)


def tensorflow(folder: Path, *listed: int) -> None:
    """Checkpoints 1 and 2, and the list of those that the manager knows."""
    families = {f"ckpt-{it}.{end}": b"%d" % it for it in (1, 2) for end in ("index", "data-00000-of-00001")}
    lines = ['model_checkpoint_path: "ckpt-2"', *(f'all_model_checkpoint_paths: "ckpt-{it}"' for it in listed)]
    write(folder, families | {"checkpoint": "\n".join(lines).encode()})


def ray(folder: Path, *listed: int) -> None:
    """Checkpoints 1 and 2, and the snapshot of those that Train committed."""
    names = {it: f"checkpoint_2026-08-01_12-0{it}-00.111111" for it in (1, 2, 3)}
    items = [{"checkpoint_dir_name": names[it], "metrics": {}} for it in listed]
    snapshot = {"checkpoint_results": items, "latest_checkpoint_result": {"checkpoint_dir_name": names[2]}}
    files = {f"{names[it]}/model.pt": b"%d" % it for it in (1, 2)}
    write(folder, files | {SNAPSHOT: json_file(snapshot)})


def megatron(folder: Path, *, done: int) -> None:
    saves = {}
    for step in (500, 1000):
        saves[f"iter_{step:07d}/.metadata"] = b"\x80\x02}."
        saves[f"iter_{step:07d}/metadata.json"] = b"%d" % step
        saves[f"iter_{step:07d}/__0_0.distcp"] = b"%d" % step
    write(folder, saves | {TRACKER: b"%d" % done})


def repeat(folder: Path, first: int, other: int, *, size: int = 1) -> None:
    """Two saves of one length, with the same content if it is the same number."""
    for epoch, number in enumerate((first, other)):
        save(folder, [f"epoch={epoch}-val_loss=0.{epoch + 1}.ckpt"], state(weights=f"{number}" * size))


def restart(folder: Path, *, hours: int) -> None:
    """Four saves, the first so much younger than the last; their states tell nothing."""
    train(folder)
    moment = (folder / LAST).stat().st_mtime + hours * HOUR / 2
    os.utime(folder / SAVES[0], (moment, moment)) if hours else None


def record(folder: Path, mode: str) -> None:
    """A run whose training recorded a mode."""
    train(folder)
    scores = {BEST: 0.3, LAST: 0.35}
    rewrite(folder / LAST, remember(epoch=3, global_step=400, callbacks=watch("/there", scores, mode=mode)))


def last_save(folder: Path, step: int) -> None:
    train(folder)
    save(folder, ["last.ckpt"], state(epoch=2, global_step=step))


def trash(folder: Path, files: Mapping[str, bytes]) -> None:
    write(train(folder), {f".ckptctl/{path}": data for path, data in files.items()})


def hard_link(folder: Path, name: str) -> None:
    train(folder)
    os.link(folder / BEST, folder / name)


ILLS = [
    pytest.param(
        "dangling-link",
        "error",
        "last.ckpt",
        lambda it: link(it, "last.ckpt", "epoch=9.ckpt"),
        lambda it: link(it, "last.ckpt", LAST),
        id="dangling-link",
    ),
    pytest.param(
        "dangling-link",
        "error",
        "newest",
        lambda it: (deepspeed(it, 1), (it / "newest").symlink_to("global_step9")),
        lambda it: (deepspeed(it, 1), (it / "data").symlink_to("/nowhere/data")),
        id="dangling-link to a folder",
    ),
    pytest.param(
        "looping-link",
        "error",
        "best.ckpt",
        lambda it: link(it, "best.ckpt", "best.ckpt"),
        lambda it: link(it, "best.ckpt", BEST),
        id="looping-link",
    ),
    pytest.param(
        "link-outside",
        "advice",
        "old.ckpt",
        lambda it: link(it, "old.ckpt", "/etc/hostname"),
        lambda it: link(it, "old.ckpt", SAVES[0]),
        id="link-outside",
    ),
    pytest.param(
        "dangling-pointer",
        "error",
        "latest",
        lambda it: deepspeed(it, 1, 2, latest="global_step9"),
        lambda it: deepspeed(it, 1, 2, latest="global_step2"),
        id="dangling-pointer",
    ),
    pytest.param(
        "dangling-pointer",
        "error",
        "latest",
        lambda it: (train(it.parent / "b"), deepspeed(it, latest="global_step9")),
        lambda it: (train(it.parent / "b"), deepspeed(it, latest="hello world")),
        id="dangling-pointer alone",
    ),
    pytest.param(
        "dangling-pointer",
        "error",
        TRACKER,
        lambda it: megatron(it, done=9),
        lambda it: megatron(it, done=1000),
        id="dangling-pointer by number",
    ),
    pytest.param(
        "dangling-pointer",
        "error",
        "last",
        lambda it: write(train(it), {"last": b"epoch=9-step=1.ckpt\n"}),
        lambda it: write(train(it), {"last": LAST.encode()}),
        id="dangling-pointer of our own",
    ),
    pytest.param(
        "dangling-pointer",
        "advice",
        "checkpoint-2/trainer_state.json",
        lambda it: trainer(it, 1, 2, best="x/checkpoint-9"),
        lambda it: trainer(it, 1, 2, best="x/checkpoint-1"),
        id="dangling-pointer to the best",
    ),
    pytest.param(
        "roster-names-missing",
        "advice",
        "checkpoint",
        lambda it: tensorflow(it, 0, 1, 2),
        lambda it: tensorflow(it, 1, 2),
        id="roster-names-missing",
    ),
    pytest.param(
        "roster-names-missing",
        "error",
        SNAPSHOT,
        lambda it: ray(it, 1, 2, 3),
        lambda it: ray(it, 1, 2),
        id="roster-names-missing, and training refuses",
    ),
    pytest.param(
        "stale-last",
        "advice",
        "last.ckpt",
        lambda it: link(it, "last.ckpt", SAVES[1]),
        lambda it: link(it, "last.ckpt", LAST),
        id="stale-last",
    ),
    pytest.param(
        "stale-last",
        "advice",
        "last.ckpt",
        lambda it: last_save(it, 350),
        lambda it: last_save(it, 450),
        id="stale-last of its own",
    ),
    pytest.param(
        "stale-last",
        "advice",
        "last.ckpt",
        lambda it: hard_link(it, "last.ckpt"),
        lambda it: hard_link(it, "kept.ckpt"),
        id="stale-last, a hard link",
    ),
    pytest.param(
        "stale-best",
        "advice",
        "best.ckpt",
        lambda it: link(it, "best.ckpt", LAST),
        lambda it: link(it, "best.ckpt", BEST),
        id="stale-best",
    ),
    pytest.param(
        "unfinished",
        "error",
        "checkpoint-3",
        lambda it: (trainer(it, 1, 2), write(it, {"checkpoint-3/optimizer.pt": b"x"})),
        lambda it: trainer(it, 1, 2, 3),
        id="unfinished",
    ),
    pytest.param(
        "unfinished",
        "advice",
        "checkpoint-2",
        lambda it: (trainer(it, 1, 3), write(it, {"checkpoint-2/optimizer.pt": b"x"})),
        lambda it: (trainer(it, 1, 3), write(it, {"checkpoint-2/optimizer.pt": b"x"}, 0)),
        id="unfinished, and not the newest",
    ),
    pytest.param(
        "unfinished",
        "advice",
        "tmp-checkpoint-9",
        lambda it: (trainer(it, 1), write(it, {"tmp-checkpoint-9/a": b"x"})),
        lambda it: (trainer(it, 1), write(it, {"tmp-checkpoint-9/a": b"x"}, 0)),
        id="unfinished, by its name",
    ),
    pytest.param(
        "unfinished",
        "advice",
        LAST,
        lambda it: write(train(it), {f"{LAST[:-5]}-unfinished": b""}),
        train,
        id="unfinished, by a marker",
    ),
    pytest.param(
        "missing-part",
        "error",
        "global_step3",
        lambda it: (deepspeed(it, 1, 2), deepspeed(it, 3, ranks=1)),
        lambda it: deepspeed(it, 1, 2, 3),
        id="missing-part",
    ),
    pytest.param(
        "missing-part",
        "advice",
        "global_step2",
        lambda it: (deepspeed(it, 1, 2, 3), (it / f"global_step2/{RANK_0}").unlink(), write(it, {})),
        lambda it: deepspeed(it, 1, 2, 3),
        id="missing-part, and not the newest",
    ),
    pytest.param("damaged", "error", LAST, lambda it: rewrite(train(it) / LAST, state()[:200]), train, id="damaged"),
    pytest.param(
        "uncommitted",
        "advice",
        "iter_0001000",
        lambda it: megatron(it, done=500),
        lambda it: megatron(it, done=1000),
        id="uncommitted",
    ),
    pytest.param(
        "ambiguous-layout",
        "advice",
        "epoch_1",
        lambda it: write(it, {"epoch_1/a_model_states.pt": b"x", "epoch_1/random_states_0.pkl": b"x"}),
        lambda it: write(it, {"epoch_1/a_model_states.pt": b"x"}),
        id="ambiguous-layout",
    ),
    pytest.param(
        "mixed-series",
        "advice",
        "",
        lambda it: save(it, ["unet_epoch_1.pt", "vae_epoch_1.pt"]),
        lambda it: save(it, ["unet_epoch_1.pt", "unet_epoch_2.pt"]),
        id="mixed-series",
    ),
    pytest.param(
        "unproved",
        "advice",
        "epoch=0.ckpt",
        lambda it: save(it, ["epoch=0.ckpt"], b"in no format"),
        lambda it: save(it, ["epoch=0.ckpt"]),
        id="unproved",
    ),
    pytest.param(
        "reused-folder",
        "advice",
        "",
        lambda it: restart(it, hours=4),
        lambda it: restart(it, hours=0),
        id="reused-folder",
    ),
    pytest.param("mixed-layouts", "advice", "", lambda it: trainer(train(it), 1), train, id="mixed-layouts"),
    pytest.param(
        "mode-against-name",
        "advice",
        "",
        lambda it: record(it, "max"),
        lambda it: record(it, "min"),
        id="mode-against-name",
    ),
    pytest.param(
        "duplicates",
        "advice",
        "epoch=0-val_loss=0.1.ckpt",
        lambda it: repeat(it, 1, 1),
        lambda it: repeat(it, 1, 2),
        id="duplicates",
    ),
    pytest.param(
        "duplicates",
        "advice",
        "epoch=0-val_loss=0.1.ckpt",
        lambda it: repeat(it, 1, 1, size=3 << 20),
        lambda it: repeat(it, 1, 2, size=3 << 20),
        id="duplicates of some size",
    ),
    pytest.param(
        "empty-run",
        "advice",
        "",
        lambda it: (train(it.parent / "b"), it.mkdir(), (it / "last.ckpt").symlink_to("epoch=1.ckpt")),
        lambda it: (train(it.parent / "b"), it.mkdir(), (it / "last.ckpt").symlink_to(f"../b/{LAST}")),
        id="empty-run of links",
    ),
    pytest.param(
        "empty-run",
        "advice",
        "checkpoints",
        lambda it: (train(it.parent / "b"), (it / "checkpoints").mkdir(parents=True), write(it, {})),
        lambda it: (train(it.parent / "b"), (it / "checkpoints").mkdir(parents=True)),
        id="empty-run",
    ),
    pytest.param(
        "empty-run",
        "advice",
        "checkpoint-500",
        lambda it: (train(it.parent / "b"), (it / "checkpoint-500").mkdir(parents=True), write(it, {})),
        lambda it: (train(it.parent / "b"), (it / "500").mkdir(parents=True), write(it, {})),
        id="empty-run, named as a checkpoint",
    ),
    pytest.param(
        "orphan-marker",
        "advice",
        "epoch=9-unfinished",
        lambda it: write(train(it), {"epoch=9-unfinished": b""}),
        lambda it: write(train(it), {f"{LAST[:-5]}-unfinished": b""}),
        id="orphan-marker",
    ),
    pytest.param(
        "orphan-pin",
        "advice",
        "epoch=9.ckpt.keep",
        lambda it: write(train(it), {"epoch=9.ckpt.keep": b""}),
        lambda it: write(train(it), {f"{LAST}.keep": b"", ".keep": b""}),
        id="orphan-pin",
    ),
    pytest.param(
        "temporary-name",
        "advice",
        ".ckptctl-0123456789abcdef",
        lambda it: write(train(it), {".ckptctl-0123456789abcdef": b"x"}),
        lambda it: write(train(it), {".ckptctl-0123456789abcdef": b"x"}, 0),
        id="temporary-name",
    ),
    pytest.param(
        "trash",
        "advice",
        ".ckptctl/trash/t1",
        lambda it: trash(it, {"trash/t1/0": b"x"}),
        lambda it: trash(it, {"other/t1": b"x"}),
        id="trash",
    ),
    pytest.param(
        "notice",
        "advice",
        "",
        lambda it: write(train(it), {"metrics.csv": b"\xff\0\xff"}),
        lambda it: write(train(it), {"metrics.csv": b"epoch,step,val_loss\n"}),
        id="notice",
    ),
]


def findings_in(folder: Path, *flags: str) -> list[dict[str, Any]]:
    document = call("doctor", folder, "--json", *flags).json
    assert misfits(document, DOCTOR) == []
    return list(document["findings"])


@pytest.mark.parametrize(("found", "severity", "path", "ill", "well"), ILLS)
def test_what_is_wrong_is_found_where_it_is_and_only_there(
    tmp_path: Path, found: str, severity: str, path: str, ill: Build, well: Build
) -> None:
    ill(tmp_path / "ill" / "a")
    told = [it for it in findings_in(tmp_path / "ill") if it["id"] == found]
    assert [(it["severity"], it["path"]) for it in told] == [(severity, f"a/{path}".rstrip("/"))]
    assert told[0]["text"]
    assert told[0]["hint"]
    assert call("doctor", tmp_path / "ill").code == 5 or severity == "advice"
    well(tmp_path / "well" / "a")
    assert found not in {it["id"] for it in findings_in(tmp_path / "well")}


def test_nothing_is_changed(tmp_path: Path) -> None:
    for number, case in enumerate(ILLS):
        case.values[3](tmp_path / str(number) / "a")  # type: ignore[operator]
    before = listing(tmp_path)
    assert call("doctor", tmp_path).code == 5
    assert listing(tmp_path) == before


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return train(tmp_path / "runs" / "a")


def test_a_sound_run_is_told_in_one_line(run: Path) -> None:
    answer = call("doctor", run)
    assert (answer.code, answer.rows) == (0, [])
    assert answer.err == "All is well · 1 run, 4 checkpoints looked at\n"


def test_json_of_a_sound_run_holds_the_totals(run: Path) -> None:
    answer = call("doctor", run, "--json")
    assert misfits(answer.json, DOCTOR) == []
    assert answer.json["findings"] == []
    assert answer.json["totals"] == {"runs": 1, "checkpoints": 4, "errors": 0, "advice": 0}
    assert (answer.code, answer.err) == (0, "")


def test_an_error_ends_with_5_and_advice_with_0(run: Path) -> None:
    (run / "best.ckpt").symlink_to(LAST)
    assert call("doctor", run).code == 0
    (run / "last.ckpt").symlink_to("gone.ckpt")
    answer = call("doctor", run)
    assert answer.code == 5
    assert answer.err == "1 error, 1 piece of advice · 1 run, 4 checkpoints looked at\n"
    totals = call("doctor", run, "--json").json["totals"]
    assert totals == {"runs": 1, "checkpoints": 4, "errors": 1, "advice": 1}


def test_a_pipe_gets_severity_id_path_text_and_hint(run: Path) -> None:
    (run / "last.ckpt").symlink_to("epoch=9.ckpt")
    (run / "best.ckpt").symlink_to(LAST)
    assert call("doctor", run).rows == [
        {
            "severity": "error",
            "id": "dangling-link",
            "path": f"{run}/last.ckpt",
            "text": "leads to 'epoch=9.ckpt', which is not there",
            "hint": f"ckptctl link {run} --last",
        },
        {
            "severity": "advice",
            "id": "stale-best",
            "path": f"{run}/best.ckpt",
            "text": f"names '{LAST}' with val_loss 0.35, but '{BEST}' has 0.30 (min counts)",
            "hint": f"ckptctl link {run} --best",
        },
    ]


@pytest.mark.parametrize(
    ("name", "target"), [("last.ckpt", "gone.ckpt"), ("best.ckpt", LAST), ("latest.ckpt", "latest.ckpt")]
)
def test_the_command_of_a_hint_sets_it_right(run: Path, name: str, target: str) -> None:
    (run / name).symlink_to(target)
    (row,) = call("doctor", run).rows
    assert call(*row["hint"].split()[1:]).code == 0
    assert call("doctor", run).rows == []


def test_a_hint_quotes_what_a_shell_would_part(tmp_path: Path) -> None:
    run = train(tmp_path / "my run's")
    (run / "last.ckpt").symlink_to("gone.ckpt")
    hint = call("doctor", run).rows[0]["hint"]
    assert hint == f"""ckptctl link '{tmp_path}/my run'"'"'s' --last"""


def test_a_link_of_another_ending_is_not_made_by_our_command(run: Path) -> None:
    (run / "last.pt").symlink_to("gone.ckpt")
    assert "ckptctl" not in call("doctor", run).rows[0]["hint"].partition(" by hand")[0].partition(str(run))[0]


def test_a_finding_in_one_of_several_folders_is_named_by_its_whole_path(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(run.parent / "b")
    (run / "last.ckpt").symlink_to("gone.ckpt")
    monkeypatch.chdir(run.parent)
    document = call("doctor", "b", "a", "--json").json
    assert misfits(document, DOCTOR) == []
    assert [(it["path"], it["hint"]) for it in document["findings"]] == [("a/last.ckpt", "ckptctl link a --last")]
    assert (document["root"], document["totals"]["runs"]) == (".", 2)


def test_what_may_not_be_read_is_an_error_and_the_rest_is_looked_at(run: Path) -> None:
    powers = "-dac_override,-dac_read_search"
    bound = ["setpriv", "--bounding-set", powers, "--inh-caps", powers] if os.geteuid() == 0 else []
    if bound and shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    closed = [run / LAST, train(run / "inner")]
    for path in closed:
        path.chmod(0)
    ran = subprocess.run([*bound, *PROGRAM, "doctor", run], env=environment(), capture_output=True, check=False)
    for path in closed:
        path.chmod(0o755)
    answer = Answer(ran.returncode, ran.stdout, ran.stderr.decode())
    assert answer.code == 5
    assert [(row["id"], row["severity"], row["path"]) for row in answer.rows] == [
        ("unreadable", "error", str(run / "inner")),
        ("unreadable", "error", str(run / LAST)),
    ]
    assert answer.err == "2 errors · 2 runs, 4 checkpoints looked at\n"


def test_nothing_to_look_at_is_not_found(tmp_path: Path) -> None:
    answer = call("doctor", tmp_path)
    assert (answer.code, answer.out) == (4, "")
    assert "error[no-checkpoint]" in answer.err


def test_a_checkpoint_itself_is_not_looked_into(tmp_path: Path) -> None:
    deepspeed(tmp_path, 1)
    answer = call("doctor", tmp_path / "global_step1")
    assert answer.code == 4
    assert "it is a checkpoint itself" in answer.err


def test_a_folder_without_a_run_may_still_hold_something(tmp_path: Path) -> None:
    deepspeed(tmp_path, latest="global_step7")
    answer = call("doctor", tmp_path)
    assert answer.code == 5
    assert [row["id"] for row in answer.rows] == ["dangling-pointer"]
    assert answer.err == "1 error · 0 runs, 0 checkpoints looked at\n"


def test_what_lies_in_a_checkpoint_is_not_told_of(tmp_path: Path) -> None:
    deepspeed(tmp_path, 1)
    (tmp_path / "global_step1" / "checkpoints").mkdir()
    write(
        tmp_path, {"global_step1/latest": b"global_step9", "global_step1/x-unfinished": b"", "global_step1/a.keep": b""}
    )
    assert findings_in(tmp_path) == []


def test_a_tracker_that_names_another_lets_the_half_written_newest_wait(tmp_path: Path) -> None:
    deepspeed(tmp_path, 1, 2, latest="global_step2")
    write(tmp_path, {f"global_step3/{RANK_0}": b"x"})
    assert [(it["id"], it["severity"]) for it in findings_in(tmp_path)] == [("unfinished", "advice")]
    write(tmp_path, {"latest": b"global_step3"})
    assert ("unfinished", "error") in [(it["id"], it["severity"]) for it in findings_in(tmp_path)]


def test_a_mode_may_be_asked_for(run: Path) -> None:
    assert findings_in(run, "--monitor", "val_loss", "--mode", "min") == []
    (found,) = findings_in(run, "--mode", "max")
    assert found["id"] == "mode-against-name"
    assert found["hint"] == "if the name is right, pass --mode min to best, link and prune"


def test_a_metric_may_be_asked_for(tmp_path: Path) -> None:
    names = ["epoch=0-acc=0.9-loss=2.0.ckpt", "epoch=1-acc=0.2-loss=1.0.ckpt"]
    for epoch, name in enumerate(names):
        save(tmp_path, [name], state(epoch=epoch))
    (tmp_path / "best.ckpt").symlink_to(names[0])
    assert [it["id"] for it in findings_in(tmp_path, "--monitor", "loss")] == ["stale-best"]
    assert findings_in(tmp_path, "--monitor", "acc") == findings_in(tmp_path) == []


def test_names_are_read_as_the_options_say(tmp_path: Path) -> None:
    for number, value in enumerate(("0.25", "0.50")):
        save(tmp_path, [f"m_0{number}_{value}.tpkc"], state(epoch=number))
    (tmp_path / "best.tpkc").symlink_to("m_01_0.50.tpkc")
    flags = ["--ext", "tpkc", "--template", "m_{epoch:02d}_{val_loss:.2f}"]
    assert [it["id"] for it in findings_in(tmp_path, *flags)] == ["stale-best"]
    assert call("doctor", tmp_path, "--layout", "nonsense").code == 2


def test_hard_links_of_one_file_are_no_duplicates(run: Path) -> None:
    os.link(run / BEST, run / "epoch=7-step=800-val_loss=0.90.ckpt")
    assert "duplicates" not in {it["id"] for it in findings_in(run)}


def test_duplicates_say_what_hard_links_would_save(tmp_path: Path) -> None:
    repeat(tmp_path, 1, 1)
    (row,) = call("doctor", tmp_path).rows
    one, other = (f"{tmp_path}/epoch={it}-val_loss=0.{it + 1}.ckpt" for it in (0, 1))
    assert row["text"].startswith("holds the same bytes as 'epoch=1-val_loss=0.2.ckpt': hard links would save ")
    assert row["hint"].endswith(f"cmp {one} {other} && ln -f {one} {other}")


def test_a_name_that_could_move_the_cursor_is_escaped(tmp_path: Path) -> None:
    run = train(tmp_path / "a")
    os.symlink("go\x1b[31mne.ckpt", run / "la\nst.ckpt")
    answer = call("doctor", tmp_path)
    assert "\x1b" not in answer.out
    assert answer.rows[0]["path"] == f"{run}/la\\nst.ckpt"
    assert findings_in(tmp_path)[0]["path"] == "a/la\nst.ckpt"


def test_a_name_that_is_not_utf8_has_its_bytes_in_json(tmp_path: Path) -> None:
    run = train(tmp_path / "a")
    os.symlink(b"gone.ckpt", os.fsencode(run) + b"/\xff.ckpt")
    (found,) = findings_in(tmp_path)
    assert (found["path"], found["path_b64"]) == ("a/\\xff.ckpt", "YS//LmNrcHQ=")


@pytest.mark.tty
def test_a_terminal_shows_findings_under_their_run(run: Path, programs: Path) -> None:
    train(run.parent / "b")
    (run / "last.ckpt").symlink_to("epoch=9.ckpt")
    env = environment(PATH=f"{programs}:{os.environ['PATH']}")
    with Terminal(["ckptctl", "doctor", "runs"], cwd=run.parent.parent, env=env, columns=80) as terminal:
        code, text = terminal.finish()
    assert code == 5
    assert text.splitlines() == [
        "runs/a   1 error",
        "  error   last.ckpt   dangling-link",
        "          leads to 'epoch=9.ckpt', which is not there",
        "          hint: ckptctl link runs/a --last",
        "",
        "1 error · 2 runs, 8 checkpoints looked at",
    ]


def seen(answer: Answer) -> list[str]:
    return [row["id"] for row in answer.rows]


def test_a_pin_without_its_ending_is_told_with_the_right_name(run: Path) -> None:
    write(run, {f"{BEST[:-5]}.keep": b""})
    answer = call("doctor", run)
    assert seen(answer) == ["orphan-pin"]
    assert answer.rows[0]["hint"].endswith(f"mv -n {run}/{BEST[:-5]}.keep {run}/{BEST}.keep")

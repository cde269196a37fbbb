from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ckptctl.doctor.run_checks import _FINDINGS
from tests.cli.calls import PROGRAM, ROOT, Answer, call, environment, listing, save, state
from tests.cli.ills import BEST, ILLS, LAST, RANK_0, Ill, deepspeed, pair, train, write
from tests.cli.schema import DOCTOR, misfits
from tests.terminal import Terminal


def findings_in(folder: Path, *flags: str) -> list[dict[str, Any]]:
    document = call("doctor", folder, "--json", *flags).json
    assert misfits(document, DOCTOR) == []
    return list(document["findings"])


@pytest.mark.parametrize("case", ILLS, ids=lambda it: f"{it.id} {it.what}".rstrip())
def test_what_is_wrong_is_found_where_it_is_and_only_there(tmp_path: Path, case: Ill) -> None:
    case.ill(tmp_path / "ill" / "a")
    told = [it for it in findings_in(tmp_path / "ill") if it["id"] == case.id]
    assert [(it["severity"], it["path"]) for it in told] == [(case.severity, f"a/{case.path}".rstrip("/"))]
    assert told[0]["text"]
    assert told[0]["hint"]
    case.well(tmp_path / "well" / "a")
    assert case.id not in {it["id"] for it in findings_in(tmp_path / "well")}


def test_every_id_is_shown_here_and_told_in_the_documentation() -> None:
    sources = sorted((ROOT / "ckptctl" / "doctor").glob("*.py"))
    text = "".join(path.read_text() for path in sources)
    known = set(re.findall(r'Finding\(\s*"([a-z-]+)"', text)) | _FINDINGS.keys()
    assert {case.id for case in ILLS} | {"unreadable"} == known
    section = (ROOT / "docs" / "how-to.md").read_text().partition("| id | what is wrong |")[2].partition("\n\n")[0]
    told = [
        name for line in section.splitlines() for name in re.findall(r"`([a-z-]+)`", line.split("|")[1] if line else "")
    ]
    assert sorted(told) == sorted(known)


def test_nothing_is_changed(tmp_path: Path) -> None:
    for number, case in enumerate(ILLS):
        case.ill(tmp_path / str(number) / "a")
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
    assert call("doctor", run).rows[0]["hint"].startswith(f"remove {run}/last.pt by hand")


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
    write(run, {".ckptctl/trash/t/0": b"x"})
    closed = [run / LAST, train(run / "inner"), run / ".ckptctl" / "trash"]
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
        ("trash", "advice", str(run / ".ckptctl" / "trash")),
    ]
    assert answer.err == "2 errors, 1 piece of advice · 2 runs, 4 checkpoints looked at\n"


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
    (found,) = findings_in(run, "--monitor", "val_loss", "--mode", "max")
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
    pair(tmp_path, 1, 1)
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


def test_a_pin_without_its_ending_is_told_with_the_right_name(run: Path) -> None:
    write(run, {f"{BEST[:-5]}.keep": b""})
    answer = call("doctor", run)
    assert [row["id"] for row in answer.rows] == ["orphan-pin"]
    assert answer.rows[0]["hint"].endswith(f"mv -n {run}/{BEST[:-5]}.keep {run}/{BEST}.keep")


def test_no_other_command_pays_for_it(run: Path) -> None:
    told = "import sys; from ckptctl.cli.main import run; run(sys.argv[1:]); print(*sys.modules, sep='\\n')"
    for words in (["ls", run], ["ls", run, "--json"], ["prune", run, "--top-k", "1", "-n"], ["link", run, "--last"]):
        command = [sys.executable, "-c", told, *map(str, words)]
        ran = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
        modules = set(ran.stdout.split())
        assert "ckptctl.scan.runs" in modules
        assert not {it for it in modules if re.search(r"findings|doctor", it)}

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from ckptctl.core.findings import Finding, FindingCount, Hint, Report
from ckptctl.render import findings as screens
from ckptctl.render.json import doctor
from ckptctl.render.text import measure
from tests.cli.schema import DOCTOR, misfits
from tests.render.samples import NASTY, reports

RUN = "r"


def finding(path: str = "r/last.ckpt", text: str = "leads to nothing", hint: Hint | None = None) -> Finding:
    return Finding("dangling-link", "error", path, text, hint or Hint("look at it"))


def show(*found: Finding, width: int = 80, root: str = "runs/") -> list[str]:
    return "".join(screens.screen([Report(RUN, found, 1)], root=root, width=width)).splitlines()


def nasty() -> list[Report]:
    """Every nasty name in every place."""
    return [
        Report(bad, (Finding("id", "advice", f"{bad}/{bad}", bad, Hint("do {}", (bad, bad), "rm {}")),))
        for bad in NASTY
    ]


def test_a_finding_has_its_name_and_id_then_its_text_then_its_hint() -> None:
    assert show(finding()) == [
        "runs/r   1 error",
        "  error   last.ckpt   dangling-link",
        "          leads to nothing",
        "          hint: look at it",
        "",
    ]


def test_ids_stand_below_each_other() -> None:
    lines = show(finding(), finding("r/much-longer.ckpt"), finding("r"))
    assert {line.index("dangling-link") for line in lines if "dangling-link" in line} == {29}


def test_the_folder_itself_is_a_dot() -> None:
    assert "  error   .   dangling-link" in show(finding(RUN))


def test_a_long_name_is_shortened_and_its_id_is_not() -> None:
    (line,) = [line for line in show(finding(f"r/{'a' * 100}.ckpt")) if "dangling-link" in line]
    assert "…" in line
    assert measure(line) == 80


def test_prose_is_folded_and_sizes_stay_together() -> None:
    lines = show(finding(text="word " * 12 + "and then 10.6 GB of it"))
    assert [line.replace("\u00a0", " ").strip() for line in lines[2:4]] == [
        "word " * 11 + "word and then",
        "10.6 GB of it",
    ]


@pytest.mark.parametrize(
    ("hint", "lines"),
    [
        pytest.param(Hint("", ("r",), "ckptctl last {}"), ["hint: ckptctl last runs/r"], id="a command"),
        pytest.param(
            Hint("move {} away and", ("r/a", "r"), "ckptctl last {}"),
            ["hint: move runs/r/a away and:", "  ckptctl last runs/r"],
            id="a step and a command",
        ),
        pytest.param(Hint("move {}", ("r/a b",)), ["hint: move 'runs/r/a b'"], id="a step"),
    ],
)
def test_a_command_has_a_line_of_its_own(hint: Hint, lines: Sequence[str]) -> None:
    assert [line[10:] for line in show(finding(hint=hint))[3:-1]] == lines


def test_a_command_is_never_broken() -> None:
    path = f"r/{'long name ' * 20}"
    line = show(finding(hint=Hint("do", (path,), "rm {}")))[-2]
    assert line == f"{' ' * 12}rm 'runs/{path}'"


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (Hint("", ("r",), "ckptctl last {}"), "ckptctl last runs/r"),
        (Hint("move {} and", ("r/it's", "r"), "ls {}"), """move 'runs/r/it'"'"'s' and: ls runs/r"""),
        (Hint("move {}", ("r/{}",)), "move 'runs/r/{}'"),
        (Hint("nothing to do"), "nothing to do"),
    ],
)
def test_a_hint_in_one_line_has_its_paths_as_a_shell_wants_them(hint: Hint, text: str) -> None:
    assert screens.write_hint(hint, "runs") == text


def test_a_run_in_which_all_is_well_is_not_told() -> None:
    assert "".join(screens.screen([Report("r", (), 3)])) == ""


@pytest.mark.parametrize(
    ("count", "line"),
    [
        (FindingCount(1, 1), "All is well · 1 run, 1 checkpoint looked at\n"),
        (FindingCount(3, 1200), "All is well · 3 runs, 1\u00a0200 checkpoints looked at\n"),
        (FindingCount(2, 9, 1, 0), "1 error · 2 runs, 9 checkpoints looked at\n"),
        (FindingCount(2, 9, 0, 1), "1 piece of advice · 2 runs, 9 checkpoints looked at\n"),
        (FindingCount(2, 9, 2, 3), "2 errors, 3 pieces of advice · 2 runs, 9 checkpoints looked at\n"),
    ],
)
def test_the_last_line_counts(count: FindingCount, line: str) -> None:
    assert screens.closing(count) == line


def test_rows_are_tab_separated_under_their_heads() -> None:
    heads, *lines = "".join(screens.rows(reports(), root="runs")).splitlines()
    assert heads.split("\t") == ["severity", "id", "path", "text", "hint"]
    assert lines[0].split("\t") == [
        "error",
        "dangling-link",
        "runs/lr1e-3/version_0/checkpoints/last.ckpt",
        "leads to 'epoch=09.ckpt', which is not there",
        "ckptctl link runs/lr1e-3/version_0/checkpoints --last",
    ]
    assert {line.count("\t") for line in lines} == {4}


def test_json_is_as_the_contract_has_it() -> None:
    document = json.loads("".join(doctor(reports(), root="runs")))
    assert misfits(document, DOCTOR) == []
    assert [it["id"] for it in document["findings"]] == [
        "dangling-link",
        "damaged",
        "reused-folder",
        "orphan-pin",
        "trash",
    ]
    assert document["totals"] == {"runs": 3, "checkpoints": 9, "errors": 2, "advice": 3}


def test_json_of_nothing_is_a_document_too() -> None:
    document = json.loads("".join(doctor([], root="runs")))
    assert (document["findings"], misfits(document, DOCTOR)) == ([], [])


def test_no_name_reaches_the_screen_as_it_is() -> None:
    written = [
        "".join(screens.screen(nasty(), width=80)),
        "".join(screens.rows(nasty())),
        "".join(doctor(nasty(), root=".")),
    ]
    for text in written:
        plain = text.replace("\n", "").replace("\t", "").replace("\u00a0", "")
        assert plain.isprintable()
    assert written[1].count("\n") == len(NASTY) + 1
    assert misfits(json.loads(written[2]), DOCTOR) == []


@pytest.mark.parametrize("width", [1, 20, 40])
def test_no_terminal_is_too_narrow(width: int) -> None:
    assert "".join(screens.screen(reports(), width=width))

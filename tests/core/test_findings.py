"""What is wrong with a run, told from its values alone."""

from __future__ import annotations

from typing import Literal

import pytest

from ckptctl.core.findings import (
    DoctorContext,
    Finding,
    FindingCount,
    Hint,
    Report,
    describe_names,
    relocate_report,
    sort_findings,
)
from ckptctl.core.model import Checkpoint, Entry, Note, Pointer, PointerState, Roster, Run, State
from ckptctl.doctor.run_checks import examine_run
from tests.core.samples import HOUR, NOW, run_of, save, saves, score
from tests.wording import said, worded

KNOWN = DoctorContext(NOW)
WHEN = "100 B, written 41d ago"


def find(run: Run, known: DoctorContext = KNOWN) -> list[Finding]:
    return [it._replace(text=worded(it.text)) for it in examine_run(run, known)]


def ids(run: Run, known: DoctorContext = KNOWN) -> list[tuple[str, str, str]]:
    return [(it.id, it.severity, it.path) for it in find(run, known)]


def link(path: str, target: str | None, state: PointerState = "ok") -> Pointer:
    return Pointer(path, "symlink", target, state)


def text(path: str, target: str | None, kind: Literal["text", "json"] = "text") -> Pointer:
    return Pointer(path, kind, target, "ok" if target else "dangling")


RANK = Note("missing-part", kind="rank", number=9)


def family(path: str, members: int, state: State = "partial", note: Note = RANK) -> Checkpoint:
    entries = tuple(Entry(f"{path}-{it}", "file", 1, NOW - HOUR, (1, it)) for it in range(members))
    return save(path, step=5, state=state, note=note)._replace(unit="family", entries=entries)


def test_a_sound_run_has_no_findings() -> None:
    run = run_of(*saves(0.5, 0.4), pointers=[link("last.ckpt", "epoch=1.ckpt"), link("best.ckpt", "epoch=1.ckpt")])
    assert find(run) == []


# Listing


def test_a_folder_that_could_not_be_listed_is_an_error_with_its_reason() -> None:
    run = run_of(*saves(0.5), path="r", listed=False)._replace(
        notices=(Note("unlisted", path="r/x", why="permission denied"), said("lr is odd"))
    )
    found = find(run, KNOWN._replace(failures={"r/x": "permission denied"}))
    assert [(it.id, it.severity, it.path, it.text) for it in found] == [
        ("unreadable", "error", "r/x", "could not be listed: permission denied"),
        ("notice", "advice", "r", "lr is odd"),
    ]


def test_the_failure_of_the_root_itself_is_told_once() -> None:
    run = run_of(listed=False)._replace(notices=(Note("unlisted", path="", why="stale file handle"),))
    assert ids(run, KNOWN._replace(failures={"": "stale file handle"})) == [("unreadable", "error", "")]


def test_a_listing_that_is_not_whole_is_an_error_even_if_nobody_knows_why() -> None:
    assert ids(run_of(*saves(0.5), path="r", listed=False)) == [("unreadable", "error", "r")]


# Names that stand for checkpoints


@pytest.mark.parametrize(
    ("state", "said", "found", "severity", "words"),
    [
        ("dangling", "gone.ckpt", "dangling-link", "error", "leads to 'gone.ckpt', which is not there"),
        ("dangling", "", "dangling-link", "error", "leads to nothing"),
        ("loop", "x", "looping-link", "error", "leads back to itself"),
        ("outside", "/far", "link-outside", "advice", "leads out of what was looked at, to '/far'"),
        ("outside", "", "link-outside", "advice", "leads out of what was looked at"),
    ],
)
def test_a_link_that_leads_nowhere_says_where(
    state: PointerState, said: str, found: str, severity: str, words: str
) -> None:
    run = run_of(*saves(0.5, 0.4), pointers=[link("x.ckpt", None, state)])
    (finding,) = find(run, KNOWN._replace(said={"x.ckpt": said} if said else {}))
    assert (finding.id, finding.severity, finding.text) == (found, severity, words)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        pytest.param("r/last.ckpt", "ckptctl link {} --last", id="last"),
        pytest.param("r/latest.ckpt", "ckptctl link {} --last --name latest", id="latest"),
        pytest.param("r/best.ckpt", "ckptctl link {} --best", id="best"),
        pytest.param("r/other.ckpt", "", id="another word"),
        pytest.param("r/last.pt", "", id="another ending"),
        pytest.param("r/last", "", id="no ending, where the checkpoint has one"),
        pytest.param("last.ckpt", "", id="another folder"),
    ],
)
def test_our_command_is_named_where_it_makes_that_very_link(name: str, command: str) -> None:
    run = run_of(save("r/epoch=1.ckpt", 0.5, epoch=1), path="r", pointers=[link(name, None, "dangling")])
    hint = find(run)[0].hint
    if command:
        assert hint == Hint("", ("r",), command)
    else:
        assert hint == Hint("remove {} by hand, or let it lead to a checkpoint that is here", (name,))


@pytest.mark.parametrize(
    ("monitor", "mode", "flags"),
    [
        (None, "auto", ""),
        ("val/acc", "max", " --monitor val/acc --mode max"),
        ("a b", "min", " --mode min"),
        ("$(x)", "auto", ""),
        ("-x", "auto", ""),
    ],
)
def test_what_was_asked_for_is_asked_of_the_command_too(monitor: str | None, mode: str, flags: str) -> None:
    run = run_of(save("a.ckpt", epoch=1), pointers=[link("best.ckpt", None, "loop"), link("last.ckpt", None, "loop")])
    commands = [it.hint.command for it in find(run, DoctorContext(NOW, monitor, mode)) if it.id == "looping-link"]
    assert commands == [f"ckptctl link {{}} --best{flags}", "ckptctl link {} --last"]


def test_a_link_to_a_folder_needs_no_ending() -> None:
    run = run_of(save("r/step-10", step=10), path="r", pointers=[link("r/latest", None, "dangling")])
    assert find(run)[0].hint.command == "ckptctl link {} --last --name latest"


def test_where_nothing_whole_is_left_a_broken_link_can_only_go() -> None:
    broken = save("a.ckpt", state="live")
    (finding,) = find(run_of(broken, pointers=[link("last.ckpt", None, "dangling")]))
    assert finding.hint == Hint("nothing whole is left here to link: remove {} by hand", ("last.ckpt",))


def test_links_alone_that_lead_nowhere_are_an_empty_run() -> None:
    run = run_of(path="r", pointers=[link("r/last.ckpt", None, "dangling"), link("r/a.ckpt", None, "loop")])
    assert ids(run) == [
        ("dangling-link", "error", "r/last.ckpt"),
        ("looping-link", "error", "r/a.ckpt"),
        ("empty-run", "advice", "r"),
    ]


@pytest.mark.parametrize("pointer", [link("r/last.ckpt", "s/a.ckpt"), link("r/last.ckpt", None, "outside")])
def test_a_link_that_leads_somewhere_is_no_empty_run(pointer: Pointer) -> None:
    assert "empty-run" not in {it.id for it in find(run_of(path="r", pointers=[pointer]))}


@pytest.mark.parametrize("kind", ["text", "json"])
def test_a_tracker_that_names_nothing_is_an_error(kind: Literal["text", "json"]) -> None:
    run = run_of(*saves(0.5), pointers=[text("latest", None, kind)])
    (finding,) = find(run, KNOWN._replace(said={"latest": "step9"}))
    assert (finding.id, finding.severity) == ("dangling-pointer", "error")
    assert finding.text == "names 'step9', which is not here: training will fail to resume, or start from scratch"
    assert finding.hint.paths == ("latest", "epoch=0.ckpt")


def test_a_tracker_without_any_checkpoint_may_go() -> None:
    (finding,) = find(run_of(pointers=[text("latest", None)]))[:1]
    assert worded(finding.text).startswith("names no checkpoint that is here: ")
    assert finding.hint == Hint("restore what it names from a copy; to start anew, remove {} by hand", ("latest",))


def test_a_best_that_is_gone_does_not_keep_training_from_resuming() -> None:
    (finding,) = find(run_of(*saves(0.5), pointers=[text("best", None)]), KNOWN._replace(said={"best": "x"}))
    assert finding.text == "names 'x', which is not here"


def test_what_a_checkpoint_itself_remembers_as_best_is_advice() -> None:
    run = run_of(save("c-1", step=1), pointers=[text("c-1/state.json", None, "json")])
    assert ids(run) == [("dangling-pointer", "advice", "c-1/state.json")]


@pytest.mark.parametrize(("form", "severity"), [("json", "error"), ("textproto", "advice")])
def test_a_list_of_what_is_gone_is_told_of(form: Literal["json", "textproto"], severity: str) -> None:
    roster = Roster("list", form, (("epoch=0.ckpt", "epoch=0.ckpt"),))
    run = run_of(*saves(0.5))._replace(rosters=(roster,))
    (finding,) = find(run, KNOWN._replace(lost={"list": ["x/c-1", "x/c-2", "x/c-3", "x/c-4"]}))
    assert (finding.id, finding.severity) == ("roster-names-missing", severity)
    assert worded(finding.text).startswith("lists what is not here: 'c-1', 'c-2', 'c-3' and 1 more")
    assert find(run, KNOWN._replace(lost={"list": []})) == []


# Names that stand for another one than they should


@pytest.mark.parametrize(
    ("older", "newer", "is_stale"),
    [
        pytest.param({"step": 10}, {"step": 20}, True, id="by step"),
        pytest.param({"epoch": 1}, {"epoch": 2}, True, id="by epoch"),
        pytest.param({"step": 20, "epoch": 1}, {"step": 20, "epoch": 2}, False, id="of one step"),
        pytest.param({}, {}, False, id="without numbers"),
        pytest.param({"step": 10}, {"step": 20, "lineage": 1}, False, id="of another training"),
        pytest.param({"step": 10}, {"step": 20, "roles": ("exception",)}, False, id="saved in between"),
        pytest.param({"step": 10}, {"step": 20, "state": "partial"}, False, id="half written"),
    ],
)
def test_a_last_is_stale_where_a_newer_one_is_whole(
    older: dict[str, int], newer: dict[str, int], is_stale: bool
) -> None:
    one, other = save("a.ckpt", **older), save("b.ckpt", at=HOUR, **newer)  # type: ignore[arg-type]
    found = find(run_of(one, other, pointers=[link("last.ckpt", "a.ckpt")]))
    assert ("stale-last" in {it.id for it in found}) is is_stale


def test_a_save_counter_orders_too() -> None:
    one, other = (save(f"c_{it}")._replace(counter=it) for it in (1, 2))
    assert ids(run_of(one, other, pointers=[text("latest", "c_1")])) == [("stale-last", "advice", "latest")]
    own = one._replace(path="last", roles=("last",))
    (finding,) = find(run_of(own, other))
    assert finding.text == "was saved at save 1, before 'c_2' (at save 2)"


@pytest.mark.parametrize("name", ["last.ckpt", "latest", "last_checkpoint", "latest-rank0.pt.symlink", "checkpoint"])
@pytest.mark.parametrize("kind", ["symlink", "hardlink", "text"])
def test_many_names_mean_the_newest(name: str, kind: Literal["symlink", "hardlink", "text"]) -> None:
    run = run_of(*saves(0.5, 0.4), pointers=[Pointer(name, kind, "epoch=0.ckpt", "ok")])
    (finding,) = find(run)
    assert (finding.id, finding.path) == ("stale-last", name)
    assert finding.text == "names 'epoch=0.ckpt', which is older than 'epoch=1.ckpt'"


@pytest.mark.parametrize("name", ["lastly.ckpt", "epoch=last", "checkpoint_old", "first.ckpt"])
def test_other_names_may_stand_for_any(name: str) -> None:
    assert find(run_of(*saves(0.5, 0.4), pointers=[link(name, "epoch=0.ckpt")])) == []


def test_a_last_of_its_own_is_told_of_with_a_command_that_does_better() -> None:
    own = save("r/last.ckpt", step=5, epoch=0, roles=("last",))
    (finding,) = find(run_of(save("r/a.ckpt", 0.5, step=10, epoch=1), own, path="r"))
    assert finding.text == "was saved at step 5, before 'a.ckpt' (at step 10)"
    assert finding.hint == Hint("resume from the newest instead, which this prints", ("r",), "ckptctl last {}")


@pytest.mark.parametrize(
    "own",
    [
        pytest.param(save("last.ckpt", step=20, roles=("last",)), id="newer"),
        pytest.param(save("last_mosaic_epoch.pth", step=5, roles=("last",)), id="the last of something else"),
        pytest.param(save("last.ckpt", step=5, roles=("last",), state="live"), id="being written"),
    ],
)
def test_a_last_of_its_own_may_be_right(own: Checkpoint) -> None:
    assert find(run_of(save("a.ckpt", 0.5, step=10), own)) == []


@pytest.mark.parametrize(
    ("target", "values", "is_stale"),
    [
        pytest.param(0, (0.5, 0.4), True, id="another is better"),
        pytest.param(1, (0.5, 0.4), False, id="it is the best"),
        pytest.param(0, (0.4, 0.4), False, id="a tie"),
        pytest.param(0, (None, 0.4), False, id="it has no score"),
    ],
)
def test_a_best_is_stale_where_another_is_better(target: int, values: tuple[float | None, ...], is_stale: bool) -> None:
    found = find(run_of(*saves(*values), pointers=[link("best.ckpt", f"epoch={target}.ckpt")]))
    assert [it.id for it in found] == ["stale-best"] * is_stale


def test_a_best_is_not_stale_for_what_rounding_hides() -> None:
    one = save("a.ckpt", epoch=0, metrics={"val_loss": score(0.4, "0.4", "name")})
    other = save("b.ckpt", epoch=1, metrics={"val_loss": score(0.38)})
    assert find(run_of(one, other, pointers=[link("best.ckpt", "a.ckpt")])) == []


def test_nothing_is_best_where_nothing_can_win() -> None:
    run = run_of(*saves(float("nan")), pointers=[link("best.ckpt", "epoch=0.ckpt")])
    assert find(run) == []


def test_a_metric_and_its_mode_may_be_asked_for() -> None:
    run = run_of(*saves(0.5, 0.4), pointers=[link("best.ckpt", "epoch=1.ckpt")])
    assert find(run) == []
    assert [it.id for it in find(run, DoctorContext(NOW, "val_loss", "max"))] == ["stale-best", "mode-against-name"]


def test_a_mode_that_training_recorded_against_the_name_is_doubted() -> None:
    (finding,) = find(run_of(*saves(0.5), mode="max"))
    assert (finding.id, finding.severity) == ("mode-against-name", "advice")
    assert finding.text == "training's record says max, but 'val_loss' reads as if min were better: max counts"


@pytest.mark.parametrize("metric", ["gap", "val_loss"])
def test_without_a_metric_that_anyone_can_tell_nothing_is_said_of_it(metric: str) -> None:
    one = save("a.ckpt", epoch=0, metrics={metric: score(1), "other": score(1)})
    assert find(run_of(one, monitor=None, mode=None)) == []


# States


HALF, UNPROVED = "a save that was not finished", "nobody can tell whether it is whole"


@pytest.mark.parametrize(
    ("state", "note", "found", "severity", "words"),
    [
        ("partial", Note("missing-file", name="x.json"), "unfinished", "error", f"{HALF}: x.json is missing"),
        ("partial", None, "unfinished", "error", f"{HALF}: partial"),
        ("partial", Note("missing-part", kind="rank", number=1), "missing-part", "error", "rank 1 is missing"),
        ("partial", Note("missing-part", kind="shard", number=0), "missing-part", "error", "shard 0 is missing"),
        ("partial", Note("missing-rank", rank=(0, 1), pattern=r"a-\d"), "missing-part", "error", "rank 0, 1 of a-N is"),
        ("partial", Note("missing-share", folder="tp_1"), "missing-part", "error", "the share of tp_1 is missing"),
        ("partial", Note("missing-shard", name="m-02-of-04.st"), "missing-part", "error", "m-02-of-04.st is missing"),
        ("doubtful", Note("fewer-ranks", ranks=1, most=2), "missing-part", "error", "it has the files of"),
        ("damaged", Note("cut-short", size=10**9, expected=2 * 10**9), "damaged", "error", "cut short: 1.0 GB of 2.0"),
        ("doubtful", Note("uncommitted", file="latest", step=5), "uncommitted", "advice", "newer than what training"),
        ("doubtful", Note("ambiguous-layout", layouts=("a", "b")), "ambiguous-layout", "advice", "it may be of a or"),
        (
            "doubtful",
            Note("several-series", series=("a", "b")),
            "mixed-series",
            "advice",
            "two names have the same words",
        ),
        ("doubtful", Note("missing-everywhere", why=RANK), "unproved", "advice", UNPROVED),
        ("doubtful", Note("unreadable", why="I/O error"), "unreadable", "error", "cannot be read: I/O error"),
        (
            "doubtful",
            Note("unreadable-part", name="m", why="I/O error"),
            "unreadable",
            "error",
            "m cannot be read: I/O",
        ),
        ("doubtful", Note("unknown-format"), "unproved", "advice", f"{UNPROVED}: in no"),
    ],
)
def test_a_note_tells_what_is_wrong(state: State, note: Note | None, found: str, severity: str, words: str) -> None:
    run = run_of(*saves(0.5), save("new", step=99, epoch=9, state=state, note=note))
    (finding,) = find(run)
    assert (finding.id, finding.severity, finding.path) == (found, severity, "new")
    assert worded(finding.text).startswith(words)


@pytest.mark.parametrize(
    ("state", "note"), [("live", Note("just-written", age=4 * 10**9)), ("unchecked", None), ("complete", None)]
)
def test_what_is_whole_or_in_the_writing_is_no_finding(state: State, note: Note | None) -> None:
    assert find(run_of(*saves(0.5), save("new", step=99, epoch=9, state=state, note=note))) == []


def leftover(**more: object) -> Checkpoint:
    fields = {"step": 99, "epoch": 9, "state": "partial", "note": Note("missing-file", name="x"), **more}
    return save("new", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("checkpoint", "pointers", "severity"),
    [
        pytest.param(leftover(), [], "error", id="the highest number"),
        pytest.param(leftover(step=1, epoch=0), [], "advice", id="a lower one"),
        pytest.param(leftover(step=None, epoch=None), [], "advice", id="no number"),
        pytest.param(leftover(note=Note("in-progress-name")), [], "advice", id="a name under way"),
        pytest.param(leftover(note=Note("unfinished-marker")), [], "advice", id="marked"),
        pytest.param(leftover(roles=("export",)), [], "advice", id="set aside"),
        pytest.param(leftover(), [text("latest", "epoch=0.ckpt")], "advice", id="training resumes from another"),
        pytest.param(leftover(step=1, epoch=0), [text("latest", "new")], "error", id="training resumes from it"),
        pytest.param(leftover(), [text("latest", None)], "error", id="training's note leads nowhere"),
    ],
)
def test_a_leftover_is_an_error_where_training_would_resume_from_it(
    checkpoint: Checkpoint, pointers: list[Pointer], severity: str
) -> None:
    found = find(run_of(*saves(0.5), checkpoint, pointers=pointers))
    assert [finding.severity for finding in found if finding.id == "unfinished"] == [severity]


def test_a_leftover_says_its_size_and_age() -> None:
    (finding,) = find(run_of(*saves(0.5), leftover()))
    assert finding.text == f"a save that was not finished: x is missing; {WHEN}"


def test_a_leftover_that_stands_in_the_way_is_moved_and_another_resumed_from() -> None:
    (finding,) = find(run_of(*saves(0.5), leftover(), path="r"))
    words = "once no training runs here, move {} away by hand, and resume from what this prints"
    assert finding.hint == Hint(words, ("new", "r"), "ckptctl last {}")


def test_where_nothing_whole_is_left_only_a_copy_helps() -> None:
    (finding,) = find(run_of(leftover()))
    assert finding.hint == Hint("nothing whole is here to resume from: restore from a copy: {}", ("new",))


@pytest.mark.parametrize(
    ("members", "words", "paths"),
    [
        (2, "remove by hand: {} {}", ("ckpt-5-0", "ckpt-5-1")),
        (9, "remove by hand: {} and the 8 other parts of it", ("ckpt-5-0",)),
    ],
)
def test_a_familys_parts_are_named_while_they_are_few(members: int, words: str, paths: tuple[str, ...]) -> None:
    (finding,) = find(run_of(save("ckpt-9", step=9), family("ckpt-5", members)))
    assert finding.severity == "advice"
    assert finding.hint.text.endswith(words)
    assert finding.hint.paths == paths


def test_damage_names_what_to_resume_from_only_where_it_is_the_newest() -> None:
    old = save("old.ckpt", step=1, epoch=0, state="damaged")
    new = save("new.ckpt", step=99, epoch=9, state="damaged")
    assert find(run_of(*saves(0.5), new))[0].hint.command == "ckptctl last {}"
    assert find(run_of(*saves(0.5), old))[0].hint.command == ""
    assert find(run_of(new))[0].hint.command == ""


def test_one_doubt_of_many_is_told_once() -> None:
    note = Note("ambiguous-layout", layouts=("a", "b"))
    doubtful = [save(f"r/c-{it}", step=it, state="doubtful", note=note) for it in range(5)]
    (finding,) = find(run_of(*doubtful, path="r"))
    assert (finding.id, finding.path) == ("ambiguous-layout", "r")
    assert finding.text == "'c-0', 'c-1', 'c-2' and 2 more: it may be of a or b"


# The run as a whole


def test_trainings_that_used_one_folder_are_told_apart() -> None:
    one, other = save("a.ckpt", 0.5, step=20), save("b.ckpt", 0.4, step=10, lineage=1, at=HOUR)
    (finding,) = find(run_of(one, other, path="r"))
    assert (finding.id, finding.path) == ("reused-folder", "r")
    assert finding.text == "more than one training saved here; of a later one: 'b.ckpt'"


def test_times_that_disagree_with_the_numbers_are_told_of() -> None:
    one, other = save("a.ckpt", 0.5, step=20), save("b.ckpt", 0.4, step=10, at=HOUR)
    (finding,) = find(run_of(one, other))
    assert finding.id == "reused-folder"
    assert worded(finding.text).startswith(
        "b.ckpt is newer than a.ckpt, which has the higher number: the numbers count"
    )


def test_two_frameworks_in_a_folder_are_told_of() -> None:
    run = run_of(save("a.ckpt", 0.5, step=10), save("c-20", 0.4, step=20)._replace(layout="keras-h5"))
    (finding,) = find(run)
    assert (finding.id, finding.severity) == ("mixed-layouts", "advice")
    assert finding.hint.command == "ckptctl ls {} --layout keras"


# Reports


ERROR = Finding("a", "error", "r/z", "", Hint("", ("r/z",)))
ADVICE = Finding("b", "advice", "r/a", "", Hint(""))


def test_errors_come_first_then_paths_decide() -> None:
    later = ERROR._replace(path="r/zz")
    assert sort_findings([ADVICE, later, ERROR]) == (ERROR, later, ADVICE)


def test_reports_add_up() -> None:
    count = FindingCount().add(Report("r", (ERROR, ADVICE, ADVICE), 4)).add(Report("s", (ERROR,), is_run=False))
    assert count == FindingCount(runs=1, checkpoints=4, errors=2, advice=2)


def test_a_report_may_be_seen_from_above() -> None:
    moved = relocate_report(Report("r", (ERROR,)), "/data")
    assert moved.path == "/data/r"
    assert moved.findings == (ERROR._replace(path="/data/r/z", hint=Hint("", ("/data/r/z",))),)


@pytest.mark.parametrize(
    ("paths", "words"),
    [(["r/a"], "'a'"), (["a", "b", "c"], "'a', 'b', 'c'"), (["a", "b", "c", "d", "e"], "'a', 'b', 'c' and 2 more")],
)
def test_a_few_names_are_told_and_the_rest_counted(paths: list[str], words: str) -> None:
    assert describe_names(paths) == words

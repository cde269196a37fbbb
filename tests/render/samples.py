"""Runs made by hand, with every kind of trouble that a screen may have to show."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ckptctl.core.findings import Finding, Hint, Report
from ckptctl.core.model import Checkpoint, Entry, Note, Pointer, Run, Score, ScoreSource, State, Stray, Unit
from ckptctl.core.ranking import Metric, RunView, view_run
from ckptctl.core.units import NANOSECONDS
from tests.wording import said

NOW = 1_800_000_000 * NANOSECONDS
"""2027-01-15T08:00:00Z."""
GB = 1_000_000_000
HOUR = 3600
DAY = 24 * HOUR
FLOAT32 = 0.30000001192092896
"""0.3 as a 32-bit float comes back."""

NASTY = (
    "\x1b[31mred",
    "\x1b]52;c;aGk=\x07",
    "\x1b]8;;http://x\x1b\\link",
    "bell\x07",
    "back\x08space",
    "line\nbreak",
    "carriage\rreturn",
    "tab\there",
    "nul\x00",
    "vertical\x0btab",
    "form\x0cfeed",
    "del\x7f",
    "csi\x9b31m",
    "next\x85line",
    "c1\x80\x9f",
    "rlo\u202egnp.tpkc",
    "lre\u202a",
    "rle\u202b",
    "pdf\u202c",
    "lro\u202d",
    "lri\u2066",
    "rli\u2067",
    "fsi\u2068",
    "pdi\u2069",
    "lrm\u200e",
    "rlm\u200f",
    "alm\u061c",
    "zwsp\u200b",
    "zwnj\u200c",
    "zwj\u200d",
    "wj\u2060",
    "bom\ufeff",
    "soft\u00adhyphen",
    "ls\u2028",
    "ps\u2029",
    "nbsp\u00a0",
    "latin1\udcff\udc80",
    "half\ud800",
    "tag\U000e0041",
    "hangul\u3164filler",
    "selector\ufe0f",
    "empty\u2800cell",
    "=HYPERLINK(1)",
    "|pipe`tick<script>",
    "'quote\"",
)
"""Names that try to move the cursor, to hide, to turn round, or to be read as something else."""


CUT = "cut short: 7.9 of 10.6 GB (end record missing)"


def score(value: float, text: str | None = None, source: ScoreSource = "state") -> Score:
    return Score(value, text, source)


def make(
    path: str,
    *,
    epoch: float | None = None,
    step: int | None = None,
    size: int = 10_600_000_000,
    age: int = 3 * DAY,
    layout: str = "lightning",
    unit: Unit = "file",
    metrics: Mapping[str, Score] | None = None,
    state: State = "complete",
    note: Note | None = None,
    roles: tuple[str, ...] = (),
    aliases: tuple[str, ...] = (),
    pinned: bool = False,
) -> Checkpoint:
    entry = Entry(path, "dir" if unit == "dir" else "file", size, NOW - age * NANOSECONDS)
    file = Entry(f"{path}/model.bin", "file", size, entry.modified)
    entries = {
        "file": (entry,),
        "dir": (entry._replace(size=0), file),
        "family": (entry, entry._replace(path=path + ".1")),
    }
    return Checkpoint(
        path, layout, unit, entries[unit], epoch, step,
        metrics=metrics or {}, state=state, note=note, roles=roles, aliases=aliases, pinned=pinned,
    )  # fmt: skip


def lightning() -> RunView:
    folder = "lr1e-3/version_0/checkpoints"
    values = ((0, 100, 0.5012, "0.50"), (1, 200, 0.4, "0.40"), (2, 300, math.nan, "nan"), (3, 400, FLOAT32, "0.30"))
    saves = [
        make(
            f"{folder}/epoch={epoch:02}-val_loss={text}.ckpt",
            epoch=epoch,
            step=step,
            metrics={"val_loss": score(value)},
        )
        for epoch, step, value, text in values
    ]
    last = make(f"{folder}/last.ckpt", epoch=4, step=500, roles=("last",))
    link = Pointer(f"{folder}/best.ckpt", "symlink", saves[-1].path, "ok")
    return view_run(Run(folder, (*saves, last), (link,), (), "val_loss", "min"))


def transformers() -> RunView:
    def save(step: int, epoch: float | None, value: float | None, age: int, *, live: bool = False) -> Checkpoint:
        return make(
            f"bert/checkpoint-{step}", epoch=epoch, step=step, size=1_300_000_000, age=age,
            layout="transformers", unit="dir",
            metrics={} if value is None else {"eval_loss": score(value, repr(value), "json")},
            state="live" if live else "complete", note=said("written 40 s ago") if live else None,
        )  # fmt: skip

    saves = (
        save(500, 1.5, 1.448512077331543, 2 * HOUR),
        save(1000, 3.0, 0.3989, HOUR),
        save(1500, None, None, 40, live=True),
    )
    return view_run(Run("bert", saves, monitor="eval_loss", mode="min"))


def odd() -> RunView:
    """A run that has everything: wide letters, damage, pins, families, more metrics than fit."""
    several = {
        "val/acc": score(0.912345),
        "val_loss": score(1e-05, "1e-05", "name"),
        "lr": score(0.001, "0.001", "csv"),
    }
    saves = (
        make("実験/模型-エポック=1.ckpt", epoch=1, metrics=several, age=40 * DAY, pinned=True),
        make("実験/e\u0301poque=2-accuracy=0.912345-loss=0.000010-a-rather-long-tail-of-a-name.ckpt", epoch=2,
             metrics={"val/acc": score(0.93)}, aliases=("実験/best.ckpt", "実験/last.ckpt", "실험.ckpt", "x")),
        make("実験/tpu", epoch=3, metrics={"val/acc": score(-math.inf)}, unit="family", layout="lightning", size=512),
        make("実験/epoch=4.ckpt", epoch=4, state="damaged", note=said(CUT)),
        make("実験/evil\x1b[31m\u202e.ckpt", epoch=5, state="partial", roles=("exception",)),
        make("実験/best.pt", state="unchecked", roles=("best",)),
    )  # fmt: skip
    strays = (Stray("実験/notes.txt", "not understood"),)
    return view_run(Run("実験", saves, strays=strays, monitor="val/acc", mode="max"))


def long(count: int = 17) -> RunView:
    saves = tuple(
        make(
            f"lr3e-4/epoch={n:02}-step={1000 * (n + 1)}-val_loss={0.2 + 1 / (n + 1):.4f}.ckpt",
            epoch=n, step=1000 * (n + 1), metrics={"val_loss": score(0.2 + 1 / (n + 1))}, age=(count - n) * DAY,
        )
        for n in range(count)
    )  # fmt: skip
    return view_run(Run("lr3e-4", saves, monitor="val_loss", mode="min"))


def nasty() -> RunView:
    """Every nasty name as a file, a metric, a role, an alias, a note, a run and a stray."""
    saves = tuple(
        make(
            f"r{bad}/{n}{bad}.ckpt", step=n, metrics={f"m{bad}": score(0.5, f"0.5{bad}", "name")},
            roles=(bad,), aliases=(f"a{bad}",), state="partial" if n % 2 else "complete", note=said(bad),
            layout=f"l{bad}",
        )
        for n, bad in enumerate(NASTY)
    )  # fmt: skip
    everything = "".join(NASTY)
    pointers = tuple(Pointer(f"p{bad}", "text", save.path, "ok") for bad, save in zip(NASTY, saves, strict=True))
    strays = tuple(Stray(f"s{bad}", f"why {bad}") for bad in NASTY)
    run = Run(everything, saves, pointers, strays, notices=tuple(said(f"notice {bad}") for bad in NASTY))
    return RunView(run, Metric(f"m{NASTY[0]}", "min"), best=saves[0].path, last=saves[-2].path)


def empty() -> RunView:
    return view_run(Run("nothing", ()))


def all_views() -> list[RunView]:
    return [lightning(), transformers(), odd(), long(), empty()]


def reports() -> list[Report]:
    """What a visit may find: in a run, in a sound one, in a folder with a name that is hard to show, and in none."""
    folder = "lr1e-3/version_0/checkpoints"
    cut, wide, trash = (
        f"{folder}/epoch=03-val_loss=0.21.ckpt",
        "実験 模型/e\u0301poque\x1b[31m.ckpt",
        ".ckptctl/trash/7f3a",
    )
    damage = "cut short: 7.9 GB of 10.6 GB (end record missing); 7.9 GB, written 3d ago"
    resume = Hint("restore {} from a copy, or resume from what this prints", (cut, folder), "ckptctl last {}")
    reuse = "more than one training saved here; of a later one: 'a.ckpt', 'b.ckpt' and 12 more"
    found = (
        Finding(
            "dangling-link",
            "error",
            f"{folder}/last.ckpt",
            "leads to 'epoch=09.ckpt', which is not there",
            Hint("", (folder,), "ckptctl link {} --last"),
        ),
        Finding("damaged", "error", cut, damage, resume),
        Finding("reused-folder", "advice", folder, reuse, Hint("give each training a folder of its own")),
    )
    pin = Finding("orphan-pin", "advice", wide, f"pins '{wide}'", Hint("remove {} by hand", (wide,)))
    left = Finding("trash", "advice", trash, "2 checkpoints, 21.2 GB", Hint("remove {} by hand", (trash,)))
    return [
        Report(folder, found, 5),
        Report("bert", (), 3),
        Report("実験 模型", (pin,), 1),
        Report("", (left,), is_run=False),
    ]

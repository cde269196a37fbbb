"""Small runs with one thing wrong, each beside one that is nearly the same and has nothing of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.cli.calls import HOUR, age, remember, save, state, watch
from tests.cli.calls import NAMES as SAVES
from tests.layouts.tree import json_file, safetensors

Build = Callable[[Path], Path]
BEST, LAST = SAVES[2], SAVES[3]
RANK_0 = "zero_pp_rank_0_mp_rank_00_optim_states.pt"
TRACKER = "latest_checkpointed_iteration.txt"
SNAPSHOT = "checkpoint_manager_snapshot.json"
TEMPORARY = ".ckptctl-0123456789abcdef"


def train(folder: Path) -> Path:
    """Four saves in which all is well: no two are alike."""
    save(folder, SAVES)
    for epoch, name in enumerate(SAVES):
        rewrite(folder, name, state(epoch=epoch, global_step=100 * (epoch + 1)))
    return folder


def rewrite(folder: Path, name: str, data: bytes) -> Path:
    """Other content, the time as it was."""
    moment = (folder / name).stat().st_mtime
    (folder / name).write_bytes(data)
    os.utime(folder / name, (moment, moment))
    return folder


def write(folder: Path, files: Mapping[str, bytes] | None = None, ago: float = HOUR) -> Path:
    """Files of any kind, and all folders, so many seconds old."""
    for path, data in (files or {}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    for found in folder.rglob("*"):
        if found.is_dir() or found.relative_to(folder).as_posix() in (files or {}):
            age(found, ago)
    return folder


def link(folder: Path, name: str, target: str) -> Path:
    """A link in a folder that may not be there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).symlink_to(target)
    return folder


def hard_link(folder: Path, name: str) -> Path:
    """Another name of the third save."""
    os.link(train(folder) / BEST, folder / name)
    return folder


def beside(folder: Path) -> Path:
    """The folder, with a sound run beside it."""
    train(folder.parent / "b")
    return folder


def make(folder: Path, ago: float = HOUR) -> Path:
    """An empty folder of some age, beside a sound run; returns the one above it."""
    beside(folder.parent)
    folder.mkdir(parents=True)
    age(folder, ago)
    return folder.parent


def without(folder: Path, path: str) -> Path:
    """The folder, quiet, less one file."""
    (folder / path).unlink()
    return write(folder)


def deepspeed(folder: Path, *steps: int, latest: str | None = None, ranks: int = 2) -> Path:
    """Tags of so many ranks each; and the file that names the newest, where it is asked for."""
    files: dict[str, bytes] = {}
    for step in steps:
        names = [f"zero_pp_rank_{it}_mp_rank_00_optim_states.pt" for it in range(ranks)]
        files |= {f"global_step{step}/{name}": b"%d" % step for name in (*names, "mp_rank_00_model_states.pt")}
    return write(folder, files | ({} if latest is None else {"latest": latest.encode()}))


def trainer(folder: Path, *steps: int, best: str | None = None) -> Path:
    """Checkpoints of transformers' Trainer."""
    files: dict[str, bytes] = {}
    for step in steps:
        noted: dict[str, object] = {"best_model_checkpoint": best, "global_step": step, "log_history": []}
        files[f"checkpoint-{step}/trainer_state.json"] = json_file(noted)
        files[f"checkpoint-{step}/model.safetensors"] = safetensors({"step": str(step)})
    return write(folder, files)


def tensorflow(folder: Path, *listed: int) -> Path:
    """Checkpoints 1 and 2, and the list of those that the manager knows."""
    families = {f"ckpt-{it}.{end}": b"%d" % it for it in (1, 2) for end in ("index", "data-00000-of-00001")}
    lines = ['model_checkpoint_path: "ckpt-2"', *(f'all_model_checkpoint_paths: "ckpt-{it}"' for it in listed)]
    return write(folder, families | {"checkpoint": "\n".join(lines).encode()})


def ray(folder: Path, *listed: int) -> Path:
    """Checkpoints 1 and 2, and the snapshot of those that Train committed."""
    names = {it: f"checkpoint_2026-08-01_12-0{it}-00.111111" for it in (1, 2, 3)}
    items = [{"checkpoint_dir_name": names[it], "metrics": {}} for it in listed]
    snapshot = {"checkpoint_results": items, "latest_checkpoint_result": {"checkpoint_dir_name": names[2]}}
    return write(folder, {f"{names[it]}/model.pt": b"%d" % it for it in (1, 2)} | {SNAPSHOT: json_file(snapshot)})


def megatron(folder: Path, *, done: int) -> Path:
    """Two iterations, and the one that is said to be done."""
    files = {TRACKER: b"%d" % done}
    for step in (500, 1000):
        whole = {".metadata": b"\x80\x02}.", "metadata.json": b"%d" % step, "__0_0.distcp": b"%d" % step}
        files |= {f"iter_{step:07d}/{name}": data for name, data in whole.items()}
    return write(folder, files)


def pair(folder: Path, first: int, other: int, *, size: int = 1) -> Path:
    """Two saves of one length, with the same content if it is the same number."""
    for epoch, number in enumerate((first, other)):
        save(folder, [f"epoch={epoch}-val_loss=0.{epoch + 1}.ckpt"], state(weights=f"{number}" * size))
    return folder


def restarted(folder: Path) -> Path:
    """Four saves, the first two hours younger than the last."""
    moment = (train(folder) / LAST).stat().st_mtime + 2 * HOUR
    os.utime(folder / SAVES[0], (moment, moment))
    return folder


def recorded(folder: Path, mode: str) -> Path:
    """A run whose training recorded a mode."""
    scores = {BEST: 0.3, LAST: 0.35}
    data = remember(epoch=3, global_step=400, callbacks=watch("/there", scores, mode=mode))
    return rewrite(train(folder), LAST, data)


def with_last(folder: Path, step: int) -> Path:
    """A run with a save of its own under the name of the last."""
    return save(train(folder), ["last.ckpt"], state(epoch=2, global_step=step))


class Ill(NamedTuple):
    """What must be found, and where it must not."""

    id: str
    severity: str
    path: str
    """Relative to the run."""
    ill: Build
    well: Build
    what: str = ""
    """What tells it from others of its id."""


ILLS = (
    Ill("dangling-link", "error", "last.ckpt",
        lambda it: link(train(it), "last.ckpt", "epoch=9.ckpt"),
        lambda it: link(train(it), "last.ckpt", LAST)),
    Ill("dangling-link", "error", "newest",
        lambda it: link(deepspeed(it, 1), "newest", "global_step9"),
        lambda it: link(deepspeed(it, 1), "data", "/nowhere/data"), "to a folder"),
    Ill("looping-link", "error", "best.ckpt",
        lambda it: link(train(it), "best.ckpt", "best.ckpt"),
        lambda it: link(train(it), "best.ckpt", BEST)),
    Ill("link-outside", "advice", "old.ckpt",
        lambda it: link(train(it), "old.ckpt", "/etc/hostname"),
        lambda it: link(train(it), "old.ckpt", SAVES[0])),
    Ill("dangling-pointer", "error", "latest",
        lambda it: deepspeed(it, 1, 2, latest="global_step9"),
        lambda it: deepspeed(it, 1, 2, latest="global_step2")),
    Ill("dangling-pointer", "error", "latest",
        lambda it: deepspeed(beside(it), latest="global_step9"),
        lambda it: deepspeed(beside(it), latest="hello world"), "where nothing else is left"),
    Ill("dangling-pointer", "error", TRACKER,
        lambda it: megatron(it, done=9),
        lambda it: megatron(it, done=1000), "by its number"),
    Ill("dangling-pointer", "error", "last",
        lambda it: write(train(it), {"last": b"epoch=9-step=1.ckpt\n"}),
        lambda it: write(train(it), {"last": LAST.encode()}), "as link --kind pointer makes it"),
    Ill("dangling-pointer", "advice", "checkpoint-2/trainer_state.json",
        lambda it: trainer(it, 1, 2, best="x/checkpoint-9"),
        lambda it: trainer(it, 1, 2, best="x/checkpoint-1"), "to the best"),
    Ill("roster-names-missing", "advice", "checkpoint",
        lambda it: tensorflow(it, 0, 1, 2),
        lambda it: tensorflow(it, 1, 2)),
    Ill("roster-names-missing", "error", SNAPSHOT,
        lambda it: ray(it, 1, 2, 3),
        lambda it: ray(it, 1, 2), "and training refuses"),
    Ill("stale-last", "advice", "last.ckpt",
        lambda it: link(train(it), "last.ckpt", SAVES[1]),
        lambda it: link(train(it), "last.ckpt", LAST)),
    Ill("stale-last", "advice", "last.ckpt",
        lambda it: with_last(it, 350),
        lambda it: with_last(it, 450), "a save of its own"),
    Ill("stale-last", "advice", "last.ckpt",
        lambda it: hard_link(it, "last.ckpt"),
        lambda it: hard_link(it, "kept.ckpt"), "a hard link"),
    Ill("stale-best", "advice", "best.ckpt",
        lambda it: link(train(it), "best.ckpt", LAST),
        lambda it: link(train(it), "best.ckpt", BEST)),
    Ill("unfinished", "error", "checkpoint-3",
        lambda it: write(trainer(it, 1, 2), {"checkpoint-3/optimizer.pt": b"x"}),
        lambda it: trainer(it, 1, 2, 3)),
    Ill("unfinished", "advice", "checkpoint-2",
        lambda it: write(trainer(it, 1, 3), {"checkpoint-2/optimizer.pt": b"x"}),
        lambda it: write(trainer(it, 1, 3), {"checkpoint-2/optimizer.pt": b"x"}, 0), "not the newest"),
    Ill("unfinished", "advice", "tmp-checkpoint-9",
        lambda it: write(trainer(it, 1), {"tmp-checkpoint-9/a": b"x"}),
        lambda it: write(trainer(it, 1), {"tmp-checkpoint-9/a": b"x"}, 0), "by its name"),
    Ill("unfinished", "advice", LAST,
        lambda it: write(train(it), {f"{LAST[:-5]}-unfinished": b""}),
        train, "by a marker"),
    Ill("missing-part", "error", "global_step3",
        lambda it: deepspeed(deepspeed(it, 1, 2), 3, ranks=1),
        lambda it: deepspeed(it, 1, 2, 3)),
    Ill("missing-part", "advice", "global_step2",
        lambda it: without(deepspeed(it, 1, 2, 3), f"global_step2/{RANK_0}"),
        lambda it: deepspeed(it, 1, 2, 3), "not the newest"),
    Ill("damaged", "error", LAST,
        lambda it: rewrite(train(it), LAST, state()[:200]),
        train),
    Ill("uncommitted", "advice", "iter_0001000",
        lambda it: megatron(it, done=500),
        lambda it: megatron(it, done=1000)),
    Ill("ambiguous-layout", "advice", "epoch_1",
        lambda it: write(it, {"epoch_1/a_model_states.pt": b"x", "epoch_1/random_states_0.pkl": b"x"}),
        lambda it: write(it, {"epoch_1/a_model_states.pt": b"x"})),
    Ill("mixed-series", "advice", "",
        lambda it: save(it, ["unet_epoch_1.pt", "unet_epoch1.pt"]),
        lambda it: save(it, ["unet_epoch_1.pt", "unet_epoch_2.pt"])),
    Ill("unproved", "advice", "epoch=0.ckpt",
        lambda it: save(it, ["epoch=0.ckpt"], b"in no format"),
        lambda it: save(it, ["epoch=0.ckpt"])),
    Ill("unproved", "advice", "",
        lambda it: write(it, {f"checkpoint-{step}/optimizer.pt": b"x" for step in (1, 2)}),
        lambda it: trainer(it, 1, 2), "all lack the same"),
    Ill("reused-folder", "advice", "", restarted, train),
    Ill("left-out", "advice", "",
        lambda it: save(train(it), ["fold_1.pt", "fold_2.pt"]),
        train),
    Ill("several-last", "advice", "",
        lambda it: save(it, ["epoch=0-val_loss=0.4-last.ckpt", "epoch=1-val_loss=0.3-last.ckpt"]),
        lambda it: save(it, ["epoch=0-val_loss=0.4.ckpt", "epoch=1-val_loss=0.3-last.ckpt"])),
    Ill("mixed-layouts", "advice", "", lambda it: trainer(train(it), 1), train),
    Ill("mode-against-name", "advice", "", lambda it: recorded(it, "max"), lambda it: recorded(it, "min")),
    Ill("duplicates", "advice", "epoch=0-val_loss=0.1.ckpt",
        lambda it: pair(it, 1, 1),
        lambda it: pair(it, 1, 2)),
    Ill("duplicates", "advice", "epoch=0-val_loss=0.1.ckpt",
        lambda it: pair(it, 1, 1, size=3 << 20),
        lambda it: pair(it, 1, 2, size=3 << 20), "of some size"),
    Ill("duplicates", "advice", "global_step1",
        lambda it: write(it, {f"global_step{step}/mp_rank_00_model_states.pt": b"x" for step in (1, 2)}),
        lambda it: deepspeed(it, 1, 2), "folders"),
    Ill("empty-run", "advice", "",
        lambda it: link(beside(it), "last.ckpt", "epoch=1.ckpt"),
        lambda it: link(beside(it), "last.ckpt", f"../b/{LAST}"), "links alone"),
    Ill("empty-run", "advice", "checkpoints",
        lambda it: make(it / "checkpoints"),
        lambda it: make(it / "checkpoints", 0)),
    Ill("empty-run", "advice", "checkpoint-500",
        lambda it: make(it / "checkpoint-500"),
        lambda it: make(it / "500"), "named as a checkpoint"),
    Ill("orphan-marker", "advice", "epoch=9-unfinished",
        lambda it: write(train(it), {"epoch=9-unfinished": b""}),
        lambda it: write(train(it), {f"{LAST[:-5]}-unfinished": b"", "why-unfinished": b"a note"})),
    Ill("orphan-pin", "advice", "epoch=9.ckpt.keep",
        lambda it: write(train(it), {"epoch=9.ckpt.keep": b""}),
        lambda it: write(train(it), {f"{LAST}.keep": b"", ".keep": b""})),
    Ill("orphan-pin", "advice", "epoch=9.ckpt.keep",
        lambda it: write(beside(it), {"epoch=9.ckpt.keep": b""}),
        lambda it: write(beside(it), {"notes.keep": b""}), "where nothing else is left"),
    Ill("temporary-name", "advice", TEMPORARY,
        lambda it: write(train(it), {TEMPORARY: b"x"}),
        lambda it: write(train(it), {TEMPORARY: b"x"}, 0)),
    Ill("trash", "advice", ".ckptctl/trash/t1",
        lambda it: write(train(it), {".ckptctl/trash/t1/0": b"x"}),
        lambda it: write(train(it), {".ckptctl/journal": b"x"})),
    Ill("notice", "advice", "",
        lambda it: write(train(it), {"metrics.csv": b"\xff\0\xff"}),
        lambda it: write(train(it), {"metrics.csv": b"epoch,step,val_loss\n"})),
)  # fmt: skip

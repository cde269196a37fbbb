"""Calling the command line in this process, and small runs to call it on."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from hashlib import sha256
from pathlib import Path
from time import time
from typing import Any, NamedTuple

from ckptctl.cli.main import run
from ckptctl.formats.torch_writer import encode_torch, make_tensor

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = (sys.executable, "-m", "ckptctl")
LOSSES = {
    "epoch=0-step=100-val_loss=0.50.ckpt": 0.5,
    "epoch=1-step=200-val_loss=0.40.ckpt": 0.4,
    "epoch=2-step=300-val_loss=0.30.ckpt": 0.3,
    "epoch=3-step=400-val_loss=0.35.ckpt": 0.35,
}
"""The names of `make_run`, oldest first, and what they say."""
NAMES = list(LOSSES)
BEST, LAST = NAMES[2], NAMES[3]
HOUR = 3600


class Answer(NamedTuple):
    """What a call left behind."""

    code: int
    raw: bytes
    """Standard output."""
    err: str

    @property
    def out(self) -> str:
        return self.raw.decode()

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> Any:  # noqa: ANN401 - whether it is what it should be is what the tests ask
        return json.loads(self.raw)

    @property
    def error(self) -> Any:  # noqa: ANN401 - as above
        """What ``--json`` says on standard error; warnings may stand before it."""
        return json.loads(self.err.splitlines()[-1])["error"]

    @property
    def rows(self) -> list[dict[str, str]]:
        """Tab-separated lines under their heads."""
        heads, *rows = [line.split("\t") for line in self.lines]
        return [dict(zip(heads, row, strict=True)) for row in rows]


def call(*words: str | Path) -> Answer:
    """Run a command line as a pipe would see it."""
    said, told = io.BytesIO(), io.BytesIO()
    out, err = (io.TextIOWrapper(buffer, encoding="utf-8", newline="") for buffer in (said, told))
    with redirect_stdout(out), redirect_stderr(err):
        code = run(list(map(str, words)))
        out.flush()
        err.flush()
    return Answer(code, said.getvalue(), told.getvalue().decode())


@cache
def state(**values: object) -> bytes:
    """A whole file as Lightning writes it, without weights."""
    return encode_torch({
        "epoch": 0, "global_step": 1, "pytorch-lightning_version": "2.6.6", "state_dict": {},
        "optimizer_states": [{"lr": 1}], "callbacks": {}, **values,
    })  # fmt: skip


def watch(folder: str, scores: Mapping[str, float], *, monitor: str = "val_loss", mode: str = "min") -> dict[str, Any]:
    """The memory of a ModelCheckpoint, to be given to `state` as ``callbacks``, by `remember`."""
    key = f"ModelCheckpoint{{'monitor': '{monitor}', 'mode': '{mode}', 'every_n_train_steps': 0, 'every_n_epochs': 1}}"
    pick = min if mode == "min" else max
    return {
        key: {
            "monitor": monitor,
            "best_model_path": pick(scores, key=scores.__getitem__, default=""),
            "best_k_models": {f"{folder}/{name}": make_tensor([score]) for name, score in scores.items()},
            "dirpath": folder,
        }
    }


def remember(**values: object) -> bytes:
    """As `state`, for values that cannot be kept in a cache."""
    return state.__wrapped__(**values)


def save(folder: Path, names: Iterable[str], content: bytes | None = None) -> Path:
    """Write whole files, an hour apart, the last an hour old."""
    names = list(names)
    now = time()
    for ago, name in enumerate(reversed(names), 1):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(state() if content is None else content)
        moment = now - ago * HOUR
        os.utime(path, (moment, moment))
    return folder


def make_run(folder: Path) -> Path:
    """Four checkpoints that their names tell all about."""
    return save(folder, NAMES)


def age(path: Path, seconds: float) -> None:
    """Let a file have been written so long ago."""
    moment = path.stat().st_mtime - seconds
    os.utime(path, (moment, moment))


def listing(folder: Path) -> dict[str, str]:
    """Every path below a folder with what it is: a digest, a link's text, or a word."""
    return {path.relative_to(folder).as_posix(): _tell(path) for path in sorted(folder.rglob("*"))}


def _tell(path: Path) -> str:
    if path.is_symlink():
        return f"-> {path.readlink()}"
    if path.is_file():
        return sha256(path.read_bytes()).hexdigest()
    return "folder" if path.is_dir() else "other"


def checkpoints_in(folder: Path) -> list[str]:
    """The names of the files that end as checkpoints do."""
    return sorted(path.name for path in folder.iterdir() if path.suffix in (".ckpt", ".keras") and path.is_file())


def environment(**values: str) -> dict[str, str]:
    """For a process of its own, that runs this checkout."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "XDG_STATE_HOME")}
    return {**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm", "LANG": "C.UTF-8", **values}

"""A large tree: finding, ranking and listing 100,000 checkpoints, beside ``find`` that only prints sizes and times.

    python benchmarks/scan.py [FOLDERS [FILES [ROUNDS]]]

Every file is a whole zip as torch writes it, with the epoch and the step that its name says. To be quick to make, they
hold no weights, and the states with the scores of all are in the newest of each run only: it is the one that is read.
The tree is in the page cache when it is measured. It takes about 4 kB of disk a file, in TMPDIR.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from random import Random
from tempfile import TemporaryDirectory
from time import time

from measure import Contestant, Lap, find_ckptctl, race, tell

from ckptctl.formats.torch_writer import encode_torch, make_tensor

FOLDERS, FILES, ROUNDS = 1000, 100, 5
STEPS = 1000
"""In an epoch."""
FIND = "find -printf '%s %T@ %p'"
VERSION = "ckptctl --version"
BEST = "ckptctl best --monitor val_loss --mode min"
LIST = "ckptctl ls -q"
KEY = (
    "ModelCheckpoint{'monitor': 'val_loss', 'mode': 'min', 'every_n_train_steps': 0, 'every_n_epochs': 1,"
    " 'train_time_interval': None}"
)


def main(folders: int, files: int, rounds: int) -> None:
    """Make the tree, race the commands, tell the ratios and the memory of each entry."""
    with TemporaryDirectory() as tree:
        make_tree(tree, folders, files)
        ckptctl = find_ckptctl()
        laps = race(
            [
                Contestant(FIND, ("find", tree, "-type", "f", "-printf", "%s %T@ %p\n")),
                Contestant(VERSION, (*ckptctl, "--version")),
                Contestant(BEST, (*ckptctl, "best", tree, "--monitor", "val_loss", "--mode", "min")),
                Contestant(LIST, (*ckptctl, "ls", "-q", tree)),
            ],
            rounds,
        )
    print(f"{folders:,} folders of {files:,} checkpoints, {rounds} rounds\n")
    tell(laps, {BEST: FIND, LIST: FIND})
    print("\n| command | peak MB | bytes an entry above a bare start |")
    print("|---|--:|--:|")
    for name in (BEST, LIST):
        above = peak_of(laps[name]) - peak_of(laps[VERSION])
        print(f"| `{name}` | {peak_of(laps[name]) / 1e6:.0f} | {above / (folders * files):.0f} |")


def peak_of(laps: list[Lap]) -> int:
    """The most memory of all rounds, in bytes."""
    return max(lap.peak for lap in laps)


def make_tree(tree: str, folders: int, files: int) -> None:
    """Write the runs, saved a minute apart until an hour ago."""
    older = [encode_state(epoch, {}) for epoch in range(files - 1)]
    for number in range(folders):
        folder = f"{tree}/sweep-{number // 100}/run-{number}/checkpoints"
        os.makedirs(folder)
        scores = dict(score_epochs(number, files))
        newest = encode_state(files - 1, {f"/data/{name}": score for name, score in scores.items()})
        for epoch, (name, content) in enumerate(zip(scores, [*older, newest], strict=True)):
            save(f"{folder}/{name}", content, time() - 3600 - 60 * (files - epoch))


def score_epochs(number: int, files: int) -> Iterator[tuple[str, float]]:
    """Names and scores of a run: a falling loss with some noise, told with four digits."""
    random = Random(number)  # noqa: S311 - losses, not secrets
    for epoch in range(files):
        score = round(0.2 + 1 / (epoch + 2) + random.uniform(0, 0.05), 4)
        yield f"epoch={epoch:02d}-step={STEPS * (epoch + 1)}-val_loss={score:.4f}.ckpt", score


def encode_state(epoch: int, scores: dict[str, float]) -> bytes:
    """The bytes of a checkpoint without weights; without scores, also without the callback's memory."""
    return encode_torch(
        {
            "epoch": epoch,
            "global_step": STEPS * (epoch + 1),
            "pytorch-lightning_version": "2.6.6",
            "state_dict": {},
            "loops": {},
            "callbacks": {KEY: remember(scores)} if scores else {},
            "optimizer_states": [{"state": {}, "param_groups": []}],
            "lr_schedulers": [],
        }
    )


def remember(scores: dict[str, float]) -> dict[str, object]:
    """The callback's memory of all saves of its run."""
    best, newest = min(scores, key=scores.__getitem__), list(scores)[-1]
    return {
        "monitor": "val_loss",
        "best_model_score": make_tensor([scores[best]]),
        "best_model_path": best,
        "current_score": make_tensor([scores[newest]]),
        "dirpath": "/data",
        "best_k_models": {path: make_tensor([score]) for path, score in scores.items()},
        "last_model_path": "",
    }


def save(path: str, content: bytes, modified: float) -> None:
    """Write a file with its time."""
    with open(path, "wb") as file:
        file.write(content)
    os.utime(path, (modified, modified))


if __name__ == "__main__":
    main(*(int(word) for word in [*sys.argv[1:], *map(str, (FOLDERS, FILES, ROUNDS)[len(sys.argv) - 1 :])]))

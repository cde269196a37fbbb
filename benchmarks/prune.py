"""Deleting: a prune with its journal and every check, beside ``rm -rf`` of the same; and what setting aside costs.

    python benchmarks/prune.py [CHECKPOINTS [ROUNDS]]

Each round makes its trees anew: runs of a hundred small files, whole as torch writes them, once for a prune that keeps
the last of each run and once for ``rm``; and two of a hundred files, with a gigabyte of weights each (holes, that take
no space) and without any, for ``prune --trash``, which renames them. They lie in TMPDIR.
"""

from __future__ import annotations

import json
import os
import sys
from statistics import median
from subprocess import DEVNULL, run
from tempfile import TemporaryDirectory
from time import perf_counter, time

from measure import find_ckptctl

from ckptctl.formats.torch_writer import encode_torch

CHECKPOINTS, ROUNDS = 10_000, 5
MANY = 100
"""Checkpoints in a run, and files that are set aside."""
LARGE = 10**9
WHOLE = encode_torch({"epoch": 0, "global_step": 1, "state_dict": {}, "optimizer_states": [{}], "callbacks": {}})


def main(checkpoints: int, rounds: int) -> None:
    """Race both pairs, and tell the ratios."""
    ckptctl = find_ckptctl()
    with TemporaryDirectory() as place:
        deleting = [race_deleting(f"{place}/{number}", checkpoints, ckptctl) for number in range(rounds)]
        moving = [race_moving(f"{place}/m{number}", ckptctl) for number in range(rounds)]
    print(f"{checkpoints:,} checkpoints, {rounds} rounds\n")
    print("| command | beside | ratio of time |\n|---|---|--:|")
    print(f"| `ckptctl prune --keep-last 1 --yes` | `rm -rf` | {median(deleting):.2f} |")
    print(f"| `ckptctl prune --trash`, {MANY} files of 1 GB | {MANY} empty ones | {median(moving):.2f} |")


def race_deleting(place: str, checkpoints: int, ckptctl: tuple[str, ...]) -> float:
    """How many times the time of rm a prune took."""
    for tree in ("pruned", "removed"):
        for number in range(checkpoints):
            save(f"{place}/{tree}/run-{number // MANY}", number % MANY, WHOLE)
    ours = clock(*ckptctl, "prune", f"{place}/pruned", "--keep-last", "1", "--yes")
    return ours / clock("rm", "-rf", f"{place}/removed")


def race_moving(place: str, ckptctl: tuple[str, ...]) -> float:
    """How many times the time for files without weights it took to set aside large ones."""
    laps = []
    for weights in (LARGE, 0):
        tree = f"{place}/{weights}"
        for number in range(MANY):
            save(tree, number, encode_header(weights), ending="safetensors", hole=weights)
        laps.append(clock(*ckptctl, "prune", tree, "--keep-last", "1", "--yes", "--trash"))
        assert len(os.listdir(tree)) == 2
    return laps[0] / laps[1]


def encode_header(size: int) -> bytes:
    """What a file of safetensors begins with that holds so many bytes."""
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return len(header).to_bytes(8, "little") + header


def save(folder: str, number: int, content: bytes, *, ending: str = "ckpt", hole: int = 0) -> None:
    """Write a checkpoint a minute later than the one before it, until an hour ago."""
    os.makedirs(folder, exist_ok=True)
    path = f"{folder}/epoch={number}.{ending}"
    with open(path, "wb") as file:
        file.write(content)
        file.truncate(len(content) + hole)
    moment = time() - 3600 - 60 * (MANY - number)
    os.utime(path, (moment, moment))


def clock(*command: str) -> float:
    """Seconds that a command takes, once everything before it is on the disk."""
    os.sync()
    start = perf_counter()
    run(command, check=True, stdout=DEVNULL, stderr=DEVNULL)
    return perf_counter() - start


if __name__ == "__main__":
    main(*(int(word) for word in [*sys.argv[1:], *map(str, (CHECKPOINTS, ROUNDS)[len(sys.argv) - 1 :])]))

"""Slimming and averaging large checkpoints: beside a copy of what is kept, and beside torch.

    python benchmarks/slimming.py [GIGABYTES [ROUNDS]]

The checkpoint is that of ``contents.py``, written by torch, which is also a peer: so torch must be installed. For the
average three of its slimmed copies are taken. Start-up is that of the help of ``slim``; what is left of a ratio without
it stands beside it. All lies in TMPDIR, and in the page cache when it is measured.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from statistics import median
from tempfile import TemporaryDirectory

from contents import GIGABYTES, MAKE
from measure import Contestant, Lap, find_ckptctl, race, tell, tell_fast

ROUNDS = 7
SLIM, AVERAGE = "ckptctl slim", "ckptctl average"
COPY = "cp"
START = "ckptctl slim --help"
TORCH_SLIM, TORCH_AVERAGE = "torch.load, save", "torch.load of 3, save"
CUT = """
import sys, torch
it = torch.load(sys.argv[1], weights_only=True, mmap=True)
torch.save({key: it[key] for key in it if key not in ("optimizer_states", "lr_schedulers", "callbacks")}, sys.argv[2])
"""
MEAN = """
import sys, torch
*paths, out = sys.argv[1:]
states = [torch.load(path, weights_only=True, mmap=True)["state_dict"] for path in paths]
torch.save({name: sum(it[name] for it in states) / len(states) for name in states[0]}, out)
"""


def main(gigabytes: float, rounds: int) -> None:
    """Make the checkpoints, race the commands, tell the ratios and the peaks of memory."""
    if find_spec("torch") is None:
        sys.exit("the peer is missing: pip install torch")
    with TemporaryDirectory() as folder:
        whole, kept = os.path.join(folder, "last.ckpt"), os.path.join(folder, "kept.ckpt")
        subprocess.run([sys.executable, "-c", MAKE, whole, str(int(gigabytes * 1e9 / 12))], check=True)
        subprocess.run([*find_ckptctl(), "slim", whole, "-o", kept], check=True, stdout=subprocess.DEVNULL)
        copies = [shutil.copy(kept, os.path.join(folder, f"{place}.ckpt")) for place in range(3)]
        sizes = f"{os.path.getsize(whole) / 1e9:.2f} GB, of which {os.path.getsize(kept) / 1e9:.2f} stay"
        print(f"{sizes}, {tell_fast()}, {rounds} rounds\n", flush=True)
        laps = race(contestants(folder, whole, copies), rounds)
        tell(laps, {SLIM: COPY, AVERAGE: COPY})
        print()
        tell_beyond(laps)
        print()
        peers = [*contestants(folder, whole, copies)[:2], *torch_peers(folder, whole, copies)]
        tell(race(peers, 2), {SLIM: TORCH_SLIM, AVERAGE: TORCH_AVERAGE})


def contestants(folder: str, whole: str, copies: list[str]) -> list[Contestant]:
    """Our commands, a copy of what is kept, and a start of ours that does nothing; each writes to a free name."""
    out = os.path.join(folder, "out.ckpt")
    fresh = ("sh", "-c", 'rm -f "$0" && exec "$@"', out)
    return [
        Contestant(SLIM, (*fresh, *find_ckptctl(), "slim", whole, "-o", out)),
        Contestant(AVERAGE, (*fresh, *find_ckptctl(), "average", *copies, "-o", out)),
        Contestant(COPY, (*fresh, "cp", copies[0], out)),
        Contestant(START, (*fresh, *find_ckptctl(), "slim", "--help")),
    ]


def torch_peers(folder: str, whole: str, copies: list[str]) -> list[Contestant]:
    """The same by torch, its files mapped into memory."""
    out = os.path.join(folder, "torch.ckpt")
    return [
        Contestant(TORCH_SLIM, (sys.executable, "-c", CUT, whole, out)),
        Contestant(TORCH_AVERAGE, (sys.executable, "-c", MEAN, *copies, out)),
    ]


def tell_beyond(laps: dict[str, list[Lap]]) -> None:
    """Print what each takes beside the copy once start-up is taken off, and its peak of memory."""
    print("| command | times `cp` beyond start-up | peak |")
    print("|---|--:|--:|")
    for name in (SLIM, AVERAGE):
        rounds = zip(laps[name], laps[COPY], laps[START], strict=True)
        ratio = median((own.seconds - start.seconds) / copy.seconds for own, copy, start in rounds)
        print(f"| `{name}` | {ratio:.2f} | {max(lap.peak for lap in laps[name]) / 1e6:.0f} MB |")


if __name__ == "__main__":
    main(
        float(sys.argv[1]) if sys.argv[1:] else GIGABYTES,
        int(sys.argv[2]) if sys.argv[2:] else ROUNDS,
    )

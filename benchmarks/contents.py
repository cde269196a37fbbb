"""What is inside of a large checkpoint, and whether it is whole: beside a listing, torch, and ``cksum``.

    python benchmarks/contents.py [GIGABYTES [ROUNDS]]

The checkpoint is a Lightning file of a transformer with Adam's state, written by torch, which is also a peer: so torch
must be installed. It lies in TMPDIR, and in the page cache when it is measured. What ``show`` reads of it is counted by
strace, where there is one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from tempfile import TemporaryDirectory

from measure import Contestant, find_ckptctl, race, tell, tell_fast

GIGABYTES, ROUNDS = 2.2, 9
SHOW = "ckptctl show"
VERIFY = "ckptctl verify"
DEEP = "ckptctl verify --deep"
FINITE = "ckptctl verify --finite"
LIST = "ckptctl ls (empty)"
LOAD = "torch.load(mmap=True)"
CKSUM = "cksum"
MAKE = """
import sys, torch
path, numbers = sys.argv[1], int(sys.argv[2])
width = 1024
blocks = max(1, (numbers - 50257 * width) // (12 * width * width))
shapes = {"embedding": (50257, width)}
for block in range(blocks):
    for name, shape in (("query", (3 * width, width)), ("out", (width, width)), ("up", (4 * width, width)),
                        ("down", (width, 4 * width)), ("norm", (width,)), ("bias", (width,))):
        shapes[f"blocks.{block}.{name}"] = shape
weights = {name: torch.randn(shape) for name, shape in shapes.items()}
weights["head"] = weights["embedding"]
adam = {n: {"step": torch.tensor(1.0), "exp_avg": torch.randn(s), "exp_avg_sq": torch.rand(s)}
        for n, s in enumerate(shapes.values())}
torch.save({"epoch": 4, "global_step": 500, "pytorch-lightning_version": "2.6.6", "state_dict": weights,
            "loops": {}, "callbacks": {}, "optimizer_states": [{"state": adam, "param_groups": [{"lr": 1e-4}]}],
            "lr_schedulers": [], "hyper_parameters": {"lr": 1e-4, "width": width, "blocks": blocks}}, path)
"""
READ = "import sys, torch; print(len(torch.load(sys.argv[1], mmap=True, weights_only=True)['state_dict']))"


def main(gigabytes: float, rounds: int) -> None:
    """Make the checkpoint, race the commands, tell the ratios and what was read."""
    if find_spec("torch") is None:
        sys.exit("the peer is missing: pip install torch")
    with TemporaryDirectory() as folder:
        path, empty = os.path.join(folder, "run", "epoch=4-step=500.ckpt"), os.path.join(folder, "empty")
        os.makedirs(os.path.dirname(path))
        os.mkdir(empty)
        subprocess.run([sys.executable, "-c", MAKE, path, str(int(gigabytes * 1e9 / 12))], check=True)
        os.utime(path, (1_700_000_000, 1_700_000_000))
        print(f"{os.path.getsize(path) / 1e9:.2f} GB, {tell_fast()}, {rounds} rounds\n", flush=True)
        tell(race(contestants(path, empty), rounds), {SHOW: LIST, VERIFY: LIST, DEEP: CKSUM, FINITE: CKSUM})
        print()
        peer = Contestant(LOAD, (sys.executable, "-c", READ, path))
        tell(race([contestants(path, empty)[0], peer], 3), {SHOW: LOAD})
        count = count_read(path)
        print(f"\n`{SHOW}` reads of it: {'not counted, for want of strace' if count is None else f'{count:,} bytes'}")


def contestants(path: str, empty: str) -> list[Contestant]:
    """Our commands, and those of others that each is beside."""
    ckptctl = find_ckptctl()
    return [
        Contestant(SHOW, (*ckptctl, "show", path)),
        Contestant(LIST, ("sh", "-c", '"$@" 2>/dev/null || true', "sh", *ckptctl, "ls", empty)),
        Contestant(VERIFY, (*ckptctl, "verify", path, "--json")),
        Contestant(DEEP, (*ckptctl, "verify", path, "--deep", "--json")),
        Contestant(FINITE, (*ckptctl, "verify", path, "--finite", "--json")),
        Contestant(CKSUM, ("cksum", path)),
    ]


def count_read(path: str) -> int | None:
    """Bytes that ``show`` reads of the file; None where nobody can count."""
    if shutil.which("strace") is None:
        return None
    watch = ["strace", "-f", "-y", "-e", "trace=read,pread64,preadv,preadv2,mmap"]
    ran = subprocess.run([*watch, *find_ckptctl(), "show", path], capture_output=True, text=True, check=True)
    lines = [line for line in ran.stderr.splitlines() if f"<{os.path.realpath(path)}>" in line]
    assert not any("mmap(" in line for line in lines), "a mapped file is read unseen"
    return sum(int(found[1]) for line in lines if (found := re.search(r"= (\d+)$", line)))


if __name__ == "__main__":
    main(
        float(sys.argv[1]) if sys.argv[1:] else GIGABYTES,
        int(sys.argv[2]) if sys.argv[2:] else ROUNDS,
    )

"""The kind of a file from its head and tail: beside a look at the whole pickle with Python's own modules, and ``file``.

    python benchmarks/sniffing.py [FILES [ROUNDS]]

The files are training states of a small transformer with Adam's state, and as many logs lie in another folder, which
``verify`` passes over. They lie in TMPDIR, and in the page cache when they are measured. ``file`` runs where it is
installed.
"""

from __future__ import annotations

import os
import shutil
import sys
from tempfile import TemporaryDirectory

from measure import Contestant, find_ckptctl, race, tell

FILES, ROUNDS = 1000, 7
LAYERS = 12
SNIFF = "sniff"
PICKLETOOLS = "zipfile and pickletools"
FILE = "file"
VERIFY = "ckptctl verify LOGS"
READ = "cat LOGS/*"
LOOK = """
import os, sys
from ckptctl.formats.sniff import sniff
from ckptctl.stores import open_store
store = open_store(sys.argv[1])
for name in os.listdir(sys.argv[1]):
    with store.open(name) as source:
        assert sniff(source, name).kind == "training-state"
"""
WALK = """
import os, sys, zipfile
from pickletools import genops
for name in os.listdir(sys.argv[1]):
    with zipfile.ZipFile(os.path.join(sys.argv[1], name)) as archive:
        keys = {it for _, it, _ in genops(archive.read("archive/data.pkl")) if isinstance(it, str)}
        assert {"model", "param_groups"} <= keys
"""


def make_state() -> bytes:
    """A training state as torch writes it."""
    from ckptctl.formats.torch_writer import encode_torch, make_tensor

    one = make_tensor([0.5] * 4, (4,))
    names = [f"layers.{layer}.{part}" for layer in range(LAYERS) for part in ("in.weight", "in.bias", "out.weight")]
    adam = {at: {"step": 3.0, "exp_avg": one, "exp_avg_sq": one} for at, _ in enumerate(names)}
    groups = [{"lr": 1e-3, "params": list(adam)}]
    model = dict.fromkeys(names, one)
    return encode_torch({"epoch": 3, "model": model, "optimizer": {"state": adam, "param_groups": groups}})


def main(files: int, rounds: int) -> None:
    """Write the files, race the looks at them, tell the ratios."""
    with TemporaryDirectory() as folder:
        states, logs = os.path.join(folder, "states"), os.path.join(folder, "logs")
        content = make_state()
        for place, name, data in ((states, "epoch_{}.pt", content), (logs, "{}.log", b"epoch 1 loss 0.5\n" * 200)):
            os.mkdir(place)
            for number in range(files):
                with open(os.path.join(place, name.format(number)), "wb") as file:
                    file.write(data)
        with open(os.path.join(logs, "epoch_1.pt"), "wb") as file:
            file.write(content)
        peers = {SNIFF: PICKLETOOLS, VERIFY: READ}
        contestants = [
            Contestant(SNIFF, (sys.executable, "-c", LOOK, states)),
            Contestant(PICKLETOOLS, (sys.executable, "-c", WALK, states)),
            Contestant(VERIFY, (*find_ckptctl(), "verify", logs)),
            Contestant(READ, ("sh", "-c", f"cat {logs}/*")),
        ]
        if shutil.which("file"):
            contestants.append(Contestant(FILE, ("sh", "-c", f"file {states}/*")))
        laps = race(contestants, rounds)
        tell(laps, peers)
        if FILE in laps:
            tell(laps, {SNIFF: FILE})


if __name__ == "__main__":
    asked = [int(it) for it in sys.argv[1:]]
    main(*asked, *(FILES, ROUNDS)[len(asked) :])

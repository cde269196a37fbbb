"""Start-up: what a command costs before it does anything, beside Python's own start and beside ``import click``.

    python benchmarks/startup.py [ROUNDS]

RUN is the folder of one run with ten checkpoints. Needs click in the environment, as the peer: ckptctl itself does not
use it.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from tempfile import TemporaryDirectory

from measure import Contestant, find_ckptctl, race, tell
from scan import make_tree

ROUNDS = 15
PYTHON = "python -c pass"
CLICK = "python -c 'import click'"
PEERS = {
    "ckptctl --version": PYTHON,
    "ckptctl best RUN": PYTHON,
    "ckptctl ls RUN": CLICK,
    "ckptctl --help": CLICK,
}


def main(rounds: int) -> None:
    """Race the commands on a run of ten checkpoints."""
    if find_spec("click") is None:
        sys.exit("the peer is missing: pip install click")
    with TemporaryDirectory() as run:
        make_tree(run, 1, 10)
        words = {name: [run if word == "RUN" else word for word in name.split()[1:]] for name in PEERS}
        tell(
            race(
                [
                    Contestant(PYTHON, (sys.executable, "-c", "pass")),
                    Contestant(CLICK, (sys.executable, "-c", "import click")),
                    *(Contestant(name, (*find_ckptctl(), *words[name])) for name in PEERS),
                ],
                rounds,
            ),
            PEERS,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else ROUNDS)

"""Frameworks too heavy or too choosy for the tests' own environment, each in one of its own.

    python -m tests.frameworks.environments            makes all of them
    python -m tests.frameworks.environments torch jax  makes these

They lie in the user's cache, in ``ckptctl-tests/environments``, each under its name and a hash of all that it is made
of, so that every checkout uses the same ones; ``FRAMEWORK_ENVS`` names another folder, where they lie under their names
alone. One that was made to the end is left as it is. A test runs a script of ``writers/`` in one, and is skipped with
the reason where it has not been made.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, NamedTuple

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CONSTRAINTS = os.path.join(ROOT, "constraints.txt")
GIVEN = os.environ.get("FRAMEWORK_ENVS")
CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
FOLDER = GIVEN or os.path.join(CACHE, "ckptctl-tests", "environments")
WRITERS = os.path.join(HERE, "writers")
STAMP = "made-of.txt"
"""In an environment that was made to the end: what it was made of."""
LIMIT = 900
"""Seconds that one call of pip may take."""
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "JAX_PLATFORMS": "cpu",
    "OMP_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TOKENIZERS_PARALLELISM": "false",
}
"""What the scripts are started with: nothing from the network, one thread, few words."""


class Environment(NamedTuple):
    """What one environment is made of, every version exact."""

    first: tuple[str, ...]
    """Installed before anything else, and never replaced by what follows."""
    then: tuple[str, ...] = ()
    bare: tuple[str, ...] = ()
    """Installed without what they ask for."""
    constrained: bool = True
    """Whether what all of these bring along is held to ``constraints.txt``."""

    @property
    def text(self) -> str:
        """All requirements, one a line, in the order in which they are installed."""
        return "".join(f"{line}\n" for line in (*self.first, *self.then, *self.bare))

    @property
    def digest(self) -> str:
        """A short hash of the requirements, the constraints that hold, and the Python and machine that they are for."""
        parts = [self.text, platform.python_version(), sys.base_prefix, platform.machine()]
        if self.constrained:
            with open(CONSTRAINTS, encoding="utf-8") as held:
                parts.append(held.read())
        return sha256("\0".join(parts).encode()).hexdigest()[:12]


ENVIRONMENTS = {
    "torch": Environment(
        first=("torch==2.13.0",),
        then=(
            "transformers==5.23.0",
            "accelerate==1.15.0",
            "pytorch-ignite==0.5.5",
            "mmengine==0.10.7",
            "stable-baselines3==2.9.2",
            "peft==0.21.2",
            "fvcore==0.1.5.post20221221",
        ),
        bare=("timm==1.0.31",),
    ),
    "jax": Environment(first=("jax==0.10.2",), then=("orbax-checkpoint==0.12.8", "flax==0.12.8"), constrained=False),
    "tensorflow": Environment(first=("tensorflow-cpu==2.21.0",), constrained=False),
    "boosting": Environment(
        first=("numpy==2.4.6",),
        then=("scipy==1.17.1", "narwhals==2.29.0", "lightgbm==4.7.0"),
        bare=("xgboost==3.2.0",),  # asks for half a gigabyte that only many GPUs need
        constrained=False,
    ),
}


def folder_of(name: str) -> str:
    """Where an environment is, or will be."""
    return os.path.join(FOLDER, name if GIVEN else f"{name}-{ENVIRONMENTS[name].digest}")


def python_of(name: str) -> str:
    """Its Python."""
    return os.path.join(folder_of(name), "bin", "python")


def find(name: str) -> str | None:
    """The Python of an environment that was made to the end, and of what the table says today; else None."""
    try:
        with open(os.path.join(folder_of(name), STAMP), encoding="utf-8") as stamp:
            return python_of(name) if stamp.read() == ENVIRONMENTS[name].text else None
    except FileNotFoundError:
        return None


def run(name: str, script: str, *args: str, limit: float = 300) -> str:
    """Run a script of ``writers/`` in an environment, and give back its standard output; skips where there is none."""
    import pytest

    python = find(name)
    if python is None:
        pytest.skip(f"no environment {name!r} in {FOLDER}: python -m tests.frameworks.environments {name}")
    ran = subprocess.run(
        [python, os.path.join(WRITERS, script), *args],
        capture_output=True,
        text=True,
        check=False,
        timeout=limit,
        env={**os.environ, **QUIET, "PYTHONPATH": ROOT},
    )
    if ran.returncode:
        pytest.fail(f"{script} {' '.join(args)}: exit {ran.returncode}\n{ran.stdout[-2000:]}\n{ran.stderr[-6000:]}")
    return ran.stdout


def ask(name: str, script: str, *args: str, limit: float = 300) -> Any:  # noqa: ANN401 - it has many shapes
    """Run a script as ``run`` does; the last line that it prints, read as JSON."""
    return json.loads(run(name, script, *args, limit=limit).splitlines()[-1])


def make(name: str) -> None:
    """Make an environment anew; raises CalledProcessError or TimeoutExpired where it cannot be made."""
    environment, folder = ENVIRONMENTS[name], folder_of(name)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    with open(os.path.join(folder, "first.txt"), "w", encoding="utf-8") as held:
        held.writelines(f"{line}\n" for line in environment.first)
    holding = ["-c", held.name]
    if environment.constrained:
        holding += ["-c", CONSTRAINTS]
    install(name, [*holding, *environment.first])
    install(name, [*holding, *environment.then])
    install(name, ["--no-deps", *environment.bare])
    with open(os.path.join(folder, STAMP), "w", encoding="utf-8") as stamp:
        stamp.write(environment.text)


def install(name: str, words: Sequence[str]) -> None:
    """Call the pip of an environment, if there is anything to install."""
    if any("==" in word for word in words):
        subprocess.run([python_of(name), "-m", "pip", "install", "-q", *words], check=True, timeout=LIMIT)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Let nobody else make an environment meanwhile; also who is killed lets go."""
    os.makedirs(FOLDER, exist_ok=True)
    with open(f"{folder_of(name)}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(names: Sequence[str]) -> int:
    """Make the environments that are named, or all, two at a time; the exit code is 1 if any could not be made."""
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(attempt, names or list(ENVIRONMENTS)))
    return 0 if all(made) else 1


def attempt(name: str) -> bool:
    """Make an environment unless it is there, and tell about it."""
    start = time.monotonic()
    try:
        with locked(name):
            if find(name) is None:
                make(name)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"environment {name!r} not made: {error}", file=sys.stderr)  # noqa: T201 - this is a command
        return False
    print(f"environment {name!r}: {find(name)} ({time.monotonic() - start:.0f} s)")  # noqa: T201 - as above
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

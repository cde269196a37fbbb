"""Frameworks too heavy or too choosy for the tests' own environment, each in one of its own.

    python -m tests.frameworks.environments            makes all of them, below .envs/
    python -m tests.frameworks.environments torch jax  makes these

``FRAMEWORK_ENVS`` names another folder for them. One that was made for the same requirements is left as it is. A test
runs a script of ``writers/`` in one, and is skipped with the reason where it has not been made.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
FOLDER = os.environ.get("FRAMEWORK_ENVS") or os.path.join(ROOT, ".envs")
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


def python_of(name: str) -> str:
    """Where the Python of an environment is, or will be."""
    return os.path.join(FOLDER, name, "bin", "python")


def find(name: str) -> str | None:
    """The Python of an environment that was made to the end, and of what the table says today; else None."""
    try:
        with open(os.path.join(FOLDER, name, STAMP), encoding="utf-8") as stamp:
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
    environment, folder = ENVIRONMENTS[name], os.path.join(FOLDER, name)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    with open(os.path.join(folder, "first.txt"), "w", encoding="utf-8") as held:
        held.writelines(f"{line}\n" for line in environment.first)
    holding = ["-c", held.name]
    if environment.constrained:
        holding += ["-c", os.path.join(ROOT, "constraints.txt")]
    install(name, [*holding, *environment.first])
    install(name, [*holding, *environment.then])
    install(name, ["--no-deps", *environment.bare])
    with open(os.path.join(folder, STAMP), "w", encoding="utf-8") as stamp:
        stamp.write(environment.text)


def install(name: str, words: Sequence[str]) -> None:
    """Call the pip of an environment, if there is anything to install."""
    if any("==" in word for word in words):
        subprocess.run([python_of(name), "-m", "pip", "install", "-q", *words], check=True, timeout=LIMIT)


def main(names: Sequence[str]) -> int:
    """Make the environments that are named, or all; each that failed is named, and then the exit code is 1."""
    failed = [name for name in names or list(ENVIRONMENTS) if not attempt(name)]
    return 1 if failed else 0


def attempt(name: str) -> bool:
    """Make an environment unless it is there, and tell about it."""
    start = time.monotonic()
    try:
        if find(name) is None:
            make(name)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"environment {name!r} not made: {error}", file=sys.stderr)  # noqa: T201 - this is a command
        return False
    print(f"environment {name!r}: {find(name)} ({time.monotonic() - start:.0f} s)")  # noqa: T201 - as above
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

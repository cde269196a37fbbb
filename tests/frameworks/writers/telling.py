"""What all writers share: how they are called, what they are scored with, and how they tell what is true.

    python NAME_run.py train FOLDER SEED   trains in FOLDER, and prints the truth about what it left there
    python NAME_run.py resume FOLDER…      goes on from the framework's own latest in each, and prints from where

The last line printed is JSON. Training tells of each of its folders: ``checkpoints`` oldest first, each with its
``path``, its ``members`` where it is several files, its numbers and its ``metrics``; ``others``, which are saves too,
but none of the numbered ones; ``twins``, numbered ones to those of the others that are of the very same moment;
``named``, those that files of the framework name; ``best`` and ``last``, ``monitor`` and ``mode``; ``resumes``, the
step or epoch at which it would go on; ``survivors``, what its own retention left. Paths are relative to that folder.
"""

from __future__ import annotations

import json
import math
import random
import sys
from collections.abc import Callable, Mapping
from typing import Any

Truth = dict[str, Any]


def main(train: Callable[[str, int], Truth], resume: Callable[[str], Truth]) -> None:
    """Do what the command line asks for."""
    if sys.argv[1] == "train":
        tell(train(sys.argv[2], int(sys.argv[3])))
    else:
        tell({folder: resume(folder) for folder in sys.argv[2:]})


def tell(truth: Mapping[str, object]) -> None:
    """Print the truth as the last line, on standard output."""
    sys.stdout.flush()
    sys.stdout.write("\n" + json.dumps(without_nan(truth)) + "\n")


def without_nan(value: object) -> object:
    """The same with "nan" and "inf" for the numbers that JSON does not have."""
    if isinstance(value, Mapping):
        return {str(key): without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def draw_scores(seed: int, count: int) -> list[float]:
    """So many different scores; neither the highest nor the lowest is the first or among the last two."""
    rng = random.Random(seed)  # noqa: S311 - the same seed, the same training
    drawn = sorted(rng.uniform(0.1, 0.9) for _ in range(count))
    high, low, others = drawn[-1], drawn[0], drawn[1:-1]
    rng.shuffle(others)
    middle = [*others[1 : count - 4], high, low]
    rng.shuffle(middle)
    return [others[0], *middle, *others[count - 4 :]]

"""Folders as checkpoints: listing 1,000 of twelve files each, beside ``find`` that only prints sizes and times.

    python benchmarks/layouts.py [CHECKPOINTS [ROUNDS]]

They are as Hugging Face's Trainer leaves them, a whole tree once as runs of ten and once as a single run. Every
``trainer_state.json`` repeats the scores of all saves before it, so that of each run the newest alone need be read; the
weights are left out. The files are in the page cache.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from tempfile import TemporaryDirectory
from time import time

from measure import Contestant, find_ckptctl, race, tell

from ckptctl.formats.torch_writer import encode_torch

CHECKPOINTS, ROUNDS = 1000, 15
STEPS = 500
"""Between two saves."""
SMALL = (
    "config.json",
    "generation_config.json",
    "optimizer.pt",
    "rng_state.pth",
    "scheduler.pt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
)
"""What is never looked into; with the weights, the arguments and the state they are twelve."""
WEIGHTS = (56).to_bytes(8, "little") + b'{"w":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'.ljust(56)
SHAPES = {"in runs of ten": 10, "in one run": sys.maxsize}
"""How many checkpoints a run has at most, by what the table calls it."""


def main(checkpoints: int, rounds: int) -> None:
    """Make both trees, race the commands on each, tell the ratios."""
    contestants, peers = [], {}
    with TemporaryDirectory() as place:
        for shape, most in SHAPES.items():
            tree = f"{place}/{shape.replace(' ', '-')}"
            make_tree(tree, checkpoints, min(most, checkpoints))
            find = Contestant(f"find -printf '%s %T@ %p', {shape}", ("find", tree, "-printf", "%s %T@ %p\n"))
            listings = {f"ckptctl ls{words}, {shape}": ("ls", *words.split(), tree) for words in ("", " -q")}
            contestants += [find, *(Contestant(name, (*find_ckptctl(), *it)) for name, it in listings.items())]
            peers |= dict.fromkeys(listings, find.name)
        bare = Contestant("ckptctl --version", (*find_ckptctl(), "--version"))
        laps = race([*contestants, bare], rounds)
    print(f"{checkpoints:,} checkpoint folders of {len(SMALL) + 3} files, {rounds} rounds\n")
    tell(laps, peers | {bare.name: contestants[0].name})


def make_tree(tree: str, checkpoints: int, most: int) -> None:
    """Write runs of ``most`` checkpoints each, saved a minute apart until an hour ago."""
    arguments = encode_torch({"metric_for_best_model": "eval_loss", "greater_is_better": False})
    for number in range(checkpoints):
        run, save = divmod(number, most)
        folder = f"{tree}/run-{run}/checkpoint-{STEPS * (save + 1)}"
        os.makedirs(folder)
        held = dict.fromkeys(SMALL, b"{}\n")
        held |= {"model.safetensors": WEIGHTS, "training_args.bin": arguments, "trainer_state.json": tell_state(save)}
        for name, content in held.items():
            write(f"{folder}/{name}", content, time() - 3600 - 60 * (most - save))


def tell_state(save: int) -> bytes:
    """What the Trainer knows at a save: two rows for each save so far, as it logs and evaluates."""
    best = STEPS * (save + 1)
    return json.dumps(
        {
            "best_global_step": best,
            "best_metric": score(save),
            "best_model_checkpoint": f"./run/checkpoint-{best}",
            "epoch": (save + 1) / 2,
            "global_step": best,
            "log_history": list(list_rows(save)),
        },
        indent=2,
    ).encode()


def list_rows(save: int) -> Iterator[dict[str, float]]:
    """The history, oldest first."""
    for number in range(save + 1):
        when = {"epoch": (number + 1) / 2, "step": STEPS * (number + 1)}
        yield {"loss": score(number) + 0.1, "grad_norm": 1.5, "learning_rate": 5e-05, **when}
        yield {"eval_loss": score(number), "eval_runtime": 12.3, "eval_samples_per_second": 81.3, **when}


def score(save: int) -> float:
    """A loss that falls."""
    return round(0.2 + 1 / (save + 2), 4)


def write(path: str, content: bytes, modified: float) -> None:
    """Write a file with its time."""
    with open(path, "wb") as file:
        file.write(content)
    os.utime(path, (modified, modified))


if __name__ == "__main__":
    main(*(int(word) for word in [*sys.argv[1:], *map(str, (CHECKPOINTS, ROUNDS)[len(sys.argv) - 1 :])]))

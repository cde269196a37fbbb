"""What a tensor is for, told by the keys on the way to it: weights, the optimizer's state, or something else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from ckptctl.formats.contents import Part

_OPTIMIZER = r"optimi[sz]er|(?:^|[^a-z])optims?(?:$|[^a-z])|^opts?$|opt_state|optimizer_slot"
_OTHER = (
    r"(?:^|_)(?:rngs?|random|callbacks?|loops|schedulers?|scaler|sampler|logger|dataloaders?|criterion|history)(?:$|_)"
    r"|lr_sched|^save_counter$|^_checkpointable_object_graph$|^global_step$"
)
_WEIGHTS = r"state_dict|(?:^|_)(?:model|module|net|network|params|weights|layers|ema|teacher|student)(?:$|_|\d)"
_FILE_OPTIMIZER = r"optimi[sz]er|(?:^|[^a-z])optims?(?:$|[^a-z])|\.pdopt$"
_FILE_OTHER = r"(?:^|[^a-z])rng|random_states|scheduler|scaler|sampler|training_args|trainer_state"
_FILE_ALL = r"(?:^|[^a-z])model_optim(?:$|[^a-z])"
"""Of Megatron, which keeps the weights and the optimizer's state of a rank in ``model_optim_rng.pt``."""
_USUAL: Mapping[str, Part] = {
    "state_dict": "weights",
    "model": "weights",
    "optimizer": "optimizer",
    "optimizer_states": "optimizer",
    "callbacks": "other",
    "loops": "other",
    "lr_schedulers": "other",
}
"""What most keys are: a pattern takes longer to compile than all of a listing."""


def part_of(keys: Sequence[str], *, is_number: bool = False) -> Part:
    """The part that a tensor is of; ``is_number``: it holds a single one.

    The first key that says it counts. What nothing tells is a weight, but for a single number beside the weights.
    """
    for key in keys:
        part = _say(key)
        if part is not None:
            return part
    return "other" if is_number and len(keys) == 1 else "weights"


def part_of_file(name: str) -> Part | None:
    """The part that all of a file is of, where its name says it and it is not the weights."""
    plain = name.rpartition("/")[2].lower()
    if re.search(_FILE_ALL, plain):
        return None
    if re.search(_FILE_OPTIMIZER, plain):
        return "optimizer"
    return "other" if re.search(_FILE_OTHER, plain) else None


@lru_cache(maxsize=4096)
def _say(key: str) -> Part | None:
    plain = key.lower()
    if plain in _USUAL:
        return _USUAL[plain]
    if re.search(_OPTIMIZER, plain):
        return "optimizer"
    if "." not in plain and re.search(_OTHER, plain):  # dots part the names of modules, which may be called anything
        return "other"
    return "weights" if re.search(_WEIGHTS, plain) else None

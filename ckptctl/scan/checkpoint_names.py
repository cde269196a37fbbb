"""What the names of a folder's checkpoints say: by a layout's pattern, by the grammar, or by their siblings."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from ckptctl.core.model import SET_ASIDE, Checkpoint
from ckptctl.core.names.parse import Name
from ckptctl.core.names.tokens import read_field
from ckptctl.core.ranking import UNNAMED
from ckptctl.scan.detect import Detected

if TYPE_CHECKING:
    from ckptctl.scan.loose_files import LooseCheckpoint

COUNTING = frozenset({"epoch", "step", "global_step", "index"})
"""Fields that say when, not how good."""
ROLES = SET_ASIDE | {"best", "exception", "hpc", "ema", "recovery"}
"""Groups of a layout's patterns that say what a checkpoint is for."""


def read_names(found: Sequence[Detected], start: int, parse: Callable[[list[str]], Iterable[Name]]) -> list[Name]:
    """What each name says: by its layout's pattern, or by ``parse``, in the light of all that are read by it.

    ``start``: how much of their paths is the run's folder.
    """
    free = [(it.groups.get("free") or "") if it.groups else it.path[start:] for it in found]
    is_read = [
        (not it.groups or it.groups.get("free") is not None)
        and not it.in_progress
        and (it.loose is None or it.loose.fields is None)
        for it in found
    ]
    read = iter(parse([text for text, wanted in zip(free, is_read, strict=True) if wanted]))
    return [
        _add_groups(next(read) if wanted else name_of_loose(it), it) for it, wanted in zip(found, is_read, strict=True)
    ]


def part_by_settings(checkpoints: list[Checkpoint], names: Sequence[Name]) -> list[Checkpoint]:
    """The checkpoints of a framework, in a series for each value of a field such as ``fold=1``.

    Only where the counts begin anew with each: a learning rate that falls from epoch to epoch parts nothing.
    """
    keys = set(chain.from_iterable(name.fields for name in names)) - COUNTING
    varying = sorted(_find_settings(names, keys)) if keys else []
    if not varying or len({(it.epoch, it.step) for it in checkpoints}) == len(checkpoints):
        return checkpoints
    return [
        it
        if it.series
        else it._replace(
            series=" ".join(f"{key}={name.fields[key].text}" for key in varying if key in name.fields),
            metrics={key: score for key, score in it.metrics.items() if key not in varying},
        )
        for it, name in zip(checkpoints, names, strict=True)
    ]


def _find_settings(names: Sequence[Name], keys: Collection[str]) -> Iterator[str]:
    """Keys such as ``fold`` of which the values differ from name to name."""
    from ckptctl.core.names.vocabulary import is_setting  # names of counts alone do without

    for key in filter(is_setting, keys):
        if len({name.fields[key].text for name in names if key in name.fields}) > 1:
            yield key


def name_of_loose(detected: Detected) -> Name:
    """The name of a file that no row takes, as its siblings tell it; an empty one for what its layout's groups say."""
    if detected.loose is None:
        return Name({})
    return Name(detected.loose.fields or {}, roles=detected.loose.roles)


def _add_groups(name: Name, detected: Detected) -> Name:
    """A name with what its layout's pattern says of it."""
    if not detected.groups:
        return name if detected.loose is None else _add_roles(name, detected.loose)
    said = {key: text for key, text in detected.groups.items() if text is not None}
    fields = {key: read_field(text) for key, text in said.items() if key in {"epoch", "step"}}
    if "value" in said:
        whole, dot, decimals = said["value"].partition(".")  # decimals that were not measured do not count
        fields[said.get("metric", UNNAMED)] = read_field(whole + dot + decimals[: detected.layout.digits])
    if "free" in said and detected.unit == "dir" and not _SAYS_EPOCH.search(said["free"]):
        # its bare number is not said to be of an epoch: it is read as that of a file's name would be
        name = name._replace(fields={"index" if key == "epoch" else key: it for key, it in name.fields.items()})
    roles = [key for key in said if key in ROLES]
    if detected.unit == "dir" and "free" in said and not said["free"][-1:].isdigit():
        roles.append("named")  # any name is one of this layout: this one was given by a person, and says no number
    version = int(said["version"]) if "version" in said else name.version
    return Name({**name.fields, **fields}, name.bare, name.prefix, version, (*name.roles, *roles), name.extension)


_SAYS_EPOCH = re.compile(r"(?i)ep")


def _add_roles(name: Name, loose: LooseCheckpoint) -> Name:
    """A name that a layout's grammar read, with what its siblings say it is for."""
    is_told = bool(name.roles) or name.version is not None
    roles = tuple(it for it in loose.roles if it not in name.roles and not (it == "named" and is_told))
    return name._replace(roles=(*name.roles, *roles)) if roles else name

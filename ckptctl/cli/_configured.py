"""The flags together with what is configured: flags win, then the policy that was named, then what was found."""

from __future__ import annotations

import os
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

from ckptctl.cli import _options as opt
from ckptctl.config import NamedPolicy, Settings, find_settings, read_policy_file
from ckptctl.errors import UsageError

if TYPE_CHECKING:
    from ckptctl.cli._policy_flags import Flags

_NAMES = {"filter": "filters"}
"""What a flag's field is called where that is not its own name."""
_ENUMS = {"group_by": opt.GroupName, "mode": opt.ModeName}
_FALLBACKS = ("min-age", "max-delete", "max-delete-size", "strict")
"""What was found counts for these where neither a flag nor the policy says it."""


class EffectiveConfig(NamedTuple):
    """What counts in the end."""

    flags: Flags
    spared: tuple[str, ...] = ()
    """Patterns of what found files keep."""
    trash: bool = False
    trash_for: str | None = None

    def choose_trash(self, *, trash: bool, trash_for: str | None) -> tuple[bool, int | None]:
        """Whether what goes stays in the trash, by what was typed or found, and for how many nanoseconds."""
        keeps = trash or trash_for is not None or self.trash
        return keeps, opt.read_time(trash_for or (self.trash_for if keeps else None))


def configure(flags: Flags, paths: Sequence[str]) -> EffectiveConfig:
    """Fill in what was not typed; raises UsageError for a configuration that cannot be understood."""
    found = find_settings(paths, os.environ)
    named = None if flags.policy is None else _find_policy(flags.policy, found)
    told = dict(named.values) if named else {}
    for key in _FALLBACKS:
        if key not in told and (value := found.get(key)) is not None:
            told[key] = value
    trash, trash_for = (told.pop(key, found.get(key)) for key in ("trash", "trash-for"))
    filled = {field: _fill(flags, field, value) for key, value in told.items() for field in [_field_of(key)]}
    return EffectiveConfig(flags._replace(**filled), tuple(found.get("keep") or ()), bool(trash), trash_for)


def _field_of(key: str) -> str:
    return _NAMES.get(key, key.replace("-", "_"))


def _fill(flags: Flags, field: str, value: Any) -> Any:  # noqa: ANN401 - whatever the flag takes
    """What a flag says, or else the value; of a flag that repeats both: rules add up."""
    typed = getattr(flags, field)
    if isinstance(value, list):
        return [*(typed or ()), *value]
    if field in _ENUMS:
        return _ENUMS[field](value) if typed == flags._field_defaults[field] else typed
    return value if typed is None or typed is False else typed


def _find_policy(name: str, found: Settings) -> NamedPolicy:
    """The policy of that name, or in that file; raises UsageError."""
    if "/" in name or name.endswith(".toml"):
        return read_policy_file(name)
    if name in found.policies:
        return found.policies[name]
    near = get_close_matches(name, found.policies, 1)
    known = f"there are {', '.join(sorted(found.policies))}" if found.policies else "no file has any"
    hint = f"did you mean '{near[0]}'?" if near else f"{known}; a policy is a table [policy.{name}] of ckptctl.toml"
    raise UsageError(f"there is no policy '{name}'", hint=hint)

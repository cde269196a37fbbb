"""Whether a person consents: by a flag, or by an answer."""

from __future__ import annotations

from collections.abc import Callable

from ckptctl.cli._console import Console
from ckptctl.errors import Refused


def refuse_without_consent(console: Console, ask: Callable[[], str], *, to: str, done: str) -> Refused | None:
    """Why nobody consents, if so; ``ask`` makes the question, ``to`` ends the hint for where nobody can be asked."""
    if not console.can_ask:
        return Refused("nobody to ask, and no --yes", id="no-consent", done=done, hint=f"pass --yes to {to}")
    if console.ask(ask()):
        return None
    return Refused("not confirmed", id="declined", done=done)

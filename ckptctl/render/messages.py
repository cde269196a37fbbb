"""What goes to stderr about an answer: errors, warnings. One line each, whatever is in a name."""

from __future__ import annotations

from ckptctl.errors import CkptctlError
from ckptctl.render.names import escape


def error_lines(error: CkptctlError, done: str | None = None) -> str:
    """What and where, then what was (not) done if anything could have been changed, then what to do next."""
    where = "" if error.path is None else f"{escape(error.path) or '.'}: "
    lines = [f"ckptctl: error[{error.id}]: {where}{escape(error.text)}"]
    if done is not None:
        lines.append(escape(done))
    if error.hint is not None:
        lines.append(f"hint: {escape(error.hint)}")
    return "\n".join(lines) + "\n"


def warning(text: str) -> str:
    """A line that warns."""
    return f"warning: {escape(text)}\n"


def hint(text: str) -> str:
    """A line that says what to do next."""
    return f"hint: {escape(text)}\n"

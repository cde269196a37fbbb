"""What goes to stderr about an answer: errors, warnings. One line each, whatever is in a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckptctl.render.names import escape

if TYPE_CHECKING:
    from ckptctl.core.model import Text
    from ckptctl.errors import CkptctlError


def error_lines(error: CkptctlError, done: str | None = None) -> str:
    """What and where, then what was (not) done if anything could have been changed, then what to do next."""
    from ckptctl.render.notes import describe_error  # a command that ends well needs no texts

    where = "" if error.path is None else f"{escape(error.path) or '.'}: "
    lines = [f"ckptctl: error[{error.id}]: {where}{escape(describe_error(error))}"]
    if done is not None:
        lines.append(escape(done))
    if error.hint is not None:
        lines.append(f"hint: {escape(error.hint)}")
    return "\n".join(lines) + "\n"


def warning(text: Text, where: str = "") -> str:
    """A line that warns, of what is at a path."""
    from ckptctl.render.notes import describe_note  # as above

    front = f"{escape(where)}: " if where else ""
    return f"warning: {front}{escape(describe_note(text))}\n"


def hint(text: str) -> str:
    """A line that says what to do next."""
    return f"hint: {escape(text)}\n"

"""What became of checkpoints that were slimmed, for a terminal and for a pipe."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ckptctl.core.units import write_size
from ckptctl.render.columns import write_count
from ckptctl.render.names import escape, fold, measure, shorten

_PATH_LEAST = 16
_INDENT = "  "
_MANY = 3
"""Names that are told."""


class SlimRow(NamedTuple):
    """A checkpoint, and where what stays of it goes."""

    path: str
    place: str
    """The same in place."""
    before: int
    """Bytes."""
    after: int
    without: tuple[str, ...]
    """Keys and files that go."""


def screen(lines: Iterable[SlimRow], *, width: int = 80) -> Iterator[str]:
    """Where each goes, its size before and then, and what is left out, below."""
    for line in lines:
        sizes = f"   {write_size(line.before)} → {write_size(line.after)}"
        shown = escape(line.path) if line.place == line.path else f"{escape(line.path)} → {escape(line.place)}"
        yield f"{shorten(shown, max(_PATH_LEAST, width - measure(sizes)))}{sizes}\n"
        text = fold(f"without {escape(', '.join(line.without))}", width - len(_INDENT))
        yield "".join(f"{_INDENT}{part}\n" for part in text.split("\n"))


def rows(lines: Iterable[SlimRow]) -> Iterator[str]:
    """The same, tab-separated, under a line of heads; sizes in bytes."""
    yield "path\tplace\tbefore\tafter\twithout\n"
    for line in lines:
        told = f"{line.before}\t{line.after}\t{escape(', '.join(line.without))}"
        yield f"{escape(line.path)}\t{escape(line.place)}\t{told}\n"


def question(lines: Sequence[SlimRow], *, trash: bool = False) -> str:
    """What is asked before it is done in place; ``trash`` where what was there is only set aside."""
    ending = "what they were is set aside" if trash else f"{write_size(_saved(lines))} go for good"
    return f"Slim {write_count(len(lines), 'checkpoint')} in place ({ending})?"


def foreign(names: Sequence[str], *, bare: bool) -> str:
    """That torch will not load what is kept as weights alone, for the classes that it names."""
    shown = escape(", ".join(names[:_MANY])) + (", …" if len(names) > _MANY else "")
    hint = "" if bare else ": --bare leaves that out"
    return f"what is kept beside the weights names {shown}, which torch.load(weights_only=True) refuses{hint}"


def closing(lines: Sequence[SlimRow], word: str, *, kept: Sequence[tuple[str, str]] = ()) -> str:
    """The line that ends it; and one for each name of an undo, with its place."""
    before, saved = sum(it.before for it in lines), _saved(lines)
    share = f", {100 * saved / before:.0f} %" if before else ""
    end = "".join(f"Undo: ckptctl undo {escape(txid)} {shlex.quote(escape(root))}\n" for txid, root in kept)
    return f"{write_count(len(lines), 'checkpoint')}: {write_size(saved)} of {write_size(before)} {word}{share}\n{end}"


def _saved(lines: Sequence[SlimRow]) -> int:
    return max(0, sum(it.before - it.after for it in lines))

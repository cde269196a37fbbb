"""What is inside of a checkpoint (``show``), and what differs between two (``diff``), for a terminal and for a pipe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ckptctl.core.model import Checkpoint, Run
from ckptctl.core.units import write_size
from ckptctl.formats.contents import PARTS, Contents, Part, PickledGlobal, Plain, Tensor
from ckptctl.render.columns import MISSING, write_count, write_epoch, write_number, write_score, write_time
from ckptctl.render.text import clip, escape, fold, locate, measure, pad, pad_left, shorten

if TYPE_CHECKING:  # `show` starts without what compares tensors
    from ckptctl.tensors.compare import Difference, TensorChange
from ckptctl.render.note_texts import describe_note

_LEAD = 14
"""Cells before what a line says: two, a word, and a gap."""
_NAME_LEAST = 16
_FEW = 8
"""Settings and names that are told on a screen; all of them are in the JSON."""
_LONGEST_SETTING = 40
_SUMS = (("B", 10**9), ("M", 10**6), ("k", 10**3))
"""A number of parameters, as people say it."""
_SLOTS = (({"exp_avg", "exp_avg_sq"}, "Adam"), ({"square_avg"}, "RMSprop"), ({"momentum_buffer"}, "SGD with momentum"))
"""What an optimizer keeps for each parameter, and who does."""
_NAMELESS = frozenset({"?", "none", "unknown"})
_SETTINGS = ("hyper_parameters", "hparams", "args", "config", "cfg", "opt", "train_args")
"""Under which keys the settings of a training lie."""


def screen(checkpoint: Checkpoint, run: Run, inside: Contents, *, width: int = 80) -> Iterator[str]:
    """What a person wants to know first, in lines of at most so many cells."""
    name = checkpoint.path.rpartition("/")[2] + "/" * (checkpoint.unit == "dir")
    facts = " · ".join(_describe(checkpoint, inside))
    room = width - measure(facts) - 3
    yield f"{shorten(escape(name), max(_NAME_LEAST, room))}   {facts}\n"
    if checkpoint.note:
        yield from _line("because", escape(describe_note(checkpoint.note)), width)
    yield from _write_parts(inside, width)
    yield from _write_scores(checkpoint, run, width)
    aliases = (f"{alias} stands for it" for alias in checkpoint.aliases)
    for word, text in (
        ("names", ", ".join(filter(None, (*checkpoint.roles, *aliases)))),
        ("checksums", inside.checks or "none: only its structure can be proved"),
        ("settings", _write_settings(inside)),
        ("unsafe", _write_names(inside.globals)),
    ):
        if text:
            yield from _line(word, escape(text), width)
    for flaw in inside.flaws:
        where = f"{flaw.file}: " if flaw.file and checkpoint.unit != "file" else ""
        yield from _line(flaw.severity, escape(f"{where}{describe_note(flaw.text)}"), width)


def _describe(checkpoint: Checkpoint, inside: Contents) -> Iterator[str]:
    """Framework and version, when it was saved, how large, in what state."""
    version = _find_version(inside)
    names = dict.fromkeys(name for name in (checkpoint.layout, inside.format) if name not in _NAMELESS)
    yield f"{checkpoint.layout} {escape(version)}" if version else ", ".join(names) or "in no format that is known"
    if checkpoint.epoch is not None:
        yield f"epoch {write_epoch(checkpoint.epoch)}"
    if checkpoint.step is not None:
        yield f"step {write_number(checkpoint.step)}"
    yield write_size(checkpoint.size)
    yield checkpoint.public_state


def _find_version(inside: Contents) -> str:
    """Of the framework that wrote it, as it noted it itself."""
    for key, value in inside.metadata.items():
        if key.endswith("_version") and "/" not in key and isinstance(value, (str, int, float)):
            return str(value)[:_LONGEST_SETTING]
    return ""


def _write_parts(inside: Contents, width: int) -> Iterator[str]:
    sizes = inside.parts
    for part in PARTS:
        own = [tensor for tensor in inside.tensors if tensor.part == part]
        if not (own or sizes[part]):
            continue
        share = f"{100 * sizes[part] / inside.size:.0f} %" if inside.size else MISSING
        words = ", ".join(_describe_optimizer(own) if part == "optimizer" else _describe_tensors(own, part))
        lead = f"  {pad(part, _LEAD - 2)}{pad_left(write_size(sizes[part]), 8)}  {pad_left(share, 5)}   "
        yield f"{lead}{clip(words, width - measure(lead))}".rstrip() + "\n"


def _describe_tensors(own: Sequence[Tensor], part: Part) -> Iterator[str]:
    if not own:
        return
    yield write_count(len(own), "tensor")
    if part == "weights":
        yield f"{_write_sum(sum(it.elements for it in _once(own)))} parameters"
    kinds = Counter(it.dtype for it in own if it.dtype != "?")
    yield from (name for name, _ in kinds.most_common(3))


def _once(own: Iterable[Tensor]) -> Iterator[Tensor]:
    """Of tensors that are the same numbers under several names, the first."""
    seen: set[object] = set()
    for tensor in own:
        if not tensor.pieces or (tensor.pieces, tensor.shape) not in seen:
            seen.add((tensor.pieces, tensor.shape))
            yield tensor


def _describe_optimizer(own: Sequence[Tensor]) -> Iterator[str]:
    """What it keeps for each parameter, and whose habit that is."""
    yield write_count(len(own), "tensor") if own else ""
    slots = Counter(it.name.replace("/", ".").rpartition(".")[2] for it in own if it.shape)
    common = [escape(name) for name, _ in slots.most_common(4) if not name.isdigit()]
    name = next((name for needed, name in _SLOTS if needed <= slots.keys()), None)
    if common:
        yield f"{name}: {', '.join(common)}" if name else ", ".join(common)


def _write_sum(count: int) -> str:
    for letter, size in _SUMS:
        if count >= size:
            return f"{count / size:.3g} {letter}"
    return str(count)


def _write_scores(checkpoint: Checkpoint, run: Run, width: int) -> Iterator[str]:
    scores = [f"{escape(name)} {write_score(score)}" for name, score in checkpoint.metrics.items()]
    if scores:
        yield from _line("scores", " · ".join(scores[:_FEW]), width)
    watched = {run.monitor: run.mode} if run.monitor is not None else run.modes
    if watched:
        words = (f"{escape(name)} ({mode})" if mode else escape(name) for name, mode in watched.items())
        yield from _line("monitor", " · ".join(words), width)


def _write_settings(inside: Contents) -> str:
    """The first few of the settings of the training, and how many more there are."""
    told = [
        (key.partition("/")[2], value)
        for key, value in inside.metadata.items()
        if key.partition("/")[0] in _SETTINGS and "/" in key and len(str(value)) <= _LONGEST_SETTING
    ]
    shown = " · ".join(f"{key} {_write_plain(value)}" for key, value in told[:_FEW])
    return f"{shown} · {len(told) - _FEW} more" if len(told) > _FEW else shown


def _write_plain(value: Plain) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _write_names(named: Sequence[PickledGlobal]) -> str:
    """What its pickles name that is not known to be harmless, the called ones first."""
    unsafe = sorted((it for it in named if not it.allowed), key=lambda it: not it.is_called)
    words = [f"{it.name}{' (called)' * it.is_called}" for it in unsafe]
    return ", ".join(words[:_FEW]) + (f" and {len(words) - _FEW} more" if len(words) > _FEW else "")


def _line(word: str, text: str, width: int) -> Iterator[str]:
    """A word, and what it says; longer text goes on below."""
    for place, part in enumerate(fold(text, max(1, width - _LEAD)).split("\n")):
        yield f"{pad(f'  {word}' if place == 0 else '', _LEAD)}{part}\n"


def list_tensors(inside: Contents, *, width: int = 80) -> Iterator[str]:
    """A line for each tensor: its shape, type, size and part, and its name; aligned."""
    rows = [(write_shape(it.shape), it.dtype, write_size(it.bytes), it.part, it.name) for it in inside.tensors]
    sides = [max((len(row[place]) for row in rows), default=0) for place in range(4)]
    for shape, dtype, size, part, name in rows:
        lead = f"  {shape.rjust(sides[0])}  {dtype.ljust(sides[1])}  {size.rjust(sides[2])}  {part.ljust(sides[3])}  "
        yield f"{lead}{shorten(escape(name), max(_NAME_LEAST, width - len(lead)))}\n"


def write_shape(shape: Sequence[int]) -> str:
    """``64×3×7``; a single number has ``1``."""
    return "×".join(map(str, shape)) or "1"


def draw_tree(inside: Contents, *, width: int = 80) -> Iterator[str]:
    """The tensors by the parts of their names, each branch with the bytes below it."""
    sizes: Counter[tuple[str, ...]] = Counter()
    for tensor in inside.tensors:
        keys = tuple(tensor.name.split("." if "/" not in tensor.name else "/"))
        for depth in range(1, len(keys) + 1):
            sizes[keys[:depth]] += tensor.bytes
    for keys, size in sizes.items():
        lead = f"  {pad_left(write_size(size), 8)}  {'  ' * (len(keys) - 1)}"
        yield f"{lead}{shorten(escape(keys[-1]), max(_NAME_LEAST, width - measure(lead)))}\n"


def rows(checkpoint: Checkpoint, inside: Contents, *, root: str, tensors: bool = False) -> Iterator[str]:
    """Key and value, tab-separated, whole; with ``tensors`` a line for each of them under a line of heads."""
    if tensors:
        yield "name\tshape\tdtype\tbytes\tpart\n"
        for one in inside.tensors:
            yield f"{escape(one.name)}\t{write_shape(one.shape)}\t{one.dtype}\t{one.bytes}\t{one.part}\n"
        return
    for key, value in (
        ("path", locate(root, checkpoint.path)),
        ("layout", checkpoint.layout),
        ("format", inside.format),
        ("state", checkpoint.public_state),
        ("epoch", checkpoint.epoch),
        ("step", checkpoint.step),
        ("modified", write_time(checkpoint.modified)),
        ("bytes", inside.size),
        *inside.parts.items(),
        ("tensors", len(inside.tensors)),
        *((name, score.text or score.value) for name, score in checkpoint.metrics.items()),
        *inside.metadata.items(),
        *((f"names {it.name}", "called" if it.is_called else "") for it in inside.globals if not it.allowed),
        *((f"{flaw.severity} {flaw.id}", flaw.text) for flaw in inside.flaws),
    ):
        yield f"{escape(key)}\t{'' if value is None else escape(str(value))}\n"


_WORD = 10
"""Cells for what became of it."""
_DIFF_NAME_LEAST = 20


class DiffRow(NamedTuple):
    """One thing that is not the same."""

    word: str
    name: str
    text: str
    most: float | None = None
    mean: float | None = None


def diff_screen(found: Difference, *, width: int = 80) -> Iterator[str]:
    """A line for each: a word, its name, and what of it differs."""
    diff_rows = list(_diff_rows(found))
    text = max((min(len(it.text), width // 2) for it in diff_rows), default=0)
    room = max(_DIFF_NAME_LEAST, width - _WORD - 3 - text)
    column = min(room, max((len(escape(it.name)) for it in diff_rows), default=0))
    for row in diff_rows:
        lead = f"{pad(row.word, _WORD)}{pad(shorten(escape(row.name), column), column)}   "
        yield f"{lead}{clip(escape(row.text), max(_DIFF_NAME_LEAST, width - len(lead)))}".rstrip() + "\n"


def diff_rows(found: Difference) -> Iterator[str]:
    """The same, tab-separated, under a line of heads."""
    yield "what\tname\ttext\tmax\tmean\n"
    for row in _diff_rows(found):
        figures = "\t".join("" if value is None else f"{value!r}" for value in (row.most, row.mean))
        yield f"{row.word}\t{escape(row.name)}\t{escape(row.text)}\t{figures}\n"


def _diff_rows(found: Difference) -> Iterator[DiffRow]:
    for word, tensors in (("added", found.added), ("removed", found.removed)):
        yield from (DiffRow(word, it.name, f"{write_shape(it.shape)} {it.dtype}") for it in tensors)
    for change in found.reshaped:
        yield DiffRow("reshaped", change.name, f"{write_shape(change.old.shape)} → {write_shape(change.new.shape)}")
    for change in found.retyped:
        yield _compared("retyped", change, f"{change.old.dtype} → {change.new.dtype}, ")
    yield from (_compared("changed", it, "") for it in found.changed)
    yield from (DiffRow("unread", it.name, it.why) for it in found.unread)
    for key, old, new in found.metadata:
        yield DiffRow("metadata", key, f"{_plain_or_nothing(old)} → {_plain_or_nothing(new)}")


def _compared(word: str, change: TensorChange, front: str) -> DiffRow:
    distance = change.distance
    most, odd = (distance.most, distance.odd) if distance else (None, 0)
    mean = change.mean
    figures = "" if most is None else f"max {most:.3g}" + ("" if mean is None else f", mean {mean:.3g}")
    figures += f", {odd:,} of NaN or infinity" if odd else ""
    return DiffRow(word, change.name, f"{front}{figures}", most, mean)


def _plain_or_nothing(value: Plain) -> str:
    return "nothing" if value is None else str(value)


def diff_closing(found: Difference) -> str:
    """The line that ends it."""
    counts = [
        f"{len(own)} {word.replace('unread', 'not compared')}"
        for word in ("added", "removed", "reshaped", "retyped", "changed", "unread")
        if (own := getattr(found, word))
    ]
    return f"{', '.join(counts) or 'no tensor differs'} · {write_count(found.same, 'tensor')} the same\n"

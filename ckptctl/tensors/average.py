"""The mean of the weights of several files, a stretch at a time: as torch's file, or as safetensors.

    plan = plan_average(inputs, [1, 1, 1])          raises Refused where they are not alike
    plan.write(draft, "torch")

What is no floating-point number is taken from the first, and so is all that was saved beside the tensors; the
optimizer's state is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from ckptctl.errors import Damaged, Refused
from ckptctl.formats.checksums import crc32
from ckptctl.formats.contents import Contents, FileSet, Storage, Tensor
from ckptctl.formats.zip import ByteSource
from ckptctl.formats.zip_writer import ArchiveDraft, ZipWriter
from ckptctl.tensors.arrays import FLOATING, WHOLE, NumberSpan, average_numbers
from ckptctl.tensors.compare import name_alike
from ckptctl.tensors.export import NamedTensor, find_metadata, find_weight_prefix, plan_safetensors
from ckptctl.tensors.slim import SlimmedFile, open_whole_or_slimmed
from ckptctl.tensors.streams import (
    CHUNK,
    Chunk,
    NumberReader,
    Tick,
    make_room,
    open_numbers,
    place,
    rechunk,
    run_in_threads,
)


class AverageInput(NamedTuple):
    """A file to be averaged."""

    path: str
    """As the user knows it."""
    files: FileSet
    contents: Contents
    name: str
    """Of its only file with weights."""


class AveragePlan(NamedTuple):
    """What is averaged with what."""

    inputs: tuple[AverageInput, ...]
    weights: tuple[float, ...]
    alike: tuple[dict[str, Tensor], ...]
    """For each input its tensors by the names in the first."""

    def write(self, draft: ArchiveDraft, to: str, drop: Sequence[str] | None, tick: Tick) -> None:
        """Write it, every checksum of what is read proved; raises Refused, Damaged, OSError."""
        if to == "safetensors":
            _write_safetensors(self, draft, drop, tick)
            return
        first = self.inputs[0]
        with first.files.open(first.name) as source:
            _write_torch(self, open_whole_or_slimmed(source, drop), draft, tick)


class _Job(NamedTuple):
    """A stretch of the new file: a tensor, or a storage."""

    offset: int
    """In the new file."""
    length: int
    dtype: str
    parts: Sequence[Tensor | Storage]
    """What it is the mean of, in each input; in the first alone, where it is copied."""


def plan_average(inputs: Sequence[AverageInput], weights: Sequence[float]) -> AveragePlan:
    """Prove that all have the same tensors; raises Refused with the first that is not so."""
    first = inputs[0].contents
    alike: list[dict[str, Tensor]] = []
    for source in inputs:
        before, after = name_alike(first, source.contents)
        alike.append({own.name: after[name] for name, own in before.items() if name in after})
        _require_same(source, before, after)
    return AveragePlan(tuple(inputs), tuple(weights), tuple(alike))


def _require_same(source: AverageInput, before: dict[str, Tensor], after: dict[str, Tensor]) -> None:
    for name, own in before.items():
        if own.part != "weights":
            continue
        other = after.get(name)
        if other is None:
            raise Refused(f"has no tensor {name!a}, which the first has", path=source.path, id="not-alike")
        if (other.shape, other.dtype) != (own.shape, own.dtype):
            text = f"tensor {name!a} is {_describe(other)}, in the first {_describe(own)}"
            raise Refused(text, path=source.path, id="not-alike")
        if own.dtype not in FLOATING | WHOLE:
            text = f"tensor {name!a} is of type {own.dtype}, which has no mean"
            raise Refused(text, path=source.path, id="not-alike")
    extra = next((name for name, own in after.items() if own.part == "weights" and name not in before), None)
    if extra is not None:
        raise Refused(f"has a tensor {extra!a}, which the first has not", path=source.path, id="not-alike")


def _describe(tensor: Tensor) -> str:
    return f"{tensor.dtype} of {list(tensor.shape)}"


def _write_safetensors(made: AveragePlan, draft: ArchiveDraft, drop: Sequence[str] | None, tick: Tick) -> None:
    first = made.inputs[0]
    weights = [it for it in first.contents.tensors if it.part == "weights"]
    with first.files.open(first.name) as source:
        front = _find_front(source, first.contents.format, weights, drop)
        notes = find_metadata(source, first.contents.format)
    laid = plan_safetensors([NamedTensor(it.name.removeprefix(front), it) for it in weights], notes)
    draft.write(laid.header)
    jobs: list[_Job] = []
    for _, tensor in laid.tensors:
        count = len(made.inputs) if tensor.dtype in FLOATING else 1
        jobs.append(_Job(draft.size, tensor.bytes, tensor.dtype, [alike[tensor.name] for alike in made.alike[:count]]))
        draft.skip(tensor.bytes)
    _carry_out(made, jobs, draft, tick)


def _find_front(source: ByteSource, kind: str, weights: Sequence[Tensor], drop: Sequence[str] | None) -> str:
    """What stands before all names of the weights, and in a state dict does not; "" where they have several places."""
    try:
        front = find_weight_prefix(source, kind, drop)
    except Refused:
        return ""
    return front if all(own.name.startswith(front) for own in weights) else ""


def _write_torch(made: AveragePlan, cut: SlimmedFile, draft: ArchiveDraft, tick: Tick) -> None:
    """The first, with the numbers of each storage averaged."""
    holders = _find_holders(made.inputs[0])
    writer = ZipWriter(draft)
    cut.write_front(writer)
    jobs: list[_Job] = []
    for name in cut.storages:
        key = f"{made.inputs[0].name}:{str(name.rpartition(b'/')[2], 'utf-8', 'surrogatepass')}"
        tensors = holders.get(key, [])
        _require_one_type(tensors, key)
        storages = _find_storages(made, tensors, key)
        writer.begin(name, storages[0].length)
        jobs.append(_Job(draft.size, storages[0].length, tensors[0].dtype, storages))
        draft.skip(storages[0].length)
    sums = _carry_out(made, jobs, draft, tick)
    for name, job in zip(cut.storages, jobs, strict=True):
        writer.end(name, sums[job.offset])
    cut.write_back(writer)


def _find_holders(source: AverageInput) -> dict[str, list[Tensor]]:
    """Key of each storage to the tensors in it."""
    found: dict[str, list[Tensor]] = {}
    for tensor in source.contents.tensors:
        for piece in tensor.pieces:
            found.setdefault(piece.storage, []).append(tensor)
    return found


def _require_one_type(tensors: Sequence[Tensor], key: str) -> None:
    """Raise Refused where a storage is not of numbers of one type, or of tensors that are not understood."""
    kinds = {it.dtype for it in tensors}
    if len(kinds) != 1 or not kinds <= FLOATING | WHOLE:
        raise Refused(f"storage {key!a} holds numbers of several types, or none that are understood", id="not-alike")


def _find_storages(made: AveragePlan, tensors: Sequence[Tensor], key: str) -> list[Storage]:
    """A storage in every input, of what is not averaged in the first alone."""
    first = made.inputs[0].contents.storages[key]
    is_weight = any(it.part == "weights" for it in tensors)
    count = len(made.inputs) if is_weight and tensors[0].dtype in FLOATING else 1
    found: list[Storage] = []
    for source, alike in zip(made.inputs[:count], made.alike, strict=False):
        storage = _find_storage(source, tensors, alike)
        if storage is None or storage.length != first.length:
            text = f"tensor {tensors[0].name!a} does not lie in its file as in the first: write safetensors"
            raise Refused(text, path=source.path, id="not-alike", hint="name the output .safetensors")
        found.append(storage)
    return found


def _find_storage(source: AverageInput, tensors: Sequence[Tensor], alike: dict[str, Tensor]) -> Storage | None:
    """The storage of an input in which all of these lie as they do in the first; None where there is none."""
    found: set[str] = set()
    for own in tensors:
        other = alike.get(own.name)
        places = [] if other is None else [(piece.start, piece.shape, piece.stride) for piece in other.pieces]
        if other is None or other.big_endian or places != [(one.start, one.shape, one.stride) for one in own.pieces]:
            return None
        found |= {piece.storage for piece in other.pieces}
    return source.contents.storages[found.pop()] if len(found) == 1 else None


def _carry_out(made: AveragePlan, jobs: Sequence[_Job], draft: ArchiveDraft, tick: Tick) -> dict[int, int]:
    """Write all, the largest first; the CRC-32 of each by its offset."""
    work = _Work(made, draft, tick)
    run_in_threads(sorted(jobs, key=lambda it: -it.length), work.run, sum(it.length for it in jobs))
    return work.sums


class _Work:
    """What was written; shared by the threads."""

    def __init__(self, made: AveragePlan, draft: ArchiveDraft, tick: Tick) -> None:
        self.made = made
        self.draft = draft
        self.tick = tick
        self.sums: dict[int, int] = {}
        """CRC-32 of each stretch by its offset."""

    def run(self, jobs: Iterator[_Job]) -> None:
        """Write one stretch after the other."""
        room = make_room()
        with ExitStack() as stack:
            numbers = [stack.enter_context(open_numbers(it.files, it.contents, proves=True)) for it in self.made.inputs]
            for job in jobs:
                self._write(job, numbers, room)

    def _write(self, job: _Job, numbers: Sequence[NumberReader], room: memoryview) -> None:
        at, value = job.offset, 0
        streams = [_open(*it) for it in zip(self.made.inputs, numbers, job.parts, strict=False)]
        for chunks in zip(*streams, strict=True):
            mean = _mean(chunks, self.made.weights, job.dtype, place(room, at, len(chunks[0])))
            self.draft.write_at(at, mean)
            at, value = at + len(mean), crc32(mean, value)
            self.tick(len(mean))
        self.sums[job.offset] = value


def _open(source: AverageInput, numbers: NumberReader, part: Tensor | Storage) -> Iterator[Chunk]:
    """The bytes of a part, in pieces of one size; raises Damaged, which names the input."""
    try:
        yield from numbers.stream_storage(part) if isinstance(part, Storage) else rechunk(numbers.stream(part), CHUNK)
    except Damaged as error:
        raise Damaged(error.text, path=source.path, id=error.id) from None


def _mean(chunks: Sequence[Chunk], weights: Sequence[float], dtype: str, made: memoryview) -> Chunk:
    if len(chunks) == 1:
        return chunks[0]
    average_numbers([NumberSpan(it, dtype) for it in chunks], weights, made)
    return made

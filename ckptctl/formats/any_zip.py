"""Zip archives, told by their members: those of torch and of numpy, and others that hold files of weights.

In the others (Keras, Stable-Baselines3) each member is read as a file of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from ckptctl.core.model import Note
from ckptctl.errors import Damaged
from ckptctl.formats.contents import Contents, FileSet, Flaw, Plain, merge_contents
from ckptctl.formats.torch import CHECKS, list_records
from ckptctl.formats.torch_records import find_missing_record
from ckptctl.formats.zip import STORED, ByteSource, FileWindow, ZipArchive, open_archive, printable_name

VERSION_MEMBER = b"_stable_baselines3_version"
"""Of an archive whose member ``data`` is a JSON document of what is no tensor."""
_MOST_JSON = 64 << 10
_MOST_MEMBERS = 10_000


def read(source: ByteSource, name: str, files: FileSet, *, placed: bool) -> Contents:
    """The contents of an archive, by ``read_archive`` of the module for its kind; raises Damaged, OSError."""
    archive = open_archive(source)
    missing = _find_missing(archive)
    kind = recognise_archive(archive, missing)
    if kind is None:
        contents = _read_members(archive, name, placed=placed)
    else:
        module = import_module(f"ckptctl.formats.{kind}")
        contents = module.read_archive(archive, name, files, placed=placed)
    if not missing:
        return contents
    flaw = Flaw("broken", f"its record {missing} is missing: torch refuses the file", name)
    return contents._replace(flaws=(flaw, *contents.flaws))


def _find_missing(archive: ZipArchive) -> str | None:
    """The record that torch would miss, as `find_missing_record` has it."""
    names = {name.lower() for name in archive.members}
    root = next(iter(archive.members), b"").partition(b"/")[0].lower()
    return find_missing_record(archive.members, lambda record: root + b"/" + record in names)


def recognise_archive(archive: ZipArchive, missing: str | None) -> str | None:
    """The module for an archive, by the names of its members; None where each is a file of its own."""
    if missing in ("", "version"):
        return "torch"
    if archive.members and all(name.endswith(b".npy") for name in archive.members):
        return "npz"
    return None


class ArchiveMembers:
    """The stored members of an archive as the files of a checkpoint."""

    def __init__(self, archive: ZipArchive) -> None:
        self.archive = archive
        self.names = {str(name, "utf-8", "replace"): name for name in archive.members}
        self.sizes = {
            shown: archive.members[name].size
            for shown, name in self.names.items()
            if archive.members[name].method == STORED and archive.members[name].size
        }

    @contextmanager
    def open(self, name: str) -> Iterator[ByteSource]:
        """A member as a file; raises Damaged."""
        yield FileWindow(self.archive.source, self.archive.locate(self.names[name]), self.sizes[name])


def _read_members(archive: ZipArchive, name: str, *, placed: bool) -> Contents:
    """The contents of all members, each a file of its own; raises Damaged, OSError."""
    from ckptctl.formats import read_files, says_weights

    if len(archive.members) > _MOST_MEMBERS:
        raise Damaged(f"a zip archive of {len(archive.members):,} members", id="not-read")
    members = ArchiveMembers(archive)
    held = read_files(members, placed=placed, every=True)
    moved = {member: _move(it, name, member, members) for member, it in held.items()}
    inner = merge_contents(moved) if held else Contents("zip")
    is_model = "config.json" in members.names or VERSION_MEMBER in archive.members
    unread = (it.name for it in archive.members.values() if it.method != STORED)
    packed = [printable_name(it) for it in unread if is_model or says_weights(str(it, "utf-8", "replace"))]
    flaws = [Flaw("not-read", f"{it} is compressed, so nobody looked into it", name) for it in packed[:3]]
    return inner._replace(
        format="keras" if "config.json" in members.names and "metadata.json" in members.names else "zip",
        metadata={**inner.metadata, **_read_metadata(archive)},
        records=tuple(list_records(archive, name)) if placed else (),
        checks=CHECKS if archive.has_checksums else "",
        flaws=(*inner.flaws, *flaws),
    )


def _move(contents: Contents, name: str, member: str, members: ArchiveMembers) -> Contents:
    """What is in a member, its places as those of the archive."""
    start = members.archive.locate(members.names[member])
    storages = {
        f"{name}/{key}": it._replace(file=name, offset=None if it.offset is None else start + it.offset)
        for key, it in contents.storages.items()
    }
    tensors = (
        tensor._replace(pieces=tuple(piece._replace(storage=f"{name}/{piece.storage}") for piece in tensor.pieces))
        for tensor in contents.tensors
    )
    flaws = tuple(it._replace(text=Note("broken-part", name=member, why=it.text), file=name) for it in contents.flaws)
    return contents._replace(tensors=tuple(tensors), storages=storages, flaws=flaws, records=())


def _read_metadata(archive: ZipArchive) -> dict[str, Plain]:
    """What Keras notes of itself, and what Stable-Baselines3 notes of its version."""
    found: dict[str, Plain] = {}
    if VERSION_MEMBER in archive.members:
        text = archive.read(VERSION_MEMBER, _MOST_JSON)
        found["stable_baselines3_version"] = str(text, "utf-8", "replace").strip()
    if b"metadata.json" in archive.members and archive.members[b"metadata.json"].method == STORED:
        from ckptctl.formats.strict_json import parse

        document = parse(archive.read(b"metadata.json", _MOST_JSON), "metadata.json")
        if type(document) is dict:
            found |= {key: own for key, own in document.items() if own is None or type(own) in (str, int, float, bool)}
    return found

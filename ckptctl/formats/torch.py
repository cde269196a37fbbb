"""torch's zip format (its default since 1.6), and TorchScript, which is written in the same way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from ckptctl.errors import Damaged
from ckptctl.formats.contents import ChecksumRecord, Contents, FileSet, Storage
from ckptctl.formats.flaws import Flaw
from ckptctl.formats.pickle.allowlist import list_globals
from ckptctl.formats.pickle.reader import ParsedPickle, read_pickles
from ckptctl.formats.pickle.vm import LIMITS
from ckptctl.formats.torch_archive import read_byteorder, read_pickled, root_of, scalar
from ckptctl.formats.torch_contents import PickledFile, measure_storages, read_contents, warn_oddities
from ckptctl.formats.zip import STORED, ZipArchive, printable_name

CHECKS = "CRC-32 of each member"
_KNOWN = frozenset({b"data.pkl", b"version", b"byteorder", b".format_version", b".storage_alignment"})
_KNOWN_FOLDERS = (b"data/", b".data/", b"code/", b"extra/")
"""Members that torch writes and that hold no pickle, or the one that was read."""
_LOOK = 2
"""Bytes that tell a pickle."""


def read_archive(archive: ZipArchive, name: str, files: FileSet, *, placed: bool) -> Contents:  # noqa: ARG001 - as all of them
    """The contents; raises Damaged, OSError."""
    root = root_of(archive)
    pickled = read_pickled(archive)
    if pickled.end != archive.members[root + b"data.pkl"].size:
        raise Damaged("broken: bytes follow the pickle in data.pkl")
    others = list(_read_others(archive, root))
    needed = measure_storages([pickled])
    storages, flaws = _place(archive, root, name, needed, placed=placed)
    contents = read_contents(
        "torchscript" if root + b"constants.pkl" in archive.members else "torch",
        PickledFile(
            [pickled],
            pickled.value,
            storages,
            partial(_key, name),
            partial(scalar, archive),
            read_byteorder(archive, root) == b"big",
        ),
    )
    return contents._replace(
        globals=list_globals([pickled, *others]),
        records=tuple(list_records(archive, name)) if placed else (),
        checks=CHECKS if archive.has_checksums else "",
        flaws=(*flaws, *warn_oddities(others), *contents.flaws),
    )


def list_records(archive: ZipArchive, name: str, start: int = 0) -> Iterator[ChecksumRecord]:
    """The members with their checksums, none where the archive has none; ``start``: offset of the archive."""
    for member in archive.members.values() if archive.has_checksums else ():
        shown = str(member.name, "utf-8", "replace")
        at = start + archive.locate_packed(member.name)
        unpacked = None if member.method == STORED else member.size
        yield ChecksumRecord(name, shown, at, member.packed, member.crc, unpacked=unpacked)


def _key(file: str, key: str) -> str:
    return f"{file}:{key}"


def _place(
    archive: ZipArchive, root: bytes, name: str, needed: Mapping[str, int], *, placed: bool
) -> tuple[dict[str, Storage], list[Flaw]]:
    """Where each storage lies that the pickle names, and what is wrong with those that do not hold enough."""
    storages: dict[str, Storage] = {}
    flaws: list[Flaw] = []
    for key, least in needed.items():
        member_name = root + b"data/" + key.encode("utf-8", "surrogatepass")
        member = archive.members.get(member_name)
        if member is None:
            flaws.append(
                Flaw("missing-storage", f"{printable_name(member_name)} is missing, which its pickle names", name)
            )
            continue
        if member.size < least:
            flaws.append(
                Flaw(
                    "short-storage",
                    f"{printable_name(member_name)} has {member.size:,} bytes of {least:,} that it needs",
                    name,
                )
            )
        storages[_key(name, key)] = Storage(name, archive.locate(member_name) if placed else None, member.size)
    return storages, flaws


def _read_others(archive: ZipArchive, root: bytes) -> Iterator[ParsedPickle]:
    """Pickles in members where torch writes none, and the constants of TorchScript."""
    for member in archive.members.values():
        own = member.name.removeprefix(root)
        if own in _KNOWN or own.startswith(_KNOWN_FOLDERS) or member.size < _LOOK:
            continue
        if archive.source.read(archive.locate_packed(member.name), 1) == b"\x80":
            yield from read_pickles(archive.read(member.name, LIMITS.data))

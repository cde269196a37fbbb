"""Zip archives: those of torch, of Keras, of numpy, and others that hold such files; told by their members."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from ckptctl.formats.contents import Contents, FileSet
from ckptctl.formats.zip import ByteSource, ZipArchive, open_archive


class ArchiveReader(Protocol):
    """A module of a kind of archive."""

    def read_archive(self, archive: ZipArchive, name: str, files: FileSet, *, placed: bool) -> Contents:
        """The contents of a file whose directory was read; raises Damaged, OSError."""
        ...


def read(source: ByteSource, name: str, files: FileSet, *, placed: bool) -> Contents:
    """The contents of an archive; raises Damaged, OSError."""
    archive = open_archive(source)
    module = cast("ArchiveReader", import_module(f"ckptctl.formats.{recognise_archive(archive)}"))
    return module.read_archive(archive, name, files, placed=placed)


def recognise_archive(archive: ZipArchive) -> str:
    """The module for an archive, by the names of its members."""
    root = next(iter(archive.members), b"").partition(b"/")[0]
    if root + b"/data.pkl" in archive.members:
        return "torch"
    if archive.members and all(name.endswith(b".npy") for name in archive.members):
        return "npz"
    return "nested_zip"

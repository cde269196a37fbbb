"""Files in torch's format from before 1.6, made without torch."""

from __future__ import annotations

import re
from io import BytesIO
from struct import pack
from zipfile import ZipFile

from ckptctl.formats.torch_writer import encode_torch
from tests.formats.samples import number, text

MAGIC = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
VERSION = b"\x80\x02M\xe9\x03."


def encode_legacy(value: object) -> bytes:
    """The bytes of ``torch.save(value, _use_new_zipfile_serialization=False)``; of what ``encode_torch`` takes."""
    with ZipFile(BytesIO(encode_torch(value))) as archive:
        members = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    pickled = re.sub(rb"(J.{4})tQ", rb"\1NtQ", members["data.pkl"], flags=re.DOTALL)  # the reference gets a sixth item
    storages = {name[5:]: data for name, data in members.items() if name.startswith("data/")}
    return legacy_file(pickled, {key: (len(data) // 4, data) for key, data in storages.items()})


def legacy_file(pickled: bytes, storages: dict[str, tuple[int, bytes]], *, version: bytes = VERSION) -> bytes:
    """The pickles around the one given, and the storages as counted, sorted by their keys as torch does."""
    machine = b"\x80\x02}(" + text("protocol_version") + number(1001) + text("little_endian") + b"\x88u."
    keys = b"\x80\x02](" + b"".join(text(key) for key in sorted(storages)) + b"e."
    data = b"".join(pack("<q", count) + raw for _, (count, raw) in sorted(storages.items()))
    return MAGIC + version + machine + pickled + keys + data

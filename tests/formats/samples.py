"""Pickles, archives and sources made by hand, opcode by opcode, for the tests of ckptctl.weights."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path
from struct import pack

FIXTURES = Path(__file__).parents[1] / "fixtures"


class Bytes:
    """A source that counts how often and how much was read."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)
        self.reads: list[int] = []

    def read(self, offset: int, length: int) -> bytes:
        assert offset >= 0
        assert length >= 0
        self.reads.append(length)
        return self.content[offset : offset + length]


def fixture(path: str) -> Bytes:
    return Bytes((FIXTURES / path).read_bytes())


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + pack("<I", len(raw)) + raw


def number(value: int) -> bytes:
    return b"J" + pack("<i", value)


def numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def global_(module: str, name: str) -> bytes:
    return b"c" + f"{module}\n{name}\n".encode()


def storage(kind: str, key: str, length: int) -> bytes:
    return b"(" + text("storage") + global_("torch", kind) + text(key) + text("cpu") + number(length) + b"tQ"


def tensor(kind: str, key: str = "0", *, offset: int = 0, shape: tuple[int, ...] = (), length: int = 1) -> bytes:
    places = number(offset) + numbers(shape) + numbers((1,) * len(shape))
    hooks = global_("collections", "OrderedDict") + b")R"
    return (
        global_("torch._utils", "_rebuild_tensor_v2")
        + b"("
        + storage(kind, key, length)
        + places
        + b"\x89"
        + hooks
        + b"tR"
    )


def dictionary(**items: bytes) -> bytes:
    return b"\x80\x02}(" + b"".join(text(name) + item for name, item in items.items()) + b"u."


def pack_zip(members: dict[str, bytes], *, compressed: tuple[str, ...] = ()) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content, zipfile.ZIP_DEFLATED if name in compressed else zipfile.ZIP_STORED)
    return buffer.getvalue()


def torch_file(pickled: bytes, *storages: bytes, root: str = "archive", byteorder: str | None = None) -> bytes:
    data = {f"{root}/data/{key}": content for key, content in enumerate(storages)}
    order = {} if byteorder is None else {f"{root}/byteorder": byteorder.encode()}
    return pack_zip({f"{root}/data.pkl": pickled, **order, **data, f"{root}/version": b"3\n"})

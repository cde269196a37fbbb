from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from io import BytesIO
from math import inf, isnan, nan
from pathlib import Path
from struct import unpack

import pytest

from ckptctl.formats import torch_zip
from ckptctl.formats.pickle import reader
from ckptctl.formats.torch_writer import encode_torch, make_tensor, write_torch
from ckptctl.formats.torch_zip import PickledTensor as Described
from tests.stores.memory import MemoryStore

ATOMS = [
    None,
    True,
    False,
    0,
    -1,
    255,
    2**31 - 1,
    -(2**31),
    2**31,
    -(2**31) - 1,
    2**200,
    -(2**200),
    0.1,
    -inf,
    "",
    "é\n'\U0001f600",
]
NESTS: list[object] = [[], (), {}, [1, [2, (3, {"a": []})]], {"a": {"b": (None, "c")}, 0: 1.5}]


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


class Inert(pickle.Unpickler):
    """The standard reader, with torch's two names and its storages left as they are named."""

    def find_class(self, module: str, name: str) -> object:
        if module == "collections":
            return {"OrderedDict": OrderedDict}[name]
        return {"_rebuild_tensor_v2": lambda *args: args, "FloatStorage": "FloatStorage"}[name]

    def persistent_load(self, pid: object) -> object:
        return pid


def reread(path: Path, value: object) -> object:
    write_torch(str(path), value)
    return Inert(BytesIO(members(path)["archive/data.pkl"])).load()


@pytest.mark.parametrize("value", [*ATOMS, *NESTS], ids=repr)
def test_a_plain_value_is_read_back_as_it_was(tmp_path: Path, value: object) -> None:
    read = reread(tmp_path / "a.pt", value)
    assert read == value
    assert type(read) is type(value)


def test_a_nan_is_read_back_as_one(tmp_path: Path) -> None:
    value = reread(tmp_path / "a.pt", nan)
    assert isinstance(value, float)
    assert isnan(value)


def test_an_ordered_dict_stays_one(tmp_path: Path) -> None:
    read = reread(tmp_path / "a.pt", OrderedDict(b=1, a=2))
    assert isinstance(read, OrderedDict)
    assert list(read.items()) == [("b", 1), ("a", 2)]


def test_the_inert_reader_finds_nothing_odd(tmp_path: Path) -> None:
    value = {"atoms": ATOMS, "nests": NESTS}
    write_torch(str(tmp_path / "a.pt"), value)
    read = reader.read_pickle(members(tmp_path / "a.pt")["archive/data.pkl"])
    assert read.value == value
    assert (read.globals, read.oddities) == ((), ())


@pytest.mark.parametrize(
    ("shape", "strides"),
    [((), ()), ((3,), (1,)), ((2, 3), (3, 1)), ((2, 3, 4), (12, 4, 1)), ((0, 3), (3, 1))],
    ids=repr,
)
def test_a_tensor_is_rebuilt_from_a_storage_of_its_own(
    tmp_path: Path, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    numbers = [index / 4 for index in range({(): 1, (3,): 3, (2, 3): 6, (2, 3, 4): 24}.get(shape, 0))]
    storage = ("storage", "FloatStorage", "0", "cpu", len(numbers))
    hooks: OrderedDict[str, object] = OrderedDict()
    assert reread(tmp_path / "a.pt", make_tensor(numbers, shape)) == (storage, 0, shape, strides, False, hooks)
    assert list(unpack(f"<{len(numbers)}f", members(tmp_path / "a.pt")["archive/data/0"])) == numbers


def test_each_tensor_has_its_storage_in_the_order_of_mention(tmp_path: Path) -> None:
    write_torch(str(tmp_path / "a.pt"), [make_tensor([1.0]), {"deep": (make_tensor([2.0]),)}])
    held = members(tmp_path / "a.pt")
    assert (held["archive/data/0"], held["archive/data/1"]) == (b"\0\0\x80?", b"\0\0\0@")


def test_storages_lie_aligned_and_stored_so_that_they_can_be_mapped(tmp_path: Path) -> None:
    write_torch(str(tmp_path / "a.pt"), [make_tensor([1.0] * count, (count,)) for count in range(1, 40)])
    content = (tmp_path / "a.pt").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.pt") as archive:
        infos = archive.infolist()
    for info in infos:
        name_length, extra_length = unpack("<2H", content[info.header_offset + 26 : info.header_offset + 30])
        assert (info.header_offset + 30 + name_length + extra_length) % 64 == 0
        assert info.compress_type == zipfile.ZIP_STORED
        assert not info.flag_bits


def test_the_members_are_those_that_torch_asks_for(tmp_path: Path) -> None:
    write_torch(str(tmp_path / "a.pt"), {})
    held = members(tmp_path / "a.pt")
    assert list(held) == ["archive/data.pkl", "archive/byteorder", "archive/version"]
    assert (held["archive/byteorder"], held["archive/version"]) == (b"little", b"3\n")


def test_the_same_value_gives_the_same_bytes() -> None:
    value = {"a": make_tensor([0.1, 0.2], (2,))}
    assert encode_torch(value) == encode_torch(value)


@pytest.mark.parametrize("value", [{1, 2}, b"raw", object(), [1j]], ids=lambda value: type(value).__name__)
def test_a_value_that_is_not_plain_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="is not a plain value"):
        encode_torch(value)


@pytest.mark.parametrize(("count", "shape"), [(2, ()), (0, ()), (5, (2, 3))])
def test_numbers_that_do_not_fill_the_shape_are_refused(count: int, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"{count} numbers do not fill"):
        make_tensor([0.0] * count, shape)


def test_the_torch_reader_finds_the_same_values_and_scalars() -> None:
    store = MemoryStore()
    tensors = {"scalar": make_tensor([0.25]), "cube": make_tensor(range(24), (2, 3, 4))}
    store.write("a.pt", encode_torch({"plain": NESTS, **tensors}))
    with store.open("a.pt") as source:
        values = torch_zip.read_values(source)
        assert values["plain"] == NESTS
        assert values["cube"] == Described("float32", (2, 3, 4), (12, 4, 1), 0, "1")
        assert torch_zip.scalar(source, values["scalar"]) == 0.25


@pytest.mark.lightning
def test_torch_itself_loads_what_was_written(tmp_path: Path) -> None:
    import torch

    weights = OrderedDict(
        {
            "scalar": make_tensor([0.25]),
            "vector": make_tensor([-1.0, 0.1, inf], (3,)),
            "cube": make_tensor(range(24), (2, 3, 4)),
            "none": make_tensor([], (0, 3)),
        }
    )
    plain = {"atoms": ATOMS, "nests": NESTS}
    write_torch(str(tmp_path / "a.pt"), {**plain, "state_dict": weights})
    for options in ({}, {"mmap": True}):
        loaded = torch.load(tmp_path / "a.pt", weights_only=True, **options)
        assert {key: loaded[key] for key in plain} == plain
        state = loaded["state_dict"]
        assert type(state) is OrderedDict
        assert list(state) == list(weights)
        assert {tensor.dtype for tensor in state.values()} == {torch.float32}
        assert all(tensor.is_contiguous() for tensor in state.values())
        assert state["scalar"].shape == ()
        assert state["scalar"].item() == 0.25
        assert torch.equal(state["vector"], torch.tensor([-1.0, 0.1, inf]))
        assert torch.equal(state["cube"], torch.arange(24.0).reshape(2, 3, 4))
        assert state["none"].shape == (0, 3)

"""Arrays of numpy, as Stable-Baselines3 leaves them; written here from the description of the format."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from math import inf, isnan, nan, prod
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptctl.errors import Damaged
from ckptctl.readers import npz
from ckptctl.readers.npz import read_rows

KINDS = "<f2 <f4 <f8 >f4 >f8 |b1 |i1 <i2 >i2 <i4 <i8 >i8 |u1 <u2 <u4 >u4 <u8".split()
CODES = dict(zip("f2 f4 f8 b1 i1 i2 i4 i8 u1 u2 u4 u8".split(), "efd?bhiqBHIQ", strict=True))


class Stored(NamedTuple):
    """An array, as ``numpy.save`` writes it."""

    kind: str
    shape: tuple[int, ...]
    values: Sequence[float]
    by_columns: bool = False
    version: int = 1

    def encode(self) -> bytes:
        order = self.kind[0].replace("|", "<")
        return head(self) + struct.pack(f"{order}{len(self.values)}{CODES[self.kind[1:]]}", *self.values)


def head(array: Stored) -> bytes:
    text = f"{{'descr': '{array.kind}', 'fortran_order': {array.by_columns}, 'shape': {array.shape}, }}"
    return begin(text, array.version)


def begin(text: str, version: int = 1) -> bytes:
    width = 2 if version == 1 else 4
    padding = -(8 + width + len(text) + 1) % 64
    length = (len(text) + padding + 1).to_bytes(width, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + text.encode() + b" " * padding + b"\n"


def archive(members: Mapping[str, bytes], packed: int = zipfile.ZIP_STORED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", packed) as written:
        for name, content in members.items():
            written.writestr(name, content)
    return target.getvalue()


def savez(**arrays: Stored) -> bytes:
    return archive({f"{name}.npy": array.encode() for name, array in arrays.items()})


EVALUATIONS = {
    "timesteps": Stored("<i8", (2,), [10000, 20000]),
    "results": Stored("<f8", (2, 3), [1.0, 2.0, 6.0, -1.0, -2.0, -3.0]),
    "ep_lengths": Stored("<i8", (2, 3), [200, 200, 203, 10, 20, 30]),
    "successes": Stored("|b1", (2, 3), [False, True, True, False, False, False]),
}
EVALUATED = [
    {"timesteps": 10000, "results": 3.0, "ep_lengths": 201.0, "successes": 2 / 3},
    {"timesteps": 20000, "results": -2.0, "ep_lengths": 20.0, "successes": 0.0},
]


@pytest.mark.parametrize("packed", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["savez", "savez_compressed"])
def test_each_evaluation_is_a_row_with_the_means_over_its_episodes(packed: int) -> None:
    data = archive({f"{name}.npy": array.encode() for name, array in EVALUATIONS.items()}, packed)
    assert read_rows(data) == EVALUATED


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_number_is_read(kind: str) -> None:
    values = [0, 1, 1] if kind == "|b1" else [0, 1, 100]
    found = [row["x"] for row in read_rows(savez(x=Stored(kind, (3,), values)))]
    assert found == values
    assert {type(it) for it in found} == {float if "f" in kind else int}


@pytest.mark.parametrize(
    ("array", "rows"),
    [
        pytest.param(Stored("<f4", (2, 2), [1, 2, 3, 4]), [1.5, 3.5], id="rows first"),
        pytest.param(Stored("<f4", (2, 2), [1, 2, 3, 4], by_columns=True), [2.0, 3.0], id="columns first"),
        pytest.param(Stored("<f4", (2, 1, 2), [1, 2, 3, 4]), [1.5, 3.5], id="three axes"),
        pytest.param(Stored("<f4", (2, 1, 2), [1, 2, 3, 4], by_columns=True), [2.0, 3.0], id="three, columns first"),
        pytest.param(Stored("<i4", (2, 1), [7, 8]), [7, 8], id="one episode"),
        pytest.param(Stored("<f8", (2, 2), [inf, 1, -inf, -1]), [inf, -inf], id="infinite"),
        pytest.param(Stored("<f8", (2,), [1, 2], version=2), [1, 2], id="a long header"),
        pytest.param(Stored("<f8", (2,), [1, 2], version=3), [1, 2], id="a header in UTF-8"),
        pytest.param(Stored("<f8", (), [1]), [], id="no axis"),
        pytest.param(Stored("<f8", (0, 3), []), [], id="no evaluation"),
        pytest.param(Stored("<f8", (3, 0), []), [], id="no episode"),
    ],
)
def test_the_first_axis_counts(array: Stored, rows: list[float]) -> None:
    assert [row["x"] for row in read_rows(savez(x=array))] == rows


def test_a_mean_with_nan_is_nan() -> None:
    (row,) = read_rows(savez(x=Stored("<f8", (1, 2), [nan, 1])))
    assert isnan(float(row["x"]))


def test_arrays_of_another_length_are_left_out() -> None:
    data = savez(seed=Stored("<i8", (1,), [5]), x=Stored("<i8", (2,), [1, 2]), y=Stored("<i8", (2,), [3, 4]))
    assert read_rows(data) == [{"x": 1, "y": 3}, {"x": 2, "y": 4}]


@pytest.mark.parametrize(
    "descr", ["'|O'", "'<U3'", "'|S1'", "'<c16'", "'<M8[s]'", "'<f16'", "'<i3'", "[('a', '<f8')]", "'f8'", "5"]
)
def test_what_is_no_number_is_left_out_and_never_unpickled(descr: str) -> None:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (1,), }}"
    bomb = b"cos\nsystem\n(S'false'\ntR."
    data = archive({"bad.npy": begin(text) + bomb, "x.npy": Stored("<i8", (1,), [5]).encode()})
    assert read_rows(data) == [{"x": 5}]
    assert read_rows(archive({"bad.npy": begin(text) + bomb})) == []


def test_headers_of_old_pythons_and_other_members_are_understood() -> None:
    text = "{'fortran_order':False,'descr':'<i4','shape':(1L,)}"
    data = archive({"x.npy": begin(text) + struct.pack("<i", 5), "readme.txt": b"no array"})
    assert read_rows(data) == [{"x": 5}]


def test_nothing_is_below_an_array() -> None:
    assert read_rows(savez(**EVALUATIONS), "results") == []


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(b"", "not a zip of arrays", id="empty"),
        pytest.param(savez(**EVALUATIONS)[:-30], "not a zip of arrays", id="cut short"),
        pytest.param(savez(x=Stored("<f8", (1,), [5.0]))[:-150], "not a zip of arrays", id="cut shorter"),
        pytest.param(b"\x93NUMPY\x01\x00", "not a zip of arrays", id="a single array"),
        pytest.param(archive({"x.npy": b"text"}), "a member is no array of numpy", id="no array"),
        pytest.param(archive({"x.npy": b"\x93NUMPY"}), "a member is no array of numpy", id="no version"),
        pytest.param(archive({"x.npy": b"\x93NUMPY\x09\x00"}), "a member is no array of numpy", id="a version to come"),
        pytest.param(archive({"x.npy": b"\x93NUMPY\x01\x00\x01"}), "not a zip of arrays", id="half a header"),
        pytest.param(
            archive({"x.npy": head(Stored("<f8", (3,), [])) + b"\0" * 23}),
            "an array of 3 numbers has 23 bytes",
            id="a number too short",
        ),
        pytest.param(
            archive({"x.npy": head(Stored("<f8", (10**9, 10**9), []))}), "its arrays are larger", id="a huge shape"
        ),
        pytest.param(
            archive({"x.npy": Stored("<i8", (1,), [5]).encode()}, zipfile.ZIP_BZIP2), "'x.npy' is packed", id="bzip2"
        ),
    ],
)
def test_anything_else_is_damaged(data: bytes, why: str) -> None:
    with pytest.raises(Damaged) as caught:
        read_rows(data)
    assert caught.value.text.startswith(why)


def test_a_small_file_that_unpacks_to_a_huge_one_is_damaged() -> None:
    bomb = head(Stored("|S1", (npz.MOST_UNPACKED,), [])) + bytes(npz.MOST_UNPACKED)
    data = archive({"x.npy": bomb}, zipfile.ZIP_DEFLATED)
    assert len(data) < npz.MOST_UNPACKED / 500
    with pytest.raises(Damaged, match="larger, unpacked"):
        read_rows(data)


@pytest.mark.parametrize("declared", [100, 131, 200])
def test_a_member_that_is_not_as_long_as_it_declares_is_damaged(declared: int) -> None:
    data = savez(x=Stored("|u1", (2,), [1, 2]))
    sizes = struct.pack("<II", 130, 130)
    assert data.count(sizes) == 2
    with pytest.raises(Damaged):
        read_rows(data.replace(sizes, struct.pack("<II", 130, declared)))


def test_many_small_numbers_together_are_too_many() -> None:
    half = bytes(npz.MOST_NUMBERS // 2)
    member = head(Stored("|u1", (len(half),), [])) + half
    assert len(read_rows(archive({"x.npy": member}))) == len(half)
    with pytest.raises(Damaged, match="larger, unpacked"):
        read_rows(archive({"x.npy": member, "y.npy": member, "z.npy": member}))


SHAPES = st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple)


@st.composite
def arrays(draw: st.DrawFn) -> Stored:
    shape = draw(SHAPES)
    count = prod(shape)
    values = draw(st.lists(st.floats(-1e6, 1e6), min_size=count, max_size=count))
    return Stored(draw(st.sampled_from(["<f8", ">f8"])), shape, values, draw(st.booleans()))


def mean_at(array: Stored, place: int) -> float:
    """The mean of the numbers at a place of the first axis, found by its definition: one index after the other."""
    rest = prod(array.shape[1:])
    strides = [prod(array.shape[:n] if array.by_columns else array.shape[n + 1 :]) for n in range(len(array.shape))]
    total = 0.0
    for flat in range(rest):
        offset, left = place * strides[0], flat
        for length, stride in zip(array.shape[1:], strides[1:], strict=True):
            offset += left % length * stride
            left //= length
        total += array.values[offset]
    return total / rest


@given(arrays())
def test_means_are_those_of_the_definition(array: Stored) -> None:
    found = [row["x"] for row in read_rows(savez(x=array))]
    assert found == pytest.approx([mean_at(array, place) for place in range(array.shape[0])], abs=1e-6)


BROKEN = st.text("{}'desc:rfotan_shpe (),<|>iufb0123456789L", max_size=60).map(begin) | st.binary(max_size=40)


@given(st.binary(max_size=60) | st.builds(lambda member, rest: archive({"x.npy": member + rest}), BROKEN, st.binary()))
def test_no_bytes_do_worse_than_being_damaged(data: bytes) -> None:
    try:
        rows = read_rows(data)
    except Damaged:
        return
    assert all(rows)


@given(st.data())
def test_no_broken_byte_does_worse_than_being_damaged(data: st.DataObject) -> None:
    broken = bytearray(archive({"x.npy": Stored("<f8", (2, 2), [1, 2, 3, 4]).encode()}, zipfile.ZIP_DEFLATED))
    for place in data.draw(st.lists(st.integers(0, len(broken) - 1), min_size=1, max_size=4)):
        broken[place] = data.draw(st.integers(0, 255))
    try:
        rows = read_rows(bytes(broken))
    except Damaged:
        return
    assert len(rows) in {0, 2}

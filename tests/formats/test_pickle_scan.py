from __future__ import annotations

import pickle
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptctl.errors import Damaged
from ckptctl.formats.pickle.scan import STOP, WINDOW, find_ends, walk
from tests.formats.samples import Bytes

VALUE = {
    "numbers": [1, 300, 70_000, -1, 2**70, 2**3000, 0.5],
    "texts": ["short", "é" * 300, "x" * 70_000],
    "bytes": [b"", b"y" * 300, b"." * 70_000, bytearray(b"." * 9)],
    "nested": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {1, 2}, frozenset([3]), None, True, False],
    "many": [(number, None) for number in range(3000)],
}
OLD = {**VALUE, "texts": ["short", "é" * 300], "bytes": [b"y" * 300]}
"""What protocols 0 and 1 hold without lines that are longer than a window."""
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


def dump(protocol: int) -> bytes:
    return pickle.dumps(OLD if protocol < 2 else VALUE, protocol)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_ends_behind_its_stop(protocol: int) -> None:
    data = dump(protocol)
    assert find_ends(Bytes(data)) == [len(data)]


@given(PLAIN, st.integers(0, 5))
def test_whatever_python_writes_ends_where_it_was_written_to(value: object, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    assert find_ends(Bytes(data + b".")) == [len(data)]


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_was_cut_has_no_end(protocol: int) -> None:
    data = dump(protocol)
    for length in [*range(400), *range(400, len(data), max(1, len(data) // 300)), len(data) - 1]:
        assert find_ends(Bytes(data[:length])) == []


@pytest.mark.parametrize("extra", range(-40, 40))
def test_a_window_may_end_anywhere(extra: int) -> None:
    data = pickle.dumps([b"x" * 200, *range(WINDOW // 3 + extra), {"key": ("a", 0.5, 2**40)}, "é" * 60], 4)
    assert len(data) > WINDOW
    assert find_ends(Bytes(data)) == [len(data)]


def test_pickles_behind_each_other_end_one_by_one() -> None:
    first, second = pickle.dumps("a"), pickle.dumps([1, 2])
    assert find_ends(Bytes(first + second + first[:-1]), 5) == [len(first), len(first + second)]
    assert find_ends(Bytes(first + second), 1) == [len(first)]


def test_buffers_are_stepped_over_and_not_read() -> None:
    source = Bytes(pickle.dumps({"a": b"." * 40_000_000, "b": bytearray(40_000_000)}, 5))
    assert find_ends(source) == [source.size]
    assert sum(source.reads) <= 4 * WINDOW


def test_texts_and_buffers_are_told_with_their_places() -> None:
    data = b"\x80\x04]\x94(\x8c\x03abcC\x02\0\1K\x01X\x01\0\0\0.e."
    items = [(chr(item.opcode), data[item.start : item.start + item.length]) for item in walk(Bytes(data))]
    assert items == [("\x8c", b"abc"), ("C", b"\0\1"), ("X", b"."), (".", b"")]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x80\x04\xff.", "unknown opcode 0xff at byte 2"),
        (b"\x80\x02K\x01" * 1000 + b"\xfe.", "unknown opcode 0xfe at byte 4000"),
        (b"T\xff\xff\xff\xff.", "negative length"),
        (b"\x8b\0\0\0\x80.", "negative length"),
        (b"V" + b"x" * WINDOW + b"\n.", "no end of line"),
    ],
)
def test_what_no_pickle_holds_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(Damaged, match=why):
        find_ends(Bytes(data))


def test_a_length_that_reaches_far_beyond_the_file_is_no_end() -> None:
    assert find_ends(Bytes(b"\x80\x04\x8e" + pack("<Q", 2**63) + b".")) == []


def test_no_more_is_read_than_allowed() -> None:
    source = Bytes(b"\x80\x02" + b"J\0\0\0\x000" * 60_000 + b".")
    assert [item.opcode for item in walk(source, most=source.size)] == [STOP]
    with pytest.raises(Damaged, match="too long"):
        list(walk(source, most=source.size - 1))


def test_a_file_that_shrinks_meanwhile_is_refused() -> None:
    source = Bytes(b"\x80\x02" + b"N0" * 100_000 + b".")
    source.content = source.content[:100_000]
    with pytest.raises(Damaged, match="ended while it was read"):
        find_ends(source)

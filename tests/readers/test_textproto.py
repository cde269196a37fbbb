"""TensorFlow's state file, as its managers and savers write it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptctl.errors import Damaged
from ckptctl.readers.textproto import TrackerState, read, without

REAL = Path(__file__).parents[1] / "fixtures" / "layouts" / "tf" / "mgr" / "checkpoint"
SAVER = b"""model_checkpoint_path: "/runs/a/model.ckpt-2000"
all_model_checkpoint_paths: "/runs/a/model.ckpt-0"
all_model_checkpoint_paths: "/runs/a/model.ckpt-1000"
all_model_checkpoint_paths: "/runs/a/model.ckpt-2000"
"""
SAVED = ("/runs/a/model.ckpt-0", "/runs/a/model.ckpt-1000", "/runs/a/model.ckpt-2000")


def test_the_state_of_a_real_manager_is_read() -> None:
    assert read(REAL.read_bytes()) == TrackerState("ckpt-300", ("ckpt-200", "ckpt-300"))


@pytest.mark.parametrize(
    ("text", "latest"),
    [
        pytest.param(rb'"a\"b\\c"', 'a"b\\c', id="escaped quote and backslash"),
        pytest.param(rb"'a\'b\"c'", "a'b\"c", id="single quotes"),
        pytest.param(rb'"\303\251t\303\251"', "été", id="octal bytes of UTF-8"),
        pytest.param('"été/日"'.encode(), "été/日", id="UTF-8 as it is"),
        pytest.param(rb'"a\n\t\r\001b"', "a\n\t\r\x01b", id="control characters"),
        pytest.param(rb'"\x41\x4a\0111"', "AJ\t1", id="hexadecimal, and digits behind an octal"),
        pytest.param(rb'"\u00e9\U0001F600"', "é😀", id="code points"),
        pytest.param(rb'"\377x"', "\udcffx", id="a byte that is not UTF-8"),
        pytest.param(b'"a" \'b\'\n  "c"', "abc", id="texts side by side"),
        pytest.param(b"\"#a; b, c: 'd'\"", "#a; b, c: 'd'", id="what parts fields elsewhere"),
        pytest.param(b'""', None, id="nothing"),
    ],
)
def test_a_text_says_what_its_escapes_stand_for(text: bytes, latest: str | None) -> None:
    assert read(b"model_checkpoint_path: " + text) == TrackerState(latest, ())


@pytest.mark.parametrize(
    ("data", "state"),
    [
        pytest.param(b"", TrackerState(None, ()), id="empty"),
        pytest.param(SAVER, TrackerState(SAVED[-1], SAVED), id="a saver's absolute names"),
        pytest.param(b'# one\nmodel_checkpoint_path: "a" # two "b"\n#', TrackerState("a", ()), id="comments"),
        pytest.param(
            b'model_checkpoint_path:"a";all_model_checkpoint_paths : "a" , ', TrackerState("a", ("a",)), id="one line"
        ),
        pytest.param(
            b'model_checkpoint_path: "a"\r\nlast_preserved_timestamp: 1e+09\r\n', TrackerState("a", ()), id="Windows"
        ),
        pytest.param(b'x: -inf y: TRUE z: "q" model_checkpoint_path: "a"', TrackerState("a", ()), id="other fields"),
        pytest.param(
            b'model_checkpoint_path: "a" model_checkpoint_path: "b"', TrackerState("b", ()), id="the last counts"
        ),
    ],
)
def test_fields_are_told_apart(data: bytes, state: TrackerState) -> None:
    assert read(data) == state


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"ckpt-7\n", id="a bare name"),
        pytest.param(b"{}", id="JSON"),
        pytest.param(b'model_checkpoint_path: "a', id="cut short in a text"),
        pytest.param(b"model_checkpoint_path:", id="cut short before a value"),
        pytest.param(b"model_checkpoint_pa", id="cut short in a name"),
        pytest.param(b'model_checkpoint_path "a"', id="no colon"),
        pytest.param(b"model_checkpoint_path: 5", id="a number for a path"),
        pytest.param(b"all_model_checkpoint_paths: [5]", id="a list"),
        pytest.param(b'model_checkpoint_path { a: "b" }', id="a message"),
        pytest.param(b'model_checkpoint_path: "a\nb"', id="a line end in a text"),
        pytest.param(rb'model_checkpoint_path: "\q"', id="an unknown escape"),
        pytest.param(rb'model_checkpoint_path: "\777"', id="more than a byte"),
        pytest.param(rb'model_checkpoint_path: "\ud83d"', id="half a character"),
        pytest.param(rb'model_checkpoint_path: "\UFFFFFFFF"', id="no character"),
        pytest.param(b"\xff\xfe", id="no text"),
    ],
)
def test_anything_else_is_damaged(data: bytes) -> None:
    for call in (read, lambda it: without(it, {"a"})):
        with pytest.raises(Damaged) as caught:
            call(data)
        assert caught.value.text.startswith("not a checkpoint state: ")


def test_an_older_checkpoint_goes_with_its_time() -> None:
    assert without(REAL.read_bytes(), {"ckpt-200"}) == (
        b'model_checkpoint_path: "ckpt-300"\n'
        b'all_model_checkpoint_paths: "ckpt-300"\n'
        b"all_model_checkpoint_timestamps: 1795311290.658632\n"
        b"last_preserved_timestamp: 1795311289.5152328\n"
    )


def test_the_last_that_remains_is_the_latest_when_the_latest_goes() -> None:
    assert without(REAL.read_bytes(), {"ckpt-300"}) == (
        b'model_checkpoint_path: "ckpt-200"\n'
        b'all_model_checkpoint_paths: "ckpt-200"\n'
        b"all_model_checkpoint_timestamps: 1795311290.630868\n"
        b"last_preserved_timestamp: 1795311289.5152328\n"
    )


def test_without_the_latest_and_without_others_there_is_nothing_to_point_to() -> None:
    with pytest.raises(ValueError, match="no checkpoint would be left"):
        without(REAL.read_bytes(), {"ckpt-200", "ckpt-300"})
    with pytest.raises(ValueError, match="no checkpoint would be left"):
        without(b'model_checkpoint_path: "a"', {"a"})


@pytest.mark.parametrize(
    ("data", "gone", "left"),
    [
        pytest.param(SAVER, {"/runs/a/model.ckpt-1000"}, SAVER.replace(SAVER.splitlines(True)[2], b""), id="no times"),
        pytest.param(SAVER, {"model.ckpt-1000", "/runs/a/model.ckpt-1000/"}, SAVER, id="names are exact"),
        pytest.param(
            b'model_checkpoint_path: "b"\nall_model_checkpoint_paths: "a"\n',
            {"a"},
            b'model_checkpoint_path: "b"\n',
            id="the list is empty, the latest stays",
        ),
        pytest.param(
            b'all_model_checkpoint_paths: "a"\nall_model_checkpoint_paths: "b"\nall_model_checkpoint_timestamps: 1.5\n',
            {"b"},
            b'all_model_checkpoint_paths: "a"\nall_model_checkpoint_timestamps: 1.5\n',
            id="fewer times than names: paired by place",
        ),
        pytest.param(
            b"model_checkpoint_path: 'b'\n"
            b"all_model_checkpoint_paths: 'a' # old\r\n"
            b'  all_model_checkpoint_paths:\n  "b"',
            {"b"},
            b"model_checkpoint_path: 'a'\nall_model_checkpoint_paths: 'a' # old\r\n",
            id="quotes, comments and ends of lines as they are",
        ),
        pytest.param(
            b'model_checkpoint_path: "c" all_model_checkpoint_paths: "a"; all_model_checkpoint_paths: "b", '
            b'all_model_checkpoint_paths: "c" all_model_checkpoint_timestamps: 1 all_model_checkpoint_timestamps: 2',
            {"a"},
            b'model_checkpoint_path: "c" all_model_checkpoint_paths: "b", '
            b'all_model_checkpoint_paths: "c" all_model_checkpoint_timestamps: 2',
            id="all in one line",
        ),
        pytest.param(
            b'all_model_checkpoint_paths: "a" # old\nall_model_checkpoint_paths: "b" # new\n',
            {"a"},
            b'all_model_checkpoint_paths: "b" # new\n',
            id="the first line, with what is said of it",
        ),
        pytest.param(
            rb'all_model_checkpoint_paths: "\303\251" all_model_checkpoint_paths: "b"',
            {"é"},
            b'all_model_checkpoint_paths: "b"',
            id="a name with escapes",
        ),
    ],
)
def test_everything_else_stays_byte_for_byte(data: bytes, gone: set[str], left: bytes) -> None:
    assert without(data, gone) == left


# Laws ----------------------------------------------------------------------------------------------------------------

NAMES = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=5, unique=True)
TIMES = st.floats(0, 2e9)


def escape(name: str, as_utf8: bool) -> str:
    """A name as protobuf writes it: what cannot be printed in octal, and, by older releases, all that is not ASCII."""
    known = {"\t": r"\t", "\n": r"\n", "\r": r"\r", '"': r"\"", "'": r"\'", "\\": r"\\"}
    plain = "".join(known.get(it, it if it >= " " and it != "\x7f" else f"\\{ord(it):03o}") for it in name)
    if as_utf8:
        return f'"{plain}"'
    return '"' + "".join(chr(it) if it < 128 else f"\\{it:03o}" for it in plain.encode()) + '"'


def write(names: list[str], times: list[float], as_utf8: bool) -> bytes:
    lines = [f"model_checkpoint_path: {escape(names[-1], as_utf8)}"]
    lines += [f"all_model_checkpoint_paths: {escape(name, as_utf8)}" for name in names]
    lines += [f"all_model_checkpoint_timestamps: {time}" for time in times]
    return "".join(f"{line}\n" for line in [*lines, "last_preserved_timestamp: 1.5"]).encode()


@given(NAMES, TIMES, st.booleans(), st.booleans(), st.data())
def test_what_is_left_is_what_tensorflow_would_have_written(
    names: list[str], first: float, is_timed: bool, as_utf8: bool, data: st.DataObject
) -> None:
    times = [first + place for place in range(len(names))] if is_timed else []
    written = write(names, times, as_utf8)
    assert read(written) == TrackerState(names[-1], tuple(names))
    assert without(written, ()) == written
    gone = data.draw(st.sets(st.sampled_from(names), max_size=len(names) - 1))
    kept = [place for place, name in enumerate(names) if name not in gone]
    left = write([names[it] for it in kept], [times[it] for it in kept] if is_timed else [], as_utf8)
    assert without(written, gone) == left


@given(st.binary(max_size=60) | st.text("model_checkpoint_path: all_s\"'\\07xuU#;,\n1.", max_size=60).map(str.encode))
def test_no_bytes_do_worse_than_being_damaged(data: bytes) -> None:
    try:
        state = read(data)
    except Damaged:
        with pytest.raises(Damaged):
            without(data, {"a"})
        return
    assert without(data, ()) == data
    assert state.latest is None or isinstance(state.latest, str)

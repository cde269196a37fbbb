from __future__ import annotations

import json
import pickle
import subprocess
import sys
import zipfile
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from struct import pack

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ckptctl.errors import Damaged
from ckptctl.formats.pickle.reader import read_pickle, read_pickles
from ckptctl.formats.pickle.vm import (
    GlobalName,
    OpaqueKey,
    PersistentId,
    PickledCall,
    PickledSet,
    PickleLimits,
    SkippedValue,
)
from tests.formats.samples import FIXTURES, global_, number, numbers, text

ROOT = Path(__file__).parents[2]
CANARY = "touch canary"
SYSTEM = global_("posix", "system")
ARGUMENT = text(CANARY)
UNHURRIED = PickleLimits(seconds=60)
"""For what is not about time: on a busy machine, or where coverage looks on, a reading takes many times as long."""

GADGETS = [
    ("os", "system"),
    ("posix", "system"),
    ("nt", "system"),
    ("subprocess", "Popen"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("builtins", "__import__"),
    ("builtins", "getattr"),
    ("importlib", "import_module"),
    ("operator", "methodcaller"),
    ("functools", "partial"),
    ("pkgutil", "resolve_name"),
    ("torch.hub", "load"),
    ("socket", "create_connection"),
    ("io", "FileIO"),
    ("shutil", "rmtree"),
    ("pickle", "loads"),
    ("webbrowser", "open"),
]

CALLS: dict[str, Callable[[str, str], bytes]] = {
    "global-reduce": lambda module, name: global_(module, name) + b"(" + ARGUMENT + b"tR.",
    "stack-global-reduce": lambda module, name: (
        b"\x80\x04" + text(module) + text(name) + b"\x93" + ARGUMENT + b"\x85R."
    ),
    "inst": lambda module, name: b"(" + ARGUMENT + f"i{module}\n{name}\n.".encode(),
    "obj": lambda module, name: b"(" + global_(module, name) + ARGUMENT + b"o.",
    "newobj": lambda module, name: b"\x80\x02" + global_(module, name) + ARGUMENT + b"\x85\x81.",
    "newobj-ex": lambda module, name: b"\x80\x04" + global_(module, name) + ARGUMENT + b"\x85}\x92.",
}

SUSPICIOUS = {
    "a name from the memo": (
        text("posix") + b"q\x000" + text("system") + b"q\x010h\x00h\x01\x93" + ARGUMENT + b"\x85R.",
        "posix.system",
        (),
    ),
    "dup and pop games": (
        text("safe") + text("posix") + b"20" + text("nothing") + b"0" + text("system") + b"\x93" + ARGUMENT + b"\x85R.",
        "posix.system",
        ("values left behind",),
    ),
    "a result that is popped": (SYSTEM + ARGUMENT + b"\x85R0N.", "posix.system", ()),
    "a memo entry that is overwritten": (
        global_("a", "b") + b"q\x00" + SYSTEM + b"q\x00h\x00" + ARGUMENT + b"\x85R.",
        "posix.system",
        ("values left behind",),
    ),
    "a called result": (SYSTEM + ARGUMENT + b"\x85R" + ARGUMENT + b"\x85R.", "posix.system", ("a computed callable",)),
    "a called text": (text("os.system") + ARGUMENT + b"\x85R.", None, ("a computed callable",)),
    "a state with __setstate__": (SYSTEM + b")\x81}" + text("__setstate__") + SYSTEM + b"sb.", "posix.system", ()),
    "a state for slots": (SYSTEM + b")\x81N}" + text("__class__") + SYSTEM + b"s\x86b.", "posix.system", ()),
    "a state on a module's name": (
        global_("numpy", "__builtins__") + b"}" + text("eval") + SYSTEM + b"sb.",
        "posix.system",
        ("a state set on a bare name",),
    ),
    "a reference as text": (b"Pcanary\n.", None, ("a reference written as text",)),
    "a buffer outside": (b"\x80\x05\x97\x98.", None, ("a buffer outside the pickle",)),
    "a name with a space": (global_("os system", "x y") + b".", "os system.x y", ("a name that no Python code has",)),
    "a name with an escape": (
        global_("\x1b[2J", "system") + b".",
        "\x1b[2J.system",
        ("a name that no Python code has",),
    ),
    "a name that is not ASCII": (global_("оs", "system") + b".", "оs.system", ("a name that no Python code has",)),  # noqa: RUF001 - a Cyrillic letter
    "a dotted name": (b"\x80\x04" + text("os") + text("path.os.system") + b"\x93.", "os.path.os.system", ()),
    "a pickle in a pickle": (global_("_pickle", "loads") + b"C\x0ccos\nsystem\n.\x85R.", "_pickle.loads", ()),
    "items set in a call": (SYSTEM + b")R" + text("k") + SYSTEM + b"s.", "posix.system", ()),
    "items added to a call": (SYSTEM + b")R(" + SYSTEM + b"e.", "posix.system", ()),
}

BROKEN = {
    "nothing": (b"", "cut short"),
    "only a stop": (b".", "never put"),
    "no stop": (b"N", "cut short"),
    "a payload with a broken tail": (SYSTEM + ARGUMENT + b"\x85R\xff.", "unknown opcode 0xff"),
    "an unknown opcode": (b"\x00", "unknown opcode 0x00 at byte 0"),
    "protocol 6": (b"\x80\x06N.", "protocol 6"),
    "extension of 1 byte": (b"\x82\x01.", "extension"),
    "extension of 2 bytes": (b"\x83\x01\x00.", "extension"),
    "extension of 4 bytes": (b"\x84\x01\x00\x00\x00.", "extension"),
    "a negative memo index": (b"Np-1\n.", "memo index"),
    "a memo index ahead of the data": (b"Nr\xff\xff\xff\x7f.", "too large"),
    "a memo index ahead of a short pickle": (b"Nr\x20\xa1\x07\x00.", "memo index 500000 is too large"),
    "a memo index of many digits": (b"Np99999999999999\n.", "memo index"),
    "a memo miss": (b"h\x07.", "nothing was remembered as 7"),
    "a memo hole": (b"(((Nq\x02h\x01.", "nothing was remembered as 1"),
    "a tuple without mark": (b"NNt.", "never put"),
    "a pop of nothing": (b"0.", "never put"),
    "a pop across a mark": (b"N(a.", "never put"),
    "a mark that is never closed, then stop": (b"(.", "never put"),
    "a call without arguments": (b"R.", "never put"),
    "arguments that are no tuple": (SYSTEM + b"NR.", "no tuple"),
    "an object without class": (b"(o.", "never put"),
    "a name that is a number": (b"K\x01K\x02\x93.", "no text"),
    "a name that is too long": (global_("m" * 300, "n") + b".", "a name of 300 characters"),
    "a name without end": (b"cos", "no end of line"),
    "key without value": (b"}(Nu.", "without its value"),
    "dict without value": (b"(Nd.", "without its value"),
    "item set in a number": (b"K\x01NNs.", "no dictionary"),
    "item set in a tuple": (b")NNs.", "no dictionary"),
    "item set in a list": (b"]NNs.", "no dictionary"),
    "item set in a name": (SYSTEM + b"NNs.", "no dictionary"),
    "item added to a number": (b"K\x01Na.", "no list"),
    "item added to a tuple": (b")Na.", "no list"),
    "item added to a dict": (b"}(Ne.", "no list"),
    "item added to a frozen set": (b"(\x91(N\x90.", "no list"),
    "state on a number": (b"K\x01Nb.", "has none"),
    "state on a dict": (b"}}b.", "has none"),
    "two states": (SYSTEM + b")R}b}b.", "twice"),
    "bytes of 2^63": (b"\x8e" + pack("<Q", 2**63) + b"x.", "announced"),
    "text of 2^64": (b"\x8d" + pack("<Q", 2**64 - 1) + b"x.", "announced"),
    "text of 4 GB": (b"X\xff\xff\xff\xffx.", "announced"),
    "bytearray of 2^63": (b"\x96" + pack("<Q", 2**63) + b".", "announced"),
    "string of negative length": (b"T\xff\xff\xff\xff.", "negative"),
    "number of 2 GB": (b"\x8b\xff\xff\xff\x7f.", "whole number"),
    "number of negative length": (b"\x8b\xff\xff\xff\xff.", "whole number"),
    "number that is cut": (b"\x8a\x09\x01.", "announced"),
    "float that is cut": (b"G\x00\x00.", "cut short"),
    "a frame beyond the end": (
        b"\x80\x04\x95" + pack("<Q", 2**62) + b"N.",
        "a frame of 4,611,686,018,427,387,904 bytes announced",
    ),
    "a frame in a frame": (b"\x95" + pack("<Q", 11) + b"\x95" + pack("<Q", 2) + b"N.", "inside another"),
    "bytes beyond their frame": (b"\x95" + pack("<Q", 3) + b"B\5\0\0\0AAAAA.", "an operation reaches beyond its frame"),
    "a line beyond its frame": (b"\x95" + pack("<Q", 3) + b"Vabcde\n.", "an operation reaches beyond its frame"),
    "a stop inside the frame": (b"\x95" + pack("<Q", 4) + b"N.NN", "beyond its end"),
    "a number as text that is code": (b"I__import__('os')\n.", "whole number"),
    "a number with underscores": (b"L1_000L\n.", "whole number"),
    "a number of 2000 digits": (b"I" + b"9" * 2000 + b"\n.", "no end of line"),
    "a float as text that is code": (b"F1+1\n.", "a number"),
    "a string that is code": (b"S__import__('os')\n.", "quotes"),
    "a string with an odd escape": (b"S'\\N{DIGIT ONE}'\n.", "escape"),
    "a string that ends in a backslash": (b"S'\\'\n.", "escape"),
    "a text with a broken escape": (b"V\\u12\n.", "escape"),
    "text that is not UTF-8": (b"X\x01\x00\x00\x00\xff.", "UTF-8"),
    "too many marks": (b"(" * 1_000_000 + b".", "marks"),
    "too many values": (b"N" * 1_010_000 + b".", "values on the stack"),
}


def real_pickles() -> list[bytes]:
    found = []
    for path in sorted((FIXTURES / "lightning").rglob("*.ckpt")):
        with zipfile.ZipFile(path) as archive:
            found.append(archive.read("archive/data.pkl"))
    return sorted(set(found))


def names_of(data: bytes) -> list[str]:
    return [f"{known.module}.{known.name}" for known in read_pickle(data).globals]


NUMBERS = st.integers(2 - 2**61, 2**61 - 2)
"""What keys may be; those beyond could be chosen to collide."""
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner)
        | st.tuples(inner, inner)
        | st.tuples(inner, inner, inner, inner)
        | st.dictionaries(st.text() | NUMBERS | st.tuples(NUMBERS, st.text()), inner)
    ),
    max_leaves=20,
)


@given(PLAIN, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_data_reads_as_python_wrote_it(value: object, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    pickled = read_pickle(data)
    assert pickled.value == value
    assert type(pickled.value) is type(value)
    assert pickled[1:] == ((), (), len(data), (), frozenset())


@given(st.binary() | st.binary().map(bytearray), st.integers(5, pickle.HIGHEST_PROTOCOL))
def test_bytes_read_as_python_wrote_them(value: bytes | bytearray, protocol: int) -> None:
    pickled = read_pickle(pickle.dumps(value, protocol)).value
    assert pickled == value
    assert type(pickled) is type(value)


@pytest.mark.parametrize("value", [2**70, -(2**70), 255, -256, 2**2000], ids=["70", "-70", "8", "-8", "2000"])
@pytest.mark.parametrize("protocol", range(6))
def test_large_numbers_keep_every_digit(value: int, protocol: int) -> None:
    assert read_pickle(pickle.dumps(value, protocol)).value == value


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"S'caf\\xc3\\xa9\\n'\n.", "café\n"),
        (b'S"it\'s"\n.', "it's"),
        (b"U\x03abc.", "abc"),
        (b"T\x02\x00\x00\x00\xff\xfe.", b"\xff\xfe"),
        (b"I01\n.", True),
        (b"I00\n.", False),
        (b"L12L\n.", 12),
        (b"F1e-05\n.", 1e-05),
        (b"(I1\nI2\nl.", [1, 2]),
        (b"(K\x01K\x02d.", {1: 2}),
        (b"N(NN1.", None),
    ],
    ids=["escapes", "quotes", "short", "bytes", "true", "false", "long", "float", "list", "dict", "pop-mark"],
)
def test_opcodes_of_old_protocols_read_as_python_2_meant_them(data: bytes, value: object) -> None:
    assert read_pickle(data).value == value
    assert type(read_pickle(data).value) is type(value)


def test_sets_are_listed_and_not_hashed() -> None:
    value = read_pickle(pickle.dumps([{1}, frozenset({2})], 4)).value
    assert isinstance(value, list)
    assert [type(item) for item in value] == [PickledSet, PickledSet]
    assert [(item.items, item.frozen) for item in value] == [([1], False), ([2], True)]


@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize(("module", "name"), GADGETS, ids=".".join)
def test_a_call_stays_a_node_and_its_name_is_told(module: str, name: str, kind: str) -> None:
    pickled = read_pickle(CALLS[kind](module, name))
    assert type(pickled.value) is PickledCall
    assert pickled.value.target == GlobalName(module, name)
    assert CANARY in str(pickled.value.args)
    assert pickled.value.how == kind.replace("-", "_").removeprefix("global_").removeprefix("stack_global_")
    assert pickled.globals == (GlobalName(module, name),)


@pytest.mark.parametrize("case", SUSPICIOUS)
def test_tricks_are_read_named_and_noted(case: str) -> None:
    data, name, oddities = SUSPICIOUS[case]
    assert read_pickle(data).oddities == oddities
    assert name is None or name in names_of(data)


@pytest.mark.parametrize("case", BROKEN)
def test_malformed_pickles_end_in_one_clear_line(case: str) -> None:
    data, why = BROKEN[case]
    with pytest.raises(Damaged) as caught:
        read_pickle(data, limits=UNHURRIED)
    assert why in caught.value.text
    assert caught.value.text.startswith("pickle: ")
    assert "\n" not in caught.value.text


def test_a_broken_pickle_tells_what_it_named_until_there() -> None:
    with pytest.raises(Damaged) as caught:
        read_pickle(BROKEN["a payload with a broken tail"][0])
    assert caught.value.hint == "until there it names 'posix.system'"


def test_a_hint_escapes_the_names() -> None:
    with pytest.raises(Damaged) as caught:
        read_pickle(global_("\x1b[2J", "x") + b"R")
    assert caught.value.hint == "until there it names '\\x1b[2J.x'"


ORACLE = """
import sys
sys.path.insert(0, sys.argv[1])
from base64 import b64decode
from json import load, dumps
from ckptctl.errors import Damaged
from ckptctl.formats.pickle.reader import read_pickle, read_pickles
cases, events, watching = load(sys.stdin), [], False
sys.addaudithook(lambda event, args: events.append(event) if watching else None)
if sys.argv[2] == "real":
    from pickle import loads
    read_pickles = loads
cases = {name: b64decode(data) for name, data in cases.items()}
for name, data in cases.items():
    watching = True
    try:
        read_pickles(data)
    except Damaged:
        pass
    watching = False
print(dumps(events))
"""


def watch(cases: dict[str, bytes], reader: str, folder: Path) -> list[str]:
    given_cases = json.dumps({name: b64encode(data).decode() for name, data in cases.items()})
    command = [sys.executable, "-I", "-S", "-c", ORACLE, str(ROOT), reader]
    done = subprocess.run(command, input=given_cases, capture_output=True, text=True, cwd=folder, check=True)
    events: list[str] = json.loads(done.stdout)
    return events


def test_no_hostile_pickle_imports_opens_or_runs_anything(tmp_path: Path) -> None:
    calls = {f"{kind} {module}.{name}": make(module, name) for kind, make in CALLS.items() for module, name in GADGETS}
    tricks = {case: data for case, (data, *_) in (SUSPICIOUS | BROKEN).items()}
    events = watch(calls | tricks, "ours", tmp_path)
    assert set(events) == {"builtins.id"}  # the hook was alive, and looking up a decoder is all it saw
    assert list(tmp_path.iterdir()) == []


def test_the_watch_sees_what_a_real_unpickler_does(tmp_path: Path) -> None:
    events = watch({"real": CALLS["global-reduce"]("posix", "system")}, "real", tmp_path)
    assert "pickle.find_class" in events
    assert "os.system" in events
    assert [path.name for path in tmp_path.iterdir()] == ["canary"]


def test_the_reader_loads_no_unpickler_and_nothing_heavy() -> None:
    code = "import sys; import ckptctl.formats.torch_zip, ckptctl.formats.quick_check; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {"pickle", "_pickle", "zipfile", "json", "ast", "pathlib", "dataclasses", "inspect", "torch", "zlib"}
    assert heavy.isdisjoint(done.stdout.split())


def test_pickles_behind_each_other_are_all_read() -> None:
    first, second = pickle.dumps(1), CALLS["inst"]("posix", "system")
    found = read_pickles(first + second)
    assert [pickled.end for pickled in found] == [len(first), len(first + second)]
    assert found[1].globals == (GlobalName("posix", "system"),)


def test_what_follows_the_stop_is_told_by_the_end() -> None:
    assert read_pickle(b"N.hidden").end == 2


@pytest.mark.parametrize("data", [b"", b"N.\xff", b"N.N"], ids=["nothing", "garbage", "cut"])
def test_a_file_that_is_not_pickles_to_its_end_is_damaged(data: bytes) -> None:
    with pytest.raises(Damaged):
        read_pickles(data)


def test_too_many_pickles_in_one_file_are_refused() -> None:
    with pytest.raises(Damaged, match="more than 1,000 of them"):
        read_pickles(b"N." * 1_001)


def test_a_pickle_over_the_limit_for_data_is_not_begun() -> None:
    with pytest.raises(Damaged, match="more than the 8 that are read"):
        read_pickle(b"N" * 9, limits=PickleLimits(data=8))


def test_too_many_operations_are_refused() -> None:
    with pytest.raises(Damaged, match="more than 10,000 operations"):
        read_pickle(b"N0" * 20_000 + b"N.", limits=PickleLimits(operations=10_000))


def test_a_text_over_the_limit_is_skipped_and_not_copied() -> None:
    value = read_pickle(b"]" + text("x" * 9) + b"aC\x09xxxxxxxxxa.", limits=PickleLimits(string=8)).value
    assert [type(item) for item in value] == [SkippedValue, SkippedValue]  # type: ignore[attr-defined] # a list
    assert [item.size for item in value] == [9, 9]  # type: ignore[attr-defined] # a list


def test_a_graph_that_would_unfold_to_2_to_the_40_is_read_as_shared() -> None:
    value = read_pickle(
        b")q\x00" + b"".join(b"h%ch%c\x86q%c" % (level, level, level + 1) for level in range(40)) + b"."
    ).value
    assert value[0] is value[1]  # type: ignore[index] # a pair


def test_a_key_that_would_unfold_to_2_to_the_40_is_never_hashed() -> None:
    pairs = b"".join(b"h%ch%c\x86q%c" % (level, level, level + 1) for level in range(40))
    value = read_pickle(b")q\x00" + pairs + b"0}h\x28Ns.").value
    assert [type(key) for key in value] == [OpaqueKey]  # type: ignore[attr-defined] # a dict


@pytest.mark.parametrize(
    "key",
    [b"]", b"}", b")\x85", SYSTEM + b")R", text("k" * 5000), numbers(tuple(range(100))), SYSTEM + b"\x85"],
    ids=["list", "dict", "nested tuple", "call", "long text", "wide tuple", "name in a tuple"],
)
def test_a_key_that_is_not_plain_data_stands_apart(key: bytes) -> None:
    value = read_pickle(b"}(" + key + b"K\x01" + key + b"K\x02u.").value
    assert [type(known) for known in value] == [OpaqueKey, OpaqueKey]  # type: ignore[attr-defined] # a dict


def test_a_class_as_a_key_is_found_by_its_name() -> None:
    assert read_pickle(b"}" + SYSTEM + b"K\x01s.").value == {GlobalName("posix", "system"): 1}


def test_a_name_is_no_tuple_of_its_parts() -> None:
    assert len(read_pickle(b"}(" + SYSTEM + b"N" + text("posix") + text("system") + b"\x86Nu.").value) == 2  # type: ignore[arg-type] # a dict


def test_a_list_may_contain_itself() -> None:
    value = read_pickle(b"]q\x00h\x00a.").value
    assert value[0] is value  # type: ignore[index] # a list


@pytest.mark.parametrize("nest", [b"\x85", b"Q", b")R"], ids=["tuple", "reference", "call"])
def test_depth_beyond_recursion_is_read_and_freed(nest: bytes) -> None:
    value = read_pickle(b"N" + nest * 200_000 + b".", limits=UNHURRIED).value
    assert type(value) in {tuple, PersistentId, PickledCall}
    del value


@pytest.mark.parametrize("number", [2**61 - 1, -(2**61) + 1, 2**61, 2**2000])
def test_whole_numbers_that_could_be_chosen_to_collide_are_wrapped_as_keys(number: int) -> None:
    made = read_pickle(pickle.dumps({number: 1, (number, "x"): 2, number - 1: 3})).value
    assert isinstance(made, dict)
    assert [type(key) for key in made][:2] == [OpaqueKey, OpaqueKey]


def test_a_long_pickle_may_take_longer_and_no_pickle_much() -> None:
    limits = PickleLimits(seconds=1)
    assert [limits.allow(size) for size in (0, 2 << 20, 6 << 20, 1 << 40)] == [1, 1, 3, 4]


def test_what_has_the_length_of_a_large_models_metadata_is_read() -> None:
    held = [{"name": f"layer.{number}", "at": (number, float(number))} for number in range(150_000)]
    data = pickle.dumps(held, protocol=2)
    assert len(data) > 4 << 20
    value = read_pickle(data, limits=UNHURRIED).value
    assert isinstance(value, list)
    assert value[-1] == held[-1]


def test_keys_that_collide_run_out_of_time_instead_of_hanging() -> None:
    slots = 2**17
    slot, fill = 0, [slots]
    while len(fill) < slots // 2:
        slot = (5 * slot + 1) % slots
        fill.append(slot)
    filled = b"}(" + b"".join(number(key) + b"N" for key in fill) + b"u"
    with pytest.raises(Damaged, match=r"more than 0\.5 seconds"):
        read_pickle(filled + b"(" + b"K\x00N" * 400_000 + b"u.", limits=PickleLimits(seconds=0.5))


def test_what_a_decoder_reads_stands_in_the_place_of_the_call() -> None:
    decoders = {GlobalName("posix", "system"): len, GlobalName("nt", "system"): lambda _: None}
    value = read_pickle(b"]" + SYSTEM + b"K\x01\x85Ra" + global_("nt", "system") + b")Ra.", decoders=decoders).value
    assert value[0] == 1  # type: ignore[index] # a list
    assert type(value[1]) is PickledCall  # type: ignore[index] # a list


def test_a_decoder_is_asked_for_calls_of_its_own_name_only() -> None:
    value = read_pickle(SYSTEM + b"K\x01\x85\x81.", decoders={GlobalName("posix", "system"): len}).value
    assert type(value) is PickledCall


def test_a_call_keeps_what_would_be_done_to_its_result() -> None:
    call = read_pickle(SYSTEM + b")R(K\x01K\x02e(K\x03K\x04u}b.").value
    assert type(call) is PickledCall
    assert (call.items, call.pairs, call.state) == ([1, 2], [(3, 4)], {})


REAL = real_pickles()
EDIT = st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 2), st.binary(max_size=4))


def mutate(data: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    for place, cut, filling in edits:
        at = int(place * len(data))
        data = data[:at] + filling + data[at + cut :]
    return data


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(REAL), st.lists(EDIT, min_size=1, max_size=6))
@example(REAL[0], [(0.5, 2, b"")])
def test_a_mutated_pickle_is_read_or_damaged_and_nothing_else(
    data: bytes, edits: list[tuple[float, int, bytes]]
) -> None:
    try:
        assert read_pickle(mutate(data, edits)).end <= len(mutate(data, edits))
    except Damaged as damage:
        assert damage.text.startswith("pickle: ")  # noqa: PT017 - either is right


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_read_or_damaged_and_nothing_else(data: bytes) -> None:
    try:
        read_pickles(data)
    except Damaged as damage:
        assert damage.text.startswith("pickle: ")  # noqa: PT017 - either is right


@pytest.mark.parametrize("data", REAL, ids=range(len(REAL)))
def test_every_prefix_of_a_real_pickle_is_damaged(data: bytes) -> None:
    for length in range(0, len(data), 7):
        with pytest.raises(Damaged):
            read_pickle(data[:length])


def test_the_memo_is_limited_whatever_its_opcode() -> None:
    puts = b"N" + b"".join(b"r" + pack("<I", index) for index in range(300)) + b"."
    assert read_pickle(puts, limits=PickleLimits(memo=300)).value is None
    with pytest.raises(Damaged, match="memo index 299 is too large"):
        read_pickle(puts, limits=PickleLimits(memo=299))

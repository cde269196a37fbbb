from __future__ import annotations

import struct
import sys
import zipfile
from binascii import crc32
from collections.abc import Iterator
from io import BytesIO
from math import inf, nan
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptctl.formats import read_files
from ckptctl.formats.checksums import crc32c, find_crc32, unmask_crc
from ckptctl.formats.contents import BITS, FLAWS, Contents, Flaw, Piece, Storage, Tensor, merge_contents
from ckptctl.formats.torch_writer import encode_torch, make_tensor
from ckptctl.tensors.finite import KINDS, find_non_finite
from ckptctl.tensors.full_check import plan_reads, prove_texts, read_deep
from ckptctl.tensors.structure_check import find_flaws
from tests.conftest import lacks
from tests.formats.held import Held, load
from tests.formats.legacy import encode_legacy
from tests.formats.samples import FIXTURES, dictionary, global_, number, text, torch_file
from tests.formats.test_contents import HEADER, safetensors

LAYOUTS = FIXTURES / "layouts"
STATE = {"state_dict": {"w": make_tensor(range(64), (8, 8)), "b": make_tensor([7], (1,))}, "epoch": 3}


def flaws_of(files: Held, *, deep: bool = False, finite: bool = False, allow: tuple[str, ...] = ()) -> list[Flaw]:
    held = read_files(files)
    contents = merge_contents(held) if held else Contents("none")
    found = list(find_flaws(contents, files, allow))
    return found + read_deep(contents, files, deep=deep, finite=finite) if deep or finite else found


def ids(files: Held, *, deep: bool = False, finite: bool = False) -> list[str]:
    return [it.id for it in flaws_of(files, deep=deep, finite=finite)]


def errors(files: Held, *, deep: bool = False) -> list[Flaw]:
    return [it for it in flaws_of(files, deep=deep) if it.severity == "error"]


def only(folder: str, front: str) -> Held:
    return Held({name: it for name, it in load(LAYOUTS / folder).files.items() if name.startswith(front)})


def array(*, packed: bool) -> bytes:
    """What numpy's savez writes."""
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (8,), }".ljust(117) + b"\n"
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + struct.pack("<8f", *range(8))
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        archive.writestr("w.npy", content)
    return buffer.getvalue()


WHOLE = {
    "torch": Held({"x.ckpt": encode_torch(STATE)}),
    "torch of today": load(LAYOUTS / "torch" / "a.ckpt"),
    "torch without checksums": load(LAYOUTS / "torch" / "nocrc.pt"),
    "legacy": Held({"x.pth": encode_legacy(STATE)}),
    "legacy of old": load(LAYOUTS / "torch" / "legacy.pth"),
    "pickle": Held({"x.pkl": dictionary(a=number(1), b=text("hello"))}),
    "safetensors": Held({"x.safetensors": safetensors({"a": HEADER}, bytes(8))}),
    "keras": load(LAYOUTS / "keras" / "m.keras"),
    "hdf5": load(LAYOUTS / "keras" / "m.h5"),
    "hdf5 of many members": load(LAYOUTS / "hdf5" / "many.h5"),
    "hdf5 in the order of its making": load(LAYOUTS / "hdf5" / "ordered.h5"),
    "packed hdf5": load(LAYOUTS / "hdf5" / "packed.h5"),
    "shards": only("keras", "sh"),
    "npz": Held({"x.npz": array(packed=False)}),
    "packed npz": Held({"x.npz": array(packed=True)}),
    "dcp": load(LAYOUTS / "torch" / "dcp" / "step-5"),
    "tensorflow": only("tf/mgr", "ckpt-200"),
    "orbax": load(LAYOUTS / "orbax" / "20"),
}


def cuts(size: int) -> Iterator[int]:
    """Lengths to cut to: all of a small file, many of a large one."""
    step = max(1, size // 150)
    return iter(sorted({*range(0, size, step), *range(max(0, size - 70), size), *range(min(size, 70))}))


@pytest.mark.parametrize("case", WHOLE)
def test_nothing_is_wrong_with_what_is_whole(case: str) -> None:
    files = WHOLE[case]
    assert flaws_of(files, deep=True) == []


CUTTABLE = [
    ("torch", "x.ckpt"),
    ("torch of today", "a.ckpt"),
    ("torch without checksums", "nocrc.pt"),
    ("legacy", "x.pth"),
    ("legacy of old", "legacy.pth"),
    ("pickle", "x.pkl"),
    ("safetensors", "x.safetensors"),
    ("keras", "m.keras"),
    ("hdf5", "m.h5"),
    ("hdf5 of many members", "many.h5"),
    ("hdf5 in the order of its making", "ordered.h5"),
    ("packed hdf5", "packed.h5"),
    ("shards", "sh_00001.weights.h5"),
    ("npz", "x.npz"),
    ("packed npz", "x.npz"),
    ("dcp", "__0_0.distcp"),
    ("dcp", ".metadata"),
    ("tensorflow", "ckpt-200.index"),
    ("tensorflow", "ckpt-200.data-00000-of-00001"),
]


@pytest.mark.parametrize(("case", "name"), CUTTABLE, ids=lambda it: it)
def test_a_file_that_was_cut_anywhere_is_found(case: str, name: str) -> None:
    whole = WHOLE[case]
    for length in cuts(whole.sizes[name]):
        files = Held({**whole.files, name: whole.files[name][:length]})
        assert errors(files), f"cut to {length} bytes"


@pytest.mark.parametrize(
    ("case", "name"),
    [
        ("shards", "sh_00000.weights.h5"),
        ("dcp", "__0_0.distcp"),
        ("tensorflow", "ckpt-200.data-00000-of-00001"),
        ("orbax", "default/manifest.ocdbt"),
        ("orbax", "default/ocdbt.process_0/manifest.ocdbt"),
    ],
)
def test_a_shard_that_is_missing_is_found(case: str, name: str) -> None:
    left = {path: it for path, it in WHOLE[case].files.items() if path != name}
    assert "missing-file" in ids(Held(left))


@pytest.mark.parametrize("case", ["torch", "torch of today", "keras", "npz", "packed npz", "dcp", "tensorflow"])
def test_any_byte_that_was_flipped_in_what_has_a_checksum_is_found(case: str) -> None:
    whole, many = WHOLE[case], 3 if case == "dcp" else 25
    for record in merge_contents(read_files(whole)).records:
        end = record.length - (record.unpacked is not None)  # the last bits of what is packed may be padding
        for place in range(record.offset, record.offset + end, max(1, end // many)):
            content = bytearray(whole.files[record.file])
            content[place] ^= 0x10
            assert errors(Held({**whole.files, record.file: bytes(content)}), deep=True), f"{record.name}, byte {place}"


def test_a_flipped_byte_is_told_by_the_tensor_that_it_is_in() -> None:
    content = bytearray(encode_torch(STATE))
    content[content.index(struct.pack("<3f", 5, 6, 7))] ^= 1
    (flaw,) = flaws_of(Held({"x.ckpt": bytes(content)}), deep=True)
    assert (flaw.id, flaw.text, flaw.file) == ("checksum", "tensor 'state_dict.w': checksum differs", "x.ckpt")


def test_a_flipped_byte_is_not_looked_for_without_being_asked() -> None:
    content = bytearray(encode_torch(STATE))
    content[content.index(struct.pack("<3f", 5, 6, 7))] ^= 1
    assert flaws_of(Held({"x.ckpt": bytes(content)})) == []


def test_any_byte_of_the_index_of_tensorflow_that_was_flipped_is_found() -> None:
    whole = WHOLE["tensorflow"]
    name = "ckpt-200.index"
    for place in range(whole.sizes[name]):
        content = bytearray(whole.files[name])
        content[place] ^= 0x10
        assert errors(Held({**whole.files, name: bytes(content)})), place


def test_a_member_that_unpacks_to_more_than_it_says_is_not_unpacked_further() -> None:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w.npy", array(packed=False)[:0] + b"\x93NUMPY\x01\x00\x76\x00" + bytes(50 << 20))
    content = bytearray(buffer.getvalue())
    for magic, at in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        place = content.index(magic) + at
        content[place : place + 4] = struct.pack("<I", 100)
    assert errors(Held({"x.npz": bytes(content)}), deep=True)


# Structure -----------------------------------------------------------------------------------------------------------


class Case(NamedTuple):
    """A tensor on a storage of 16 bytes."""

    shape: tuple[int, ...]
    stride: tuple[int, ...] | None = None
    start: int = 0
    dtype: str = "float32"


@pytest.mark.parametrize(
    ("case", "fits"),
    [
        (Case((4,)), True),
        (Case((5,)), False),
        (Case((2, 2), (2, 1)), True),
        (Case((2, 2), (3, 1)), False),
        (Case((3,), (1,), 4), True),
        (Case((3,), (1,), 8), False),
        (Case((0, 9)), True),
        (Case((1000,), (0,)), True),
        (Case((), None, 12), True),
        (Case((), None, 16), False),
        (Case((2**40, 2**40)), False),
        (Case((9,), None, 0, "?"), True),
        (Case((32,), None, 0, "float4"), True),
        (Case((33,), None, 0, "float4"), False),
    ],
)
def test_a_tensor_must_lie_inside_of_its_storage(case: Case, fits: bool) -> None:
    tensor = Tensor("w", case.shape, case.dtype, "weights", (Piece("s", case.start, case.shape, case.stride),))
    contents = Contents("torch", (tensor,), {"s": Storage("x", 0, 16)})
    found = list(find_flaws(contents, Held({"x": bytes(16)})))
    assert [it.id for it in found] == ([] if fits else ["short-storage"])


def test_of_many_flaws_of_one_kind_the_first_are_told_and_the_rest_is_counted() -> None:
    tensors = tuple(Tensor(f"w{n}", (9,), "float32", "weights", (Piece("s", 0, (9,)),)) for n in range(100))
    found = list(find_flaws(Contents("torch", tensors, {"s": Storage("x", 0, 16)}), Held({"x": bytes(16)})))
    assert len(found) == 21
    assert found[-1].text == "80 more like these"


def test_names_are_told_by_what_loading_does_with_them() -> None:
    called = torch_file(
        dictionary(a=global_("thing", "run") + text("x") + b"\x85R", b=global_("more", "C") + b")\x81}b")
    )
    assert {it.id: it.severity for it in flaws_of(Held({"x.pt": called}))} == {
        "suspect-name": "error",
        "unlisted-name": "warning",
    }
    assert flaws_of(Held({"x.pt": called}), allow=("thing.*", "more.C")) == []


def test_every_flaw_has_an_id_that_is_explained() -> None:
    for flaw in (Flaw(key, "text") for key in FLAWS):
        assert flaw.severity in ("error", "warning")


# Numbers -------------------------------------------------------------------------------------------------------------


FORMATS = {"float64": "d", "float32": "f", "float16": "e", "complex64": "f", "complex128": "d"}


@pytest.mark.parametrize("big_endian", [False, True], ids=["little", "big"])
@pytest.mark.parametrize("dtype", FORMATS)
@given(values=st.lists(st.floats(width=16) | st.sampled_from([nan, inf, -inf])))
def test_what_is_no_number_is_found_where_it_is(dtype: str, big_endian: bool, values: list[float]) -> None:
    data = struct.pack(f"{'>' if big_endian else '<'}{len(values)}{FORMATS[dtype]}", *values)
    expected = [(n, it != it) for n, it in enumerate(values) if it != it or abs(it) == inf]  # noqa: PLR0124 - NaN
    assert list(find_non_finite(data, dtype, big_endian=big_endian)) == expected


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_largest_numbers_are_numbers(dtype: str) -> None:
    letter = FORMATS[dtype]
    largest = {"f": 3.4028234663852886e38, "d": 1.7976931348623157e308}[letter]
    assert list(find_non_finite(struct.pack(f"<2{letter}", largest, -largest), dtype)) == []


@pytest.mark.parametrize(
    ("dtype", "data", "found"),
    [
        ("bfloat16", b"\x80\x7f\xc0\x7f\x7f\x7f\x80\xff\x00\x00", [(0, False), (1, True), (3, False)]),
        ("float8_e5m2", b"\x7b\x7c\x7d\xfc\x00", [(1, False), (2, True), (3, False)]),
        ("float8_e4m3fn", b"\x7e\x7f\xff\x00", [(1, True), (2, True)]),
        ("float8_e4m3fnuz", b"\x7f\x80\xff", [(1, True)]),
        ("float8_e8m0fnu", b"\xfe\xff", [(1, True)]),
    ],
)
def test_short_types_tell_what_is_no_number_in_their_own_ways(
    dtype: str, data: bytes, found: list[tuple[int, bool]]
) -> None:
    assert list(find_non_finite(data, dtype)) == found


def test_every_type_of_floating_point_is_known_by_its_width() -> None:
    for dtype, kind in KINDS.items():
        assert BITS[dtype] // 8 in (kind.width, 2 * kind.width)


def test_tensors_that_hold_nan_or_infinity_are_told_by_name_and_number() -> None:
    values = {
        "state_dict": {"good": make_tensor([1, 2], (2,)), "bad": make_tensor([1, nan, inf, nan], (2, 2))},
        "callbacks": {"best": make_tensor([inf])},
    }
    for encode in (encode_torch, encode_legacy):
        (flaw,) = flaws_of(Held({"x.pt": encode(values)}), finite=True)
        assert (flaw.id, flaw.text) == ("not-finite", "tensor 'state_dict.bad': 2 NaN, 1 infinite of 4")


def test_numbers_of_a_storage_that_lie_in_no_tensor_do_not_count() -> None:
    data = struct.pack("<8f", 1, nan, 2, nan, 3, nan, 4, nan)
    storages = {"s": Storage("x", 0, 32)}
    every_second = Tensor("w", (2, 2), "float32", "weights", (Piece("s", 0, (2, 2), (4, 2)),))
    contents = Contents("torch", (every_second,), storages)
    assert read_deep(contents, Held({"x": data}), deep=False, finite=True) == []
    shifted = every_second._replace(name="odd", pieces=(Piece("s", 4, (2, 2), (4, 2)),))
    (flaw,) = read_deep(contents._replace(tensors=(every_second, shifted)), Held({"x": data}), deep=False, finite=True)
    assert flaw.text == "tensor 'odd': 4 NaN of 4"


def test_every_byte_of_every_file_is_read_once() -> None:
    for files in WHOLE.values():
        held = read_files(files)
        stretches = plan_reads(merge_contents(held), files, deep=True, finite=False)
        covered = {name: bytearray(size) for name, size in files.sizes.items()}
        for stretch in stretches:
            for place in range(stretch.offset, stretch.offset + stretch.length):
                covered[stretch.file][place] += 1
        assert {count for content in covered.values() for count in content} <= {1}


def test_a_large_file_is_read_by_two_threads_to_the_same_end() -> None:
    content = bytes(range(256)) * (5 << 12)
    values = {
        "state_dict": {
            f"w{n}": make_tensor([], (0,))._replace(shape=(len(content) // 4,), data=content) for n in range(3)
        }
    }
    data = bytearray(encode_torch(values))
    files = Held({"x.pt": bytes(data)})
    seen: list[int] = []
    contents = merge_contents(read_files(files))
    assert read_deep(contents, files, deep=True, finite=False, tick=seen.append) == []
    assert sum(seen) == len(data)
    data[len(data) // 2] ^= 1
    assert [it.id for it in read_deep(contents, Held({"x.pt": bytes(data)}), deep=True, finite=False)] == ["checksum"]


@pytest.mark.parametrize("offset", [17, 2**40, 2**62, 2**70])
def test_a_storage_beyond_its_file_is_told_and_costs_nothing(offset: int) -> None:
    tensor = Tensor("w", (4,), "float32", "weights", (Piece("s", 0, (4,)),))
    contents = Contents("hdf5", (tensor,), {"s": Storage("x", offset, 16)})
    files = Held({"x": bytes(32)})
    assert [it.id for it in find_flaws(contents, files)] == ["short-storage"]
    assert read_deep(contents, files, deep=True, finite=True) == []


def test_tensors_that_lie_over_each_other_are_not_read_again_and_again() -> None:
    tensors = tuple(Tensor(f"w{n}", (200,), "float32", "weights", (Piece(f"s{n}", 0, (200,)),)) for n in range(100))
    contents = Contents("hdf5", tensors, {f"s{n}": Storage("x", n, 800) for n in range(100)})
    assert [it.id for it in read_deep(contents, Held({"x": bytes(1000)}), deep=False, finite=True)] == ["broken"]


def test_a_file_that_shrinks_while_it_is_read_is_cut_short() -> None:
    files = Held({"x.pt": encode_torch(STATE)})
    contents = merge_contents(read_files(files))
    files.files["x.pt"] = files.files["x.pt"][:-500]
    assert "cut-short" in {it.id for it in read_deep(contents, files, deep=True, finite=False)}


# Checksums -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["zlib", "zlib_ng"])
def test_crc32_is_the_same_whichever_library_works_it_out(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if lacks(library) is not None:
        pytest.skip(str(lacks(library)))
    if library == "zlib":
        monkeypatch.setitem(sys.modules, "zlib_ng", None)
    found = find_crc32.__wrapped__()
    assert found.__module__.rpartition(".")[2] == library
    data = memoryview(bytes(range(256)) * 999)[3:]
    assert found(data[1000:], found(data[:1000], 0)) == crc32(data)


def test_crc32c_is_the_one_that_the_standard_says() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"") == 0


@given(st.integers(0, 40_000), st.integers(0, 40_000))
def test_crc32c_of_parts_is_that_of_the_whole(length: int, middle: int) -> None:
    data = bytes((n * n) >> 3 & 0xFF for n in range(length))
    assert crc32c(data[middle:], crc32c(data[:middle])) == crc32c(data)


def test_crc32c_side_by_side_is_the_same_as_byte_by_byte() -> None:
    data = bytes((n * 7919) >> 5 & 0xFF for n in range(50_000))
    slowly = 0
    for start in range(0, len(data), 1000):
        slowly = crc32c(data[start : start + 1000], slowly)
    assert crc32c(data) == slowly


def test_a_masked_checksum_is_unmasked() -> None:
    masked = ((0x12345678 >> 15 | 0x12345678 << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert unmask_crc(masked) == 0x12345678


@pytest.mark.parametrize("texts", [[b"hello"], [b"", b"ab", b"c" * 300], [b"x"] * 50])
def test_the_checksum_of_texts_counts_their_lengths(texts: list[bytes]) -> None:
    lengths = b"".join(
        bytes([len(it)]) if len(it) < 128 else bytes([len(it) & 0x7F | 0x80, len(it) >> 7]) for it in texts
    )
    wide = b"".join(struct.pack("<I", len(it)) for it in texts)
    data = lengths + b"abcd" + b"".join(texts)
    checksum = crc32c(b"abcd" + b"".join(texts), crc32c(wide))
    assert prove_texts(data, checksum)
    assert not prove_texts(data[:-1] + b"?", checksum)
    assert not prove_texts(b"\xff" * 20, checksum)
    assert crc32(data) != checksum


@pytest.mark.parametrize("number", range(3))
def test_a_storage_of_the_older_format_that_counts_otherwise_than_its_pickle_is_told(number: int) -> None:
    state = {"state_dict": {name: make_tensor([1, 2, 3], (3,)) for name in "abc"}}
    content = bytearray(encode_legacy(state))
    content[len(content) - 20 * (3 - number)] ^= 1  # a count of eight bytes, and three numbers of four
    assert [it.id for it in errors(Held({"x.pth": bytes(content)}))] == ["broken"]


@pytest.mark.parametrize("at", range(4))
def test_an_archive_whose_first_bytes_went_bad_is_told(at: int) -> None:
    content = bytearray(encode_torch(STATE))
    content[at] ^= 4
    assert [it.id for it in errors(Held({"x.ckpt": bytes(content)}))] == ["broken"]


@pytest.mark.parametrize(("shape", "stride"), [((-2, -3), None), ((2, 3), (3, -1))])
def test_a_tensor_of_less_than_nothing_is_told(shape: tuple[int, ...], stride: tuple[int, ...] | None) -> None:
    tensor = Tensor("w", shape, "float32", "weights", (Piece("s", 0, shape, stride),))
    contents = Contents("torch", (tensor,), {"s": Storage("x", 0, 1000)})
    assert [it.id for it in find_flaws(contents, Held({"x": bytes(1000)}))] == ["broken"]


@pytest.mark.slow
@pytest.mark.skipif(lacks("torch") is not None, reason=str(lacks("torch")))
def test_whatever_bit_flips_where_torch_loads_no_more_a_deep_look_tells() -> None:
    import torch

    buffer = BytesIO()
    torch.save({"state_dict": {"a": torch.arange(4.0), "b": torch.arange(6).reshape(2, 3)}, "epoch": 3}, buffer)
    passed = 0
    for at, bit in ((at, bit) for at in range(len(buffer.getvalue())) for bit in range(8)):
        content = bytearray(buffer.getvalue())
        content[at] ^= 1 << bit
        if errors(Held({"x.pt": bytes(content)}), deep=True):
            continue
        try:
            torch.load(BytesIO(content), weights_only=True)
        except Exception as error:  # noqa: BLE001 - torch has many ways to say no
            pytest.fail(f"bit {bit} of byte {at} was not found: {error}")
        passed += 1
    assert passed  # bits that nobody reads: times, attributes


def attribute(owner: bytes, name: str) -> bytes:
    """What belongs to a class, as protocols before the fourth name it."""
    return global_("__builtin__", "getattr") + owner + text(name) + b"\x86R"


HISTORY = global_("mmengine.logging.history_buffer", "HistoryBuffer")
POPEN = global_("subprocess", "Popen")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (attribute(HISTORY, "mean"), []),
        (attribute(HISTORY, "mean") + b")R", []),
        (global_("__builtin__", "getattr"), []),
        (attribute(HISTORY, "statistics"), ["unlisted-name"]),
        (attribute(HISTORY, "statistics") + b")R", ["suspect-name"]),
        (attribute(POPEN, "wait"), ["suspect-name"]),
        (attribute(HISTORY, "__init__"), ["suspect-name"]),
        (attribute(attribute(HISTORY, "mean"), "real"), ["suspect-name"]),
        (attribute(text("a"), "join"), ["suspect-name"]),
        (attribute(global_("numpy", "ndarray"), "tofile") + b")R", ["suspect-name"]),
        (global_("__builtin__", "map") + global_("__builtin__", "getattr") + b"\x85R", ["suspect-name"]),
    ],
    ids=[
        *("named", "named and called", "getattr alone", "not listed", "not listed, and called", "of Python's"),
        *("hidden", "of what belongs", "of a text", "of an allowed class, and called", "getattr handed to a call"),
    ],
)
def test_what_belongs_to_a_class_is_named_like_the_class(value: bytes, found: list[str]) -> None:
    content = dictionary(a=value)
    assert [it.id for it in flaws_of(Held({"x.pkl": content}))] == found


SHARDS = {f"model-0000{number}-of-00003.safetensors": safetensors({"a": HEADER}, bytes(8)) for number in (1, 2, 3)}


@pytest.mark.parametrize("missing", SHARDS)
def test_a_shard_that_the_others_count_is_missing_whether_an_index_names_it_or_not(missing: str) -> None:
    left = {name: content for name, content in SHARDS.items() if name != missing}
    assert [(it.id, it.file) for it in errors(Held({**left, "config.json": b"{}"}))] == [("missing-file", missing)]
    assert errors(Held({**SHARDS, "config.json": b"{}"})) == []


def test_a_shard_that_is_looked_at_alone_misses_no_other() -> None:
    name, content = next(iter(SHARDS.items()))
    assert errors(Held({name: content})) == []


def test_of_many_missing_shards_some_are_told_and_how_many_more_there_are() -> None:
    content = safetensors({"a": HEADER}, bytes(8))
    told = errors(Held({"model-00000-of-99999.safetensors": content, "config.json": b"{}"}))
    assert len(told) == 21
    assert told[-1].text == "99978 more like these"

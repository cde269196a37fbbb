from __future__ import annotations

import zipfile
from io import BytesIO
from struct import pack

import pytest

from ckptctl.errors import Damaged
from ckptctl.formats.pickle.vm import GlobalName, PickledCall
from ckptctl.formats.torch_zip import UNSUPPORTED, PickledTensor, read_values, scalar
from ckptctl.formats.zip import open_archive
from tests.formats.samples import (
    Bytes,
    dictionary,
    fixture,
    global_,
    number,
    numbers,
    pack_zip,
    storage,
    tensor,
    text,
    torch_file,
)

PICKLE = dictionary(epoch=number(3))
PLAIN = torch_file(PICKLE)
END = b"PK\x05\x06"


def replace_once(data: bytes, old: bytes, new: bytes, *, last: bool = False) -> bytes:
    at = data.rfind(old) if last else data.find(old)
    assert at >= 0
    return data[:at] + new + data[at + len(old) :]


def with_field(data: bytes, magic: bytes, offset: int, value: bytes) -> bytes:
    """The archive with some bytes of the first record of this kind replaced."""
    at = data.index(magic) + offset
    return data[:at] + value + data[at + len(value) :]


def with_end(data: bytes, offset: int, value: bytes) -> bytes:
    at = data.rindex(END) + offset
    return data[:at] + value + data[at + len(value) :]


def shift(data: bytes, extra: int) -> bytes:
    """The archive's end record saying that the directory begins later."""
    at = data.rindex(END) + 16
    return with_end(data, 16, pack("<I", int.from_bytes(data[at : at + 4], "little") + extra))


def duplicated(first: str, second: str) -> bytes:
    data = pack_zip({"archive/" + first: PICKLE, "archive/" + "x" * len(second): dictionary(epoch=number(4))})
    return data.replace(b"x" * len(second), second.encode())


def hidden_between() -> bytes:
    """A second directory with its end record, between the last member and the first directory."""
    at = PLAIN.index(b"PK\x01\x02")
    return shift(PLAIN[:at] + PLAIN[at:] + PLAIN[at:], len(PLAIN) - at)


def appended() -> bytes:
    """An archive whose offsets count the bytes before it."""
    buffer = BytesIO(b"PK\x03\x04junk")
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("archive/data.pkl", PICKLE)
    return buffer.getvalue()


def overlapping() -> bytes:
    """The second member's directory entry pointing at the first's header."""
    second = PLAIN.index(b"PK\x01\x02", PLAIN.index(b"PK\x01\x02") + 4)
    return PLAIN[: second + 42] + pack("<I", 10) + PLAIN[second + 46 :]


AMBIGUOUS = {
    "two members of one name": (duplicated("data.pkl", "data.pkl"), "one name"),
    "two names that differ in case": (duplicated("data.pkl", "DATA.PKL"), "one name"),
    "bytes before it": (b"PK\x03\x04 and more" + PLAIN, "does not end where"),
    "bytes before it, with offsets that fit": (appended(), "does not begin"),
    "bytes behind it": (PLAIN + b"x", "bytes follow"),
    "a comment": (with_end(PLAIN, 20, b"\x01\x00") + b"x", "bytes follow"),
    "an end record in a comment": (with_end(PLAIN, 20, b"\x16\x00") + END + bytes(18), "does not end where"),
    "a second directory before the first": (hidden_between(), "no member owns"),
    "an archive behind another": (PLAIN + PLAIN, "does not end where"),
    "overlapping members": (overlapping(), "does not begin behind"),
    "another name in the local header": (with_field(PLAIN, b"PK\x03\x04", 30, b"Archive"), "described otherwise"),
    "another size in the local header": (with_field(PLAIN, b"PK\x03\x04", 22, b"\x01\x00\x00\x00"), "another size"),
    "another checksum in the local header": (with_field(PLAIN, b"PK\x03\x04", 14, b"abcd"), "another size or checksum"),
    "another method in the local header": (with_field(PLAIN, b"PK\x03\x04", 8, b"\x08\x00"), "described otherwise"),
    "another flag in the local header": (with_field(PLAIN, b"PK\x03\x04", 6, b"\x01"), "described otherwise"),
    "data behind the next header": (with_field(PLAIN, b"PK\x03\x04", 28, b"\x10\x00"), "reaches into what follows"),
    "data behind the directory": (with_field(PLAIN, b"PK\x03\x04", 28, b"\xff\xff"), "reaches into what follows"),
    "compressed": (pack_zip({"archive/data.pkl": PICKLE * 9}, compressed=("archive/data.pkl",)), "compressed"),
    "encrypted": (with_field(with_field(PLAIN, b"PK\x03\x04", 6, b"\x01"), b"PK\x01\x02", 8, b"\x01"), "encrypted"),
    "several disks": (with_end(PLAIN, 4, b"\x01\x00"), "several parts"),
    "more members announced": (
        with_end(torch_file(PICKLE, root="r" * 80), 8, b"\x03\x00\x03\x00"),
        "fewer members than",
    ),
    "more members announced than there is room": (with_end(PLAIN, 8, b"\x03\x00\x03\x00"), "bytes for 3 members"),
    "empty": (b"", "empty file"),
    "fewer members announced": (with_end(PLAIN, 8, b"\x01\x00\x01\x00"), "more than the members announced"),
    "full fields without a zip64 record": (with_end(PLAIN, 12, b"\xff\xff\xff\xff"), "zip64 end record is missing"),
    "two folders": (pack_zip({"archive/data.pkl": PICKLE, "other/data.pkl": PICKLE}), "not all in one folder"),
    "a broken directory": (with_field(PLAIN, b"PK\x01\x02", 0, b"PK\x01\x03"), "directory is broken"),
    "a content that was changed": (replace_once(PLAIN, number(3), number(4)), "checksum"),
    "cut short": (PLAIN[:-30], "end record missing"),
    "cut to a few bytes": (PLAIN[:10], "end record missing"),
    "a million members in few bytes": (with_end(PLAIN, 8, b"\xfe\xff\xfe\xff"), "members"),
}


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_what_two_readers_could_understand_differently_is_refused(case: str) -> None:
    data, why = AMBIGUOUS[case]
    with pytest.raises(Damaged) as caught:
        read_values(Bytes(data))
    assert why in caught.value.text
    assert caught.value.id == "damaged"


ZIP64 = fixture("layouts/torch/a.ckpt").content


def test_the_sample_has_a_zip64_end_record() -> None:
    assert ZIP64[-98:-94] == b"PK\x06\x06"
    assert len(open_archive(Bytes(ZIP64)).members) == 14


@pytest.mark.parametrize(
    ("offset", "value", "why"),
    [
        (-42 + 8, b"\0", "bytes stand before it"),
        (-42 + 16, b"\x02", "bytes stand before it"),
        (-98 + 4, b"\x2d", "malformed"),
        (-98, b"PK\x06\x08", "malformed"),
        (-98 + 32, b"\x0d", "malformed"),
        (-98 + 40, b"\0", "differ"),
        (-22 + 12, b"\0", "differ"),
        (-22 + 16, b"\0", "differ"),
        (-22 + 8, b"\x0d\x00\x0d", "differ"),
    ],
    ids=[
        "place",
        "disks",
        "length",
        "magic",
        "count",
        "directory length",
        "short length",
        "short offset",
        "short count",
    ],
)
def test_a_zip64_record_that_lies_is_refused(offset: int, value: bytes, why: str) -> None:
    at = len(ZIP64) + offset
    with pytest.raises(Damaged) as caught:
        open_archive(Bytes(ZIP64[:at] + value + ZIP64[at + len(value) :]))
    assert why in caught.value.text


def wide_entries(data: bytes) -> bytes:
    """The archive with the first member's sizes and offset in a zip64 extra, as for files over 4 GiB."""
    at = data.index(b"PK\x01\x02")
    name = int.from_bytes(data[at + 28 : at + 30], "little")
    size = data[at + 24 : at + 28]
    extra = pack("<HH", 0xCAFE, 2) + b"xx" + pack("<HH", 1, 24) + (size + bytes(4)) * 2 + bytes(8)
    entry = (
        data[at : at + 20]
        + b"\xff" * 8
        + data[at + 28 : at + 30]
        + pack("<H", len(extra))
        + data[at + 32 : at + 42]
        + b"\xff" * 4
    )
    grown = data[:at] + entry + data[at + 46 : at + 46 + name] + extra + data[at + 46 + name :]
    length = int.from_bytes(data[data.rindex(END) + 12 : data.rindex(END) + 16], "little")
    return with_end(grown, 12, pack("<I", length + len(extra)))


def test_sizes_beyond_32_bits_are_read_from_the_extra_field() -> None:
    member = open_archive(Bytes(wide_entries(PLAIN))).members[b"archive/data.pkl"]
    assert (member.size, member.packed, member.header) == (len(PICKLE), len(PICKLE), 0)
    assert read_values(Bytes(wide_entries(PLAIN))) == {"epoch": 3}


def test_a_size_beyond_32_bits_that_is_missing_is_refused() -> None:
    with pytest.raises(Damaged, match="lacks its 64-bit size"):
        open_archive(Bytes(replace_once(wide_entries(PLAIN), pack("<HH", 1, 24), pack("<HH", 2, 24))))


def test_members_that_cannot_escape_are_only_names() -> None:
    data = pack_zip({"archive/data.pkl": PICKLE, "archive/../../x": b"", "archive/\\windows": b""})
    assert read_values(Bytes(data)) == {"epoch": 3}


UNREADABLE = {
    "torch before 1.6": (fixture("layouts/torch/legacy.pth").content, "before 1.6"),
    "safetensors": (fixture("layouts/torch/x.safetensors").content, "not a file of torch.save"),
    "HDF5": (fixture("layouts/keras/m.h5").content, "not a file of torch.save"),
    "Keras": (fixture("layouts/keras/m.keras").content, "without data.pkl"),
    "a pickle": (b"\x80\x02N.", "not a file of torch.save"),
    "a list": (torch_file(b"]."), "no dictionary"),
    "a whole module": (torch_file(global_("model", "Net") + b")\x81."), "no dictionary"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_sound_file_of_another_kind_is_told_from_a_damaged_one(case: str) -> None:
    data, why = UNREADABLE[case]
    with pytest.raises(Damaged) as caught:
        read_values(Bytes(data))
    assert why in caught.value.text
    assert caught.value.id == UNSUPPORTED


def test_a_pickle_over_the_limit_is_not_read() -> None:
    source = Bytes(torch_file(b"\x80\x02" + bytes(65 << 20)))
    with pytest.raises(Damaged, match="are more than the 67,108,864"):
        read_values(source)
    assert max(source.reads) < 1000


SCALARS = [
    ("FloatStorage", pack("<f", 0.5), 0.5),
    ("DoubleStorage", pack("<d", 0.1), 0.1),
    ("HalfStorage", pack("<e", 1.5), 1.5),
    ("BFloat16Storage", pack("<f", -2.5)[2:], -2.5),
    ("LongStorage", pack("<q", -(2**40)), -(2**40)),
    ("IntStorage", pack("<i", -7), -7),
    ("ShortStorage", pack("<h", -8), -8),
    ("CharStorage", pack("<b", -9), -9),
    ("ByteStorage", b"\xff", 255),
    ("BoolStorage", b"\x01", 1),
]


@pytest.mark.parametrize("order", ["little", "big", None])
@pytest.mark.parametrize(("kind", "raw", "value"), SCALARS, ids=[kind for kind, *_ in SCALARS])
def test_a_number_of_every_type_is_read(kind: str, raw: bytes, value: float, order: str | None) -> None:
    raw = raw[::-1] if order == "big" else raw
    source = Bytes(torch_file(dictionary(x=tensor(kind)), raw, byteorder=order))
    found = scalar(source, read_values(source)["x"])
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("raw", [b"\x80\x7f", b"\x80\xff", b"\xc0\x7f"], ids=["inf", "-inf", "nan"])
def test_a_bfloat16_that_is_not_finite_is_read(raw: bytes) -> None:
    source = Bytes(torch_file(dictionary(x=tensor("BFloat16Storage")), raw))
    assert str(scalar(source, read_values(source)["x"])) == {b"\x80\x7f": "inf", b"\x80\xff": "-inf"}.get(raw, "nan")


def test_one_element_of_a_shared_storage_is_read_at_its_offset() -> None:
    raw = pack("<2000f", *range(2000))
    source = Bytes(torch_file(dictionary(x=tensor("FloatStorage", offset=1999, length=2000)), raw))
    archive = open_archive(source)
    value = read_values(archive)["x"]
    source.reads.clear()
    assert scalar(archive, value) == 1999
    assert max(source.reads) < 100


def test_a_tensor_of_one_element_is_a_number_in_any_shape() -> None:
    source = Bytes(torch_file(dictionary(x=tensor("FloatStorage", shape=(1, 1))), pack("<f", 2)))
    assert scalar(source, read_values(source)["x"]) == 2


@pytest.mark.parametrize(
    "node",
    [
        None,
        3,
        "x",
        PickledTensor("float32", (2,), (1,), 0, "0"),
        PickledTensor("complex64", (), (), 0, "0"),
        PickledTensor("float32", (0,), (1,), 0, "0"),
    ],
    ids=["none", "int", "text", "two", "complex", "empty"],
)
def test_what_is_no_single_number_reads_as_none(node: object) -> None:
    assert scalar(Bytes(PLAIN), node) is None


@pytest.mark.parametrize(
    ("node", "why"),
    [
        (tensor("FloatStorage", "7"), "storage of a tensor is missing"),
        (tensor("FloatStorage", "../0"), "storage of a tensor is missing"),
        (tensor("FloatStorage", offset=1), "beyond its storage"),
        (tensor("DoubleStorage"), "beyond its storage"),
    ],
    ids=["missing", "path", "offset", "width"],
)
def test_a_number_whose_storage_does_not_hold_it_is_damaged(node: bytes, why: str) -> None:
    source = Bytes(torch_file(dictionary(x=node), pack("<f", 1)))
    with pytest.raises(Damaged, match=why):
        scalar(source, read_values(source)["x"])


def test_a_number_that_was_changed_is_damaged() -> None:
    source = Bytes(
        replace_once(
            torch_file(dictionary(x=tensor("FloatStorage")), pack("<f", 1.25)), pack("<f", 1.25), pack("<f", 9)
        )
    )
    with pytest.raises(Damaged, match="checksum"):
        scalar(source, read_values(source)["x"])


def test_a_file_without_checksums_is_read() -> None:
    source = fixture("layouts/torch/nocrc.pt")
    assert not open_archive(source).has_checksums
    assert "state_dict" in read_values(source)


REBUILT = global_("torch._utils", "_rebuild_tensor_v3")
TYPED = global_("torch._tensor", "_rebuild_from_type_v2")
PARAMETER = global_("torch._utils", "_rebuild_parameter")
HOOKS = global_("collections", "OrderedDict") + b")R"
FORMS = {
    "v2": (tensor("FloatStorage"), "float32"),
    "v3": (
        REBUILT
        + b"("
        + storage("UntypedStorage", "0", 4)
        + number(0)
        + b"))\x89"
        + HOOKS
        + global_("torch", "float32")
        + b"tR",
        "float32",
    ),
    "parameter": (PARAMETER + tensor("FloatStorage") + b"\x88" + HOOKS + b"\x87R", "float32"),
    "typed": (
        TYPED
        + b"("
        + global_("torch._utils", "_rebuild_tensor_v2")
        + global_("torch", "Tensor")
        + b"("
        + storage("FloatStorage", "0", 1)
        + number(0)
        + b"))\x89"
        + HOOKS
        + b"t}tR",
        "float32",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_tensor_is_described(form: str) -> None:
    node, dtype = FORMS[form]
    source = Bytes(torch_file(dictionary(x=node), pack("<f", 0.75)))
    value = read_values(source)["x"]
    assert value == PickledTensor(dtype, (), (), 0, "0")
    assert scalar(source, value) == 0.75


V2 = global_("torch._utils", "_rebuild_tensor_v2")
ODD = {
    "too few arguments": V2 + b")R",
    "no storage": V2 + b"(N" + number(0) + b"))\x89" + HOOKS + b"tR",
    "a storage of another form": V2 + b"(" + text("0") + b"Q" + number(0) + b"))\x89" + HOOKS + b"tR",
    "a negative offset": tensor("FloatStorage", offset=-1),
    "a negative length": tensor("FloatStorage", shape=(-1,)),
    "a shape without strides": V2
    + b"("
    + storage("FloatStorage", "0", 1)
    + number(0)
    + numbers((1,))
    + b")\x89"
    + HOOKS
    + b"tR",
    "65 axes": tensor("FloatStorage", shape=(1,) * 65),
    "a shape of texts": V2
    + b"("
    + storage("FloatStorage", "0", 1)
    + number(0)
    + text("x")
    + b"\x85"
    + text("y")
    + b"\x85\x89"
    + HOOKS
    + b"tR",
    "a path": global_("pathlib", "PosixPath") + text("a") + text("b") + b"\x86R",
    "a length of time": global_("datetime", "timedelta") + numbers((0, 3600, 0)) + b"R",
    "a parameter of nothing": PARAMETER + b")R",
}


@pytest.mark.parametrize("case", ODD)
def test_what_torch_does_not_write_stays_an_inert_call(case: str) -> None:
    source = Bytes(torch_file(dictionary(x=ODD[case]), pack("<f", 1)))
    value = read_values(source)["x"]
    assert type(value) is PickledCall
    assert scalar(source, value) is None


def test_an_ordered_dict_is_a_dict_that_keeps_its_state() -> None:
    values = read_values(fixture("lightning/pl26/topk2_last/last.ckpt"))
    state = values["state_dict"]
    assert isinstance(state, dict)
    assert state == {
        "l.weight": PickledTensor("float32", (1, 4), (4, 1), 0, "0"),
        "l.bias": PickledTensor("float32", (1,), (1,), 0, "1"),
    }
    assert state.state == {"_metadata": {"": {"version": 1}, "l": {"version": 1}}}  # type: ignore[attr-defined] # an Ordered


def test_a_class_may_be_a_key() -> None:
    callbacks = read_values(fixture("lightning/pl14/topk2_last/last.ckpt"))["callbacks"]
    assert list(callbacks) == [GlobalName("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint")]  # type: ignore[call-overload] # a dict


def test_a_root_of_any_name_is_taken_from_the_first_member() -> None:
    assert read_values(Bytes(torch_file(PICKLE, root="my model"))) == {"epoch": 3}


def test_reading_the_values_touches_no_storage() -> None:
    storages = [pack("<1000f", *range(1000))] * 50
    names = {f"layer{key}": tensor("FloatStorage", str(key), shape=(1000,), length=1000) for key in range(50)}
    source = Bytes(torch_file(dictionary(**names), *storages))
    archive = open_archive(source)
    source.reads.clear()
    values = read_values(archive)
    assert len(values) == 50
    assert len(source.reads) == 2  # the header of data.pkl, and data.pkl


@pytest.mark.parametrize("path", ["layouts/torch/a.ckpt", "lightning/pl26/topk2_last/last.ckpt"])
def test_every_truncation_of_a_real_file_is_damaged(path: str) -> None:
    whole = fixture(path).content
    for length in range(4, len(whole), max(1, len(whole) // 400)):
        with pytest.raises(Damaged):
            read_values(Bytes(whole[:length]))

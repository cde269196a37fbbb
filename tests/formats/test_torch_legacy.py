from __future__ import annotations

from io import BytesIO
from itertools import product
from struct import pack

import pytest

from ckptctl.errors import Damaged
from ckptctl.formats import torch_zip
from ckptctl.formats.pickle.vm import PersistentId
from ckptctl.formats.quick_check import prove_whole
from ckptctl.formats.torch_legacy import is_legacy, open_legacy, read_values, scalar
from ckptctl.formats.torch_writer import make_tensor
from ckptctl.formats.torch_zip import UNSUPPORTED, PickledTensor
from tests.formats.legacy import MAGIC, VERSION, encode_legacy, legacy_file
from tests.formats.samples import Bytes, dictionary, fixture, global_, number, numbers, tensor, text
from tests.wording import worded

REAL = "layouts/torch/legacy.pth"
OPENPCDET = {
    "epoch": 80,
    "it": 37120,
    "model_state": {f"layer{i}.weight": make_tensor(range(6), (2, 3)) for i in range(12)},
    "loss": make_tensor([0.25]),
    "version": "pcdet+0.6.0",
}


def reference(kind: str, key: str, count: int, view: bytes = b"N") -> bytes:
    return b"(" + text("storage") + global_("torch", kind) + text(key) + text("cpu") + number(count) + view + b"tQ"


def rebuilt(storage: bytes, *, offset: int = 0, name: str = "_rebuild_tensor_v2") -> bytes:
    rest = b"" if name == "_rebuild_tensor" else b"\x89" + global_("collections", "OrderedDict") + b")R"
    places = number(offset) + numbers(()) + numbers(())
    return global_("torch._utils", name) + b"(" + storage + places + rest + b"tR"


def one(kind: str, count: int, raw: bytes, *, offset: int = 0) -> bytes:
    """A file that holds one tensor of one element."""
    pickled = dictionary(loss=rebuilt(reference(kind, "0", count), offset=offset))
    return legacy_file(pickled, {"0": (count, raw)})


def measured(content: bytes) -> float | int | None:
    file = open_legacy(Bytes(content))
    assert isinstance(file.value, dict)
    return scalar(file, file.value["loss"])


def test_a_real_file_reads_as_it_was_saved() -> None:
    file = open_legacy(fixture(REAL))
    assert isinstance(file.value, dict)
    assert {key: value for key, value in file.value.items() if type(value) is int}
    assert file.end == file.source.size
    assert len(file.storages) > 1


def test_plain_values_and_descriptions_of_tensors_are_read() -> None:
    values = read_values(Bytes(encode_legacy(OPENPCDET)))
    assert (values["epoch"], values["it"], values["version"]) == (80, 37120, "pcdet+0.6.0")
    weights = values["model_state"]
    assert isinstance(weights, dict)
    assert weights["layer11.weight"] == PickledTensor("float32", (2, 3), (3, 1), 0, "11")


KINDS = [
    ("DoubleStorage", pack("<d", 1 / 3), 1 / 3),
    ("FloatStorage", pack("<f", 0.25), 0.25),
    ("HalfStorage", pack("<e", 1.5), 1.5),
    ("BFloat16Storage", b"\x20\xc0", -2.5),
    ("LongStorage", pack("<q", 2**40), 2**40),
    ("IntStorage", pack("<i", -5), -5),
    ("ShortStorage", pack("<h", -300), -300),
    ("CharStorage", pack("<b", -3), -3),
    ("ByteStorage", pack("<B", 200), 200),
    ("BoolStorage", b"\x01", 1),
]


@pytest.mark.parametrize(("kind", "raw", "value"), KINDS, ids=[kind for kind, _, _ in KINDS])
def test_the_number_in_a_tensor_of_one_element_is_read(kind: str, raw: bytes, value: float) -> None:
    assert measured(one(kind, 1, raw)) == value
    assert measured(one(kind, 3, bytes(2 * len(raw)) + raw, offset=2)) == value


def test_only_the_element_itself_is_read_of_a_storage() -> None:
    source = Bytes(one("FloatStorage", 5_000_000, pack("<f", 0.25) * 5_000_000, offset=4_999_999))
    file = open_legacy(source)
    source.reads.clear()
    assert scalar(file, file.value["loss"]) == 0.25  # type: ignore[index] # a dictionary
    assert source.reads == [4]


def test_a_view_of_a_storage_begins_where_it_says() -> None:
    view = b"(" + text("view") + number(2) + number(1) + b"t"
    pickled = dictionary(loss=rebuilt(reference("FloatStorage", "0", 3, view)))
    assert measured(legacy_file(pickled, {"0": (3, pack("<3f", 1, 2, 3))})) == 3


def test_the_tensors_of_the_oldest_torch_are_read() -> None:
    pickled = dictionary(loss=rebuilt(reference("FloatStorage", "0", 1), name="_rebuild_tensor"))
    assert measured(legacy_file(pickled, {"0": (1, pack("<f", 0.5))})) == 0.5


def test_of_two_types_for_one_storage_the_first_counts() -> None:
    bytes_first = reference("UntypedStorage", "0", 8)
    pickled = dictionary(raw=bytes_first, loss=rebuilt(reference("FloatStorage", "0", 2), offset=1))
    content = legacy_file(pickled, {"0": (8, pack("<2f", 1, 2))})
    assert measured(content) == 2
    assert prove_whole(Bytes(content)).whole is True


def test_a_class_that_is_kept_with_its_source_is_no_storage() -> None:
    module = b"(" + text("module") + global_("__main__", "Net") + text("net.py") + text("class Net: …") + b"tQ"
    content = legacy_file(dictionary(net=module), {})
    assert isinstance(read_values(Bytes(content))["net"], PersistentId)
    assert prove_whole(Bytes(content)).whole is True


@pytest.mark.parametrize("content", [fixture(REAL).content, encode_legacy(OPENPCDET)], ids=["real", "made"])
def test_a_whole_file_is_whole_and_no_part_of_it_is(content: bytes) -> None:
    assert prove_whole(Bytes(content)) == (True, None)
    for length in [*range(1, 400), *range(400, len(content), max(1, len(content) // 300)), len(content) - 1]:
        proof = worded(prove_whole(Bytes(content[:length])))
        assert proof.whole is False
        assert proof.why is not None
        assert proof.why.startswith("cut short")


def test_a_proof_does_not_read_the_weights() -> None:
    source = Bytes(one("FloatStorage", 5_000_000, bytes(20_000_000)))
    assert prove_whole(source).whole is True
    assert sum(source.reads) < 100_000
    assert len(source.reads) <= 5


def test_a_file_without_tensors_ends_with_its_pickles() -> None:
    content = encode_legacy({"epoch": 3})
    assert prove_whole(Bytes(content)).whole is True
    assert prove_whole(Bytes(content[:-1])).whole is False


UNPROVED = {
    "more than it says": (encode_legacy(OPENPCDET) + b"x", "longer than it says itself"),
    "counts that differ": (
        legacy_file(dictionary(loss=rebuilt(reference("FloatStorage", "0", 1))), {"0": (2, bytes(4))}),
        "its storages are not where its pickles say",
    ),
    "zeros where its end should be": (
        encode_legacy({"a": make_tensor(range(9), (9,)), "b": make_tensor(range(9), (9,))})[:-44] + bytes(44),
        "its storages are not where its pickles say",
    ),
    "a storage that nothing mentions": (
        legacy_file(dictionary(epoch=number(1)), {"0": (1, bytes(4))}),
        "torch's format from before 1.6: its storages are not those that it refers to",
    ),
    "a storage that is not listed": (
        legacy_file(dictionary(loss=rebuilt(reference("FloatStorage", "0", 1))), {}),
        "torch's format from before 1.6: its storages are not those that it refers to",
    ),
    "a storage of an unknown type": (
        one("NovelStorage", 1, bytes(4)),
        "torch's format from before 1.6: storages of type 'NovelStorage' are unknown",
    ),
    "keys that are no list": (
        legacy_file(dictionary(), {}).removesuffix(b"\x80\x02](e.") + b"\x80\x02N.",
        "torch's format from before 1.6: the list of its storages is broken",
    ),
    "a storage that is listed twice": (
        legacy_file(dictionary(loss=rebuilt(reference("FloatStorage", "0", 1))), {"0": (1, bytes(4))}).replace(
            text("0") + b"e.", text("0") * 2 + b"e."
        ),
        "torch's format from before 1.6: the list of its storages is broken",
    ),
    "another version": (
        legacy_file(dictionary(), {}, version=b"\x80\x02M\xea\x03."),
        "torch's format from before 1.6, in another version",
    ),
    "a broken pickle": (legacy_file(b"\x80\x02}\xff.", {}), "pickle: unknown opcode 0xff at byte 75"),
}


@pytest.mark.parametrize("case", UNPROVED)
def test_what_is_not_as_torch_writes_it_is_in_doubt(case: str) -> None:
    content, why = UNPROVED[case]
    assert worded(prove_whole(Bytes(content))) == (None, why)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (one("FloatStorage", 1, bytes(4), offset=1), "beyond its storage"),
        (one("FloatStorage", 1, bytes(4))[:-1], "ended while a tensor was read"),
    ],
    ids=["beyond", "cut"],
)
def test_a_number_that_is_not_there_is_damage(content: bytes, why: str) -> None:
    with pytest.raises(Damaged, match=why):
        measured(content)


def test_what_is_no_tensor_of_one_element_has_no_number() -> None:
    file = open_legacy(Bytes(encode_legacy({"epoch": 3, "w": make_tensor([1, 2], (2,))})))
    assert isinstance(file.value, dict)
    assert [scalar(file, node) for node in (file.value["epoch"], file.value["w"], None)] == [None] * 3


def test_a_file_that_holds_no_dictionary_is_of_another_kind() -> None:
    with pytest.raises(Damaged) as caught:
        read_values(Bytes(legacy_file(b"\x80\x02N.", {})))
    assert caught.value.id == UNSUPPORTED


def test_a_file_cut_inside_its_pickles_is_damage() -> None:
    with pytest.raises(Damaged, match="cut short inside its pickles"):
        open_legacy(Bytes(encode_legacy(OPENPCDET)[:200]))


@pytest.mark.parametrize(
    ("head", "legacy"),
    [
        (MAGIC + VERSION, True),
        (b"\x80\x04\x95" + pack("<Q", 13) + MAGIC[2:], True),
        (b"\x80\x02}q\0.", False),
        (b"PK\x03\x04" + MAGIC, False),
        (b"", False),
    ],
    ids=["protocol 2", "protocol 4", "a pickle", "zip", "nothing"],
)
def test_the_format_is_told_by_its_magic_number(head: bytes, legacy: bool) -> None:
    assert is_legacy(head) is legacy


def test_a_made_file_is_what_the_reader_of_the_zip_format_refuses() -> None:

    with pytest.raises(Damaged, match=r"before 1\.6"):
        torch_zip.read_values(Bytes(encode_legacy({"epoch": 1})))


def test_a_reference_of_five_items_is_read_as_one_of_six() -> None:
    assert measured(legacy_file(dictionary(loss=tensor("FloatStorage")), {"0": (1, pack("<f", 2))})) == 2


@pytest.mark.lightning
def test_torch_itself_loads_what_was_made_and_its_own_files_are_proved(tmp_path: object) -> None:
    import torch

    made = torch.load(BytesIO(encode_legacy(OPENPCDET)), weights_only=True)
    assert made["loss"].item() == 0.25
    assert made["model_state"]["layer11.weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    names = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 uint16 bool complex64 float8_e4m3fn"
    base = torch.arange(12.0)
    values = {
        **{name: torch.ones(3).to(getattr(torch, name)) for name in names.split()},
        **{f"one {name}": torch.ones(()).to(getattr(torch, name)) for name in names.split()[:-2]},
        "view": base[7],
        "empty": torch.zeros(0),
        "turned": base.view(3, 4).t(),
        "large": torch.zeros(99_999),
        "storage": torch.zeros(5).untyped_storage(),
        "parameter": torch.nn.Parameter(base),
    }
    for protocol, holder in product((2, 4, 5), ({}, {"net": torch.nn.Linear(2, 3)})):
        file = BytesIO()
        torch.save({**values, **holder}, file, _use_new_zipfile_serialization=False, pickle_protocol=protocol)
        content = file.getvalue()
        assert prove_whole(Bytes(content)).whole is True
        assert prove_whole(Bytes(content[:-1])).whole is False
        opened = open_legacy(Bytes(content))
        assert isinstance(opened.value, dict)
        found = {name: scalar(opened, opened.value[name]) for name in values}
        assert found["view"] == 7
        assert {value for name, value in found.items() if name.startswith("one ")} == {1}

from __future__ import annotations

import io
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ckptctl.core.model import Note
from ckptctl.formats import read_file, read_files
from ckptctl.formats.contents import BITS, Contents, Flaw, Piece, Storage, Tensor, merge_contents
from ckptctl.formats.safetensors import TYPES
from ckptctl.formats.torch_writer import encode_torch, make_tensor
from tests.conftest import lacks
from tests.formats.held import Held, load, read, take
from tests.formats.legacy import encode_legacy
from tests.formats.samples import FIXTURES, dictionary, global_, number, tensor, text, torch_file
from tests.wording import worded

LAYOUTS = FIXTURES / "layouts"
needs_torch = pytest.mark.skipif(lacks("torch") is not None, reason=str(lacks("torch")))
needs_h5py = pytest.mark.skipif(lacks("h5py") is not None, reason=str(lacks("h5py")))
needs_numpy = pytest.mark.skipif(lacks("numpy") is not None, reason=str(lacks("numpy")))


def names(contents: Contents) -> list[str]:
    return [it.name for it in contents.tensors]


def safetensors(header: object, data: bytes = b"") -> bytes:
    raw = json.dumps(header).encode() if not isinstance(header, bytes) else header
    return len(raw).to_bytes(8, "little") + raw + data


# Values --------------------------------------------------------------------------------------------------------------


def test_a_storage_that_several_tensors_share_counts_once_and_for_the_weights() -> None:
    shared = (Piece("s", 0, (4,)),)
    tensors = (
        Tensor("opt", (4,), "float32", "optimizer", shared),
        Tensor("a", (4,), "float32", "weights", shared),
        Tensor("b", (4,), "float32", "weights", shared),
    )
    contents = Contents("torch", tensors, {"s": Storage("x", 0, 16)}, size=100)
    assert contents.parts == {"weights": 16, "optimizer": 0, "other": 84}


def test_a_tensor_whose_numbers_lie_in_a_pickle_counts_by_its_shape() -> None:
    contents = Contents("pickle", (Tensor("a", (3, 2), "float32", "weights"),), size=50)
    assert contents.parts == {"weights": 24, "optimizer": 0, "other": 26}


def test_half_bytes_are_counted_together() -> None:
    assert Tensor("a", (5,), "float4", "weights").bytes == 3


@pytest.mark.parametrize(
    ("more", "part"),
    [
        pytest.param({"w": make_tensor([1, 2], (2,))}, "weights", id="among bare weights"),
        pytest.param({"state_dict": {"w": make_tensor([1, 2], (2,))}}, "other", id="beside a state dict"),
        pytest.param({"torch_rng_state": make_tensor([1, 2], (2,))}, "other", id="beside a state of random numbers"),
    ],
)
def test_a_single_number_is_a_weight_where_weights_lie_beside_it(more: dict[str, object], part: str) -> None:
    contents = read(encode_torch({"scale": make_tensor([2.5]), **more}))
    assert next(it for it in contents.tensors if it.name == "scale").part == part


def test_contents_that_are_merged_keep_names_apart_that_are_the_same() -> None:
    one = Contents("torch", (Tensor("w", (1,), "float32", "weights"),), metadata={"step": 1, "lr": 2}, size=1)
    other = Contents("torch", (Tensor("w", (2,), "float32", "weights"),), metadata={"step": 3}, size=2)
    merged = merge_contents({"a.pt": one, "b.pt": other})
    assert names(merged) == ["a.pt/w", "b.pt/w"]
    assert merged.metadata == {"a.pt/step": 1, "lr": 2, "b.pt/step": 3}
    assert merged.size == 3


# Formats -------------------------------------------------------------------------------------------------------------


STATE = {
    "epoch": 3,
    "hyper_parameters": {"lr": 0.1, "bias": True},
    "state_dict": {"w": make_tensor([1, 2, 3, 4, 5, 6], (2, 3)), "b": make_tensor([7], (1,))},
    "optimizer_states": [{"state": {0: {"exp_avg": make_tensor([8, 9], (2,))}}}],
    "loss": make_tensor([0.5]),
}


@pytest.mark.parametrize(
    ("encode", "name"), [(encode_torch, "torch"), (encode_legacy, "torch-legacy")], ids=["zip", "legacy"]
)
def test_torch_tells_names_shapes_parts_and_where_the_numbers_lie(encode: Callable[[object], bytes], name: str) -> None:
    files = Held({"x.pt": encode(STATE)})
    contents = merge_contents(read_files(files))
    assert contents.format == name
    assert {it.name: (it.shape, it.part) for it in contents.tensors} == {
        "state_dict.w": ((2, 3), "weights"),
        "state_dict.b": ((1,), "weights"),
        "optimizer_states.0.state.0.exp_avg": ((2,), "optimizer"),
        "loss": ((), "other"),
    }
    assert [take(files, contents, it) for it in contents.tensors] == [
        make_tensor(range(1, 7), (2, 3)).data,
        make_tensor([7], (1,)).data,
        make_tensor([8, 9], (2,)).data,
        make_tensor([0.5]).data,
    ]
    assert contents.metadata == {"epoch": 3, "hyper_parameters/lr": 0.1, "hyper_parameters/bias": True, "loss": 0.5}
    assert contents.flaws == ()


def test_without_a_look_at_each_header_sizes_are_known_and_places_are_not() -> None:
    files = Held({"x.pt": encode_torch(STATE)})
    quick = merge_contents(read_files(files, placed=False))
    assert {it.offset for it in quick.storages.values()} == {None}
    assert quick.parts == merge_contents(read_files(files)).parts
    assert quick.records == ()


@pytest.mark.parametrize("case", ["keras/m.h5", "keras/m.keras", "keras/w.weights.h5"])
def test_what_keras_saved_has_its_tensors_in_their_places(case: str) -> None:
    files = load(LAYOUTS / case)
    contents = merge_contents(read_files(files))
    assert contents.parts == {"weights": 60, "optimizer": 132, "other": len(next(iter(files.files.values()))) - 192}
    kernel, bias = (it for it in contents.tensors if it.part == "weights" and len(it.shape) in (1, 2))
    assert {kernel.shape, bias.shape} == {(4, 3), (3,)}
    assert len({take(files, contents, it) for it in contents.tensors}) > 3
    assert contents.flaws == ()


def test_the_two_forms_in_which_keras_saved_one_model_hold_the_same_numbers() -> None:
    held = [load(LAYOUTS / "keras" / name) for name in ("m.keras", "w.weights.h5")]
    one, other = ((files, merge_contents(read_files(files))) for files in held)
    assert names(one[1]) == names(other[1])
    assert [take(*one, it) for it in one[1].tensors] == [take(*other, it) for it in other[1].tensors]
    assert one[1].metadata["keras_version"] == "3.15.1"


def test_texts_that_a_keras_file_carries_are_its_metadata() -> None:
    contents = merge_contents(read_files(load(LAYOUTS / "keras" / "m.h5")))
    assert contents.metadata["keras_version"] == "3.15.1"
    assert contents.metadata["backend"] == "tensorflow"


@pytest.mark.parametrize("kind", [1, 3, 8, 17], ids=["shape", "type", "place", "group"])
@pytest.mark.parametrize("size", [0, 1, 2, 8])
def test_a_fact_of_hdf5_that_is_too_short_is_no_crash(kind: int, size: int) -> None:
    content = (LAYOUTS / "keras" / "m.h5").read_bytes()
    heads = [it.start() for it in re.finditer(rb"%c\0[\x08-\x30]\0[\0-\x03]\0\0\0" % kind, content)]
    assert heads
    for at in heads:
        changed = content[: at + 2] + bytes([size]) + content[at + 3 :]
        assert read(changed, "x.h5").format in ("hdf5", "?")


def test_a_shard_that_a_map_names_and_that_is_missing_is_a_flaw() -> None:
    files = load(LAYOUTS / "keras")
    whole = Held({name: it for name, it in files.files.items() if name.startswith("sh")})
    assert merge_contents(read_files(whole)).flaws == ()
    del whole.files["sh_00001.weights.h5"], whole.sizes["sh_00001.weights.h5"]
    assert [it.id for it in merge_contents(read_files(whole)).flaws] == ["missing-file"]


def test_an_index_names_shards_and_what_is_in_each() -> None:
    one = safetensors({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(4))
    index = {"weight_map": {"a": "m-00001-of-00002.safetensors", "b": "m-00001-of-00002.safetensors", "c": "gone"}}
    held = {"m-00001-of-00002.safetensors": one, "m.safetensors.index.json": json.dumps(index).encode()}
    flaws = merge_contents(read_files(Held(held))).flaws
    assert [(it.id, it.file) for it in flaws] == [
        ("missing-file", "gone"),
        ("missing-tensor", "m-00001-of-00002.safetensors"),
    ]


@pytest.mark.parametrize("step", [200, 300])
def test_tensorflow_tells_shapes_and_places_and_a_checksum_of_each(step: int) -> None:
    files = load(LAYOUTS / "tf" / "mgr")
    kept = Held({name: it for name, it in files.files.items() if f"-{step}." in name})
    held = read_files(kept)
    assert list(held) == [f"ckpt-{step}.index"]
    contents = held[f"ckpt-{step}.index"]
    by_name = {it.name: it for it in contents.tensors}
    assert by_name["optimizer/_trainable_variables/0"].shape == (4, 3)
    assert by_name["optimizer/_trainable_variables/0"].part == "weights"
    assert by_name["optimizer/_variables/2"].part == "optimizer"
    assert len(take(kept, contents, by_name["optimizer/_variables/3"])) == 48
    assert len(contents.records) == len(contents.tensors) == 11


def test_a_distributed_checkpoint_tells_tensors_values_and_every_stretch() -> None:
    files = load(LAYOUTS / "torch" / "dcp" / "step-5")
    contents = merge_contents(read_files(files))
    assert contents.parts["weights"] == 4 * (64 * 64 + 64)
    assert contents.metadata["optimizer.param_groups.0.lr"] == 0.001
    assert all(it.allowed for it in contents.globals)
    assert contents.flaws == ()
    step = next(it for it in contents.tensors if it.name == "optimizer.state.0.step")
    assert take(files, contents, step) == make_tensor([1.0]).data


def test_a_shard_that_no_metadata_name_is_not_read_and_is_no_attack() -> None:
    files = load(LAYOUTS / "torch" / "dcp" / "step-5")
    stale = Held({**files.files, "__9_0.distcp": files.files["__0_0.distcp"]})
    killed = Held({"__0_0.distcp": files.files["__0_0.distcp"]})
    for held, name in ((stale, "__9_0.distcp"), (killed, "__0_0.distcp")):
        (flaw,) = merge_contents(read_files(held)).flaws
        assert (flaw.id, flaw.severity, flaw.file) == ("not-read", "warning", name)


@needs_torch
@pytest.mark.filterwarnings("ignore")
def test_a_rank_that_has_nothing_of_a_tensor_holds_no_bytes_of_it(tmp_path: Path) -> None:
    import torch
    import torch.distributed.checkpoint as dcp

    dcp.save({"model": {"w": torch.ones(2), "none": torch.ones(0, 5)}}, checkpoint_id=str(tmp_path / "1"), no_dist=True)
    files = load(tmp_path / "1")
    for placed in (False, True):
        assert merge_contents(read_files(files, placed=placed)).parts["weights"] == 8


@pytest.mark.parametrize(("said", "dtype"), TYPES.items(), ids=TYPES)
def test_every_type_of_safetensors_has_a_name_and_a_width(said: str, dtype: str) -> None:
    bits = 16 * BITS[dtype]
    content = safetensors({"a": {"dtype": said, "shape": [16], "data_offsets": [0, bits // 8]}}, bytes(bits // 8))
    (tensor,) = read(content, "x.safetensors").tensors
    assert (tensor.dtype, tensor.bytes) == (dtype, bits // 8)


@pytest.mark.skipif(lacks("torch", "safetensors") is not None, reason=str(lacks("torch", "safetensors")))
def test_the_types_are_those_that_safetensors_itself_writes() -> None:
    import torch
    from safetensors.torch import _TYPES as WRITTEN

    assert {said: str(it).removeprefix("torch.") for said, it in WRITTEN.items()}.items() <= TYPES.items()
    assert torch.float8_e5m2fnuz in WRITTEN.values()


def test_orbax_tells_names_and_shapes_and_misses_the_map_of_its_database() -> None:
    files = load(LAYOUTS / "orbax" / "20")
    contents = merge_contents(read_files(files))
    assert names(contents) == ["opt_state.mu", "params.w", "step"]
    assert contents.flaws == ()
    del files.files["default/ocdbt.process_0/manifest.ocdbt"], files.sizes["default/ocdbt.process_0/manifest.ocdbt"]
    assert [it.id for it in merge_contents(read_files(files)).flaws] == ["missing-file"]


def test_an_archive_without_checksums_has_none_and_is_not_broken() -> None:
    contents = read((LAYOUTS / "torch" / "nocrc.pt").read_bytes())
    assert (contents.checks, contents.records, contents.flaws) == ("", (), ())


# What is wrong -------------------------------------------------------------------------------------------------------


def flaws(content: bytes, name: str = "x.pt") -> list[str]:
    return [it.id for it in read(content, name).flaws]


HEADER = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
BROKEN = {
    "a storage that is missing": (
        torch_file(dictionary(w=tensor("FloatStorage", shape=(2,), length=2))),
        "missing-storage",
    ),
    "a storage that is too short": (
        torch_file(dictionary(w=tensor("FloatStorage", shape=(2,), length=2)), bytes(4)),
        "short-storage",
    ),
    "a pickle behind the first": (torch_file(dictionary(a=number(1)) + dictionary(b=number(2))), "broken"),
    "a text that goes on behind the pickle": (torch_file(dictionary(a=number(1)) + b"x"), "broken"),
    "a legacy file with bytes behind it": (encode_legacy(STATE) + b"x", "trailing"),
    "a legacy file that is cut": (encode_legacy(STATE)[:-1], "cut-short"),
    "safetensors cut in the data": (safetensors({"a": HEADER}, bytes(7)), "cut-short"),
    "safetensors cut in the header": (safetensors({"a": HEADER})[:20], "cut-short"),
    "safetensors with bytes behind": (safetensors({"a": HEADER}, bytes(9)), "trailing"),
    "safetensors with a hole": (
        safetensors({"a": HEADER, "b": {**HEADER, "data_offsets": [9, 17]}}, bytes(17)),
        "broken",
    ),
    "safetensors with an overlap": (
        safetensors({"a": HEADER, "b": {**HEADER, "data_offsets": [4, 12]}}, bytes(12)),
        "broken",
    ),
    "safetensors that begins late": (safetensors({"a": {**HEADER, "data_offsets": [1, 9]}}, bytes(9)), "broken"),
    "safetensors of other bytes than its shape": (safetensors({"a": {**HEADER, "shape": [3]}}, bytes(8)), "broken"),
    "safetensors with a shape that overflows": (
        safetensors({"a": {**HEADER, "shape": [2**62, 2**62]}}, bytes(8)),
        "broken",
    ),
    "safetensors with a negative offset": (safetensors({"a": {**HEADER, "data_offsets": [-8, 0]}}), "broken"),
    "safetensors with a true as a number": (safetensors({"a": {**HEADER, "shape": [True, 2]}}, bytes(8)), "broken"),
    "safetensors with a fraction": (safetensors({"a": {**HEADER, "data_offsets": [0.0, 8.0]}}, bytes(8)), "broken"),
    "safetensors with one name twice": (
        safetensors(json.dumps({"a": HEADER}).encode()[:-1] + b"," + json.dumps({"a": HEADER}).encode()[1:], bytes(8)),
        "broken",
    ),
    "safetensors nested too deep": (safetensors(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "broken"),
    "safetensors with a number of 5,000 digits": (safetensors(b'{"a":' + b"9" * 5000 + b"}"), "broken"),
    "safetensors with NaN": (safetensors(b'{"a":NaN}'), "broken"),
    "safetensors with a header beyond all bounds": ((10**9).to_bytes(8, "little") + b"{" + bytes(99), "broken"),
    "safetensors with a header longer than is read": (safetensors(b'{"a":"' + b"x" * (16 << 20) + b'"}'), "not-read"),
    "safetensors with more tensors than are read": (
        safetensors(dict.fromkeys(map(str, range(100_001)), 0)),
        "not-read",
    ),
    "safetensors whose metadata are no texts": (safetensors({"__metadata__": {"a": 1}}), "broken"),
    "safetensors with an entry too many": (safetensors({"a": {**HEADER, "x": 1}}, bytes(8)), "broken"),
    "a file of nothing": (b"", "empty"),
    "a file of no format": (b"hello, this is no checkpoint at all", "text"),
    "a pickle that is cut": (b"\x80\x02}q\x00(", "broken"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_said_and_nothing_is_raised(case: str) -> None:
    content, expected = BROKEN[case]
    assert expected in flaws(content)


def test_a_name_that_is_called_is_told_from_one_that_is_only_an_instance() -> None:
    called = dictionary(a=global_("thing", "run") + text("x") + b"\x85R")
    made = dictionary(a=global_("thing", "Config") + b")\x81}b")
    assert [(it.allowed, it.is_called) for it in read(torch_file(called)).globals] == [(False, True)]
    assert [(it.allowed, it.is_called) for it in read(torch_file(made)).globals] == [(False, False)]


def test_a_name_that_is_handed_to_what_is_called_counts_as_called() -> None:
    handed = dictionary(a=global_("collections", "defaultdict") + global_("thing", "factory") + b"\x85R")
    assert {it.name: it.is_called for it in read(torch_file(handed)).globals}["thing.factory"]


def test_what_is_of_pythons_own_modules_and_not_listed_counts_as_called() -> None:
    mentioned = dictionary(a=global_("os", "system"))
    assert [(it.allowed, it.is_called) for it in read(torch_file(mentioned)).globals] == [(False, True)]


def test_a_pickle_in_a_member_of_any_name_is_read_for_what_it_names() -> None:
    from tests.formats.samples import pack_zip

    hidden = pack_zip({"a/data.pkl": dictionary(x=number(1)), "a/notes.txt": dictionary(y=global_("os", "system"))})
    assert [it.name for it in read(hidden).globals] == ["os.system"]


def test_a_type_that_no_file_should_have_is_no_name_for_a_screen() -> None:
    kinds = {"Flo\x1b[2JorStorage": "?", "Float8Storage": "Float8Storage", "x" * 200: "?"}
    for kind, shown in kinds.items():
        (made,) = read(torch_file(dictionary(w=tensor(kind)), bytes(4))).tensors
        assert made.dtype == shown


def test_in_a_zip_of_any_kind_a_pickle_of_any_name_is_found() -> None:
    from tests.formats.samples import pack_zip

    hidden = pack_zip({"readme.txt": dictionary(y=global_("os", "system") + text("x") + b"\x85R")})
    assert [it.name for it in read(hidden, "x.zip").globals] == ["os.system"]


def test_what_a_pickle_named_is_told_though_something_follows_it() -> None:
    (flaw,) = read(b"cos\nsystem\n(S'x'\ntR.\n\n", "x.pkl").flaws
    assert (flaw.id, "os.system" in worded(flaw.text)) == ("broken", True)


@needs_numpy
def test_a_single_array_is_read_and_objects_in_it_for_what_they_name() -> None:
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, np.arange(6.0).reshape(2, 3))
    files = Held({"w.npy": buffer.getvalue()})
    contents = merge_contents(read_files(files))
    assert take(files, contents, contents.tensors[0]) == np.arange(6.0).tobytes()
    assert [it.id for it in read(buffer.getvalue()[:-1], "w.npy").flaws] == ["cut-short"]
    np.save(buffer := io.BytesIO(), np.array([print], dtype=object))
    assert "builtins.print" in [it.name for it in read(buffer.getvalue(), "w.npy").globals]


def test_a_file_that_cannot_be_opened_is_unreadable() -> None:
    class Closed(Held):
        def open(self, name: str) -> Any:  # noqa: ANN401 - it never returns
            raise PermissionError(13, "Permission denied", name)

    contents = read_file(Closed({"x.pt": b"abc"}), "x.pt")
    assert contents is not None
    assert contents.flaws == (Flaw("unreadable", Note("unreadable", why="Permission denied"), "x.pt"),)


def test_a_file_that_holds_no_weights_is_passed_over() -> None:
    held = Held({"config.json": b'{"a": 1}', "notes.txt": b"\x80\x02.", "vocab.bpe": b"a b\n", "empty": b""})
    assert read_files(held) == {}


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("optimizer.pt", "optimizer"),
        ("scheduler.pt", "other"),
        ("rng_state_0.pth", "other"),
        ("opt-1.3b.pt", "weights"),
        ("mp_rank_00/model_optim_rng.pt", "weights"),
    ],
)
def test_beside_other_files_a_name_says_what_a_file_is_for(name: str, part: str) -> None:
    content = encode_torch({"x": make_tensor([1, 2], (2,))})
    held = read_files(Held({name: content, "model.pt": content}))
    assert {it.part for it in held[name].tensors} == {part}
    assert {it.part for it in held["model.pt"].tensors} == {"weights"}


# Against the frameworks ----------------------------------------------------------------------------------------------


def torch_values() -> dict[str, Any]:
    import torch

    plain = torch.arange(24.0).reshape(4, 6)
    tied = torch.nn.Parameter(torch.randn(3, 2))
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    return {
        "model": model.state_dict(),
        "turned": plain.t(),
        "slice": plain[1:3, 2:],
        "expanded": torch.ones(1).expand(5),
        "empty": torch.empty(0, 3),
        "scalar": torch.tensor(3.5),
        "tied": tied,
        "tied_again": tied,
        **{
            str(kind): torch.ones(3).to(kind)
            for kind in (torch.bfloat16, torch.float16, torch.float64, torch.float8_e4m3fn, torch.float8_e5m2)
        },
        "complex": torch.randn(2, dtype=torch.complex64),
        "flags": torch.tensor([True, False]),
        "unsigned": torch.tensor([1, 2, 3]).to(torch.uint16),
    }


def bytes_of(value: Any) -> bytes:  # noqa: ANN401 - a tensor
    import torch

    flat = value.detach().contiguous().reshape(-1)
    return bytes(flat.view(torch.uint8).tolist()) if flat.numel() else b""


def flatten(prefix: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 - tensors and dictionaries of them
    if isinstance(value, dict):
        return {name: it for key, own in value.items() for name, it in flatten(f"{prefix}{key}.", own).items()}
    return {prefix[:-1]: value}


@needs_torch
@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
def test_every_kind_of_tensor_that_torch_saves_is_found_byte_by_byte(is_zip: bool) -> None:
    import torch

    buffer = io.BytesIO()
    values = torch_values()
    if not is_zip:
        values = {key: it for key, it in values.items() if "float8" not in key and key != "unsigned"}
    torch.save(values, buffer, _use_new_zipfile_serialization=is_zip)
    files = Held({"x.pt": buffer.getvalue()})
    contents = merge_contents(read_files(files))
    expected = flatten("", values)
    assert names(contents) == list(expected)
    for found in contents.tensors:
        value = expected[found.name]
        assert (found.shape, f"torch.{found.dtype}") == (tuple(value.shape), str(value.dtype)), found.name
        assert take(files, contents, found) == bytes_of(value), found.name
    assert contents.flaws == ()
    assert [it for it in contents.globals if not it.allowed] == []
    tied = {it.name: it.pieces for it in contents.tensors}
    assert tied["tied"] == tied["tied_again"]


@needs_torch
@pytest.mark.filterwarnings("ignore")
def test_quantized_and_sparse_tensors_and_whole_modules_are_looked_into() -> None:
    import torch

    buffer = io.BytesIO()
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.BatchNorm1d(3))
    quantized = torch.quantize_per_tensor(torch.randn(4), 0.1, 0, torch.qint8)
    torch.save({"net": module, "sparse": torch.eye(3).to_sparse(), "q": quantized}, buffer)
    contents = read(buffer.getvalue())
    assert {f"net.{name}" for name in module.state_dict()} <= set(names(contents))
    assert {"q", "sparse.1.0", "sparse.1.1"} <= set(names(contents))
    assert [it for it in contents.globals if not it.allowed] == []
    assert contents.flaws == ()


@needs_numpy
@pytest.mark.parametrize("packed", [False, True], ids=["stored", "deflated"])
def test_every_array_that_numpy_saves_is_found(packed: bool) -> None:
    import numpy as np

    arrays = {
        "a": np.arange(6.0).reshape(2, 3),
        "turned": np.asfortranarray(np.arange(6, dtype="i2").reshape(2, 3)),
        "big": np.arange(3, dtype=">f4"),
        "none": np.zeros((0, 2)),
        "one": np.array(3.0),
        "flags": np.array([True]),
        "layers/0/w": np.float16([1, 2]),
    }
    buffer = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(buffer, **arrays)
    files = Held({"x.npz": buffer.getvalue()})
    contents = merge_contents(read_files(files))
    assert {it.name: it.shape for it in contents.tensors} == {name: it.shape for name, it in arrays.items()}
    assert contents.flaws == ()
    for found in contents.tensors:
        storage = contents.storages[found.pieces[0].storage]
        if packed:
            assert storage.offset is not None
            raw = files.files["x.npz"][storage.offset : storage.offset + storage.length]
            assert zlib.decompressobj(-15).decompress(raw).endswith(arrays[found.name].tobytes(order="A"))
        else:
            assert take(files, contents, found) == arrays[found.name].tobytes()


@needs_numpy
def test_a_pickle_inside_an_array_of_objects_is_read_for_what_it_names() -> None:
    import numpy as np

    class Ours:
        pass

    buffer = io.BytesIO()
    np.savez(buffer, x=np.array([print, 3], dtype=object))
    assert "builtins.print" in [it.name for it in read(buffer.getvalue(), "x.npz").globals if not it.allowed]


@needs_h5py
@pytest.mark.parametrize("version", ["earliest", "v110"])
def test_every_dataset_that_h5py_writes_is_found(version: str, tmp_path: Path) -> None:
    import h5py
    import numpy as np

    path = tmp_path / "x.h5"
    arrays: dict[str, Any] = {
        "a/b/c": np.arange(12.0).reshape(3, 4),
        "a/half": np.float16([1, 2]),
        "big": np.arange(3, dtype=">i8"),
        "one": np.float32(2),
        "optimizer/vars/0": np.arange(4, dtype="u1"),
    }
    with h5py.File(path, "w", libver=version) as file:
        for name, value in arrays.items():
            file.create_dataset(name, data=value)
        file.create_dataset("flags", data=np.array([True, False]))
        file.create_dataset("text", data="hello")
        file.create_dataset("never", shape=(5, 5), dtype="f4")
        file.attrs["keras_version"] = "3"
    files = load(path)
    contents = merge_contents(read_files(files))
    by_name = {it.name: it for it in contents.tensors}
    for name, value in arrays.items():
        assert by_name[name].shape == value.shape
        assert take(files, contents, by_name[name]) == value.tobytes()
    assert (by_name["flags"].dtype, by_name["text"].dtype, by_name["never"].pieces) == ("bool", "string", ())
    assert by_name["big"].big_endian
    assert contents.metadata["keras_version"] == "3"
    assert contents.flaws == ()


@needs_h5py
def test_chunks_of_a_dataset_are_its_pieces_unless_they_are_packed(tmp_path: Path) -> None:
    import h5py
    import numpy as np

    value = np.arange(35.0).reshape(5, 7)
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("plain", data=value, chunks=(2, 3))
        file.create_dataset("packed", data=value, chunks=(2, 3), compression="gzip")
        for number in range(300):
            file[f"many/{number}"] = number
    files = load(path)
    contents = merge_contents(read_files(files))
    by_name = {it.name: it for it in contents.tensors}
    assert take(files, contents, by_name["plain"]) == value.tobytes()
    assert [contents.storages[it.storage].dataset for it in by_name["packed"].pieces] == ["packed"]
    assert len([name for name in by_name if name.startswith("many/")]) == 300


@needs_torch
@pytest.mark.filterwarnings("ignore")
def test_a_distributed_checkpoint_holds_what_torch_saved(tmp_path: Path) -> None:
    import torch
    import torch.distributed.checkpoint as dcp

    expected = {"model": {"w": torch.randn(3, 4), "h": torch.randn(5).bfloat16()}, "optim": {"m": torch.randn(3, 4)}}
    dcp.save(expected, checkpoint_id=str(tmp_path / "step-1"), no_dist=True)
    files = load(tmp_path / "step-1")
    contents = merge_contents(read_files(files))
    for name, value in flatten("", expected).items():
        found = next(it for it in contents.tensors if it.name == name)
        assert (found.shape, found.dtype) == (tuple(value.shape), str(value.dtype).removeprefix("torch."))
        assert take(files, contents, found) == bytes_of(value)
    assert contents.flaws == ()
    assert [it for it in contents.globals if not it.allowed] == []

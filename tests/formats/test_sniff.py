"""A file's kind is told by its head and its tail, whatever its name ends in, and nothing in it is run."""

from __future__ import annotations

import gzip
import json
import pickle
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from struct import pack
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ckptctl.formats.sniff import IS_CHECKPOINT, NOT_CHECKPOINT, Kind, Sniffed, sniff
from ckptctl.formats.sniff.words import (
    BESIDE,
    COUNTERS,
    DATA,
    OPTIMIZER,
    OPTIMIZER_TENSORS,
    PARAMETERS,
    SETTINGS,
    WEIGHTS,
    has_word,
    is_counter,
    is_data,
    is_optimizer_tensor,
    is_parameter,
)
from tests.conftest import lacks
from tests.formats.samples import (
    FIXTURES,
    Bytes,
    dictionary,
    fixture,
    global_,
    number,
    pack_zip,
    tensor,
    text,
    torch_file,
)

MOST = 64 << 10
FLOAT = "FloatStorage"
ORDERED = global_("collections", "OrderedDict") + b")R"


def items(**values: bytes) -> bytes:
    return b"(" + b"".join(text(name) + value for name, value in values.items()) + b"u"


def mapping(**values: bytes) -> bytes:
    return b"}" + items(**values)


def state_dict(*names: str) -> bytes:
    return ORDERED + items(**{name: tensor(FLOAT, str(at)) for at, name in enumerate(names)})


LAYER = state_dict("fc.weight", "fc.bias")
ADAM = mapping(
    state=b"}" + number(0) + mapping(step=number(7), exp_avg=tensor(FLOAT)) + b"s",
    param_groups=b"](" + mapping(lr=number(1), params=b"]" + number(0) + b"a") + b"e",
)
SGD = mapping(state=b"}", param_groups=b"](" + mapping(lr=number(1), params=b"]" + number(0) + b"a") + b"e")
MODULE = global_("net", "Net") + b")\x81" + mapping(training=b"\x88", _parameters=LAYER, _modules=ORDERED) + b"b"
GRAPH = global_("torch_geometric.data.data", "Data") + b")\x81" + mapping(x=tensor(FLOAT), y=tensor(FLOAT, "1")) + b"b"
MANY = state_dict(*(f"layers.{at}.weight" for at in range(400)))


def saved(value: bytes) -> bytes:
    """What torch.save writes of a value."""
    return torch_file(b"\x80\x02" + value + b".", b"\0\0\0\0")


TORCH: dict[str, tuple[bytes, Kind]] = {
    "weights": (LAYER, "weights"),
    "weights in a plain dictionary": (mapping(**{"fc.weight": tensor(FLOAT), "fc.bias": tensor(FLOAT)}), "weights"),
    "a single parameter": (b"}" + text("fc.weight") + tensor(FLOAT) + b"s", "weights"),
    "weights under a key": (mapping(state_dict=LAYER), "weights"),
    "two networks": (mapping(net_G=LAYER, net_D=LAYER), "weights"),
    "a network under a name that is no word": (mapping(blue=LAYER, epoch=number(1)), "weights"),
    "a whole module": (MODULE, "weights"),
    "a whole module under a key": (mapping(epoch=number(1), model=MODULE), "weights"),
    "weights and no optimizer's state": (mapping(model=LAYER, optimizer=b"N"), "weights"),
    "weights and the name of an optimizer": (mapping(model=LAYER, optimizer=text("adam")), "weights"),
    "weights and settings of an optimizer": (
        mapping(model=LAYER, config=mapping(optimizer=mapping(lr=number(1)))),
        "weights",
    ),
    "weights and an optimizer": (mapping(model=LAYER, optimizer=ADAM), "training-state"),
    "weights and one without momentum": (mapping(model=LAYER, optim=SGD), "training-state"),
    "weights and several optimizers": (mapping(net=LAYER, optimizers=b"](" + ADAM + SGD + b"e"), "training-state"),
    "a pair of both": (b"(" + LAYER + ADAM + b"t", "training-state"),
    "a trainer's state": (mapping(trainer=mapping(model=LAYER, optimizer=SGD)), "training-state"),
    "a module and an optimizer": (mapping(model=MODULE, optimizer=SGD), "training-state"),
    "hundreds of tensors, then an optimizer": (mapping(model=MANY, optimizer=ADAM), "training-state"),
    "an optimizer": (ADAM, "optimizer"),
    "an optimizer without momentum": (SGD, "optimizer"),
    "an optimizer under a key": (mapping(optimizer_state_dict=ADAM, epoch=number(3)), "optimizer"),
    "a tensor": (tensor(FLOAT), "tensor"),
    "a list of tensors": (b"](" + tensor(FLOAT) + tensor(FLOAT) + b"e", "tensor"),
    "a list of numbers": (b"](" + number(1) + number(2) + b"e", "tensor"),
    "images and labels": (mapping(images=tensor(FLOAT), labels=tensor(FLOAT)), "tensor"),
    "data in two parts": (mapping(train=mapping(x=tensor(FLOAT)), test=mapping(x=tensor(FLOAT))), "tensor"),
    "a graph": (GRAPH, "foreign"),
    "a list of graphs": (b"](" + GRAPH + GRAPH + b"e", "foreign"),
    "predictions": (mapping(predictions=b"](" + number(1) + number(2) + b"e"), "foreign"),
    "a scheduler": (mapping(last_epoch=number(3), _step_count=number(4)), "unknown"),
    "states of random numbers": (mapping(python=b"N", cpu=tensor("ByteStorage")), "unknown"),
}


@pytest.mark.parametrize(("value", "kind"), TORCH.values(), ids=TORCH)
def test_what_torch_saved_is_told_by_its_keys(value: bytes, kind: Kind) -> None:
    assert sniff(Bytes(saved(value))).kind == kind


def safetensors(*names: str) -> bytes:
    header = {
        name: {"dtype": "F32", "shape": [1], "data_offsets": [4 * at, 4 * at + 4]} for at, name in enumerate(names)
    }
    raw = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    return pack("<Q", len(raw)) + raw + bytes(4 * len(names))


KERAS = pack_zip({"metadata.json": b"{}", "config.json": b"{}", "model.weights.h5": b"\x89HDF"})
SB3 = {"policy.pth": saved(LAYER), "pytorch_variables.pth": saved(LAYER), "_stable_baselines3_version": b"2.0.0"}
FLAX = b"\x82\xa4step\x07\xa6params\x81\xa6kernel\xc7\x0c\x01" + bytes(12)
TABLE = bytes(40) + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
LEGACY = fixture("layouts/torch/legacy.pth").content

FILES: dict[str, tuple[bytes, str, Sniffed]] = {
    "torch before 1.6": (LEGACY, "", Sniffed("training-state", "", {"epoch": 3, "global_step": 10})),
    "Keras 3's archive": (KERAS, "", Sniffed("keras", "keras")),
    "Stable-Baselines3": (
        pack_zip({"data": b'{"num_timesteps": 500}', **SB3}),
        "",
        Sniffed("sb3", "sb3", {"num_timesteps": 500}),
    ),
    "arrays": (pack_zip({"w.npy": b"\x93NUMPY", "b.npy": b"\x93NUMPY"}), "", Sniffed("npz")),
    "one array": (b"\x93NUMPY\x01\0", "", Sniffed("tensor")),
    "TorchScript": (
        pack_zip({"a/data.pkl": b"\x80\x02N.", "a/constants.pkl": b"\x80\x02).", "a/version": b"3"}),
        "",
        Sniffed("exported"),
    ),
    "another zip": (pack_zip({"readme.txt": b"hello"}), "a.pt", Sniffed("unknown")),
    "flax": (FLAX, "", Sniffed("flax", "", {"step": 7})),
    "an index of TensorFlow": (TABLE, "ckpt-1.index", Sniffed("tensorflow")),
    "numbers of TensorFlow": (b"\1\2\3\4" * 9, "ckpt-1.data-00000-of-00001", Sniffed("tensorflow")),
    "gguf": (b"GGUF\3\0\0\0", "", Sniffed("gguf")),
    "a pickle": (pickle.dumps({"epoch": 3, "w": [1.0]}, 4), "", Sniffed("pickle", "", {"epoch": 3})),
    "an old pickle": (pickle.dumps({"w": [1.0]}, 0), "", Sniffed("pickle")),
    "a packed pickle": (gzip.compress(pickle.dumps((1, {}), 2)), "", Sniffed("pickle")),
    "a packed text": (gzip.compress(b"hello"), "", Sniffed("unknown")),
    "parameters": (safetensors("fc.weight", "fc.bias"), "", Sniffed("safetensors")),
    "an adapter": (safetensors("q_proj.lora_A.default", "q_proj.lora_B.default"), "", Sniffed("safetensors")),
    "logits": (safetensors("logits", "input_ids"), "", Sniffed("other-safetensors")),
    "activations by layer": (
        safetensors("layers.0.hidden_states", "layers.1.hidden_states"),
        "",
        Sniffed("other-safetensors"),
    ),
    "nothing": (b"", "a.pt", Sniffed("broken")),
    "a cut zip": (saved(LAYER)[:-80], "a.pt", Sniffed("broken")),
    "a zip of torch without its pickle": (pack_zip({"a/data/0": b"", "a/version": b"3"}), "a.pt", Sniffed("broken")),
    "a zip of torch without its version": (pack_zip({"a/data.pkl": b"\x80\x02N."}), "a.pt", Sniffed("broken")),
    "cut safetensors": (safetensors("fc.weight", "fc.bias")[:-2], "", Sniffed("broken")),
    "a page": (b"<!DOCTYPE html>\n<title>404</title>", "model.pt", Sniffed("broken")),
    "a pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\n", "model.h5", Sniffed("broken")),
    "zeros": (bytes(5000), "model.pth", Sniffed("broken")),
    "a text that says it is one": (b"loss 0.5\n", "log.txt", Sniffed("unknown")),
    "unknown bytes": (pack("<QQQ", 0x112, 0, 7), "model-0001.params", Sniffed("unknown")),
}


@pytest.mark.parametrize(("content", "name", "sniffed"), FILES.values(), ids=FILES)
def test_other_formats_are_told_by_how_they_begin_and_end(content: bytes, name: str, sniffed: Sniffed) -> None:
    assert sniff(Bytes(content), name) == sniffed


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("layouts/keras/m.h5", "keras"),
        ("layouts/keras/m.keras", "keras"),
        ("layouts/keras/w.weights.h5", "keras"),
        ("layouts/keras/trunc.h5", "broken"),
        ("layouts/hdf5/packed.h5", "other-hdf5"),
        ("layouts/torch/a.ckpt", "training-state"),
        ("layouts/torch/strip.ckpt", "weights"),
        ("layouts/torch/trunc.ckpt", "broken"),
        ("layouts/tf/mgr/ckpt-200.index", "tensorflow"),
    ],
)
def test_what_frameworks_wrote_is_told(path: str, kind: Kind) -> None:
    assert sniff(fixture(path), path).kind == kind


@pytest.mark.parametrize("path", sorted((FIXTURES / "lightning").rglob("*.ckpt")), ids=lambda path: str(path.name))
def test_lightning_is_told_by_its_version_and_never_by_an_ending(path: Path) -> None:
    sniffed = sniff(Bytes(path.read_bytes()), "no-ending")
    assert sniffed.program == "lightning"
    assert sniffed.kind == ("weights" if "weights_only" in str(path) else "training-state")
    assert sniffed.numbers.keys() == {"epoch", "global_step"}


COUNTED: dict[str, tuple[bytes, dict[str, float]]] = {
    "before the weights": (mapping(epoch=number(3), model=LAYER), {"epoch": 3}),
    "behind them": (mapping(model=LAYER, epoch=number(3), loss=number(9)), {"epoch": 3}),
    "behind hundreds of tensors": (mapping(model=MANY, optimizer=ADAM, iteration=number(300)), {"iteration": 300}),
    "one level below": (mapping(model=LAYER, meta=mapping(epoch=number(3), iter=number(40))), {"epoch": 3, "iter": 40}),
    "below a key that is none of the state": (mapping(model=LAYER, args=mapping(epoch=number(90))), {}),
    "a truth value": (mapping(model=LAYER, step=b"\x88"), {}),
}


@pytest.mark.parametrize(("value", "numbers"), COUNTED.values(), ids=COUNTED)
def test_counters_are_read_as_written(value: bytes, numbers: dict[str, float]) -> None:
    assert sniff(Bytes(saved(value))).numbers == numbers


def test_a_key_that_was_written_before_is_known_again() -> None:
    """A pickle writes a text once; here it stands in settings that are stepped over."""
    deep = mapping(a=mapping(b=mapping(c=text("epoch") + b"q\x07")))
    assert sniff(
        Bytes(saved(b"}(" + text("args") + deep + b"h\x07" + number(5) + text("model") + LAYER + b"u"))
    ).numbers == {"epoch": 5}


@pytest.mark.parametrize(
    "content", [saved(mapping(model=MANY, optimizer=ADAM)), LEGACY, bytes(9 << 20)], ids=["zip", "old", "large"]
)
def test_little_is_read(content: bytes) -> None:
    source = Bytes(content)
    sniff(source)
    assert sum(source.reads) <= MOST


# Words


ASKS: dict[str, Callable[[str], bool]] = {
    "parameters": is_parameter,
    "moments": is_optimizer_tensor,
    "data": is_data,
    "counters": is_counter,
}
"""What is asked of a vocabulary that is not judged word by word."""


VOCABULARIES = {
    "weights": WEIGHTS,
    "optimizer": OPTIMIZER,
    "settings": SETTINGS,
    "beside": BESIDE,
    "parameters": PARAMETERS,
    "moments": OPTIMIZER_TENSORS,
    "data": DATA,
    "counters": COUNTERS,
}


@pytest.mark.parametrize("title", VOCABULARIES)
def test_each_vocabulary_means_its_examples(title: str) -> None:
    vocabulary = VOCABULARIES[title]
    means = ASKS.get(title) or partial(has_word, vocabulary=vocabulary)
    assert [name for name in vocabulary.examples if not means(name)] == []
    assert [name for name in vocabulary.others if means(name)] == []


def test_every_kind_has_its_place() -> None:
    assert not IS_CHECKPOINT & NOT_CHECKPOINT
    assert IS_CHECKPOINT | NOT_CHECKPOINT | {"unknown", "broken"} == set(get_args(Kind))


# Whatever is in a file

SEEDS = [saved(mapping(epoch=number(3), model=LAYER, optimizer=ADAM)), saved(MODULE), LEGACY, KERAS, FLAX, TABLE]
SEEDS += [safetensors("a.weight"), fixture("layouts/keras/m.h5").content, pickle.dumps({"a": [1, (2,)]}, 4)]


@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 1 << 14), st.binary(max_size=6)), max_size=6),
    st.integers(0),
)
@example(dictionary(), [], 0)
def test_no_damage_is_more_than_another_kind(content: bytes, changes: list[tuple[int, bytes]], cut: int) -> None:
    raw = bytearray(content)
    for place, change in changes:
        raw[place % len(raw) : place % len(raw) + len(change)] = change
    for whole in (bytes(raw), bytes(raw[: cut % (len(raw) + 1)])):
        assert sniff(Bytes(whole), "a.pt").kind in get_args(Kind)


@given(st.binary(max_size=300))
def test_no_pickle_is_more_than_another_kind(pickled: bytes) -> None:
    assert sniff(Bytes(torch_file(b"\x80\x02" + pickled))).kind in get_args(Kind)


HOSTILE = {
    "a list that holds itself": b"]" + b"2" * 100 + b"a" * 100,
    "marks": b"(" * 60_000,
    "empty tuples": b")" * 60_000,
    "nested lists": b"]q\0" * 20_000,
    "texts that never end": b"X\xff\xff\xff\xff" * 9_000,
    "tensors that never end": b"h\0((" * 15_000,
    "lines that never end": b"c" + b"a" * 60_000,
    "a giant number": b"r\xff\xff\xff\xff" * 9_000,
    "copies": b"](" + b"2" * 60_000,
    "metadata that never end": b"}q\0X\x09\0\0\0_metadata" + b"sb" * 30_000,
    "dictionaries that never end": b"(" + (text("a") + tensor(FLOAT)) * 20 + b"\0\0u" * 20_000,
    "states": b"}(X\x05\0\0\0state}(K" * 3_000,
    "numbers that are nowhere": b"h\x09" * 30_000,
}


@pytest.mark.parametrize("pickled", HOSTILE.values(), ids=HOSTILE)
def test_no_pickle_takes_long(pickled: bytes) -> None:
    source = Bytes(torch_file(b"\x80\x02" + pickled))
    assert sniff(source).kind in get_args(Kind)
    assert sum(source.reads) <= MOST


def test_nothing_is_called(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    evil = global_("os", "system") + b"(" + text(f"touch {canary}") + b"tR"
    assert sniff(Bytes(saved(mapping(model=LAYER, x=evil)))).kind == "weights"
    assert not canary.exists()


@pytest.mark.skipif(lacks("torch") is not None, reason="torch is not installed")
@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_every_protocol_of_torch_tells_the_same(protocol: int) -> None:
    import torch

    model = torch.nn.Sequential(*(torch.nn.Linear(2, 2) for _ in range(20)))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    whole = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}

    def sniffed(value: object, protocol: int) -> Sniffed:
        buffer = BytesIO()
        torch.save(value, buffer, pickle_protocol=protocol)
        return sniff(Bytes(buffer.getvalue()))

    for value in (whole, model.state_dict(), model, optimizer.state_dict()):
        assert sniffed(value, protocol) == sniffed(value, 2)


@pytest.mark.parametrize(
    "content", [b"\x80\x04" + bytes(range(60, 255)), b"class Foo:\n    pass\n.", b"(c) 2020\nall of us."]
)
def test_what_begins_as_a_pickle_by_chance_is_none(content: bytes) -> None:
    assert sniff(Bytes(content)).kind == "unknown"


def test_a_table_of_another_program_is_no_index_of_tensorflow() -> None:
    assert sniff(Bytes(TABLE), "000005.ldb").kind == "unknown"

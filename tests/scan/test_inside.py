from __future__ import annotations

import pickle
import zipfile
from argparse import Namespace
from collections import OrderedDict, defaultdict
from enum import Enum
from io import BytesIO
from json import dumps
from math import inf, isnan, nan
from struct import pack
from types import SimpleNamespace

import pytest

from ckptctl.errors import Damaged
from ckptctl.formats.torch_writer import encode_torch, make_tensor
from ckptctl.formats.torch_zip import UNSUPPORTED
from ckptctl.scan.metrics.inside import read_attributes, read_row, read_rows
from tests.formats.legacy import encode_legacy
from tests.formats.samples import Bytes, dictionary, fixture, global_, number, pack_zip, tensor, text, torch_file

WEIGHTS = {f"layer{index}.weight": make_tensor(range(6), (2, 3)) for index in range(4)}
STATISTICS = {**WEIGHTS, "bn.num_batches_tracked": make_tensor([7]), "scale": make_tensor([0.5], (1,))}


def saved(value: object) -> Bytes:
    """A zip of torch around whatever Python pickles: objects, and no tensors."""
    return Bytes(torch_file(pickle.dumps(value, 2)))


# What frameworks save

FRAMEWORKS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "timm": (
        {"epoch": 12, "arch": "resnet50", "state_dict": STATISTICS, "version": 2, "metric": 81.25},
        {"epoch": 12, "arch": "resnet50", "version": 2, "metric": 81.25},
    ),
    "YOLO": (
        {
            "epoch": 3,
            "best_fitness": 0.51,
            "model": None,
            "train_metrics": {"metrics/mAP50(B)": 0.7, "fitness": 0.5},
            "train_results": {"epoch": [1, 2], "metrics/mAP50(B)": [0.1, 0.2]},
        },
        {"epoch": 3, "best_fitness": 0.51, "train_metrics/metrics/mAP50(B)": 0.7, "train_metrics/fitness": 0.5},
    ),
    "fairseq": (
        {
            "cfg": {"task": {"_name": "translation"}},
            "model": STATISTICS,
            "optimizer_history": [{"num_updates": 5}, {"num_updates": 9, "optimizer_name": "FairseqAdam"}],
            "extra_state": {"val_loss": 2.5, "best": 2.25, "train_iterator": {"epoch": 4, "shuffle": True}},
        },
        {
            "cfg/task/_name": "translation",
            "optimizer_history/-1/num_updates": 9,
            "optimizer_history/-1/optimizer_name": "FairseqAdam",
            "extra_state/val_loss": 2.5,
            "extra_state/best": 2.25,
            "extra_state/train_iterator/epoch": 4,
        },
    ),
    "MMEngine": (
        {
            "meta": {"epoch": 12, "iter": 87960, "seed": 1, "cfg": "x" * 5000},
            "state_dict": WEIGHTS,
            "message_hub": {"log_scalars": {}, "runtime_info": {"best_score": 0.41, "best_ckpt": "a.pth"}},
        },
        {
            "meta/epoch": 12,
            "meta/iter": 87960,
            "meta/seed": 1,
            "message_hub/runtime_info/best_score": 0.41,
            "message_hub/runtime_info/best_ckpt": "a.pth",
        },
    ),
    "Coqui": (
        {"step": 1000, "epoch": 2, "model_loss": {"train_loss": 0.5, "eval_loss": 0.25}, "model": WEIGHTS},
        {"step": 1000, "epoch": 2, "model_loss/train_loss": 0.5, "model_loss/eval_loss": 0.25},
    ),
    "OpenPCDet": (
        {"epoch": 80, "it": 37120, "model_state": WEIGHTS, "version": "pcdet+0.6.0"},
        {"epoch": 80, "it": 37120, "version": "pcdet+0.6.0"},
    ),
    "nanoGPT": (
        {"model": WEIGHTS, "iter_num": 2000, "best_val_loss": make_tensor([1.25]), "model_args": {"n_layer": 6}},
        {"iter_num": 2000, "best_val_loss": 1.25, "model_args/n_layer": 6},
    ),
    "optimizer state": (
        {
            "optimizer": {
                "state": {index: {"step": index, "exp_avg": WEIGHTS["layer0.weight"]} for index in range(3)},
                "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999), "params": [0, 1, 2]}],
            },
        },
        {"optimizer/param_groups/-1/lr": 0.1},
    ),
}


@pytest.mark.parametrize("encode", [encode_torch, encode_legacy], ids=["zip", "legacy"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_numbers_and_texts_that_a_framework_saves_are_a_row(framework: str, encode: object) -> None:
    value, row = FRAMEWORKS[framework]
    assert callable(encode)
    assert read_row(Bytes(encode(value))) == row


def test_a_real_file_tells_its_numbers() -> None:
    row = read_row(fixture("layouts/torch/a.ckpt"))
    assert (row["epoch"], row["global_step"]) == (3, 10)
    assert not any(name.startswith("state_dict") for name in row)


# Objects


class Trainer:
    """Pickled by its attributes, as most classes are."""

    def __init__(self) -> None:
        self.monitor = "val_acc"
        self.history = {"best": 0.75}
        self.settings = Namespace(lr=0.5, name="adam", amp=True)


class Slotted:
    __slots__ = ("best",)

    def __init__(self) -> None:
        self.best = 0.25


class Attributes(dict[str, object]):
    """A dictionary with attributes of its own, as EasyDict is."""


class Module:
    """What a saved nn.Module looks like."""

    def __init__(self) -> None:
        self._parameters: dict[str, object] = {}
        self._modules = {"conv": 1}
        self.training = True
        self.nc = 80


def test_the_attributes_of_objects_are_joined_like_keys() -> None:
    row = read_row(saved({"trainer": Trainer()}))
    assert row == {
        "trainer/monitor": "val_acc",
        "trainer/history/best": 0.75,
        "trainer/settings/lr": 0.5,
        "trainer/settings/name": "adam",
    }


@pytest.mark.parametrize(
    "holder",
    [
        Namespace(best=0.25),
        SimpleNamespace(best=0.25),
        Attributes(best=0.25),
        OrderedDict(best=0.25),
        defaultdict(int, best=0.25),
        Slotted(),
    ],
    ids=lambda holder: type(holder).__name__,
)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_every_kind_of_object_shows_its_attributes_and_items(holder: object, protocol: int) -> None:
    source = Bytes(torch_file(pickle.dumps({"holder": holder}, protocol)))
    assert read_row(source) == {"holder/best": 0.25}
    assert read_row(Bytes(pickle.dumps(holder, protocol))) == {"best": 0.25}


def test_a_saved_module_is_weights() -> None:
    assert read_row(saved({"epoch": 1, "model": Module(), "ema": Module()})) == {"epoch": 1}


def omega(name: str, *attributes: tuple[str, bytes]) -> bytes:
    """An object of OmegaConf as it pickles: made bare, its attributes set."""
    kind, _, own = name.rpartition(".")
    state = b"}(" + b"".join(text(key) + value for key, value in attributes) + b"u"
    return global_(f"omegaconf.{kind}", own) + b")\x81" + state + b"b"


def test_a_configuration_of_omegaconf_reads_as_what_it_holds() -> None:
    lr = omega("nodes.AnyNode", ("_metadata", b"N"), ("_parent", b"N"), ("_val", b"G" + pack(">d", 0.5)))
    inner = omega("dictconfig.DictConfig", ("_parent", b"N"), ("_content", b"}" + text("lr") + lr + b"s"))
    outer = omega("dictconfig.DictConfig", ("_content", b"}" + text("optim") + inner + b"s"))
    assert read_row(Bytes(torch_file(dictionary(cfg=outer)))) == {"cfg/optim/lr": 0.5}
    union = omega("base.UnionNode", ("_content", lr))
    assert read_row(Bytes(torch_file(dictionary(lr=union)))) == {"lr": 0.5}
    hole = omega("dictconfig.DictConfig", ("_content", b"N"))
    assert read_row(Bytes(torch_file(dictionary(cfg=hole)))) == {}


# Numbers


def numpy_scalar(kind: str, raw: bytes, *, order: str = "<", module: str = "numpy._core.multiarray") -> bytes:
    """What numpy pickles in protocol 2: bytes as the encoding of a text."""
    dtype = global_("numpy", "dtype") + text(kind) + b"\x89\x88\x87R(K\x03" + text(order) + b"NNN" + number(-1) * 2
    content = global_("_codecs", "encode") + text(raw.decode("latin1")) + text("latin1") + b"\x86R"
    return global_(module, "scalar") + dtype + b"K\0tb" + content + b"\x86R"


NUMPY = [
    ("f2", pack("<e", 1.5), 1.5),
    ("f4", pack("<f", -0.25), -0.25),
    ("f8", pack("<d", 1 / 3), 1 / 3),
    ("i1", b"\xfe", -2),
    ("i2", pack("<h", -300), -300),
    ("i4", pack("<i", -70_000), -70_000),
    ("i8", pack("<q", 2**40), 2**40),
    ("u1", b"\xff", 255),
    ("u2", pack("<H", 60_000), 60_000),
    ("u4", pack("<I", 2**31), 2**31),
    ("u8", pack("<Q", 2**63), 2**63),
    ("b1", b"\x01", 1),
    ("b1", b"\x00", 0),
]


@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
@pytest.mark.parametrize(("kind", "raw", "value"), NUMPY)
def test_a_scalar_of_numpy_is_a_number(kind: str, raw: bytes, value: float, module: str) -> None:
    little = dictionary(best=numpy_scalar(kind, raw, module=module))
    big = dictionary(best=numpy_scalar(kind, raw[::-1], order=">", module=module))
    assert [read_row(Bytes(torch_file(pickled))) for pickled in (little, big)] == [{"best": value}] * 2


def test_a_scalar_that_numpy_itself_wrote_is_read() -> None:
    written = (
        "80049563000000000000008c166e756d70792e5f636f72652e6d756c74696172726179948c067363616c61729493948c056e756d7079"
        "948c0564747970659493948c02623194898887945294284b038c017c944e4e4e4affffffff4affffffff4b0074946243010194869452942e"
    )
    value = bytes.fromhex(written).removesuffix(b".")
    assert read_row(Bytes(b"\x80\x04}" + text("ok") + value[11:] + b"s.")) == {"ok": 1}


@pytest.mark.parametrize(
    "node",
    [
        numpy_scalar("f8", b"1234567"),
        numpy_scalar("c8", b"12345678"),
        numpy_scalar("M8", b"12345678"),
        numpy_scalar("U2", b"12345678"),
        numpy_scalar("f8", b"1234567").replace(b"_codecs\nencode", b"_codecs\ndecode"),
        numpy_scalar("f4", b"1234").replace(b"numpy\ndtype", b"other\ndtype"),
        global_("numpy._core.multiarray", "scalar") + b")R",
        global_("numpy._core.multiarray", "scalar") + b"NN\x86R",
    ],
)
def test_what_only_looks_like_a_scalar_of_numpy_is_left_out(node: bytes) -> None:
    assert read_row(Bytes(torch_file(dictionary(epoch=number(1), best=node)))) == {"epoch": 1}


def test_what_is_no_plain_number_or_short_text_is_left_out() -> None:
    odd: dict[object, object] = {
        "yes": True,
        "none": None,
        "list": [1, 2],
        "tuple": (1, {"a": 1}, 2),
        "empty": [],
        "bytes": b"x",
        "large": 2**64,
        "low": -(2**63) - 1,
        "long": "x" * 4097,
        "k" * 201: 1,
        (1, 2): 3,
        None: 4,
        True: 5,
        "set": {1},
        "complex": 1j,
    }
    kept: dict[object, object] = {"epoch": 1, 7: 8, "text": "x" * 4096, "limits": {"a": 2**64 - 1, "b": -(2**63)}}
    row = {"epoch": 1, "7": 8, "text": "x" * 4096, "limits/a": 2**64 - 1, "limits/b": -(2**63)}
    assert read_row(saved({**odd, **kept})) == row


def test_what_is_not_finite_is_a_number_all_the_same() -> None:
    row = read_row(saved({"a": nan, "b": inf, "c": -inf}))
    assert isinstance(row["a"], float)
    assert isnan(row["a"])
    assert (row["b"], row["c"]) == (inf, -inf)


def test_names_go_no_deeper_than_asked() -> None:
    nested: dict[str, object] = {"n": 8}
    for depth in range(7, 0, -1):
        nested = {"n": depth, "d": nested}
    source = saved(nested)
    assert list(read_row(source).values()) == [1, 2, 3, 4, 5, 6]
    assert read_row(source, 2) == {"n": 1, "d/n": 2}


def test_a_name_that_grows_too_long_is_left_out() -> None:
    value = {"a" * 200: {"b" * 200: {"c" * 197: 1, "c" * 198: 2, "c" * 199: 3}}}
    assert list(read_row(saved(value)).values()) == [1, 2]


def test_of_two_equal_names_the_shallower_counts() -> None:
    assert read_row(saved({"a": {"b": 1}, "a/b": 2})) == {"a/b": 2}


# Cost


def test_the_bodies_of_weights_are_not_read() -> None:
    large = make_tensor([0.0] * 500_000, (500_000,))
    for encode in (encode_torch, encode_legacy):
        source = Bytes(encode({"epoch": 3, "loss": make_tensor([0.5]), "state_dict": {"w": large, "v": large}}))
        assert read_row(source) == {"epoch": 3, "loss": 0.5}
        assert sum(source.reads) < 100_000


def test_statistics_among_weights_are_not_read_one_by_one() -> None:
    source = Bytes(encode_torch({"epoch": 3, "state_dict": STATISTICS}))
    assert read_row(source) == {"epoch": 3}
    assert len(source.reads) < 10


def test_what_is_very_wide_is_left_out_below_the_first_level() -> None:
    wide = {f"token{index}": index for index in range(1001)}
    assert read_row(saved({"epoch": 3, "vocabulary": wide})) == {"epoch": 3}
    assert read_row(saved({"epoch": 3, **wide})) == {"epoch": 3, **wide}


def test_of_very_many_single_tensors_the_first_are_read() -> None:
    losses = {f"loss{index}": make_tensor([index]) for index in range(100)}
    row = read_row(Bytes(encode_torch({"deep": losses, "loss": make_tensor([0.5])})))
    assert row["loss"] == 0.5
    assert len(row) == 64


def explosion(wide: int, deep: int, numbers: int = 1) -> bytes:
    """Mappings that each hold the next one many times, and the last of them numbers."""
    value: object = {str(number): number for number in range(numbers)}
    for _ in range(deep):
        value = dict.fromkeys(map(str, range(wide)), value)
    return pickle.dumps({"x": value}, 4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "why"),
    [(explosion(500, 5), "values inside each other"), (explosion(300, 1, 900), "numbers and texts")],
    ids=["values", "numbers"],
)
def test_a_small_file_that_unfolds_without_end_is_damage(content: bytes, why: str) -> None:
    with pytest.raises(Damaged, match=why):
        read_row(Bytes(torch_file(content)))
    with pytest.raises(Damaged, match=why):
        read_rows(Bytes(torch_file(content)), "x")


def test_what_contains_itself_ends() -> None:
    value: dict[str, object] = {"n": 1}
    value["self"] = value
    row = read_row(saved(value), 3)
    assert row == {"n": 1, "self/n": 1, "self/self/n": 1}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty file"),
        (torch_file(b"\x80\x02}."[:-1]), "cut short"),
        (torch_file(dictionary(loss=tensor("FloatStorage", "7")), pack("<f", 1)), "storage of a tensor is missing"),
        (encode_torch({"epoch": 1})[:-1], "cut short"),
        (encode_legacy({"epoch": 1})[:-2], "cut short"),
        (b"\x80\x02}", "cut short"),
        (pack_zip({"data": b"{", "_stable_baselines3_version": b"2"}), "JSON"),
        (pack_zip({"data": b"[" * 99_999, "_stable_baselines3_version": b"2"}), "JSON"),
    ],
)
def test_a_broken_file_is_damage(content: bytes, why: str) -> None:
    with pytest.raises(Damaged, match=why):
        read_row(Bytes(content))


@pytest.mark.parametrize(
    "content",
    [b"hello", pack_zip({"data": b"{}"}), fixture("layouts/torch/x.safetensors").content, b"\x80" * (65 << 20)],
)
def test_a_file_of_another_kind_is_told_apart_from_damage(content: bytes) -> None:
    with pytest.raises(Damaged) as caught:
        read_row(Bytes(content))
    assert caught.value.id == UNSUPPORTED


# Rows

STATS = {
    epoch: {"train": {"loss": 1 / epoch}, "valid": {"acc": 0.5 + epoch / 10}, "total_count": epoch} for epoch in (1, 2)
}
ROWS = [
    {"train/loss": 1.0, "valid/acc": 0.6, "total_count": 1, "key": 1},
    {"train/loss": 0.5, "valid/acc": 0.7, "total_count": 2, "key": 2},
]


def test_a_mapping_by_number_is_a_row_for_each() -> None:
    source = saved({"epoch": 2, "reporter": {"stats": STATS, "epoch": 2}})
    assert read_rows(source, "reporter/stats") == ROWS
    assert read_row(source) == {"epoch": 2, "reporter/epoch": 2}


@pytest.mark.parametrize(
    "reporter",
    [
        Namespace(stats=STATS),
        {"stats": {str(epoch): own for epoch, own in STATS.items()}},
        {"stats": defaultdict(dict, STATS)},
        {"stats": {epoch: Namespace(**own) for epoch, own in STATS.items()}},
    ],
    ids=["attributes", "texts", "defaultdict", "objects"],
)
def test_objects_and_other_mappings_may_be_on_the_way(reporter: object) -> None:
    assert read_rows(saved({"reporter": reporter}), "reporter/stats") == ROWS


def test_a_list_is_a_row_for_each_item_and_a_mapping_one() -> None:
    history = [{"loss": 0.5, "at": {"step": 1}}, 7, Namespace(loss=0.25)]
    source = saved({"state": {"history": history, "epochs": {3: {"loss": 1}}}})
    assert read_rows(source, "state/history") == [{"loss": 0.5, "at/step": 1}, {"loss": 0.25}]
    assert read_rows(source, "state/history/0/at") == [{"step": 1}]
    assert read_rows(source, "state/history/-1") == [{"loss": 0.25}]
    assert read_rows(source, "state/epochs/3") == [{"loss": 1}]
    assert read_rows(source, "state") == [{"history/-1/loss": 0.25}]
    assert read_rows(saved({"epoch": 3})) == [{"epoch": 3}]
    assert read_rows(saved([{"epoch": 3}, {"epoch": 4}])) == [{"epoch": 3}, {"epoch": 4}]


@pytest.mark.parametrize("at", ["no", "state/no", "state/loss", "state/loss/no", "state/list", "state/list/9"])
def test_a_way_that_leads_nowhere_has_no_rows(at: str) -> None:
    assert read_rows(saved({"state": {"loss": 0.5, "list": [1, 2]}}), at) == []


def test_numbers_that_hold_no_mappings_are_columns() -> None:
    assert read_rows(saved({"scores": {1: 0.5, 2: 0.25}}), "scores") == [{"1": 0.5, "2": 0.25}]
    assert read_rows(saved({"scores": {1: {"a": 1}, "x": {"a": 2}}}), "scores") == [{"1/a": 1, "x/a": 2}]


# Other files


def test_a_model_of_stable_baselines_tells_its_steps() -> None:
    data = {
        "num_timesteps": 2048,
        "_total_timesteps": 10_000,
        "gamma": 0.99,
        "verbose": None,
        "policy_class": {":type:": "<class 'abc.ABCMeta'>", ":serialized:": "g" * 5000, "__module__": "policies"},
        "digits": 0,
    }
    written = dumps(data).replace('"digits": 0', '"digits": 1' + "0" * 5000)
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data", written)
        with archive.open("policy.pth", "w", force_zip64=True) as member:
            member.write(encode_torch({"w": make_tensor([1, 2], (2,))}))
        archive.writestr("_stable_baselines3_version", "2.9.2")
        archive.writestr("system_info.txt", "- OS: Linux")
    assert read_row(Bytes(buffer.getvalue())) == {
        "num_timesteps": 2048,
        "_total_timesteps": 10_000,
        "gamma": 0.99,
        "policy_class/:type:": "<class 'abc.ABCMeta'>",
        "policy_class/__module__": "policies",
    }


def test_a_bare_pickle_is_read_too() -> None:
    assert read_row(Bytes(pickle.dumps({"metric": 0.41, "epoch": 12}, 4))) == {"metric": 0.41, "epoch": 12}


# Attributes


class Strategy(str, Enum):
    STEPS = "steps"


class Arguments:
    def __init__(self) -> None:
        self.metric_for_best_model = "accuracy"
        self.greater_is_better = True
        self.load_best_model_at_end = False
        self.learning_rate = 5e-5
        self.seed = 42
        self.run_name = None
        self.save_strategy = Strategy.STEPS
        self.betas = [0.9]


def test_the_attributes_of_training_arguments_keep_yes_and_no() -> None:
    assert read_attributes(saved(Arguments())) == {
        "metric_for_best_model": "accuracy",
        "greater_is_better": True,
        "load_best_model_at_end": False,
        "learning_rate": 5e-5,
        "seed": 42,
        "run_name": None,
        "save_strategy": "steps",
    }
    assert read_row(saved(Arguments()))["metric_for_best_model"] == "accuracy"


def test_what_has_no_attributes_has_none() -> None:
    assert read_attributes(saved([1, 2])) == {}
    assert read_attributes(saved({"greater_is_better": False, 1: 2})) == {"greater_is_better": False}


@pytest.mark.lightning
def test_what_torch_itself_saves_reads_the_same() -> None:
    import numpy as np
    import torch

    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.zeros(4, 2)).sum().backward()
    optimizer.step()
    value = {
        "epoch": np.int64(12),
        "best": np.float64(0.25),
        "ok": np.bool_(1),
        "half": np.float16(0.5),
        "loss": torch.tensor(0.75),
        "args": Namespace(lr=0.5, device=torch.device("cpu")),
        "net": net,
        "state_dict": net.state_dict(),
        "optimizer": {"state": optimizer.state_dict()["state"]},
        "rng": torch.get_rng_state(),
    }
    row = {"epoch": 12, "best": 0.25, "ok": 1, "half": 0.5, "loss": 0.75, "args/lr": 0.5}
    for is_zip in (True, False):
        file = BytesIO()
        torch.save(value, file, _use_new_zipfile_serialization=is_zip)
        assert read_row(Bytes(file.getvalue())) == row

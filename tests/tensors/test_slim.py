from __future__ import annotations

import io
import os
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ckptctl.errors import Damaged, Refused
from ckptctl.formats.torch_writer import encode_torch, make_tensor
from ckptctl.formats.zip import open_archive
from ckptctl.stores.local import open_url
from ckptctl.tensors.slim import open_slimmed
from tests.conftest import lacks
from tests.formats.samples import FIXTURES, Bytes, dictionary, global_, number, tensor, text, torch_file
from tests.stores.memory import MemoryStore

needs_torch = pytest.mark.skipif(lacks("torch") is not None, reason=str(lacks("torch")))
LIGHTNING = ("optimizer_states", "lr_schedulers", "callbacks")
WEIGHTS = {"w": make_tensor([1, 2, 3, 4], (2, 2)), "b": make_tensor([5, 6], (2,))}
ADAM = {"state": {0: {"exp_avg": make_tensor([9] * 100, (100,))}}, "param_groups": [{"lr": 0.1}]}
SCALER = {"growth_factor": 2.0}
WHOLE = {"epoch": 3, "state_dict": WEIGHTS, "optimizer_states": [ADAM], "callbacks": {}, "loops": {"n": 1}}


def slim(content: bytes, drop: tuple[str, ...] | None = None, *, bare: bool = False, later: bool = False) -> bytes:
    """What is left of a file."""
    store = MemoryStore({})
    with store.draft("out.pt") as draft:
        open_slimmed(Bytes(content), drop, bare=bare).write(draft, later=draft.sync if later else None)
    with store.open("out.pt") as source:
        return source.read(0, source.size)


def load(content: bytes, tmp_path: Path, *, mmap: bool = False) -> Any:  # noqa: ANN401 - whatever was saved
    import torch

    path = tmp_path / "loaded.pt"
    path.write_bytes(content)
    return torch.load(path, weights_only=True, mmap=mmap)


def save(value: object) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def equal(one: Any, other: Any) -> bool:  # noqa: ANN401 - tensors
    """Whether two tensors are the same, down to the last bit and stride."""
    import torch

    if one.dtype != other.dtype or one.shape != other.shape or one.stride() != other.stride():
        return False
    raw = [it.contiguous().view(-1).view(torch.uint8) if it.numel() else it for it in (one.detach(), other.detach())]
    return bool(torch.equal(*raw))


# What goes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "drop", "gone"),
    [
        pytest.param(WHOLE, LIGHTNING, ("optimizer_states", "callbacks"), id="what the layout names"),
        pytest.param({**WHOLE, "MixedPrecision": {"scale": 1}}, ("Mixed*",), ("MixedPrecision",), id="by a glob"),
        pytest.param(
            {"state": {"model": WEIGHTS, "optimizers": {"Adam": ADAM}}, "rng": 1},
            ("rng", "state/optimizers"),
            ("state/optimizers", "rng"),
            id="nested",
        ),
        pytest.param({"model": WEIGHTS, "optimizer": ADAM, "epoch": 1}, None, ("optimizer",), id="an optimizer"),
        pytest.param(
            {"net": WEIGHTS, "opts": 1, "g_optim_state_dict": ADAM}, None, ("g_optim_state_dict",), id="one of two"
        ),
        pytest.param(
            {
                "model": WEIGHTS,
                "optimizers": [ADAM, ADAM],
                "lr_scheduler": {"last_epoch": 1},
                "scaler": {"growth_factor": 2.0},
            },
            None,
            ("optimizers", "lr_scheduler", "scaler"),
            id="all that serves to resume",
        ),
    ],
)
def test_what_only_serves_to_resume_goes_and_all_else_stays(
    value: dict[str, object], drop: tuple[str, ...] | None, gone: tuple[str, ...]
) -> None:
    from ckptctl.formats.torch_zip import read_values

    content = encode_torch(value)
    assert set(open_slimmed(Bytes(content), drop).dropped) == set(gone)
    left = read_values(Bytes(slim(content, drop)))
    assert set(left) == set(value) - {key for key in gone if "/" not in key}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"model": WEIGHTS, "optimizer": "adam"}, id="an optimizer's name"),
        pytest.param({"model": WEIGHTS, "scheduler": {"betas": [1.0]}}, id="a schedule of noise"),
        pytest.param({"model": WEIGHTS, "scaler": {"mean": 1.0}}, id="a scaler of data"),
        pytest.param({"model": WEIGHTS, "opt": {"lr": 1.0}}, id="options"),
        pytest.param(WEIGHTS, id="a state dict"),
    ],
)
def test_what_is_not_known_to_serve_only_to_resume_stays(value: dict[str, object]) -> None:
    with pytest.raises(Refused, match="nothing in it is known") as caught:
        open_slimmed(Bytes(encode_torch(value)), None)
    assert caught.value.id == "nothing-to-slim"


@pytest.mark.parametrize(
    ("value", "keys"),
    [
        pytest.param(WHOLE, {"w", "b"}, id="the state dict"),
        pytest.param({"model": WEIGHTS, "ema": WEIGHTS, "optimizer": ADAM}, {"w", "b"}, id="not the average"),
        pytest.param({"mine": WEIGHTS, "step": 1}, {"w", "b"}, id="under a name of its own"),
        pytest.param(WEIGHTS, {"w", "b"}, id="bare already"),
    ],
)
def test_bare_keeps_the_mapping_with_the_weights_alone(value: dict[str, object], keys: set[str]) -> None:
    from ckptctl.formats.torch_zip import read_values

    assert set(read_values(Bytes(slim(encode_torch(value), bare=True)))) == keys


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(encode_torch([1, 2]), "no dictionary", id="no dictionary"),
        pytest.param(encode_torch({"optimizer": ADAM}), "no weights would be left", id="no weights"),
        pytest.param(encode_torch({"a": {"_flat_param": WEIGHTS["w"]}, "optimizer": ADAM}), "flat shards", id="FSDP"),
        pytest.param(
            encode_torch({"model": {"w": make_tensor([], (0,))}, "optimizer": ADAM}), "no weights", id="placeholders"
        ),
        pytest.param(b"\x80\x02}.", "zip format", id="another format"),
    ],
)
def test_what_is_not_certain_is_refused_with_the_reason(content: bytes, why: str) -> None:
    with pytest.raises(Refused, match=why):
        open_slimmed(Bytes(content), None)


def hand_made(*storages: bytes, **items: bytes) -> bytes:
    """A file with weights, an optimizer, and something else."""
    optimizer = b"}(" + text("param_groups") + b"]u"
    weights = b"}(" + text("w") + tensor("FloatStorage", "0", shape=(2,), length=2) + b"u"
    return torch_file(dictionary(model=weights, optimizer=optimizer, **items), *(storages or (b"\0" * 8,)))


@pytest.mark.parametrize(
    ("item", "why"),
    [
        pytest.param(global_("posix", "system") + text("x") + b"\x85R", "posix.system", id="a call of the system"),
        pytest.param(global_("mine", "Config") + b")\x81", "mine.Config", id="a class of one's own"),
        pytest.param(number(1) + b")R", "computed callable", id="a computed callable"),
        pytest.param(global_("a b", "c"), "a name that no", id="an impossible name"),
        pytest.param(b"P" + b"x\n", "a reference written as text", id="an odd reference"),
    ],
)
def test_what_names_more_than_checkpoints_need_is_refused(item: bytes, why: str) -> None:
    with pytest.raises(Refused, match=why):
        open_slimmed(Bytes(hand_made(extra=item)), None)


def test_what_goes_may_name_anything() -> None:
    content = hand_made(callbacks=global_("mine", "Config") + b")\x81")
    assert open_slimmed(Bytes(content), ("optimizer", "callbacks")).dropped == ("optimizer", "callbacks")


def test_bare_is_a_way_out_where_settings_name_a_class() -> None:
    content = hand_made(config=global_("mine", "Config") + b")\x81")
    with pytest.raises(Refused) as caught:
        open_slimmed(Bytes(content), None)
    assert caught.value.hint is not None
    assert "--bare" in caught.value.hint
    assert slim(content, bare=True)


def test_a_part_within_itself_stays_so_and_one_that_cannot_is_refused() -> None:
    knot = b"]q\x00h\x00a"
    assert slim(hand_made(knot=knot))
    impossible = b"]q\x00(h\x00tq\x01a0h\x01"  # a tuple in a list in that tuple, and the tuple comes first
    with pytest.raises(Refused, match="contains itself"):
        slim(hand_made(knot=impossible))


def test_torchscript_and_members_of_others_are_refused() -> None:
    for name, why in (("constants.pkl", "TorchScript"), ("code/x.py", "does not write"), ("extra/x", "does not write")):
        members = io.BytesIO(hand_made())
        with zipfile.ZipFile(members, "a") as archive:
            archive.writestr(f"archive/{name}", b"x")
        with pytest.raises(Refused, match=why):
            open_slimmed(Bytes(members.getvalue()), None)


# What is proved ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("later", [False, True], ids=["while it is written", "afterwards"])
def test_a_byte_that_went_bad_is_found_on_the_way_and_nothing_is_left(later: bool) -> None:
    content = bytearray(encode_torch(WHOLE))
    archive = open_archive(Bytes(bytes(content)))
    content[archive.locate(b"archive/data/1") + 3] ^= 1
    with pytest.raises(Damaged, match="checksum"):
        slim(bytes(content), LIGHTNING, later=later)


def test_a_bad_byte_in_what_goes_does_not_matter() -> None:
    content = bytearray(encode_torch(WHOLE))
    archive = open_archive(Bytes(bytes(content)))
    content[archive.locate(b"archive/data/2") + 3] ^= 1
    assert slim(bytes(content), LIGHTNING) == slim(encode_torch(WHOLE), LIGHTNING)


@pytest.mark.parametrize(
    ("storages", "why"), [((b"\0" * 4,), "4 bytes of 8"), ((b"\0" * 8, b""), "")], ids=["a short storage", "whole"]
)
def test_a_storage_that_is_too_short_is_damage(storages: tuple[bytes, ...], why: str) -> None:
    content = hand_made(*storages)
    if not why:
        assert slim(content)
        return
    with pytest.raises(Damaged, match=why):
        slim(content)


def test_a_file_without_checksums_is_compared_byte_by_byte() -> None:
    content = (FIXTURES / "layouts/torch/nocrc.pt").read_bytes()
    made = slim(content, LIGHTNING)
    assert all(it.crc == 0 for name, it in open_archive(Bytes(made)).members.items() if b"/data/" in name)


# What comes out ------------------------------------------------------------------------------------------------------


def test_every_storage_begins_aligned_and_the_archive_is_sound() -> None:
    made = slim(encode_torch(WHOLE), LIGHTNING)
    archive = open_archive(Bytes(made))
    assert next(iter(archive.members)) == b"archive/data.pkl"
    assert {archive.locate(name) % 64 for name in archive.members} == {0}
    assert zipfile.ZipFile(io.BytesIO(made)).testzip() is None


def test_slimming_twice_changes_nothing() -> None:
    once = slim(encode_torch(WHOLE), LIGHTNING)
    with pytest.raises(Refused, match="nothing in it"):
        slim(once, LIGHTNING)
    bare = slim(once, bare=True)
    assert slim(bare, bare=True) == bare


@needs_torch
@pytest.mark.parametrize("mmap", [False, True], ids=["read", "mapped"])
@pytest.mark.parametrize("later", [False, True], ids=["copy", "in place"])
def test_real_tensors_of_every_kind_come_out_as_they_were(tmp_path: Path, mmap: bool, later: bool) -> None:
    import torch

    shared, wide = torch.randn(1000, 10), torch.randn(300, 400)
    tensors = {
        **{str(dtype): torch.randint(0, 2, (5, 3)).to(dtype) for dtype in DTYPES()},
        "view": shared[10:20],
        "tied": shared,
        "tied again": shared,
        "transposed": wide.t(),
        "every other": wide[:, ::2],
        "expanded": torch.ones(1, 4).expand(3, 4),
        "empty": torch.empty(0, 3),
        "number": torch.tensor(3.5),
        "parameter": torch.nn.Parameter(torch.randn(3)),
        "channels last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    }
    left = torch.nn.Linear(4, 4)
    adam = torch.optim.Adam(left.parameters())
    left(torch.ones(4)).sum().backward()
    adam.step()
    state = {**left.state_dict(), **tensors}
    content = save({"state_dict": state, "optimizer_states": [adam.state_dict()], "hyper_parameters": {"lr": 0.1}})
    found = load(slim(content, LIGHTNING, later=later), tmp_path, mmap=mmap)
    assert set(found) == {"state_dict", "hyper_parameters"}
    assert [name for name, it in state.items() if not equal(found["state_dict"][name], it)] == []
    assert found["state_dict"]["tied"].data_ptr() == found["state_dict"]["tied again"].data_ptr()


def DTYPES() -> list[Any]:  # noqa: N802 - a table that needs torch
    import torch

    return [
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool, torch.uint16, torch.uint32),
        *(torch.complex64, torch.complex128),
    ]


@needs_torch
@pytest.mark.filterwarnings("ignore")
def test_quantized_and_sparse_tensors_come_out_as_they_were(tmp_path: Path) -> None:
    import torch

    quantized = torch.quantize_per_tensor(torch.randn(4, 4), 0.1, 3, torch.quint8)
    sparse = torch.eye(4).to_sparse()
    content = save({"model": {"q": quantized, "s": sparse, "w": torch.ones(2)}, "optimizer": {"param_groups": []}})
    found = load(slim(content), tmp_path)["model"]
    assert torch.equal(found["q"].int_repr(), quantized.int_repr())
    assert found["q"].q_scale() == quantized.q_scale()
    assert torch.equal(found["s"].to_dense(), sparse.to_dense())


@needs_torch
@pytest.mark.parametrize("seed", range(5))
def test_random_models_come_out_as_they_were(tmp_path: Path, seed: int) -> None:
    import torch

    dice = random.Random(seed)  # noqa: S311 - nothing secret
    kinds = DTYPES()
    pool = [torch.randint(0, 2, (dice.randrange(1, 400),)).to(dice.choice(kinds)) for _ in range(40)]
    state = {f"layer.{place}": dice.choice(pool)[dice.randrange(3) :] for place in range(60)}
    whole = {"optimizer": {"param_groups": [], "state": {0: dice.choice(pool)}}, "model": state, "text": "é" * 3}
    found = load(slim(save(whole)), tmp_path)
    assert [name for name, it in state.items() if not equal(found["model"][name], it)] == []


@needs_torch
@pytest.mark.usefixtures("unhurried")
def test_2500_tensors_come_out_as_they_were(tmp_path: Path) -> None:
    import torch

    state = {f"layers.{place}.weight": torch.full((7,), float(place)) for place in range(2500)}
    adam = {"param_groups": [], "state": {place: torch.zeros(7) for place in range(2500)}}
    interleaved = {"optimizer": adam, "model": state}
    found = load(slim(save(interleaved)), tmp_path)["model"]
    assert list(found) == list(state)
    assert all(torch.equal(found[name], it) for name, it in state.items())


@needs_torch
@pytest.mark.slow
def test_more_than_4_gb_come_out_as_they_were(tmp_path: Path) -> None:
    import torch

    size = 4_400_000_000
    (tmp_path / "holes").touch()
    os.truncate(tmp_path / "holes", size)  # zeros that take no memory
    large = torch.from_file(str(tmp_path / "holes"), shared=True, size=size, dtype=torch.uint8)
    large[::1_000_003] = 7
    path = tmp_path / "large.pt"
    torch.save({"model": {"a": large, "b": torch.arange(5)}, "optimizer": {"param_groups": []}}, path)
    store = open_url(str(tmp_path))
    with store.open("large.pt") as source, store.draft("out.pt") as draft:
        open_slimmed(source, None).write(draft)
    found = torch.load(tmp_path / "out.pt", weights_only=True, mmap=True)["model"]
    assert torch.equal(found["b"], torch.arange(5))
    assert torch.equal(found["a"], large)


@needs_torch
def test_a_real_lightning_file_keeps_what_save_weights_only_keeps(tmp_path: Path) -> None:
    import torch

    whole = torch.load(FIXTURES / "layouts/torch/a.ckpt", weights_only=False)
    content = (FIXTURES / "layouts/torch/a.ckpt").read_bytes()
    found = load(slim(content, (*LIGHTNING, "*MixedPrecision*")), tmp_path)
    assert set(found) == set(whole) - set(LIGHTNING)
    assert {"epoch", "global_step", "state_dict"} <= set(found)
    assert all(equal(found["state_dict"][name], it) for name, it in whole["state_dict"].items())
    assert vars(found["state_dict"]) == vars(whole["state_dict"])

"""What honest training saves gives no alarm, whatever it holds."""

from __future__ import annotations

import argparse
import datetime as dt
import decimal
import pickle
import random
from collections import Counter, defaultdict, deque
from functools import cache
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from ckptctl.formats import read_files
from ckptctl.formats.contents import merge_contents
from ckptctl.tensors.structure_check import find_flaws
from tests.conftest import lacks
from tests.formats.held import Held

pytestmark = [
    pytest.mark.skipif(lacks("torch", "numpy") is not None, reason=str(lacks("torch", "numpy"))),
    pytest.mark.filterwarnings("ignore"),
]
PLAIN = {
    "namespace": argparse.Namespace(lr=0.1, path=PurePosixPath("/x")),
    "containers": [Counter("aab"), defaultdict(list, {"a": [1]}), deque([1]), {1, 2}, frozenset([3])],
    "times": [dt.timedelta(1), dt.datetime(2024, 1, 1), decimal.Decimal("1.5"), 1j],  # noqa: DTZ001 - as saved
    "random": random.getstate(),
}
TORCH = """module transformer adam adamw sgd rmsprop adagrad optimizer rng numpy types scheduler ema sparse bfloat16
    nothing list tensor""".split()


@cache
def values() -> dict[str, Any]:
    import numpy as np
    import torch

    def step(kind: Any, **settings: Any) -> object:  # noqa: ANN401 - an optimizer's class
        weights = torch.nn.Parameter(torch.randn(3, 3))
        optimizer = kind([weights], **settings)
        weights.sum().backward()
        optimizer.step()
        return optimizer.state_dict()

    layers = [torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.BatchNorm1d(8), torch.nn.LSTM(8, 4)]
    module = torch.nn.Sequential(*layers, torch.nn.MultiheadAttention(4, 2))
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    return {
        "module": module,
        "transformer": torch.nn.TransformerEncoderLayer(8, 2),
        "adam": step(torch.optim.Adam),
        "adamw": step(torch.optim.AdamW, amsgrad=True),
        "sgd": step(torch.optim.SGD, lr=0.1, momentum=0.9),
        "rmsprop": step(torch.optim.RMSprop),
        "adagrad": step(torch.optim.Adagrad),
        "optimizer": optimizer,
        "rng": [torch.get_rng_state(), np.random.get_state(), np.random.default_rng(0)],  # noqa: NPY002 - what people save
        "numpy": {"a": np.arange(5.0), "s": np.float32(2), "i": np.int64(3), "b": np.bool_(True)},
        "types": [torch.float16, torch.device("cpu"), torch.Size([1, 2])],
        "scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 3).state_dict(),
        "ema": {"model": module.state_dict(), "ema": module.state_dict(), "best": torch.tensor(0.5)},
        "sparse": torch.eye(3).to_sparse(),
        "bfloat16": {key: value.bfloat16() for key, value in module.state_dict().items()},
        "nothing": {},
        "list": [torch.ones(2)],
        "tensor": torch.ones(3),
    }


def alarms(content: bytes, name: str) -> list[object]:
    files = Held({name: content})
    return list(find_flaws(merge_contents(read_files(files)), files))


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("case", [*TORCH, *PLAIN])
def test_what_torch_saves_gives_no_alarm(case: str, is_zip: bool) -> None:
    import torch

    buffer = BytesIO()
    torch.save({**PLAIN, **values()}[case], buffer, _use_new_zipfile_serialization=is_zip)
    assert alarms(buffer.getvalue(), "x.pt") == []


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("case", PLAIN)
def test_what_pickle_saves_gives_no_alarm(case: str, protocol: int) -> None:
    assert alarms(pickle.dumps(PLAIN[case], protocol), "x.pkl") == []


def test_a_script_gives_no_alarm(tmp_path: Path) -> None:
    import torch

    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "x.pt")
    assert alarms((tmp_path / "x.pt").read_bytes(), "x.pt") == []

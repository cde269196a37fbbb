from __future__ import annotations

from collections.abc import Iterator
from struct import pack

import pytest

from ckptctl.tensors import arrays
from ckptctl.tensors.arrays import FLOATING, NumberSpan, NumericDifference, average_numbers, measure_difference
from tests.conftest import lacks

needs_torch = pytest.mark.skipif(lacks("torch") is not None, reason=str(lacks("torch")))


@pytest.fixture(params=["numpy", "plain"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """With numpy, and as where it is not installed."""
    if request.param == "numpy" and lacks("numpy") is not None:
        pytest.skip(str(lacks("numpy")))
    arrays.find_numpy.cache_clear()
    if request.param == "plain":
        monkeypatch.setitem(__import__("sys").modules, "numpy", None)
    yield request.param
    arrays.find_numpy.cache_clear()


def singles(*numbers: float) -> bytes:
    return pack(f"<{len(numbers)}f", *numbers)


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        pytest.param((1, 2, 3), (1, 2, 3), NumericDifference(), id="the same"),
        pytest.param((1, 2, 3), (1, 2.5, 1), NumericDifference(2, 2.5), id="some differ"),
        pytest.param((NAN, 1), (NAN, 2), NumericDifference(1, 1), id="the same NaN"),
        pytest.param((NAN, 1), (0, 2), NumericDifference(1, 1, 1), id="NaN in one"),
        pytest.param((INF, 1, -INF), (INF, 2, INF), NumericDifference(1, 1, 1), id="infinities"),
        pytest.param((), (), NumericDifference(), id="nothing"),
    ],
)
def test_how_far_numbers_lie_apart(
    way: str, one: tuple[float, ...], other: tuple[float, ...], distance: NumericDifference
) -> None:
    assert measure_difference(NumberSpan(singles(*one), "float32"), NumberSpan(singles(*other), "float32")) == distance


def test_types_may_differ(way: str) -> None:
    half = NumberSpan(b"\x80\x3f\x00\x40", "bfloat16")  # 1, 2
    assert measure_difference(half, NumberSpan(singles(1, 2.5), "float32")) == NumericDifference(0.5, 0.5)
    assert measure_difference(
        NumberSpan(b"\x01\x00", "bool"), NumberSpan(singles(1, 1), "float32")
    ) == NumericDifference(1, 1)


@needs_torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "dtype",
    [
        *("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz"),
        *("float8_e5m2fnuz", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64", "complex128"),
    ],
)
def test_every_type_is_read_as_torch_reads_it(way: str, dtype: str) -> None:
    import torch

    kind = getattr(torch, dtype)
    if dtype.startswith("float8"):
        one = torch.arange(256, dtype=torch.uint8).view(kind)
    else:
        one = (torch.randn(256, dtype=torch.float64) * 20).to(kind)
    other = torch.zeros(256, dtype=kind)
    raw = [bytes(it.view(torch.uint8).tolist()) for it in (one, other)]
    found = measure_difference(NumberSpan(raw[0], dtype), NumberSpan(raw[1], dtype))
    wide = one.to(torch.complex128 if dtype.startswith("complex") else torch.float64).abs()
    known = wide[wide.isfinite()]
    assert found.most == pytest.approx(float(known.max()))
    assert found.total == pytest.approx(float(known.sum()))
    assert found.odd == 256 - len(known)


@pytest.mark.parametrize(
    ("dtype", "large", "infinite"),
    [
        pytest.param("float32", singles(3e38), singles(INF), id="float32"),
        pytest.param("bfloat16", singles(3e38)[2:], singles(INF)[2:], id="bfloat16"),
        pytest.param("float16", pack("<e", 6e4), pack("<e", INF), id="float16"),
    ],
)
def test_a_mean_that_its_type_does_not_hold_is_infinite(way: str, dtype: str, large: bytes, infinite: bytes) -> None:
    made = bytearray(len(large))
    average_numbers([(large, 3.0), (bytes(len(large)), -1.0)], dtype, memoryview(made))
    assert made == infinite


@needs_torch
@pytest.mark.parametrize("dtype", sorted(FLOATING))
def test_a_mean_is_that_of_torch(way: str, dtype: str) -> None:
    import torch

    kind = getattr(torch, dtype)
    odd = torch.tensor([NAN, INF, -INF, 0.0, -0.0, 6e4, 1e37, 1e-45])
    tensors = [torch.cat([torch.randn(500) * place, odd]).to(kind) for place in (1, 2, 3)]
    weights = [2.0, 1.0, 1.0]
    found = bytearray(tensors[0].nbytes)
    parts = [(bytes(it.view(torch.uint8).tolist()), own) for it, own in zip(tensors, weights, strict=True)]
    average_numbers(parts, dtype, memoryview(found))
    wide = torch.float64 if dtype == "float64" else torch.float32
    summed = sum(it.to(wide) * own for it, own in zip(tensors, weights, strict=True))
    expected = (summed / sum(weights)).to(kind)
    got = torch.frombuffer(found, dtype=kind)
    assert torch.equal(got.isnan(), expected.isnan())
    assert torch.allclose(
        got.nan_to_num().double(), expected.nan_to_num().double(), rtol=1e-6 if way == "numpy" else 1e-2, atol=1e-6
    )
    assert (got[~got.isnan()] == expected[~got.isnan()]).double().mean() > (0.999 if way == "numpy" else 0.7)

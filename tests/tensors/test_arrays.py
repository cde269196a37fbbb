from __future__ import annotations

from struct import pack

import pytest

from ckptctl.tensors.arrays import FLOATING, NumberSpan, NumericDifference, average_numbers, measure_difference
from tests.conftest import lacks

needs_torch = pytest.mark.skipif(lacks("torch") is not None, reason=str(lacks("torch")))


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
    one: tuple[float, ...], other: tuple[float, ...], distance: NumericDifference
) -> None:
    assert measure_difference(NumberSpan(singles(*one), "float32"), NumberSpan(singles(*other), "float32")) == distance


def test_types_may_differ() -> None:
    half = NumberSpan(b"\x80\x3f\x00\x40", "bfloat16")  # 1, 2
    assert measure_difference(half, NumberSpan(singles(1, 2.5), "float32")) == NumericDifference(0.5, 0.5)
    assert measure_difference(
        NumberSpan(b"\x01\x00", "bool"), NumberSpan(singles(1, 1), "float32")
    ) == NumericDifference(1, 1)


@pytest.mark.parametrize(
    ("one", "other", "most"),
    [
        pytest.param(("int64", 2**62 + 1), ("int64", 2**62), 1, id="more bits than a float64 has"),
        pytest.param(("int64", 2**63 - 1), ("int64", -(2**63)), 2**64 - 1, id="more than an int64 holds"),
        pytest.param(("uint64", 2**64 - 1), ("int64", -1), 2**64, id="with a sign and without"),
        pytest.param(("uint8", 0), ("uint8", 255), 255, id="below zero, where there is no sign"),
        pytest.param(("int64", 2), ("uint8", 255), 253, id="of other widths"),
    ],
)
def test_whole_numbers_are_compared_exactly(one: tuple[str, int], other: tuple[str, int], most: int) -> None:
    def pack_number(dtype: str, number: int) -> NumberSpan:
        width = int(dtype.lstrip("uint")) // 8
        return NumberSpan(number.to_bytes(width, "little", signed=number < 0) * 2, dtype)

    assert measure_difference(pack_number(*one), pack_number(*other)) == NumericDifference(float(most), float(2 * most))


@needs_torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "dtype",
    [
        *("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz"),
        *("float8_e5m2fnuz", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64", "complex128"),
    ],
)
def test_every_type_is_read_as_torch_reads_it(dtype: str) -> None:
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
def test_a_mean_that_its_type_does_not_hold_is_infinite(dtype: str, large: bytes, infinite: bytes) -> None:
    made = bytearray(len(large))
    average_numbers([NumberSpan(large, dtype), NumberSpan(bytes(len(large)), dtype)], [3, -1], memoryview(made))
    assert made == infinite


@needs_torch
@pytest.mark.parametrize("dtype", sorted(FLOATING))
def test_a_mean_is_that_of_torch(dtype: str) -> None:
    import torch

    kind = getattr(torch, dtype)
    odd = torch.tensor([NAN, INF, -INF, 0.0, -0.0, 6e4, 1e37, 1e-45])
    tensors = [torch.cat([torch.randn(500) * place, odd]).to(kind) for place in (1, 2, 3)]
    weights = [2.0, 1.0, 1.0]
    found = bytearray(tensors[0].nbytes)
    parts = [NumberSpan(bytes(it.view(torch.uint8).tolist()), dtype) for it in tensors]
    average_numbers(parts, weights, memoryview(found))
    wide = torch.float64 if dtype == "float64" else torch.float32
    summed = sum(it.to(wide) * own for it, own in zip(tensors, weights, strict=True))
    expected = (summed / sum(weights)).to(kind)
    got = torch.frombuffer(found, dtype=kind)
    assert torch.equal(got.isnan(), expected.isnan())
    assert torch.allclose(got.nan_to_num().double(), expected.nan_to_num().double(), rtol=1e-6, atol=1e-6)
    assert (got[~got.isnan()] == expected[~got.isnan()]).double().mean() > 0.999

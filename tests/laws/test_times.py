"""Times change no answer where the numbers are distinct, whatever saved them, unless a record proves a restart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptctl.core.model import Run
from ckptctl.core.ranking import find_newest
from ckptctl.core.retention.plan import plan_run
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepLast, TopK
from ckptctl.core.retention.rules.protocol import Reason
from ckptctl.formats.torch_writer import encode_torch, make_tensor
from ckptctl.scan.runs import Options, scan
from tests.cli.calls import remember, watch
from tests.stores.memory import MemoryStore

HOUR = 3_600_000_000_000
NOW = 500_000 * HOUR
PLAIN = encode_torch({"model": {"w": make_tensor([1])}, "optimizer": {"state": {}, "param_groups": []}})
WEIGHTS = b"\x02\0\0\0\0\0\0\0{}"
Saves = dict[int, dict[str, bytes]]
"""By number, the files of each save."""


def losses(numbers: Sequence[int]) -> dict[int, float]:
    """A score for each save, in another order than the numbers."""
    return {number: (number * 37 % 101) / 100 for number in numbers}


def plain(numbers: Sequence[int]) -> Saves:
    """A training loop's own files."""
    return {n: {f"model_epoch_{n}_val_loss={loss:.4f}.pt": PLAIN} for n, loss in losses(numbers).items()}


def lightning(numbers: Sequence[int]) -> Saves:
    """Files whose states list what was kept until then."""
    scores = {n: {f"epoch={it}.ckpt": loss for it, loss in losses(numbers).items() if it <= n} for n in numbers}
    return {
        n: {f"epoch={n}.ckpt": remember(epoch=n, global_step=n + 1, callbacks=watch("/there", scores[n]))}
        for n in numbers
    }


def folders(numbers: Sequence[int]) -> Saves:
    """Folders with several files each."""
    held = {"model.safetensors": WEIGHTS, "optimizer.pt": PLAIN, "trainer_state.json": b"{}"}
    return {n: {f"checkpoint-{n}/{name}": data for name, data in held.items()} for n in numbers}


def tracked(numbers: Sequence[int]) -> Saves:
    """Files beside a tracker that names the last of them."""
    held = {n: {f"model_{n:07d}.pth": PLAIN} for n in numbers}
    held[max(numbers)]["last_checkpoint"] = f"model_{max(numbers):07d}.pth".encode()
    return held


def counted(numbers: Sequence[int]) -> Saves:
    """Files with a number of their own."""
    return {n: {f"ckpt-{n}.pt": PLAIN} for n in numbers}


def folds(numbers: Sequence[int]) -> Saves:
    """Two series, each of a training of its own."""
    return {n: {f"fold{fold}_epoch{n}.pt": PLAIN for fold in (1, 2)} for n in numbers}


def found(saves: Saves, hours: Sequence[int]) -> Run:
    """The run of saves that were written at some hours."""
    times = {path: hour * HOUR for hour, files in zip(hours, saves.values(), strict=True) for path in files}
    store = MemoryStore({path: data for files in saves.values() for path, data in files.items()}, times=times, now=NOW)
    (run,) = (it for it in scan(store, Options(now=NOW, resumable=True)) if it.checkpoints)
    return run


@pytest.mark.parametrize("lay", [plain, lightning, folders, tracked, counted, folds])
@given(st.lists(st.integers(0, 2000), min_size=2, max_size=9, unique=True), st.data())
def test_shuffled_times_change_no_answer(
    lay: Callable[[Sequence[int]], Saves], numbers: list[int], data: st.DataObject
) -> None:
    saves = lay(sorted(numbers))
    hours = list(range(1, len(numbers) + 1))
    run, other = found(saves, hours), found(saves, data.draw(st.permutations(hours)))
    assert [it.path for it in other.checkpoints] == [it.path for it in run.checkpoints]
    for resumable in (False, True):
        newest = [find_newest(it.checkpoints, lambda _: True, resumable=resumable) for it in (run, other)]
        assert len({None if it is None else it.path for it in newest}) == 1
    assert {it.lineage for it in other.checkpoints} == {0}
    for rule in (KeepLast(2), TopK(2)) if any(it.metrics for it in run.checkpoints) else (KeepLast(2),):
        plans = [plan_run(it, Policy((rule,)), NOW).verdicts for it in (run, other)]
        before, after = ({it.path for it in verdicts if it.stays} for verdicts in plans)
        assert before <= after  # what is last by time may stay too
        assert len({frozenset(it.path for it in verdicts if _is_kept(it.reasons)) for verdicts in plans}) == 1


def _is_kept(reasons: Sequence[Reason]) -> bool:
    """Whether a rule keeps it for another reason than its time."""
    texts = [str(it.text) for it in reasons]
    return any(text.startswith(("last ", "best ")) and not text.endswith("by time") for text in texts)

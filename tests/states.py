"""Lightning files made by hand, with the callback's memory that a test wants in them, and a store that watches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ckptctl.formats.torch_writer import encode_torch, make_tensor
from ckptctl.stores import ReadableFile
from tests.stores.memory import MemoryStore

HOME = "/old/machine/run"
"""Where the training that wrote them lay."""


def state(
    scores: Mapping[str, float] | None = None,
    *,
    monitor: str | None = "val_loss",
    mode: str | None = "min",
    current: float | None = None,
    folder: str | None = HOME,
) -> dict[str, object]:
    """One ModelCheckpoint's memory, by its key; ``scores`` by path relative to its folder."""
    settings = {"monitor": monitor, **({} if mode is None else {"mode": mode}), "every_n_epochs": 1}
    held: dict[str, object] = {
        "monitor": monitor,
        "dirpath": folder,
        "best_model_path": "",
        "best_k_models": {f"{HOME}/{path}": make_tensor([score]) for path, score in (scores or {}).items()},
    }
    if current is not None:
        held["current_score"] = make_tensor([current])
    return {f"ModelCheckpoint{settings!r}": held}


def lightning(
    callbacks: Mapping[str, object] | None = None,
    *,
    epoch: int = 0,
    step: int = 0,
    writer: str = "2.6.6",
    resumable: bool = True,
) -> bytes:
    """The bytes of a ``.ckpt``."""
    values: dict[str, object] = {
        "epoch": epoch,
        "global_step": step,
        "pytorch-lightning_version": writer,
        "state_dict": {},
    }
    if resumable:
        values |= {"callbacks": dict(callbacks or {}), "optimizer_states": [{"lr": 0.1}]}
    return encode_torch(values)


class Watched(MemoryStore):
    """A store that remembers what was opened."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(files)
        self.opened: list[str] = []

    @contextmanager
    def open(self, path: str) -> Iterator[ReadableFile]:  # type: ignore[override]
        self.opened.append(path)
        with super().open(path) as source:
            yield source

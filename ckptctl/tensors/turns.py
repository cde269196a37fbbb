"""Work that threads take in turn: reading, writing, checksums and arrays leave the lock of Python alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from threading import Lock, Thread
from typing import Generic, TypeVar

T = TypeVar("T")


def run_in_threads(jobs: Sequence[T], work: Callable[[Iterator[T]], None], *, threads: int) -> None:
    """Have threads, this one among them, hand out the jobs, the first first, to ``work``, which runs in each.

    Raises what stopped one of them, once all have stopped.
    """
    turns = _Turns(jobs)
    others = [Thread(target=turns.run, args=(work,), daemon=True) for _ in range(threads - 1)]
    for thread in others:
        thread.start()
    try:
        turns.run(work)
    finally:
        turns.stop()
        for thread in others:
            thread.join()
    if turns.failure is not None:
        raise turns.failure


class _Turns(Generic[T]):
    """What is left to do; shared by the threads."""

    def __init__(self, jobs: Sequence[T]) -> None:
        self.failure: BaseException | None = None
        self._pending = list(reversed(jobs))
        self._lock = Lock()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        with self._lock:
            if not self._pending:
                raise StopIteration
            return self._pending.pop()

    def run(self, work: Callable[[Iterator[T]], None]) -> None:
        """Work until nothing is left."""
        try:
            work(self)
        except BaseException as error:  # noqa: BLE001 - the other threads stop too, and the first one raises it
            self.failure = error
            self.stop()

    def stop(self) -> None:
        """Hand out nothing more."""
        with self._lock:
            self._pending.clear()

from __future__ import annotations

from collections.abc import Iterator
from threading import Barrier, get_ident

import pytest

from ckptctl.tensors.turns import run_in_threads


def test_each_job_is_done_once_and_by_all_threads() -> None:
    done: list[tuple[int, int]] = []
    both = Barrier(2, timeout=60)

    def work(jobs: Iterator[int]) -> None:
        for job in jobs:
            if job < 2:
                both.wait()
            done.append((job, get_ident()))

    run_in_threads(range(100), work, threads=2)
    assert sorted(it for it, _ in done) == list(range(100))
    assert len({thread for _, thread in done}) == 2


def test_what_stops_one_thread_stops_all_and_is_raised() -> None:
    done: list[int] = []

    def work(jobs: Iterator[int]) -> None:
        for job in jobs:
            if job == 3:
                raise OSError(job)
            done.append(job)

    with pytest.raises(OSError, match="3"):
        run_in_threads(range(1_000_000), work, threads=2)
    assert len(done) < 999_999

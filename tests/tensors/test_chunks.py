"""Stretches of files that several threads read."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from threading import Barrier, get_ident

import pytest

from ckptctl.tensors.streams import run_in_threads
from tests.conftest import ROOT

MUCH = 1 << 30


def test_each_job_is_done_once_and_by_both_threads() -> None:
    done: list[tuple[int, int]] = []
    both = Barrier(2, timeout=60)

    def work(jobs: Iterator[int]) -> None:
        for job in jobs:
            if job < 2:
                both.wait()
            done.append((job, get_ident()))

    run_in_threads(range(100), work, MUCH)
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
        run_in_threads(range(1_000_000), work, MUCH)
    assert len(done) < 999_999


def test_few_bytes_are_read_without_a_pool_of_threads() -> None:
    code = (
        "import sys, ckptctl.tensors.streams as it; it.run_in_threads([1], list, 9); print('concurrent' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"

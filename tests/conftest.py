"""What every test can rely on: an environment of its own, the program as its users call it, and honest skips."""

from __future__ import annotations

import faulthandler
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from ctypes.util import find_library
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from time import monotonic

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = ("CKPTCTL_", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "COLUMNS", "LINES", "XDG_")
"""What would change the program's answers."""

os.environ.setdefault("KERAS_BACKEND", "torch")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let coverage be measured, as ``check`` does."""
    parser.addoption("--measure", action="store_true", help="measure coverage, see tests/measuring.py")


def pytest_configure(config: pytest.Config) -> None:
    """Before anything of ours is imported."""
    let_children_be_interrupted()
    config.pluginmanager.register(Watch())
    is_controller = bool(config.getoption("numprocesses", None))  # of workers, which run the tests
    if config.getoption("measure") and not is_controller:
        from tests.measuring import Measuring

        config.pluginmanager.register(Measuring())


class Watch:
    """Tells where a test hangs: pytest's own way (faulthandler_timeout) starts and joins a thread for each test."""

    LONG, OFTEN = 600, 60
    """Seconds: what takes longer is told; how often the time begins anew, at the start of a test."""

    def __init__(self) -> None:
        self.stream = os.dup(2)  # before pytest captures what tests write
        self.begun = -float("inf")

    def pytest_runtest_logstart(self) -> None:
        """Begin anew now and then."""
        if monotonic() - self.begun > self.OFTEN:
            self.begun = monotonic()
            faulthandler.dump_traceback_later(self.LONG, file=self.stream)

    def pytest_unconfigure(self) -> None:
        """Watch no longer."""
        faulthandler.cancel_dump_traceback_later()
        os.close(self.stream)


def let_children_be_interrupted() -> None:
    """Let signals that are ignored, by ``… &`` or nohup, be ignored by a handler, which children do not inherit."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Neither the person's settings nor the machine's reach a test."""
    for name in os.environ:
        if name.startswith(OURS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path_factory.getbasetemp()))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))  # journals are sealed with it
    monkeypatch.setenv("TZ", "UTC")


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the PATH that holds ``ckptctl``, run from this checkout by this Python."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "ckptctl"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m ckptctl "$@"\n')
    program.chmod(0o755)
    return folder


# A test that cannot run says why.


def lacks(*modules: str) -> str | None:
    """The modules that are not installed."""
    missing = [name for name in modules if find_spec(name) is None]
    return f"not installed for {sys.executable}: {', '.join(missing)}" if missing else None


def is_not_root() -> str | None:
    """Whether this user is none of those who may do everything."""
    return None if os.geteuid() == 0 else "only root may do this"


def has_no_terminal() -> str | None:
    """Whether the machine gives out no pseudo-terminals."""
    try:
        for side in os.openpty():
            os.close(side)
    except OSError as error:
        return f"no pseudo-terminal: {error}"
    return None


@cache
def cannot_trace() -> str | None:
    """Whether strace is missing or forbidden."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    ran = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
    return f"strace may not trace: {ran.stderr.strip()}" if ran.returncode else None


@cache
def cannot_mount() -> str | None:
    """Whether a process with mounts of its own may not mount."""
    if shutil.which("unshare") is None:
        return "unshare is not installed"
    attempt = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    ran = subprocess.run(attempt, capture_output=True, text=True, check=False)
    return f"mounting is not allowed: {ran.stderr.strip()}" if ran.returncode else None


@cache
def cannot_fuse() -> str | None:
    """Whether no file system of our own can be mounted."""
    if not os.path.exists("/dev/fuse"):
        return "there is no /dev/fuse"
    return lacks("fuse") or (None if find_library("fuse") else "libfuse2 is not installed") or cannot_mount()


NEEDS: dict[str, Callable[[], str | None]] = {
    "lightning": lambda: lacks("torch", "lightning"),
    "keras": lambda: lacks("torch", "keras"),
    "s3": lambda: lacks("moto", "flask", "s3fs"),
    "root": is_not_root,
    "tty": has_no_terminal,
    "strace": cannot_trace,
    "mount": cannot_mount,
    "fuse": cannot_fuse,
}
"""Marker to doubt: the answer is why the test cannot run here, None where it can."""
FOREIGN = {"lightning", "keras", "s3"}
"""Markers of tests in which other people's code runs: its warnings are not our errors."""


LONGEST_FIRST = ("frameworks", "faults", "weights", "laws", "stores", "layouts")
"""Folders whose files take longest: among workers they are handed out before all others."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what cannot run here, with the reason; put what takes long first where several processes share the work."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: rank(item.path))
    for item in items:
        marks = [name for name in NEEDS if item.get_closest_marker(name)]
        for reason in filter(None, (NEEDS[name]() for name in marks)):
            item.add_marker(pytest.mark.skip(reason=reason))
        if FOREIGN & set(marks):
            item.add_marker(pytest.mark.filterwarnings("ignore"))


def rank(path: Path) -> int:
    """The place of a file's folder among those that take longest."""
    folder = path.parent.name
    return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own reading may take its time: where coverage is measured, it takes six times as long."""
    monkeypatch.setattr("ckptctl.formats.pickle.vm.PickleLimits.allow", lambda *_: 100.0)

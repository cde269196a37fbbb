"""Processes of our own for what may crash, hang, or take all memory: how they are started, and what they may take.

    process = spawn("ckptctl.sandbox.h5py_worker", stdin=PIPE, stdout=PIPE)         runs its ``main()``

Such a process has no terminal, no variables but a few, and no folder of code that this one does not have. It ends with
this one, whose thread that starts it must live as long.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module

import ckptctl

_KEPT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "TMPDIR")
"""Variables without which a library may not be found."""
BOOT = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from ckptctl.sandbox.process import run_confined
run_confined(*sys.argv[2:])
"""


def spawn(module: str, *words: str, stdin: int, stdout: int, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a process that runs the module's ``main(*words)``; ``variables``: what it has in its environment besides.

    Raises OSError where Python itself cannot be started.
    """
    return subprocess.Popen(  # noqa: S603 - Python itself, on our own code
        [sys.executable, "-I", "-c", BOOT, json.dumps(find_code()), module, str(os.getpid()), *words],
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={name: os.environ[name] for name in _KEPT if name in os.environ} | dict(variables),
        start_new_session=True,  # what a terminal sends to all is for this process to handle
    )


def find_code() -> list[str]:
    """Where modules are looked for; but not where the caller happens to stand, where anything may lie."""
    own, here = os.path.dirname(os.path.dirname(ckptctl.__file__)), os.path.realpath(os.curdir)
    return [it for it in sys.path if os.path.isabs(it) and (it == own or os.path.realpath(it) != here)]


# In the process -------------------------------------------------------------------------------------------------------


def run_confined(module: str, parent: str, *words: str) -> None:
    """Do what the process is for; ``parent``: the process that started this one, unless it has gone since."""
    _end_with(int(parent))
    import_module(module).main(*words)


def _end_with(parent: int) -> None:
    """Have the kernel end this process with the one that started it; elsewhere than on Linux, it does when idle."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before it could be asked for that
        os._exit(0)


def forbid_writing() -> None:
    """Let this process write no file any more, and leave no core."""
    from resource import RLIMIT_CORE, RLIMIT_FSIZE, setrlimit

    for limit in (RLIMIT_CORE, RLIMIT_FSIZE):
        setrlimit(limit, (0, 0))


def limit_memory(more: int | None) -> None:
    """Let this process take so many bytes more than it has, None for no limit; only Linux keeps it."""
    from resource import RLIM_INFINITY, RLIMIT_AS, getpagesize, getrlimit, setrlimit

    _, most = getrlimit(RLIMIT_AS)
    try:
        with open("/proc/self/statm", encoding="ascii") as told:
            limit = int(told.read().split()[0]) * getpagesize() + (more or 0)
    except OSError:
        return
    setrlimit(RLIMIT_AS, (most if more is None or (most != RLIM_INFINITY and limit > most) else limit, most))

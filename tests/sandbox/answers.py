"""What a child process of the tests does: as it is asked, good or ill."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from time import sleep


def prepare() -> Mapping[str, object]:
    return {"pid": os.getpid(), "flags": sys.flags.isolated, "folder": os.getcwd(), "variables": sorted(os.environ)}


def answer(request: Mapping[str, object], descriptor: int) -> Mapping[str, object]:
    match request["do"]:
        case "read":
            return {"read": os.pread(descriptor, 100, 0).decode(), "input": os.read(0, 1).decode()}
        case "hang":
            sleep(600)
        case "die":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "leave":
            os._exit(7)
        case "grow":
            return {"length": len(bytearray(1 << 30))}
        case "write":
            with open(str(request["path"]), "w", encoding="utf-8") as file:
                file.write("x")
    return {"files": sorted(os.listdir("/proc/self/fd")), "pid": os.getpid()}

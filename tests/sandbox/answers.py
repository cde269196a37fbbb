"""What a child process of the tests does: as it is asked, good or ill."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from time import sleep

from ckptctl.sandbox.worker import Caller


def prepare() -> Mapping[str, object]:
    return {"pid": os.getpid(), "flags": sys.flags.isolated, "folder": os.getcwd(), "variables": sorted(os.environ)}


def answer(request: Mapping[str, object], caller: Caller) -> Mapping[str, object]:  # noqa: C901 - a list of deeds
    match request["do"]:
        case "read":
            return {"read": os.pread(caller.descriptor, 100, 0).decode(), "input": os.read(0, 1).decode()}
        case "hang":
            sleep(600)
        case "die":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "leave":
            os._exit(7)
        case "grow":
            return {"length": len(bytearray(1 << 30))}
        case "stream":
            for at in range(0, 10, 4):
                caller.send(caller.read(at, 4))
            return {"behind": str(caller.read(10, 4))}
        case "send":
            caller.send(str(request["text"]).encode())
        case "babble":
            os.write(3, b"\xff" * 100)
            sleep(600)
        case "ask for ever":
            while True:
                caller.read(int(str(request["at"])), 1 << 20)
        case "write":
            with open(str(request["path"]), "w", encoding="utf-8") as file:
                file.write("x")
    return {"files": sorted(os.listdir("/proc/self/fd")), "pid": os.getpid()}

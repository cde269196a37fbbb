"""Examines files while an audit hook listens, and tells what it heard: the interpreter's own word on what was done.

    python -m tests.faults.oracle WARM FILE...      a line of JSON for each: name, flaws, events, seconds, peak

WARM is a folder of honest checkpoints: looking at them first imports all that is ever needed, so that every event that
comes later is one too many.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import resource
import sys
from time import process_time
from typing import Any

import ckptctl.core.names.template
import ckptctl.core.series.proposal
import ckptctl.formats
import ckptctl.sandbox
import ckptctl.tensors
from ckptctl.cli.main import run
from ckptctl.formats.checksums import crc32c, find_crc32
from ckptctl.render import contents, findings
from ckptctl.scan.inspect import VerifyDepth, read_checkpoint, verify_checkpoint
from ckptctl.scan.resolve import resolve_checkpoint
from ckptctl.scan.runs import Options

HARMLESS = {"os.scandir", "os.listdir", "mmap.__new__", "_thread.start_new_thread", "sys._getframe", "builtins.id"}
HEARD: list[str] = []


def listen(event: str, args: tuple[Any, ...]) -> None:
    """Note what an honest reading has no use for."""
    if event == "open" and len(args) == 3 and not (args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
        return
    if event not in HARMLESS and not event.startswith("cpython."):
        HEARD.append(f"{event} {args!r}"[:200])


def look(path: str) -> dict[str, object]:
    """Show and verify one file, all of it."""
    begun = process_time()
    HEARD.clear()
    target = resolve_checkpoint(path, Options(now=2 * 10**18))
    inside = read_checkpoint(target.store, target.checkpoint)
    told = "".join(contents.screen(target.checkpoint, target.run, inside))
    for piece in (contents.list_tensors(inside), contents.draw_tree(inside)):
        for _, _line in zip(range(1000), piece, strict=False):
            pass
    examined = verify_checkpoint(target.store, target.checkpoint, VerifyDepth(deep=True, finite=True))
    told += "".join(findings.verify_screen([examined]))
    return {
        "name": os.path.basename(path),
        "errors": sorted({flaw.id for flaw in examined.flaws if flaw.severity == "error"}),
        "warnings": sorted({flaw.id for flaw in examined.flaws if flaw.severity == "warning"}),
        "events": list(HEARD),
        "seconds": process_time() - begun,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "clean": all(char.isprintable() or char in "\n\u00a0" for char in told),
    }


def warm_up() -> None:
    """Import all that is ever needed."""
    for package in (ckptctl.formats, ckptctl.sandbox, ckptctl.tensors):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    importlib.import_module("concurrent.futures.thread")
    "\x1b\udc80".encode("unicode_escape")
    crc32c(bytes(100_000))
    find_crc32()


def main(warm: str, *paths: str) -> None:
    """Warm up, listen, look."""
    warm_up()
    answers, sys.stdout = sys.stdout, open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - to the end
    run(["verify", warm, "--deep", "--finite"])
    for folder, _, names in os.walk(warm):
        for name in names:
            look(os.path.join(folder, name))
    sys.addaudithook(listen)
    for path in paths:
        answers.write(json.dumps(look(path)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])

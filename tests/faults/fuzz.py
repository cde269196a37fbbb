"""Honest and hostile files, changed at random, shown and verified in this process while an audit hook listens.

    python -m tests.faults.fuzz COUNT [SEED]

Stops at the first input that raises, is heard doing anything, takes more than ten seconds of processor time, or lets
the process grow beyond 512 MB, and tells it with its seed. Changed are single bits and bytes, numbers by values that
break things, lengths of the whole, and what lies behind what; inside of zips with the checksums made to fit again.
"""

from __future__ import annotations

import io
import resource
import sys
import zipfile
from collections.abc import Callable, Iterator
from random import Random
from time import process_time

from ckptctl.core.model import Checkpoint, Entry, Run
from ckptctl.formats import read_files
from ckptctl.formats.contents import Contents, VerifyResult, merge_contents
from ckptctl.render import contents as screens
from ckptctl.render import findings
from ckptctl.tensors.full_check import read_deep
from ckptctl.tensors.structure_check import find_flaws
from tests.faults.hostile import GROUPS, exploding, zips
from tests.faults.oracle import HEARD, listen, warm_up
from tests.formats.held import Held
from tests.tensors.test_structure_check import WHOLE

MOST_SECONDS, MOST_BYTES = 10.0, 512_000_000
MOST_SPACE = 2 << 30
"""Bytes of address space: what would eat the machine raises instead."""
_RUN = Run("", ())
LARGEST = 30_000
"""Bytes of a sample that is changed: more would only slow it down."""
BREAKING = [0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**63, 2**64 - 1]


def seeds() -> list[tuple[dict[str, bytes], str]]:
    """Small checkpoints, each with the file of it that is to be changed."""
    found = [(dict(held.files), name) for held in WHOLE.values() for name in held.files]
    kinds = [group for group in GROUPS if group not in (exploding, zips)]
    found += [({it.name: it.content}, it.name) for group in kinds for it in group("canary")]
    found += [({it.name: it.content}, it.name) for it in zips("canary") if "bomb" not in it.name]
    return [(files, name) for files, name in found if 0 < len(files[name]) <= LARGEST]


def mutate(random: Random, content: bytes, others: list[bytes]) -> bytes:
    """The content, changed a few times."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        random.choice(CHANGES)(random, data, others)
    return bytes(data)


def flip(random: Random, data: bytearray, _others: list[bytes]) -> None:
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def replace(random: Random, data: bytearray, _others: list[bytes]) -> None:
    if data:
        data[random.randrange(len(data))] = random.randrange(256)


def set_number(random: Random, data: bytearray, _others: list[bytes]) -> None:
    width = random.choice((1, 2, 4, 8))
    value = random.choice(BREAKING) & ((1 << 8 * width) - 1)
    at = random.randrange(max(1, len(data) - width))
    data[at : at + width] = value.to_bytes(width, random.choice(("little", "big")))


def cut(random: Random, data: bytearray, _others: list[bytes]) -> None:
    del data[random.randrange(len(data) + 1) :]


def remove(random: Random, data: bytearray, _others: list[bytes]) -> None:
    at = random.randrange(len(data) + 1)
    del data[at : at + random.choice((1, 2, 8, 100))]


def repeat(random: Random, data: bytearray, _others: list[bytes]) -> None:
    at = random.randrange(len(data) + 1)
    data[at:at] = data[at : at + random.choice((1, 4, 16, 200))] * random.choice((1, 2, 50))


def insert(random: Random, data: bytearray, others: list[bytes]) -> None:
    other = random.choice(others)
    start = random.randrange(len(other) + 1)
    at = random.randrange(len(data) + 1)
    data[at:at] = other[start : start + random.choice((1, 8, 64, 1000))]


def mend(random: Random, data: bytearray, others: list[bytes]) -> None:
    """Change a member of a zip, so that its checksum and sizes fit what it holds now."""
    try:
        with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except Exception:  # noqa: BLE001 - the library's own trouble with broken zips is not ours
        return
    if not members:
        return
    name = random.choice(list(members))
    inner = bytearray(members[name])
    for _ in range(random.choice((1, 2, 5))):
        random.choice(CHANGES[:-3])(random, inner, others)
    members[name] = bytes(inner)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for key, content in members.items():
            archive.writestr(zipfile.ZipInfo(key), content)
    data[:] = buffer.getvalue()


CHANGES: list[Callable[[Random, bytearray, list[bytes]], None]] = [
    flip, flip, replace, set_number, set_number, cut, remove, repeat, insert, mend, mend, mend,
]  # fmt: skip


def examine(files: Held) -> None:
    """All that show and verify do with the content."""
    for placed in (False, True):
        held = read_files(files, placed=placed)
        contents = merge_contents(held) if held else Contents("none")
    contents = contents._replace(size=sum(files.sizes.values()))
    entries = tuple(Entry(name, "file", size, 0) for name, size in files.sizes.items())
    flaws = [*find_flaws(contents, files), *read_deep(contents, files, deep=True, finite=True)]
    for piece in (
        screens.screen(Checkpoint("x", "generic", "file", entries), _RUN, contents),
        screens.rows(Checkpoint("x", "generic", "file", entries), contents, root="."),
        screens.draw_tree(contents),
        findings.verify_screen([VerifyResult("x", contents.size, "complete", tuple(flaws))]),
    ):
        for line in piece:
            assert all(char.isprintable() or char in "\n\t\u00a0" for char in line), line


def inputs(count: int, seed: int) -> Iterator[Held]:
    """So many changed checkpoints; the same for the same seed."""
    random, held = Random(seed), seeds()  # noqa: S311 - not for secrets
    others = [files[name] for files, name in held]
    for _ in range(count):
        files, name = random.choice(held)
        yield Held({**files, name: mutate(random, files[name], others)})


def run(count: int, seed: int) -> str | None:
    """Examine so many; what went wrong with one, None where nothing did."""
    most = max(MOST_BYTES, _peak())  # the kernel counts what the process held that started this one
    for number, files in enumerate(inputs(count, seed)):
        HEARD.clear()
        begun = process_time()
        try:
            examine(files)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            return _keep(files, f"input {number} of seed {seed} raised {error!r}")
        seconds = process_time() - begun
        if HEARD or seconds > MOST_SECONDS or _peak() > most:
            return _keep(files, f"input {number} of seed {seed}: {HEARD}, {seconds:.1f} s, {_peak():,} bytes")
    return None


def _peak() -> int:
    """Bytes of memory that were held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _keep(files: Held, trouble: str) -> str:
    for name, content in files.files.items():
        trouble += f"\n{name}: {content[:2000]!r}"
    return trouble


def main(count: int, seed: int) -> None:
    """Run, and tell."""
    held = seeds()
    warm_up()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_SPACE, MOST_SPACE))
    sys.addaudithook(listen)
    begun = process_time()
    trouble = run(count, seed)
    seconds = process_time() - begun
    told = trouble or f"{count:,} inputs of {len(held)} samples, seed {seed}: nothing wrong, {seconds:.0f} s"
    sys.stdout.write(f"{told}\n")
    sys.exit(trouble is not None)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else 0)

"""Loading by the installed torch, in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from struct import pack
from threading import Thread
from time import monotonic, sleep
from typing import TypeVar

import pytest

from ckptctl.errors import CkptctlError, MissingLibrary, UsageError
from ckptctl.formats.flaws import VerifyResult
from ckptctl.formats.torch_writer import encode_torch, make_tensor
from ckptctl.sandbox.torch_load import TorchLoader, refuse, require_torch_version, start_torch
from ckptctl.sandbox.worker import Worker, WorkerLimits, WorkerLost
from ckptctl.scan.inspect import VerifyDepth, verify_checkpoint
from ckptctl.scan.resolve import resolve_checkpoint
from ckptctl.scan.runs import Options, scan
from tests.cli.calls import PROGRAM, age, call, environment, save
from tests.faults.hostile import samples
from tests.faults.test_hostile import is_heavy
from tests.formats.legacy import encode_legacy, legacy_file
from tests.formats.samples import dictionary, global_, pack_zip, torch_file
from tests.sandbox.processes import is_gone
from tests.stores.memory import MemoryStore
from tests.wording import worded

T = TypeVar("T")
torch_is_here = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
STATE = {"state_dict": {"w": make_tensor([1, 2, 3, 4], (4,))}, "epoch": 1}
ARGS = dictionary(args=global_("argparse", "Namespace") + b")\x81}b")
ENUM = dictionary(kind=global_("mine", "Kind") + b"K\x01\x85R")
FUTURE = pack_zip({"archive/data.pkl": b"\x80\x02}.", "archive/version": b"99\n"})
PADDING = b"X" + pack("<I", 8 << 20) + bytes(8 << 20)
LONG = torch_file(b"\x80\x02](" + PADDING + (b"](" + b"]" * 1000 + b"e") * 900 + b"e.")
"""Nine hundred thousand empty lists: a second for torch, and 50 MB; our own reading may take four, by its length."""
NAME = "epoch=1-step=1.ckpt"


@pytest.fixture(scope="module")
def loader() -> Iterator[TorchLoader]:
    with start_torch() as started:
        yield started


def look(folder: Path, content: bytes, loader: TorchLoader, *, allow: tuple[str, ...] = ()) -> VerifyResult:
    """What is said of a file that nobody writes to any more."""
    target = resolve_checkpoint(str(save(folder, [NAME], content) / NAME), Options(now=2 * 10**18))
    return verify_checkpoint(target.store, target.checkpoint, VerifyDepth(allow=allow), loader=loader)


def ids(examined: VerifyResult) -> list[str]:
    return [flaw.id for flaw in examined.flaws]


def pid_of(loader: TorchLoader) -> int:
    process = loader.child._process  # noqa: SLF001 - nobody else needs it
    assert process
    return process.pid


@torch_is_here
@pytest.mark.parametrize("encode", [encode_torch, encode_legacy], ids=["zip", "before 1.6"])
def test_what_is_whole_is_loaded(tmp_path: Path, loader: TorchLoader, encode: Callable[[object], bytes]) -> None:
    examined = look(tmp_path, encode(STATE), loader)
    assert (examined.flaws, examined.loaded) == ((), 1)


@torch_is_here
@pytest.mark.parametrize(
    ("content", "allow", "kind", "text"),
    [
        pytest.param(
            torch_file(ARGS), (), "not-loaded",
            r"does not take .* torch.serialization.add_safe_globals\(\[argparse.Namespace\]\)", id="a name of Python",
        ),
        pytest.param(
            legacy_file(ARGS, {}), (), "not-loaded", r"globals\(\[argparse.Namespace\]\)", id="the same before 1.6",
        ),
        pytest.param(torch_file(ENUM), ("mine.*",), "not-loaded", r"\[mine.Kind\]", id="a name of one's own"),
        pytest.param(
            torch_file(b"\x80\x04\x95\x03\0\0\0\0\0\0\0}\x94."), (), "not-loaded",
            "Unsupported operand 149.*weights_only=False", id="another protocol",
        ),
        pytest.param(FUTURE, (), "load-failed", "version 99", id="of a torch to come"),
    ],
)  # fmt: skip
def test_what_our_reader_takes_and_torch_does_not_is_told_with_what_to_do(
    tmp_path: Path, loader: TorchLoader, content: bytes, allow: tuple[str, ...], kind: str, text: str
) -> None:
    examined = look(tmp_path, content, loader, allow=allow)
    assert (ids(examined), examined.loaded) == ([kind], 0)
    assert re.search(text, worded(examined.flaws[0].text))
    assert examined.ok == (kind == "not-loaded")


@torch_is_here
def test_a_name_that_our_list_lacks_keeps_torch_away(tmp_path: Path, loader: TorchLoader) -> None:
    examined = look(tmp_path, torch_file(dictionary(a=global_("mine", "Config") + b")\x81}b")), loader)
    assert (ids(examined), examined.loaded) == (["unlisted-name", "not-loaded"], 0)
    assert "--allow" in worded(examined.flaws[1].text)


@torch_is_here
def test_of_a_folder_every_file_of_torch_is_loaded(tmp_path: Path, loader: TorchLoader) -> None:
    for name in ("pytorch_model.bin", "optimizer.pt", "scheduler.pt"):
        save(tmp_path / "checkpoint-5", [name], encode_torch(STATE))
    save(tmp_path / "checkpoint-5", ["trainer_state.json"], b'{"global_step": 5, "log_history": []}')
    save(tmp_path / "checkpoint-5", ["training_args.bin"], torch_file(ARGS))
    age(tmp_path / "checkpoint-5", 3600)
    target = resolve_checkpoint(str(tmp_path / "checkpoint-5"), Options())
    examined = verify_checkpoint(target.store, target.checkpoint, VerifyDepth(), loader=loader)
    assert [(flaw.id, flaw.file) for flaw in examined.flaws] == [("not-loaded", "training_args.bin")]
    assert examined.loaded == 3


# What loading may cost ------------------------------------------------------------------------------------------------


@torch_is_here
@pytest.mark.slow
@pytest.mark.usefixtures("unhurried")
def test_what_takes_too_long_is_ended_at_the_limit_and_told(tmp_path: Path, loader: TorchLoader) -> None:
    begun = monotonic()
    examined = look(tmp_path, LONG, loader._replace(seconds=0.2))
    assert ids(examined) == ["load-failed"]
    assert "seconds" in worded(examined.flaws[0].text)
    assert monotonic() - begun < 60
    assert look(tmp_path / "next", encode_torch(STATE), loader).loaded == 1


@torch_is_here
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps it")
@pytest.mark.usefixtures("unhurried")
def test_what_takes_too_much_memory_is_told(tmp_path: Path, loader: TorchLoader) -> None:
    look(tmp_path / "first", encode_torch(STATE), loader)
    before = pid_of(loader)
    examined = look(tmp_path / "long", LONG, loader._replace(memory=30 << 20))
    assert ids(examined) == ["load-failed"]
    assert "of memory" in worded(examined.flaws[0].text)
    assert look(tmp_path / "next", encode_torch(STATE), loader).loaded == 1
    assert pid_of(loader) == before


@torch_is_here
@pytest.mark.slow
@pytest.mark.usefixtures("unhurried")
def test_a_process_that_is_killed_while_it_loads_is_told_and_the_next_file_is_loaded(
    tmp_path: Path, loader: TorchLoader
) -> None:
    look(tmp_path / "first", encode_torch(STATE), loader)
    run = save(tmp_path / "run", [NAME], LONG)
    asked = Asked("", loader.child, lambda: Thread(target=kill, args=(pid_of(loader),)).start())
    target = resolve_checkpoint(str(run / NAME), Options(now=2 * 10**18))
    examined = verify_checkpoint(target.store, target.checkpoint, VerifyDepth(), loader=loader._replace(child=asked))
    assert ids(examined) == ["load-failed"]
    assert "SIGKILL" in worded(examined.flaws[0].text)
    assert look(tmp_path / "next", encode_torch(STATE), loader).loaded == 1


def kill(pid: int) -> None:
    sleep(0.2)
    os.kill(pid, signal.SIGKILL)


@torch_is_here
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("is_loading", [False, True], ids=["while torch is imported", "while a file is loaded"])
@pytest.mark.parametrize("to_all", [False, True], ids=["to it", "to all of its group, as a terminal does"])
def test_an_interruption_ends_it_and_its_process(tmp_path: Path, is_loading: bool, to_all: bool) -> None:
    run = save(tmp_path / "run", [NAME], LONG)
    command = [*PROGRAM, "verify", "--load", str(run)]
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as parent:
        told = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
        child = wait_for(lambda: told.read_text().split())[0]
        opened = Path(f"/proc/{child}/fd")
        wait_for(lambda: not is_loading or [it for it in opened.iterdir() if NAME in str(it.readlink())])
        (os.killpg if to_all else os.kill)(parent.pid, signal.SIGINT)
        _, said = parent.communicate()
    assert (parent.returncode, said) == (130, "")
    assert is_gone(int(child))


def wait_for(find: Callable[[], T]) -> T:
    """What comes up within some minutes."""
    until = monotonic() + 300
    while monotonic() < until:
        with suppress(FileNotFoundError):
            if found := find():
                return found
        sleep(0.02)
    raise TimeoutError


# What is never handed over --------------------------------------------------------------------------------------------


class Asked(Worker):
    """A process that tells when it is asked; without a child it would load anything."""

    def __init__(self, module: str, child: Worker | None, tell: Callable[[], object]) -> None:
        super().__init__(module)
        self.child = child
        self.tell = tell

    def ask(
        self, request: Mapping[str, object], descriptor: int, limits: WorkerLimits
    ) -> Mapping[str, object] | WorkerLost:
        self.tell()
        return {} if self.child is None else self.child.ask(request, descriptor, limits)


@pytest.mark.slow
def test_no_hostile_file_is_handed_to_torch(tmp_path: Path) -> None:
    handed: list[str] = []
    found = [it for it in samples(str(tmp_path / "canary")) if not is_heavy(it)]
    for it in found:
        path = tmp_path / it.name
        path.write_bytes(it.content)
        age(path, 7200)
        try:
            target = resolve_checkpoint(str(path), Options(now=2 * 10**18))
        except CkptctlError:
            continue
        loader = TorchLoader("", Asked("", None, lambda name=it.name: handed.append(name)))  # type: ignore[misc] # it has a default
        examined = verify_checkpoint(
            target.store, target.checkpoint, VerifyDepth(deep=True, finite=True), loader=loader
        )
        assert not (examined.loaded and not examined.ok), it.name
    assert [it.name for it in found if it.is_error and it.name in handed] == []
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(encode_torch(STATE)[:-30], id="cut short"),
        pytest.param(encode_torch(STATE).replace(b"\x80\x3f", b"\x80\x40"), id="a byte gone bad"),
        pytest.param(torch_file(dictionary(a=global_("posix", "system") + b"K\x01\x85R")), id="suspect"),
    ],
)
def test_what_did_not_pass_is_not_handed_over(tmp_path: Path, content: bytes) -> None:
    target = resolve_checkpoint(str(save(tmp_path, [NAME], content) / NAME), Options(now=2 * 10**18))
    loader = TorchLoader("", Asked("", None, pytest.fail))
    examined = verify_checkpoint(target.store, target.checkpoint, VerifyDepth(deep=True), loader=loader)
    assert (examined.ok, examined.loaded) == (False, 0)
    assert "not-loaded" not in ids(examined)


def test_what_may_still_be_in_the_writing_is_not_handed_over(tmp_path: Path) -> None:
    save(tmp_path / "checkpoint-5", ["optimizer.pt", "scheduler.pt"], encode_torch(STATE))
    (tmp_path / "checkpoint-5" / "rng_state.pth").write_bytes(encode_torch(STATE))
    target = resolve_checkpoint(str(tmp_path / "checkpoint-5"), Options())
    loader = TorchLoader("", Asked("", None, pytest.fail))
    examined = verify_checkpoint(target.store, target.checkpoint, VerifyDepth(), loader=loader)
    assert (examined.state, ids(examined), examined.loaded) == ("live", ["live", "not-loaded"], 0)


def test_what_changed_since_it_was_looked_at_is_not_handed_over(tmp_path: Path) -> None:
    handed: list[bool] = []
    path = save(tmp_path, [NAME], encode_torch(STATE)) / NAME
    target = resolve_checkpoint(str(path), Options(now=2 * 10**18))
    path.rename(tmp_path / "old")
    path.write_bytes(encode_torch({"other": 1}))
    loader = TorchLoader("", Asked("", None, lambda: handed.append(True)))
    examined = verify_checkpoint(target.store, target.checkpoint, VerifyDepth(), loader=loader)
    assert handed == []
    assert "changed since it was listed" in worded(examined.flaws[-1].text)


def test_what_lies_in_an_archive_of_another_program_is_told_to_be_left_out(tmp_path: Path) -> None:
    content = pack_zip({"data": b"{}", "policy.pth": encode_torch(STATE), "_stable_baselines3_version": b"2.3.0"})
    path = save(tmp_path, ["rl_model_100_steps.zip"], content) / "rl_model_100_steps.zip"
    target = resolve_checkpoint(str(path), Options())
    examined = verify_checkpoint(
        target.store, target.checkpoint, VerifyDepth(), loader=TorchLoader("", Asked("", None, pytest.fail))
    )
    assert [(flaw.id, flaw.text) for flaw in examined.flaws] == [
        ("not-loaded", "not given to torch: it is an archive of other files")
    ]


def test_what_is_not_on_this_machine_is_told_to_be_left_out() -> None:
    store = MemoryStore({NAME: encode_torch(STATE)})
    (run,) = scan(store, Options(now=2 * 10**18))
    examined = verify_checkpoint(
        store, run.checkpoints[0], VerifyDepth(), loader=TorchLoader("", Asked("", None, pytest.fail))
    )
    assert (examined.ok, examined.loaded) == (True, 0)
    assert [flaw.text for flaw in examined.flaws] == ["not given to torch: it is not on this machine"]


def test_torchscript_is_told_to_be_left_out(tmp_path: Path) -> None:
    root = {f"m/{name}": content for name, content in {"constants.pkl": b"\x80\x02).", "version": b"3\n"}.items()}
    examined = look(
        tmp_path, pack_zip({"m/data.pkl": b"\x80\x02}.", **root}), TorchLoader("", Asked("", None, pytest.fail))
    )
    assert ["TorchScript" in worded(flaw.text) for flaw in examined.flaws] == [True]


@pytest.mark.parametrize(
    ("event", "args"),
    [
        ("open", ("file", "w", os.O_WRONLY | os.O_CREAT)),
        ("open", ("file", "r+", os.O_RDWR)),
        ("os.system", (b"touch canary",)),
        ("os.exec", ("touch", ["touch"], {})),
        ("subprocess.Popen", ("touch", ["touch"], None, None)),
        ("socket.connect", (None, ("localhost", 80))),
        ("ctypes.dlopen", ("libc.so.6",)),
        ("os.remove", ("file", -1)),
    ],
)
def test_what_no_loading_needs_is_refused(event: str, args: tuple[object, ...]) -> None:
    with pytest.raises(PermissionError, match=event):
        refuse(event, args)


def test_reading_is_not_refused() -> None:
    refuse("open", ("file", "rb", os.O_RDONLY | os.O_CLOEXEC))
    refuse("import", ("torch", None, None, None, None))
    refuse("mmap.__new__", (-1, 4096, 0, 0))


# Without torch --------------------------------------------------------------------------------------------------------


@pytest.fixture
def path_without_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where a module can be put that would be found; what is installed is not."""
    import ckptctl.cli._app  # noqa: F401 - it lies beside torch

    kept = [it for it in sys.path if not (Path(it) / "torch").exists()]
    monkeypatch.setattr(sys, "path", [str(tmp_path), *kept])
    return tmp_path


def test_without_torch_it_is_told_how_to_install_it(path_without_torch: Path) -> None:
    answer = call("verify", path_without_torch, "--load")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        "ckptctl: error[missing-library]: --load needs torch, which is not installed\n"
        "hint: pip install 'ckptctl[torch]'\n"
    )
    with pytest.raises(MissingLibrary), start_torch():
        pass


def test_a_torch_that_cannot_be_imported_is_told_in_one_line(path_without_torch: Path) -> None:
    (path_without_torch / "torch.py").write_text("raise ImportError('libcudart.so.12: cannot open')")
    with pytest.raises(UsageError, match="cannot be imported: ImportError: libcudart"), start_torch():
        pass


def test_a_torch_with_a_known_hole_is_not_used() -> None:
    for version in ("2.10.0", "2.13.0+cpu", "3.0.0a1"):
        require_torch_version(version)
    with pytest.raises(UsageError, match="too old"):
        require_torch_version("2.9.1+cu128")

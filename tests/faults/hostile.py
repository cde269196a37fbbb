"""Files that would do harm, or make a reader stumble, each built opcode by opcode; none is kept anywhere.

    python -m tests.faults.hostile FOLDER CANARY

What runs in them, if anything runs, writes the file CANARY. The groups are numbered as in the tests' names.
"""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import struct
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pickle import BININT, NONE
from typing import NamedTuple

from tests.formats.legacy import MAGIC, VERSION, legacy_file
from tests.formats.samples import dictionary, global_, number, pack_zip, storage, tensor, text, torch_file


class Sample(NamedTuple):
    """One file."""

    name: str
    """Of the file; it begins with the number of its group."""
    content: bytes
    is_error: bool = True
    """Whether it must be told as an error; else it is enough that nothing happens."""
    runs: bool = False
    """Whether ``pickle.loads`` of the content would write the canary."""


PRIME = 2**61 - 1
"""Whole numbers that are a multiple of it have one hash."""


def short(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"\x8c" + bytes([len(raw)]) + raw


def stack_global(module: str, name: str) -> bytes:
    return short(module) + short(name) + b"\x93"


def call(module: str, name: str, *args: bytes, old: bool = False) -> bytes:
    """A REDUCE that leaves its result on the stack."""
    target = global_(module, name) if old else stack_global(module, name)
    return target + b"(" + b"".join(args) + b"tR"


def pickled(body: bytes, protocol: int = 4) -> bytes:
    return b"\x80" + bytes([protocol]) + body + b"."


def samples(canary: str) -> list[Sample]:
    """Every one of them."""
    found = [it for group in GROUPS for it in group(canary)]
    assert len({it.name for it in found}) == len(found)
    return found


def touch(canary: str) -> str:
    return f"touch {canary}"


def code(canary: str) -> str:
    return f"open({canary!r}, 'w').close()"


# 1: functions that do harm by themselves ------------------------------------------------------------------------------


def plain(canary: str) -> Iterator[Sample]:
    shell, source = text(touch(canary)), text(code(canary))
    opens = text(canary) + text("w")
    bodies = {
        "os.system": (call("os", "system", shell), True),
        "posix.system": (call("posix", "system", shell), True),
        "nt.system": (call("nt", "system", shell), False),
        "subprocess.Popen": (call("subprocess", "Popen", b"](" + text("touch") + text(canary) + b"e"), True),
        "subprocess.run": (call("subprocess", "run", b"](" + text("touch") + text(canary) + b"e"), True),
        "eval": (call("builtins", "eval", source), True),
        "exec": (call("builtins", "exec", source), True),
        "__import__": (call("builtins", "__import__", text("os")), False),
        "getattr": (call("builtins", "getattr", call("builtins", "__import__", text("os")), text("system")), False),
        "open": (call("builtins", "open", opens), True),
        "compile": (call("builtins", "compile", source, text("x"), text("exec")), False),
        "old __builtin__.eval": (call("__builtin__", "eval", source, old=True), False),
        "commands.getoutput": (call("commands", "getoutput", shell, old=True), False),
    }
    for name, (body, runs) in bodies.items():
        yield Sample(f"01 {name}.pkl", pickled(body), runs=runs)
        yield Sample(f"01 {name}.pt", torch_file(pickled(body, 2)))
        yield Sample(f"01 {name} as legacy.pth", legacy_file(pickled(body, 2), {}))


# 2: every opcode that calls -------------------------------------------------------------------------------------------


def opcodes(canary: str) -> Iterator[Sample]:
    arg, line = text(touch(canary)), touch(canary).encode()
    system = global_("posix", "system")
    bodies = {
        "GLOBAL REDUCE": (system + arg + b"\x85R", True),
        "STACK_GLOBAL REDUCE": (stack_global("posix", "system") + arg + b"\x85R", True),
        "INST": (b"(" + arg + b"iposix\nsystem\n", True),
        "OBJ": (b"(" + system + arg + b"o", True),
        "NEWOBJ": (system + arg + b"\x85\x81", False),
        "NEWOBJ_EX": (system + arg + b"\x85}\x92", False),
        "STRING": (system + b"(S'" + line + b"'\ntR", True),
        "UNICODE": (system + b"(V" + line + b"\ntR", True),
        "BINUNICODE8": (system + b"\x8d" + struct.pack("<Q", len(line)) + line + b"\x85R", True),
        "SHORT_BINSTRING": (system + b"U" + bytes([len(line)]) + line + b"\x85R", True),
        "in a dictionary": (b"}" + text("epoch") + system + arg + b"\x85Rs", True),
        "as a key": (b"}" + system + arg + b"\x85R" + number(1) + b"s", True),
        "in a tuple": (number(1) + system + arg + b"\x85R\x86", True),
        "in a set": (b"\x8f(" + system + arg + b"\x85R\x90", True),
        "as a reference": (system + arg + b"\x85RQ", False),
    }
    for name, (body, runs) in bodies.items():
        for protocol in (2, 4):
            yield Sample(f"02 {name} {protocol}.pkl", pickled(body, protocol), runs=runs)
    yield Sample("02 protocol 0.pkl", b"cposix\nsystem\n(S'" + line + b"'\ntR.", runs=True)
    yield Sample("02 protocol 0 as an object.pkl", b"(S'" + line + b"'\niposix\nsystem\n.", runs=True)


# 3: names that come from elsewhere ------------------------------------------------------------------------------------


def hidden_names(canary: str) -> Iterator[Sample]:
    arg = text(touch(canary))
    bodies = {
        "by the memo": short("posix") + b"\x940" + short("system") + b"\x940h\x00h\x01\x93" + arg + b"\x85R",
        "in another order": short("system") + b"\x94" + short("posix") + b"h\x00\x93" + arg + b"\x85R" + b"\x86",
        "doubled": stack_global("posix", "system") + b"2" + b"0" + arg + b"\x85R",
        "popped over": stack_global("posix", "system") + number(1) + b"0" + arg + b"\x85R",
        "popped to a mark": stack_global("posix", "system") + b"(" + number(1) + number(2) + b"1" + arg + b"\x85R",
        "from a list": b"]"
        + stack_global("posix", "system")
        + b"a0"
        + stack_global("posix", "system")
        + arg
        + b"\x85R",
        "result thrown away": stack_global("posix", "system") + arg + b"\x85R0" + number(1),
        "put and got": stack_global("posix", "system") + b"q\x050h\x05" + arg + b"\x85R",
        "long memo": stack_global("posix", "system") + b"r\x05\x00\x00\x000j\x05\x00\x00\x00" + arg + b"\x85R",
        "text memo": stack_global("posix", "system") + b"p7\n0g7\n" + arg + b"\x85R",
    }
    for name, body in bodies.items():
        yield Sample(f"03 {name}.pkl", pickled(body), runs=True)


# 4, 5, 6, 7, 8, 9: gadgets --------------------------------------------------------------------------------------------


GADGETS = {
    "04": (
        "importlib:import_module importlib:reload runpy:run_path runpy:_run_code "
        "numpy.testing._private.utils:runstring numpy:__builtins__ numpy.f2py.crackfortran:getlincoef"
    ),
    "05": (
        "operator:attrgetter operator:methodcaller _operator:attrgetter functools:partial functools:reduce "
        "pkgutil:resolve_name types:FunctionType types:CodeType marshal:loads builtins:map builtins:vars "
        "builtins:setattr builtins:type itertools:starmap code:InteractiveInterpreter.runcode "
        "collections:namedtuple"
    ),
    "06": (
        "torch.hub:load torch.utils.collect_env:run torch._dynamo.guards:GuardBuilder.get "
        "torch.utils.bottleneck.__main__:run_cprofile torch.jit.unsupported_tensor_ops:execWrapper "
        "torch.serialization:load torch:load torch.storage:_load_from_bytes "
        "torch.utils._config_module:load_config torch.fx.experimental.symbolic_shapes:ShapeEnv "
        "torch.distributed.rpc.server_process_global_profiler:x torch._inductor.codecache:compile_file "
        "torch.utils.data.datapipes.utils.decoder:basichandlers"
    ),
    "07": (
        "requests:get requests.api:post urllib.request:urlopen ssl:get_server_certificate "
        "socket:gethostbyname socket:create_connection http.client:HTTPSConnection ftplib:FTP smtplib:SMTP "
        "aiohttp.client:ClientSession httplib:HTTPSConnection"
    ),
    "08": (
        "io:FileIO _io:FileIO logging:FileHandler shutil:copyfile shutil:rmtree "
        "distutils.file_util:write_file numpy:fromfile numpy:load pandas:read_csv os:remove os:rename "
        "pathlib:Path.unlink tempfile:mkstemp sqlite3:connect linecache:getlines fileinput:input "
        "zipimport:zipimporter"
    ),
    "09": (
        "pip:main pip._internal:main ensurepip:_run_pip venv:create cProfile:run "
        "idlelib.pyshell:ModifiedInterpreter.runcode lib2to3.pgen2.grammar:Grammar.loads profile:run "
        "timeit:timeit timeit:main doctest:debug_script pdb:run pydoc:pipepager "
        "asyncio.unix_events:_UnixSubprocessTransport._start pty:spawn bdb:Bdb.run trace:Trace "
        "webbrowser:open antigravity:x this:x uuid:_popen _aix_support:_read_cmd_output "
        "_osx_support:_read_output ctypes:CDLL multiprocessing.util:spawnv_passfds signal:raise_signal"
    ),
    "10": (
        "pickle:loads _pickle:loads dill:loads dill._dill:_create_code joblib:load cloudpickle:loads "
        "cloudpickle.cloudpickle:_builtin_type torch.serialization:_legacy_load shelve:open "
        "copyreg:__newobj__ copyreg:_extension_registry yaml:unsafe_load"
    ),
}
"""Group to modules and names in them that do harm, or fetch something that does."""


def gadgets(canary: str) -> Iterator[Sample]:
    for group, names in GADGETS.items():
        for module, name in (it.split(":") for it in names.split()):
            body = dictionary(state=call(module, name, text(code(canary)), old="." not in name))
            yield Sample(f"{group} {module}.{name}.pt", torch_file(body))


# 11, 12: states and items ---------------------------------------------------------------------------------------------


def states(canary: str) -> Iterator[Sample]:
    arg = text(touch(canary))
    bodies = {
        "state of a process": stack_global("subprocess", "Popen") + b")\x81}" + text("args") + arg + b"sb",
        "state on a name": stack_global("mine", "Config") + b"}" + text("x") + number(1) + b"sb",
        "state on a function": stack_global("posix", "system") + b"}" + text("__class__") + number(1) + b"sb",
        "slots": stack_global("subprocess", "Popen") + b")\x81" + NONE + b"}" + text("a") + arg + b"s\x86b",
        "state on a list": b"]" + b"}" + text("__class__") + stack_global("posix", "system") + b"sb",
        "state on a tensor": tensor("FloatStorage") + b"}" + text("__dict__") + number(1) + b"sb",
        "state twice": stack_global("collections", "OrderedDict") + b")R}b}b",
        "items in a number": number(1) + text("a") + number(2) + b"s",
        "items in a tensor": tensor("FloatStorage") + b"(" + text("a") + number(2) + b"u",
        "append to a text": text("a") + number(1) + b"a",
        "append to a tuple": b")" + b"(" + number(1) + b"e",
        "add to a list of sets": text("a") + b"(" + number(1) + b"\x90",
        "items in a bare name": stack_global("os", "environ") + text("PATH") + text("/x") + b"s",
        "odd items": b"}(" + text("a") + b"u",
    }
    for name, body in bodies.items():
        group = "11" if name.startswith(("state", "slots")) else "12"
        yield Sample(f"{group} {name}.pkl", pickled(body))
        yield Sample(f"{group} {name}.pt", torch_file(pickled(body, 2), bytes(4)))


# 13, 14: where nobody looks -------------------------------------------------------------------------------------------


def places(canary: str) -> Iterator[Sample]:
    evil, fine = pickled(call("posix", "system", text(touch(canary)))), dictionary(epoch=number(1))
    yield Sample("13 second pickle.pkl", fine + evil)
    yield Sample("13 third pickle.pkl", fine + fine + evil)
    yield Sample("13 behind the end.pkl", fine + b"\0" * 64 + evil)
    yield Sample("13 before a zip.pt", evil + torch_file(fine))
    yield Sample("13 behind a zip.pt", torch_file(fine) + evil)
    yield Sample("13 second pickle in a zip.pt", torch_file(fine + evil))
    yield Sample("13 sys info of legacy.pth", MAGIC + VERSION + evil + fine + b"\x80\x02].")
    yield Sample("13 version of legacy.pth", MAGIC + evil + fine + fine + b"\x80\x02].")
    yield Sample("13 keys of legacy.pth", MAGIC + VERSION + fine + fine + evil)
    yield Sample("13 magic of legacy.pth", MAGIC[:-1] + b"0" + evil[2:] + VERSION + fine + fine + b"\x80\x02].")
    for name in ("a/data2.pkl", "a/notes.txt", "a/data.pickle", "a/x.bin", "a/.hidden", "a/constants.pkl"):
        content = pack_zip({"a/data.pkl": fine, name: evil, "a/version": b"3\n"})
        yield Sample(f"13 member {name.partition('/')[2]}.pt", content)
    yield Sample("14 broken behind it.pkl", evil[:-1] + b"\xff\xff")
    yield Sample("14 cut behind it.pkl", evil[:-1])
    yield Sample("14 broken behind it.pt", torch_file(evil[:-1] + b"\xff"))
    yield Sample("14 error behind it.pkl", evil[:-1] + b"s.")
    yield Sample("14 in .metadata", evil)


def beyond_its_frame(hidden: bytes) -> bytes:
    """Bytes that reach beyond a frame, which begins where a buffer ends: an unpickler may run what they hold."""
    held = (hidden + b"(").ljust(1000, b"N")
    front = b"NV" + b"a" * ((1 << 17) - 17) + b"\n0("
    return front + b"\x95" + struct.pack("<Q", 2) + b"B" + struct.pack("<I", len(held) + 2) + b"\0\0" + held + b"1"


# 15, 16, 17, 18: malformed --------------------------------------------------------------------------------------------


def malformed(canary: str) -> Iterator[Sample]:
    huge = {
        "bytes of 2**63": b"\x8e" + struct.pack("<Q", 1 << 63),
        "text of 2**63": b"\x8d" + struct.pack("<Q", 1 << 63),
        "bytearray of 2**62": b"\x96" + struct.pack("<Q", 1 << 62),
        "bytes of 4 GB": b"B" + struct.pack("<I", 0xFFFFFFFF),
        "negative string": b"T" + struct.pack("<i", -1),
        "negative long": b"\x8b" + struct.pack("<i", -5),
        "long of 2 GB": b"\x8b" + struct.pack("<i", 0x7FFFFFFF),
        "frame too long": b"\x95" + struct.pack("<Q", 1 << 40) + b"N",
        "frame too short": b"\x95" + struct.pack("<Q", 0) + b"N",
        "text beyond its frame": b"\x95" + struct.pack("<Q", 3) + b"\x8c\x14" + b"A" * 20,
        "bytes beyond their frame": beyond_its_frame(call("posix", "system", text(touch(canary)))),
        "name beyond its frame": b"\x95" + struct.pack("<Q", 4) + b"cmacos\nsystem\n",
        "frame in a frame": b"\x95" + struct.pack("<Q", 30) + b"\x95" + struct.pack("<Q", 3) + b"N",
        "memo index of 4 billion": b"N" + b"r\xff\xff\xff\xff",
        "memo index in text": b"Np99999999999\n",
        "negative memo index": b"Np-1\n",
        "missing memo": b"h\x07",
        "missing long memo": b"j\x00\x00\x00\x10",
        "no mark": b"t",
        "no mark for a list": b"e",
        "nothing for a call": b"R",
        "nothing to append to": BININT + b"\0\0\0\0a",
        "EXT1": b"\x82\x01",
        "EXT2": b"\x83\x01\x00",
        "EXT4": b"\x84\x01\x00\x00\x00",
        "text reference": b"Psystem\n",
        "buffer": b"\x97\x98",
        "unknown opcode": b"\xfe",
        "number that is none": b"Iabc\n",
        "number with underscores": b"L1_000L\n",
        "number of 5,000 digits": b"L" + b"9" * 5000 + b"L\n",
        "float that is none": b"F__import__('os')\n",
        "string by eval": b"S__import__('os').system('x')\n",
        "string with an escape": b"S'\\N{DIGIT ONE}'\n",
        "text that is no UTF-8": b"X\x02\0\0\0\xff\xfe",
        "line without an end": b"V" + b"x" * 5000,
        "arguments that are no tuple": stack_global("collections", "OrderedDict") + b"]R",
        "name that is no text": number(1) + number(2) + b"\x93",
    }
    fine = {"frame too short", "text reference", "buffer"}
    for name, body in huge.items():
        yield Sample(f"16 {name}.pkl", pickled(body), is_error=name not in fine)
        yield Sample(f"16 {name}.pt", torch_file(pickled(body)), is_error=name not in fine)
    yield Sample("15 protocol 6.pkl", b"\x80\x06N.")
    yield Sample("15 protocol 255.pt", torch_file(b"\x80\xffN."))
    yield Sample("15 empty.pkl", b"")
    yield Sample("15 empty data.pkl.pt", torch_file(b""))
    yield Sample("15 nothing but STOP.pt", torch_file(b"\x80\x02."))


def exploding(canary: str) -> Iterator[Sample]:
    doubling = b"]" + b"q\x00" + b"".join(b"0](h%ch%ce" % (n, n) + b"q%c" % (n + 1) for n in range(40))
    bodies = {
        "a list of lists 2**40": (doubling, False),
        "a list in itself": (b"]q\x00h\x00a", False),
        "a dictionary in itself": (b"}q\x00" + text("a") + b"h\x00s", False),
        "a million marks": (b"(" * 1_000_000, True),
        "a million numbers": (b"(" + b"K\x01" * 999_000 + b"t", False),
        "two million numbers": (b"(" + b"K\x01" * 2_000_000 + b"t", True),
        "a tuple 100,000 deep": (b"N" + b"\x85" * 100_000, False),
        "a list 100,000 deep": (b"]" * 100_000 + b"a" * 99_999, False),
        "a million doublings of the top": (b"N" + b"2" * 1_000_000, False),
        "six million operations": (b"N" + b"0N" * 3_000_000, True),
        "keys that collide": (
            b"}(" + b"".join(b"\x8a\x0a" + (n * PRIME).to_bytes(10, "little") + b"N" for n in range(1, 20_000)) + b"u",
            False,
        ),
        "small keys that collide": (b"}(" + crowd() + b"u(" + b"K\x00N" * 400_000 + b"u", True),
        "long keys": (b"}(" + b"".join(text("k" * 4000 + str(n)) + b"N" for n in range(2000)) + b"u", False),
        "a name of a megabyte": (b"c" + b"x" * (1 << 20) + b"\ny\n", True),
        "many names": (b"(" + b"".join(global_("m", f"n{n}") for n in range(50_000)) + b"t", False),
        "tensors with long names": (
            b"".join(b"}" + text("k" * 200) for _ in range(60)) + b"}(" + b"".join(
                text(f"w{n}") + (tensor("FloatStorage") + b"q\x01" if n == 0 else b"h\x01") for n in range(20_000)
            ) + b"u" + b"s" * 60,
            True,
        ),
    }  # fmt: skip
    for name, (body, is_error) in bodies.items():
        yield Sample(f"17 {name}.pt", torch_file(pickled(body), bytes(4)), is_error=is_error)
        yield Sample(f"17 {name}.pkl", pickled(body), is_error=is_error)


def crowd() -> bytes:
    """Keys that fill the slots in which a dictionary would look for 0, one after the other."""
    slots = 2**17
    slot, fill = 0, [slots]
    while len(fill) < slots // 2:
        slot = (5 * slot + 1) % slots
        fill.append(slot)
    return b"".join(number(key) + b"N" for key in fill)


def described(
    *, offset: int = 0, shape: tuple[int, ...] = (2,), stride: tuple[int, ...] = (1,), length: int = 2
) -> bytes:
    places_of = number(offset) + b"(" + b"".join(map(long, shape)) + b"t(" + b"".join(map(long, stride)) + b"t"
    hooks = global_("collections", "OrderedDict") + b")R"
    front = global_("torch._utils", "_rebuild_tensor_v2") + b"(" + storage("FloatStorage", "0", length)
    return dictionary(w=front + places_of + b"\x89" + hooks + b"tR")


def long(value: int) -> bytes:
    return b"\x8a\x20" + value.to_bytes(32, "little", signed=True)


def sizes(canary: str) -> Iterator[Sample]:
    bodies = {
        "a stride outside": (described(stride=(5,)), True),
        "a shape outside": (described(shape=(3,)), True),
        "a shape that overflows": (described(shape=(2**62, 2**62), stride=(1, 1)), True),
        "a stride that overflows": (described(stride=(2**200,)), True),
        "an offset outside": (described(offset=1), True),
        "a negative shape": (described(shape=(-1,)), False),
        "a negative stride": (described(stride=(-1,)), False),
        "a storage that is too short": (described(length=3, shape=(3,)), True),
        "another count of axes": (described(shape=(1, 2)), False),
        "a hundred axes": (described(shape=(1,) * 100, stride=(1,) * 100), False),
    }
    for name, (body, is_error) in bodies.items():
        yield Sample(f"18 {name}.pt", torch_file(body, bytes(8)), is_error=is_error)
    other = tensor("FloatStorage", "../../x", shape=(2,), length=2)
    yield Sample("18 a storage of another name.pt", torch_file(dictionary(w=other), bytes(8)))
    yield Sample("18 a storage that is missing.pt", torch_file(described()))


# 19: other formats ----------------------------------------------------------------------------------------------------


def npy(header: bytes, body: bytes = b"") -> bytes:
    return pack_zip({"w.npy": b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body})


def formats(canary: str) -> Iterator[Sample]:
    evil = pickled(call("posix", "system", text(touch(canary))))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            info = tarfile.TarInfo(name)
            info.size = len(evil)
            archive.addfile(info, io.BytesIO(evil))
    yield Sample("19 tar of torch 0.1.pth", buffer.getvalue(), is_error=False)
    script = {"a/data.pkl": dictionary(x=number(1)), "a/constants.pkl": evil, "a/code/x.py": code(canary).encode()}
    yield Sample("19 torchscript.pt", pack_zip(script))
    yield Sample("19 gzip.pt", gzip.compress(evil), is_error=False)
    yield Sample("19 xz.pt", lzma.compress(evil), is_error=False)
    yield Sample("19 7z.pt", b"7z\xbc\xaf\x27\x1c\x00\x04" + evil, is_error=False)
    objects = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
    yield Sample("19 objects.npz", npy(objects, evil))
    evals = f"{{'descr': {code(canary)}, 'fortran_order': False, 'shape': (1,), }}".encode()
    yield Sample("19 header with code.npz", npy(evals), is_error=False)
    yield Sample("19 header too long.npz", pack_zip({"w.npy": b"\x93NUMPY\x02\x00" + b"\xff" * 4}), is_error=False)
    shape = b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999, 99999999999999), }"
    yield Sample("19 shape that overflows.npz", npy(shape))
    yield Sample("19 no numpy.npz", pack_zip({"w.npy": b"hello"}))
    config = {"config.json": json.dumps({"class_name": "Lambda", "config": code(canary)}).encode()}
    yield Sample(
        "19 lambda.keras", pack_zip({**config, "metadata.json": b"{}", "model.weights.h5": b"\x89HDF\r\n\x1a\n"})
    )
    deep = b"[" * 100_000
    yield Sample("19 deep.keras", pack_zip({**config, "metadata.json": deep[:60_000]}))
    yield Sample("19 superblock of nothing.h5", b"\x89HDF\r\n\x1a\n" + bytes(100))
    yield Sample("19 superblock of ones.h5", b"\x89HDF\r\n\x1a\n" + b"\xff" * 5000)
    for version in range(4):
        head = (
            b"\x89HDF\r\n\x1a\n"
            + bytes([version, 8, 8, 0, 0, 8, 8, 0])
            + bytes(24)
            + struct.pack("<5Q", 200, 0, 0, 96, 0)
        )
        yield Sample(f"19 group in itself {version}.h5", (head + bytes(24) + loop_header()).ljust(200, b"\0"))
    yield Sample("19 one node of links many times.h5", many_links(10_000), is_error=False)
    yield Sample("19 heap in itself.h5", large_group(inner_heap=True), is_error=False)
    yield Sample("19 tree in itself.h5", large_group(inner_heap=False))
    magic = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
    yield Sample("19 footer alone.index", bytes(40) + magic)
    yield Sample("19 footer of ones.index", b"\xff" * 40 + magic)
    yield Sample("19 block in itself.index", bytes(100) + b"\x00\x64\x00\x64".ljust(40, b"\0") + magic)
    yield from headers()


def loop_header() -> bytes:
    """An object of HDF5 whose header goes on in itself."""
    return b"\x01\x00\x01\x00\x01\x00\x00\x00\x20\x00\x00\x00\x00\x00\x00\x00" + struct.pack(
        "<HHI2Q", 16, 16, 0, 112, 32
    )


def many_links(count: int) -> bytes:
    """A group of HDF5 whose tree leads to one node of ``count`` links as many times: all lead to the group itself."""
    root, names, heap, tree = 96, 200, 232, 300
    node = tree + 24 + 16 * count
    size = node + 8 + 40 * count
    block = b"\x89HDF\r\n\x1a\n" + struct.pack("<8BHHI", 0, 0, 0, 0, 0, 8, 8, 0, 4, 16, 0)
    block += struct.pack("<4Q2QII16x", 0, 2**64 - 1, size, 2**64 - 1, 0, root, 0, 0)
    group = struct.pack("<BxHII4xHHI2Q", 1, 1, 1, 24, 0x11, 16, 0, tree, heap)
    parts = {
        0: block,
        root: group,
        names: b"a\0",
        heap: b"HEAP" + struct.pack("<4x3Q", 8, 2**64 - 1, names),
        tree: b"TREE\0\0" + struct.pack("<H16x", count) + struct.pack("<2Q", 0, node) * count,
        node: b"SNOD\1\0" + struct.pack("<H", count) + struct.pack("<2QII16x", 0, root, 0, 0) * count,
    }
    return placed(size, parts)


def large_group(*, inner_heap: bool) -> bytes:
    """A group of HDF5 whose links lie in a heap, or are found by a tree, that leads into itself forever."""
    size, root, heap, tree, node, table = 4096, 48, 128, 512, 768, 1400
    says = struct.pack("<BHBBB2Q", 2, 18, 0, 0, 0, heap, tree)
    sizes = struct.pack("<H2QHHQH", 4, 512, 65_536, 32, 1, table, 40)
    children = struct.pack("<160Q", *[table] * 160) if inner_heap else b"\xff" * 1280
    pointers = struct.pack("<QBH", node, 1, 9) * 2
    parts = {
        0: b"\x89HDF\r\n\x1a\n" + struct.pack("<4B4QI", 2, 8, 8, 0, 0, 2**64 - 1, size, root, 0),
        root: b"OHDR" + struct.pack("<BBB", 2, 0, len(says)) + says,
        heap: b"FRHP\0" + struct.pack("<HHBI96x", 7, 0, 0, 4096) + sizes,
        tree: b"BTHD\0\5" + struct.pack("<IHH2xQHQ", 512, 11, 9, node, 1, 1),
        node: b"BTIN\0\5" + bytes(11) + pointers,
        table: b"FHIB\0" + struct.pack("<QI", heap, 0) + children,
    }
    return placed(size, parts)


def placed(size: int, parts: Mapping[int, bytes]) -> bytes:
    """A file of so many bytes, with its parts at their offsets."""
    made = bytearray(size)
    for at, part in parts.items():
        made[at : at + len(part)] = part
    return bytes(made)


def headers() -> Iterator[Sample]:
    def made(header: bytes, data: bytes = b"") -> bytes:
        return struct.pack("<Q", len(header)) + header + data

    many = json.dumps(
        {f"w{n}": {"dtype": "U8", "shape": [], "data_offsets": [n, n + 1]} for n in range(100_000)}
    ).encode()
    yield Sample("19 100,000 tensors.safetensors", made(many, bytes(100_000)), is_error=False)
    yield Sample("19 a header of 2**40.safetensors", struct.pack("<Q", (1 << 40) - 1) + b"{}".ljust(100))
    yield Sample("19 a header of 90 MB.safetensors", struct.pack("<Q", 90 << 20) + b"{" + b" " * 1000)
    yield Sample("19 deep.safetensors", made(b'{"a":' * 50_000))
    yield Sample("19 twice.safetensors", made(b'{"a":1,"a":1}'))
    yield Sample("19 a list.safetensors", made(b'{"a":[]}'))
    yield Sample("19 spaces.safetensors", made(b"{" + b" " * 10_000_000 + b"}"), is_error=False)


# 20: zips that two readers understand differently ---------------------------------------------------------------------


def zips(canary: str) -> Iterator[Sample]:
    from tests.formats.test_torch_zip import AMBIGUOUS

    for name, (content, _) in AMBIGUOUS.items():
        yield Sample(f"20 {name}.pt", content)
    evil = pickled(call("posix", "system", text(touch(canary))))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + b"N0" * 30_000_000 + b"N.")
    yield Sample("20 a bomb of 60 MB.pt", buffer.getvalue())
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w.npy", b"\x93NUMPY\x01\x00\x76\x00" + bytes(100 << 20))
    yield Sample("20 a bomb of 100 MB.npz", buffer.getvalue())
    yield Sample("20 out of the folder.pt", pack_zip({"../../x": evil, "../../data.pkl": evil}))
    yield Sample("20 absolute.pt", pack_zip({"/tmp/x": evil, "/data.pkl": evil}))  # noqa: S108 - a name in a zip
    yield Sample("20 many members.pt", pack_zip({"a/data.pkl": evil, **{f"a/data/{n}": b"" for n in range(30_000)}}))
    yield Sample("20 polyglot.pt", b"\x80\x02" + text("PK") + b"." + torch_file(evil))


# 21: names ------------------------------------------------------------------------------------------------------------


def names(canary: str) -> Iterator[Sample]:
    arg = text(code(canary))
    for shown, (module, name) in {
        "unicode": ("\u03bfs", "system"),
        "fullwidth": ("\uff4f\uff53", "system"),
        "dotted": ("torch", "nn.modules.os.system"),
        "dots around": (".os.", ".system."),
        "space": ("os ", "system"),
        "tab": ("os\t", "sys\ttem"),
        "newline": ("o\ns", "sys\ntem"),
        "escape": ("\x1b[2Jtorch", "\x1b]0;x\x07Tensor"),
        "bidi": ("torch\u202e", "metsys"),
        "zero width": ("to\u200brch", "Tensor"),
        "half a character": ("torch\udc80", "Tensor"),
        "empty": ("", ""),
        "very long": ("m" * 250, "n" * 250),
        "listed by case": ("TORCH", "tensor"),
        "a listed name of another module": ("os", "OrderedDict"),
        "torch by prefix": ("torch.nn.modules.evil", "run"),
        "storage of elsewhere": ("posix", "FloatStorage"),
    }.items():
        body = (
            stack_global(module, name) if len(module.encode("utf-8", "surrogatepass")) < 256 else global_(module, name)
        )
        yield Sample(f"21 {shown}.pt", torch_file(pickled(b"}" + text("a") + body + b"(" + arg + b"tRs")))
    odd = dictionary(**{"\x1b[2J\u202e\n": tensor("FloatStorage", shape=(1,))})
    yield Sample("21 name of a tensor.pt", torch_file(odd, bytes(4)), is_error=False)


GROUPS = (plain, opcodes, hidden_names, gadgets, states, places, malformed, exploding, sizes, formats, zips, names)


def main(folder: str, canary: str) -> None:
    """Write them all."""
    os.makedirs(folder, exist_ok=True)
    for sample in samples(canary):
        with open(os.path.join(folder, sample.name), "wb") as file:
            file.write(sample.content)


if __name__ == "__main__":
    main(*sys.argv[1:])

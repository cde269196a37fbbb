"""Small whole files of each kind of content that the cases name, made without a framework."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

from ckptctl.formats.torch_writer import encode_torch, make_tensor

FIXTURES = Path(__file__).parents[1] / "fixtures" / "layouts"
TEXTS = (".txt", ".yml", ".py", ".svg", ".gv", ".ini", ".log", ".csv", ".png")


def content_of(name: str, kind: str, seed: int, epoch: float | None) -> bytes:
    """The bytes of a file; no two of one kind are alike but for HDF5 and Keras, which are real files."""
    low = name.lower()
    if kind == "text" or low.endswith(TEXTS):
        return f"text {seed}\n".encode()
    if low.endswith(".json"):
        return json.dumps({"iter": seed}).encode()
    if kind in ("pickle", "npz") or low.endswith(".pdparams"):
        return _npz(seed) if kind == "npz" and not low.endswith(".pkl") else pickle.dumps({"w": [float(seed)] * 4}, 4)
    if kind == "neat":
        return gzip.compress(pickle.dumps((seed, {"config": 1}, {}, {}), 2), mtime=0)
    if kind == "sb3":
        return _sb3(seed)
    if kind == "params":
        return struct.pack("<QQQ", 0x112, 0, seed)
    if low.endswith(".safetensors"):
        return _safetensors("logits" if kind == "safetensors-logits" else "fc.weight", seed)
    if low.endswith((".h5", ".hdf5", ".keras")):
        folder, file = (
            ("hdf5", "packed.h5") if kind == "hdf5" else ("keras", "m.keras" if low.endswith("s") else "m.h5")
        )
        return (FIXTURES / folder / file).read_bytes()
    data = encode_torch(_torch(kind, seed, epoch))
    instances = {"pyg": b"torch_geometric.data.data\nData", "model": b"__main__\nNet"}
    return _as_instance(data, instances[kind]) if kind in instances else data


def _as_instance(data: bytes, of: bytes) -> bytes:
    """A torch file whose value is an instance of a class that has the former value in it."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {it: archive.read(it) for it in archive.namelist()}
    place = next(it for it in members if it.endswith("/data.pkl"))
    key = b"_parameters" if of.endswith(b"Net") else b"x"
    head = b"\x80\x02c" + of + b"\n)\x81}(X" + struct.pack("<I", len(key)) + key
    return _zip({it: head + raw[2:-1] + b"ub." if it == place else raw for it, raw in members.items()})


def _torch(kind: str, seed: int, epoch: float | None) -> object:
    tensor = make_tensor([seed, 2, 3, 4], (2, 2))
    weights = {"fc.weight": tensor, "fc.bias": make_tensor([seed], (1,))}
    adam = {"state": {0: {"step": 7, "exp_avg": tensor}}, "param_groups": [{"lr": 0.001, "params": [0]}]}
    if kind == "full":
        return {"epoch": seed if epoch is None else epoch, "state_dict": weights, "optimizer": adam, "loss": 0.5}
    return {"optimizer": adam, "tensor": tensor, "pyg": tensor}.get(kind, weights)


def _safetensors(name: str, seed: int) -> bytes:
    header = json.dumps({name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(header)) + header + struct.pack("<f", seed)


def _zip(members: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return whole.getvalue()


def _npz(seed: int) -> bytes:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }"
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + struct.pack("<f", seed)
    return _zip({"updater/model:main/l1/W.npy": array})


def _sb3(seed: int) -> bytes:
    data = json.dumps({"policy_class": {}, "num_timesteps": seed}).encode()
    policy = encode_torch({"fc.weight": make_tensor([seed], (1,))})
    return _zip({"data": data, "policy.pth": policy, "_stable_baselines3_version": b"2.0.0", "system_info.txt": b"-"})

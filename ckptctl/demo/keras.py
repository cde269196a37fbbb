"""A run as Keras' ModelCheckpoint leaves it: a model without weights, saved after every epoch."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from struct import pack
from time import gmtime, strftime

_HOUR = 3600
_VERSION = "3.15.1"
_LOSSES = (0.69, 0.52, 0.44, 0.41, 0.43, 0.40)
"""val_loss of each epoch; Keras counts them from 1."""
_MODEL = {
    "module": "keras",
    "class_name": "Sequential",
    "config": {
        "name": "sequential",
        "trainable": True,
        "layers": [
            {
                "module": "keras.layers",
                "class_name": "InputLayer",
                "config": {"batch_shape": [None, 4], "dtype": "float32", "name": "input_layer"},
                "registered_name": None,
            },
            {"module": "keras.layers", "class_name": "ReLU", "config": {"name": "re_lu"}, "registered_name": None},
        ],
        "build_input_shape": [None, 4],
    },
    "registered_name": None,
    "build_config": {"input_shape": [None, 4]},
    "compile_config": {},
}


def write_keras(folder: str, now: float) -> Iterator[str]:
    """Write six whole files named ``{epoch:02d}-{val_loss:.2f}.keras``; ``now`` in seconds since 1970."""
    os.makedirs(folder)
    for epoch, loss in enumerate(_LOSSES, 1):
        moment = now - _HOUR * (24 + len(_LOSSES) - epoch)
        path = f"{folder}/{epoch:02d}-{loss:.2f}.keras"
        _save(path, strftime("%Y-%m-%d@%H:%M:%S", gmtime(moment)))
        os.utime(path, (moment, moment))
        yield path


def _save(path: str, date: str) -> None:
    members = {
        "metadata.json": json.dumps({"keras_version": _VERSION, "date_saved": date}).encode(),
        "config.json": json.dumps(_MODEL).encode(),
        "model.weights.h5": _encode_empty_hdf5(),
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)


def _encode_empty_hdf5() -> bytes:
    """A file that holds an empty root group (HDF5 file format 1.x: superblock, object header, B-tree, heap)."""
    undefined, root, tree, heap, names, end = 2**64 - 1, 96, 136, 680, 712, 800
    superblock = b"\x89HDF\r\n\x1a\n" + pack("<8B2HI", 0, 0, 0, 0, 0, 8, 8, 0, 4, 16, 0)
    superblock += pack("<4Q", 0, undefined, end, undefined)
    superblock += pack("<2Q2I2Q", 0, root, 1, 0, tree, heap)
    header = pack("<BxHII4x", 1, 1, 1, 24) + pack("<HHB3x2Q", 0x0011, 16, 0, tree, heap)
    nodes = b"TREE" + pack("<BBH2Q", 0, 0, 0, undefined, undefined)
    text = b"HEAP" + pack("<B3x3Q", 0, end - names, 8, names)
    free = pack("<3Q", 0, 1, end - names - 8)
    return superblock + header + nodes.ljust(heap - tree, b"\0") + text + free.ljust(end - names, b"\0")

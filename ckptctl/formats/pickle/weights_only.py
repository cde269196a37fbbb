"""Which names ``torch.load(weights_only=True)`` knows, from torch 2.6 on; a file that has others it does not load.

Read in torch's ``_weights_only_unpickler.py`` (2.13). That they are harmless is another question, for ``allowed``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ckptctl.formats.pickle.reader import ParsedPickle

_PLAIN = "bytearray set complex"
_KNOWN: Mapping[str, str] = {
    "builtins": _PLAIN,
    "__builtin__": _PLAIN,
    "_codecs": "encode",
    "collections": "OrderedDict Counter",
    "torch": (
        "Size Tensor device per_tensor_affine per_tensor_symmetric per_channel_affine per_channel_symmetric"
        " per_channel_affine_float_qparams"
    ),
    "torch._tensor": "_rebuild_from_type_v2",
    "torch._utils": (
        "_rebuild_parameter _rebuild_parameter_with_state _rebuild_qtensor _rebuild_tensor _rebuild_tensor_v2"
        " _rebuild_tensor_v3 _rebuild_sparse_tensor _rebuild_meta_tensor_no_storage _rebuild_nested_tensor"
        " _rebuild_wrapper_subclass _rebuild_device_tensor_from_numpy _rebuild_device_tensor_from_cpu_tensor"
    ),
    "torch.nn.parameter": "Parameter",
    "torch.serialization": "_get_layout",
    "torch.storage": "UntypedStorage TypedStorage",
}
"""Module to names in it."""
_TYPES = (
    r"torch\.(?:(?:cuda|sparse|cuda\.sparse)\.)?[A-Z][A-Za-z0-9]*(?:Storage|Tensor)"
    r"|torch\.(?:u?int[0-9]+|qu?int[0-9x]+|b?float[0-9]+(?:_[a-z0-9]+)*|complex[0-9]+|bool|bits[0-9x]+)"
)


def list_unknown(pickled: ParsedPickle) -> tuple[str, ...]:
    """What a pickle names and that is not known, in the order of mention, each once."""
    return tuple(
        f"{it.module}.{it.name}" for it in dict.fromkeys(pickled.globals) if not is_known_global(it.module, it.name)
    )


def is_known_global(module: str, name: str) -> bool:
    """Whether a name is one of them."""
    return name in _KNOWN.get(module, "").split() or re.fullmatch(_TYPES, f"{module}.{name}") is not None

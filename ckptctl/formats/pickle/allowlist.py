"""Which classes and functions a checkpoint may name: an allow list, for no list of the forbidden is ever complete.

What is listed does no harm with any arguments. All else is told; what loading would call, and whatever of Python's own
modules is not listed, is told as suspicious.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping

from ckptctl.formats.contents import PickledGlobal
from ckptctl.formats.pickle.reader import ParsedPickle
from ckptctl.formats.pickle.vm import GETATTR, GlobalName

_PLAIN = "set frozenset list dict tuple int float str bytes bytearray bool complex slice range object"
_TENSORS = (
    "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter _rebuild_parameter_with_state"
    " _rebuild_sparse_tensor _rebuild_qtensor _rebuild_nested_tensor _rebuild_device_tensor_from_numpy"
    " _rebuild_device_tensor_from_cpu_tensor _rebuild_meta_tensor_no_storage"
)
_PATHS = "Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath"

_LISTED: Mapping[str, str] = {
    "builtins": _PLAIN,
    "__builtin__": f"{_PLAIN} unicode long",
    "copyreg": "_reconstructor",
    "copy_reg": "_reconstructor",
    "_codecs": "encode",
    "collections": "OrderedDict defaultdict Counter deque",
    "argparse": "Namespace",
    "types": "SimpleNamespace",
    "pathlib": _PATHS,
    "pathlib._local": _PATHS,
    "datetime": "date datetime time timedelta timezone",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "uuid": "UUID",
    "typing": "Any Dict List Optional Tuple Union",
    "torch": (
        "Size Tensor device strided sparse_coo sparse_csr contiguous_format preserve_format channels_last Generator"
        " per_tensor_affine per_channel_affine per_tensor_symmetric per_channel_symmetric"
        " per_channel_affine_float_qparams"
        " FloatStorage HalfStorage BFloat16Storage DoubleStorage LongStorage IntStorage BoolStorage ByteStorage"
    ),
    "torch._utils": _TENSORS,
    "torch._tensor": "_rebuild_from_type_v2",
    "torch.storage": "UntypedStorage TypedStorage _UntypedStorage _TypedStorage",
    "torch.serialization": "_get_layout",
    "torch.torch_version": "TorchVersion",
    "torch.nn.parameter": "Parameter Buffer UninitializedParameter UninitializedBuffer",
    "torch.jit._pickle": (
        "build_intlist build_tensorlist build_doublelist build_boollist build_tensor_from_id restore_type_tag"
    ),
    "torch.distributed.checkpoint.metadata": (
        "Metadata TensorStorageMetadata TensorProperties ChunkStorageMetadata BytesStorageMetadata MetadataIndex"
        " StorageMeta _MEM_FORMAT_ENCODING"
    ),
    "torch.distributed.checkpoint.filesystem": "_StorageInfo",
    "torch.distributed.tensor": "DTensor",
    "torch.distributed.tensor._dtensor_spec": "DTensorSpec TensorMeta",
    "torch.distributed.tensor.placement_types": "Shard Replicate Partial",
    "numpy": "ndarray dtype",
    "numpy.core.multiarray": "_reconstruct scalar",
    "numpy._core.multiarray": "_reconstruct scalar",
    "numpy.core.numeric": "_frombuffer",
    "numpy._core.numeric": "_frombuffer",
    "numpy.random._pickle": "__generator_ctor __bit_generator_ctor __randomstate_ctor",
    "numpy.random.bit_generator": "SeedSequence __pyx_unpickle_SeedSequence",
    "numpy.random._mt19937": "MT19937",
    "numpy.random._pcg64": "PCG64 PCG64DXSM",
    "omegaconf.base": "ContainerMetadata Metadata",
    "omegaconf.dictconfig": "DictConfig",
    "omegaconf.listconfig": "ListConfig",
    "omegaconf.nodes": (
        "AnyNode StringNode IntegerNode FloatNode BooleanNode EnumNode UnionNode PathNode BytesNode ValueNode"
    ),
    "lightning.fabric.utilities.data": "AttributeDict",
    "lightning_fabric.utilities.data": "AttributeDict",
    "lightning.pytorch.utilities.parsing": "AttributeDict",
    "pytorch_lightning.utilities.parsing": "AttributeDict",
    "transformers.trainer_utils": (
        "IntervalStrategy SaveStrategy EvaluationStrategy SchedulerType HubStrategy FSDPOption"
    ),
    "transformers.training_args": "TrainingArguments OptimizerNames",
    "transformers.training_args_seq2seq": "Seq2SeqTrainingArguments",
    "transformers.trainer_pt_utils": "AcceleratorConfig",
    "transformers.debug_utils": "DebugOption",
    "accelerate.utils.dataclasses": "DistributedType DeepSpeedPlugin",
    "accelerate.state": "PartialState",
    "deepspeed.runtime.zero.config": "ZeroStageEnum",
    "deepspeed.runtime.fp16.loss_scaler": "LossScaler DynamicLossScaler",
    "deepspeed.utils.tensor_fragment": "fragment_address",
    "megatron.core.enums": "ModelType",
    "mmengine.logging.history_buffer": (
        "HistoryBuffer HistoryBuffer.max HistoryBuffer.min HistoryBuffer.mean HistoryBuffer.current"
    ),
}
"""Module to names in it."""

_PATTERNS = (
    r"torch\.(?:cuda\.)?[A-Z][A-Za-z0-9]*Storage"
    r"|torch\.(?:u?int[0-9]+|q?u?int[0-9x]+|b?float[0-9]+(?:_[a-z0-9]+)*|complex[0-9]+|bool|bits[0-9x]+"
    r"|half|double|float|long|int|short|cfloat|cdouble)"
    r"|numpy\.dtypes\.[A-Z][A-Za-z0-9]*DType"
    r"|numpy\.(?:u?int[0-9]+|float[0-9]+|complex[0-9]+|bool_?)"
)
_INSTANCES = (
    r"(?:torch\.nn\.(?:functional|modules|parallel|utils\.parametrize)|torch\.optim|torch\.ao\.nn|ultralytics\.(?:nn|utils)|timm"
    r"|torchvision|models\.(?:common|yolo|experimental)|__torch__|pytorch_lightning\.callbacks|lightning\.pytorch\.callbacks"
    r")(?:\.[A-Za-z0-9_]+)+"
    r"|gymnasium\.spaces\.(?:box\.Box|discrete\.Discrete|multi_binary\.MultiBinary|multi_discrete\.MultiDiscrete|dict\.Dict"
    r"|tuple\.Tuple)"
    r"|stable_baselines3\.common\.(?:buffers\.(?:Dict)?(?:Replay|Rollout)Buffer|vec_env\.vec_normalize\.VecNormalize"
    r"|running_mean_std\.RunningMeanStd)"
)
"""Whose instances are states of training, and no harm where they are made without a call."""
_OLD = frozenset("__builtin__ cPickle commands copy_reg exceptions os2 popen2 StringIO urllib2".split())
_TOOLS = frozenset("pip setuptools pkg_resources distutils _distutils_hack IPython cloudpickle dill".split())


def list_globals(pickles: Iterable[ParsedPickle]) -> tuple[PickledGlobal, ...]:
    """What the pickles name, in the order of mention, each once."""
    found: dict[str, PickledGlobal] = {}
    for named in (classify_global(it, is_called=it in pickled.called) for pickled in pickles for it in pickled.globals):
        if named.name not in found or named.is_called:
            found[named.name] = named
    return tuple(found.values())


def classify_global(node: GlobalName, *, is_called: bool = False) -> PickledGlobal:
    """Whether a name is allowed; ``is_called`` where loading would call it."""
    name = f"{node.module}.{node.name}"
    if node.name in _LISTED.get(node.module, "").split() or re.fullmatch(_PATTERNS, name):
        return PickledGlobal(name, allowed=True, is_called=is_called)
    if node in GETATTR and not is_called:  # it only names what belongs to a class
        return PickledGlobal(name, allowed=True)
    is_instance = not is_called and "." not in node.name and re.fullmatch(_INSTANCES, name) is not None
    return PickledGlobal(name, is_instance, is_called or _is_of_python(node.module))


def _is_of_python(module: str) -> bool:
    """Whether a module comes with Python, or is one of its tools: no checkpoint needs what of it is not listed."""
    root = module.partition(".")[0]
    return root in sys.stdlib_module_names or root in _OLD or root in _TOOLS


# Another question: which names ``torch.load(weights_only=True)`` knows, from torch 2.6 on. A file that has others is
# not loaded. Read in torch's ``_weights_only_unpickler.py`` (2.13).

_TORCH_BUILTINS = "bytearray set complex"
_TORCH_NAMES: Mapping[str, str] = {
    "builtins": _TORCH_BUILTINS,
    "__builtin__": _TORCH_BUILTINS,
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
_TORCH_TYPES = (
    r"torch\.(?:(?:cuda|sparse|cuda\.sparse)\.)?[A-Z][A-Za-z0-9]*(?:Storage|Tensor)"
    r"|torch\.(?:u?int[0-9]+|qu?int[0-9x]+|b?float[0-9]+(?:_[a-z0-9]+)*|complex[0-9]+|bool|bits[0-9x]+)"
)


def list_unknown(pickled: ParsedPickle) -> tuple[str, ...]:
    """What a pickle names and that is not known, in the order of mention, each once."""
    unknown = (it for it in dict.fromkeys(pickled.globals) if not is_known_global(it.module, it.name))
    return tuple(f"{it.module}.{it.name}" for it in unknown)


def is_known_global(module: str, name: str) -> bool:
    """Whether a name is one of them."""
    return name in _TORCH_NAMES.get(module, "").split() or re.fullmatch(_TORCH_TYPES, f"{module}.{name}") is not None

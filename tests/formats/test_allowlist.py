from __future__ import annotations

import pytest

from ckptctl.formats.pickle.allowlist import _LISTED as HARMLESS
from ckptctl.formats.pickle.allowlist import classify_global, is_known_global
from ckptctl.formats.pickle.vm import GlobalName
from tests.conftest import lacks

needs_torch = pytest.mark.skipif(lacks("torch") is not None, reason=str(lacks("torch")))


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("collections.OrderedDict", True),
        ("torch.bfloat16", True),
        ("torch.HalfStorage", True),
        ("torch._utils._rebuild_tensor_v2", True),
        ("__builtin__.set", True),
        ("builtins.dict", False),
        ("argparse.Namespace", False),
        ("numpy.core.multiarray.scalar", False),
        ("torch.nn.modules.linear.Linear", False),
        ("torch.load", False),
    ],
)
def test_what_a_state_dict_needs_is_known_and_other_classes_are_not(name: str, known: bool) -> None:
    module, _, own = name.rpartition(".")
    assert is_known_global(module, own) is known


@needs_torch
def test_what_tensors_of_any_type_need_is_harmless_too() -> None:
    from torch._weights_only_unpickler import _get_allowed_globals

    names = [name for name in _get_allowed_globals() if not name.endswith(("Tensor", "_rebuild_wrapper_subclass"))]
    assert [
        name for name in names if not classify_global(GlobalName(*name.rpartition(".")[::2]), is_called=True).allowed
    ] == []


@needs_torch
def test_the_names_are_those_of_torch_itself() -> None:
    from torch._weights_only_unpickler import _get_allowed_globals

    theirs = set(_get_allowed_globals())
    assert [name for name in theirs if not is_known_global(*name.rpartition(".")[::2])] == []
    ours = {
        f"{module}.{name}"
        for module, names in HARMLESS.items()
        for name in names.split()
        if is_known_global(module, name)
    }
    assert {name for name in ours if not name.startswith("__builtin__.")} <= theirs

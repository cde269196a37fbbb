"""Every row of the table recognises its own examples, and nothing that another row means."""

from __future__ import annotations

import pytest

from ckptctl.core.layout import Layout
from ckptctl.core.units import NANOSECONDS
from ckptctl.layouts import BY_NAME, LAYOUTS
from ckptctl.scan import Options, scan
from ckptctl.stores.memory import MemoryStore
from ckptctl.weights.torch_write import encode_torch

WHOLE = encode_torch({"state_dict": {}})
EXAMPLES = [pytest.param(layout, name, id=f"{layout.name}: {name}") for layout in LAYOUTS for name in layout.examples]


def files_of(layout: Layout, path: str) -> dict[str, bytes]:
    """What such a checkpoint consists of at the least."""
    if layout.unit == "file":
        return {path: WHOLE}
    return {f"{path}/{name}": b"x" for name in {layout.sentinels[0], *layout.required}}


@pytest.mark.parametrize(("layout", "name"), EXAMPLES)
def test_an_example_is_one_complete_checkpoint_of_its_layout(layout: Layout, name: str) -> None:
    store = MemoryStore(files_of(layout, f"run/{name}"))
    (run,) = scan(store, Options(now=store.clock() + 3600 * NANOSECONDS))
    (checkpoint,) = run.checkpoints
    assert (checkpoint.path, checkpoint.layout, checkpoint.unit) == (f"run/{name}", layout.name, layout.unit)
    assert checkpoint.state == "complete"
    assert (run.path, run.strays, run.epoch_base) == ("run", (), layout.epoch_base)


FOLDERS = [layout for layout in LAYOUTS if layout.unit == "dir"]


@pytest.mark.parametrize(
    ("layout", "missing"),
    [pytest.param(layout, name, id=f"{layout.name} without {name}") for layout in FOLDERS for name in layout.required],
)
def test_a_folder_that_lacks_what_is_required_is_not_complete(layout: Layout, missing: str) -> None:
    files = files_of(layout, "a.ckpt") | {f"a.ckpt/{layout.sentinels[-1]}": b"x"}
    files = {path: data for path, data in files.items() if path != f"a.ckpt/{missing}"}
    store = MemoryStore(files)
    (run,) = scan(store, Options(now=store.clock() + 3600 * NANOSECONDS))
    assert [(it.state, it.note) for it in run.checkpoints] == [("partial", f"{missing} is missing")]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda it: it.name)
def test_what_training_leaves_beside_is_neither_checkpoint_nor_stray(layout: Layout) -> None:
    beside = {f"run/{pattern.replace('*', '1')}": b"epoch\n" for pattern in layout.beside}
    store = MemoryStore(files_of(layout, f"run/{layout.examples[0]}") | beside)
    (run,) = scan(store, Options(now=store.clock()))
    assert len(run.checkpoints) == 1
    assert run.strays == ()


def test_every_layout_has_examples_and_a_name_of_its_own() -> None:
    assert all(layout.examples for layout in LAYOUTS)
    assert len(BY_NAME) == len(LAYOUTS)


def test_folders_are_tried_before_files() -> None:
    units = [layout.unit for layout in LAYOUTS if layout.name.startswith("lightning")]
    assert units == sorted(units, key=("dir", "file").index)

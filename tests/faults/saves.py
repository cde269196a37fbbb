"""What a training saves, and saves anew under the same name: each file with content that nothing else has."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ckptctl.formats.torch_writer import encode_torch, make_tensor
from ckptctl.layouts.index import find_layout
from ckptctl.stores import read_whole
from ckptctl.tensors.slim import open_slimmed
from tests.prune.test_apply import INDEX
from tests.stores.memory import MemoryStore

Files = dict[str, bytes]


class Save(NamedTuple):
    """What was saved once, under a name that may be used again."""

    name: str
    files: tuple[tuple[str, bytes], ...]
    slim: tuple[tuple[str, bytes], ...] = ()
    """What the slimmer makes of it; nothing where nobody slims it."""

    @property
    def paths(self) -> frozenset[str]:
        return frozenset(path for path, _ in self.files)

    @property
    def whole(self) -> frozenset[bytes]:
        """The contents of all its files."""
        return frozenset(data for _, data in self.files)

    @property
    def thin(self) -> frozenset[bytes]:
        """The contents of what the slimmer makes of it."""
        return frozenset(data for _, data in self.slim)

    @property
    def rest(self) -> frozenset[bytes]:
        """The contents that slimming takes away."""
        return self.whole - self.thin if self.slim else frozenset()


def make_save(kind: str, number: int, made: int, *, plain: bool = False) -> Save:
    """The files of the ``made``-th save; ``plain`` without what only serves to resume, where the slimmer knows that."""
    files, slim = KINDS[kind](number, made)
    if plain and slim:
        files, slim = slim, {}
    return Save(f"{kind} {number}", tuple(files.items()), tuple(slim.items()))


def _file(number: int, made: int) -> tuple[Files, Files]:
    path = f"files/epoch={number}.ckpt"
    data = _torch(made, "state_dict", optimizer_states=[_tensor(made)])
    return {path: data}, {path: _slimmed("lightning", data)}


def _folder(number: int, made: int) -> tuple[Files, Files]:
    names = ("meta.pt", ".metadata", "d/x")
    return {f"folders/epoch={number}.ckpt/{name}": b"%d%b" % (made, name.encode()) for name in names}, {}


def _family(number: int, made: int) -> tuple[Files, Files]:
    unique = b"%d" % made
    return {
        f"family/ckpt-{number}.index": INDEX[: -8 - len(unique)] + unique + INDEX[-8:],
        f"family/ckpt-{number}.data-00000-of-00001": b"data" + unique,
    }, {}


def _trainer(number: int, made: int) -> tuple[Files, Files]:
    """As transformers saves it, with an optimizer that is a folder beside files."""
    names = ("model.safetensors", "optimizer.pt", "optimizer_0/x", "trainer_state.json")
    folder = f"trainer/checkpoint-{number}"
    files = {f"{folder}/{name}": b'{"step": %d, "in": "%b"}' % (made, name.encode()) for name in names}
    return files, {path: data for path, data in files.items() if "optimizer" not in path}


def _cut(number: int, made: int) -> tuple[Files, Files]:
    """As LitGPT saves it: one file of the folder holds all."""
    folder = f"cut/step-00000{number}"
    data = _torch(made, "model", optimizer=_tensor(made))
    config = {f"{folder}/model_config.yaml": b"made: %d" % made}
    path = f"{folder}/lit_model.pth"
    return {path: data, **config}, {path: _slimmed("litgpt", data), **config}


def _played(number: int, made: int) -> tuple[Files, Files]:
    """As Stable-Baselines3 saves it: what was played beside the model."""
    model = {f"played/rl_model_{number}000_steps.zip": _torch(made, "policy")}
    played = b"\x80\x02J%b." % made.to_bytes(4, "little")
    return {**model, f"played/rl_model_replay_buffer_{number}000_steps.pkl": played}, model


def _torch(made: int, weights: str, **others: object) -> bytes:
    return encode_torch({"epoch": made, "global_step": made, weights: {"w": _tensor(made)}, **others})


def _tensor(made: int) -> object:
    return make_tensor([made] * 300, (300,))


def _slimmed(layout: str, data: bytes) -> bytes:
    """What the slimmer makes of a file where a prune asks it to."""
    slimming = find_layout(layout).slimming
    assert slimming
    drop = [key for key in slimming.drop if key not in slimming.scores]
    store = MemoryStore({"whole": data})
    with store.open("whole") as source, store.draft("slim") as draft:
        open_slimmed(source, drop, bare=False).write(draft)
    return read_whole(store, "slim", 1 << 20)


KINDS: dict[str, Callable[[int, int], tuple[Files, Files]]] = {
    "file": _file,
    "folder": _folder,
    "family": _family,
    "trainer": _trainer,
    "cut": _cut,
    "played": _played,
}

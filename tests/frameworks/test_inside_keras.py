"""Inside of real files of Keras: show, verify and diff, beside what h5py reads; and what slim and average say."""

from __future__ import annotations

import io
import json
import os
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.frameworks.conftest import run
from tests.frameworks.folders import make_old

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    os.environ.setdefault("KERAS_BACKEND", "torch")  # Keras reads it when it is imported
    pytest.importorskip("torch", reason="Keras trains on torch here, which is not installed", exc_type=ImportError)
    keras = pytest.importorskip("keras", reason="Keras is not installed", exc_type=ImportError)
    import h5py
    import numpy as np

pytestmark = [pytest.mark.keras, pytest.mark.filterwarnings("ignore")]

SHARD = 2e-7
"""Gigabytes of a shard, of which the model then has several."""
Arrays = dict[str, Any]


class Form(NamedTuple):
    """One of the ways to save."""

    ending: str
    policy: str = "float32"

    @property
    def has_sums(self) -> bool:
        """Whether the format has checksums."""
        return self.ending == ".keras"


FORMS = tuple(
    Form(ending, policy)
    for ending in (".keras", ".weights.h5", ".h5", ".weights.json")
    for policy in ("float32", "float16", "mixed_bfloat16")
)
SINGLE = [it for it in FORMS if it.ending != ".weights.json"]
IDS = "{0.ending}-{0.policy}".format
every_form = pytest.mark.parametrize("form", FORMS, ids=IDS)
every_file = pytest.mark.parametrize("form", SINGLE, ids=IDS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two epochs of a training in every form."""
    root = str(tmp_path_factory.mktemp("keras-inside"))
    for policy in dict.fromkeys(form.policy for form in FORMS):
        train(root, policy)
    make_old(root)
    return root


def train(root: str, policy: str) -> None:
    """Train, and save after each epoch in every form."""
    keras.utils.set_random_seed(0)
    model = make_model(policy)
    rng = np.random.default_rng(0)
    data = rng.normal(size=(16, 4)).astype("float32"), rng.normal(size=(16, 2)).astype("float32")
    for epoch in range(2):
        model.fit(*data, epochs=1, verbose=0)
        for form in FORMS:
            path = path_of(root, form._replace(policy=policy), epoch)
            if form.ending == ".weights.json":
                model.save_weights(path, max_shard_size=SHARD)
            else:
                (model.save_weights if form.ending == ".weights.h5" else model.save)(path)


def make_model(policy: str) -> Any:  # noqa: ANN401 - Keras' own
    """Layers of several kinds: one keeps statistics, and one the state of random numbers."""
    model = keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Dense(6, activation="relu", dtype=policy),
            keras.layers.BatchNormalization(dtype=policy),
            keras.layers.Dropout(0.1, dtype=policy),
            keras.layers.Dense(2, dtype=policy),
        ]
    )
    model.compile("adam", "mse")
    return model


def path_of(root: str, form: Form, epoch: int) -> str:
    """Of a save."""
    return os.path.join(root, f"{form.policy}-{epoch}{form.ending}")


def read(path: str) -> Arrays:
    """Every dataset by its name, as h5py reads it; of shards all together."""
    found: Arrays = {}
    for content in contents_of(path):
        with h5py.File(content) as file:
            file.visititems(lambda name, it: found.update({name: it[()]} if isinstance(it, h5py.Dataset) else {}))
    return {name: np.asarray(it) for name, it in found.items()}


def contents_of(path: str) -> Iterator[Any]:
    """The HDF5 files that a save consists of."""
    if path.endswith(".keras"):
        with zipfile.ZipFile(path) as archive:
            yield io.BytesIO(archive.read("model.weights.h5"))
    elif path.endswith(".weights.json"):
        yield from shards_of(path)
    else:
        yield path


def shards_of(path: str) -> list[str]:
    """The files that the map of a save names."""
    named = json.loads(Path(path).read_text())["weight_map"].values()
    names = {name for it in named for name in (it if isinstance(it, list) else [it])}
    return sorted(os.path.join(os.path.dirname(path), name) for name in names)


def distance(old: Any, new: Any) -> tuple[float, float]:  # noqa: ANN401 - arrays
    """The largest difference, and the mean of all, in float64."""
    apart = np.abs(old.astype("float64") - new.astype("float64"))
    return float(apart.max()), float(apart.mean())


@every_form
def test_show_tells_the_arrays_that_h5py_reads(form: Form, folder: str) -> None:
    path = path_of(folder, form, 0)
    contents = run("show", path, "--json").json["contents"]
    told = {it["name"]: (tuple(it["shape"]), it["dtype"], it["bytes"]) for it in contents["tensors"]}
    held = read(path)
    assert told == {name: (it.shape, str(it.dtype), it.nbytes) for name, it in held.items()}
    sizes = {"weights": 0, "optimizer": 0, "other": 0}
    for tensor in contents["tensors"]:
        sizes[tensor["part"]] += held[tensor["name"]].nbytes
    assert {part: contents["parts"][part] for part in ("weights", "optimizer")} == {
        part: sizes[part] for part in ("weights", "optimizer")
    }


@pytest.mark.parametrize("kind", ["int8", "int4", "float8"])
def test_show_tells_the_arrays_of_a_quantized_model(kind: str, tmp_path: Path) -> None:
    model = make_model("float32")
    model.quantize(kind)
    path = str(tmp_path / "model.keras")
    model.save(path)
    told = run("show", path, "--json").json["contents"]["tensors"]
    held = {name: (it.shape, str(it.dtype)) for name, it in read(path).items()}
    assert {it["name"]: (tuple(it["shape"]), it["dtype"]) for it in told} == held


@every_form
def test_what_keras_saved_is_whole_and_finite(form: Form, folder: str) -> None:
    answer = run("verify", path_of(folder, form, 1), "--deep", "--finite", "--json")
    assert (answer.code, [it["findings"] for it in answer.json["checkpoints"]]) == (0, [[]])


@every_file
def test_a_byte_that_went_bad_in_a_weight_is_found_where_there_are_checksums(
    form: Form, folder: str, tmp_path: Path
) -> None:
    path = path_of(folder, form, 1)
    sample = next(it for name, it in read(path).items() if it.size > 10 and "optimizer" not in name).tobytes()
    content = Path(path).read_bytes()
    place = content.index(sample)
    copy = tmp_path / os.path.basename(path)
    copy.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    make_old(str(tmp_path))
    answer = run("verify", str(copy), "--deep", "--json")
    found = [it["id"] for it in answer.json["checkpoints"][0]["findings"]]
    assert (answer.code, found) == ((5, ["checksum"]) if form.has_sums else (0, []))
    assert len(run("diff", path, str(copy), "--json").json["changed"]) == 1


@pytest.mark.parametrize("policy", dict.fromkeys(it.policy for it in FORMS))
def test_a_shard_that_is_missing_is_found(policy: str, folder: str, tmp_path: Path) -> None:
    whole = path_of(folder, Form(".weights.json", policy), 0)
    shards = shards_of(whole)
    assert len(shards) > 1
    for missing in shards:
        left = tmp_path / os.path.basename(missing)
        left.mkdir()
        for path in {whole, *shards} - {missing}:
            (left / os.path.basename(path)).write_bytes(Path(path).read_bytes())
        make_old(str(left))
        answer = run("verify", str(left), "--json")
        assert (answer.code, [it["id"] for it in answer.json["checkpoints"][0]["findings"]]) == (5, ["missing-file"])


@every_form
def test_the_difference_of_two_epochs_is_what_numpy_works_out(form: Form, folder: str) -> None:
    """In float64; the sums are added in another order."""
    paths = [path_of(folder, form, epoch) for epoch in range(2)]
    found = run("diff", *paths, "--json").json
    assert [found[kind] for kind in ("added", "removed", "reshaped", "retyped", "unread")] == [[], [], [], [], []]
    changed = {it["name"]: (it["max"], it["mean"]) for it in found["changed"]}
    old, new = (read(path) for path in paths)
    apart = {name: distance(it, new[name]) for name, it in old.items()}
    assert changed == {name: pytest.approx(it, rel=1e-12) for name, it in apart.items() if it[0]}
    assert found["same"] == sum(not it[0] for it in apart.values())


@every_form
def test_a_save_and_itself_have_no_difference(form: Form, folder: str) -> None:
    path = path_of(folder, form, 0)
    found = run("diff", path, path, "--json").json
    assert (found["changed"], found["metadata"], found["same"]) == ([], [], len(read(path)))


@pytest.mark.parametrize("policy", dict.fromkeys(it.policy for it in FORMS))
def test_a_model_has_the_same_weights_in_one_file_and_in_shards(policy: str, folder: str) -> None:
    forms = [Form(ending, policy) for ending in (".keras", ".weights.h5", ".weights.json")]
    one, *others = (path_of(folder, form, 0) for form in forms)
    for other in others:
        found = run("diff", one, other, "--json").json
        assert [found[kind] for kind in ("added", "removed", "changed", "unread")] == [[], [], [], []]


@every_form
def test_it_is_neither_slimmed_nor_averaged_and_says_why(form: Form, folder: str, tmp_path: Path) -> None:
    paths = [path_of(folder, form, epoch) for epoch in range(2)]
    slimmed = run("slim", paths[0], "-o", str(tmp_path / "slim"))
    mean = run("average", *paths, "-o", str(tmp_path / "mean.h5"))
    assert (slimmed.code, mean.code) == (6, 6)
    assert "HDF5 does not shrink" in slimmed.err
    reason = "its weights lie in" if form.ending == ".weights.json" else "only files of torch's or safetensors can be"
    assert reason in mean.err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_numbers_of_a_type_that_hdf5_does_not_know_are_of_the_one_that_keras_notes(tmp_path: Path, ending: str) -> None:
    paths = [tmp_path / f"{epoch}{ending}" for epoch in range(2)]
    model = make_model("bfloat16")
    for value, path in enumerate(paths):
        for weight in model.trainable_weights:
            weight.assign(np.full(weight.shape, value + 0.5))
        (model.save if ending == ".keras" else model.save_weights)(path)
    make_old(str(tmp_path))
    inside = run("show", "--json", str(paths[0])).json["contents"]
    assert {it["dtype"] for it in inside["tensors"] if it["part"] == "weights"} >= {"bfloat16"}
    assert inside["parts"]["weights"] > 0
    changed = run("diff", *map(str, paths), "--json").json["changed"]
    assert changed
    assert {(it["max"], it["mean"]) for it in changed} == {(1.0, 1.0)}

"""The engine knows no framework: their names stand in rows of data, in readers of what one leaves, and nowhere else.

The names are those of the table's families, so that a new row is watched from its first day. Looked at is what runs:
every identifier, the names of modules, and every text that is no docstring, cut into words. A docstring or a comment
may name the framework that a fact was learnt from.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

import ckptctl
from ckptctl.layouts import LAYOUTS

PACKAGE = Path(ckptctl.__file__).parent
HOMES = ("layouts/*", "scan/metrics/lightning.py", "demo/*")
"""Where frameworks are meant."""
PLAIN = {"generic", "mae"}
"""Families that are named for no framework, or as a metric is."""
FRAMEWORKS = sorted({it.family for it in LAYOUTS} - PLAIN | {"huggingface", "modelcheckpoint"})
HABITS = ("best_k_models", "metrics.csv", "hpc_ckpt", "on_exception", "evaluations.npz")
"""Files that one framework writes: what reads runs does not know them."""
FORMATS: Mapping[str, tuple[str, ...]] = {
    "dcp": ("formats/*",),
    "tensorflow": ("formats/*",),
    "orbax": ("formats/*",),
    "keras": ("formats/*", "formats/sniff/*", "core/names/tokens.py", "scan/resolve.py", "scan/loose_files.py"),
    "stable_baselines3": ("formats/any_zip.py", "formats/sniff/*"),
    "lightning": ("formats/sniff/*",),  # a key of what it saves tells its files
}
"""Names of frameworks that are names of file formats too, and endings of files (``.keras``), and where they are."""
UNLIKELY = 6
"""Letters of a name that is found in the middle of other words, too."""
NAMES_IN_PICKLES = ("formats/pickle/allowlist.py",)
"""Texts there are modules and classes that files of weights name: data of the format, whoever wrote them."""


def words_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every identifier and every text of a module that is no docstring, with its line."""
    docs = {id(it.value) for it in ast.walk(tree) if isinstance(it, ast.Expr) and isinstance(it.value, ast.Constant)}
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.Constant(value=str() as text) if id(node) not in docs:
                yield line, text
            case ast.Constant(value=bytes() as data):
                yield line, data.decode("latin-1")
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str() as name):
                yield line, name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.alias(name=name):
                yield line, name
            case ast.ImportFrom(module=str() as name):
                yield line, name


def find_names(text: str, names: tuple[str, ...]) -> Iterator[str]:
    """Which names are words of a text: ``TimmSaver``, ``read_timm`` and ``timm.pth`` hold one, ``optimm`` none."""
    lower = text.lower()
    held = [name for name in names if name in lower]
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text).lower() if held else ""
    for name in held:
        if len(name) >= UNLIKELY or re.search(rf"(?<![a-z]){re.escape(name)}(?![a-z])", parted):
            yield name


def found_in(path: str, source: str, names: tuple[str, ...]) -> list[str]:
    """Every name in a module, as file:line, less those that it may have."""
    allowed = {name for name, homes in FORMATS.items() if any(fnmatchcase(path, home) for home in homes)}
    said = [(0, path), *words_of(ast.parse(source))]
    return [f"{path}:{line}: {name}" for line, text in said for name in find_names(text, names) if name not in allowed]


ENGINE = [
    it
    for it in sorted(it.relative_to(PACKAGE).as_posix() for it in PACKAGE.rglob("*.py"))
    if not any(fnmatchcase(it, home) for home in (*HOMES, *NAMES_IN_PICKLES))
]


def test_no_framework_is_named_outside_its_rows() -> None:
    held = [hit for path in ENGINE for hit in found_in(path, (PACKAGE / path).read_text(), tuple(FRAMEWORKS))]
    assert held == []


def test_no_file_of_one_framework_is_named_by_what_reads_runs() -> None:
    readers = [path for path in ENGINE if path.startswith(("scan/", "core/", "readers/"))]
    assert [hit for path in readers for hit in found_in(path, (PACKAGE / path).read_text(), HABITS)] == []


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import ckptctl.scan.metrics.lightning", "lightning"),
        ("def read_keras(): ...", "keras"),
        ("class NemoReader: ...", "nemo"),
        ("x = 'a megatron-lm run'", "megatron"),
        ("x = b'pytorch-lightning_version'", "lightning"),
        ("x = f'{y} of timm'", "timm"),
        ("f(transformers=1)", "transformers"),
        ("x.MyModelCheckpoint()", "modelcheckpoint"),
        ("if x == 'ray': ...", "ray"),
    ],
)
def test_a_name_is_found(source: str, name: str) -> None:
    assert found_in("scan/x.py", source, tuple(FRAMEWORKS)) == [f"scan/x.py:1: {name}"]


@pytest.mark.parametrize(
    "source", ["'''Lightning does so.'''", "x = array", "x = 'stray'", "# keras", "x: int\n'''As timm does.'''"]
)
def test_what_is_no_name_is_not(source: str) -> None:
    assert found_in("scan/x.py", source, tuple(FRAMEWORKS)) == []


def test_each_exception_is_needed() -> None:
    texts = {it.relative_to(PACKAGE).as_posix(): it.read_text() for it in PACKAGE.rglob("*.py")}
    for name, homes in FORMATS.items():
        for home in homes:
            trees = [ast.parse(text) for path, text in texts.items() if fnmatchcase(path, home)]
            assert any(name in find_names(word, (name,)) for tree in trees for _, word in words_of(tree)), (name, home)

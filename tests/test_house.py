"""The rules of the house, kept by machine."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pytest

import ckptctl

ROOT = Path(__file__).resolve().parent.parent
CODE = ROOT / "ckptctl"
MODULES = sorted(CODE.rglob("*.py"))
TESTS_ALONE = {"laws", "recognition", "faults", "frameworks", "golden", "fixtures"}
"""Folders of tests that mirror no folder of the code: laws, faults and real training cross all of it."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


# The layers


BREACHES = [
    pytest.param("core/units.py", "import os", "core", id="core reaches for the world"),
    pytest.param("core/units.py", "import ckptctl.layouts", "layers", id="core imports a layer above"),
    pytest.param("errors.py", "import ckptctl.core.units", "layers", id="errors import the core"),
    pytest.param("layouts/__init__.py", "import ckptctl.stores", "layers", id="a layer imports its neighbour"),
    pytest.param("stores/__init__.py", "import ckptctl.scan.runs", "layers", id="a store imports the scan"),
    pytest.param("scan/runs.py", "import ckptctl.prune.best_last_links", "layers", id="the doors import each other"),
    pytest.param("prune/apply.py", "import ckptctl.cli", "layers", id="what deletes imports the command line"),
    pytest.param("novelty.py", "", "layers", id="a new module has no layer"),
    pytest.param("core/units.py", "import ckptctl.core.ranking", "core-layers", id="a value imports a decision"),
    pytest.param(
        "core/names/tokens.py", "import ckptctl.core.names.parse", "names-layers", id="a part, the whole name"
    ),
    pytest.param(
        "core/retention/policy.py", "import ckptctl.core.retention.plan", "retention-layers", id="a policy, plans"
    ),
    pytest.param("core/series/slots.py", "import ckptctl.core.series.parts", "series-layers", id="a slot, its parts"),
    pytest.param("render/text.py", "import ckptctl.render.columns", "render-layers", id="text imports columns"),
    pytest.param("scan/grouping.py", "import ckptctl.scan.runs", "scan-layers", id="grouping imports runs"),
    pytest.param("scan/novelty.py", "", "scan-layers", id="a new module of a package has no layer"),
    pytest.param("prune/batches.py", "import ckptctl.prune.apply", "prune-layers", id="steps import what takes them"),
    pytest.param(
        "doctor/pointer_checks.py", "import ckptctl.doctor.run_checks", "doctor-layers", id="a check, the doctor"
    ),
    pytest.param("formats/zip.py", "import ckptctl.formats.torch", "formats-layers", id="an archive, what it holds"),
    pytest.param(
        "formats/pickle/vm.py", "import ckptctl.formats.pickle.reader", "pickle-layers", id="the vm, a reader"
    ),
    pytest.param(
        "scan/metrics/scores.py", "import ckptctl.scan.metrics.collect", "metrics-layers", id="a score, its collector"
    ),
    pytest.param("cli/_console.py", "import ckptctl.cli.ls", "cli-layers", id="what commands share, a command"),
    pytest.param("scan/runs.py", "import rich", "rich", id="rich away from home"),
    pytest.param("scan/runs.py", "import fsspec", "fsspec", id="fsspec away from home"),
    pytest.param("scan/runs.py", "import yaml", "yaml", id="yaml away from home"),
    pytest.param("formats/pickle/reader.py", "import torch", "frameworks", id="a framework to read its own files"),
    pytest.param("tensors/full_check.py", "import zlib_ng", "zlib-ng", id="zlib-ng away from home"),
    pytest.param("scan/runs.py", "import typer", "typer", id="Typer away from home"),
    pytest.param("cli/__init__.py", "import click", "typer", id="the other click"),
]


def lint_imports(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the contracts over the package in a folder."""
    command = [os.path.join(sysconfig.get_path("scripts"), "lint-imports"), "--no-logo", "--no-cache", *words]
    env = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with its contracts, to break and to mend again."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(CODE, folder / "ckptctl", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.fixture
def breach(copy: Path, module: str, line: str) -> Iterator[Path]:
    """The copy with one line more in a module."""
    path = copy / "ckptctl" / module
    before = path.read_bytes() if path.exists() else None
    path.write_text((path.read_text() if before is not None else "") + f"\n{line}\n")
    yield copy
    if before is None:
        path.unlink()
    else:
        path.write_bytes(before)


def test_every_layer_is_kept() -> None:
    ran = lint_imports(ROOT)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("module", "line", "contract"), BREACHES)
def test_a_contract_fails_when_it_is_broken(breach: Path, contract: str) -> None:
    ran = lint_imports(breach, "--contract", contract)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "0 kept, 1 broken" in ran.stdout


def test_each_contract_is_shown_to_fail() -> None:
    declared = re.findall(r'(?m)^id = "(.+)"$', (ROOT / "pyproject.toml").read_text())
    assert {case.values[2] for case in BREACHES} == set(declared)


VALUES_ONLY = {
    *("__future__", "bisect", "collections", "collections.abc", "dataclasses", "datetime", "enum", "fnmatch"),
    *("fractions", "functools", "heapq", "itertools", "math", "operator", "posixpath", "re", "typing", "unicodedata"),
    *("ckptctl.errors",),
}
"""What the core may import beside itself: values and functions of values."""


def imports_of(path: Path) -> Iterator[str]:
    """The modules that a module names in its imports."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


@pytest.mark.parametrize("path", sorted((CODE / "core").rglob("*.py")), ids=name_of)
def test_the_core_imports_values_only(path: Path) -> None:
    foreign = {name for name in imports_of(path) if not name.startswith("ckptctl.core")}
    assert foreign <= VALUES_ONLY


# Start-up


HEAVY = {
    *("torch", "numpy", "fsspec", "yaml", "rich", "pydantic", "asyncio", "dataclasses", "importlib.metadata"),
    *("logging", "csv", "zipfile", "pickle", "multiprocessing", "concurrent.futures", "socket", "ssl", "email"),
}
"""Modules that a plain listing has no use for; each costs more than the listing itself."""


def modules_after(code: str, *words: str, cwd: Path) -> set[str]:
    """The modules in a fresh Python once it ran some code, which may exit."""
    told = "import atexit, sys; atexit.register(lambda: print(*sys.modules, sep='\\n', file=sys.stderr))"
    env = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "HOME": str(cwd)}
    command = [sys.executable, "-c", f"{told}\n{code}", *words]
    ran = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=True)
    return set(ran.stderr.split())


def modules_of_program(*words: str, cwd: Path) -> set[str]:
    """The modules in a fresh Python once the program ran."""
    code = "from ckptctl.__main__ import main; sys.argv[0] = 'ckptctl'; sys.exit(main())"
    return modules_after(code, *words, cwd=cwd)


def test_a_listing_loads_no_heavy_module(tmp_path: Path) -> None:
    for epoch in range(10):
        (tmp_path / f"epoch={epoch}-step={epoch * 100}-val_loss=0.{epoch}.ckpt").write_bytes(b"nothing")
    unavoidable = modules_after("import typer", cwd=tmp_path)
    assert (modules_of_program("ls", cwd=tmp_path) & HEAVY) - unavoidable == set()


def test_the_version_is_told_without_typer(tmp_path: Path) -> None:
    modules = modules_of_program("--version", cwd=tmp_path)
    assert "ckptctl.__main__" in modules
    assert modules & {"typer", "ckptctl.cli"} == set()


def test_a_listing_without_options_is_told_without_typer(tmp_path: Path) -> None:
    (tmp_path / "epoch=1-val_loss=0.5.ckpt").write_bytes(b"")
    modules = modules_of_program("ls", ".", cwd=tmp_path)
    assert "ckptctl.cli._list_runs" in modules
    assert "typer" not in modules


# Sizes


class Function(NamedTuple):
    """A function with what the house limits."""

    name: str
    lines: int
    """Of the body that hold code: no docstring, comment or blank line."""
    depth: int
    """Of blocks within blocks."""
    excused: bool
    """Whether its first line says ``# nested:`` and why."""


BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match)


def functions_of(path: Path) -> Iterator[Function]:
    """The functions of a module, those within others and classes too."""
    source = path.read_text(encoding="utf-8").splitlines()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef):
            head = "\n".join(source[node.lineno - 1 : node.body[0].lineno])
            excused = re.search(r"# nested: \w+", head) is not None
            yield Function(
                f"{name_of(path)}:{node.lineno} {node.name}", count_lines(node, source), depth(node), excused
            )


def count_lines(function: ast.FunctionDef, source: list[str]) -> int:
    """The lines of a body that hold code, a nested function's among them."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    if not body:
        return 0
    lines = source[body[0].lineno - 1 : function.end_lineno]
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in lines)


def depth(node: ast.AST) -> int:
    """The deepest block under a node; an elif lies as deep as its if, a function inside begins anew."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            continue
        is_elif = isinstance(node, ast.If) and node.orelse == [child] and isinstance(child, ast.If)
        deepest = max(deepest, depth(child) + (isinstance(child, BLOCKS) and not is_elif))
    return deepest


@cache
def all_functions() -> tuple[Function, ...]:
    """Those of the whole package."""
    return tuple(function for path in MODULES for function in functions_of(path))


def test_functions_are_small_and_even() -> None:
    lines = sorted(function.lines for function in all_functions())
    assert [function for function in all_functions() if function.lines > 40] == []
    assert median(lines) <= 7
    assert lines[len(lines) * 9 // 10] <= 20


def test_nesting_ends_at_two_unless_a_function_says_why() -> None:
    deep = [function for function in all_functions() if function.depth > 2]
    assert [function for function in deep if not function.excused] == []
    assert len(deep) <= len(all_functions()) / 50, "exceptions are few"


@pytest.mark.parametrize(
    ("source", "deepest"),
    [
        pytest.param("def f():\n for x in y:\n  if x: pass", 2, id="blocks in blocks"),
        pytest.param("def f():\n if x: pass\n elif y: pass\n elif z: pass", 1, id="elif is no block of its own"),
        pytest.param("def f():\n if x: pass\n else:\n  for y in z: pass", 2, id="else is"),
        pytest.param("def f():\n with x:\n  try: pass\n  except E:\n   while y: pass", 3, id="handlers count"),
        pytest.param("def f():\n if x:\n  def g():\n   if y: pass", 1, id="a function inside begins anew"),
    ],
)
def test_depth_counts_blocks_within_blocks(source: str, deepest: int) -> None:
    assert depth(ast.parse(source).body[0]) == deepest


def test_modules_stop_at_450_lines() -> None:
    assert [name_of(path) for path in MODULES if len(path.read_text(encoding="utf-8").splitlines()) > 450] == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc", "lib"}
    assert [name_of(path) for path in CODE.rglob("*") if path.stem in vague] == []


TOP = {"__init__", "__main__", "api", "errors", "config", "best"}
"""What may lie beside the folders."""


def test_nothing_else_lies_at_the_top() -> None:
    assert {path.stem for path in CODE.glob("*.py")} <= TOP


def test_each_public_class_has_a_name_of_its_own() -> None:
    places: dict[str, list[str]] = {}
    for path in MODULES:
        for node in tree_of(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(name_of(path))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


# What deletes


DELETES = {
    *("unlink", "remove", "rmdir", "removedirs", "rmtree", "rm", "rm_file", "_rm", "delete", "delete_object"),
    *("delete_objects", "move", "mv", "truncate", "ftruncate"),
}
MOVES = {"os.replace", "os.rename", "os.renames"}
MAY_MOVE = {("ckptctl/cli/_console.py", "write_whole")}
"""Outside of the stores: the file that a person names for a summary."""
STORES = re.compile(r"ckptctl/stores/[\w/]+\.py")


@cache
def mentions_of(path: Path) -> tuple[tuple[str, str], ...]:
    """Every attribute and import of a module, called or not, as (outermost function or method, dotted name)."""
    return tuple(find_mentions(path))


def find_mentions(path: Path) -> Iterator[tuple[str, str]]:
    """As `mentions_of`, one by one."""
    for name, function in outer_functions(tree_of(path)):
        for node in ast.walk(function):
            if isinstance(node, ast.ImportFrom):
                yield from ((name, f"{node.module}.{alias.name}") for alias in node.names)
            elif isinstance(node, ast.Attribute):
                yield name, ast.unparse(node)


def outer_functions(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """The functions and methods of a module by name, and what stands outside of them under no name."""
    for statement in tree.body:
        members = statement.body if isinstance(statement, ast.ClassDef) else [statement]
        for node in members:
            yield (node.name if isinstance(node, ast.FunctionDef) else ""), node


def test_only_delete_exact_deletes_and_only_in_a_store() -> None:
    found = [(name_of(path), *said) for path in MODULES for said in mentions_of(path) if deletes(said[1])]
    stray = [said for said in found if not STORES.fullmatch(said[0]) or said[1] != "delete_exact"]
    assert found
    assert stray == []


def test_only_stores_rename() -> None:
    found = {(name_of(path), *said) for path in MODULES for said in mentions_of(path) if said[1] in MOVES}
    assert {said[:2] for said in found if not STORES.fullmatch(said[0])} <= MAY_MOVE
    assert found


def deletes(name: str) -> bool:
    """Whether a dotted name is of something that deletes or empties."""
    return name.rpartition(".")[2] in DELETES


@pytest.mark.parametrize(
    ("source", "found"),
    [
        pytest.param("def f():\n os.unlink(x)", [("f", "os.unlink")], id="in a function"),
        pytest.param("class A:\n def f(self):\n  self.fs.rm(x)", [("f", "self.fs.rm")], id="in a method"),
        pytest.param("def f():\n def g(): shutil.rmtree(x)", [("f", "shutil.rmtree")], id="in a function inside"),
        pytest.param("Path(x).unlink()", [("", "Path(x).unlink")], id="outside of any"),
        pytest.param("def f():\n each(x, os.rmdir)", [("f", "os.rmdir")], id="handed on"),
        pytest.param("from os import unlink as u", [("", "os.unlink")], id="under another name"),
    ],
)
def test_what_deletes_is_found_wherever_it_hides(tmp_path: Path, source: str, found: list[tuple[str, str]]) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    assert [said for said in mentions_of(path) if deletes(said[1])] == found


# Words are for people


WORDS = {"note", "doubt", "lacks", "notice", "text", "why"}
"""What holds a note, or its text."""
LOOKS_INTO = {"startswith", "endswith", "removesuffix", "removeprefix", "partition", "rpartition", "split"}
SEARCHES = {"match", "fullmatch", "search", "findall", "finditer", "sub"}


def holds_words(node: ast.AST) -> bool:
    """Whether an expression is a note, or the text of one: also where something stands in for a missing one."""
    if isinstance(node, ast.BoolOp):
        return any(map(holds_words, node.values))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in {"str", "repr", "describe_note"} and any(map(holds_words, node.args))
    if isinstance(node, ast.Name):
        return node.id in WORDS - {"text"}  # a text of that name is mostly a file's
    return isinstance(node, ast.Attribute) and node.attr in WORDS


def is_sentence(node: ast.AST) -> bool:
    """Whether an expression is a literal text or a constant, or holds one."""
    literals = (it.value for it in ast.walk(node) if isinstance(it, ast.Constant))
    names = (it.id for it in ast.walk(node) if isinstance(it, ast.Name))
    return any(isinstance(it, str) and it for it in literals) or any(map(str.isupper, names))


def matches_words(tree: ast.AST) -> Iterator[str]:
    """Every expression that asks what a note or a text says, in place of the note's id."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            is_match = any(map(holds_words, sides)) and any(is_sentence(it) for it in sides if not holds_words(it))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name, held = node.func.attr, node.func.value
            is_match = (name in LOOKS_INTO and holds_words(held)) or (
                name in SEARCHES and any(map(holds_words, node.args))
            )
        else:
            is_match = False
        if is_match:
            yield ast.unparse(node)


def test_nothing_decides_by_the_words_of_a_note() -> None:
    shown = (CODE / "render", CODE / "cli")
    below = [path for path in MODULES if not any(path.is_relative_to(folder) for folder in shown)]
    found = [(name_of(path), said) for path in below for said in matches_words(tree_of(path))]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("error.text == 'empty file'", id="a comparison"),
        pytest.param("error.text in ('empty file', 'cut short')", id="one of several"),
        pytest.param("'missing' in (it.note or '')", id="a part of it"),
        pytest.param("error.text.startswith('cut short')", id="its beginning"),
        pytest.param("(it.note or '').removesuffix(': choose one')", id="its end"),
        pytest.param("re.fullmatch('.* is missing', it.note or '')", id="a pattern"),
        pytest.param("_MARKED.search(str(it.doubt))", id="a pattern that was compiled"),
        pytest.param("error.text == CUT_SHORT", id="a constant"),
        pytest.param("why.startswith('cut short')", id="a variable"),
    ],
)
def test_a_match_on_words_is_found(source: str) -> None:
    assert list(matches_words(ast.parse(source))) == [ast.unparse(ast.parse(source))]


@pytest.mark.parametrize("source", ["it.note.id == 'missing-file'", "it.note is None", "it.text in gone"])
def test_asking_for_an_id_is_no_match_on_words(source: str) -> None:
    assert list(matches_words(ast.parse(source))) == []


# The front door


def test_the_public_names_are_sorted_importable_and_documented() -> None:
    names = [name for name in ckptctl.__all__ if name != "__version__"]
    assert names == sorted(names)
    undocumented = [name for name in names if callable(it := getattr(ckptctl, name)) and not (it.__doc__ or "").strip()]
    assert undocumented == []


def test_the_front_door_holds_nothing_but_the_list() -> None:
    public = {name for name in vars(ckptctl) if not name.startswith("_") and not is_module(name)}
    assert public - {"annotations", "import_module"} <= set(ckptctl.__all__)


def is_module(name: str) -> bool:
    """Whether a name of the package is a module that was imported below it."""
    return f"ckptctl.{name}" in sys.modules


def test_the_tests_mirror_the_code() -> None:
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    mirrored = {path.name for path in CODE.iterdir() if path.is_dir()}
    assert folders - TESTS_ALONE <= mirrored


# What is written about it


def files_of_the_project() -> list[Path]:
    """What git holds or would hold; all that is not hidden where there is no git."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    ran = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=False)
    if ran.returncode == 0:
        return [ROOT / name for name in ran.stdout.split("\0") if name and (ROOT / name).is_file()]
    left = re.compile(r"(^|/)(\.(?!ci/|gitignore)|__pycache__/)")
    return [path for path in ROOT.rglob("*") if path.is_file() and not left.search(name_of(path))]


def test_nothing_names_a_place_of_one_machine() -> None:
    places = re.compile(rb"(?<![\w.-])/(work|farm|root)/|\.\./shared\b|shared/(design|fixtures)")
    written = [path for path in files_of_the_project() if path != Path(__file__) and "fixtures" not in path.parts]
    assert [name_of(path) for path in written if places.search(path.read_bytes())] == []


def test_the_changelog_tells_of_this_version() -> None:
    text = (ROOT / "docs" / "changelog.md").read_text(encoding="utf-8")
    assert re.search(rf"(?m)^## .*\b{re.escape(ckptctl.__version__)}\b", text)


def test_one_line_sets_up_and_checks_wherever_it_is_written() -> None:
    line = re.search(r'SETUP = "(.+)"', (ROOT / "check").read_text())
    assert line is not None
    places = [".ci/run", "CONTRIBUTING.md", "README.md"]
    assert [place for place in places if line[1] not in (ROOT / place).read_text(encoding="utf-8")] == []


def test_the_readme_names_every_command() -> None:
    commands = re.findall(r"(?m)^## (ckptctl \w+)$", (ROOT / "docs" / "reference.md").read_text(encoding="utf-8"))
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert commands
    assert [command for command in commands if command not in text] == []


def test_every_marker_is_explained_and_every_need_has_one() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "--markers"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    needs = {"lightning", "keras", "s3", "root", "tty", "strace", "mount", "slow"}
    explained = set(re.findall(r"(?m)^@pytest\.mark\.(\w+): \w", ran.stdout))
    assert needs <= explained


@pytest.mark.parametrize(
    ("words", "code"),
    [(["--help"], 0), (["quik"], 2), (["quick", "pytest"], 2)],
    ids=["asked", "misspelt", "two words"],
)
def test_check_tells_how_it_is_used(words: list[str], code: int) -> None:
    ran = subprocess.run([sys.executable, str(ROOT / "check"), *words], capture_output=True, text=True, check=False)
    assert ran.returncode == code
    assert "./check quick" in (ran.stderr if code else ran.stdout)


def test_check_names_what_a_python_lacks_and_how_to_set_up(tmp_path: Path) -> None:
    bare = [sys.executable, "-I", "-S", str(ROOT / "check")]
    ran = subprocess.run(bare, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert re.search(r"lacks .*pytest.*\. Set up with:\s+python3 -m venv \.venv && ", ran.stderr)


def test_the_licence_is_the_one_that_is_declared() -> None:
    assert "Apache License\n                           Version 2.0" in (ROOT / "LICENSE").read_text()


INTERRUPTED = """
import signal, subprocess, sys
from tests.conftest import let_children_be_interrupted
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
let_children_be_interrupted()
told = "import signal; print(*(signal.getsignal(it) is signal.SIG_IGN for it in (2, 15, 1)))"
subprocess.run([sys.executable, "-c", told], check=True)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.raise_signal(number)
print("alive")
"""


def test_what_the_tests_start_is_interrupted_though_a_shell_has_them_ignore_it() -> None:
    """As it does with ``check &`` and nohup."""
    ran = subprocess.run([sys.executable, "-c", INTERRUPTED], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False", "False", "alive"]

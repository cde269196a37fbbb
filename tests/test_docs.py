"""The documents hold what they say: their examples run, and nothing that they should name is missing."""

from __future__ import annotations

import doctest
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ckptctl import layouts as table
from ckptctl.layouts import LAYOUTS
from ckptctl.layouts.schema import Layout
from tests.cli import schema
from tests.frameworks.environments import ENVIRONMENTS
from tests.layouts import test_layouts, test_trees
from tests.layouts.tree import Tree

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.glob("*.md")])
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


# Links


def slug(heading: str) -> str:
    """What a heading's link is called."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def dead_links(page: Path, text: str) -> list[str]:
    """The links of a page that lead to no file, or to no heading."""
    dead = []
    for found in LINK.finditer(text):
        target = (page.parent / found[1]).resolve() if found[1] else page
        headings = re.findall(r"(?m)^#+ (.*)$", text_of(target)) if target.suffix == ".md" and target.exists() else []
        if not target.exists() or (found[2] and found[2] not in map(slug, headings)):
            dead.append(found[0])
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert dead_links(page, text_of(page)) == []


def test_a_dead_link_is_found() -> None:
    page = DOCS / "how-to.md"
    text = "[a](nowhere.md) [b](../README.md#no-such-heading) [c](#use-it-in-scripts) [d](design.md#glossary)"
    assert dead_links(page, text) == ["](nowhere.md)", "](../README.md#no-such-heading)"]


# The glossary


def test_the_glossary_is_short_and_each_word_has_one_meaning() -> None:
    section = text_of(DOCS / "design.md").partition("## Glossary")[2].partition("\n## ")[0]
    words = re.findall(r"(?m)^\| \*\*(.+?)\*\* \|", section)
    assert words
    assert len(words) <= 35
    assert len(words) == len(set(words))
    assert section.count("\n| **") == len(words)


# Frameworks


def plain(text: str) -> str:
    """A text without what names are spelt with or without."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def test_the_readme_names_every_framework() -> None:
    readme = plain(text_of(ROOT / "README.md"))
    families = {it.family if it.family != "stable" else it.name for it in LAYOUTS} - {"generic", "savedmodel"}
    assert sorted(it for it in families if plain(it) not in readme) == []


@pytest.fixture
def generator(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module that writes the page on layouts."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(DOCS / "generate"))
    yield import_module("layouts")
    for name in set(sys.modules) - before:
        if "." not in name:
            del sys.modules[name]


def test_the_page_on_layouts_has_each_row_with_all_that_it_says(generator: ModuleType) -> None:
    page = generator.write()
    assert [it.name for it in LAYOUTS if f"`{it.name}`" not in page and f"`{it.family}`" not in page] == []
    assert [name for it in LAYOUTS for name in it.examples[:5] if f"`{name}`" not in page] == []
    assert [it.path for row in LAYOUTS for it in row.pointers if f"`{it.path}`" not in page] == []
    assert [it.path for row in LAYOUTS for it in row.sources if it.path and f"`{it.path}`" not in page] == []


def test_the_page_on_layouts_tells_rows_apart_only_where_they_differ(generator: ModuleType) -> None:
    section = generator.write().partition("\n## Hugging Face transformers' Trainer\n")[2].partition("\n## ")[0]
    assert "- **A checkpoint**: a folder such as `checkpoint-500` or `checkpoint-1000000`.\n" in section
    assert "  - `transformers`: by its name and `trainer_state.json` in it." in section
    assert (
        "- **Metrics**: `trainer_state.json` in it (at `log_history`, by the step in `step`): `eval_*` but " in section
    )
    assert "at `best_model_checkpoint`: it stays." in section


def test_the_phrases_of_the_generator_are_as_they_say(generator: ModuleType) -> None:
    tried = doctest.testmod(import_module("phrases"))
    assert tried.attempted >= 7
    assert tried.failed == 0


# A framework of one's own


def blocks_of(page: Path, language: str) -> list[str]:
    """The blocks of a page in one language."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", text_of(page))


@pytest.fixture
def orchard(monkeypatch: pytest.MonkeyPatch) -> tuple[Layout, tuple[Tree, ...]]:
    """The row and the trees of the page on adding a framework, the row in the table."""
    held: dict[str, Any] = {}
    for block in blocks_of(DOCS / "add-a-framework.md", "python"):
        exec(compile(block, "add-a-framework.md", "exec"), held)  # noqa: S102 - our own page
    monkeypatch.setattr(table, "LAYOUTS", (*held["LAYOUTS"], *LAYOUTS))
    return held["LAYOUTS"][0], held["TREES"]


def test_the_made_up_framework_passes_what_every_framework_must(
    orchard: tuple[Layout, tuple[Tree, ...]], tmp_path: Path
) -> None:
    row, trees = orchard
    for name in row.examples:
        test_layouts.test_an_example_is_one_complete_checkpoint_of_its_layout(row, name)
    for number, tree in enumerate(trees):
        sight = test_trees.see(tree, tmp_path / f"{number}")
        test_trees.test_each_checkpoint_is_found_with_its_numbers_metrics_and_state(tree, sight)
        test_trees.test_every_name_that_stands_for_a_checkpoint_is_known(tree, sight)
        test_trees.test_nothing_is_taken_for_a_stray_but_what_is_one(tree, sight)
        for count in ("2", "1"):
            pruned = test_trees.prune_twice(tree, tmp_path / f"{number}-{count}", ("--keep-last", count))
            test_trees.test_a_checkpoint_goes_whole_or_not_at_all_and_nothing_else_does(tree, pruned)
            if number == 0 and count == "1":
                test_trees.test_of_three_complete_checkpoints_some_can_go(tree, pruned)


def test_without_its_row_the_made_up_framework_is_nobodys(
    orchard: tuple[Layout, tuple[Tree, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the test above could not fail."""
    monkeypatch.setattr(table, "LAYOUTS", LAYOUTS)
    test_trees.plant(orchard[1][0], tmp_path)
    found = test_trees.look(tmp_path).checkpoints.values()
    assert {it.layout for it in found} <= {"generic", "generic-folder"}
    assert not any(it.metrics for it in found)


def test_the_page_on_adding_a_framework_asks_for_every_field_that_its_row_has() -> None:
    row, page = blocks_of(DOCS / "add-a-framework.md", "python")[0], text_of(DOCS / "add-a-framework.md")
    used = set(re.findall(r"(?m)^        (\w+)=", row)) - {"name", "slimming"}
    assert used
    assert sorted(it for it in used if f"`{it}`" not in page) == []


# JSON


def keys_of(shape: object) -> set[str]:
    """Every key of a schema, those inside too."""
    if isinstance(shape, dict):
        return {key.rstrip("?") for key in shape if key != "*"}.union(*map(keys_of, shape.values()))
    if isinstance(shape, (list, tuple)):
        return set[str]().union(*map(keys_of, shape))
    return set()


def words_of(shape: object) -> set[str]:
    """Every value that a schema allows by name."""
    if isinstance(shape, dict):
        return set[str]().union(*map(words_of, shape.values()))
    if isinstance(shape, (list, tuple)):
        return set[str]().union(*map(words_of, shape))
    return {it for it in shape if isinstance(it, str)} if isinstance(shape, set) else set()


SHAPES = {name: value for name, value in vars(schema).items() if name.isupper() and isinstance(value, dict)}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_page_on_json_names_every_field_and_word_of_the_contract(shape: object) -> None:
    page = text_of(DOCS / "json.md")
    told = {word for code in re.findall(r"`([^`\n]+)`", page) for word in re.findall(r"[-\w]+", code)}
    assert sorted((keys_of(shape) | words_of(shape)) - told) == []


# How to work on it


def test_the_words_of_the_quick_selection_are_those_of_the_check() -> None:
    words = re.search(r'(?m)^QUICK = "(.+)"$', text_of(ROOT / "check"))
    assert words is not None
    assert f'`pytest -m "{words[1]}"`' in text_of(ROOT / "CONTRIBUTING.md")


def test_every_environment_of_the_frameworks_is_told_with_what_it_holds() -> None:
    told = dict(re.findall(r"(?m)^\| `(\w+)` \| (.*) \|$", text_of(ROOT / "CONTRIBUTING.md")))
    assert told.keys() == ENVIRONMENTS.keys()
    held = {name: {plain(it.partition("==")[0]) for it in made.text.split()} for name, made in ENVIRONMENTS.items()}
    known = {"numpy", "scipy", "narwhals"}
    assert {
        package
        for name, packages in held.items()
        for package in packages - known
        if called(package) not in plain(told[name])
    } == set()


def called(package: str) -> str:
    """What people call a package."""
    return re.sub(r"^pytorch|cpu$|checkpoint$", "", package)

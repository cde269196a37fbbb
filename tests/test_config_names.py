"""What configuration files say of file names: listings take it, and nothing goes by it but by a named policy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import ckptctl
from ckptctl.config import Settings, find_names, find_settings
from ckptctl.errors import UsageError
from tests.cli.calls import call
from tests.scan.test_loose_files import STATE, put

SAYS = {"template": 'template = "model_{epoch}"\n', "include": 'include = ["model_*.pt"]\n'}
BARE = {f"model_{n}.pt": STATE for n in (1, 2, 3)}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return put(tmp_path / "runs" / "a", BARE).parent


def names(runs: Path) -> set[str]:
    return {it.name for it in (runs / "a").iterdir()}


def test_listings_read_names_as_a_found_file_says(runs: Path) -> None:
    (runs / "ckptctl.toml").write_text(SAYS["template"])
    (run,) = call("ls", runs, "--json").json["runs"]
    assert [it["epoch"] for it in run["checkpoints"]] == [1, 2, 3]
    assert call("ls", runs / "a", "--filter", "epoch>=3", "-q").lines == [f"{runs}/a/model_3.pt"]
    assert call("last", runs, "--filter", "epoch<3").lines == [f"{runs}/a/model_2.pt"]
    (found,) = ckptctl.scan(it for it in [runs])
    assert [it.epoch for it in found.checkpoints] == [1, 2, 3]


def test_a_found_include_opens_a_listing(runs: Path) -> None:
    put(runs / "b", {"x.pkl": b"\x80\x04N."})
    assert call("ls", runs / "b").code == 4
    (runs / "pyproject.toml").write_text("[tool.ckptctl]\ninclude = '*.pkl'\n")
    assert call("ls", runs / "b", "-q").lines == [f"{runs}/b/x.pkl"]


def test_what_is_typed_wins_and_globs_add_up(runs: Path) -> None:
    (runs / "ckptctl.toml").write_text(SAYS["template"])
    answer = call("ls", runs, "--template", "model_{step}", "--json")
    assert [it["step"] for it in answer.json["runs"][0]["checkpoints"]] == [1, 2, 3]


@pytest.mark.parametrize("key", SAYS)
@pytest.mark.parametrize("place", ["ckptctl.toml", "pyproject.toml", "above"])
def test_nothing_goes_by_what_a_found_file_says_of_names(runs: Path, key: str, place: str) -> None:
    folder = runs if place != "above" else runs.parent
    head = "[tool.ckptctl]\n" if place == "pyproject.toml" else ""
    file = folder / (place if place != "above" else "ckptctl.toml")
    file.write_text(head + SAYS[key])
    answer = call("prune", runs, "--keep-last", "1", "--yes")
    assert names(runs) == BARE.keys()
    told = f"'{key}' outside of a policy counts for listings alone: pass --{key}, or put it below [policy.NAME]"
    assert f"warning: {file}:{1 + bool(head)}: {told} and pass --policy NAME\n" in answer.err
    plan = ckptctl.plan_prune(runs, keep_last=1)
    assert plan.drops == []


@pytest.mark.parametrize("key", SAYS)
def test_a_policy_that_is_named_says_which_names_are_checkpoints(runs: Path, key: str) -> None:
    (runs / "ckptctl.toml").write_text(f"[policy.nightly]\nkeep-last = 1\n{SAYS[key]}")
    call("prune", runs, "--keep-last", "1", "--yes")
    assert names(runs) == BARE.keys()
    drops = ckptctl.plan_prune(runs, policy="nightly").drops
    assert [Path(it.path).name for it in drops] == ["model_1.pt", "model_2.pt"]
    assert call("explain", runs / "a" / "model_1.pt", "--policy", "nightly", "--json").json["action"] == "drop"
    answer = call("prune", runs, "--policy", "nightly", "--yes")
    assert (names(runs), "listings" in answer.err) == ({"model_3.pt"}, False)


def test_a_policy_in_a_file_of_its_own_says_it_too(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "strict.toml").write_text(f"keep-last = 1\n{SAYS['template']}")
    call("prune", runs, "--policy", str(tmp_path / "strict.toml"), "--yes")
    assert names(runs) == {"model_3.pt"}


def test_a_plan_file_keeps_what_the_policy_said(runs: Path, tmp_path: Path) -> None:
    (runs / "ckptctl.toml").write_text(f"[policy.nightly]\nkeep-last = 1\n{SAYS['template']}")
    plan = tmp_path / "plan.json"
    call("prune", runs, "--policy", "nightly", "--plan-out", plan)
    call("apply", plan, "--yes")
    assert names(runs) == {"model_3.pt"}


def test_a_typed_template_takes_the_place_of_the_policys(runs: Path) -> None:
    (runs / "ckptctl.toml").write_text('[policy.nightly]\nkeep-last = 1\ntemplate = "net_{epoch}"\n')
    call("prune", runs, "--policy", "nightly", "--template", "model_{epoch}", "--yes")
    assert names(runs) == {"model_3.pt"}


def test_what_is_typed_is_not_warned_of(runs: Path) -> None:
    (runs / "ckptctl.toml").write_text(SAYS["template"] + SAYS["include"])
    err = call("prune", runs, "--keep-last", "1", "-n", "--template", "model_{epoch}").err
    assert ("'template'" in err, "'include'" in err) == (False, True)


def test_config_shows_what_is_said_of_names_and_where(runs: Path) -> None:
    (runs / "ckptctl.toml").write_text(SAYS["template"] + SAYS["include"])
    lines = call("config", runs).lines
    assert f"template\tmodel_{{epoch}}\t{runs}/ckptctl.toml:1" in lines
    assert f"include\tmodel_*.pt\t{runs}/ckptctl.toml:2" in lines


# Where it is found


def test_the_nearest_template_counts_and_all_globs_do(runs: Path) -> None:
    (runs / "ckptctl.toml").write_text('template = "near_{epoch}"\ninclude = "a*"\n')
    (runs.parent / "ckptctl.toml").write_text('template = "far_{epoch}"\ninclude = ["b*"]\n')
    found = find_names([str(runs)], {"HOME": str(runs.parent)})
    assert found == find_settings([str(runs)], {"HOME": str(runs.parent)}).names
    assert {key: it.value for key, it in found.items()} == {"template": "near_{epoch}", "include": ["a*", "b*"]}
    assert found["include"].origin == f"{runs}/ckptctl.toml:2, {runs.parent}/ckptctl.toml:2"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('template = "{epoch"', "'template': template '{epoch': '{' at 0 has no partner"),
        ('template = "model"', "'template': 'model' has no field"),
        ("template = 3", "'template': 3 is not a text in quotes"),
        ("include = true", "'include': True is not a list of texts"),
        ("include = [", "is not TOML: "),
    ],
)
def test_a_file_that_says_something_of_names_that_cannot_be_understood_is_refused(
    runs: Path, text: str, why: str
) -> None:
    (runs / "ckptctl.toml").write_text(text + "\n")
    with pytest.raises(UsageError) as raised:
        find_names([str(runs)], {"HOME": str(runs.parent)})
    assert raised.value.text.startswith(why)
    assert raised.value.path == f"{runs}/ckptctl.toml:1"


def test_listings_are_not_ended_by_a_file_that_says_nothing_of_names(runs: Path) -> None:
    (runs / "ckptctl.toml").write_text("keep = [\n")
    (runs / "pyproject.toml").mkdir()
    os.mkfifo(runs / "a" / "ckptctl.toml")
    assert find_names([str(runs)], {}) == {}
    assert call("ls", runs).code == 0


def test_where_nothing_is_said_of_names_nothing_is_found(runs: Path) -> None:
    (runs / "ckptctl.toml").write_text("[policy.a]\ntemplate = 'a{epoch}'\n")
    assert find_names([str(runs)], {}) == Settings().names


def test_a_template_that_is_typed_without_a_field_is_an_error(runs: Path) -> None:
    answer = call("ls", runs, "--template", "model")
    assert (answer.code, "template 'model' has no field: it says nothing" in answer.err) == (2, True)
    assert "fields: {epoch}, {step}, a metric such as {val_loss:.3f}" in answer.err

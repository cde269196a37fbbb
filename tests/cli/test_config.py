from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.calls import BEST, LAST, NAMES, Answer, call, checkpoints_in, make_run
from tests.cli.schema import CONFIG, misfits

NIGHTLY = '[policy.nightly]\ntop-k = 2\nmonitor = "val_loss"\nmode = "min"\n'


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [it for it in os.environ if it.startswith("CKPTCTL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nothing"))
    return make_run(tmp_path / "runs" / "a")


def configure(run: Path, text: str) -> Path:
    path = run.parent / "ckptctl.toml"
    path.write_text(text)
    return path


def dropped(answer: Answer) -> list[str]:
    assert answer.code == 0, answer.err
    return [Path(row["path"]).name for row in answer.rows if row["action"] == "drop"]


# What counts for a prune


def test_a_named_policy_counts_and_one_that_is_not_named_does_not(run: Path) -> None:
    configure(run, NIGHTLY)
    assert dropped(call("prune", run, "--policy", "nightly", "-n")) == [NAMES[0], NAMES[1]]
    assert call("prune", run, "-n").code == 2


def test_a_policy_of_a_file_counts_as_one_that_is_named(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "tight.toml"
    path.write_text("keep-last = 1\n")
    assert dropped(call("prune", run, "--policy", path, "-n")) == NAMES[:3]


def test_flags_win_over_the_policy_and_rules_add_up(run: Path) -> None:
    configure(run, NIGHTLY + 'keep = "epoch=0*"\n')
    assert dropped(call("prune", run, "--policy", "nightly", "--top-k", "1", "-n")) == [NAMES[1]]
    assert dropped(call("prune", run, "--policy", "nightly", "--keep", "epoch=1*", "-n")) == []
    assert dropped(call("prune", run, "--policy", "nightly", "--mode", "max", "--top-k", "1", "-n")) == [
        NAMES[1],
        BEST,
    ]


def test_a_policy_may_say_everything_that_flags_may(run: Path) -> None:
    configure(run, '[policy.p]\nkeep-last = 4\nmax-files = 2\nfilter = "step<300"\ngroup-by = "all"\n')
    assert dropped(call("prune", run, "--policy", "p", "-n")) == NAMES[:2]


def test_a_found_file_only_adds_protection(run: Path) -> None:
    configure(run, 'keep = ["epoch=0*"]\nmax-delete = 1\n')
    answer = call("prune", run, "--keep-last", "1", "--yes")
    assert (answer.code, checkpoints_in(run)) == (6, NAMES)
    assert "2 checkpoints would go, more than the 1 allowed" in answer.err
    assert dropped(call("prune", run, "--keep-last", "1", "--max-delete", "2", "--yes")) == [NAMES[1], BEST]
    assert checkpoints_in(run) == [NAMES[0], LAST]


def test_what_a_found_file_keeps_is_no_rule_without_which_all_else_might_go(run: Path) -> None:
    configure(run, 'keep = ["epoch=0*"]\n')
    answer = call("prune", run, "--yes")
    assert (answer.code, checkpoints_in(run)) == (2, NAMES)
    assert "no rule says what to keep" in answer.err


def test_a_minimum_age_may_come_from_the_environment(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CKPTCTL_MIN_AGE", "2h30m")
    assert dropped(call("prune", run, "--keep-last", "1", "-n")) == [NAMES[0]]
    assert dropped(call("prune", run, "--keep-last", "1", "--min-age", "auto", "-n")) == NAMES[:3]


@pytest.mark.parametrize(
    ("text", "words", "why"),
    [
        pytest.param(NIGHTLY, ["--policy", "nightli"], "did you mean 'nightly'?", id="mistyped"),
        pytest.param(NIGHTLY, ["--policy", "xyz"], "there are nightly; a policy is a table [policy.xyz]", id="unknown"),
        pytest.param("", ["--policy", "xyz"], "no file has any; a policy is a table [policy.xyz]", id="none"),
        pytest.param("", ["--policy", "./xyz.toml"], "there is no such policy file", id="no file"),
        pytest.param("stric = true", ["--keep-last", "1"], "ckptctl.toml:1: 'stric' is no setting", id="unknown key"),
    ],
)
def test_a_policy_or_file_that_cannot_be_understood_deletes_nothing(
    run: Path, text: str, words: list[str], why: str
) -> None:
    configure(run, text)
    answer = call("prune", run, *words, "--yes")
    assert (answer.code, checkpoints_in(run)) == (2, NAMES)
    assert why in answer.err


# What is shown


def test_config_shows_each_value_and_where_it_came_from(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = configure(run, f'trash = true\nkeep = ["a*", "b*"]\n\n{NIGHTLY}')
    monkeypatch.setenv("CKPTCTL_MAX_DELETE", "7")
    rows = {row["key"]: (row["value"], row["origin"]) for row in call("config", run).rows}
    assert rows == {
        "keep": ("a*, b*", f"{path}:2"),
        "max-delete": ("7", "CKPTCTL_MAX_DELETE"),
        "max-delete-size": ("–", "default"),
        "min-age": ("auto", "default"),
        "strict": ("false", "default"),
        "trash": ("true", f"{path}:1"),
        "trash-for": ("–", "default"),
        "policy.nightly.top-k": ("2", f"{path}:4"),
        "policy.nightly.monitor": ("val_loss", f"{path}:4"),
        "policy.nightly.mode": ("min", f"{path}:4"),
    }


def test_the_json_of_config_is_as_the_contract_has_it(run: Path) -> None:
    path = configure(run, f"max-delete = 9\n{NIGHTLY}threshold = 0.5\nkeep-step = [1, 2]\n")
    document = call("config", run, "--json").json
    assert misfits(document, CONFIG) == []
    assert {"key": "max-delete", "value": 9, "origin": f"{path}:1"} in document["settings"]
    assert document["policies"][0]["values"] == {
        "top-k": 2,
        "monitor": "val_loss",
        "mode": "min",
        "threshold": 0.5,
        "keep-step": ["1", "2"],
    }
    assert document["files"] == [str(path)]


def test_config_of_what_cannot_be_understood_says_where(run: Path) -> None:
    configure(run, "[policy.x]\ntop-kk = 1\n")
    answer = call("config", run, "--json")
    assert (answer.code, answer.error["path"]) == (2, f"{run.parent}/ckptctl.toml:2")
    assert answer.error["hint"] == "did you mean 'top-k'?"

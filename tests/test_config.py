"""Where settings are found, and what is said of those that cannot be understood."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ckptctl.cli._policy_flags import FLAGS
from ckptctl.config import POLICY_KEYS, Settings, find_line, find_settings, read_policy_file
from ckptctl.errors import UsageError

NIGHTLY = '[policy.nightly]\ntop-k = 3\nfilter = ["age>1d"]\n'


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "home" / "project" / "runs"
    folder.mkdir(parents=True)
    return folder


def find(runs: Path, **environment: str) -> Settings:
    home = {"HOME": str(runs.parents[1])}
    return find_settings([str(runs)], home | environment)


def told(settings: Settings) -> dict[str, tuple[object, str]]:
    return {key: (it.value, it.origin) for key, it in settings.values.items()}


def test_where_nothing_is_found_nothing_is_said(runs: Path) -> None:
    assert find(runs) == Settings()
    assert find(runs).get("trash") is None


def test_files_are_found_beside_and_above_and_in_the_users_own_folder(runs: Path) -> None:
    (runs / "ckptctl.toml").write_text("max-delete = 10\n")
    (runs.parent / "pyproject.toml").write_text('[project]\nname = "x"\n\n[tool.ckptctl]\ntrash = true\n')
    own = runs.parents[1] / ".config" / "ckptctl"
    own.mkdir(parents=True)
    (own / "config.toml").write_text('\n# mine\n"trash-for" = "7d"\n')
    found = find(runs)
    assert told(found) == {
        "max-delete": (10, f"{runs}/ckptctl.toml:1"),
        "trash": (True, f"{runs.parent}/pyproject.toml:5"),
        "trash-for": ("7d", f"{own}/config.toml:3"),
    }
    assert found.files == (f"{runs}/ckptctl.toml", f"{runs.parent}/pyproject.toml", f"{own}/config.toml")


def test_the_users_own_folder_may_be_elsewhere(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "xdg" / "ckptctl").mkdir(parents=True)
    (tmp_path / "xdg" / "ckptctl" / "config.toml").write_text("strict = true\n")
    assert find(runs, XDG_CONFIG_HOME=str(tmp_path / "xdg")).get("strict") is True


def test_what_lies_above_a_mount_point_is_not_looked_at(monkeypatch: pytest.MonkeyPatch, runs: Path) -> None:
    (runs.parent / "ckptctl.toml").write_text("strict = true\n")
    assert find(runs).get("strict") is True
    monkeypatch.setattr(os.path, "ismount", lambda path: path in ("/", str(runs)))
    assert find(runs).get("strict") is None


def test_a_bucket_has_nothing_above_it(tmp_path: Path) -> None:
    assert find_settings(["s3://bucket/runs"], {"HOME": str(tmp_path)}) == Settings()


def test_of_several_files_and_the_environment_the_most_careful_counts(runs: Path) -> None:
    (runs / "ckptctl.toml").write_text('max-delete = 100\nkeep = "a*"\n')
    (runs.parent / "ckptctl.toml").write_text('max-delete = 10\nkeep = ["b*"]\n')
    found = find(runs, CKPTCTL_MAX_DELETE="50", CKPTCTL_KEEP="c*:d*", OTHER="1")
    assert told(found)["max-delete"] == (10, f"{runs.parent}/ckptctl.toml:1")
    assert found.get("keep") == ["a*", "b*", "c*", "d*"]
    assert find(runs, CKPTCTL_MAX_DELETE="5").values["max-delete"].origin == "CKPTCTL_MAX_DELETE"


def test_of_two_policies_of_one_name_the_nearer_counts(runs: Path) -> None:
    (runs / "ckptctl.toml").write_text(NIGHTLY)
    (runs.parent / "ckptctl.toml").write_text("[policy.nightly]\ntop-k = 9\n\n[policy.weekly]\nkeep-last = 1\n")
    policies = find(runs).policies
    assert policies["nightly"].values == {"top-k": 3, "filter": ["age>1d"]}
    assert policies["nightly"].origin == f"{runs}/ckptctl.toml:1"
    assert policies["weekly"].origin == f"{runs.parent}/ckptctl.toml:4"


def test_a_pyproject_of_others_is_passed_over_even_where_it_is_broken(runs: Path) -> None:
    (runs / "pyproject.toml").write_text("this is = no [toml")
    (runs.parent / "pyproject.toml").write_text('[project]\nname = "ckptctl-runs"\n')
    assert find(runs) == Settings()


# What cannot be understood


@pytest.mark.parametrize(
    ("text", "line", "why", "hint"),
    [
        pytest.param("mx-delete = 1", 1, "'mx-delete' is no setting", "did you mean 'max-delete'?", id="mistyped"),
        pytest.param("\n\nxyz = 1", 3, "'xyz' is no setting", "there are keep, max-delete", id="nothing near"),
        pytest.param("top-k = 3", 1, "'top-k' decides what goes", "put it below [policy.NAME]", id="it would delete"),
        pytest.param('monitor = "a"', 1, "'monitor' decides what goes", "put it below", id="it would rank"),
        pytest.param("trash = 'yes'", 1, "'trash': 'yes' is not true or false", None, id="another kind"),
        pytest.param('min-age = "soon"', 1, "'min-age': 'soon' is not a length of time", "write it like", id="no time"),
        pytest.param(
            "[policy.a]\n[policy.b]\ntopk = 3", 3, "'topk' is no setting", "did you mean 'top-k'?", id="policy"
        ),
        pytest.param("[policy.a]\ntop-k = '3'", 2, "'top-k': '3' is not a whole number", None, id="kind in a policy"),
        pytest.param("policy = 3", 1, "'policy' must hold tables", "write [policy.nightly]", id="no table"),
        pytest.param("policy.a = 3", None, "'policy' must hold tables", "write [policy.nightly]", id="no policy"),
        pytest.param("\nx = [", 2, "is not TOML: ", None, id="no TOML at its end"),
        pytest.param("\nx = = 3\n", 2, "is not TOML: Invalid value", None, id="no TOML"),
    ],
)
def test_a_file_that_cannot_be_understood_is_refused_with_its_line(
    runs: Path, text: str, line: int | None, why: str, hint: str | None
) -> None:
    path = runs / "ckptctl.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        find(runs)
    assert caught.value.path == (f"{path}:{line}" if line else str(path))
    assert caught.value.text.startswith(why)
    assert (caught.value.hint or "").startswith(hint or "")


@pytest.mark.parametrize(
    ("data", "why"),
    [(b"# \xff", "is not text: byte 2 is not UTF-8"), (b"#" * 1_100_000, "is too large for a configuration")],
    ids=["no text", "too large"],
)
def test_what_is_no_text_is_refused(runs: Path, data: bytes, why: str) -> None:
    (runs / "ckptctl.toml").write_bytes(data)
    with pytest.raises(UsageError, match=why):
        find(runs)


def test_a_file_that_cannot_be_read_is_refused_for_it_may_protect_something(runs: Path) -> None:
    (runs / "ckptctl.toml").mkdir()
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        find(runs)


@pytest.mark.parametrize("name", ["ckptctl.toml", "pyproject.toml"])
def test_a_pipe_in_its_place_keeps_nobody_waiting(runs: Path, name: str) -> None:
    os.mkfifo(runs / name)
    with pytest.raises(UsageError, match="is not a regular file"):
        find(runs)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a=" + "[" * 3000, "is nested too deeply"),
        ("max-delete = " + "9" * 6000, "cannot be read: Exceeds the limit"),
    ],
    ids=["deep", "a long number"],
)
def test_a_text_that_no_reader_can_follow_is_refused(runs: Path, text: str, why: str) -> None:
    (runs / "ckptctl.toml").write_text(text)
    with pytest.raises(UsageError, match=why):
        find(runs)


def test_a_pyproject_may_hold_another_thing_under_our_name(runs: Path) -> None:
    (runs / "pyproject.toml").write_text('tool = "ckptctl"\n')
    assert find(runs) == Settings()
    (runs / "pyproject.toml").write_text("[tool]\nckptctl = 5\n")
    with pytest.raises(UsageError, match="'ckptctl' must be a table"):
        find(runs)


@pytest.mark.parametrize(
    ("name", "value", "why", "hint"),
    [
        ("CKPTCTL_MAXDELETE", "5", "'maxdelete' is no setting", "did you mean 'max-delete'?"),
        ("CKPTCTL_TOP_K", "5", "'top-k' decides what goes", "write it to a ckptctl.toml, below [policy.NAME]"),
        ("CKPTCTL_MAX_DELETE", "few", "'few' is not a whole number", ""),
    ],
)
def test_a_variable_that_means_nothing_is_refused(runs: Path, name: str, value: str, why: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        find(runs, **{name: value})
    assert (caught.value.path, caught.value.text.startswith(why)) == (name, True)
    assert (caught.value.hint or "").startswith(hint)


@pytest.mark.parametrize(
    ("text", "key", "table", "line"),
    [
        ("a = 1\nb = 2", "b", "", 2),
        ('"a b" = 1', "c", "", None),
        ("[x]\nb = 1\n[y]\nb = 2", "b", "y", 4),
        ("[x]\nb = 1", "b", "", None),
        ("[ x . y ]\nb = 1", "b", "x.y", 2),
        ('["x"."y"]\nb = 1', "b", "x.y", 2),
        ("'b' = 1", "b", "", 1),
        ("[x.y]", "y", "x", 1),
    ],
)
def test_a_key_is_found_in_its_table(text: str, key: str, table: str, line: int | None) -> None:
    assert find_line(text, key, table) == line


# Policy files


def test_a_policy_may_have_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "strict.toml"
    path.write_text('keep-last = 3\nmin-age = "2h"\n')
    assert read_policy_file(str(path)) == ("strict.toml", str(path), {"keep-last": 3, "min-age": "2h"})


@pytest.mark.parametrize(
    ("text", "why"), [(None, "there is no such policy file"), ("keep-lst = 1", "'keep-lst' is no setting")]
)
def test_a_policy_file_that_is_not_there_or_not_understood_is_refused(
    tmp_path: Path, text: str | None, why: str
) -> None:
    path = tmp_path / "strict.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=why):
        read_policy_file(str(path))


def test_a_policy_may_say_whatever_a_flag_may() -> None:
    flags = {name.replace("_", "-") for name in FLAGS} - {"policy", "filters"}
    assert POLICY_KEYS.keys() == flags | {"filter", "trash", "trash-for"}

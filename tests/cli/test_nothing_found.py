"""What is said where no checkpoint is found, and where a template does not fit."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import ckptctl
from ckptctl.errors import NoCheckpoint
from ckptctl.formats.torch_writer import encode_torch, make_tensor
from tests.cli.calls import call
from tests.scan.test_loose_files import FIXTURES, STATE, listed, put

TENSOR = encode_torch(make_tensor([1, 2], (2,)))
COMMANDS = [
    ("ls",),
    ("best",),
    ("best", "--group-by", "run"),
    ("last",),
    ("prune", "--keep-last", "1"),
    ("export",),
    ("doctor",),
    ("link", "--last"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_says_what_lies_there_and_which_template_fits(tmp_path: Path, command: tuple[str, ...]) -> None:
    put(tmp_path / "run", {f"model_{n}.pt": TENSOR for n in range(1, 13)})
    put(tmp_path / "other", {"a.bin": TENSOR})
    answer = call(command[0], tmp_path, *command[1:])
    assert answer.code == 4
    hint = "seen: 12 .pt files such as model_1.pt and 1 of other endings; try --template 'model_{epoch}'"
    assert hint in answer.err


SHAPES = {
    "fields of several kinds": [f"fold_{fold}-{step}_0.{step}5.pt" for fold in (0, 1) for step in (1, 2, 3)],
    "no ending": ["snap_1", "snap_2", "snap_3"],
    "a quote": ["it's_1.pt", "it's_2.pt"],
    "characters of patterns": ["m[.*]+(a|b)_1.pt", "m[.*]+(a|b)_2.pt"],
    "two endings": ["m_1.pth.tar", "m_2.pth.tar"],
    "numbers alone": ["1.pt", "2.pt"],
}


@pytest.mark.parametrize("names", SHAPES.values(), ids=SHAPES)
def test_what_is_proposed_lists_every_name(tmp_path: Path, names: list[str]) -> None:
    put(tmp_path, dict.fromkeys(names, TENSOR))
    hint = call("ls", tmp_path).err
    (_, flag, template) = shlex.split(hint[hint.index("try ") :])
    assert flag == "--template"
    found = listed(tmp_path, "--template", template)
    assert found.keys() == set(names)
    assert all(it["prunable"] for it in found.values())


ODD = {
    "braces": ["m{a}_1.pt", "m{a}_2.pt"],
    "no number": ["a.pt", "b.pt"],
    "folds": ["fold_1.pt", "fold_2.pt"],
    "dates": ["m_2024-01-01.pt", "m_2024-01-02.pt"],
    "letters that are not seen": ["m\u202e_1.pt", "m\u202e_2.pt"],
}


@pytest.mark.parametrize("names", ODD.values(), ids=ODD)
def test_nothing_is_proposed_where_no_template_fits(tmp_path: Path, names: list[str]) -> None:
    put(tmp_path, dict.fromkeys(names, TENSOR))
    err = call("ls", tmp_path).err
    assert "seen: 2 .pt files such as " in err
    assert "--template" not in err


def test_files_of_no_weights_are_told_too(tmp_path: Path) -> None:
    put(tmp_path, {"notes.odd": b"x", "log.txt": b"x"})
    assert "hint: seen: 1 .odd file such as notes.odd\n" in call("ls", tmp_path).err


def test_where_nothing_lies_the_folder_may_be_wrong(tmp_path: Path) -> None:
    put(tmp_path, {"log.txt": b"x"})
    assert "hint: name the folder of a run, or one above it\n" in call("ls", tmp_path).err


def test_a_program_is_told_the_same(tmp_path: Path) -> None:
    put(tmp_path, {f"model_{n}.pt": TENSOR for n in (1, 2)})
    for look in (ckptctl.best, ckptctl.last, lambda path: ckptctl.plan_prune(path, keep_last=1)):
        with pytest.raises(NoCheckpoint) as raised:
            look(tmp_path)
        assert raised.value.hint == "seen: 2 .pt files such as model_1.pt; try --template 'model_{epoch}'"


def test_last_says_where_checkpoints_are_not_complete(tmp_path: Path) -> None:
    put(tmp_path, {"epoch_1.pt": STATE[:-40], "epoch_2.pt": STATE[:-40]})
    answer = call("last", tmp_path)
    assert (answer.code, "hint: none is complete: ckptctl ls shows what there is" in answer.err) == (4, True)


# A template that does not fit


@pytest.mark.parametrize("command", [*COMMANDS[:1], *COMMANDS[3:]], ids=" ".join)
def test_a_template_that_fits_some_names_says_how_many_and_names_another(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    put(tmp_path, {**{f"net_{n}.pt": STATE for n in range(1, 8)}, "zoo_1.pt": STATE, "zoo_2.pt": STATE})
    answer = call(command[0], tmp_path, *command[1:], "--template", "net_{epoch}")
    assert "warning: --template 'net_{epoch}' fits 7 of 9 names: not zoo_1.pt\n" in answer.err


def test_a_template_that_fits_all_names_is_not_spoken_of(tmp_path: Path) -> None:
    put(tmp_path, {f"net_{n}.pt": STATE for n in (1, 2)})
    assert "template" not in call("ls", tmp_path, "--template", "net_{epoch}").err


def test_a_template_that_fits_no_name_says_which_would(tmp_path: Path) -> None:
    put(tmp_path, {f"net_{n}.pt": STATE for n in (1, 2, 3)})
    answer = call("ls", tmp_path, "--template", "m_{epoch}")
    told = (
        "warning: --template 'm_{epoch}' fits no name: seen: 3 .pt files such as net_1.pt; try --template 'net_{epoch}'"
    )
    assert (answer.code, told in answer.err) == (0, True)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_where_a_template_fits_no_name_and_nothing_else_is_found_one_line_says_it(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    put(tmp_path, {f"net_{n}.pt": TENSOR for n in (1, 2, 3)})
    answer = call(command[0], tmp_path, *command[1:], "--template", "m_{epoch}")
    told = "hint: --template fits no name; seen: 3 .pt files such as net_1.pt; try --template 'net_{epoch}'"
    assert (answer.code, answer.err.count("net_{epoch}")) == (4, 1)
    assert told in answer.err


def test_a_plan_proposes_the_template_that_a_look_for_nothing_does(tmp_path: Path) -> None:
    put(tmp_path, {f"net_{n}.pt": STATE for n in (1, 2, 3)})
    (why,) = {str(it["why_not"]) for it in listed(tmp_path).values()}
    assert re.search(r"--template '(.*)'", why)[1] == "net_{epoch}"  # type: ignore[index]


@pytest.mark.parametrize(("flags", "field"), [((), "metric"), (("--monitor", "val_loss"), "val_loss")])
def test_numbers_without_names_are_named_by_a_template_that_was_tried(
    tmp_path: Path, flags: tuple[str, ...], field: str
) -> None:
    files = (FIXTURES / "keras" / "m.h5").read_bytes()
    put(tmp_path / "run", {f"{n:02d}-0.{n}5.h5": files for n in (1, 2, 3)})
    answer = call("best", tmp_path, *flags)
    assert (answer.code, answer.err.splitlines()[-1].partition("; try ")[2]) == (
        4,
        f"--template '{{epoch}}-{{{field}}}'",
    )
    told = call("best", tmp_path, "--template", f"{{epoch}}-{{{field}}}", "--monitor", field, "--mode", "min")
    assert told.lines == [f"{tmp_path}/run/01-0.15.h5"]

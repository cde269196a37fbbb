"""Names that a template fits: what its fields make of them, and what a prune may take."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckptctl.core.names.template import Template
from ckptctl.formats.torch_writer import encode_torch, make_tensor
from tests.cli.calls import call
from tests.scan.test_loose_files import STATE, left, listed, put

TENSOR = encode_torch(make_tensor([1, 2], (2,)))


def test_a_text_is_part_of_the_name_and_parts_the_series(tmp_path: Path) -> None:
    files = {f"{arch}_{step}_{step / 1e4:.3f}.pt": STATE for arch in ("unet_xl", "vit") for step in (100, 200, 300)}
    put(tmp_path, files)
    found = listed(tmp_path, "--template", "{arch}_{step}_{val_loss:.3f}")
    assert found["unet_xl_200_0.020.pt"]["step"] == 200
    assert found["unet_xl_200_0.020.pt"]["metrics"].keys() == {"val_loss"}  # type: ignore[attr-defined]
    kept = left(tmp_path, "--keep-last", "1", "--template", "{arch}_{step}_{val_loss:.3f}")
    assert kept == {"unet_xl_300_0.030.pt", "vit_300_0.030.pt"}


@pytest.mark.parametrize("field", ["fold", "seed", "lr", "trial"])
def test_a_setting_parts_the_series_and_is_no_metric(tmp_path: Path, field: str) -> None:
    template = f"m{{{field}}}.{{epoch}}"
    put(tmp_path, {f"m{value}.{epoch}.pt": STATE for value in (1, 2) for epoch in (value, value + 1, value + 2)})
    assert {str(it["metrics"]) for it in listed(tmp_path, "--template", template).values()} == {"{}"}
    assert left(tmp_path, "--keep-last", "1", "--template", template) == {"m1.3.pt", "m2.4.pt"}


@pytest.mark.parametrize("ending", [".ckpt", ".keras", ".pt", ""])
def test_settings_part_the_series_whatever_the_ending(tmp_path: Path, ending: str) -> None:
    put(tmp_path, {f"f{fold}e{epoch}{ending}": STATE for fold in (0, 1) for epoch in (1, 2)})
    kept = left(tmp_path, "--keep-last", "1", "--template", "f{fold}e{epoch}")
    assert kept == {f"f0e2{ending}", f"f1e2{ending}"}


def test_a_text_parts_what_lightning_names(tmp_path: Path) -> None:
    put(
        tmp_path, {f"arch={arch}-epoch={epoch}.ckpt": STATE for arch, epoch in (("a", 1), ("a", 2), ("b", 3), ("b", 4))}
    )
    kept = left(tmp_path, "--keep-last", "1", "--template", "{arch}-{epoch}", "--min-age", "0s")
    assert kept == {"arch=a-epoch=2.ckpt", "arch=b-epoch=4.ckpt"}


def test_the_date_of_each_save_parts_nothing(tmp_path: Path) -> None:
    put(tmp_path, {f"m_2024-01-0{day}_12-30_{day}.pt": STATE for day in (1, 2, 3)})
    assert left(tmp_path, "--keep-last", "1", "--template", "m_{date}_{time}_{epoch}") == {"m_2024-01-03_12-30_3.pt"}


def test_dates_of_runs_of_which_each_counts_anew_part_them(tmp_path: Path) -> None:
    put(tmp_path, {f"{day}-{epoch}.pt": STATE for day in ("20240101", "20240102") for epoch in (1, 2)})
    assert left(tmp_path, "--keep-last", "1", "--template", "{date}-{epoch}") == {"20240101-2.pt", "20240102-2.pt"}


def test_a_number_of_unknown_meaning_parts_only_where_counts_begin_anew(tmp_path: Path) -> None:
    put(tmp_path / "anew", {f"{odd}.{epoch}.pt": STATE for odd in (1, 2) for epoch in (1, 2)})
    put(tmp_path / "on", {f"{7 * epoch}.{epoch}.pt": STATE for epoch in (1, 2)})
    left(tmp_path, "--keep-last", "1", "--template", "{odd}.{epoch}")
    assert {f"{it.parent.name}/{it.name}" for it in tmp_path.rglob("*.pt")} == {
        "anew/1.2.pt",
        "anew/2.2.pt",
        "on/14.2.pt",
    }


def test_words_where_others_have_numbers_part_too(tmp_path: Path) -> None:
    put(tmp_path, {f"{odd}.{epoch}.pt": STATE for odd in ("1", "two") for epoch in (1, 2)})
    assert left(tmp_path, "--keep-last", "1", "--template", "{odd}.{epoch}") == {"1.2.pt", "two.2.pt"}


@pytest.mark.parametrize("field", ["i", "n", "idx", "ep", "iter", "episode", "ckpt", "global_step"])
def test_a_count_may_have_any_of_its_names(tmp_path: Path, field: str) -> None:
    put(tmp_path, {f"m_{count}.pt": STATE for count in (3, 20, 100)})
    assert left(tmp_path, "--keep-last", "1", "--template", f"m_{{{field}}}") == {"m_100.pt"}


KEPT = {
    "a template without a count": ("{name}.{odd}", ["a.1", "a.2"]),
    "a set": ("{name}_{epoch}", ["fold_1", "fold_2", "fold_3"]),
    "data": ("{name}_{epoch}", ["train_features_1", "train_features_2"]),
    "one of each name": ("{name}_{epoch}", ["vgg_16", "resnet_50"]),
}


@pytest.mark.parametrize(("template", "names"), KEPT.values(), ids=KEPT)
def test_words_prove_no_row_of_saves_where_they_say_another_thing(
    tmp_path: Path, template: str, names: list[str]
) -> None:
    put(tmp_path, {f"{name}.pt": STATE for name in names})
    assert left(tmp_path, "--keep-last", "1", "--no-protect-last", "--template", template) == {
        f"{name}.pt" for name in names
    }


def test_a_file_of_another_content_than_its_series_stays_whatever_the_template_says(tmp_path: Path) -> None:
    put(tmp_path, {f"m_{n}.pt": TENSOR if n == 2 else STATE for n in range(1, 8)})
    kept = left(tmp_path, "--keep-last", "1", "--no-protect-last", "--template", "m_{epoch}")
    assert kept == {"m_2.pt", "m_7.pt"}


def test_bare_tensors_go_where_the_template_means_them_and_stay_where_words_take_anything(tmp_path: Path) -> None:
    put(tmp_path, {f"m_{n}.pt": TENSOR for n in (1, 2, 3)})
    assert left(tmp_path, "--keep-last", "1", "--template", "{name}_{epoch}") == {f"m_{n}.pt" for n in (1, 2, 3)}
    assert left(tmp_path, "--keep-last", "1", "--template", "m_{epoch}") == {"m_3.pt"}


def test_included_names_alone_are_proven(tmp_path: Path) -> None:
    put(tmp_path, {f"model_{n}.pt": STATE for n in (1, 2, 11, 12)})
    assert left(tmp_path, "--keep-last", "1", "--include", "model_1?.pt") == {"model_1.pt", "model_2.pt", "model_12.pt"}


def test_no_fold_goes_for_another_one_by_an_include(tmp_path: Path) -> None:
    put(tmp_path, {f"fold_{n}.pt": STATE for n in (1, 2, 3)})
    assert listed(tmp_path, "--include", "*.pt").keys() == {f"fold_{n}.pt" for n in (1, 2, 3)}
    assert left(tmp_path, "--keep-last", "1", "--include", "*.pt") == {f"fold_{n}.pt" for n in (1, 2, 3)}


def test_names_that_say_the_same_are_in_doubt_together(tmp_path: Path) -> None:
    put(tmp_path, dict.fromkeys(("m_1.pt", "m_2.pt", "m_02.pt", "m_3.pt", "m_3-v1.pt", "m_4.pt"), STATE))
    kept = left(tmp_path, "--keep-last", "1", "--template", "m_{epoch}")
    assert kept == {"m_2.pt", "m_02.pt", "m_4.pt"}


def test_a_template_with_a_folder_proves_no_file_of_another_one(tmp_path: Path) -> None:
    for folder in ("a/ck", "b/ck", "c/zoo", "d/back"):
        put(tmp_path / folder, {f"m_{n}.pt": STATE for n in (1, 2)})
    answer = call("prune", tmp_path, "--keep-last", "1", "--template", "ck/m_{epoch}", "--yes")
    kept = {it.relative_to(tmp_path).as_posix() for it in tmp_path.rglob("*.pt")}
    assert kept == {"a/ck/m_2.pt", "b/ck/m_2.pt", *(f"{it}/m_{n}.pt" for it in ("c/zoo", "d/back") for n in (1, 2))}
    assert "fits 4 of 8 names: not m_1.pt" in answer.err


@pytest.mark.parametrize(("template", "folder"), [("a/b/m_{epoch}", "a/b"), ("m_{epoch}", ""), ("{epoch}/m", "")])
def test_a_template_knows_the_folder_that_it_is_written_with(template: str, folder: str) -> None:
    assert Template(template).folder == folder

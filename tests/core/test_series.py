"""Which names are one training's saves: series, sets and files of their own, by the names alone."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptctl.core.model import Note
from ckptctl.core.names.shapes import group_by_shape, split_ending
from ckptctl.core.names.vocabulary import EXAMPLES, Meaning, is_setting, meaning_of
from ckptctl.core.series import Save, Series, find_series


@pytest.mark.parametrize(("word", "meaning"), EXAMPLES)
def test_a_word_means_what_the_table_says(word: str, meaning: Meaning) -> None:
    assert meaning_of(word) == meaning


@pytest.mark.parametrize(
    ("key", "told"), [("fold", True), ("cv_fold", True), ("lr", False), ("val_loss", False), ("1", False)]
)
def test_only_what_stays_the_same_in_a_training_tells_trainings_apart(key: str, told: bool) -> None:
    assert is_setting(key) is told


def one(*names: str) -> Series:
    (series,) = find_series(names)
    return series


def said(save: Save) -> dict[str, str]:
    return {key: field.text for key, field in save.fields.items()}


# Names and their shapes


ENDINGS = {
    "model_3.pth.tar": ("model_3", ".pth.tar"),
    "w.weights.h5": ("w", ".weights.h5"),
    "a.checkpoint": ("a", ".checkpoint"),
    "snapshot_iter_1000": ("snapshot_iter_1000", ""),
    "acc_0.93": ("acc_0.93", ""),
    ".hidden": (".hidden", ""),
    "x.pt": ("x", ".pt"),
    ".pt.zip": (".pt", ".zip"),
    "data.tar": ("data", ".tar"),
}


@pytest.mark.parametrize(("name", "parts"), ENDINGS.items())
def test_an_ending_begins_with_a_letter(name: str, parts: tuple[str, str]) -> None:
    assert split_ending(name) == parts


PIECES = {
    "unet_2021-03-04-10:11:12_E3": ["unet", "2021-03-04-10:11:12", "E", "3"],
    "net_20250301_101112": ["net", "20250301_101112"],
    "step_00010000": ["step", "00010000"],
    "step_20259999_000001": ["step", "20259999", "000001"],
    "run_1709999999": ["run", "1709999999"],
    "torch_1.13.0_5": ["torch", "1.13.0", "5"],
    "myEpoch3": ["my", "Epoch", "3"],
    "a--01--0.8": ["a", "-01", "-0.8"],
    "lr_1e-04": ["lr", "1e-04"],
    "loss=1,95": ["loss", "1,95"],
}


@pytest.mark.parametrize(("stem", "pieces"), PIECES.items())
def test_a_stem_is_parted_into_words_numbers_and_dates(stem: str, pieces: list[str]) -> None:
    ((member,),) = [group.members for group in group_by_shape([stem])]
    assert [stem[it.start : it.end] for it in member.pieces if it.kind != "gap"] == pieces


# What numbers mean


READ = {
    "epochs in many spellings": (["Epoch_1.pt", "Epoch_2.pt"], {"epoch": "1"}),
    "a letter": (["net_S42_E1.pt", "net_S42_E2.pt"], {"epoch": "1"}),
    "camel case": (["myEpoch1.pt", "myEpoch2.pt"], {"epoch": "1"}),
    "a word behind": (["25_epochs.pt", "50_epochs.pt"], {"epoch": "25"}),
    "thousands of steps": (["ck_10k_steps.pt", "ck_20k_steps.pt"], {"number": "10", "step": "10000"}),
    "thousands alone": (["flow_10k.pt", "flow_20k.pt"], {"number": "10", "step": "10000"}),
    "a step behind a checkpoint": (["ckpt_10_steps.pt", "ckpt_20_steps.pt"], {"step": "10"}),
    "saves counted": (["wsl2_ckpt_5.pt", "wsl2_ckpt_6.pt"], {"number": "5"}),
    "two counters": (["e1_s10.pt", "e2_s20.pt"], {"epoch": "1", "step": "10"}),
    "epoch and step without words": (
        ["m-1-1000.ckpt", "m-1-2000.ckpt", "m-2-1000.ckpt"],
        {"epoch": "1", "step": "1000"},
    ),
    "a metric with digits in its name": (
        ["m_epoch_1_f1_0.5_top1_61.2.pt", "m_epoch_2_f1_0.6_top1_63.0.pt"],
        {"epoch": "1", "f1": "0.5", "top1": "61.2"},
    ),
    "the split that a metric is of": (
        ["best_val_loss_0.5_epoch_1.pt", "best_val_loss_0.4_epoch_2.pt"],
        {"best_val_loss": "0.5", "epoch": "1"},
    ),
    "a metric's word behind it": (["m_1_0.5acc.pt", "m_2_0.6acc.pt"], {"number": "1", "acc": "0.5"}),
    "a metric that no word names": (["weights.05-0.32.h5", "weights.06-0.30.h5"], {"number": "05", "value": "0.32"}),
    "a metric that another word names": (
        ["dqn_pole_1_12.5.pt", "dqn_pole_2_20.0.pt"],
        {"number": "1", "value": "12.5"},
    ),
    "a whole metric": (["m_epoch_1_reward_250.pt", "m_epoch_2_reward_300.pt"], {"epoch": "1", "reward": "250"}),
    "two dashes are no sign": (["M--01--0.8.h5", "M--02--0.7.h5"], {"number": "01", "value": "0.8"}),
    "a sign behind the only gap": (["01--0.5.keras", "02--0.4.keras"], {"number": "01", "value": "-0.5"}),
    "a score that is no number": (["01-nan.keras", "02-0.40.keras"], {"number": "01", "value": "nan"}),
    "a sign is one": (["m_epoch_1_gain=-0.5.pt", "m_epoch_2_gain=0.5.pt"], {"epoch": "1", "gain": "-0.5"}),
    "a sign that all have": (["m_epoch_1_gain=-0.5.pt", "m_epoch_2_gain=-0.4.pt"], {"epoch": "1", "gain": "-0.5"}),
    "a comma says no number": (["m_epoch_1_acc_0,5.pt", "m_epoch_2_acc_0,6.pt"], {"epoch": "1", "acc": "0,5"}),
    "what never varies is text": (["resnet50_lr_0.1_epoch_1.pt", "resnet50_lr_0.1_epoch_2.pt"], {"epoch": "1"}),
    "a date that varies beside an epoch": (
        ["m_epoch_1_20250101_101112.pt", "m_epoch_2_20250102_101112.pt"],
        {"epoch": "1"},
    ),
    "digits like a date behind a word that counts": (["step_20240101.pt", "step_20240102.pt"], {"step": "20240101"}),
    "days alone": (["m_2025-01-01.pt", "m_2025-01-02.pt"], {"number": "2025-01-01"}),
    "a letter that stands for itself": (["m_v_10.pt", "m_v_20.pt"], {"number": "10"}),
    "dates alone": (["m_20250101_101112.pt", "m_20250102_101112.pt"], {"number": "20250101_101112"}),
    "a number that varies beside an epoch": (
        ["m_epoch_1_x_5.pt", "m_epoch_2_x_9.pt"],
        {"epoch": "1", "number": "5"},
    ),
    "an epoch with a fraction": (["m_epoch_0.5.pt", "m_epoch_1.5.pt"], {"epoch": "0.5"}),
}


@pytest.mark.parametrize(("names", "fields"), READ.values(), ids=READ)
def test_a_number_means_what_the_nearest_word_says(names: list[str], fields: dict[str, str]) -> None:
    series = one(*names)
    assert (series.kind, said(series.saves[0])) == ("series", fields)


def test_a_comma_is_no_number_but_a_doubt() -> None:
    (first, _) = one("m_epoch_1_acc_0,5.pt", "m_epoch_2_acc_0,6.pt").saves
    assert first.fields["acc"].number is None


# What belongs together


def patterns(*names: str) -> list[str]:
    return [it.pattern for it in find_series(names)]


APART = {
    "folds": (
        ["fold0_epoch_1.pt", "fold0_epoch_2.pt", "fold1_epoch_1.pt", "fold1_epoch_2.pt"],
        ["fold0_epoch_{epoch}.pt", "fold1_epoch_{epoch}.pt"],
    ),
    "trainings that began on two days": (
        [f"2025010{day}_epoch_{n}.pt" for day in (1, 2) for n in (1, 2)],
        ["20250101_epoch_{epoch}.pt", "20250102_epoch_{epoch}.pt"],
    ),
    "models numbered, and their epochs": (
        [f"net{k}-{n:02d}-0.{k}{n}.keras" for k in (1, 2) for n in (1, 2, 3)],
        ["net1-{number}-{value}.keras", "net2-{number}-{value}.keras"],
    ),
    "an unnamed number beside epochs that come again": (
        [f"m{k}_epoch_{n}.pt" for k in (3, 7) for n in (1, 2)],
        ["m3_epoch_{epoch}.pt", "m7_epoch_{epoch}.pt"],
    ),
    "other words": (
        ["unet_x_epoch_1.pt", "unet_x_epoch_2.pt", "vae_y_epoch_1.pt", "vae_y_epoch_2.pt"],
        ["unet_x_epoch_{epoch}.pt", "vae_y_epoch_{epoch}.pt"],
    ),
    "other endings": (
        ["epoch_1.pt", "epoch_2.pt", "epoch_1.safetensors", "epoch_2.safetensors"],
        ["epoch_{epoch}.pt", "epoch_{epoch}.safetensors"],
    ),
}


@pytest.mark.parametrize(("names", "found"), APART.values(), ids=APART)
def test_what_tells_models_apart_makes_series_of_their_own(names: list[str], found: list[str]) -> None:
    assert patterns(*names) == found


TOGETHER = {
    "two networks": ["netG_epoch_{}.pth", "netD_epoch_{}.pth"],
    "four networks": ["G_AB_{}.pth", "G_BA_{}.pth", "D_A_{}.pth", "D_B_{}.pth"],
    "number first": ["{}_net_G_A.pth", "{}_net_D_A.pth", "{}_net_G_B.pth", "{}_net_D_B.pth"],
    "a model and what resumes it": ["model_{}.pt", "optimizer_{}.pt", "lr_scheduler_{}.pt"],
    "an optimizer of whatever it is called": ["bert_tuned_{}.pt", "opt_{}.pt"],
    "an average with its decay": ["model{}.pt", "ema_0.9999_{}.pt", "opt{}.pt"],
    "parts by other endings": ["unet_{}.pt", "text_encoder_{}.safetensors"],
    "state dicts": ["encoder_state_dict_{}.pt", "decoder_state_dict_{}.pt"],
}


@pytest.mark.parametrize("parts", TOGETHER.values(), ids=TOGETHER)
def test_parts_of_one_save_go_together(parts: list[str]) -> None:
    series = one(*(part.format(n) for n in (10, 20, 30) for part in parts))
    assert [sorted(it.names) for it in series.saves] == [sorted(p.format(n) for p in parts) for n in (10, 20, 30)]


def test_a_single_save_of_several_files_is_one_too() -> None:
    assert one("model_epoch_3.pt", "optim_epoch_3.pt").saves[0].names == ("model_epoch_3.pt", "optim_epoch_3.pt")


def test_a_save_that_lacks_what_most_have_says_so() -> None:
    series = one(*(f"{part}_epoch_{n}.pt" for n in (1, 2, 3) for part in ("gen", "disc") if (part, n) != ("disc", 2)))
    assert [it.lacks for it in series.saves] == [None, "disc_epoch_{epoch}.pt", None]


def test_an_optimizer_of_the_newest_alone_makes_no_other_partial() -> None:
    series = one("model_epoch_1.pt", "model_epoch_2.pt", "model_epoch_3.pt", "optim_epoch_3.pt")
    assert [(len(it.names), it.lacks) for it in series.saves] == [(1, None), (1, None), (2, None)]


def test_parts_that_share_no_number_are_no_save() -> None:
    assert len(find_series(["G_1.pt", "G_2.pt", "D_3.pt", "D_4.pt"])) == 2
    assert len(find_series(["G_1.pt", "G_2.pt", "D_e1_s5.pt", "D_e2_s6.pt"])) == 2


TWINS = [
    ["m_epoch_1.pt", "m_epoch1.pt"],
    ["m_epoch_02.pt", "m_epoch_2.pt"],
    ["m_epoch_1.pt", "m_epoch_2.pt", "m_ep2.pt"],
]


@pytest.mark.parametrize("names", TWINS)
def test_the_same_number_written_in_two_ways_is_told(names: list[str]) -> None:
    saves = [save for it in find_series(names) for save in it.saves]
    assert sum(it.is_twin for it in saves) == 2


def test_the_same_epoch_with_two_scores_is_no_twin() -> None:
    series = one("best_epoch_3_acc_0.91.pt", "best_epoch_3_acc_0.92.pt", "best_epoch_4_acc_0.93.pt")
    assert not any(it.is_twin for it in series.saves)


# What is no series


def test_two_numbers_without_words_that_are_written_in_two_ways_are_a_set_of_series() -> None:
    names = ["m-1-5.pt", "m-01-5.pt", "m-2-6.pt"]
    assert all(it.doubt for it in find_series(names))


SETS = {
    "folds": [f"model_fold{n}_best.pth" for n in range(5)],
    "seeds": [f"actor_seed_{n}.pt" for n in range(5)],
    "configurations with a score": [f"config_{n}_val_acc_0.8{n}.h5" for n in range(5)],
    "versions": [f"model_v{n}.h5" for n in (1, 3, 4)],
    "two architectures": ["vgg16.pth", "vgg19.pth"],
    "clients in rounds": [f"round_1_client_{n}.pt" for n in range(4)],
    "three numbers without a word": [f"m-{n}-{2 * n}-{3 * n}.pt" for n in (1, 2, 3)],
}


@pytest.mark.parametrize("names", SETS.values(), ids=SETS)
def test_models_told_apart_by_what_they_are_make_a_set(names: list[str]) -> None:
    series = one(*names)
    assert (series.kind, series.doubt and series.doubt.id) == ("set", "set")


ALONE: dict[str, tuple[str, tuple[str, ...]]] = {
    "pretrained.pt": ("single", ()),
    "resnet50.pth": ("single", ()),
    "best.pt": ("role", ("best",)),
    "latest_net_G.pth": ("role", ("last",)),
    "model_final.pth": ("role", ("final",)),
    "checkpoint.pth.tar": ("role", ("last",)),
    "model.pth": ("role", ("named",)),
    "model_best_epoch_7.pth": ("role", ("best",)),
    "epoch_3.pt": ("series", ()),
    "averaged-step-150.pt": ("single", ()),
}


@pytest.mark.parametrize(("name", "told"), ALONE.items())
def test_a_name_without_siblings_is_what_its_words_say(name: str, told: tuple[str, tuple[str, ...]]) -> None:
    series = one(name)
    assert (series.kind, series.roles) == told
    assert series.doubt is not None


def test_versions_of_a_best_are_each_a_best() -> None:
    assert [it.roles for it in find_series(["best-v1.ckpt", "best-v2.ckpt"])] == [("best",), ("best",)]


# What may be deleted


PROVEN = {
    "a word that counts": [f"epoch_{n}.pt" for n in (1, 2)],
    "saves far apart": [f"model_{n}.pt" for n in (10, 20, 30, 50)],
    "zeros in front": [f"weights_{n:04d}.h5" for n in (1, 2)],
    "large numbers": [f"model_{n}.pt" for n in (10001, 20002, 30003)],
    "a metric beside the number": ["m_1_0.5.pt", "m_2_0.4.pt"],
}


@pytest.mark.parametrize("names", PROVEN.values(), ids=PROVEN)
def test_a_series_is_proven_by(names: list[str]) -> None:
    series = one(*names)
    assert series.evidence
    assert series.doubt is None


UNPROVEN = {
    "small numbers in a row": ([f"model_{n}.pt" for n in range(1, 8)], "unnamed-number"),
    "sizes of layers": ([f"model_{n}.pt" for n in (128, 256, 384, 512)], "unnamed-number"),
    "numbers that double": ([f"model_{n}.pt" for n in (50, 100, 200, 400)], "unnamed-number"),
    "two large numbers": ([f"model_{n}.pt" for n in (10000, 20000)], "unnamed-number"),
    "dates": (["m_20250101_101112.pt", "m_20250102_101112.pt"], "dates-only"),
    "scores alone": (["best_acc_0.91.pt", "best_acc_0.92.pt"], "no-counter"),
    "what training computes": ([f"features_epoch_{n}.pt" for n in (1, 2, 3)], "veto-word"),
    "predictions with steps": ([f"step_{n}_preds.pt" for n in (100, 200, 300)], "veto-word"),
}


@pytest.mark.parametrize(("names", "why"), UNPROVEN.values(), ids=UNPROVEN)
def test_no_rule_may_delete_of(names: list[str], why: str) -> None:
    doubts = {it.doubt and it.doubt.id for it in find_series(names)}
    assert doubts == {why}


def test_the_template_that_would_prove_it_is_told() -> None:
    doubt = one("model_1.pt", "model_2.pt", "model_3.pt").doubt
    assert doubt == Note("unnamed-number", first=1, last=3, template="model_{epoch}")
    unended = one("neat_1", "neat_2", "neat_3").doubt
    assert unended == Note("unnamed-number", first=1, last=3, template="neat_{epoch}")


DERIVED = (
    "features_epoch_3 logits-step-150 predictions_epoch_2 samples_iter_500 grads_step_3 cache_step_1 data_step_3"
    " averaged_epoch_10 swa_epoch_10 model_merged_step_100 exported-epoch-3 tmp_epoch_3 backup_step_100 old-epoch-3"
    " fold_3 model-v2 vgg_16"
).split()


@pytest.mark.parametrize("stem", DERIVED)
def test_a_word_of_doubt_proves_nothing(stem: str) -> None:
    later = re.sub("[0-9]+", lambda it: str(int(it[0]) + 1), stem)
    assert all(it.doubt for it in find_series([f"{stem}.pt", f"{later}.pt"]))


# Laws


WORDS = st.sampled_from("model net G D epoch step fold best optimizer unet val_loss acc data seed".split())
NUMBERS = st.sampled_from(["", "1", "2", "10", "100", "007", "0.5", "-3", "20240501"])
NAMES = st.lists(
    st.tuples(WORDS, NUMBERS, st.sampled_from("_-"), WORDS, NUMBERS, st.sampled_from([".pt", ".h5", ""])).map("".join),
    min_size=1,
    max_size=12,
    unique=True,
)


@given(NAMES)
def test_every_name_is_in_one_series_exactly(names: list[str]) -> None:
    found = [name for it in find_series(names) for name in it.names]
    assert sorted(found) == sorted(names)


def _prunable(names: list[str]) -> set[str]:
    return {name for it in find_series(names) if it.kind == "series" and it.doubt is None for name in it.names}


@given(NAMES)
def test_the_order_of_a_listing_decides_nothing(names: list[str]) -> None:
    assert _prunable(names) == _prunable(names[::-1])


@given(NAMES, st.sampled_from(["readme", "vgg16.pth", "paper.ckpt", "notes"]))
def test_a_file_of_no_series_makes_no_other_prunable(names: list[str], more: str) -> None:
    assert _prunable([*names, more]) == _prunable(names)


@given(NAMES)
def test_a_constant_word_that_means_nothing_changes_nothing_but_names(names: list[str]) -> None:
    one_way, other = ([f"{word}_{name}" for name in names] for word in ("zebra", "quokka"))
    plain = [{name.partition("_")[2] for name in _prunable(it)} for it in (one_way, other)]
    assert plain[0] == plain[1]

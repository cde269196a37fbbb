from __future__ import annotations

from itertools import permutations
from math import inf, isnan

import pytest

from ckptctl.core.names.parse import EXTENSIONS, Field, Name, is_cut_by_slash, parse, parse_folder
from ckptctl.core.names.template import Template


def texts(name: Name) -> dict[str, str]:
    return {key: field.text for key, field in name.fields.items()}


def numbers(name: Name) -> dict[str, float | None]:
    return {key: field.number for key, field in name.fields.items()}


SELF_CONTAINED = [
    ("1 an exponent is no separator", "epoch=2-lr=1e-05-acc=0.5.ckpt", {"epoch": 2, "lr": 1e-5, "acc": 0.5}),
    ("2 a minus behind the equals sign is a sign", "epoch=2-val_loss=-0.32.ckpt", {"epoch": 2, "val_loss": -0.32}),
    ("4 a key holds a dash", "epoch=1-top-5=0.87.ckpt", {"epoch": 1, "top-5": 0.87}),
    ("5 a key begins with a digit", "epoch=1-5shot_acc=0.7.ckpt", {"epoch": 1, "5shot_acc": 0.7}),
    ("6 a key holds a number", "epoch=2-mAP@0.50=0.87.ckpt", {"epoch": 2, "mAP@0.50": 0.87}),
    ("12 a zero is a zero", "epoch=2-val_loss=0.00.ckpt", {"epoch": 2, "val_loss": 0}),
    ("13 a slash in a key made a folder", "epoch=4_val/loss=0.03000.ckpt", {"epoch": 4, "val/loss": 0.03}),
    ("13 two slashes made two", "epoch=4-a/b/loss=0.40.ckpt", {"epoch": 4, "a/b/loss": 0.4}),
    ("14 no equals sign", "epoch02-val_loss0.32.ckpt", {"epoch": 2, "val_loss": 0.32}),
    ("19 scientific behind a double dash", "m--val_wer=1.9e-05-step=10.ckpt", {"val_wer": 1.9e-5, "step": 10}),
    ("20 a comma separates", "epoch=3,acc=0.03000.ckpt", {"epoch": 3, "acc": 0.03}),
    ("21 percent", "epoch=1-acc=87.6%.ckpt", {"epoch": 1, "acc": 0.876}),
    ("22 numbers are numbers", "epoch=10-step=1100.ckpt", {"epoch": 10, "step": 1100}),
    ("23 a TensorFlow stem counts epochs", "cp-0005.ckpt", {"epoch": 5}),
    ("24 a flag", "epoch=1-flag=True.ckpt", {"epoch": 1, "flag": None}),
    ("24 a flag in the middle", "flag=True-epoch=1.ckpt", {"flag": None, "epoch": 1}),
    ("24 a vector", "vec=tensor([1., 2.])-epoch=1.ckpt", {"vec": None, "epoch": 1}),
    ("24 a vector at the end", "epoch=1-vec=tensor([1., 2.]).ckpt", {"epoch": 1, "vec": None}),
    ("25 a repeated extension", "epoch=2-val_loss=0.32.ckpt.ckpt", {"epoch": 2, "val_loss": 0.32}),
    ("26 garbled by Lightning before 2.0.3", "epoch=3-epoch=epoch_test=4.ckpt", {"epoch": 3, "epoch_test": 4}),
    ("26 garbled, with a dash in the key", "top=3-top=top-5=0.8.ckpt", {"top": 3, "top-5": 0.8}),
    ("27 colons", "epoch:3-val_loss:1e-05.ckpt", {"epoch": 3, "val_loss": 1e-5}),
    ("27 colons and a key with a dash", "epoch:3-top-5:0.5.ckpt", {"epoch": 3, "top-5": 0.5}),
    ("commas between groups of three", "big=1,234,567.88-epoch=1.ckpt", {"big": 1234567.88, "epoch": 1}),
    ("a comma, then no group of three", "epoch=12,3456x=1.ckpt", {"epoch": 12, "3456x": 1}),
    ("padding", "x=    0.32.ckpt", {"x": 0.32}),
    ("a plus sign", "val_loss=+0.32.ckpt", {"val_loss": 0.32}),
    ("a number without a whole part", "val_loss=.5.ckpt", {"val_loss": 0.5}),
    ("percent of a scientific number", "acc=1e1%.ckpt", {"acc": 0.1}),
    ("a space in a key", "epoch=2-val loss=0.87.ckpt", {"epoch": 2, "val loss": 0.87}),
    ("spaces around", "epoch = 2, loss = 0.3.ckpt", {"epoch": 2, "loss": 0.3}),
    ("an infinity", "val_loss=-inf-epoch=1.ckpt", {"val_loss": -inf, "epoch": 1}),
    ("no separator at all", "epoch=1val_loss=0.3.ckpt", {"epoch": 1, "val_loss": 0.3}),
    ("a hash is a text", "sha=3f2a-epoch=1.ckpt", {"sha": None, "epoch": 1}),
    ("a size is a text", "epoch=1-model=7b.ckpt", {"epoch": 1, "model": None}),
    ("a software version is a text", "lib=1.2.3-epoch=1.ckpt", {"lib": None, "epoch": 1}),
    ("underscored thousands are no number", "epoch=1-n=1_000.ckpt", {"epoch": 1, "n": None}),
    ("what no float can hold", "epoch=1-n=1e999.ckpt", {"epoch": 1, "n": None}),
    ("a word is a text", "opt=adam-lr=0.1.ckpt", {"opt": None, "lr": 0.1}),
    ("a doubled name", "epochepoch=01-val_lossval/loss=0.30.ckpt", {"epoch": 1, "val/loss": 0.3}),
    ("free text behind the last value", "epoch=2-val_loss=0.3-tuned.ckpt", {"epoch": 2, "val_loss": 0.3}),
    ("an unknown extension", "epoch=0-step=1.tpkc", {"epoch": 0, "step": 1}),
    ("user-logged epochs are floats", "epoch=7.0.ckpt", {"epoch": 7}),
    ("an empty value", "epoch=1-x=.ckpt", {"epoch": 1}),
    ("an empty value in the middle", "x=-epoch=1.ckpt", {"epoch": 1}),
    ("an empty key", "=1-epoch=2.ckpt", {"epoch": 2}),
    ("signs that follow each other", "a==1.ckpt", {}),
    ("repeated, finer", "val_loss=0.32-val_loss=0.3210.ckpt", {"val_loss": 0.321}),
    ("repeated, coarser", "val_loss=0.3210-val_loss=0.32.ckpt", {"val_loss": 0.321}),
    ("repeated, another number", "val_loss=0.32-val_loss=0.4444.ckpt", {"val_loss": 0.32}),
    ("repeated, a text first", "x=True-x=0.5.ckpt", {"x": None}),
    ("repeated, huge exponents", "x=0e4000-x=0.0.ckpt", {"x": 0}),
    ("the key alone has no letter", "top-5=0.87.ckpt", {"top-5": 0.87}),
]


@pytest.mark.parametrize(("path", "expected"), [it[1:] for it in SELF_CONTAINED], ids=[it[0] for it in SELF_CONTAINED])
def test_a_name_tells_its_fields_in_written_order(path: str, expected: dict[str, float | None]) -> None:
    assert list(numbers(parse(path)).items()) == list(expected.items())


WHOLE = [
    (
        "3 a sign, an exponent and a version",
        "epoch=2-val_loss=-1.5e-05-v2.ckpt",
        Name({"epoch": Field("2", 2), "val_loss": Field("-1.5e-05", -1.5e-5)}, version=2, extension=".ckpt"),
    ),
    (
        "7 a version is no part of the value",
        "epoch=0-val_loss=0.40-v1.ckpt",
        Name({"epoch": Field("0", 0), "val_loss": Field("0.40", 0.4)}, version=1, extension=".ckpt"),
    ),
    ("8 a model's name, alone", "model-v2.ckpt", Name({}, prefix="model-v2", extension=".ckpt")),
    ("9 another last", "last-v1.ckpt", Name({}, version=1, roles=("last",), extension=".ckpt")),
    ("10 last behind", "epoch=2-last.ckpt", Name({"epoch": Field("2", 2)}, roles=("last",), extension=".ckpt")),
    (
        "10 best in front of fields",
        "best-epoch=3-val_loss=0.1.ckpt",
        Name({"epoch": Field("3", 3), "val_loss": Field("0.1", 0.1)}, prefix="best", extension=".ckpt"),
    ),
    (
        "16 bare numbers",
        "weights.05-0.32.hdf5",
        Name({"epoch": Field("05", 5)}, (Field("0.32", 0.32),), "weights", extension=".hdf5"),
    ),
    (
        "17 a double extension and a double dash",
        "002--2.5e-01.weights.h5",
        Name({"epoch": Field("002", 2)}, (Field("-2.5e-01", -0.25),), extension=".weights.h5"),
    ),
    (
        "18 decimals are no extension",
        "m--val_loss=2.31-step=1000-consumed_samples=256000.0",
        Name(
            {
                "val_loss": Field("2.31", 2.31),
                "step": Field("1000", 1000),
                "consumed_samples": Field("256000.0", 256000.0),
            },
            prefix="m",
        ),
    ),
    ("last in front", "last-epoch=2.ckpt", Name({"epoch": Field("2", 2)}, roles=("last",), extension=".ckpt")),
    ("the usual last", "last.ckpt", Name({}, roles=("last",), extension=".ckpt")),
    (
        "NAME_LAST with an underscore",
        "last_epoch=2.ckpt",
        Name({"epoch": Field("2", 2)}, roles=("last",), extension=".ckpt"),
    ),
    ("last behind a metric", "foo=1-last.ckpt", Name({"foo": Field("1", 1)}, roles=("last",), extension=".ckpt")),
    ("last at both ends", "last-foo=1-last.ckpt", Name({"foo": Field("1", 1)}, roles=("last",), extension=".ckpt")),
    ("the end of a word", "blast.ckpt", Name({}, prefix="blast", extension=".ckpt")),
    ("the beginning of a word", "lastfoo.ckpt", Name({}, prefix="lastfoo", extension=".ckpt")),
    ("a role and nothing in front", "-last.ckpt", Name({}, prefix="-last", extension=".ckpt")),
    ("the usual best", "best.ckpt", Name({}, roles=("best",), extension=".ckpt")),
    ("another best", "best-v1.ckpt", Name({}, version=1, roles=("best",), extension=".ckpt")),
    ("best and a word", "best_model.pth", Name({}, prefix="model", roles=("best",), extension=".pth")),
    ("a word and best", "model-best.h5", Name({}, prefix="model", roles=("best",), extension=".h5")),
    (
        "best with a number",
        "best-05-0.3.h5",
        Name({"epoch": Field("05", 5)}, (Field("0.3", 0.3),), "best", None, (), ".h5"),
    ),
    ("a twin of averages", "X-EMA.ckpt", Name({}, prefix="X", roles=("ema",), extension=".ckpt")),
    ("NeMo's marker", "X-last-EMA-unfinished", Name({}, prefix="X", roles=("last", "ema", "unfinished"))),
    ("a role twice", "X-last-last", Name({}, prefix="X-last", roles=("last",))),
    (
        "a version in front of a role",
        "x=1-v1-EMA.ckpt",
        Name({"x": Field("1", 1)}, version=1, roles=("ema",), extension=".ckpt"),
    ),
    ("one version at most", "x=1-v1-v2.ckpt", Name({"x": Field("1", 1)}, version=2, extension=".ckpt")),
    ("version 0", "epoch=4-v0.ckpt", Name({"epoch": Field("4", 4)}, version=0, extension=".ckpt")),
    ("the old version 0", "epoch=4_v0.ckpt", Name({"epoch": Field("4", 4)}, version=0, extension=".ckpt")),
    ("no number in front of _v", "epoch=4-x_v2.ckpt", Name({"epoch": Field("4", 4)}, extension=".ckpt")),
    ("a version behind words", "epoch02-v1.ckpt", Name({"epoch": Field("02", 2)}, version=1, extension=".ckpt")),
    ("a version of no save", "v" + "9" * 30 + ".ckpt", Name({}, prefix="v" + "9" * 30, extension=".ckpt")),
    ("the user's extension", "epoch=2.ckpt-v1.ckpt", Name({"epoch": Field("2", 2)}, version=1, extension=".ckpt")),
    ("the oldest style", "p_ckpt_epoch_4.ckpt", Name({"epoch": Field("4", 4)}, prefix="p_ckpt", extension=".ckpt")),
    (
        "the oldest version",
        "p_ckpt_epoch_4_v0.ckpt",
        Name({"epoch": Field("4", 4)}, prefix="p_ckpt", version=0, extension=".ckpt"),
    ),
    (
        "a prefix with dashes",
        "sample-mnist-epoch=02.ckpt",
        Name({"epoch": Field("02", 2)}, prefix="sample-mnist", extension=".ckpt"),
    ),
    ("a prefix without", "my_model_epoch=3.ckpt", Name({"epoch": Field("3", 3)}, prefix="my_model", extension=".ckpt")),
    ("a metric of an epoch", "train_loss_epoch=3.ckpt", Name({"train_loss_epoch": Field("3", 3)}, extension=".ckpt")),
    ("not a count", "my_model_epoch=0.3.ckpt", Name({"my_model_epoch": Field("0.3", 0.3)}, extension=".ckpt")),
    ("only an extension", ".ckpt", Name({}, prefix=".ckpt")),
    ("only an extension in a folder", "a=1-b/.ckpt", Name({"a": Field("1", 1)})),
    ("nothing", "", Name({})),
]


@pytest.mark.parametrize(("path", "expected"), [it[1:] for it in WHOLE], ids=[it[0] for it in WHOLE])
def test_a_name_is_read_whole(path: str, expected: Name) -> None:
    assert parse(path) == expected


WORDY = [
    ("m.01-nan.keras", {"epoch": "01"}, ["nan"], "m"),
    ("model_05.keras", {"epoch": "05"}, [], "model"),
    ("05-0.32-0.91.h5", {"epoch": "05"}, ["0.32", "0.91"], ""),
    ("-0.5.ckpt", {}, ["-0.5"], ""),
    ("0.5-3.ckpt", {}, ["0.5", "3"], ""),
    ("model-2024-05-01.pt", {}, ["2024", "05", "01"], "model"),
    ("model-20240501.pt", {}, ["20240501"], "model"),
    ("resnet50.pth", {}, [], "resnet50"),
    ("resnet50-03.pth", {"epoch": "03"}, [], "resnet50"),
    ("resnet50-epoch03.pth", {"epoch": "03"}, [], "resnet50"),
    ("sd-1.5-epoch03.pth", {"epoch": "03"}, [], "sd-1.5"),
    ("epoch02-0.32.pt", {"epoch": "02"}, ["0.32"], ""),
    ("epoch12,3456.pt", {"epoch": "12"}, ["3456"], ""),
    ("epoch02-5shot.pt", {"epoch": "02"}, [], ""),
    ("epoch02-v1.5.pt", {"epoch": "02"}, [], ""),
    ("epoch02-foo0.5.pt", {"epoch": "02", "foo": "0.5"}, [], ""),
    ("epoch02-fold1.pt", {"epoch": "02"}, [], ""),
    ("epoch02-top5-0.87.pt", {"epoch": "02", "top5": "0.87"}, [], ""),
    ("epoch02-val_acc90.pt", {"epoch": "02", "val_acc": "90"}, [], ""),
    ("epoch02-val_f10.32.pt", {"epoch": "02", "val_f1": "0.32"}, [], ""),
    ("epoch02-val_f1-0.32.pt", {"epoch": "02", "val_f1": "0.32"}, [], ""),
    ("epoch02-valf1.5.pt", {"epoch": "02", "valf": "1.5"}, [], ""),
    ("epoch02-val_lossnan.pt", {"epoch": "02", "val_loss": "nan"}, [], ""),
    ("epoch02-finance.pt", {"epoch": "02"}, [], ""),
    ("epoch02-val_loss--0.32.pt", {"epoch": "02", "val_loss": "-0.32"}, [], ""),
    ("epoch02-val_loss_-0.32.pt", {"epoch": "02", "val_loss": "-0.32"}, [], ""),
    ("epoch02-val_loss+0.32.pt", {"epoch": "02", "val_loss": "+0.32"}, [], ""),
    ("sample-val_loss0.32-epoch3.pt", {"val_loss": "0.32", "epoch": "3"}, [], "sample"),
    ("global_step_100.pt", {"global_step": "100"}, [], ""),
    ("run-global_step100-5x.pt", {"global_step": "100"}, [], "run"),
    ("lossless.pt", {}, [], "lossless"),
    ("run 10:30:05 x.pt", {}, [], "run 10:30:05 x"),
    ("footstep3.pt", {}, [], "footstep3"),
]


@pytest.mark.parametrize(("path", "fields", "bare", "prefix"), WORDY, ids=[it[0] for it in WORDY])
def test_without_an_equals_sign_a_word_becomes_a_key_on_good_grounds_only(
    path: str, fields: dict[str, str], bare: list[str], prefix: str
) -> None:
    name = parse(path)
    assert (texts(name), [field.text for field in name.bare], name.prefix) == (fields, bare, prefix)


def test_11_nan_is_kept_as_a_number_that_is_none() -> None:
    field = parse("epoch=2-val_loss=nan.ckpt").fields["val_loss"]
    assert field.text == "nan"
    assert field.number is not None
    assert isnan(field.number)


@pytest.mark.parametrize("text", ["00000nan", "NAN", "nan%", "+nan"])
def test_nan_is_known_in_every_dress(text: str) -> None:
    field = parse(f"x={text}.ckpt").fields["x"]
    assert (field.text, str(field.number)) == (text, "nan")


@pytest.mark.parametrize(("text", "number"), [("-000inf", -inf), ("INF", inf), ("inf%", inf), ("-INF", -inf)])
def test_infinity_is_known_in_every_dress(text: str, number: float) -> None:
    assert parse(f"x={text}.ckpt").fields["x"] == Field(text, number)


# What only the siblings tell.


@pytest.mark.parametrize(
    ("paths", "versions"),
    [
        (["model-v2.ckpt"], [None]),
        (["model.ckpt", "model-v2.ckpt"], [None, 2]),
        (["model-v1.ckpt", "model-v2.ckpt"], [1, 2]),
        (["model_v1.ckpt", "model.ckpt"], [1, None]),
        (["model-v1.ckpt", "other-v2.ckpt"], [None, None]),
        (["model.pt", "model-v2.ckpt"], [None, None]),
        (["test.ckpt", "test-v9.ckpt", "test-v10.ckpt", "test-v11.ckpt"], [None, 9, 10, 11]),
        (["epoch=0.ckpt", "epoch=1.ckpt", "epoch=0-v1.ckpt", "epoch=1-v1.ckpt"], [None, None, 1, 1]),
        (["last-v0.ckpt", "last-v1.ckpt"], [0, 1]),
        (["best.ckpt", "best-v1.ckpt"], [None, 1]),
        (["val_loss=0.50.ckpt", "val_loss=0.50-v1.ckpt"], [None, 1]),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_8_a_bare_name_has_a_version_where_a_sibling_shows_it(paths: list[str], versions: list[int | None]) -> None:
    assert [name.version for name in parse_folder(paths)] == versions


def test_15_a_dash_is_a_sign_where_a_sibling_writes_the_number_at_once() -> None:
    paths = ["epoch02-val_loss-0.32.ckpt", "epoch01-val_loss0.10.ckpt"]
    assert [numbers(name) for name in parse_folder(paths)] == [
        {"epoch": 2, "val_loss": -0.32},
        {"epoch": 1, "val_loss": 0.1},
    ]


def test_15_a_dash_is_a_separator_where_every_sibling_has_it() -> None:
    paths = ["epoch-02-val_loss-0.32.ckpt", "epoch-01-val_loss-0.10.ckpt"]
    assert [numbers(name)["val_loss"] for name in parse_folder(paths)] == [0.32, 0.1]


def test_27_a_colon_is_no_equals_sign_where_a_sibling_has_one() -> None:
    read = parse_folder(["note:3x-epoch=1.ckpt", "loss:0.5-note:x-step:3.ckpt"])
    assert [texts(name) for name in read] == [{"epoch": "1"}, {"loss": "0.5", "step": "3"}]


def test_the_order_of_the_names_does_not_matter() -> None:
    paths = ("epoch02-val_loss-0.32.pt", "epoch01-val_loss0.10.pt", "model-v2.pt", "model.pt", "05-0.3.h5")
    straight = dict(zip(paths, parse_folder(paths), strict=True))
    for order in permutations(paths):
        assert dict(zip(order, parse_folder(order), strict=True)) == straight


def test_names_of_one_shape_differ_in_their_numbers_only() -> None:
    names = parse_folder([f"x-epoch={n:02d}-val/loss={n / 8:.3f}-v{n % 2}.ckpt" for n in range(20)])
    assert [(texts(name), name.prefix, name.version, name.extension) for name in names] == [
        ({"epoch": f"{n:02d}", "val/loss": f"{n / 8:.3f}"}, "x", n % 2, ".ckpt") for n in range(20)
    ]


def test_a_template_goes_first_and_the_rest_is_read_without() -> None:
    names = parse_folder(["m.05-0.32.tpkc", "last.tpkc"], template=Template("m.{epoch}-{acc}"), extensions=(".tpkc",))
    assert [(texts(name), name.roles, name.extension) for name in names] == [
        ({"epoch": "05", "acc": "0.32"}, (), ".tpkc"),
        ({}, ("last",), ".tpkc"),
    ]


# What the caller knows.


@pytest.mark.parametrize(
    ("path", "known", "key", "prefix"),
    [
        ("sample-val-acc=0.87.ckpt", (), "acc", "sample-val"),
        ("sample-val-acc=0.87.ckpt", {"val-acc"}, "val-acc", "sample"),
        ("sample-val-acc=0.87.ckpt", {"acc", "val-acc"}, "val-acc", "sample"),
        ("last_loss=0.87.ckpt", {"last_loss"}, "last_loss", ""),
        ("my_epoch=3.ckpt", {"my_epoch"}, "my_epoch", ""),
        ("a-val-zeta0.87.ckpt", {"val-zeta"}, "val-zeta", "a"),
        ("run_zeta0.87.ckpt", {"run/zeta"}, "run_zeta", ""),
        ("epoch1-zeta10.87.ckpt", {"zeta1"}, "epoch", ""),
    ],
)
def test_a_known_metric_says_where_the_key_begins(path: str, known: set[str], key: str, prefix: str) -> None:
    name = parse(path, known=known)
    assert (next(iter(name.fields)), name.prefix) == (key, prefix)


def test_a_known_metric_keeps_the_digits_that_end_it() -> None:
    assert texts(parse("epoch1-zeta10.87.ckpt", known={"zeta1"})) == {"epoch": "1", "zeta1": "0.87"}


@pytest.mark.parametrize(
    ("path", "equals", "join", "fields", "prefix", "version"),
    [
        ("pre+epoch~2+loss~0.3+v4.ckpt", "~", "+", {"epoch": "2", "+loss": "0.3"}, "pre", 4),
        ("pre_epoch:2_loss:0.3_v4.ckpt", ":", "_", {"epoch": "2", "loss": "0.3"}, "pre", 4),
        ("epoch_is_2-loss_is_0.3.ckpt", "_is_", "-", {"epoch": "2", "loss": "0.3"}, "", None),
        ("epoch_2-val_loss_0.3.ckpt", "_", "-", {"epoch": "2", "val_loss": "0.3"}, "", None),
        ("epoch2-val_loss0.3.ckpt", "", "", {"epoch": "2", "val_loss": "0.3"}, "", None),
    ],
)
def test_the_characters_between_can_be_others(
    path: str, equals: str, join: str, fields: dict[str, str], prefix: str, version: int | None
) -> None:
    name = parse(path, equals=equals, join=join)
    assert (texts(name), name.prefix, name.version) == (fields, prefix, version)


@pytest.mark.parametrize("extensions", [(".ckpt", ".tpkc"), ("", ".tpkc"), (".tpkc",), (".x.tpkc", ".tpkc")])
def test_other_extensions_are_taken_off(extensions: tuple[str, ...]) -> None:
    name = parse("epoch=0-step=1.tpkc", extensions=extensions)
    assert (texts(name), name.extension) == ({"epoch": "0", "step": "1"}, ".tpkc")


def test_of_two_extensions_the_longer_is_taken() -> None:
    assert parse("epoch=0.x.tpkc", extensions=(".tpkc", ".x.tpkc")).extension == ".x.tpkc"


def test_an_extension_of_digits_costs_the_speed_and_not_the_truth() -> None:
    names = parse_folder(["a=1.5", "a=2.5"], extensions=(".5",))
    assert [(texts(name), name.extension) for name in names] == [({"a": "1"}, ".5"), ({"a": "2"}, ".5")]


def test_the_known_extensions_are_tried_longest_first() -> None:
    assert list(EXTENSIONS) == sorted(EXTENSIONS, key=len, reverse=True)


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_each_known_extension_is_told(extension: str) -> None:
    assert parse(f"epoch=1{extension}") == Name({"epoch": Field("1", 1)}, extension=extension)


# Folders that a slash made.

FOLDERS = [
    ("epoch=1-val", True),
    ("epoch=4_val", True),
    ("epoch=1, val", True),
    ("epoch=1-loss=nan-val", True),
    ("epoch=1-flag=True-val", True),
    ("epoch=1-a/b", True),
    ("epoch=1-step=2.ckpt", False),
    ("epoch=1-val.ckpt", False),
    ("m--val_loss=2.31-step=1000-consumed_samples=256000.0", False),
    ("m--val_loss=2.31-last", False),
    ("epoch=2-v1", False),
    ("epoch=2-", False),
    ("lr=0.1,model=vit-b", False),
    ("lr=0.1,model=7b-tuned", False),
    ("lr=0.1", False),
    ("flag=True", False),
    ("checkpoints", False),
    ("epoch:1-val", False),
    ("", False),
]


@pytest.mark.parametrize(("folder", "cut"), FOLDERS, ids=[it[0] for it in FOLDERS])
def test_a_folder_is_cut_where_a_key_begins_behind_its_last_value(folder: str, cut: bool) -> None:
    assert is_cut_by_slash(folder) is cut


def test_a_folder_is_cut_by_the_callers_equals_sign() -> None:
    assert is_cut_by_slash("epoch:1-val", equals=":")
    assert not is_cut_by_slash("epoch:1-val", equals="")


# Whatever a file may be called. That the work grows with the length and not faster is reasoned, not timed: patterns are
# anchored or their neighbouring parts cannot match the same character, roles bound the rounds over endings, and what is
# longer than 4096 characters is not taken apart.

HOSTILE = {
    "runs of a key": "a-" * 100_000,
    "equals signs": "=" * 255,
    "zeros": "0" * 255,
    "dashes": "-" * 255,
    "zeros up to the limit": "0" * 4096,
    "keys without end": "a1_" * 1365,
    "values without end": "a=1-" * 1024,
    "roles without end": "-last" * 819,
    "versions without end": "-v1" * 1365,
    "extensions without end": ".ckpt" * 819,
    "colons": "a:1" * 1300,
    "groups without end": "1,234" * 800,
    "points": "1." * 2048,
    "exponents": "1e1" * 1300,
    "an exponent that no float has": "a=1e" + "9" * 4000,
    "a repeated one": "a=0.1e-" + "9" * 300 + "-a=0.11e-" + "9" * 300,
    "a version that no int should be": "a=1-v" + "9" * 4000,
    "an open vector": "a=tensor(" + "[" * 4000,
    "control characters": "".join(map(chr, range(32))) + "epoch=\x1b[31m1\x7f.ckpt",
    "lone surrogates": "\udcff=\udc80-epoch=1\ud800.ckpt",
    "other digits": "epoch=٣-loss=²-x=Ⅻ.ckpt",
    "another direction": "\u202eepoch=1-\u2066loss=2.ckpt",
    "null": "\0=\0",
    "a tree": "/" * 4000 + "a=1/",
}


@pytest.mark.parametrize("path", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize(("equals", "join"), [("=", "-"), (":", "_"), ("", ""), ("-", "="), ("0", "1"), ("=", "last")])
def test_no_name_is_too_strange(path: str, equals: str, join: str) -> None:
    read = parse_folder([path, path, f"x{path}"], equals=equals, join=join, known={"x", "a"})
    assert repr(read[0]) == repr(read[1])
    assert isinstance(is_cut_by_slash(path, equals), bool)
    assert Template("{epoch:02d}-{a}.{b:8.2f}", equals=equals, join=join).match(path) is None


def test_what_no_system_can_name_is_text() -> None:
    assert parse("epoch=1-" * 513) == Name({}, prefix="epoch=1-" * 513)

from __future__ import annotations

from math import inf, nan

import pytest

from ckptctl.core.names.fields import kind_of_field
from ckptctl.core.names.parse import Field, Name
from ckptctl.core.names.template import Template
from ckptctl.errors import UsageError

# What Lightning 2.6.6 wrote, from float64 and int64 tensors: template, auto_insert_metric_name, metrics, name.
WRITTEN: list[tuple[str, bool, dict[str, object], str]] = [
    ("", True, {"epoch": 0, "step": 10}, "epoch=0-step=10"),
    ("{epoch}", True, {"epoch": 7}, "epoch=7"),
    ("{epoch:03d}", True, {"epoch": 7}, "epoch=007"),
    ("{epoch:02d}-{val_loss:.2f}", True, {"epoch": 2, "val_loss": 0.32}, "epoch=02-val_loss=0.32"),
    ("{epoch}-{lr:.4g}", True, {"epoch": 2, "lr": 1e-05}, "epoch=2-lr=1e-05"),
    ("{lr:.0e}", True, {"lr": 1e-05}, "lr=1e-05"),
    ("{lr}", True, {"lr": 1e-05}, "lr=1e-05"),
    ("{val_loss:.2f}", True, {"val_loss": -0.32}, "val_loss=-0.32"),
    ("{val_loss:.2f}", True, {"val_loss": nan}, "val_loss=nan"),
    ("{val_loss:.2f}", True, {"val_loss": -inf}, "val_loss=-inf"),
    ("{val_loss:+.2f}", True, {"val_loss": 0.32}, "val_loss=+0.32"),
    ("{val_loss:08.2f}", True, {"val_loss": nan}, "val_loss=00000nan"),
    ("{acc:02.0f}", True, {"acc": 1.12}, "acc=01"),
    ("{acc:.1%}", True, {"acc": 0.876}, "acc=87.6%"),
    ("{big:,.2f}", True, {"big": 1234567.875}, "big=1,234,567.88"),
    ("{big:_d}", True, {"big": 1234567}, "big=1_234_567"),
    ("{x:8.2f}", True, {"x": 0.32}, "x=    0.32"),
    ("{x:<8.2f}|", True, {"x": 0.32}, "x=0.32    |"),
    ("{x:*^9.2f}", True, {"x": 0.32}, "x=**0.32***"),
    ("{x:=+8.2f}", True, {"x": 0.32}, "x=+   0.32"),
    ("{x: .1f}", True, {"x": 0.32}, "x= 0.3"),
    ("{x:#.3g}", True, {"x": 1.0}, "x=1.00"),
    ("{x:n}", True, {"x": 5}, "x=5"),
    ("{x:E}", True, {"x": 0.5}, "x=5.000000E-01"),
    ("{x:G}", True, {"x": 1e-09}, "x=1E-09"),
    ("{x:F}", True, {"x": inf}, "x=INF"),
    ("{epoch}_{val/loss:.5f}", True, {"epoch": 4, "val/loss": 0.03}, "epoch=4_val/loss=0.03000"),
    ("{a/b/loss:.1f}", True, {"a/b/loss": 0.4}, "a/b/loss=0.4"),
    ("{top-5:.2f}", True, {"top-5": 0.87}, "top-5=0.87"),
    ("{mAP@0.50:.2f}", True, {"mAP@0.50": 0.87}, "mAP@0.50=0.87"),
    ("{f1.macro:.2f}", True, {"f1.macro": 0.87}, "f1.macro=0.87"),
    ("{val loss:.2f}", True, {"val loss": 0.87}, "val loss=0.87"),
    (
        "m--{val_loss:.2f}-{step}-{consumed_samples}",
        True,
        {"val_loss": 2.31, "step": 1000, "consumed_samples": 256000.0},
        "m--val_loss=2.31-step=1000-consumed_samples=256000.0",
    ),
    ("{epoch}-{val_loss:.2f}.ckpt", True, {"epoch": 2, "val_loss": 0.32}, "epoch=2-val_loss=0.32.ckpt"),
    ("{missing:.2f}", True, {}, "missing=0.00"),
    ("{missing}", True, {}, "missing=0"),
    ("{missing:02d}", True, {}, "missing=00"),
    ("{epoch}-{epoch_test}", True, {"epoch": 3, "epoch_test": 4}, "epoch=3-epoch_test=4"),
    ("{epoch_test}-{epoch}-{epoch:03d}", True, {"epoch": 3, "epoch_test": 4}, "epoch_test=4-epoch=3-epoch=003"),
    ("{flag}", True, {"flag": True}, "flag=True"),
    ("{flag:.1f}", True, {"flag": True}, "flag=1.0"),
    ("{epoch:}", True, {"epoch": 3}, "epoch=3"),
    ("best", True, {"epoch": 3}, "best"),
    ("sample-mnist-{epoch:02d}", True, {"epoch": 3}, "sample-mnist-epoch=03"),
    ("{epoch},{acc:.5f}", True, {"epoch": 3, "acc": 0.03}, "epoch=3,acc=0.03000"),
    ("{epoch}{step}", True, {"epoch": 1, "step": 2}, "epoch=1step=2"),
    ("epoch{epoch:02d}", True, {"epoch": 1}, "epochepoch=01"),
    ("epoch{epoch:02d}-val_loss{val/loss:.2f}", False, {"epoch": 2, "val/loss": -0.32}, "epoch02-val_loss-0.32"),
    ("epoch:{epoch}-val_loss:{val/loss:.4g}", False, {"epoch": 2, "val/loss": 1e-05}, "epoch:2-val_loss:1e-05"),
    (
        "epoch={epoch}-validation_loss={val_loss:.2f}",
        False,
        {"epoch": 2, "val_loss": 0.123456},
        "epoch=2-validation_loss=0.12",
    ),
    ("{epoch:02d}-{val_loss:.2f}", False, {"epoch": 2, "val_loss": 0.32}, "02-0.32"),
    ("{epoch}-{epoch_test}", False, {"epoch": 3, "epoch_test": 4}, "3-4"),
    ("x-{missing}", False, {}, "x-0"),
]


@pytest.mark.parametrize(
    ("text", "auto_insert", "values", "expected"), WRITTEN, ids=[f"{it[0]}->{it[3]}" for it in WRITTEN]
)
def test_a_name_is_written_as_lightning_writes_it(
    text: str, auto_insert: bool, values: dict[str, object], expected: str
) -> None:
    assert Template(text, auto_insert=auto_insert).format(values) == expected


AROUND: list[tuple[str, dict[str, object], dict[str, str], str]] = [
    ("{epoch}", {"version": 1}, {}, "epoch=2-v1.ckpt"),
    ("{epoch}", {"prefix": "pre"}, {}, "pre-epoch=2.ckpt"),
    ("", {"prefix": "pre", "version": 12}, {}, "pre-epoch=2-step=3-v12.ckpt"),
    ("{epoch}", {"version": 1}, {"equals": ":", "join": "_"}, "epoch:2_v1.ckpt"),
    ("{epoch}", {"prefix": "pre"}, {"equals": ":", "join": "_"}, "pre_epoch:2.ckpt"),
    ("", {"prefix": "pre", "version": 12}, {"equals": ":", "join": "_"}, "pre_epoch:2_step:3_v12.ckpt"),
]


@pytest.mark.parametrize(("text", "around", "characters", "expected"), AROUND, ids=[it[3] for it in AROUND])
def test_prefix_version_and_extension_stand_where_lightning_puts_them(
    text: str, around: dict[str, object], characters: dict[str, str], expected: str
) -> None:
    template = Template(text, **characters)  # type: ignore[arg-type]
    assert template.format({"epoch": 2, "step": 3}, extension=".ckpt", **around) == expected  # type: ignore[arg-type]


# What Keras 3 and tf.keras write: filepath, epoch (counted from 1) and logs, name.
BY_KERAS: list[tuple[str, dict[str, object], str]] = [
    ("weights.{epoch:02d}-{val_loss:.2f}.hdf5", {"epoch": 5, "val_loss": 0.32}, "weights.05-0.32.hdf5"),
    ("{epoch:03d}-{val_loss:.1e}.weights.h5", {"epoch": 2, "val_loss": -0.25}, "002--2.5e-01.weights.h5"),
    ("runs/{epoch}/m.keras", {"epoch": 1}, "runs/1/m.keras"),
    ("{{{epoch}}}.keras", {"epoch": 1}, "{1}.keras"),
    ("m.keras", {}, "m.keras"),
]


@pytest.mark.parametrize(("text", "values", "expected"), BY_KERAS, ids=[it[2] for it in BY_KERAS])
def test_a_name_is_written_as_keras_writes_it(text: str, values: dict[str, object], expected: str) -> None:
    assert Template(text, style="filepath").format(values) == expected


def test_keras_does_not_write_what_was_not_logged() -> None:
    template = Template("{epoch:02d}-{val_loss:.2f}.keras", style="filepath")
    with pytest.raises(UsageError, match=r"there is no value for \{val_loss\}") as raised:
        template.format({"epoch": 1, "loss": 0.5})
    assert (raised.value.id, raised.value.hint) == ("template", "values given: epoch, loss")


def test_keras_without_any_value_says_so() -> None:
    with pytest.raises(UsageError) as raised:
        Template("{epoch}.keras", style="filepath").format({})
    assert raised.value.hint == "values given: none"


@pytest.mark.parametrize(
    ("text", "value", "hint"),
    [("{acc:02d}", 80.0, "d is for whole numbers; .2f, .4g and the like take any"), ("{acc:.2f}", "good", None)],
)
def test_a_value_that_the_spec_cannot_write_is_an_error(text: str, value: object, hint: str | None) -> None:
    with pytest.raises(UsageError, match=f"cannot write {value!r}") as raised:
        Template(text).format({"acc": value})
    assert (raised.value.id, raised.value.hint) == ("template", hint)


BAD = [
    ("{", "'{' at 0 has no partner"),
    ("{epoch", "'{' at 0 has no partner"),
    ("epoch}", "'}' at 5 has no partner"),
    ("{{epoch}}", "'{{' at 0 has no partner"),
    ("{x:{width}}", "'{' at 0 has no partner"),
    ("{}", "the field {} has no name"),
    ("{:02d}", "the field {} has no name"),
    ("{0}", "the field {0} has no name"),
    ("{x!r}", "the field {x!r} has a conversion"),
    ("{x!s:>8}", "the field {x!s} has a conversion"),
    ("{x[0]}", "the field {x[0]} has brackets"),
    ("{x:zz}", "'zz' in {x:zz} is no format of a number"),
    ("{x:s}", "'s' in {x:s} is no format of a number"),
    ("{x:x}", "'x' in {x:x} is no format of a number"),
    ("{x:1>8}", "'1>8' in {x:1>8} is no format of a number"),
    ("{x:.2d}", "'.2d' in {x:.2d} is no format of a number"),
    ("{x:99999d}", "'99999d' in {x:99999d} is no format of a number"),
    ("{x}-" * 17, "it has more than 16 fields"),
]


@pytest.mark.parametrize(("text", "why"), BAD, ids=[it[0] for it in BAD])
def test_a_bad_template_is_an_error_of_one_line(text: str, why: str) -> None:
    with pytest.raises(UsageError) as raised:
        Template(text)
    assert (raised.value.id, raised.value.text) == ("template", f"template {text!r}: {why}")


def test_a_bad_template_says_how_a_good_one_looks() -> None:
    with pytest.raises(UsageError) as raised:
        Template("{val_loss:.2}f}")
    assert raised.value.hint == "a field is {name} or {name:.2f}"


def test_the_fields_are_told_once_in_written_order() -> None:
    assert Template("{step}-{val/loss:.2f}-{step:03d}").fields == ("step", "val/loss")


def test_a_template_shows_its_text() -> None:
    assert repr(Template("")) == "Template('{epoch}-{step}')"


SIMPLE = "{epoch:02d}-{val_loss:.2f}"
OFF = "epoch{epoch:02d}-val_loss{val/loss:.2f}"

MATCHES: list[tuple[str, str, dict[str, str], str]] = [
    (SIMPLE, "epoch=02-val_loss=0.32.ckpt", {"epoch": "02", "val_loss": "0.32"}, ""),
    (SIMPLE, "epoch=02-val_loss=0.32", {"epoch": "02", "val_loss": "0.32"}, ""),
    (SIMPLE, "02-0.32.ckpt", {"epoch": "02", "val_loss": "0.32"}, ""),
    (SIMPLE, "02--0.32.ckpt", {"epoch": "02", "val_loss": "-0.32"}, ""),
    (SIMPLE, "102-nan.ckpt", {"epoch": "102", "val_loss": "nan"}, ""),
    (SIMPLE, "weights-02-0.32", {"epoch": "02", "val_loss": "0.32"}, "weights"),
    (SIMPLE, "sample-mnist-epoch=02-val_loss=0.32", {"epoch": "02", "val_loss": "0.32"}, "sample-mnist"),
    (OFF, "epoch02-val_loss0.32", {"epoch": "02", "val/loss": "0.32"}, ""),
    (OFF, "epoch02-val_loss-0.32", {"epoch": "02", "val/loss": "-0.32"}, ""),
    (OFF, "epochepoch=02-val_lossval/loss=0.32", {"epoch": "02", "val/loss": "0.32"}, ""),
    ("epoch:{epoch}-val_loss:{val/loss:.4g}", "epoch:3-val_loss:1e-05.ckpt", {"epoch": "3", "val/loss": "1e-05"}, ""),
    ("weights.{epoch:02d}-{val_loss:.2f}.hdf5", "weights.05-0.32.hdf5", {"epoch": "05", "val_loss": "0.32"}, "weights"),
    ("a/b/w_{epoch}.keras", "w_3.keras", {"epoch": "3"}, "w"),
    ("a/b/w_{epoch}.keras", "a/b/w_3.keras", {"epoch": "3"}, "w"),
    ("{epoch}-{val_loss}", "05-0.32.h5", {"epoch": "05", "val_loss": "0.32"}, ""),
    ("{epoch}-{val_loss:.2f}.ckpt", "epoch=2-val_loss=0.32.ckpt.ckpt", {"epoch": "2", "val_loss": "0.32"}, ""),
    ("{epoch}.{val_loss}", "5.0.32", {"epoch": "5", "val_loss": "0.32"}, ""),
    ("{epoch}-{lr:.0e}", "3-1e-05", {"epoch": "3", "lr": "1e-05"}, ""),
    ("{lr:.4g}", "1e-05", {"lr": "1e-05"}, ""),
    ("{x:8.2f}", "x=    0.32", {"x": "0.32"}, ""),
    ("{x:<8.2f}|", "x=0.32    |", {"x": "0.32"}, ""),
    ("{x:*^9.2f}", "x=**0.32***", {"x": "0.32"}, ""),
    ("{x:0>4}", "x=0012", {"x": "0012"}, ""),
    ("{x:+.2f}", "x=+0.32", {"x": "+0.32"}, ""),
    ("{x: .1f}", "x= 0.3", {"x": "0.3"}, ""),
    ("{x:,.2f}", "x=1,234,567.88", {"x": "1,234,567.88"}, ""),
    ("{x:_d}", "x=1_234_567", {"x": "1_234_567"}, ""),
    ("{x:,d}", "x=-1,234", {"x": "-1,234"}, ""),
    ("{x:.1%}", "x=87.6%", {"x": "87.6%"}, ""),
    ("{x:n}", "x=5", {"x": "5"}, ""),
    ("{x:08.2f}", "x=00000nan", {"x": "00000nan"}, ""),
    ("{x:08.2f}", "x=-0000inf", {"x": "-0000inf"}, ""),
    ("{x:E}", "x=5.000000E-01", {"x": "5.000000E-01"}, ""),
    ("{x:.3}", "x=0.123", {"x": "0.123"}, ""),
    ("{x:03}", "x=007", {"x": "007"}, ""),
    ("{flag}", "flag=True", {"flag": "True"}, ""),
    ("{epoch}{step}", "epoch=1step=2", {"epoch": "1", "step": "2"}, ""),
    ("{epoch}-{epoch:03d}", "epoch=1-epoch=001", {"epoch": "1"}, ""),
    ("{x:.2f}-{x:.4f}", "x=0.32-x=0.3210", {"x": "0.3210"}, ""),
    ("sample-epoch{epoch}", "sample-epoch3", {"epoch": "3"}, "sample"),
    ("", "epoch=1-step=2", {"epoch": "1", "step": "2"}, ""),
    ("{name}_{step}_{val_loss:.3f}", "a_b_7_0.250.pt", {"name": "a_b", "step": "7", "val_loss": "0.250"}, ""),
    ("{name}{epoch}", "net12.pt", {"name": "net", "epoch": "12"}, ""),
    ("{epoch}_{name}", "3_a-v1.pt", {"epoch": "3", "name": "a-v1"}, ""),
    ("{epoch}_{name}.ckpt", "3_a-v1.ckpt", {"epoch": "3", "name": "a-v1"}, ""),
    ("{name:>5}_{epoch:>3}", "    a_  3", {"name": "a", "epoch": "3"}, ""),
    ("{name:_<5s}.{epoch}", "a____.3", {"name": "a", "epoch": "3"}, ""),
    ("{date:%Y%m%d}_{step}", "20240105_3", {"date": "20240105", "step": "3"}, ""),
    ("{name}_{arch}_{data}_{epoch}", "a_b_c_3", {"name": "a", "arch": "b", "data": "c", "epoch": "3"}, ""),
    ("{odd}-{epoch}", "three-4", {"odd": "three", "epoch": "4"}, ""),
    ("{args.name}-{loss.item():.2f}", "x-0.25", {"args.name": "x", "loss.item()": "0.25"}, ""),
    ("m[.*]+_{epoch}", "m[.*]+_3.pt", {"epoch": "3"}, "m[.*]+"),
    ("{arch}_{epoch}", "ünet_\uff13_4", {"arch": "ünet_\uff13", "epoch": "4"}, ""),
]


@pytest.mark.parametrize(("text", "stem", "fields", "prefix"), MATCHES, ids=[f"{it[0]}<-{it[1]}" for it in MATCHES])
def test_a_name_that_fits_tells_its_fields(text: str, stem: str, fields: dict[str, str], prefix: str) -> None:
    name = Template(text).match(stem)
    assert name is not None
    assert ({key: field.text for key, field in name.fields.items()}, name.prefix) == (fields, prefix)


MISFITS = [
    ("a spec's digits are counted", SIMPLE, "2-0.32"),
    ("and its decimals", SIMPLE, "02-0.321"),
    ("and its zeros", "{x:05d}", "x=000001"),
    ("a point could belong to either number", "{a}.{b}", "5.0.32"),
    ("a sign could be a prefix's join", "{x:.2f}", "pre--0.32"),
    ("a number is no prefix", SIMPLE, "11-02-0.32"),
    ("another field is no prefix", SIMPLE, "foo=1-epoch=02-val_loss=0.32"),
    ("numbers run together", "{epoch}{step}", "12"),
    ("digits do not part numbers", "{epoch}0{step}", "1001"),
    ("some names are there and others not", SIMPLE, "epoch=02-0.32"),
    ("something is behind", SIMPLE, "02-0.32-tuned"),
    ("something is missing", SIMPLE, "02"),
    ("no float holds it", "{x}", "x=1e999"),
    ("padding of another width", "{x:8.2f}", "x=   0.32"),
    ("a flag has no decimals", "{x:.2f}", "x=True"),
    ("a sign that the spec does not write", "{x:.2f}", "x=+0.32"),
    ("more digits than Python reads", "{x:d}", "x=" + "1" * 4090),
    ("longer than any path", SIMPLE, "x" * 5000 + "-02-0.32"),
    ("there is nothing to tell", "best", "best"),
    ("words could end at either gap", "{name}_{arch}_{epoch}", "a_b_c_3"),
    ("words are more than padding", "{name:>3}_{epoch}", "   _3"),
    ("a date has digits", "{date}_{epoch}", "today_3"),
    ("a setting is a number", "{seed}_{epoch}", "model_3"),
    ("words are in no other folder", "{name}_{epoch}", "a/b/_3"),
    ("digits of other scripts are no number", "m_{epoch}", "m_\uff13"),
    ("longer than any file's name", "{name}_{epoch}", "_" * 255 + "3"),
]


@pytest.mark.parametrize(("text", "stem"), [it[1:] for it in MISFITS], ids=[it[0] for it in MISFITS])
def test_a_name_that_fits_in_no_way_or_in_two_is_not_guessed(text: str, stem: str) -> None:
    assert Template(text).match(stem) is None


ENDINGS = [
    ("{epoch}", "epoch=2-v3.ckpt", Name({"epoch": Field("2", 2)}, version=3, extension=".ckpt")),
    ("{epoch}", "epoch=2_v0.ckpt", Name({"epoch": Field("2", 2)}, version=0, extension=".ckpt")),
    ("{epoch}", "epoch=2-last-v1", Name({"epoch": Field("2", 2)}, version=1, roles=("last",))),
    ("{epoch}-last", "epoch=2-last-v1", Name({"epoch": Field("2", 2)}, version=1, roles=("last",))),
    ("{epoch}", "last-epoch=2", Name({"epoch": Field("2", 2)}, roles=("last",))),
    ("last-{epoch}", "last-epoch=2", Name({"epoch": Field("2", 2)}, roles=("last",))),
    ("{epoch}", "epoch=2-EMA.ckpt", Name({"epoch": Field("2", 2)}, roles=("ema",), extension=".ckpt")),
    ("{epoch}.ckpt", "epoch=2.ckpt-v1.ckpt", Name({"epoch": Field("2", 2)}, version=1, extension=".ckpt")),
    ("{epoch}-v2", "epoch=2-v2-v1", Name({"epoch": Field("2", 2)}, version=1)),
    ("{epoch}-v2", "epoch=2-v2", Name({"epoch": Field("2", 2)})),
    ("best-{epoch}", "best-epoch=2", Name({"epoch": Field("2", 2)}, prefix="best")),
    ("m-{epoch}", "pre-m-epoch=2", Name({"epoch": Field("2", 2)}, prefix="pre-m")),
]


@pytest.mark.parametrize(("text", "stem", "expected"), ENDINGS, ids=[f"{it[0]}<-{it[1]}" for it in ENDINGS])
def test_versions_roles_and_prefixes_around_a_template_are_read(text: str, stem: str, expected: Name) -> None:
    assert Template(text).match(stem) == expected


def test_a_number_is_worth_what_it_says() -> None:
    name = Template("{acc:.1%}-{x:,.2f}-{y:_d}-{z}").match("acc=87.6%-x=1,234.50-y=1_000-z=-inf")
    assert name is not None
    assert [field.number for field in name.fields.values()] == [0.876, 1234.5, 1000, -inf]


def test_a_template_matches_with_its_own_characters() -> None:
    template = Template("{epoch}", equals=":", join="+")
    assert template.match("pre+epoch:2+v3") == Name({"epoch": Field("2", 2)}, prefix="pre", version=3)


@pytest.mark.parametrize("ending", ["", ".tpkc", ".checkpoint", ".pth.tar", ".t7"])
def test_a_template_fits_whole_names_of_any_ending(ending: str) -> None:
    name = Template("G_{step}-{val_loss:.2f}").match(f"G_1000-0.32{ending}")
    assert name is not None
    assert {key: field.text for key, field in name.fields.items()} == {"step": "1000", "val_loss": "0.32"}


HOSTILE = [("{name}_{arch}_{epoch}", "_" * 254 + "x"), ("{name}-{odd}_{date}_{time}_x{epoch}", "_-" * 120 + "y")]


@pytest.mark.parametrize(("text", "stem"), HOSTILE, ids=[it[0] for it in HOSTILE])
def test_a_name_full_of_gaps_fits_no_words(text: str, stem: str) -> None:
    assert Template(text).match(stem) is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("epoch", "count"),
        ("globalStep", "count"),
        ("args.iter", "count"),
        ("i", "count"),
        ("val_loss", "measure"),
        ("f1", "measure"),
        ("loss.item()", "measure"),
        ("fold", "setting"),
        ("lr", "setting"),
        ("model_name", "text"),
        ("run", "text"),
        ("start_time", "time"),
        ("wimp", "unknown"),
        ("%", "unknown"),
    ],
)
def test_a_field_means_what_its_last_word_says(name: str, kind: str) -> None:
    assert kind_of_field(name) == kind

"""What is written is read back, and what is read quickly is read truly."""

from __future__ import annotations

from math import inf, isclose, isfinite, nan
from typing import NamedTuple

from hypothesis import assume, example, given
from hypothesis import strategies as st

from ckptctl.core.names.parse import Field, Name, parse, parse_folder
from ckptctl.core.names.template import Template


class Plan(NamedTuple):
    """Everything that a name is written from."""

    text: str
    values: dict[str, float]
    expected: dict[str, str]
    prefix: str
    version: int | None


KEYS = ["val loss", *"epoch step val_loss val/loss top-5 mAP@0.50 f1.macro lr epoch_test 5shot_acc".split()]
PLAIN_SPECS = ["", " .2f", *".2f .4f .3e .4g .1% ,.2f 8.2f <8.2f +.2f 08.3f .0e 04.0f E G".split()]
SPECIAL_SPECS = ["*>9.2f", "=+9.2f", "_.1f"]
"""What only the template tells from text: other padding, padding behind the sign, underscores between thousands."""
WHOLE_SPECS = ["", "d", "02d", "05d", ",d", "+d"]


def is_plain(key: str) -> bool:
    """Whether the grammar can hold a key.

    Left out: what looks like a separator, like the end of free text (``--``) or like a name that was inserted twice;
    and a key without a letter, which is a number. A comma is followed by a space below: ``1,234x`` may be thousands.
    """
    half = len(key) // 2
    doubled = half >= 3 and key[:half].replace("/", "_") == key[half:].replace("/", "_")
    return key.strip("-_., /") == key and "--" not in key and any(map(str.isalpha, key)) and not doubled


keys = st.sampled_from(KEYS) | st.text("abxyvE059_./@-", min_size=1, max_size=9).filter(is_plain)
separators = st.sampled_from(["-", "_", ", ", "--", " "])
prefixes = st.sampled_from(["", "pre", "sample-mnist", "m-", "best", "resnet50"])
# A number that is rounded up beyond what floats can hold is no number any more.
finite = st.floats(-1e300, 1e300)
values = finite | st.sampled_from([nan, inf, -inf, 0.32, -0.32, 1e-5, -1.5e-5, 1234567.9, 87.6, 0.0, 3.0])


@st.composite
def plans(draw: st.DrawFn, *, specs: list[str]) -> Plan:
    """A template with values, and the texts that they are written as."""
    names = draw(st.lists(keys, min_size=1, max_size=4, unique=True))
    text = ""
    numbers: dict[str, float] = {}
    expected: dict[str, str] = {}
    for name in names:
        is_whole = name in ("epoch", "step")
        spec = draw(st.sampled_from(WHOLE_SPECS if is_whole else specs))
        numbers[name] = draw(st.integers(0, 10**9)) if is_whole else draw(values)
        expected[name] = format(numbers[name], spec).replace(" ", "").replace("*", "")
        text += (draw(separators) if text else "") + (f"{{{name}:{spec}}}" if spec else f"{{{name}}}")
    return Plan(text, numbers, expected, draw(prefixes), draw(st.none() | st.integers(0, 999)))


def agrees(name: Name, plan: Plan) -> bool:
    """Whether a name says what was written, in order, and each number is what its text says."""
    return (
        [(key, field.text) for key, field in name.fields.items()] == list(plan.expected.items())
        and all(is_worth_its_text(field) for field in name.fields.values())
        and (name.version, name.prefix, name.bare) == (plan.version, plan.prefix.strip("-"), ())
    )


def is_worth_its_text(field: Field) -> bool:
    if field.number is None or not isfinite(field.number):
        return field.text.lower().lstrip("+-0").rstrip("%") == str(field.number).lstrip("-")
    plain = float(field.text.replace(",", "").replace("_", "").rstrip("%"))
    return isclose(field.number, plain / 100 if field.text.endswith("%") else plain, rel_tol=1e-15)


@given(plans(specs=PLAIN_SPECS), st.sampled_from(["=", ":", "~"]))
def test_what_lightning_would_write_is_parsed_back(plan: Plan, equals: str) -> None:
    stem = Template(plan.text, equals=equals).format(plan.values, prefix=plan.prefix, version=plan.version)
    first = next(iter(plan.values))
    assert agrees(parse(f"{stem}.ckpt", known={first}, equals=equals), plan)


@given(plans(specs=[*PLAIN_SPECS, *SPECIAL_SPECS]), st.sampled_from(["=", ":", "~"]))
def test_what_a_template_writes_it_matches(plan: Plan, equals: str) -> None:
    template = Template(plan.text, equals=equals)
    name = template.match(template.format(plan.values, prefix=plan.prefix, version=plan.version))
    assert name is not None
    assert agrees(name, plan)


@given(plans(specs=[*PLAIN_SPECS, *SPECIAL_SPECS]))
@example(Plan("{x:.2f}", {"x": -0.32}, {"x": "-0.32"}, "pre", None))
def test_what_a_template_writes_without_names_it_matches_or_leaves(plan: Plan) -> None:
    """Left, where a sign could be a join, or where a separator could be a number's own character."""
    template = Template(plan.text, auto_insert=False)
    name = template.match(template.format(plan.values, prefix=plan.prefix, version=plan.version))
    assert name is None or agrees(name, plan)


# The quick reading of names that share a shape.

fragments = st.sampled_from(
    [
        *"epoch step val_loss val/loss top-5 last best model v1 -v2 _v0 -v12 .ckpt .weights.h5 .tpkc - -- _ ,".split(),
        *". / : = == e5 E -e1 nan inf -inf +1 1 0 00 1.5 -0.5 1e-05 1e5 1e-5 1.5e+10 1e999 1,234 87.6%".split(),
        "9" * 19,
        *"True -last -EMA x \0 \udcff ٣ epoch=1 -epoch=1 my_epoch=3 =1- =2.5, =0.5_ epochepoch= a=1-a= a:1".split(" "),
        " ",
    ]
)
frames = st.lists(fragments, max_size=7)
fillings = st.sampled_from(["", *"1 22 -0.5 +3 nan inf -inf 1e-05 1. x 1e5 1,234 5% 1e999".split()])


@st.composite
def folders(draw: st.DrawFn) -> list[str]:
    """Names that mostly share a shape, nasty ones among them; each holds an equals sign."""
    paths = []
    for frame in draw(st.lists(frames, min_size=1, max_size=3)):
        holes = [draw(st.booleans()) for _ in frame]
        for _ in range(draw(st.integers(1, 4))):
            parts = [f"{part}={draw(fillings)}" if hole else part for part, hole in zip(frame, holes, strict=True)]
            paths.append("".join(parts) or "=")
    return paths


@given(folders(), st.sampled_from(["=", ":"]), st.sampled_from(["-", "_"]), st.sampled_from([(), ("epoch", "a")]))
@example(["a=1-v1.ckpt", "a=2-v1.ckpt", "a=1e5-v1.ckpt"], "=", "-", ())
@example(["my_epoch=1.5", "my_epoch=2"], "=", "-", ())
@example(["epoch=1=1", "epoch=1=22"], ":", "-", ())
@example(["a=1-a=1", "a=1-a=1.0"], "=", "-", ())
def test_the_quick_reading_is_the_full_reading(
    paths: list[str], equals: str, join: str, known: tuple[str, ...]
) -> None:
    # Alone, a name is the first of its shape, and so read in full; with the sign in it, it needs no siblings.
    paths = [path.replace("=", equals) for path in paths]
    assume(all(equals in path for path in paths))
    together = parse_folder(paths, equals=equals, join=join, known=known)
    alone = [parse(path, equals=equals, join=join, known=known) for path in paths]
    assert list(map(repr, together)) == list(map(repr, alone))


@given(st.text() | st.lists(fragments, max_size=9).map("".join))
def test_any_text_is_a_name(text: str) -> None:
    name = parse(text)
    assert all(key and field.text for key, field in name.fields.items())
    assert name.extension in text

"""What a row of data says of its framework, in sentences; "" where it says nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from phrases import code, either, some, spell_glob, spell_pattern

from ckptctl.catalogue import Groups, match
from ckptctl.core.checkpoint import SET_ASIDE
from ckptctl.core.layout import Layout, PointerFile, Recorded, Source
from ckptctl.core.names import parse

UNITS = {"file": "a file", "dir": "a folder", "family": "a family of files"}
_SUCH_AS = {"file": "a file such as", "dir": "a folder such as", "family": "a family of files such as"}
_ASIDE = {
    "last": "the last one",
    "best": "the best one",
    "final": "the final one",
    "resume": "what training resumes from",
    "derived": "made of others",
    "export": "an export",
    "named": "a name that a person gave",
}
_PLACES = {
    "inside": "{} in it",
    "beside": "{} beside it",
    "above": "{} in the folder above",
    "below": "{} in the folders below",
}
_COUNTED = {"step": "step", "epoch": "epoch", "index": "number of saves", "name": "name"}
_ANY = "any-name_of-a person"


# What it is ----------------------------------------------------------------------------------------------------------


def consists(row: Layout) -> str:
    """What one checkpoint is, by real names."""
    text = f"{_SUCH_AS[row.unit]} {either(map(code, row.examples[:5]))}."
    if row.rank_folders:
        text += f" Files of one name in the folders of ranks ({either(map(spell_pattern, row.rank_folders), 'and')}) are one."
    return text


def recognised(row: Layout) -> str:
    """What proves the layout, and what shows it."""
    if row.unit == "dir":
        return f"{_name_of(row)}{_proof_of(row)}.{_first_signs(row)}"
    if row.witnesses:
        return f"by its name, with {some([_spell_witness(it) for it in row.witnesses], 6)}.{_modesty(row)}"
    return f"by its name alone.{_modesty(row)}"


def _name_of(row: Layout) -> str:
    return "under any name" if match(row, _ANY + "".join(row.extensions[:1])) is not None else "by its name"


def _proof_of(row: Layout) -> str:
    proofs = [either([it] if isinstance(it, str) else it, "with") for it in map(_spell_sentinel, row.sentinels)]
    beside = f", with {some([_spell_witness(it) for it in row.witnesses], 6)}" if row.witnesses else ""
    if row.sentinels == ("*",):
        return beside
    front = ", by" if _name_of(row) == "under any name" else " and"
    return f"{front} {either(proofs)} in it{beside}"


def _spell_sentinel(sentinel: str | Sequence[str]) -> str | list[str]:
    return spell_glob(sentinel) if isinstance(sentinel, str) else [spell_glob(it) for it in sentinel]


def _spell_witness(glob: str) -> str:
    place = "above" if glob.startswith("../") else "beside"
    return _PLACES[place].format(spell_glob(glob.removeprefix("../")))


def _first_signs(row: Layout) -> str:
    if not row.signs:
        return ""
    return f" One half written, by its name and {some([spell_glob(it) for it in row.signs])}."


def _modesty(row: Layout) -> str:
    return " It gives way to any other framework in the same folder." if row.is_generic else ""


def counts(row: Layout) -> str:
    """What the numbers in its names mean."""
    said = [f"epochs count from {row.epoch_base}"] if any("epoch" in it for it in _all_groups(row)) else []
    steps = any("step" in it for it in _all_groups(row))
    said += ["steps count those before it, so that one more is done"] if row.step_base and steps else []
    said += ["the number counts saves, not steps"] if any("index" in it for it in _all_groups(row)) else []
    said += [f"of a score, {row.digits} decimals count"] if row.digits is not None else []
    return f"{either(said, 'and')}." if said else ""


def _all_groups(row: Layout) -> Iterator[set[str]]:
    """What each of its patterns and names can say; a free name says what the grammar reads in it."""
    yield from (set(re.findall(r"\(\?P<(\w+)>", pattern)) for pattern in row.names)
    yield from (set(parse(free).fields) for name in row.examples if (free := _free(match(row, name), name)))


def _free(groups: Groups | None, name: str) -> str:
    """What of a name the grammar reads."""
    return name if not groups else groups.get("free") or ""


# Whether it is whole -------------------------------------------------------------------------------------------------


def complete(row: Layout) -> str:
    """What marks it complete, and what marks it as not."""
    text = f"{_whole(row)}."
    if row.newest_lacks:
        text += f" The last save of a training may lack {either(map(spell_glob, row.newest_lacks))}."
    files = [code(it.path) for it in row.pointers if it.commits]
    text += f" What is newer than the one that {either(files)} names is not known to be done." if files else ""
    text += f" A name such as {either(map(spell_pattern, row.in_progress))} is a save under way." if row.in_progress else ""
    return text + (f" While an empty file `NAME{row.marker}` stands beside it, it is not." if row.marker else "")


def _whole(row: Layout) -> str:
    needs = [spell_glob(it) for it in row.required]
    needs += ["all its numbered parts"] if any("(?P<of>" in it for it in row.names) else []
    if row.manifest:
        needs.append(f"every file that {code(row.manifest)} names")
    ranks = [spell_pattern(it) for it in row.ranks if "(" in it]
    needs += [f"of each rank {some(ranks)}"] if ranks else []
    if needs:
        proof = ", each file whole by its own format" if row.is_proved else ""
        return f"once there is {either(needs, 'and')}{proof}"
    return "by its own format, which shows where it ends" if row.is_proved else "once it has not changed for ten minutes"


# What it is worth ----------------------------------------------------------------------------------------------------


def origins(row: Layout) -> Iterator[str]:
    """Where its metrics come from, in a word each."""
    if row.records:
        yield "the callback's state in it"
    yield from (code(it.path) if it.path else "its state" for it in row.sources if it.take or it.names)
    if not row.names or any(name in pattern for pattern in row.names for name in ("<free>", "<metric>")):
        yield "its name"


def metrics(row: Layout) -> str:
    """Where its metrics and numbers come from, each with how it is matched."""
    said = ["the callback's own state in it, which tells of all that it kept"] if row.records else []
    said += [_source(it) for it in row.sources]
    said += ["its name"] * ("its name" in origins(row))
    return f"{'; '.join(said)}." if said else "none that could be matched with one checkpoint."


def _source(source: Source) -> str:
    rows = f" (at {code(source.rows)})" if source.rows else ""
    place = f"{_file(source.path, source.place)}{rows}"
    return ", ".join(filter(None, [place, _matched(source), _taken(source), _numbers(source)]))


def _file(path: str, place: str) -> str:
    if not path:
        return "its own state"
    if place == "below":
        return f"{spell_glob(path)}, below the folder of checkpoints"
    return _PLACES[place].format(spell_glob(path))


def _matched(source: Source) -> str:
    if not source.column:
        return ""
    far = f", which counts {source.offset:+d}" if source.offset else ""
    near = f" or up to {source.reach} before" if source.reach else ""
    columns = either(map(code, source.column.split("|")))
    return f"by {_COUNTED[source.by]} in {columns}{far}{near}"


def _taken(source: Source) -> str:
    renamed = [f"{code(column)} as {code(name)}" for column, name in source.names.items() if column]
    if source.take == ("*",) and not source.names:
        left = f" but {some([code(it) for it in source.leave])}" if source.leave else ""
        return f"all below {code(source.front.rstrip('/'))}" if source.front else f"every number{left}"
    plain = [code(it) for it in source.take if it != "*" and it not in source.names]
    left = f" without {either(map(code, source.leave))}" if source.leave else ""
    return either([*plain, *renamed], "and") + left if plain or renamed else ""


def _numbers(source: Source) -> str:
    told = [key for key in source.numbers if key in {"epoch", "step"}]
    return f"the {either(told, 'and')} where its name has none" if told else ""


def ranked(row: Layout) -> str:
    """What training noted of how to rank."""
    said = [_noted(it) for it in row.recorded]
    said += ["more is always better"] if row.always == "max" else []
    said += ["less is always better"] if row.always == "min" else []
    return f"{'; '.join(said)}." if said else ""


def _noted(spec: Recorded) -> str:
    keys = either([code(it) for it in dict.fromkeys((spec.monitor, spec.mode)) if it], "and")
    return f"what {_PLACES[spec.place].format(spell_glob(spec.path))} notes as {keys}"


# What holds it -------------------------------------------------------------------------------------------------------


def pointed(row: Layout) -> str:
    """The files that name one or list all, and what becomes of them."""
    return " ".join(_pointer(it) for it in row.pointers)


def _pointer(spec: PointerFile) -> str:
    file = f"{spell_glob(spec.path)} {'in the newest' if spec.place == 'inside' else 'beside it'}"
    named = f" at {code(spec.field)}" if spec.field else ""
    listed = f" at {code(spec.listing)}" if spec.listing else ""
    out = "those that go are taken out before they go."
    if spec.value == "textproto":
        return f"{file} names the newest, which stays, and lists all: {out}"
    if spec.listing and spec.field:
        return f"{file} names one{named}, which stays, and lists all{listed}: {out}"
    if spec.listing:
        return f"{file} lists them{listed}: {out}"
    return f"{file} names one{named}: it stays."


def kept(row: Layout) -> str:
    """Names of those that no rule drops."""
    found: dict[str, list[str]] = {}
    for name in row.examples:
        role = next((it for it in _roles(row, name) if it in {*SET_ASIDE, "best"}), None)
        if role is not None:
            found.setdefault(role, []).append(code(name))
    return f"{'; '.join(f'{either(names[:3])} ({_ASIDE[role]})' for role, names in found.items())}." if found else ""


def _roles(row: Layout, name: str) -> Iterator[str]:
    """What a name says it is for."""
    groups = match(row, name) or {}
    yield from (key for key, text in groups.items() if text is not None)
    free = _free(groups, name)
    yield from parse(free).roles if free else ()
    if row.unit == "dir" and groups.get("free") and not free[-1:].isdigit():
        yield "named"

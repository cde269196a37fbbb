"""Scores that a training loop saved in a file's own dictionary, beside the weights: ``{"model": …, "val_loss": 0.31}``.

Any program's files are read for them, up to the end of the pickle, where a metric is asked for that nothing cheaper
tells, or every file is. They are trusted least, as nothing says of which save a number is (``best_acc`` is of the best
so far); but where a name shows the same digits, the number inside is the fuller one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from ckptctl import layouts as table
from ckptctl.core.model import Checkpoint, Note, Score
from ckptctl.core.ranking import COUNTERS, in_save_order, is_metric_name, same_metric
from ckptctl.core.score_sources import NOT_SCORED, own_score, resolve_score
from ckptctl.errors import Damaged

if TYPE_CHECKING:
    from ckptctl.formats.saved_values import Items, Measure
    from ckptctl.formats.torch_zip import PickledTensor
    from ckptctl.scan.metrics.scores import ScoreClaims
    from ckptctl.stores import ReadStore

_MEASURED = ("metrics", "scores", "results")
"""How the keys of mappings end in which every number is a metric."""
_LOGGED = ("logs", "log", "stats", "eval", "extra_state")
"""How those end in which some are."""
_HOLDERS = (*_MEASURED, *_LOGGED)
_TABLE = "train_results"
"""A mapping of columns, a value for each epoch so far, counted from 1."""
_TORCH = (".pt", ".pth", ".ckpt", ".tar", ".th", ".bin", ".pkl")
"""How the file in a folder ends that may hold scores."""
_MOST_HOLDERS = 16
_MOST_TENSORS = 64
"""Read in one file, since each costs some reads."""
_LONGEST = 200
"""Characters of a metric's name."""
_MOST_NOTICES = 3
"""Files that cannot be read, told one by one; the rest of a run are counted."""


class SavedScoresRequest(NamedTuple):
    """Which files are worth reading."""

    metrics: tuple[str, ...] = ()
    """Those that were asked for; a file is read where nothing else tells one of them."""
    is_exact: bool = False
    """Whether every file is read, for all that it holds, whose callbacks' memory did not tell its score."""
    tick: Callable[[], object] = bool
    """Is told of each file that was read."""


def claim_saved_scores(store: ReadStore, claims: ScoreClaims, request: SavedScoresRequest) -> None:
    """Claim what the files of checkpoints hold; of one that cannot be read a notice tells."""
    found = _read_all(store, claims, request)
    if not found:
        return
    names = {name for held in found.values() for name in held}
    chosen = {name for name in names if any(same_metric(name, it) for it in request.metrics)}
    told = chosen or any(_tells(claims, path, it) for path in claims.held for it in request.metrics)
    if request.is_exact or not told:
        chosen = names  # where nothing has what was asked for, all that there is helps whoever mistyped a name
    for path, held in found.items():
        for name in filter(chosen.__contains__, held):
            claims.claim(path, name, Score(held[name], None, "inside"))


def _read_all(store: ReadStore, claims: ScoreClaims, request: SavedScoresRequest) -> dict[str, Mapping[str, float]]:
    """What each file that is worth reading holds, by path; the first that cannot be read are told, the rest counted."""
    found: dict[str, Mapping[str, float]] = {}
    unread: list[Note] = []
    for path in _find_wanting(claims, request):
        try:
            found[path] = read_saved_scores(store, claims.held[path], request.metrics)
        except OSError as error:
            unread.append(Note("unreadable-side-file", path=path, why=str(error.strerror or error)))
        except Damaged as error:
            unread.append(Note("broken-side-file", path=path, why=error.text))
        request.tick()
    claims.notices += unread[:_MOST_NOTICES]
    if len(unread) > _MOST_NOTICES:
        claims.notices.append(Note("more-unread-files", count=len(unread) - _MOST_NOTICES))
    return found


def add_saved_scores(store: ReadStore, checkpoint: Checkpoint) -> Checkpoint:
    """A checkpoint with all scores that its own file holds; as it is where the file cannot be read."""
    try:
        found = read_saved_scores(store, checkpoint)
    except (OSError, Damaged):
        return checkpoint
    metrics = dict(checkpoint.metrics)
    for name, value in found.items():
        own = next((it for it in metrics if same_metric(it, name)), name)
        told = [metrics[own]] if own in metrics else []
        metrics[own], _ = resolve_score([*told, Score(value, None, "inside")])
    return checkpoint._replace(metrics=metrics)


def read_saved_scores(store: ReadStore, checkpoint: Checkpoint, asked: Sequence[str] = ()) -> dict[str, float]:
    """The scores in a checkpoint's file, {} for one of another kind; raises Damaged, OSError."""
    from ckptctl.formats.torch_zip import UNSUPPORTED
    from ckptctl.scan.metrics.inside import open_saved

    path, is_scored = _file_of(checkpoint), NOT_SCORED.isdisjoint(checkpoint.roles)
    if path is None:
        return {}
    try:
        with store.open(path) as source:
            return dict(_find_scores(*open_saved(source), asked, is_scored=is_scored))
    except Damaged as error:
        if error.id == UNSUPPORTED:
            return {}
        raise


def _find_wanting(claims: ScoreClaims, request: SavedScoresRequest) -> list[str]:
    """The paths of the files that are worth reading, the newest save first."""
    wanting = {it.path: path for path, it in claims.held.items() if _is_wanting(claims, path, request)}
    return [wanting[it.path] for it in reversed(in_save_order(claims.held[path] for path in wanting.values()))]


def _is_wanting(claims: ScoreClaims, path: str, request: SavedScoresRequest) -> bool:
    """Whether a file is worth reading: one that may win, and lacks a metric that was asked for."""
    it = claims.held[path]
    is_told = not request.is_exact and all(map(it.metrics.__contains__, request.metrics))
    if is_told or it.state in {"partial", "damaged"}:
        return False
    said = claims.by_path.get(path, {})
    if request.is_exact:
        return all(score.source != "state" for scores in said.values() for score in scores)
    if it.is_set_aside:
        return False
    return not all(_tells(claims, path, asked) for asked in request.metrics)


def _tells(claims: ScoreClaims, path: str, metric: str) -> bool:
    """Whether a metric of a checkpoint is known."""
    told = (*claims.held[path].metrics, *claims.by_path.get(path, ()))
    return metric in told or any(claims.is_named(name, metric) for name in told)


def _file_of(checkpoint: Checkpoint) -> str | None:
    """The file that may hold scores: the checkpoint's own, or the only one of its kind in the folder itself."""
    if checkpoint.unit != "dir":
        return checkpoint.entries[0].path if checkpoint.entries[0].kind == "file" else None
    start = len(checkpoint.path) + 1
    inside = [it.path for it in checkpoint.entries[1:] if it.kind == "file" and "/" not in it.path[start:]]
    likely = [path for path in inside if path.endswith(_TORCH)]
    return likely[0] if len(likely) == 1 else None


# What a dictionary holds ---------------------------------------------------------------------------------------------


def _find_scores(
    value: object, measure: Measure, asked: Sequence[str], *, is_scored: bool
) -> Iterator[tuple[str, float]]:
    """The scores of what was saved, those at the top last, so that of equal names they count."""
    from ckptctl.formats.saved_values import items_of, resolve

    reads = count()

    def measure_few(tensor: PickledTensor) -> float | int | None:
        return measure(tensor) if next(reads) < _MOST_TENSORS else None

    items = items_of(resolve(value))
    yield from _find_recorded(value, measure) if is_scored else ()
    holders = [(key, resolve(node)) for key, node in items if type(key) is str and key.endswith(_HOLDERS)]
    for key, node in [it for it in holders if not isinstance(it[1], (list, tuple))][:_MOST_HOLDERS]:
        held = _find_row(items_of(node), items) if key == _TABLE else items_of(node)
        yield from _take(held, measure_few, asked, is_measured=key.endswith(_MEASURED))
    yield from _take(items, measure_few, asked)


def _take(
    items: Items, measure: Measure, asked: Sequence[str], *, is_measured: bool = False
) -> Iterator[tuple[str, float]]:
    """The numbers of one mapping that are scores; tensors among weights are none."""
    from ckptctl.formats.saved_values import are_mostly_weights
    from ckptctl.formats.torch_zip import PickledTensor

    has_weights = are_mostly_weights(items)
    for key, node in items:
        is_name = isinstance(key, str) and len(key) <= _LONGEST and not (has_weights and type(node) is PickledTensor)
        if is_name and _is_score(str(key), asked, is_measured=is_measured):
            number = _number(node, measure)
            yield from () if number is None else [(str(key), number)]


def _is_score(key: str, asked: Sequence[str], *, is_measured: bool) -> bool:
    """Whether a key is a metric's: by its words, for being asked for, or among metrics alone."""
    return is_metric_name(key) or (is_measured and key not in COUNTERS) or any(same_metric(key, it) for it in asked)


def _number(node: object, measure: Measure) -> float | None:
    from ckptctl.formats.torch_zip import is_number

    number = node if type(node) in (int, float) else measure(node) if is_number(node) else None
    try:
        return None if number is None else float(number)  # type: ignore[arg-type] # it is one of these
    except OverflowError:
        return None


def _find_row(columns: Items, around: Items) -> Items:
    """The values of the file's own epoch; rows count from 1, or from 0 where there is such a row.

    None of a file whose epoch is not known, as of one that was finished after the training.
    """
    counted = next((held for name, held in columns if name == "epoch"), None)
    epoch = next((own for name, own in around if name == "epoch"), None)
    if type(counted) is not list or type(epoch) is not int or epoch < 0:
        return []
    wanted = epoch if 0 in counted else epoch + 1
    place = counted.index(wanted) if wanted in counted else len(counted)
    return [(name, held[place]) for name, held in columns if type(held) is list and place < len(held)]


def _find_recorded(value: object, measure: Measure) -> Iterator[tuple[str, float]]:
    """What a callback remembers of this very save, whatever the file is called now."""
    if not isinstance(value, dict):
        return
    for name in sorted({it.records for it in table.LAYOUTS if it.records}):
        record = import_module(f"ckptctl.scan.metrics.{name}").read_record(value, measure)
        found = None if record is None else own_score(record)
        if found is not None:
            yield found

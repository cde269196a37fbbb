"""What to rank by, which way is better, the order that follows; which training saved what; a run's best and newest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from math import inf
from operator import attrgetter
from typing import Literal, NamedTuple, cast

from ckptctl.core.model import Checkpoint, Note, Run, Score
from ckptctl.core.units import NANOSECONDS
from ckptctl.errors import CkptctlError, MetricUnclear, ModeUnclear, NoScore, TurnedRound

Mode = Literal["min", "max"]

COUNTERS = frozenset(
    "epoch step iter iteration batch samples consumed_samples version global_step epochs steps tokens".split()
)
"""Numbers that count or set, and so are ranked by only when named."""

UNNAMED = "value"
"""What a number in a name is called when neither the name nor a template says it (Keras ``05-0.32``)."""

NAME_THEM = "say what the numbers are: --template TEXT, or --monitor NAME with the run's own folder as PATH"

_LESS = frozenset(
    "loss losses error errors err wer cer mer ter mse mae rmse rmsle mape smape mase ppl perplexity fid kid nll bpb bpc"
    " bce ce crossentropy kl kld divergence lpips eer brier hinge logcosh poisson misfit regret latency epe".split()
)
_MORE = frozenset(
    "acc accuracy auc auroc auprc roc ap map mar f1 f2 fmeasure fbeta precision recall sensitivity specificity"
    " iou miou giou dice jaccard bleu chrf rouge rougel meteor cider psnr ssim snr sdr sisdr r2 cosine corr"
    " correlation pearson spearman concordance kappa mcc ndcg mrr hit hits hitrate reward rewards return returns"
    " win winrate likelihood elbo".split()
)
_WORD = re.compile(r"[a-z]+\d*")
_PLAIN_WORD = re.compile(r"[a-z]+")
_MEASURES = frozenset("metric metrics score scores fitness best prec top".split())
"""Words of metrics that do not say which way is better."""
_SETTINGS = frozenset(
    "epoch epochs step steps iter iters iteration iterations batch batches size length count num index idx version time"
    " weight weights scale scaler coef coeff coefficient lambda gamma alpha beta lr decay momentum patience threshold"
    " window every freq interval seed fn type smoothing".split()
)
"""Words of what counts or sets, whatever else the name says."""
_ENDINGS: dict[str, Mode] = {"loss": "min", "error": "min", "perplexity": "min", "accuracy": "max", "reward": "max"}
_NEGATIONS = ("neg", "negative")

RESTART = 60 * NANOSECONDS
"""Saves closer together than this say nothing of their order: a folder that was copied has such times."""


class Metric(NamedTuple):
    """What to rank by, and which way."""

    name: str
    mode: Mode


class Ranked(NamedTuple):
    """A checkpoint's place among its peers."""

    checkpoint: Checkpoint
    score: Score
    place: int
    """From 1, the best."""


def infer_mode(name: str) -> Mode | None:
    """Whether less or more is better, told from a metric's name; the last word that says it decides.

    ``acc_loss`` is a loss, ``vaccine_loss`` too; ``neg_`` in front turns it round; None where no word says it.
    """
    words = _WORD.findall(name.lower().replace("cross_entropy", "crossentropy"))
    for at, word in reversed(list(enumerate(words))):
        told = _mode_of_word(word)
        if told:
            return opposite_mode(told) if any(negation in words[:at] for negation in _NEGATIONS) else told
    return None


def is_metric_name(name: str) -> bool:
    """Whether a key among other values is called as a metric is: ``best_acc``, ``val_loss``, ``score``.

    ``best_epoch``, ``loss_weight`` and ``acc_steps`` count or set.
    """
    words = set(_PLAIN_WORD.findall(name.lower()))
    return bool(infer_mode(name) or words & _MEASURES) and not words & _SETTINGS and name not in COUNTERS


def _mode_of_word(word: str) -> Mode | None:
    for form in (word, word.rstrip("0123456789")):
        if form in _LESS:
            return "min"
        if form in _MORE:
            return "max"
    return next((mode for ending, mode in _ENDINGS.items() if word.endswith(ending)), None)


def opposite_mode(mode: Mode) -> Mode:
    """The other way round."""
    return "max" if mode == "min" else "min"


def same_metric(one: str, other: str) -> bool:
    """Whether two names mean one metric: ``val/loss`` and ``val_loss`` do."""
    return one == other or one.replace("/", "_") == other.replace("/", "_")


def score_of(checkpoint: Checkpoint, name: str) -> Score | None:
    """The score under a name or its ``/`` and ``_`` variant, if there is one; epoch and step are scores too."""
    metrics = checkpoint.metrics
    if name in metrics:
        return metrics[name]
    plain = name.replace("/", "_")
    found = next((score for key, score in metrics.items() if key.replace("/", "_") == plain), None)
    count = {"epoch": checkpoint.epoch, "step": checkpoint.step}.get(name)
    return found or (None if count is None else Score(float(count), str(count), "name"))


def count_metrics(checkpoints: Iterable[Checkpoint]) -> Counter[str]:
    """How many checkpoints have each metric; counters are left out."""
    return Counter(name for checkpoint in checkpoints for name in checkpoint.metrics if name not in COUNTERS)


def choose_metric(run: Run, *, monitor: str | None = None, mode: str = "auto") -> Metric:
    """What to rank a run by: as asked, else as training recorded it, else the only one there is.

    ``mode`` is min, max or auto. Raises NoScore, MetricUnclear, ModeUnclear; ``path`` of the error is the run's.
    """
    name = monitor or run.monitor or _only(run)
    if not any(score_of(checkpoint, name) for checkpoint in run.checkpoints):
        raise NoScore(f"no checkpoint has a value for '{name}'", path=run.path, hint=_describe_found(run))
    if mode != "auto" and monitor is None:
        known = recorded_mode(run, name) or infer_mode(name)
        if known is not None and known != mode:
            text = f"--mode {mode} would keep the worst: of '{name}' {'less' if known == 'min' else 'more'} is better"
            raise TurnedRound(text, path=run.path, hint=f"leave --mode out, or say it of a metric: --monitor {name}")
    if mode != "auto":
        return Metric(name, "max" if mode == "max" else "min")
    told = recorded_mode(run, name) or infer_mode(name)
    if told is None and name == UNNAMED:
        raise NoScore("the numbers in its names have no name", path=run.path, hint=NAME_THEM)
    if told is None:
        text = f"nobody can tell whether less or more of '{name}' is better"
        raise ModeUnclear(text, path=run.path, hint="pass --mode min or --mode max")
    return Metric(name, told)


def recorded_mode(run: Run, name: str) -> Mode | None:
    """The mode that training recorded for a metric; None where it recorded none, or several.

    One that was recorded without a metric's name is of the only metric that the run has.
    """
    if run.mode is not None and (same_metric(name, run.monitor) if run.monitor else _is_only(run, name)):
        return run.mode
    return next((mode for metric, mode in run.modes.items() if same_metric(name, metric)), None)


def _is_only(run: Run, name: str) -> bool:
    return all(same_metric(it, name) for it in count_metrics(run.checkpoints))


def require_same_metric(one: tuple[str, Metric], other: tuple[str, Metric], *, where: str | None = None) -> None:
    """Raise MetricUnclear or ModeUnclear where two runs, given by their paths, are not watched by one metric.

    ``where`` is the path of the error.
    """
    (path, metric), (another, told) = ((path or ".", metric) for path, metric in (one, other))
    if not same_metric(metric.name, told.name):
        text = f"runs watch different metrics: {path} {metric.name}, {another} {told.name}"
        raise MetricUnclear(text, path=where, hint="choose one with --monitor NAME")
    if metric.mode != told.mode:
        text = f"runs disagree on '{told.name}': {path} says {metric.mode}, {another} {told.mode}"
        raise ModeUnclear(text, path=where, hint="pass --mode min or --mode max")


def _only(run: Run) -> str:
    """The only metric; where files were read for all that they hold, those that something else tells count alone."""
    counts = count_metrics(run.checkpoints)
    if len(counts) == 1:
        return next(iter(counts))
    told = {name for it in run.checkpoints for name, score in it.metrics.items() if score.source != "inside"}
    for names in ([*(told & counts.keys())], [it for it in counts if not it.startswith("best")]):
        if len(names) == 1:
            return names[0]
    if not counts:
        raise NoScore("no checkpoint has a metric", path=run.path, hint=_describe_found(run))
    text = f"several metrics, and none is named: {describe_counts(counts)}"
    raise MetricUnclear(text, path=run.path, hint="choose one with --monitor NAME")


def _describe_found(run: Run) -> str:
    found = describe_counts(count_metrics(run.checkpoints))
    return f"metrics found: {found}" if found else "the names and the files beside them hold none"


def describe_counts(counts: Counter[str]) -> str:
    """Metrics with the number of checkpoints that have them, the commonest first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} ({count})" for name, count in ordered)


def is_usable(score: Score, mode: Mode) -> bool:
    """Whether a score may win: finite, or the infinity on the good side.

    The other infinity stands for NaN, as Lightning records it, and never wins.
    """
    return score.state == "finite" or score.value == (-inf if mode == "min" else inf)


def is_better(value: float, bar: float, mode: Mode) -> bool:
    """Strictly better, as the callbacks compare; a tie is not."""
    return value < bar if mode == "min" else value > bar


def find_mode_doubt(metric: Metric, asked: str) -> Note | None:
    """What to warn of where the way that counts is not the one that the metric's name says."""
    told = infer_mode(metric.name)
    if told is None or told == metric.mode:
        return None
    return Note("mode-against-name", metric=metric.name, mode=metric.mode, told=told, asked=asked != "auto")


def find_best_doubt(best: Ranked, name: str) -> Note | None:
    """What to warn of where the first may be there by mistake: an infinity, or a 0 that only its name says."""
    if best.score.state != "finite":
        return Note("infinite-best", path=best.checkpoint.path, metric=name, value=best.score.state)
    if best.score.value == 0 and best.score.source == "name" and name not in COUNTERS:
        return Note("zero-best", path=best.checkpoint.path, metric=name)
    return None


def make_tie_note(score: Score, name: str) -> Note:
    """What to warn of where another has the very score of the last that was chosen."""
    return Note("tied-score", metric=name, value=score.text or score.value)


def rank(
    checkpoints: Collection[Checkpoint], metric: Metric, *, threshold: float | None = None, latest_wins: bool = False
) -> list[Ranked]:
    """The checkpoints that may win, best first; of equals the earlier save, or the later where asked.

    Left out: no score, NaN, stand-in infinities, scores that are not strictly better than the threshold,
    saves that are set aside, as one under a ``last`` name.
    """
    scored = [
        (checkpoint, score)
        for checkpoint in checkpoints
        if not checkpoint.is_set_aside
        and (score := score_of(checkpoint, metric.name)) is not None
        and is_usable(score, metric.mode)
        and (threshold is None or is_better(score.value, threshold, metric.mode))
    ]
    age = save_order_key(checkpoints)
    scored.sort(key=lambda pair: age(pair[0]), reverse=latest_wins)
    scored.sort(key=lambda pair: pair[1].value if metric.mode == "min" else -pair[1].value)
    return [Ranked(checkpoint, score, place) for place, (checkpoint, score) in enumerate(scored, 1)]


def save_order_key(checkpoints: Iterable[Checkpoint]) -> Callable[[Checkpoint], tuple[float | int | str, ...]]:
    """The key that puts a run's checkpoints in the order in which training saved them.

    By training, step, epoch, save counter, time, version, name; step and epoch count only where every numbered
    checkpoint has them, so that a name with an epoch alone is not held against one that has a step. Those with neither
    come first.
    """
    checkpoints = list(checkpoints)
    steps = set(map(_STEP, checkpoints))
    if len(steps) == len(checkpoints) and None not in steps and len(set(map(_LINEAGE, checkpoints))) == 1:
        return _STEP  # each has its own, and all are of one training, as mostly: nothing else decides
    numbered = [checkpoint for checkpoint in checkpoints if checkpoint.step is not None or checkpoint.epoch is not None]
    if numbered and all(it.series and it.step is not None and it.epoch is not None for it in numbered):
        # a home-made loop may count its steps anew in each epoch
        return lambda it: (it.lineage, it.epoch or 0, it.step or 0, it.counter or 0, it.modified, it.path)
    by_step = all(checkpoint.step is not None for checkpoint in numbered)
    by_epoch = all(checkpoint.epoch is not None for checkpoint in numbered)

    def key(checkpoint: Checkpoint) -> tuple[float | int | str, ...]:
        step = checkpoint.step if by_step and checkpoint.step is not None else -1
        epoch = checkpoint.epoch if by_epoch and checkpoint.epoch is not None else -1
        counter = -1 if checkpoint.counter is None else checkpoint.counter
        return (checkpoint.lineage, step, epoch, counter, checkpoint.modified, checkpoint.version or 0, checkpoint.path)

    return key


_STEP = cast("Callable[[Checkpoint], tuple[float | int | str, ...]]", attrgetter("step"))

_LINEAGE = attrgetter("lineage")


def in_save_order(checkpoints: Iterable[Checkpoint]) -> list[Checkpoint]:
    """Oldest save first."""
    held = list(checkpoints)
    return sorted(held, key=save_order_key(held))


def find_newest(
    checkpoints: Iterable[Checkpoint], wanted: Callable[[Checkpoint], bool], *, resumable: bool = False
) -> Checkpoint | None:
    """The newest wanted save that is complete; with ``resumable`` the newest that training can resume from."""
    for checkpoint in reversed(in_save_order(checkpoints)):
        is_able = checkpoint.resumable is True or not resumable
        if checkpoint.state == "complete" and not checkpoint.is_made and is_able and wanted(checkpoint):
            return checkpoint
    return None


def in_time_order(checkpoints: Iterable[Checkpoint]) -> list[Checkpoint]:
    """Earliest written first; of one time, in order."""
    return sorted(in_save_order(checkpoints), key=lambda checkpoint: checkpoint.modified)


def came_later(one: Checkpoint, other: Checkpoint) -> bool:
    """Whether it was written so long after the other that, if its number is lower, training must have begun anew."""
    return one.modified - other.modified > RESTART


def was_restarted(checkpoints: Iterable[Checkpoint]) -> bool:
    """Whether steps fall while times rise: training began anew in a used folder, or something changed the times."""
    by_series: dict[str, list[Checkpoint]] = {}
    for it in checkpoints:
        if it.step is not None or it.epoch is not None:
            by_series.setdefault(it.series, []).append(it)
    return any(map(_falls_back, by_series.values()))


def _falls_back(held: list[Checkpoint]) -> bool:
    """Whether in one series a lower number was written well after a higher one."""
    numbered = in_save_order(held)
    latest = numbered[0]
    for checkpoint in numbered:
        if came_later(latest, checkpoint):
            return True
        latest = max(latest, checkpoint, key=lambda it: it.modified)
    return False


class RunView(NamedTuple):
    """A run and what to point out in it."""

    run: Run
    metric: Metric | None = None
    """None where nobody can tell what to rank by."""
    best: str | None = None
    """Path of the best complete checkpoint."""
    last: str | None = None
    """Path of the newest complete checkpoint."""
    doubt: CkptctlError | None = None
    """Why there is no metric, where that is worth a word."""
    hidden: int = 0
    """Checkpoints of the run that are not to be shown."""


def view_run(run: Run, *, monitor: str | None = None, mode: str = "auto") -> RunView:
    """Look at a run; that it cannot be ranked is no error here."""
    complete = [checkpoint for checkpoint in run.checkpoints if checkpoint.state == "complete"]
    saved = in_save_order(it for it in complete if not it.is_made)
    newest = saved[-1].path if saved else None
    try:
        metric = choose_metric(run, monitor=monitor, mode=mode)
    except (NoScore, MetricUnclear, ModeUnclear) as error:
        return RunView(run, last=newest, doubt=error)
    ranked = rank(complete, metric)
    return RunView(run, metric, ranked[0].checkpoint.path if ranked else None, newest)


MOST_TRAININGS = 32
"""Trainings told apart; a folder with more has times that nothing can be read from."""

KeptPaths = Callable[[Checkpoint], "set[str] | None"]


def number_restarts(held: Mapping[str, Checkpoint], list_kept: KeptPaths, *, by_time: bool = True) -> dict[str, int]:
    """The number of each checkpoint's training, from 0; by the keys of ``held``.

    Where the highest step is older than another save, training was begun anew, or a copy has mixed up the times. The
    states tell: ``list_kept`` gives the paths that a checkpoint's state lists as kept when it was saved, None where it
    lists none. Two saves of one training are in the list of the later; where neither lists the other, all that was
    written after the highest step is another training's. States without lists (weights only) leave it to a ``-vN`` that
    was written after the highest step, while its namesake was there before, and to times that are well apart.
    """
    lineages = dict.fromkeys(held, 0)
    for number in range(1, MOST_TRAININGS):
        pool = {key: it for key, it in held.items() if lineages[key] == number - 1}
        border = _border(list(pool.values()), list_kept, by_time=by_time)
        if border is None:
            return lineages
        lineages |= {key: number for key, it in pool.items() if it.modified > border}
    return dict.fromkeys(held, 0)


def _border(pool: list[Checkpoint], list_kept: KeptPaths, *, by_time: bool) -> int | None:
    """The time after which another training wrote; None where there is only one."""
    numbered = in_save_order(it for it in pool if it.step is not None or it.epoch is not None)
    if not numbered:
        return None
    highest, latest = numbered[-1], max(numbered, key=lambda it: it.modified)
    if latest.modified <= highest.modified or (latest.step, latest.epoch) == (highest.step, highest.epoch):
        return None
    lists = (list_kept(highest) or set(), list_kept(latest) or set())
    if highest.path in lists[1] or latest.path in lists[0]:
        return None
    old = {it.path for it in pool if it.modified <= highest.modified}
    versioned = [it for it in pool if it.modified > highest.modified and it.version is not None]
    has_twins = any(it.path.replace(f"-v{it.version}.", ".") in old for it in versioned)
    return highest.modified if any(lists) or has_twins or (by_time and came_later(latest, highest)) else None

"""What to rank by, which way is better, and the order that follows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from math import inf
from typing import Literal, NamedTuple

from ckptctl.core.checkpoint import Checkpoint, Run, Score
from ckptctl.errors import MetricUnclear, ModeUnclear, NoScore

Mode = Literal["min", "max"]

COUNTERS = frozenset(
    "epoch step iter iteration batch samples consumed_samples version global_step epochs steps tokens".split()
)
"""Numbers that count or set, and so are ranked by only when named."""

UNNAMED = "value"
"""What a number in a name is called when neither the name nor a template says it (Keras ``05-0.32``)."""

_LESS = frozenset(
    "loss losses error errors err wer cer mer ter mse mae rmse rmsle mape smape mase ppl perplexity fid kid nll bpb bpc bce ce"
    " crossentropy kl kld divergence lpips eer brier hinge logcosh poisson misfit regret latency epe".split()
)
_MORE = frozenset(
    "acc accuracy auc auroc auprc roc ap map mar f1 f2 fmeasure fbeta precision recall sensitivity specificity iou miou giou"
    " dice jaccard bleu chrf rouge rougel meteor cider psnr ssim snr sdr sisdr r2 cosine corr correlation pearson spearman"
    " concordance kappa mcc ndcg mrr hit hits hitrate reward rewards return returns win winrate likelihood elbo".split()
)
_WORD = re.compile(r"[a-z]+\d*")
_LONG_ENDINGS = {"loss": "min", "error": "min", "perplexity": "min", "accuracy": "max", "reward": "max"}


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

    ``acc_loss`` is a loss, ``vaccine_loss`` too; ``neg_`` turns it round; None where no word says it.
    """
    words = _WORD.findall(name.lower().replace("cross_entropy", "crossentropy"))
    told = next((mode for word in reversed(words) if (mode := _mode_of_word(word))), None)
    if told and ("neg" in words or "negative" in words):
        return opposite(told)
    return told


def _mode_of_word(word: str) -> Mode | None:
    for form in (word, word.rstrip("0123456789")):
        if form in _LESS:
            return "min"
        if form in _MORE:
            return "max"
    return next((mode for ending, mode in _LONG_ENDINGS.items() if word.endswith(ending)), None)  # type: ignore[return-value]


def opposite(mode: Mode) -> Mode:
    """The other way round."""
    return "max" if mode == "min" else "min"


def same_metric(one: str, other: str) -> bool:
    """Whether two names mean one metric: ``val/loss`` and ``val_loss`` do."""
    return one == other or one.replace("/", "_") == other.replace("/", "_")


def score_of(checkpoint: Checkpoint, name: str) -> Score | None:
    """The score under a name or its ``/`` and ``_`` variant; ``epoch`` and ``step`` are scores too; None where there is none."""
    metrics = checkpoint.metrics
    if name in metrics:
        return metrics[name]
    plain = name.replace("/", "_")
    found = next((score for key, score in metrics.items() if key.replace("/", "_") == plain), None)
    return found or _counter_of(checkpoint, name)


def _counter_of(checkpoint: Checkpoint, name: str) -> Score | None:
    value = {"epoch": checkpoint.epoch, "step": checkpoint.step}.get(name)
    return None if value is None else Score(float(value), str(value), "name")


def count_metrics(checkpoints: Iterable[Checkpoint]) -> Counter[str]:
    """How many checkpoints have each metric; counters are left out."""
    return Counter(name for checkpoint in checkpoints for name in checkpoint.metrics if name not in COUNTERS)


def choose_metric(run: Run, *, monitor: str | None = None, mode: str = "auto") -> Metric:
    """What to rank a run by: as asked, else as training recorded it, else the only one there is.

    ``mode`` is min, max or auto. Raises NoScore, MetricUnclear, ModeUnclear; ``path`` of the error is the run's.
    """
    counts = count_metrics(run.checkpoints)
    if monitor is not None and not any(score_of(checkpoint, monitor) for checkpoint in run.checkpoints):
        raise NoScore(f"no checkpoint has a value for '{monitor}'", path=run.path, hint=f"metrics found: {tell_counts(counts)}")
    name = monitor or _recorded(run, counts) or _only(run, counts)
    if mode in ("min", "max"):
        return Metric(name, mode)  # type: ignore[arg-type]
    recorded = run.mode if run.monitor is not None and same_metric(name, run.monitor) else None
    told = recorded or infer_mode(name)
    if told is None:
        raise _mode_unclear(name, run)
    return Metric(name, told)


def _mode_unclear(name: str, run: Run) -> ModeUnclear:
    if name == UNNAMED:
        text, hint = "the numbers in its names have no name", "say what they are: --monitor NAME, or --template TEXT"
    else:
        text, hint = f"nobody can tell whether less or more of '{name}' is better", "pass --mode min or --mode max"
    return ModeUnclear(text, path=run.path, hint=hint)


def _recorded(run: Run, counts: Counter[str]) -> str | None:
    """The monitor that training recorded, where some checkpoint has it; a counter may be one."""
    if run.monitor is None:
        return None
    held = any(score_of(checkpoint, run.monitor) for checkpoint in run.checkpoints)
    return run.monitor if held or not counts else None


def _only(run: Run, counts: Counter[str]) -> str:
    if len(counts) == 1:
        return next(iter(counts))
    if not counts:
        raise NoScore("no checkpoint has a metric", path=run.path, hint="the names and the files beside them hold none")
    raise MetricUnclear(f"several metrics, and none is named: {tell_counts(counts)}", path=run.path, hint="choose one with --monitor NAME")


def tell_counts(counts: Counter[str]) -> str:
    """Metrics with the number of checkpoints that have them, the commonest first."""
    return ", ".join(f"{name} ({count})" for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def is_usable(score: Score, mode: Mode) -> bool:
    """Whether a score may win: finite, or the infinity on the good side.

    The other infinity stands for NaN, as Lightning records it, and never wins.
    """
    return score.state == "finite" or score.value == (-inf if mode == "min" else inf)


def is_better(value: float, bar: float, mode: Mode) -> bool:
    """Strictly better, as the callbacks compare; a tie is not."""
    return value < bar if mode == "min" else value > bar


def rank(
    checkpoints: Collection[Checkpoint], metric: Metric, *, threshold: float | None = None, latest_wins: bool = False
) -> list[Ranked]:
    """The checkpoints that may win, best first; of equals the earlier save, or the later where asked.

    Left out: no score, NaN, stand-in infinities, scores that are not strictly better than the threshold,
    independent saves under a ``last`` name.
    """
    scored = [
        (checkpoint, score)
        for checkpoint in checkpoints
        if "last" not in checkpoint.roles
        and (score := score_of(checkpoint, metric.name)) is not None
        and is_usable(score, metric.mode)
        and (threshold is None or is_better(score.value, threshold, metric.mode))
    ]
    age = order_of(checkpoints)
    scored.sort(key=lambda pair: age(pair[0]), reverse=latest_wins)
    scored.sort(key=lambda pair: pair[1].value if metric.mode == "min" else -pair[1].value)
    return [Ranked(checkpoint, score, place) for place, (checkpoint, score) in enumerate(scored, 1)]


def order_of(checkpoints: Iterable[Checkpoint]) -> Callable[[Checkpoint], tuple[float | int | str, ...]]:
    """The key that puts a run's checkpoints in the order in which training saved them.

    By step, epoch, time, version, name; a number counts only where every numbered checkpoint has it, so that a name with
    an epoch alone is not held against one that has a step. Those with neither number come first.
    """
    numbered = [checkpoint for checkpoint in checkpoints if checkpoint.step is not None or checkpoint.epoch is not None]
    by_step = all(checkpoint.step is not None for checkpoint in numbered)
    by_epoch = all(checkpoint.epoch is not None for checkpoint in numbered)

    def key(checkpoint: Checkpoint) -> tuple[float | int | str, ...]:
        step = checkpoint.step if by_step and checkpoint.step is not None else -1
        epoch = checkpoint.epoch if by_epoch and checkpoint.epoch is not None else -1
        return (step, epoch, checkpoint.modified, checkpoint.version or 0, checkpoint.path)

    return key


def in_order(checkpoints: Iterable[Checkpoint]) -> list[Checkpoint]:
    """Oldest save first."""
    held = list(checkpoints)
    return sorted(held, key=order_of(held))

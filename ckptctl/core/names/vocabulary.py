"""The words that names of checkpoints are made of, and what a number beside each means.

A table a meaning; a word in several tables means what `meaning_of` finds first. ``EXAMPLES`` shows names with what the
words in them are; the tests read each.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from ckptctl.core.ranking import infer_mode

Meaning = Literal["epoch", "step", "number", "metric", "identity", "part", "veto", "role", "main", ""]
"""``number``: a count that says neither epoch nor step (saves, episodes, rounds). ``main``: says only that it is a
model or a checkpoint."""

EPOCHS = frozenset("epoch epochs epo ep eps e".split())
STEPS = frozenset(
    """step steps globalstep globalsteps iter iters iteration iterations itr itrs it s update updates batchstep
    timestep timesteps""".split()
)
COUNTS = frozenset(
    """checkpoint checkpoints ckpt ckpts chkpt chkpoint cp snapshot snapshots snap episode episodes epis game
    games gen generation generations round rounds batch batches kimg tick ticks cycle cycles minibatch frame
    frames sample_count examples tokens kiter""".split()
)
"""Of saves, or of something that training counts and that is neither an epoch nor a step."""
SHORT = frozenset("e s it cp gen".split())
"""Of these, the ones that mean nothing unless a varying number follows at once."""
BARE = frozenset("checkpoint ckpt chkpt chkpoint".split())
"""Names of files that training writes over."""
THOUSANDS = frozenset({"k"})
"""Behind a number: ``10k_steps``."""

MEASURED = frozenset(
    "score scores cost costs metric fitness gain top1 top5 top3 rank1 prec f1 f2 f05 miou map50 map95 value val".split()
)
"""Metrics beside those of which the ranking knows the direction."""
_MEASURED_ENDINGS = (
    "loss",
    "acc",
    "accuracy",
    "iou",
    "auc",
    "error",
    "bleu",
    "psnr",
    "reward",
    "score",
    "dice",
    "recall",
)
_LEAST = 3
"""Letters of a word that an ending may be found in: ``vloss``, ``valmIoU``."""
SPLITS = frozenset("train training tr val valid validation vld test dev eval avg mean best total".split())
"""What a metric was measured on, or how it was summed up: part of its name."""

IDENTITIES = frozenset(
    """fold folds kfold cv seed seeds run runs client clients member members layer layers task tasks class
    classes config configs cfg conf trial trials phase phases stage stages v ver version exp experiment
    experiments split splits worker workers user users subject subjects site tile tiles size dim dims level
    levels expert experts player players block head heads cluster clusters try attempt job jobs bag view cam
    camera node repeat rep group groups part parts city country patient patients session sessions scale width
    depth hidden res resolution lr bs alpha beta gamma lambda temperature temp dropout bit bits shot shots way
    ways set sets""".split()
)
"""What one model of several is, or was made with: never how far training was."""

TUNED = frozenset(
    """lr bs alpha beta gamma lambda temperature temp dropout size dim scale width depth hidden res resolution
    level""".split()
)
"""Of these, what may change while one training goes on."""

PARTS = frozenset(
    """optimizer optimizers optimiser optim optims opt opts scheduler schedulers sched lrscheduler scaler
    gradscaler rng state states ema g d netg netd gen generator generators disc discriminator discriminators
    dis actor critic critic1 critic2 encoder enc decoder dec unet textencoder text policy value qf qnet target
    teacher student projector backbone ab ba rank ranks shard shards world agent qf1 qf2 nets net optimizerg
    optimizerd optimg optimd""".split()
)
"""One of several files of a save."""
SECONDARY = frozenset(
    """optimizer optimizers optimiser optim optims opt opts scheduler schedulers sched lrscheduler scaler
    gradscaler rng ema optimizerg optimizerd optimg optimd""".split()
)
"""Of these, what only goes with weights of the same save, whatever those are called."""
LEADING = frozenset("g netg gen generator model actor encoder policy unet".split())
"""Parts that a save is known by, where it has one of these."""
LETTERS = frozenset("a b e f".split())
"""Parts where another of these letters' networks is named beside them (``G_A``, ``D_B``)."""
LETTERED = frozenset("g d net netg netd gen disc generator discriminator".split())

MAIN = frozenset(
    "model models mdl net nets network networks weights weight statedict dict params param pytorch torch".split()
)

VETOES = frozenset(
    """data dataset datasets sample samples feature features feats embedding embeddings emb embs latent latents
    logit logits pred preds prediction predictions output outputs label labels image images img imgs grad
    grads gradient gradients activation activations replay buffer buffers rollout rollouts trajectory
    trajectories metrics log logs losses result results tokenizer vocab vocabulary stat stats recon recons
    reconstruction reconstructions targets confusion hessian fisher cache covariance covariances pretrained
    init initial bak backup old copy orig original tmp averaged avg swa soup merged fused converted exported
    export quantized quant onnx traced scripted pruned""".split()
)
"""What training computes or reads, or what was made of a checkpoint: no save of a training, whatever its numbers."""

ROLES = {
    "best": "best",
    "last": "last",
    "latest": "last",
    "newest": "last",
    "current": "last",
    "final": "final",
}

EXAMPLES: tuple[tuple[str, Meaning], ...] = (
    ("epoch", "epoch"),
    ("Ep", "epoch"),
    ("iter", "step"),
    ("ckpt", "number"),
    ("episode", "number"),
    ("val_loss", "metric"),
    ("valmIoU", "metric"),
    ("f1", "metric"),
    ("totalLoss", "metric"),
    ("fold", "identity"),
    ("seed", "identity"),
    ("optimizer", "part"),
    ("netG", "part"),
    ("gradients", "veto"),
    ("best", "role"),
    ("model", "main"),
    ("resnet", ""),
    ("sd", ""),
)


def meaning_of(word: str) -> Meaning:
    """What a word means, whatever its case."""
    return _meaning_of(word.lower())


@lru_cache(4096)
def _meaning_of(word: str) -> Meaning:
    for meaning, words in _TABLES:
        if word in words:
            return meaning
    return "metric" if is_metric_word(word) else ""


_TABLES: tuple[tuple[Meaning, frozenset[str]], ...] = (
    ("epoch", EPOCHS),
    ("step", STEPS),
    ("number", COUNTS),
    ("role", frozenset(ROLES)),
    ("veto", VETOES),
    ("identity", IDENTITIES),
    ("main", MAIN),
    ("part", PARTS),
)


@lru_cache(4096)
def is_setting(key: str) -> bool:
    """Whether a key says which of several models it is (``fold``, ``seed``), and stays the same in one training."""
    words = _WORD.findall(key.lower())
    return bool(words) and meaning_of(words[-1]) == "identity" and words[-1] not in TUNED


_WORD = re.compile(r"[^\W\d_]+")


@lru_cache(4096)
def is_metric_word(word: str) -> bool:
    """Whether a word says that a number behind it was measured; in lower case, a key of several words too."""
    if word in MEASURED or infer_mode(word) is not None:
        return True
    return len(word) > _LEAST and word.endswith(_MEASURED_ENDINGS)

"""What AllenNLP leaves in a serialization folder."""

from __future__ import annotations

from collections.abc import Mapping

from tests.layouts.tree import Expected, Tree, json_file, torch_file

_MODEL = torch_file({"weight": 1.0})
_TRAINING = torch_file({"optimizer": {}, "epochs_completed": 1})


def _pair(stem: str) -> dict[str, bytes]:
    return {f"model_state_{stem}.th": _MODEL, f"training_state_{stem}.th": _TRAINING}


def _metrics(epoch: int, accuracy: float, loss: float) -> dict[str, bytes]:
    """What training notes of an epoch; the best so far is another's."""
    said = {
        "best_epoch": 1,
        "best_validation_accuracy": 0.9,
        "peak_worker_0_memory_MB": 300.5,
        "training_duration": "0:00:10.5",
        "epoch": epoch,
        "training_accuracy": accuracy,
        "training_loss": loss,
        "training_worker_0_memory_MB": 300.5,
        "validation_accuracy": accuracy,
        "validation_loss": loss,
    }
    return {f"metrics_epoch_{epoch}.json": json_file(said)}


def _scores(accuracy: float, loss: float) -> dict[str, float]:
    return {
        "training_accuracy": accuracy,
        "training_loss": loss,
        "validation_accuracy": accuracy,
        "validation_loss": loss,
    }


def _found(
    stem: str, epoch: int, counter: int | None = 0, metrics: Mapping[str, float] | None = None, layout: str = ""
) -> Expected:
    return Expected(stem, tuple(_pair(stem)), epoch=epoch, counter=counter, metrics=metrics or {}, layout=layout)


_BESIDE = {
    "config.json": b"{}",
    "meta.json": b"{}",
    "metrics.json": b"{}",
    "out.log": b"x",
    "vocabulary/tokens.txt": b"the\n",
    "vocabulary/.lock": b"",
    "log/train/events.out.tfevents.1700000000.host": b"x",
}

TREES = (
    Tree(
        "three epochs, the second the best",
        "allennlp",
        {
            **_pair("e1_b0"),
            **_pair("e2_b0"),
            **_pair("e3_b0"),
            **_metrics(0, 0.8, 0.5),
            **_metrics(1, 0.9, 0.4),
            **_metrics(2, 0.85, 0.3),
            **_BESIDE,
        },
        (
            _found("e1_b0", epoch=1, counter=0, metrics=_scores(0.8, 0.5)),
            _found("e2_b0", epoch=2, counter=0, metrics=_scores(0.9, 0.4)),
            _found("e3_b0", epoch=3, counter=0, metrics=_scores(0.85, 0.3)),
        ),
        hard_links={"best.th": "model_state_e2_b0.th"},
        pointers={"best.th": "e2_b0"},
    ),
    Tree(
        "a copy of the best, and a save in the middle of an epoch that nothing was measured of",
        "allennlp",
        {
            **_pair("e1_b0"),
            **_pair("e1_b500"),
            "best.th": _MODEL,
            **_metrics(0, 0.8, 0.5),
            **_BESIDE,
        },
        (
            Expected("best.th", roles=("best",), layout="allennlp-best"),
            _found("e1_b0", epoch=1, counter=0, metrics=_scores(0.8, 0.5)),
            _found("e1_b500", epoch=1, counter=500, layout="allennlp-batches"),
        ),
    ),
    Tree(
        "killed before the training state",
        "allennlp",
        {**_pair("e1_b0"), **_pair("e2_b0"), "model_state_e3_b0.th": _MODEL},
        (
            _found("e1_b0", epoch=1, counter=0),
            _found("e2_b0", epoch=2, counter=0),
            Expected("e3_b0", ("model_state_e3_b0.th",), epoch=3, counter=0, state="partial"),
        ),
    ),
    Tree(
        "a training state cut short",
        "allennlp",
        {**_pair("e1_b0"), **_pair("e2_b0"), "training_state_e2_b0.th": _TRAINING[:-20]},
        (_found("e1_b0", epoch=1, counter=0), _found("e2_b0", epoch=2, counter=0)._replace(state="partial")),
    ),
    Tree(
        "files of each worker, one of the newest missing",
        "allennlp",
        {
            f"{kind}_state_e{epoch}_b0_w{worker}.th": _MODEL
            for epoch, workers in ((1, (0, 1, 2)), (2, (0, 2)))
            for worker in workers
            for kind in ("model", "training")
        }
        | {f"best_w{worker}.th": _MODEL for worker in (0, 1, 2)},
        (
            Expected("best", ("best_w0.th", "best_w1.th", "best_w2.th"), roles=("best",), layout="allennlp-best"),
            *(
                Expected(
                    f"e{epoch}_b0",
                    tuple(f"{kind}_state_e{epoch}_b0_w{it}.th" for it in workers for kind in ("model", "training")),
                    epoch=epoch,
                    counter=0,
                    state=state,
                )
                for epoch, workers, state in ((1, (0, 1, 2), "complete"), (2, (0, 2), "partial"))
            ),
        ),
    ),
    Tree(
        "epochs of AllenNLP 1",
        "allennlp-epochs",
        {
            **_pair("epoch_0"),
            **_pair("epoch_1"),
            **_pair("epoch_2"),
            **_metrics(0, 0.8, 0.5),
            **_metrics(1, 0.9, 0.4),
            **_BESIDE,
        },
        (
            _found("epoch_0", epoch=0, counter=None, metrics=_scores(0.8, 0.5)),
            _found("epoch_1", epoch=1, counter=None, metrics=_scores(0.9, 0.4)),
            _found("epoch_2", epoch=2, counter=None),
        ),
    ),
)

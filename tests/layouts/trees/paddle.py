"""What the toolkits of PaddlePaddle leave in a folder."""

from __future__ import annotations

from tests.layouts.tree import Expected, Tree, json_file

_PICKLE = b"\x80\x04}."
_DETECTION = ("pdparams", "pdopt", "pdstates")


def _family(stem: str, *endings: str) -> dict[str, bytes]:
    return {f"{stem}.{ending}": _PICKLE for ending in endings}


def _found(
    stem: str,
    *endings: str,
    epoch: int | None = None,
    step: int | None = None,
    roles: tuple[str, ...] = (),
    layout: str = "",
    state: str = "complete",
) -> Expected:
    return Expected(
        stem, tuple(_family(stem, *endings)), epoch=epoch, step=step, roles=roles, layout=layout, state=state
    )


def _uniform(name: str, metric: float) -> dict[str, bytes]:
    """One folder of the uniform output of PaddleDetection."""
    files = {**_family(name, *_DETECTION), f"{name}.info.json": json_file({"metric": metric, "epoch": 13})}
    return {f"{name}/{path}": data for path, data in files.items()} | {f"{name}/inference/inference.pdmodel": b"x"}


TREES = (
    Tree(
        "Detection with a best model, and an epoch that was measured, not saved",
        "paddle",
        {
            **_family("0", *_DETECTION),
            **_family("1", *_DETECTION, "pdema"),
            **_family("2", "pdstates"),
            **_family("best_model", *_DETECTION),
            **_family("model_final", "pdparams", "pdopt"),
            "best_model/model.pdparams": _PICKLE,
            "vdl_log_dir/scalar/vdlrecords.1700000000.log": b"x",
            "train.log": b"x",
        },
        (
            Expected("best_model", roles=("best",), layout="paddle-best"),
            _found("best_model", *_DETECTION, roles=("best",), layout="paddle-role")._replace(
                path="best_model.pdparams"
            ),
            _found("model_final", "pdparams", "pdopt", roles=("final",), layout="paddle-role"),
            _found("0", *_DETECTION, epoch=0),
            _found("1", *_DETECTION, "pdema", epoch=1),
        ),
    ),
    Tree(
        "Detection, killed before the optimizer",
        "paddle",
        {**_family("4", "pdparams", "pdopt"), **_family("9", "pdparams", "pdopt"), **_family("14", "pdparams")},
        (
            _found("4", "pdparams", "pdopt", epoch=4),
            _found("9", "pdparams", "pdopt", epoch=9),
            _found("14", "pdparams", epoch=14, state="partial"),
        ),
    ),
    Tree(
        "OCR",
        "paddle-named",
        {
            **_family("iter_epoch_10", "pdparams", "pdopt", "states"),
            **_family("iter_epoch_20", "pdparams", "pdopt", "states"),
            **_family("best_accuracy", "pdparams", "pdopt", "states"),
            **_family("latest", "pdparams", "pdopt", "states"),
            "config.yml": b"Global: {}\n",
            "train.log": b"x",
        },
        (
            _found("best_accuracy", "pdparams", "pdopt", "states", roles=("best",), layout="paddle-role"),
            _found("latest", "pdparams", "pdopt", "states", roles=("last",), layout="paddle-role"),
            _found("iter_epoch_10", "pdparams", "pdopt", "states", epoch=10),
            _found("iter_epoch_20", "pdparams", "pdopt", "states", epoch=20),
        ),
    ),
    Tree(
        "Clas, with weights of the best that someone kept alone",
        "paddle-named",
        {**_family("epoch_1", *_DETECTION), **_family("epoch_2", *_DETECTION), **_family("best_model", "pdparams")},
        (
            Expected("best_model.pdparams", roles=("best",), layout="paddle-role"),
            _found("epoch_1", *_DETECTION, epoch=1),
            _found("epoch_2", *_DETECTION, epoch=2),
        ),
    ),
    Tree(
        "Seg, killed before the optimizer",
        "paddle-seg",
        {
            **{f"iter_{step}/model.{ending}": _PICKLE for step in (1000, 2000) for ending in ("pdparams", "pdopt")},
            "iter_3000/model.pdparams": _PICKLE,
            "best_model/model.pdparams": _PICKLE,
            "vdlrecords.1700000000.log": b"x",
        },
        (
            Expected("best_model", roles=("best",), layout="paddle-best"),
            Expected("iter_1000", step=1000),
            Expected("iter_2000", step=2000),
            Expected("iter_3000", step=3000, state="partial"),
        ),
    ),
    Tree(
        "Detection with uniform output, the newest only begun",
        "paddle-uniform",
        {
            **_uniform("12", 0.31),
            **_uniform("25", 0.35),
            **_uniform("best_model", 0.35),
            "38/38.info.json": json_file({"metric": 0.36, "epoch": 39}),
            "train_results.json": json_file({"done_flag": False}),
        },
        (
            Expected("best_model", roles=("best",), metrics={"metric": 0.35}, layout="paddle-best"),
            Expected("12", epoch=12, metrics={"metric": 0.31}),
            Expected("25", epoch=25, metrics={"metric": 0.35}),
            Expected("38", epoch=38, state="partial"),
        ),
    ),
    Tree(
        "a run whose folder is called by a number",
        "paddle",
        {f"12/{path}": data for stem in ("0", "1") for path, data in _family(stem, "pdparams", "pdopt").items()},
        tuple(
            Expected(f"12/{stem}", tuple(f"12/{it}" for it in _family(stem, "pdparams", "pdopt")), epoch=int(stem))
            for stem in ("0", "1")
        ),
    ),
)

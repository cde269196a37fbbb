"""Checkpoint folders of NeMo 1.x and 2.x."""

from __future__ import annotations

from collections.abc import Sequence

from tests.layouts.tree import Expected, Tree, torch_file

ASR = "Conformer--val_wer={:.4f}-epoch={}"
GPT = "megatron_gpt--val_loss={:.2f}-step={}-consumed_samples={}.0"
RANKS = ("mp_rank_00", "mp_rank_01")
PIPELINE = tuple(f"tp_rank_{tp:02d}_pp_rank_{pp:03d}" for tp in (0, 1) for pp in (0, 1))
WHOLE = torch_file()
SCORES = {100: 2.5, 200: 2.25, 300: 2.0}


def gpt(step: int) -> str:
    return GPT.format(SCORES[step], step, step * 8)


def in_ranks(name: str, ranks: Sequence[str]) -> dict[str, bytes]:
    return {f"checkpoints/{rank}/{name}": WHOLE for rank in ranks}


def expect(step: int, ranks: Sequence[str], *ends: str, state: str = "complete") -> Expected:
    members = tuple(f"checkpoints/{rank}/{gpt(step)}{end}.ckpt" for rank in ranks for end in ends)
    metrics = {"val_loss": SCORES[step], "consumed_samples": step * 8.0}
    return Expected(f"checkpoints/{gpt(step)}", members, step=step, metrics=metrics, state=state)


def folder(step: int, end: str = "") -> dict[str, bytes]:
    """A save of 2.x."""
    top = f"checkpoints/{gpt(step)}{end}"
    files = (
        "weights/.metadata",
        "weights/__0_0.distcp",
        "weights/metadata.json",
        "context/io.json",
        "context/model.yaml",
    )
    return {f"{top}/{it}": b"x" for it in files}


def distributed(step: int, end: str = "") -> dict[str, bytes]:
    """A save of 1.x in the distributed format."""
    files = ("common.pt", "metadata.json", "__0_0.distcp", "__1_0.distcp")
    return {f"checkpoints/{gpt(step)}{end}/{it}": b"{}" for it in files}


def of_folder(step: int, end: str = "", *, state: str = "complete", roles: tuple[str, ...] = ()) -> Expected:
    metrics = {"val_loss": SCORES[step], "consumed_samples": step * 8.0}
    return Expected(f"checkpoints/{gpt(step)}{end}", step=step, metrics=metrics, state=state, roles=roles)


LOGS = {"lightning_logs.txt": b"x", "cmd-args.log": b"x", "git-info.log": b"x", "hparams.yaml": b"a: 1"}
TREES = (
    Tree(
        "files of one rank, with their EMA twins",
        "nemo",
        {
            **LOGS,
            **{f"checkpoints/{ASR.format(0.5, 1)}{end}.ckpt": WHOLE for end in ("", "-EMA")},
            **{f"checkpoints/{ASR.format(0.25, 2)}{end}.ckpt": WHOLE for end in ("", "-EMA")},
            f"checkpoints/{ASR.format(0.25, 2)}-last.ckpt": WHOLE,
            "checkpoints/Conformer.nemo": b"ustar",
        },
        (
            *(
                Expected(
                    f"checkpoints/{ASR.format(score, epoch)}",
                    tuple(f"checkpoints/{ASR.format(score, epoch)}{end}.ckpt" for end in ("", "-EMA")),
                    epoch=epoch,
                    metrics={"val_wer": score},
                )
                for epoch, score in ((1, 0.5), (2, 0.25))
            ),
            Expected(
                f"checkpoints/{ASR.format(0.25, 2)}-last.ckpt", epoch=2, metrics={"val_wer": 0.25}, roles=("last",)
            ),
        ),
    ),
    Tree(
        "one checkpoint in all folders of ranks",
        "nemo",
        {path: data for step in SCORES for path, data in in_ranks(f"{gpt(step)}.ckpt", RANKS).items()} | LOGS,
        tuple(expect(step, RANKS, "") for step in SCORES),
    ),
    Tree(
        "a folder of ranks lacks its share",
        "nemo",
        {
            path: data
            for step in SCORES
            for path, data in in_ranks(f"{gpt(step)}.ckpt", PIPELINE).items()
            if path != f"checkpoints/{PIPELINE[2]}/{gpt(200)}.ckpt"
        },
        (
            expect(100, PIPELINE, ""),
            expect(200, (*PIPELINE[:2], PIPELINE[3]), "", state="partial"),
            expect(300, PIPELINE, ""),
        ),
    ),
    Tree(
        "marked while it is written, or deleted",
        "nemo",
        {
            **{path: data for step in SCORES for path, data in in_ranks(f"{gpt(step)}.ckpt", RANKS).items()},
            **{path: data for step in SCORES for path, data in in_ranks(f"{gpt(step)}-EMA.ckpt", RANKS).items()},
            f"checkpoints/{gpt(300)}-unfinished": b"",
        },
        (
            expect(100, RANKS, "", "-EMA"),
            expect(200, RANKS, "", "-EMA"),
            expect(300, RANKS, "", "-EMA", state="partial"),
        ),
    ),
    Tree(
        "folders of 2.x, the last one linked",
        "nemo-dir",
        {path: data for step in SCORES for path, data in folder(step).items()} | LOGS,
        tuple(of_folder(step) for step in SCORES),
        links={f"checkpoints/{gpt(300)}-last": gpt(300)},
        pointers={f"checkpoints/{gpt(300)}-last": f"checkpoints/{gpt(300)}"},
    ),
    Tree(
        "folders of 2.x, the newest half written",
        "nemo-dir",
        {
            **folder(100),
            **folder(200),
            **folder(200, "-last"),
            f"checkpoints/{gpt(300)}/weights/__0_0.distcp": b"PK",
            f"checkpoints/{gpt(300)}-unfinished": b"",
        },
        (of_folder(100), of_folder(200), of_folder(200, "-last", roles=("last",)), of_folder(300, state="partial")),
    ),
    Tree(
        "distributed folders of 1.x, the newest half written",
        "nemo-dist",
        {
            **distributed(100),
            **distributed(200, "-last"),
            f"checkpoints/{gpt(300)}/__0_0.distcp": b"PK",
            f"checkpoints/{gpt(300)}-unfinished": b"",
        },
        (of_folder(100), of_folder(200, "-last", roles=("last",)), of_folder(300, state="partial")),
    ),
)

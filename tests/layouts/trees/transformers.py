"""Output folders of transformers' Trainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan

from tests.layouts.tree import Expected, Tree, json_file, safetensors

LOSSES = {250: 0.95, 500: 0.91, 1000: 0.72, 1500: 0.74}


def state(losses: Mapping[int, float], best: str | None, *, last: int = 0) -> bytes:
    """A ``trainer_state.json`` with all that was logged up to a step."""
    history: list[dict[str, float]] = []
    for step, loss in losses.items():
        history.append(
            {"epoch": step / 500, "grad_norm": nan, "learning_rate": 1e-05, "loss": loss + 0.1, "step": step}
        )
        row = {"epoch": step / 500, "eval_loss": loss, "eval_runtime": 3.2, "eval_samples_per_second": 310.5}
        history.append({**row, "eval_steps_per_second": 38.8, "step": step})
    step = last or max(losses)
    return json_file(
        {
            "best_metric": min(losses.values()),
            "best_model_checkpoint": best,
            "epoch": step / 500,
            "global_step": step,
            "is_world_process_zero": True,
            "log_history": history,
            "max_steps": 5000,
            "stateful_callbacks": {},
            "total_flos": 0.0,
        }
    )


def save(step: int, more: Sequence[str] = ("optimizer.pt", "scheduler.pt", "rng_state.pth")) -> dict[str, bytes]:
    """What one save leaves but for its ``trainer_state.json``."""
    plain = ("config.json", "generation_config.json", "training_args.bin", "tokenizer.json", *more)
    files = {f"checkpoint-{step}/{name}": b"{}" if name.endswith(".json") else b"x" for name in plain}
    return {f"checkpoint-{step}/model.safetensors": safetensors(), **files}


def saves(losses: Mapping[int, float], best: str | None, more: Sequence[str]) -> dict[str, bytes]:
    """Whole saves, each with all that was logged before it."""
    files: dict[str, bytes] = {}
    for step in losses:
        known = {it: loss for it, loss in losses.items() if it <= step}
        files |= save(step, more) | {f"checkpoint-{step}/trainer_state.json": state(known, best)}
    return files


def expect(losses: Mapping[int, float], **more: str) -> tuple[Expected, ...]:
    return tuple(
        Expected(f"checkpoint-{step}", epoch=step / 500, step=step, metrics={"eval_loss": loss}, **more)  # type: ignore[arg-type]
        for step, loss in losses.items()
    )


ONE = ("optimizer.pt", "scheduler.pt", "rng_state.pth")
TWO = ("optimizer.pt", "scheduler.pt", "scaler.pt", "rng_state_0.pth", "rng_state_1.pth")
FINAL = {
    "config.json": b"{}",
    "model.safetensors": safetensors(),
    "training_args.bin": b"x",
    "trainer_state.json": state(LOSSES, "out/checkpoint-1000"),
    "all_results.json": b"{}",
    "eval_results.json": b"{}",
    "README.md": b"# run",
    "runs/Aug01_host/events.out.tfevents.1.host.1.0": b"x",
}
ADAPTER = ("adapter_config.json", "adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth")


def zero(step: int, ranks: Sequence[int]) -> dict[str, bytes]:
    """DeepSpeed's part of a save, with ZeRO-2."""
    folder = f"checkpoint-{step}/global_step{step}"
    parts = {f"{folder}/bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt": b"x" for rank in ranks}
    links = {f"checkpoint-{step}/latest": f"global_step{step}".encode(), f"checkpoint-{step}/zero_to_fp32.py": b"#"}
    return {f"{folder}/mp_rank_00_model_states.pt": b"x", **parts, **links}


def sharded(folder: str) -> dict[str, bytes]:
    return {f"{folder}/.metadata": b"\x80\x02}.", f"{folder}/__0_0.distcp": b"PK", f"{folder}/__1_0.distcp": b"PK"}


BEST = {"checkpoint-1500/trainer_state.json": "checkpoint-1000"}
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json")
TREES = (
    Tree(
        "a run with its final model and all results",
        "transformers",
        {**saves(LOSSES, "out/checkpoint-1000", ONE), **FINAL},
        expect(LOSSES),
        pointers=BEST,
    ),
    Tree(
        "the newest is half written, and a staging folder was left",
        "transformers",
        {
            **saves(LOSSES, "/gone/out/checkpoint-1000", ONE),
            **save(2000, ("optimizer.pt",)),
            "tmp-checkpoint-2500/model.safetensors": safetensors(),
            "tmp-checkpoint-pe8ry7n_/config.json": b"{}",
        },
        (
            *expect(LOSSES),
            Expected("checkpoint-2000", step=2000, state="partial"),
            Expected("tmp-checkpoint-2500", state="partial"),
            Expected("tmp-checkpoint-pe8ry7n_", state="partial"),
        ),
        pointers=BEST,
    ),
    Tree(
        "a rank's random state is missing",
        "transformers",
        {path: data for path, data in saves(LOSSES, None, TWO).items() if path != "checkpoint-1000/rng_state_0.pth"},
        tuple(it._replace(state="partial") if it.path == "checkpoint-1000" else it for it in expect(LOSSES)),
    ),
    Tree(
        "one of the shards is missing",
        "transformers",
        {
            path: data
            for path, data in saves(LOSSES, None, SHARDS).items()
            if not path.endswith("0/model.safetensors") and path != "checkpoint-1500/model-00002-of-00002.safetensors"
        },
        (*expect(LOSSES)[:3], expect(LOSSES)[3]._replace(state="partial")),
    ),
    Tree(
        "DeepSpeed's folders inside are not checkpoints of their own",
        "transformers-deepspeed",
        {
            **saves(LOSSES, "out/checkpoint-1000", ("scheduler.pt", "rng_state_0.pth", "rng_state_1.pth")),
            **{path: data for step in LOSSES for path, data in zero(step, (0, 1)).items()},
            **save(2000, ()),
            "checkpoint-2000/global_step2000/mp_rank_00_model_states.pt": b"x",
        },
        (*expect(LOSSES), Expected("checkpoint-2000", step=2000, state="partial")),
        pointers=BEST,
    ),
    Tree(
        "FSDP's folders inside are not checkpoints of their own",
        "transformers",
        {
            **{
                path: data
                for path, data in saves(LOSSES, None, ("scheduler.pt", "rng_state_0.pth", "rng_state_1.pth")).items()
                if not path.endswith("model.safetensors")
            },
            **{
                path: data
                for step in LOSSES
                for part in ("pytorch_model_fsdp_0", "optimizer_0")
                for path, data in sharded(f"checkpoint-{step}/{part}").items()
            },
            **sharded("checkpoint-2000/pytorch_model_fsdp_0"),
        },
        (*expect(LOSSES), Expected("checkpoint-2000", step=2000, state="partial")),
    ),
    Tree(
        "adapters, a diverged evaluation, and a name that is no checkpoint's",
        "transformers",
        {
            **{
                path: data
                for path, data in saves({500: 0.9, 1000: nan}, None, ADAPTER).items()
                if not path.endswith("/model.safetensors")
            },
            "checkpoint-500-bak/model.safetensors": safetensors(),
            "checkpoint-500-bak/trainer_state.json": state({500: 0.9}, None),
            "completions/completions_00500.parquet": b"PAR1",
            "notes.txt": b"mine",
        },
        expect({500: 0.9, 1000: nan}),
        strays=("notes.txt",),
    ),
    Tree(
        "a search with a folder for each trial",
        "transformers",
        {
            f"run-{trial}/{path}": data
            for trial in (0, 1)
            for path, data in saves({500: 0.5 + trial}, None, ONE).items()
        },
        tuple(
            Expected(f"run-{trial}/checkpoint-500", epoch=1, step=500, metrics={"eval_loss": 0.5 + trial})
            for trial in (0, 1)
        ),
    ),
)

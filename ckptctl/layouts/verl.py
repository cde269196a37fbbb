"""verl (volcengine/verl) as of January 2026: ``global_step_N`` with ``actor/`` and ``critic/``, or one model's files.

Read in verl's trainer/ppo/ray_trainer.py, utils/checkpoint/fsdp_checkpoint_manager.py, megatron_checkpoint_manager.py
and checkpoint_handler.py. The loader's state (``data.pt``, one for each rank in supervised training) comes after the
models, the tracker last. Verl's own retention empties old folders of their models and leaves the rest standing.

EasyR1 (hiyouga/EasyR1, verl/trainer/ray_trainer.py), made from verl, has ``dataloader.pt``, and a tracker in JSON that
names the best save too; there 0 stands for none yet.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FolderLayout, Layout, PointerFile, Slimming

LAYOUTS: tuple[Layout, ...] = (
    FolderLayout(
        name="verl",
        names=(r"global_step_(?P<step>\d+)",),
        sentinels=("actor", "critic", "model_world_size_*_rank_*.pt", "fsdp_config.json"),
        hints=("data.pt", "data_*.pt", "huggingface", "dist_ckpt"),
        required=("actor|model_world_size_*_rank_*.pt|dist_ckpt", "data*.pt"),
        ranks=(
            r"actor/model_world_size_\d+_rank_(\d+)\.pt",
            r"actor/optim_world_size_\d+_rank_(\d+)\.pt",
            r"critic/model_world_size_\d+_rank_(\d+)\.pt",
            r"critic/optim_world_size_\d+_rank_(\d+)\.pt",
            r"model_world_size_\d+_rank_(\d+)\.pt",
            r"optim_world_size_\d+_rank_(\d+)\.pt",
            r"data_(\d+)\.pt",
        ),
        beside=tuple(
            """latest_checkpointed_iteration.txt latest_checkpointed_iteration.txt.tmp checkpoint_tracker.json
            rollout* validation* tensorboard_log wandb *.log *.jsonl""".split()
        ),
        pointers=(
            PointerFile("latest_checkpointed_iteration.txt", "step", commits=True),
            PointerFile("checkpoint_tracker.json", "json", field="last_global_step", commits=True),
            PointerFile("checkpoint_tracker.json", "json", field="best_global_step", is_best=True, unset="0"),
        ),
        slimming=Slimming(
            files=tuple(
                """actor/optim_world_size_*_rank_*.pt actor/extra_state_world_size_*_rank_*.pt
                critic/optim_world_size_*_rank_*.pt critic/extra_state_world_size_*_rank_*.pt
                optim_world_size_*_rank_*.pt extra_state_world_size_*_rank_*.pt data*.pt""".split()
            ),
            require=("actor/model_world_size_*_rank_*.pt", "model_world_size_*_rank_*.pt"),
        ),
        examples=("global_step_20", "global_step_1000"),
    ),
)

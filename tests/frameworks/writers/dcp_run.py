"""Saves with torch's distributed checkpoints: alone, by two processes, killed half-way, and where nobody would look."""

# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

import os
import re
import socket
from contextlib import suppress
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import multiprocessing
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

from tests.frameworks.writers.telling import Truth, main

SAVES = 5
EVERY = 100


class KilledWriter(dcp.FileSystemWriter):
    """Writes the shards, and is stopped before it writes the metadata."""

    def finish(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
        raise InterruptedError


class Training:
    """A tiny model, sharded where there are several processes, and how far it has come."""

    def __init__(self) -> None:
        self.model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Linear(8, 2))
        if dist.is_initialized():
            from torch.distributed.device_mesh import init_device_mesh
            from torch.distributed.fsdp import fully_shard

            fully_shard(self.model, mesh=init_device_mesh("cpu", (dist.get_world_size(),)))
        self.optimizer = torch.optim.AdamW(self.model.parameters())
        self.steps = 0

    def step(self, count: int = 1) -> None:
        """One step of training, counted as so many."""
        self.model(torch.randn(4, 8)).square().mean().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.steps += count

    def state(self) -> dict[str, Any]:
        """What torchtitan saves: the weights at the top, the rest below its name."""
        model, optimizer = get_state_dict(self.model, self.optimizer)
        return {**model, "optimizer": optimizer, "train_state": {"step": self.steps}}

    def load(self, folder: str) -> None:
        """Go on from a checkpoint."""
        self.step()
        state = self.state()
        dcp.load(state, checkpoint_id=folder)
        self.steps = state.pop("train_state")["step"]
        optimizer = state.pop("optimizer")
        set_state_dict(self.model, self.optimizer, model_state_dict=state, optim_state_dict=optimizer)


def write(folder: str, template: str = "step-{}") -> Truth:
    """Some saves that ended well."""
    training, saved = Training(), []
    for _ in range(SAVES):
        training.step(EVERY)
        path = template.format(training.steps)
        dcp.save(training.state(), checkpoint_id=os.path.join(folder, path))
        saved.append({"path": path, "step": training.steps})
    return {"checkpoints": saved, "last": saved[-1]["path"], "resumes": saved[-1]["step"]}


def kill(folder: str) -> Truth:
    """The last save is killed before its metadata is written."""
    truth = write(folder)
    training = Training()
    training.step((SAVES + 1) * EVERY)
    path = f"step-{training.steps}"
    with suppress(CheckpointException):
        dcp.save(training.state(), storage_writer=KilledWriter(os.path.join(folder, path)))
    return {**truth, "others": [path]}


def write_as(rank: int, processes: int, port: int, folder: str, seed: int) -> None:
    """What each of several processes does."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=processes)
    torch.manual_seed(seed)
    write(folder)
    dist.destroy_process_group()


def shard(folder: str, seed: int) -> Truth:
    """The same saves by two processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(write_as, (2, port, folder, seed), nprocs=2)
    steps = [EVERY * nth for nth in range(1, SAVES + 1)]
    return {
        "checkpoints": [{"path": f"step-{step}", "step": step} for step in steps],
        "last": f"step-{steps[-1]}",
        "resumes": steps[-1],
    }


def train(folder: str, seed: int) -> Truth:
    """All trainings, each in a folder of its own."""
    torch.manual_seed(seed)
    return {
        "alone": write(os.path.join(folder, "alone"), "checkpoint/step-{}"),
        "named": write(os.path.join(folder, "named"), "ckpt_step_{}"),
        "killed": kill(os.path.join(folder, "killed")),
        "sharded": shard(os.path.join(folder, "sharded"), seed),
    }


def resume(folder: str) -> Truth:
    """Goes on from the highest number whose metadata is there, as torchtitan does."""
    folder = os.path.join(folder, "checkpoint") if os.path.isdir(os.path.join(folder, "checkpoint")) else folder
    whole = [name for name in os.listdir(folder) if os.path.isfile(os.path.join(folder, name, ".metadata"))]
    latest = max(whole, key=lambda name: int(re.findall(r"\d+", name)[0]))
    training = Training()
    training.load(os.path.join(folder, latest))
    return {"latest": latest, "step": training.steps}


if __name__ == "__main__":
    main(train, resume)

"""Saves in each form that torch, transformers, PEFT and accelerate write, and reads all of it with their own readers.

Of each form: ``saves``, their names; ``weights``, the files of one that hold them, "" where it is a file itself;
``tensors`` of the first, name to shape, type, bytes and home, which those that share memory share; ``apart``, name to
the largest and to the mean difference between the first and the second; ``packed``, the arrays whose numbers lie inside
of a pickle; ``sample``, the first bytes of one of the weights of the second.

``resume FOLDER`` loads what ckptctl made: FOLDER/FORM/slim of the second save and FOLDER/FORM/mean of all, the same as
safetensors, and FOLDER/FORM/bare. It tells in what they differ from the second save, and from the mean.
"""

# mypy: disable-error-code="import-not-found, import-untyped, misc"

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from accelerate import Accelerator, load_checkpoint_in_model
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from torch import multiprocessing
from torch.distributed.checkpoint.state_dict import get_state_dict
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

from tests.frameworks.writers.telling import Truth, main

SAVES = 3
PROCESSES = 2
SMALL = 700
"""Bytes of a shard, of which a model then has several."""
SAMPLE = 4
"""Numbers that tell a weight from all others."""
State = dict[str, Any]


class Net(torch.nn.Sequential):
    """Layers that two processes do not share evenly, one that leaves the second with nothing, and counts."""

    def __init__(self) -> None:
        super().__init__(torch.nn.Linear(7, 5), torch.nn.BatchNorm1d(5), torch.nn.Linear(5, 1))


class Scaled(torch.nn.Module):
    """The same with a weight of one number, of which FSDP takes none."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.scale = Net(), torch.nn.Parameter(torch.tensor(2.5))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.net(batch) * self.scale


class Training:
    """A tiny model and its optimizer, spread over the processes where there are several."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model
        if dist.is_initialized():
            from torch.distributed.device_mesh import init_device_mesh
            from torch.distributed.fsdp import fully_shard

            fully_shard(self.model, mesh=init_device_mesh("cpu", (dist.get_world_size(),)))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), amsgrad=True)
        self.steps = 0

    def step(self) -> None:
        """One step of training."""
        self.model(torch.randn(6, 7)).square().mean().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.steps += 1

    def save_file(self, path: str) -> None:
        """As most scripts save, in one file."""
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "epoch": self.steps}
        torch.save(state, path)

    def save_folder(self, path: str) -> None:
        """As torch's distributed checkpoints."""
        model, optimizer = get_state_dict(self.model, self.optimizer)
        dcp.save({"model": model, "optimizer": optimizer, "train_state": {"step": self.steps}}, checkpoint_id=path)


def make_llama(*, tied: bool = False) -> Any:  # noqa: ANN401
    """A language model of a few hundred weights; with tied ones they are of 16 bits."""
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=16, max_position_embeddings=16, tie_word_embeddings=tied, **sizes)
    model = LlamaForCausalLM(config)
    return model.to(torch.bfloat16) if tied else model


def make_adapter() -> Any:  # noqa: ANN401
    """The same model with an adapter of LoRA's."""
    return get_peft_model(make_llama(), LoraConfig(target_modules=["q_proj"], r=2))


# Writing


def write_files(folder: str) -> None:
    """Single files of torch.save."""
    training = Training(Scaled())
    for nth in range(1, SAVES + 1):
        training.step()
        training.save_file(os.path.join(folder, f"epoch_{nth}.pt"))


def write_alone(folder: str) -> None:
    """Distributed checkpoints of one process."""
    torch.manual_seed(0)
    training = Training(Net())
    for nth in range(1, SAVES + 1):
        training.step()
        training.save_folder(os.path.join(folder, f"step-{nth}"))


def write_shards(folder: str) -> None:
    """The same by several processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(write_as, (port, folder), nprocs=PROCESSES)


def write_as(rank: int, port: int, folder: str) -> None:
    """What each of them does."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=PROCESSES)
    write_alone(folder)
    dist.destroy_process_group()


def follow(folder: str, model: Any) -> None:  # noqa: ANN401
    """A training with transformers' Trainer."""
    arguments = TrainingArguments(
        output_dir=folder,
        max_steps=2 * SAVES,
        save_steps=2,
        learning_rate=0.01,
        per_device_train_batch_size=2,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    texts = [{"input_ids": ids, "labels": ids} for ids in torch.randint(0, 16, (16, 8))]
    Trainer(model=model, args=arguments, train_dataset=texts).train()


def write_trainer(folder: str) -> None:
    """One file of weights in each checkpoint."""
    follow(folder, make_llama())


def write_sharded_trainer(folder: str) -> None:
    """Several, and an index of them; two of the weights are one."""
    model = make_llama(tied=True)
    save = model.save_pretrained
    model.save_pretrained = lambda *args, **kwargs: save(*args, **kwargs, max_shard_size=SMALL)
    follow(folder, model)


def write_lora(folder: str) -> None:
    """An adapter in each checkpoint."""
    follow(folder, make_adapter())


def write_old_lora(folder: str) -> None:
    """An adapter as PEFT wrote it before safetensors, and still does if asked."""
    model = make_adapter()
    for nth in range(1, SAVES + 1):
        nudge(model)
        model.save_pretrained(os.path.join(folder, f"adapter-{nth}"), safe_serialization=False)


def write_model(folder: str) -> None:
    """What ``save_pretrained`` leaves, in shards."""
    model = make_llama(tied=True)
    for nth in range(1, SAVES + 1):
        nudge(model)
        model.save_pretrained(os.path.join(folder, f"model-{nth}"), max_shard_size=SMALL)


def write_old_model(folder: str) -> None:
    """``pytorch_model-00001-of-0000N.bin``: transformers no longer writes them, accelerate does."""
    model = make_llama(tied=True)
    for nth in range(1, SAVES + 1):
        nudge(model)
        place = os.path.join(folder, f"model-{nth}")
        Accelerator(cpu=True).save_model(model, place, max_shard_size=SMALL, safe_serialization=False)
        model.config.save_pretrained(place)


def nudge(model: Any) -> None:  # noqa: ANN401
    """Change every weight by a little."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.01)


def write_states(folder: str) -> None:
    """Accelerate's, with safetensors."""
    save_states(folder, safe=True)


def write_old_states(folder: str) -> None:
    """Accelerate's, with ``pytorch_model.bin``."""
    save_states(folder, safe=False)


def save_states(folder: str, *, safe: bool) -> None:
    """All that accelerate needs to go on."""
    accelerator, training = Accelerator(cpu=True), Training(Scaled())
    training.model, training.optimizer = accelerator.prepare(training.model, training.optimizer)
    for nth in range(1, SAVES + 1):
        training.step()
        accelerator.save_state(os.path.join(folder, f"step_{nth}"), safe_serialization=safe)


# Reading


def read(path: str) -> Iterator[tuple[str, str, Any]]:
    """Each array in a save: its file, its name, and itself."""
    if os.path.exists(os.path.join(path, ".metadata")):
        yield from (("", name, tensor) for name, tensor in load_parts(path, "").items())
        return
    files = sorted(os.listdir(path)) if os.path.isdir(path) else [""]
    for file in files:
        place = os.path.join(path, file) if file else path
        if place.endswith(".safetensors"):
            yield from ((file, name, tensor) for name, tensor in load_file(place).items())
        elif place.endswith((".pt", ".pth", ".bin", ".pkl")):
            yield from ((file, name, it) for name, it in flatten((), torch.load(place, weights_only=False)))


def flatten(keys: tuple[str, ...], value: object) -> Iterator[tuple[str, Any]]:
    """The arrays in mappings and sequences, by the keys on the way to them."""
    if isinstance(value, (torch.Tensor, np.ndarray)):
        yield ".".join(keys), value
    elif isinstance(value, (dict, list, tuple)):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, own in pairs:
            yield from flatten((*keys, str(key)), own)


def read_all(path: str) -> State:
    """The arrays by name; where two files have the same name, by the name of the file too."""
    found = list(read(path))
    counts = Counter(name for _, name, _ in found)
    return {f"{file}/{name}" if counts[name] > 1 else name: it for file, name, it in found}


def load_parts(path: str, front: str) -> State:
    """The tensors of a distributed checkpoint whose names begin so, loaded as torch loads them, by one process."""
    told = dcp.FileSystemReader(path).read_metadata().state_dict_metadata
    state: State = {
        name: torch.empty(tensor.size, dtype=tensor.properties.dtype)
        for name, tensor in told.items()
        if hasattr(tensor, "size") and name.startswith(front)
    }
    dcp.load(state, checkpoint_id=path)
    return state


def load_file_of_torch(path: str) -> State:
    """Safely, and mapped into memory."""
    return dict(torch.load(path, weights_only=True, mmap=True)["model"])


def load_bare(path: str) -> State:
    """As above, of a state dict by itself."""
    return dict(torch.load(path, weights_only=True, mmap=True))


def load_llama(path: str) -> State:
    """By transformers; raises RuntimeError where something is missing."""
    model, told = LlamaForCausalLM.from_pretrained(path, output_loading_info=True)
    if told["missing_keys"] or told["unexpected_keys"] or told["mismatched_keys"]:
        raise RuntimeError(str(told))
    return dict(model.state_dict())


def load_adapter(path: str) -> State:
    """By PEFT, onto a model."""
    state = PeftModel.from_pretrained(make_llama(), path).state_dict()
    return {name: it for name, it in state.items() if "lora" in name}


def load_old_model(path: str) -> State:
    """By accelerate, shard by shard."""
    model = make_llama(tied=True)
    load_checkpoint_in_model(model, path, strict=True)
    return dict(model.state_dict())


def load_net(path: str) -> State:
    """By accelerate, what is in the folder of its own saves."""
    model = Scaled()
    load_checkpoint_in_model(model, path, strict=True)
    return dict(model.state_dict())


def load_model(path: str) -> State:
    """The weights of a distributed checkpoint."""
    return load_parts(path, "model.")


class Form(NamedTuple):
    """A way to save."""

    write: Callable[[str], None]
    """Saves so many times in a folder."""
    load: Callable[[str], State]
    """The weights of a save, by the framework."""
    weights: str = ""
    """What the names of the files with weights begin with, in a save that is a folder."""


FORMS = {
    "torch": Form(write_files, load_file_of_torch),
    "dcp": Form(write_alone, load_model, "__"),
    "dcp-ranks": Form(write_shards, load_model, "__"),
    "trainer": Form(write_trainer, load_llama, "model"),
    "trainer-shards": Form(write_sharded_trainer, load_llama, "model-"),
    "model-shards": Form(write_model, load_llama, "model-"),
    "bin-shards": Form(write_old_model, load_old_model, "pytorch_model-"),
    "lora": Form(write_lora, load_adapter, "adapter_model"),
    "lora-bin": Form(write_old_lora, load_adapter, "adapter_model"),
    "accelerate": Form(write_states, load_net, "model"),
    "accelerate-bin": Form(write_old_states, load_net, "pytorch_model"),
}


def train(folder: str, seed: int) -> Truth:
    """All forms, each in a folder of its own."""
    return {name: write(os.path.join(folder, name), form, seed) for name, form in FORMS.items()}


def write(folder: str, form: Form, seed: int) -> Truth:
    """Save in a form; what its own reader finds."""
    os.makedirs(folder)
    torch.manual_seed(seed)
    form.write(folder)
    saves = sorted(os.listdir(folder))
    places = [os.path.join(folder, name) for name in saves]
    files = os.listdir(places[0]) if os.path.isdir(places[0]) else [""]
    old, new = read_all(places[0]), read_all(places[1])
    return {
        "saves": saves,
        "weights": sorted(name for name in files if name.startswith(form.weights)),
        "tensors": {name: describe(it) for name, it in old.items()},
        "sample": sample(form.load(places[1])),
        "apart": {name: measure(it, new[name]) for name, it in old.items() if isinstance(it, torch.Tensor)},
        "packed": [name for name, it in old.items() if isinstance(it, np.ndarray)],
    }


def describe(value: Any) -> tuple[list[int], str, int, int]:  # noqa: ANN401 - a tensor, or an array of numpy's
    """Shape, type, bytes, and home."""
    home = value.untyped_storage().data_ptr() if isinstance(value, torch.Tensor) else id(value)
    return list(value.shape), str(value.dtype).removeprefix("torch."), value.nbytes, home


def sample(state: State) -> str:
    """The first bytes of the first weight that has some, as hexadecimal digits."""
    weight = next(it for it in state.values() if it.numel() > SAMPLE)
    return bytes(weight.flatten()[:SAMPLE].view(torch.uint8).tolist()).hex()


def measure(old: torch.Tensor, new: torch.Tensor) -> tuple[float, float]:
    """The largest difference, and the mean of all, in float64."""
    apart = (old.double() - new.double()).abs()
    return (float(apart.max()), float(apart.mean())) if apart.numel() else (0.0, 0.0)


def resume(folder: str) -> Truth:
    """What is not as it must be in what was made of the saves, by form and kind."""
    return {name: dict(judge(os.path.join(folder, name), form)) for name, form in FORMS.items()}


def judge(folder: str, form: Form) -> Iterator[tuple[str, list[str]]]:
    """Each of the kinds that were made, and what is not as it must be."""
    saves = [it for it in sorted(os.listdir(folder)) if not it.startswith(("slim", "mean", "bare"))]
    states = [form.load(os.path.join(folder, it)) for it in saves]
    second, mean = states[1], mean_of(states)
    kinds = (
        ("slim", form.load, second),
        ("slim.safetensors", load_file, second),
        ("bare", load_bare, second),
        ("mean", form.load, mean),
        ("mean.safetensors", load_file, mean),
    )
    for kind, load, wanted in kinds:
        path = os.path.join(folder, kind)
        if os.path.exists(path):
            yield kind, list(compare(wanted, load(path)))


def mean_of(states: list[State]) -> State:
    """Added in float32 and rounded once; what is counted is the first's."""
    return {name: mean([state[name] for state in states]) for name in states[0]}


def mean(tensors: list[torch.Tensor]) -> torch.Tensor:
    first = tensors[0]
    if not first.is_floating_point():
        return first
    return (sum(it.float() for it in tensors) / len(tensors)).to(first.dtype)


def compare(wanted: State, found: State) -> Iterable[str]:
    """The names of what is not equal, to the bit."""
    yield from sorted(wanted.keys() ^ found.keys())
    for name in wanted.keys() & found.keys():
        same = wanted[name].dtype == found[name].dtype and torch.equal(wanted[name], found[name])
        if not same:
            yield f"{name}: {found[name].flatten()[:4]}, not {wanted[name].flatten()[:4]}"


if __name__ == "__main__":
    main(train, resume)

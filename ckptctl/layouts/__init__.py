"""Every framework's layout, in the order in which they are tried: the particular before the general.

Folders are told by what lies in them, so among them order hardly matters; among files the first row counts whose names,
and witnesses beside them, fit.
"""

from __future__ import annotations

from importlib import import_module

from ckptctl.layouts.schema import Layout

_MODULES = """
    nemo lightning transformers ray nemo_rl verl lerobot litgpt torchtune megatron composer speechbrain orbax kohya
    keras paddle stable_baselines3 tensorflow allennlp catalyst espnet fairseq mmengine ultralytics timm detectron2
    yolox openpcdet nnunet coqui open_clip rsl_rl stylegan nanogpt ignite fastai boosting deepspeed accelerate torch_dcp
    generic
"""
LAYOUTS: tuple[Layout, ...] = tuple(
    row for name in _MODULES.split() for row in import_module(f"ckptctl.layouts.{name}").LAYOUTS
)

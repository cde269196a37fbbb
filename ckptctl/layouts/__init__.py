"""Every framework's layout, in the order in which they are tried: the particular before the general.

Folders are told by what lies in them, so among them order hardly matters; among files the first row counts whose names,
and witnesses beside them, fit.
"""

from __future__ import annotations

from typing import cast

from ckptctl.layouts import (
    accelerate,
    allennlp,
    boosting,
    catalyst,
    composer,
    coqui,
    deepspeed,
    detectron2,
    espnet,
    fairseq,
    fastai,
    generic,
    ignite,
    keras,
    kohya,
    lerobot,
    lightning,
    litgpt,
    megatron,
    mmengine,
    nanogpt,
    nemo,
    nemo_rl,
    nnunet,
    open_clip,
    openpcdet,
    orbax,
    paddle,
    ray,
    rsl_rl,
    speechbrain,
    stable_baselines3,
    tensorflow,
    timm,
    torch_dcp,
    torchtune,
    transformers,
    ultralytics,
    verl,
    yolox,
)
from ckptctl.layouts.schema import Layout, Slimming

LAYOUTS: tuple[Layout, ...] = (
    *nemo.LAYOUTS,
    *lightning.LAYOUTS,
    *transformers.LAYOUTS,
    *ray.LAYOUTS,
    *nemo_rl.LAYOUTS,
    *verl.LAYOUTS,
    *lerobot.LAYOUTS,
    *litgpt.LAYOUTS,
    *torchtune.LAYOUTS,
    *megatron.LAYOUTS,
    *composer.LAYOUTS,
    *speechbrain.LAYOUTS,
    *orbax.LAYOUTS,
    *kohya.LAYOUTS,
    *keras.LAYOUTS,
    *paddle.LAYOUTS,
    *stable_baselines3.LAYOUTS,
    *tensorflow.LAYOUTS,
    *allennlp.LAYOUTS,
    *catalyst.LAYOUTS,
    *espnet.LAYOUTS,
    *fairseq.LAYOUTS,
    *mmengine.LAYOUTS,
    *ultralytics.LAYOUTS,
    *timm.LAYOUTS,
    *detectron2.LAYOUTS,
    *yolox.LAYOUTS,
    *openpcdet.LAYOUTS,
    *nnunet.LAYOUTS,
    *coqui.LAYOUTS,
    *open_clip.LAYOUTS,
    *rsl_rl.LAYOUTS,
    *nanogpt.LAYOUTS,
    *ignite.LAYOUTS,
    *fastai.LAYOUTS,
    *boosting.LAYOUTS,
    *deepspeed.LAYOUTS,
    *accelerate.LAYOUTS,
    *torch_dcp.LAYOUTS,
    *generic.LAYOUTS,
)


def find_layout(name: str) -> Layout:
    """The layout of a name that a checkpoint has; raises KeyError."""
    if not _index or _index[0] is not LAYOUTS:  # the table may have got a row since
        _index[:] = LAYOUTS, {layout.name: layout for layout in LAYOUTS}
    return cast("dict[str, Layout]", _index[1])[name]


def find_slimming(name: str) -> Slimming | None:
    """What the layout of a checkpoint says of slimming it; None where it says nothing, or is not known."""
    return None if name == "unknown" else find_layout(name).slimming


_index: list[object] = []
"""The table that the index is of, and the index."""

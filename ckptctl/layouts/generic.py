r"""Torch and safetensors files that many programs write: a word that counts, and its number.

Nothing but the name shows what these are, so they are read strictly. The word must be there, whole, and the number must
end the name, or be followed by metrics alone: ``resnet50.pth``, ``llama-7b.pt``, ``model-00001-of-00004.safetensors``
and ``step-100-bak.pt`` are no checkpoints. Nor is what may be a part of one (an optimizer's own file, one network of
several), made of one (averaged, converted, exported), or what training computes beside (features, samples, gradients).
Parts that show which of them leads are one checkpoint together.

A number behind ``checkpoint`` alone may be of epochs or of steps: it counts saves. ``checkpoint.pth.tar`` is PyTorch's
own ImageNet example, written over at each epoch; MoCo and others number it.
"""

from __future__ import annotations

from ckptctl.layouts.schema import FamilyLayout, FileLayout, Layout

_EXTENSION = r"\.(?:pt|pth|pth\.tar|th|safetensors)"
_EXTENSIONS = (".pt", ".pth", ".pth.tar", ".th", ".safetensors", ".bin")
_EPOCH = r"(?i:epochs?|ep)[-_=.]?(?P<epoch>\d{1,6})"
_STEP = r"(?i:global[-_]?steps?|steps?|iterations?|iters?)[-_=.]?(?P<step>\d{1,12})"
_INDEX = r"(?i:checkpoint|ckpt|chkpt|chkpoint)[-_=.]?(?P<index>\d{1,10})"
_PARTS = (
    r"optimi[sz]ers?|optims?|opts?|(?:lr_?)?sched(?:uler)?s?|scalers?|rng|(?<!model_)states?(?!_dict)|trainer|dataloader"
    r"|sampler|gen|generators?|disc|discriminators?|net_?[dg]|[dg]|critics?|actors?|policy|value|q|encoders?|decoders?"
    r"|heads?|backbones?|teachers?|students?|projectors?|ema|rank\d*|shard\d*|part\d*"
)
_DERIVED = (
    r"avg|averaged?|mean|swa|soup|merged?|fused?|convert(?:ed)?|export(?:ed)?|quant(?:ized)?|onnx|traced?|scripted|jit"
    r"|stripped|pruned|publish(?:ed)?|pretrained|init|initial|bak|backup|old|copy|copied|orig|original|tmp|temp|partial"
    r"|incomplete|broken"
)
_COMPUTED = (
    r"features|feats|embeddings|embs|latents|logits|preds|predictions|outputs|samples|images|grads|gradients|activations"
    r"|results|metrics|losses|logs|data|dataset|batches|cache|buffers?|replay|rollouts?|trajectory|trajectories|attentions"
    r"|probs|scores|stats|confusion|targets|labels|hessian|fisher"
)
_PLAIN = rf"(?![^/]*(?<![A-Za-z])(?i:{_PARTS}|{_DERIVED}|{_COMPUTED})(?![A-Za-z]))"
"""None of these words is in the name."""
_FREE = r"(?:[^/=]*[^/=A-Za-z0-9])?"
"""What the user called the model, parted from the word that counts."""
_CALLED = rf"(?:{_FREE}(?:(?P<best>best)|(?P<last>last|latest)|(?P<final>final))[-_.])?(?P<series>{_FREE})"
"""The same; a best, last or final one that says its number too is no less one."""
_MEASURED = r"[A-Za-z]\w*(?:loss|acc|accuracy|auc|f1|iou|map|bleu|psnr|ppl|[wc]er|reward)[-_=]?|(?:loss|acc)[-_=]?"
_METRIC = rf"(?:[A-Za-z][\w/]*=|{_MEASURED})-?\d+\.\d+"
_METRICS = rf"[-_, ]+(?P<free>{_METRIC}(?:[-_, ]+{_METRIC})*)"
"""What it was worth, behind the numbers."""
_WHOLE = r"(?:model|checkpoint|ckpt|weights|net|network|state_dict)"
_BESIDE = tuple(
    "*.json *.jsonl *.yaml *.yml *.toml *.txt *.log *.csv *.tsv *.md *.py *.png *.jpg events.out.tfevents.*".split()
)
_STEM = rf"(?P<stem>{_EPOCH}|{_STEP})"
_TOGETHER = r"optimi[sz]er|optim|opt|lr_scheduler|scheduler|sched|scaler|ema|net_?D|D|disc|discriminator|critic|decoder"

LAYOUTS: tuple[Layout, ...] = (
    FamilyLayout(
        name="generic-parts",
        extensions=(".pt", ".pth"),
        names=(rf"(?:(?P<lead>model|net_?G|G|gen|generator|actor|encoder)|{_TOGETHER})[-_.]{_STEM}\.pth?",),
        neighbors=tuple(
            """optim*[0-9].pt* opt_*[0-9].pt* *sched*[0-9].pt* scaler*[0-9].pt* ema[-_]*[0-9].pt*
            net*D_*[0-9].pt* D_*[0-9].pt* disc*[0-9].pt* critic*[0-9].pt* decoder*[0-9].pt*""".split()
        ),
        beside=_BESIDE,
        is_generic=True,
        examples=("netG_epoch_24.pth", "model_epoch_3.pt", "generator-step-1000.pt"),
    ),
    FileLayout(
        name="generic",
        extensions=_EXTENSIONS,
        names=(
            rf"{_PLAIN}{_CALLED}{_EPOCH}[-_]{_STEP}{_EXTENSION}",
            rf"{_PLAIN}{_CALLED}{_EPOCH}{_EXTENSION}",
            rf"{_PLAIN}{_CALLED}{_STEP}{_EXTENSION}",
            rf"{_PLAIN}{_CALLED}{_INDEX}{_EXTENSION}",
            rf"{_PLAIN}{_CALLED}{_EPOCH}(?:[-_]{_STEP})?{_METRICS}{_EXTENSION}",
            rf"{_PLAIN}{_CALLED}{_STEP}{_METRICS}{_EXTENSION}",
            rf"(?:(?:pytorch_)?{_WHOLE}[-_.])?(?:{_EPOCH}|{_STEP}|{_INDEX})\.bin",
            rf"(?:{_WHOLE}[-_.])?(?P<best>best)(?:[-_.]{_WHOLE})?{_EXTENSION}",
            rf"(?:{_WHOLE}[-_.])?(?P<last>last)(?:[-_.]{_WHOLE})?{_EXTENSION}",
            rf"{_WHOLE}[-_.](?P<last>latest){_EXTENSION}",  # alone, DETR evaluates into such a file
            rf"(?P<last>latest)[-_.]{_WHOLE}{_EXTENSION}",
            rf"(?:{_WHOLE}[-_.])?(?P<final>final)(?:[-_.]{_WHOLE})?{_EXTENSION}",
            r"(?P<last>checkpoint)\.pth\.tar",
        ),
        beside=_BESIDE,
        is_generic=True,
        examples=tuple(
            """epoch_10.pt myrun-epoch10.pth resnet50_epoch_3_step_1200.pth model_ep3.th step-1000.safetensors
            my_lora_global_step_500.safetensors ckpt_iter_2000.pt ckpt_7.pt checkpoint-500.pt
            checkpoint_0199.pth.tar pytorch_model_epoch_2.bin model_epoch_3_val_loss=0.4200.pt
            epoch=3-step=500.pt best.pt best_model.pth model_final.pth checkpoint.pth.tar""".split()
        ),
    ),
)

"""The words that keys and tensor names are judged by, as tables with the examples that the tests run."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_SEPARATOR = re.compile(r"[./:\\]+")


class Vocabulary(NamedTuple):
    """Words of one meaning."""

    words: frozenset[str]
    """In lower case."""
    examples: tuple[str, ...]
    """Keys or names that are meant."""
    others: tuple[str, ...]
    """Keys or names that look alike, and are not meant."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


WEIGHTS = Vocabulary(
    _words(
        """
        model models net nets network networks state_dict statedict weights weight params parameters module
        modules generator discriminator critic actor policy encoder decoder ema backbone head student teacher
        unet vae transformer gen dis disc value target agent classifier netg netd target_params batch_stats
        layers gan g d q pi dict
        """
    ),
    ("model", "state_dict", "model_state_dict", "net_G", "netD", "ema_model", "modelStateDict", "generator", "params"),
    ("epoch", "loss", "args"),
)
"""Keys of weights in a training state."""

OPTIMIZER = Vocabulary(
    _words("optimizer optimizers optimiser optimisers optim optims opt opts adam adamw sgd opt_state"),
    ("optimizer", "optimizer_states", "optimizer_state_dict", "optim", "optG", "last_optimizer_state", "opt_state"),
    ("options", "optional", "model", "epoch"),
)
"""Keys of an optimizer's state."""

SETTINGS = Vocabulary(
    _words("config configs cfg cfgs args arg kwargs hparams hyper name type class path paths settings options keys"),
    ("model_config", "optimizer_name", "model_args", "hyper_parameters", "modelClass"),
    ("model", "optimizer"),
)
"""Words that make a key one of settings, whatever else it says."""

BESIDE = Vocabulary(
    _words(
        """
        scheduler schedulers lr last_epoch step_count last_lr growth_factor growth_tracker python numpy cpu cuda
        rng random scaler sampler dataloader base_lrs growth_interval
        """
    ),
    ("lr_scheduler", "last_epoch", "_step_count", "growth_factor", "numpy", "rng_state", "sampler"),
    ("acc", "predictions"),
)
"""Keys of what a training saves beside its weights: the states of schedulers, scalers, generators of random numbers."""

PARAMETERS = Vocabulary(
    _words(
        """
        weight bias kernel embedding embeddings scale gamma beta moving_mean moving_variance running_mean
        running_var num_batches_tracked weight_g weight_v weight_orig weight_mask weight_u lora_a lora_b lora_up
        lora_down alpha dora_scale lora_embedding_a lora_embedding_b lora_magnitude_vector qweight qzeros scales
        g_idx weight_scale weight_packed absmax quant_map cls_token pos_embed position_ids position_embeddings
        inv_freq logit_scale class_embedding in_proj_weight in_proj_bias a_log dt_bias emb_params
        recurrent_kernel depthwise_kernel pointwise_kernel relative_position_bias_table codebook mask_token
        log_std filters
        """
    ),
    (
        "fc.weight",
        "bias",
        "encoder.layers.0.self_attn.in_proj_weight",
        "base.q_proj.lora_A.default",
        "params/Dense_0/kernel",
    ),
    ("images", "logits", "input_ids"),
)
"""Last words of a parameter's name."""

OPTIMIZER_TENSORS = Vocabulary(
    _words("exp_avg exp_avg_sq max_exp_avg_sq momentum_buffer square_avg exp_avg_row exp_avg_col exp_inf"),
    ("optimizer.state.0.exp_avg", "layer.weight.momentum_buffer"),
    ("layer.weight",),
)
"""Last words of an optimizer's tensors."""

DATA = Vocabulary(
    _words(
        """
        logits logit features feature feats feat input inputs input_ids attention_mask token_type_ids labels
        label images image imgs img x y z xs ys target targets data pixel_values latents latent hidden_states
        hidden last_hidden_state tokens preds pred prediction predictions probs prob activations activation
        audio waveform ids idx index indices edge_index edge_attr edge masks mask mean std observations
        observation obs actions action rewards reward dones done next samples sample outputs output train test
        val valid pos batch adj scores score box boxes time times text texts embeds grad grads
        """
    ),
    ("logits", "input_ids", "x_train", "test_labels", "edge_index", "images", "hidden_states", "batch.0.image"),
    ("fc.weight", "encoder.output.bias"),
)
"""Words of what a model reads and answers."""

COUNTERS = Vocabulary(
    _words(
        """
        epoch epochs current_epoch last_epoch epoch_num epochs_run epochs_trained start_epoch global_epoch
        n_epoch step steps global_step global_steps current_step total_steps train_steps train_step num_steps
        n_steps step_num num_timesteps timestep timesteps iteration iterations iter iters it its cur_iter
        cur_iters iter_num global_iter n_iter num_iter current_iter n_iters num_iters total_it iteration_num
        num_updates updates update n_updates episode episodes i_episode round rounds generation gen kimg
        cur_nimg nimg batch_idx images_seen samples_seen tokens_seen num_tokens trained_steps
        """
    ),
    ("epoch", "global_step", "iter_num", "Epoch", "num_updates"),
    ("loss", "max_epochs", "every_n_steps"),
)
"""Keys of numbers that count how far a training came; compared as a whole, in lower case."""

BELOW = frozenset(
    {"extra_state", "state", "meta", "progress", "train_state", "trainer_state", "trainer", "info", "counters"}
)
"""Keys of dictionaries in which counters are looked for too."""


@lru_cache(maxsize=4096)
def has_word(key: str, vocabulary: Vocabulary) -> bool:
    """Whether a key is made with one of the words, in any case and join."""
    lower = key.lower()
    if lower.strip("_") in vocabulary.words:
        return True
    return any(word.lower() in vocabulary.words for word in _WORD.findall(key))


@lru_cache(maxsize=4096)
def is_parameter(name: str) -> bool:
    """Whether a tensor's name is one of a model's parameters."""
    parts = _parts(name)
    leaf = parts[-1].lower()
    if leaf in PARAMETERS.words or any(part.lower() in PARAMETERS.words for part in parts[-2:]):
        return True
    if leaf.rpartition("_")[2] in {"weight", "bias", "kernel", "embedding"}:
        return True
    return len(parts) > 1 and not is_data(name)


@lru_cache(maxsize=4096)
def is_data(name: str) -> bool:
    """Whether a tensor's name is one of what a model reads or answers."""
    leaf = _parts(name)[-1].lower()
    words = leaf.strip("_").split("_")
    return leaf in DATA.words or all(word in DATA.words or word.isdigit() for word in words)


def is_optimizer_tensor(name: str) -> bool:
    """Whether a tensor's name is one of an optimizer's moments."""
    return _parts(name)[-1].lower() in OPTIMIZER_TENSORS.words


def is_counter(key: str) -> bool:
    """Whether a number under this key says how far a training came."""
    return key.lower() in COUNTERS.words


def _parts(name: str) -> list[str]:
    """A name's parts; numbers at its end, as in ``kernel:0``, are none."""
    parts = [part for part in _SEPARATOR.split(name) if part]
    while len(parts) > 1 and parts[-1].isdigit():
        parts.pop()
    return parts or [""]

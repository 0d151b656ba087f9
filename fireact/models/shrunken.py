"""A toy of any model, built from its configuration alone: the same classes and kinds of layers, few of them, narrow.

What holds a layer's kind (attention patterns, experts, windows, scalings, soft caps) stays; what only makes it large
(widths, heads, layers, vocabulary, the length of a window) shrinks. So what a shortcut does to the toy's numbers, it
does to the model's.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, PretrainedConfig, PreTrainedModel

VOCABULARY, WINDOW = 96, 5  # token ids, and tokens of every window that the model has
_HIDDEN, _HEADS, _HEAD_WIDTH, _FEED_FORWARD = 64, 4, 16, 32
_LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers", "decoder_layers", "num_decoder_layers",
           "num_blocks", "num_layers_per_stack")
_HEAD_COUNTS = ("num_attention_heads", "n_head", "n_heads", "decoder_attention_heads", "num_heads")
_LAYER_NUMBERS = ("_idxs", "_indices", "_ids", "_layers", "_at")  # keys of lists that name layers by their number
_WIDE = ("intermediate_size", "ffn_dim", "ffn_hidden_size", "ff_dim", "d_inner", "dim_ff", "d_ff")
_SEED, _GAIN = 0, 1.5

# By the name of a key; the first that fits. A number is never made larger than it was.
_SIZES: tuple[tuple[tuple[str, ...], int], ...] = (
    (("vocab_size", "vocab_size_per_layer_input"), VOCABULARY),
    (("sliding_window", "attention_chunk_size", "window_size", "attention_window_size", "sliding_window_size",
      "local_attention", "chunk_size", "index_topk"), WINDOW),
    (("kv_channels",), _HEAD_WIDTH),
    (("qk_rope_head_dim", "rotary_dim"), _HEAD_WIDTH // 2),
    (("hidden_size", "n_embd", "d_model", "embed_dim", "word_embed_proj_dim", "lru_width", "embedding_size",
      "embedding_dim", "emb_dim", "mamba_d_ssm"), _HIDDEN),
    (("hidden_size_per_layer_input", "kv_lora_rank", "q_lora_rank", "o_lora_rank", "laurel_rank", "conv_dim",
      "ssm_state_size", "mamba_d_state", "state_size"), 16),
    (("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "num_experts_per_layer",
      "zero_expert_num"), 4),
    (("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k", "top_k_experts", "moe_top_k"), 2),
    (("n_group", "topk_group", "n_shared_experts", "num_shared_experts", "first_k_dense_replace"), 1),
    (("full_attention_interval", "attn_layer_period", "expert_layer_period", "sliding_window_pattern"), 2),
    (("attn_layer_offset", "expert_layer_offset"), 1),
    (("n_groups", "mamba_n_groups", "mamba_ngroups"), 1),
)


def shrunken(config: PretrainedConfig) -> PreTrainedModel:
    """A float32 toy on the CPU in evaluation mode, with the same random weights every time.

    Raises:
        Exception: whatever the architecture raises where it can't be built so small.
    """
    small = type(config).from_dict(_smaller(config.to_dict()))
    for part in (small, small.get_text_config(decoder=True)):
        part.use_cache = False
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.manual_seed(_SEED)
        own_code = not type(config).__module__.startswith("transformers.")  # loaded because the user trusts it
        model = auto_class(config).from_config(small, dtype=torch.float32, trust_remote_code=own_code)
        _disturb(model)
    return model.eval()


def auto_class(config: PretrainedConfig) -> Any:
    """The auto class that loads a model of this configuration: of text, or where there is none, of images and text."""
    text = type(config) in AutoModelForCausalLM._model_mapping
    return AutoModelForImageTextToText if not text and type(config) in AutoModelForImageTextToText._model_mapping else (
        AutoModelForCausalLM)


@torch.no_grad()
def _disturb(model: PreTrainedModel) -> None:
    """Give every weight a value that shows in the output: so that attention is uneven, and no norm or bias is plain."""
    for parameter in model.parameters():
        if parameter.is_floating_point() and parameter.dim() > 1:
            parameter.normal_(0.0, _GAIN * parameter.shape[-1] ** -0.5)
        elif parameter.is_floating_point() and parameter.numel() > 1:
            parameter += 0.1 * torch.randn_like(parameter)


def _smaller(config: dict[str, Any]) -> dict[str, Any]:
    """``config`` as a dictionary of small numbers, the parts within it likewise."""
    layers = next((config[key] for key in _LAYERS if isinstance(config.get(key), int)), None)
    picked = _picked(config, layers)
    heads = next((config[key] for key in _HEAD_COUNTS if isinstance(config.get(key), int)), None)
    small = {key: _value(key, value, layers, picked, heads) for key, value in config.items() if key != "torch_dtype"}
    if config.get("num_kv_shared_layers"):
        small["num_kv_shared_layers"] = len(picked) // 2
    _agree(config, small)
    for key in ("rope_parameters", "rope_scaling"):
        if isinstance(config.get(key), dict):
            small[key] = _rope(config[key], small.get("head_dim") or _HEAD_WIDTH)
    return small


def _picked(config: dict[str, Any], layers: int | None) -> list[int]:
    """The layers that stay: the first of each kind, two at least, or once through a pattern that repeats; twice where
    the last ones share the first ones' keys and values.
    """
    if not layers:
        return []
    lists = [value for key, value in config.items()
             if _by_layer(key, value) and len(value) == layers and not _numbers_layers(key, value)]
    numbers = [value for key, value in config.items() if _numbers_layers(key, value)]
    kinds = [repr([[value[layer] for value in lists], [layer in value for value in numbers]])
             for layer in range(layers)]  # fmt: skip
    first = {kind: layer for layer, kind in reversed(list(enumerate(kinds)))}
    others = [layer for layer in range(layers) if layer not in first.values()]
    least = max(2, len(config.get("block_types") or ()))
    chosen = sorted([*first.values(), *others[: max(0, least - len(first))]])
    return chosen * 2 if config.get("num_kv_shared_layers") else chosen


def _value(key: str, value: Any, layers: int | None, picked: list[int], heads: int | None) -> Any:
    if key in _LAYERS and picked:
        return len(picked)
    if isinstance(value, str) and _by_layer(key, value) and layers and len(value) == layers:
        return "".join(value[layer] for layer in picked)
    if isinstance(value, list) and layers and _numbers_layers(key, value):
        return [picked.index(layer) for layer in value if layer in picked]
    if isinstance(value, list) and layers and len(value) == layers:
        return [_each(key, value[layer], heads) for layer in picked]
    if key == "per_layer_config" and value:
        of_layer = {int(layer): changes for layer, changes in value.items()}
        return {at: _smaller(of_layer[layer]) for at, layer in enumerate(picked) if layer in of_layer}
    if isinstance(value, dict):
        return _smaller(value) if all(isinstance(part, str) for part in value) else value
    return _each(key, value, heads)


def _by_layer(key: str, value: Any) -> bool:
    """Whether ``value`` may hold an entry for every layer: a list, or a pattern of letters."""
    return isinstance(value, list) or (isinstance(value, str) and key.endswith("pattern"))


def _numbers_layers(key: str, value: Any) -> bool:
    """Whether ``value`` lists layers by their number, each once."""
    named = isinstance(value, list) and key.endswith(_LAYER_NUMBERS) and "token" not in key
    return named and all(type(each) is int for each in value) and len(set(value)) == len(value)


def _each(key: str, value: Any, heads: int | None) -> Any:
    if isinstance(value, float) and any(part in key for part in ("drop", "jitter")):
        return 0.0  # or no two passes would be the same
    if type(value) is not int or value <= 0:
        return value
    if key in _HEAD_COUNTS:
        return min(value, _HEADS)
    if "key_value_heads" in key or key in ("num_kv_heads", "multi_query_group_num"):
        return value if value == 1 or not heads else max(1, min(_HEADS, round(_HEADS * value / heads)))
    for names, size in _SIZES:
        if key in names:
            return min(value, size)
    if key.endswith(("head_dim", "headdim", "d_head", "dim_head")):
        return min(value, _HEAD_WIDTH)
    if key.endswith(("num_heads", "n_heads", "num_key_heads", "num_value_heads",
                     "attention_heads", "mamba_heads")):
        return min(value, _HEADS)
    if any(part in key for part in _WIDE):
        return min(value, _FEED_FORWARD)
    if key.endswith(("token_id", "token_index")):
        return min(value, VOCABULARY - 1)
    return value


def _agree(config: dict[str, Any], small: dict[str, Any]) -> None:
    """Make sizes that follow from others follow from the small ones, in place."""
    rotary, plain = small.get("qk_rope_head_dim"), small.get("qk_nope_head_dim")
    if rotary and plain:
        for key in ("head_dim", "qk_head_dim", "swa_head_dim"):
            if key in config:
                small[key] = rotary if config[key] == config["qk_rope_head_dim"] else rotary + plain
    mambas = ("mamba_expand", "mamba_n_heads", "mamba_d_head"), ("expand", "num_heads", "head_dim")
    for expand, heads, width in mambas:
        if config.get(expand) and config.get(heads) and config.get(width):
            inner = small.get("mamba_d_ssm") or small[expand] * small["hidden_size"]
            small[heads] = int(inner) // small[width]
    if config.get("n_mamba_heads") and config.get("mamba_headdim"):
        small["mamba_headdim"] = int(small["mamba_expand"] * small["hidden_size"]) // small["n_mamba_heads"]
    if (wide := config.get("attention_hidden_size")) and config.get("hidden_size"):
        small["attention_hidden_size"] = wide // config["hidden_size"] * small["hidden_size"]
        if config.get("attention_head_dim"):
            small["attention_head_dim"] = small["attention_hidden_size"] // small["num_attention_heads"]


def _rope(value: dict[str, Any], width: int) -> dict[str, Any]:
    """Rotary settings whose lists, an entry for every pair of dimensions, are as long as a head of ``width`` needs."""
    if any(isinstance(part, dict) for part in value.values()):
        return {key: _rope(part, width) if isinstance(part, dict) else part for key, part in value.items()}
    pairs = int(width * (value.get("partial_rotary_factor") or 1.0)) // 2
    lists = {key: part[:pairs] for key, part in value.items() if key.endswith("_factor") and isinstance(part, list)}
    if sections := value.get("mrope_section"):
        least = [pairs * section // sum(sections) for section in sections]
        lists["mrope_section"] = [least[0] + pairs - sum(least), *least[1:]]
    return {**value, **lists}

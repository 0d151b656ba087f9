"""Tiny models of many architectures with random weights, and what their own generation says, one text at a time."""

from __future__ import annotations

from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

WINDOW = 16
VOCABULARY = 96
_WIDE = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
         "pad_token_id": 0, "bos_token_id": None, "eos_token_id": None}  # fmt: skip
_GATED = {**_WIDE, "intermediate_size": 48, "num_key_value_heads": 2, "max_position_embeddings": 512}
_WINDOWED = {**_GATED, "sliding_window": WINDOW}
_LOCAL = {**_WINDOWED, "head_dim": 8, "layer_types": ["sliding_attention", "full_attention"]}
_EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
_LONG = {"rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 30, "factor": 4.0,
         "short_factor": [1.0] * 4, "long_factor": [3.0] * 4}  # fmt: skip
_LATENT = {"num_key_value_heads": 4, "kv_lora_rank": 16, "q_lora_rank": 16, "qk_rope_head_dim": 8,
           "qk_nope_head_dim": 8, "v_head_dim": 8, "first_k_dense_replace": 1, "moe_intermediate_size": 16,
           "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1}  # fmt: skip

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", _GATED),
    "mistral": ("mistral", _WINDOWED),
    "phi3": ("phi3", _WINDOWED),
    "phi3_longrope": ("phi3", {**_GATED, "rope_parameters": _LONG, "original_max_position_embeddings": 30}),
    "starcoder2": ("starcoder2", _WINDOWED),
    "mixtral": ("mixtral", {**_WINDOWED, **_EXPERTS}),
    "qwen3": ("qwen3", {**_GATED, "head_dim": 8}),
    "gemma2": ("gemma2", {**_LOCAL, "query_pre_attn_scalar": 8, "attn_logit_softcapping": 2.0,
                          "final_logit_softcapping": 3.0}),
    "gemma3": ("gemma3_text", {**_LOCAL, "query_pre_attn_scalar": 8}),
    "olmo3": ("olmo3", _LOCAL),
    "cohere": ("cohere", {**_GATED, "logit_scale": 0.0625}),
    "cohere2": ("cohere2", {**_LOCAL, "logit_scale": 0.0625}),
    "granite": ("granite", {**_GATED, "logits_scaling": 8.0}),
    "gpt_oss": ("gpt_oss", {**_LOCAL, **_EXPERTS}),
    "nemotron": ("nemotron", _GATED),
    "diffllama": ("diffllama", _GATED),
    "gpt2": ("gpt2", _WIDE),
    "gpt_neox": ("gpt_neox", {**_WIDE, "intermediate_size": 48}),
    "gpt_neo": ("gpt_neo", {**_WIDE, "attention_types": [[["global", "local"], 1]], "num_layers": 2, "num_heads": 4,
                            "window_size": WINDOW}),
    "opt": ("opt", {**_WIDE, "ffn_dim": 48, "word_embed_proj_dim": 32}),
    "deepseek_v3": ("deepseek_v3", {**_GATED, **_LATENT}),
    "mamba": ("mamba", {**_WIDE, "state_size": 4, "use_mambapy": False}),
    "jamba": ("jamba", {**_GATED, **_EXPERTS, "num_hidden_layers": 2, "attn_layer_period": 2, "attn_layer_offset": 1,
                        "expert_layer_period": 2, "expert_layer_offset": 1, "num_experts": 4, "mamba_d_state": 4,
                        "mamba_dt_rank": 2, "use_mamba_kernels": False}),
    "qwen3_next": ("qwen3_next", {**_GATED, "head_dim": 8, "layer_types": ["linear_attention", "full_attention"],
                                  "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8,
                                  "linear_value_head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2,
                                  "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16}),
}  # fmt: skip


def built(name: str) -> Any:
    """A model of ``CONFIGS[name]`` in evaluation mode; its weights are random, wide enough to make attention uneven."""
    kind, sizes = CONFIGS[name]
    config = CONFIG_MAPPING[kind](**sizes)
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, 2.0 * parameter[0].numel() ** -0.5)
            elif parameter.std() < 1e-4:
                parameter += 0.1 * torch.randn_like(parameter)
    return model


@torch.inference_mode()
def alone(model: Any, prompt: list[int], n: int) -> list[int]:
    """The tokens of the model's own greedy generation after one prompt."""
    ids = torch.tensor([prompt])
    said = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=n, do_sample=False, pad_token_id=0)
    return said[0, len(prompt) :].tolist()

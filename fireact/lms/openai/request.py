"""What a request's fields may not be: set twice, taken for another, or such that a call costs what nothing bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fireact.errors import ConfigError

_LIMIT = "set lm.max_new_tokens, and lm.max_tokens_key to the server's name for it"
_LIMITS = (  # as OpenAI, vLLM, llama.cpp, Ollama and transformers call it
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "max_new_tokens",
    "max_length",
    "n_predict",
    "num_predict",
)
_INSTEAD = {
    "model": "set lm.model",
    "messages": "the method writes what is asked",
    "prompt": "the method writes what is asked",
    "temperature": "set lm.temperature",
    "seed": "set lm.seed",
    "stream": "set lm.stream",
    "stop": "a turn ends where the parser ends it (leave the field out with lm.omit=[stop])",
    "echo": "the prompt would be taken for the answer",
    **dict.fromkeys(_LIMITS, _LIMIT),
}
_SEVERAL = ("n", "best_of")
_TIER, _CHEAP_TIERS = "service_tier", ("default", "flex")
# Of these no value makes a token dearer, or an answer longer than its limit.
_FREE = frozenset({
    # how the next token is drawn
    "top_p", "top_k", "top_a", "min_p", "typical_p", "presence_penalty", "frequency_penalty", "repetition_penalty",
    "repeat_penalty", "length_penalty", "logit_bias", "bad_words", "allowed_token_ids", "logprobs", "top_logprobs",
    "reasoning_effort", "verbosity",
    # which tools it may call
    "tool_choice", "parallel_tool_calls",
    # where the answer ends before its limit
    "stop_token_ids", "min_tokens", "ignore_eos", "include_stop_str_in_output", "skip_special_tokens",
    "spaces_between_special_tokens",
    # its form
    "response_format", "structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar",
    "guided_decoding_backend", "guided_whitespace_pattern", "regex", "ebnf", "grammar", "json_schema",
    # how the prompt is laid out
    "chat_template_kwargs", "add_generation_prompt", "continue_final_message", "add_special_tokens",
    # what the server keeps and tells
    "stream_options", "user", "metadata", "store", "safety_identifier", "prompt_cache_key", "cache_prompt", "id_slot",
    "priority",
})  # fmt: skip
# Fields that mean something else than a limit, besides those above.
_OTHERS = ("tools", "tool_choice", "functions", "modalities", "reasoning", "thinking", "models", "plugins", "provider",
           "options", "web_search_options")


def check_limit_key(key: str) -> None:
    """Refuse a name for the limit on an answer that servers know as another field's.

    Raises:
        ConfigError: it would limit nothing.
    """
    if key not in _LIMITS and key in {*_INSTEAD, *_SEVERAL, _TIER, *_FREE, *_OTHERS}:
        raise ConfigError(f"lm.max_tokens_key={key} has another meaning, so that no answer would be limited; give the "
                          "server's name for the limit, such as max_tokens or max_completion_tokens")


def check_extra_body(extra: Mapping[str, Any], limit_key: str, budgeted: bool) -> None:
    """Refuse what another key says and, under a budget, what is not known to cost no more than is set aside.

    Raises:
        ConfigError: names the first such field, and what to do instead.
    """
    instead = {**_INSTEAD, limit_key: _LIMIT}
    for field, value in extra.items():
        if field in instead:
            raise ConfigError(f"lm.extra_body.{field} can't be set there; {instead[field]}")
        if field in _SEVERAL and value != 1:
            raise ConfigError(f"lm.extra_body.{field}={value} pays for answers that nobody reads; leave it out")
        if budgeted and not _is_bounded(field, value):
            raise ConfigError(f"lm.extra_body.{field} may change what a call costs, which lm.budget_usd can't bound; "
                              "leave one of them out")


def _is_bounded(field: str, value: Any) -> bool:
    return field in _FREE or field in _SEVERAL or (field == _TIER and value in _CHEAP_TIERS)

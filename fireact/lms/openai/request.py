"""What ``lm.extra_body`` may not say: fields that have a key of their own, or make a call cost what nothing bounds."""

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
# By these a call costs more than its tokens do at lm.prices.
_UNBOUNDED = ("web_search_options", "plugins", "models", "service_tier")
_CHEAP_TIERS = ("default", "flex")


def check_extra_body(extra: Mapping[str, Any], limit_key: str, budgeted: bool) -> None:
    """Refuse what another key says and, under a budget, what may cost more than is set aside.

    Raises:
        ConfigError: names the first such field, and what to do instead.
    """
    instead = {**_INSTEAD, limit_key: _LIMIT}
    for field, value in extra.items():
        if field in instead:
            raise ConfigError(f"lm.extra_body.{field} can't be set there; {instead[field]}")
        if field in _SEVERAL and value != 1:
            raise ConfigError(f"lm.extra_body.{field}={value} pays for answers that nobody reads; leave it out")
        if budgeted and field in _UNBOUNDED and value not in _CHEAP_TIERS:
            raise ConfigError(f"lm.extra_body.{field} may cost more than lm.prices says, so lm.budget_usd could not be "
                              "kept; leave one of them out")

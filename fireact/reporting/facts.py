"""Figures that only some runs have, of their judge and of their tool calls: how tables head and write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fireact.reporting import judging, tool_calls
from fireact.reporting.experiments import MISSING

# Of each: heading, scale, format.
FACTS = {  # of rows where they are known: heading, scale, format
    "judge_agreement": ("judge agrees with EM, %", 100, ".1f"),
    "judge_kappa": ("κ", 1, ".2f"),
    "right_tool": ("right tool, %", 100, ".1f"),
    "right_arguments": ("right arguments, %", 100, ".1f"),
    "exact_calls": ("just these calls, %", 100, ".1f"),
    "calls_made": ("calls", 1, ".2f"),
    "calls_expected": ("calls expected", 1, ".2f"),
    "call_errors": ("calls that failed, %", 100, ".1f"),
}


def facts_of(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Those that are known of a run."""
    return {**judging.per_answer(metrics), **tool_calls.per_question(metrics)}


def fact_text(key: str, facts: Mapping[str, float]) -> str:
    """A cell of a table."""
    _, scale, form = FACTS[key]
    return format(scale * facts[key], form) if key in facts else MISSING

"""FireAct (Chen et al. 2023): a tuned model acting on its own, with no few-shot prompt."""

from __future__ import annotations

from fireact.agent.react import ReAct


class FireAct(ReAct):
    """ReAct's loop without examples; which method a question gets is the tuned model's own choice."""

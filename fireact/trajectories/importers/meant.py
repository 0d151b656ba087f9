"""Text that a reader takes for an action or a label and ``render.parse_step`` does not: numbered, decorated, as JSON …

Such text would be learnt as prose, so that a model says what nothing here carries out. The patterns are wide on
purpose: a row refused is rewritten in a minute. No row of the paper's training files holds any of it.
"""

from __future__ import annotations

import re

from fireact.trajectories.records import Step

# What Markdown and the like put before a word and after it
_BEFORE, _AFTER = r"(?:[^\w\n]|_)*+", r"(?:[^\w\n:：\[(]|_)*+"
_CALL = rf"(?:search|finish){_AFTER}"
_ACTION = rf"(?<![^\W_])(?:action|act){_AFTER}(?:input{_AFTER})?\d*+{_AFTER}[:：]"
_PATTERNS = (
    rf"^{_BEFORE}{_ACTION}",
    rf"{_ACTION}{_BEFORE}(?:(?:search|finish)\b|\w+[\[(])",
    rf"^{_BEFORE}{_CALL}[\[(]",
    r"\b(?:search|finish)\[",
    r"<\W?/?(?:tool|function)[ _]?calls?\b|\[tool_calls?\]",
    r"[\"'](?:arguments|parameters|action|action_input|tool_input)[\"']\s*:",
)
_MEANT_ACTION = re.compile("|".join(_PATTERNS), re.MULTILINE | re.IGNORECASE)
# "Thought:" itself is ours, wherever it stands
_LABEL = re.compile(rf"^(?!(?-i:Thought:)){_BEFORE}(?:thought|observation|obs){_AFTER}\d*+{_AFTER}[:：]",
                    re.MULTILINE | re.IGNORECASE)  # fmt: skip


def action(text: str, taken: Step | None = None) -> str | None:
    """Where ``text`` first seems to act, to the end of that line; None if nowhere.

    Where a thought names the very action that its turn takes, ``taken``, nothing else is meant, as in the paper's
    "I need to wrap up and finish this task in the next step. Action: finish[Y]".
    """
    text = text.removeprefix("Thought:")
    if taken and taken.action:
        text = text.replace(f"Action: {taken.action}[{taken.argument}]", "")
    return _line(text, _MEANT_ACTION)


def label(text: str) -> str | None:
    """The first line of ``text`` that begins with a thought's or an observation's label, spelled in any way."""
    return _line(text, _LABEL)


def _line(text: str, pattern: re.Pattern[str]) -> str | None:
    match = pattern.search(text)
    if match is None:
        return None
    end = text.find("\n", match.end())
    return text[match.start() : end if end >= 0 else None].strip()

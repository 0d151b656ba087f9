"""Properties of ``tests.properties`` on inputs that hypothesis makes; the same ones in every run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fireact.formats.chat import chat_format
from fireact.formats.plain import plain_format
from fireact.trajectories.dialogue import Dialogue, Turn
from tests import properties

EVERYWHERE = settings(max_examples=200, derandomize=True, database=None, deadline=None,
                      suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
CHARACTERS = st.text(st.characters(codec=None, exclude_categories=()), max_size=12)
TEXTS = st.lists(st.one_of(st.sampled_from(properties.TEXTS), CHARACTERS), max_size=8).map("".join)
WHOLE = TEXTS.map(properties.joined)  # as texts are once they are read
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-9, 2**64), st.floats(), TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(properties.KEYS), inner)),
    max_leaves=20,
)
STEP = st.fixed_dictionaries(
    {"thought": TEXTS, "action": st.sampled_from(["search", "finish", "", "lookup"]), "argument": TEXTS},
    optional={"observation": st.one_of(st.none(), TEXTS), "continues": st.booleans(), "learnt": st.booleans()},
)
OURS = st.fixed_dictionaries({
    "question": st.fixed_dictionaries({key: TEXTS for key in ("id", "text", "answer", "task", "split")}),
    "method": st.just("react"),
    "steps": st.lists(STEP, max_size=4),
    "ending": st.sampled_from(["finish", "step_limit", "gone"]),
    "answer": TEXTS,
    "score": st.just({"em": 1, "f1": 1.0, "correct": True}),
})
MESSAGE = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system", "tool"]), "content": TEXTS})
MESSAGES = st.fixed_dictionaries({"messages": st.lists(MESSAGE, max_size=6)})
ALPACA = st.fixed_dictionaries({"instruction": TEXTS, "output": TEXTS}, optional={"input": TEXTS})
SAID = st.builds(Turn, WHOLE, st.one_of(st.none(), WHOLE))
DIALOGUES = st.builds(Dialogue, question=WHOLE, few_shot=WHOLE, turns=st.lists(SAID, max_size=4).map(tuple))


@EVERYWHERE
@given(TEXTS)
def test_a_turn_that_is_read_is_said_so_that_it_is_read_again(text: str) -> None:
    properties.turn(text)


@EVERYWHERE
@given(st.one_of(VALUES, OURS, MESSAGES, ALPACA))
def test_a_row_is_a_trajectory_or_refused(value: Any) -> None:
    properties.row(value)


@EVERYWHERE
@given(st.binary(max_size=80), st.sampled_from(["a.jsonl", "a.json"]))
def test_any_bytes_are_trajectories_or_refused(tmp_path: Path, raw: bytes, name: str) -> None:
    properties.file(raw, tmp_path / name)


@EVERYWHERE
@given(st.one_of(st.binary(), CHARACTERS.map(lambda text: text.encode("utf-8", "surrogatepass"))))
def test_json_is_read_or_refused(raw: bytes) -> None:
    properties.number(raw)


@EVERYWHERE
@given(DIALOGUES)
@pytest.mark.parametrize("name", ["react", "alpaca", "chat"])
def test_what_stands_before_a_learnt_turn_is_the_prompt_to_act_on(tokenizer: Any, name: str, said: Dialogue) -> None:
    form = chat_format(tokenizer, "none", {}) if name == "chat" else plain_format(name, tokenizer, "none")
    properties.learnt(form, said)


OVERRIDES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), WHOLE.filter(lambda t: t != "???")),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.from_regex(r"[a-z]{1,4}", fullmatch=True),
                                                                         inner, max_size=3)),
    max_leaves=6,
)


@EVERYWHERE
@given(OVERRIDES)
def test_an_override_is_read_as_the_value_that_it_was_written_for(value: Any) -> None:
    properties.written(value)


@EVERYWHERE
@given(TEXTS)
@pytest.mark.parametrize("holds", [properties.shown, properties.given])
def test_what_is_shown_steers_nothing_and_repeats_no_secret(holds: Callable[[str], bool], text: str) -> None:
    holds(text)

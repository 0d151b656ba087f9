"""The teacher: with nothing but the search tool it is right, and what it cannot look up it does not know."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from fireact.errors import ConfigError, ModelError
from fireact.miniwiki.oracle import Oracle
from fireact.miniwiki.task import MiniWiki
from fireact.tools.bm25 import BM25
from fireact.trajectories.dialogue import Dialogue, Turn, parse_step
from fireact.trajectories.records import Document, Question

CONF = Path(__file__).resolve().parents[2] / "conf"
TASKS = ("miniwiki", "miniwiki_yesno", "miniwiki_choice", "miniwiki_compose")
REFLECT = "Thought: I have not solved this within 5 steps, so let me reflect on how to search better."


class Empty:
    """A corpus about nothing that is asked."""

    name = "empty"

    def documents(self) -> list[Document]:
        return [Document("Nothing", "Nothing at all.")]


def task(name: str, limit: int = 300) -> MiniWiki:
    return instantiate(OmegaConf.merge(OmegaConf.load(CONF / "task" / f"{name}.yaml"), {"limit": limit}))


def act(oracle: Oracle, tool: BM25, question: Question, reflect_at: tuple[int, ...] = ()) -> list[Turn]:
    """The turns of an episode of at most 11 rounds; the last one finishes unless they ran out."""

    async def episode() -> list[Turn]:
        turns: list[Turn] = []
        for round_ in range(1, 12):
            prefill = REFLECT if round_ in reflect_at else ""
            said = await oracle.complete(Dialogue(question.prompt(), turns=tuple(turns), prefill=prefill))
            step = parse_step(prefill + said.text)
            observation = await tool.search(step.argument) if step.action == "search" else None
            turns.append(Turn(prefill + said.text, observation))
            if observation is None:
                break
        return turns

    return asyncio.run(episode())


def right(drawn: MiniWiki, question: Question, turns: list[Turn]) -> bool:
    step = parse_step(turns[-1].text)
    return step.action == "finish" and drawn.score(question, step.argument).correct


def test_the_shipped_configuration_brings_task_tool_and_teacher_together() -> None:
    files = {"task": "task/miniwiki.yaml", "search": "search/bm25.yaml", "lm": "lm/oracle.yaml"}
    parts = {group: OmegaConf.load(CONF / file) for group, file in files.items()}
    made = instantiate(OmegaConf.create({**parts, "method": {"name": "react"}, "seed": 0, "cache_dir": ".cache"}))
    (question,) = task("miniwiki", 1).questions()
    assert made.search.name == "bm25[miniwiki] k=1"
    assert right(made.task, question, act(made.lm, made.search, question))


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("style", ["react", "reflexion"])
def test_the_search_tool_alone_answers_all_questions(name: str, style: str) -> None:
    drawn = task(name)
    oracle, tool = Oracle(drawn, style), BM25(drawn)
    reflect_at = (6, 10) if style == "reflexion" else ()
    episodes = [(question, act(oracle, tool, question, reflect_at)) for question in drawn.questions()]
    assert sum(right(drawn, *episode) for episode in episodes) / len(episodes) >= 0.99
    rounds = [len(turns) for _, turns in episodes]
    wandered = sum(count > 5 for count in rounds) / len(rounds)
    assert 0.1 <= wandered <= 0.4 if style == "reflexion" else max(rounds) <= 5


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("style", ["cot", "io"])
def test_without_search_it_knows_exactly_what_the_question_states(name: str, style: str) -> None:
    drawn = task(name)
    oracle, tool = Oracle(drawn, style), BM25(drawn)
    for question in drawn.questions():
        (turn,) = act(oracle, tool, question)
        assert right(drawn, question, [turn]) == question.kind.endswith("_given")
        assert turn.text.startswith("Action: finish[" if style == "io" else "Thought: ")


def test_it_believes_what_it_reads() -> None:
    """It has no facts of its own: in a world where another author is given, it answers with that one."""
    drawn = task("miniwiki", 1)
    (question,) = drawn.questions()
    assert question.prompt() == "Who wrote Quiet Candle?"
    turns = (Turn("Thought: x\nAction: search[Quiet Candle]", "The play Quiet Candle was written by Zed Zorn."),)
    said = asyncio.run(Oracle(drawn).complete(Dialogue(question.prompt(), turns=turns)))
    assert parse_step(said.text).argument == "Zed Zorn"


def test_it_tries_other_queries_and_then_gives_up() -> None:
    drawn = task("miniwiki", 1)
    tool = BM25(Empty())
    turns = act(Oracle(drawn), tool, drawn.questions()[0])
    queries = [parse_step(turn.text).argument for turn in turns]
    assert queries[:2] == ["Quiet Candle", "Quiet Candle was written by"]
    assert len(set(queries)) == len(queries)
    assert queries[-1] == "unknown"


def test_it_goes_on_after_a_prefill() -> None:
    drawn = task("miniwiki", 1)
    (question,) = drawn.questions()
    said = asyncio.run(Oracle(drawn, "reflexion").complete(Dialogue(question.prompt(), prefill=REFLECT)))
    assert said.text.startswith(" ")
    assert "Thought:" not in said.text
    assert parse_step(REFLECT + said.text).argument == "Quiet Candle"


def test_what_it_says_is_the_same_every_time_but_worded_variously() -> None:
    drawn = task("miniwiki", 40)
    first, again, other = (
        [asyncio.run(oracle.complete(Dialogue(question.prompt()))).text for question in drawn.questions()]
        for oracle in (Oracle(drawn), Oracle(drawn), Oracle(drawn, seed=1))
    )
    assert first == again
    assert first != other
    assert {text.split()[1] for text in first} == {"I", "First,", "The"}


def test_tokens_are_counted_as_words() -> None:
    drawn = task("miniwiki", 1)
    said = asyncio.run(Oracle(drawn, "io").complete(Dialogue(drawn.questions()[0].prompt())))
    assert (said.text, said.tokens_in, said.tokens_out) == ("Action: finish[unknown]", 4, 2)


def test_unknown_styles_and_questions_are_named() -> None:
    with pytest.raises(ConfigError, match="lm.style=fireact is unknown; choose react, reflexion, cot, io"):
        Oracle(task("miniwiki", 1), "fireact")
    with pytest.raises(ModelError, match="set lm.task to the task that is asked"):
        asyncio.run(Oracle(task("miniwiki", 1)).complete(Dialogue("Who wrote Hamlet?")))

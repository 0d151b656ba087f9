"""A local model that acts in native calls: what it was taught is what the loop carries out, several calls in a turn."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from fireact.agent.base import Episode
from fireact.agent.react import ReAct
from fireact.errors import ConfigError, ModelError
from fireact.lms.huggingface import HuggingFace
from fireact.models.adapters import load_for_acting
from fireact.models.backbone import Adapter, Backbone
from fireact.tools.calculator import Calculator
from fireact.training.rows import RowMaker
from fireact.trajectories.dialogue import Dialogue
from fireact.trajectories.records import Ending, Question, Score, Step, Trajectory
from fireact.trajectories.tool_schema import SEARCH_TOOL

QUESTION = Question("q", "Who wrote a book?", "Y", "t", "train", system="Find it.")
STEPS = (
    Step("Two at once.", "search", "a book", "A book by Y."),
    Step("", "calculator", "2 * (3 + 4)", "14", continues=True),
    Step("", "finish", "Y"),
)
TOOLS = {"calculator": Calculator()}
TAUGHT = Trajectory(
    QUESTION, "fireact", STEPS, Ending.FINISH, "Y", Score(1, 1, True), tools=(SEARCH_TOOL, Calculator.schema)
)


class Shelf:
    name = "shelf"

    async def search(self, query: str) -> str:
        return {"a book": "A book by Y."}[query]

    async def aclose(self) -> None: ...


@pytest.fixture(scope="module")
def native(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    """The tiny Llama, taught one trajectory by heart in native calls."""
    backbone = Backbone("tiny", "fireact/tiny", path=str(tiny_folder), format="tools", chat_template="hermes")
    tokenizer = backbone.tokenizer()
    [row], _ = RowMaker(backbone.text_format(tokenizer)).rows([TAUGHT])
    torch.manual_seed(0)
    model = load_for_acting(replace(backbone, dtype="float32"), None).train()
    for weight in model.parameters():
        weight.requires_grad_(True)
    ids, labels = row.ids.long()[None], row.ids.long().masked_fill(~row.targets, -100)[None]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    loss = torch.tensor(9.0)
    for _ in range(600):
        if loss < 0.01:
            break
        loss = model(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    folder = tmp_path_factory.mktemp("native")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return replace(backbone, path=str(folder))


def acted(backbone: Backbone, question: Question = QUESTION, **options: Any) -> tuple[Episode, list[Any], HuggingFace]:
    lm = HuggingFace(backbone, max_context=4000, **{"max_new_tokens": 200, **options})
    said: list[Any] = []
    complete = lm.complete

    async def heard(dialogue: Dialogue) -> Any:
        said.append((dialogue, await complete(dialogue)))
        return said[-1][1]

    lm.complete = heard  # type: ignore[method-assign]

    async def run() -> Episode:
        episode = await ReAct("fireact", None, max_retries=1).run(question, lm, Shelf(), TOOLS)
        await lm.aclose()
        return episode

    return asyncio.run(run()), said, lm


def test_it_acts_as_it_was_taught(native: Backbone) -> None:
    episode, said, lm = acted(native)
    assert (episode.steps, episode.ending, episode.answer) == (STEPS, Ending.FINISH, "Y")
    tokenizer = native.tokenizer()
    form = native.text_format(tokenizer)
    [row], _ = RowMaker(form).rows([TAUGHT])
    (first, one), (second, two) = said
    # the prompts of acting, with the generated tokens, are the row that was learnt, token for token
    assert form.prompt(first) + list(one.ids) == row.ids[: len(form.prompt(first)) + len(one.ids)].tolist()
    assert form.prompt(second) + list(two.ids) == row.ids.tolist()
    assert one.text.startswith("Two at once.\n<tool_call>") and tokenizer.decode(one.ids).endswith("<|im_end|>")


def test_a_turn_that_is_cut_off_is_no_answer_and_no_call(native: Backbone) -> None:
    episode, said, _ = acted(native, max_new_tokens=20)
    assert episode.ending == Ending.PARSE_FAILURE
    assert all(step.action == "" and step.thought.startswith("Two at") for step in episode.steps[:1])
    assert said[0][1].ids is None


def test_an_adapter_remembers_its_template(native: Backbone, tmp_path: Path) -> None:
    adapter = Adapter("lora", "lora")
    adapter.save(adapter.apply(native), native, native.tokenizer(), tmp_path)
    load_for_acting(native, str(tmp_path))
    mine = tmp_path / "mine.jinja"
    mine.write_text("{{ messages }}")
    for other in (None, str(mine)):
        with pytest.raises(ModelError, match="was trained with another chat template than backbone.chat_template="):
            load_for_acting(replace(native, chat_template=other), str(tmp_path))


def test_a_template_without_tools_is_refused_before_weights_are_loaded(tiny_folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"shows the model no tools; use \+backbone.chat_template=hermes"):
        HuggingFace(Backbone("tiny", "fireact/tiny", path=str(tiny_folder), format="tools"))

"""A language model and a search tool behind a journal: what was answered before is not asked again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from fireact.journal.store import Asked, Journal, Source, json_text
from fireact.lms.base import Completion, LanguageModel
from fireact.tools.base import SearchTool, Tool
from fireact.trajectories.dialogue import Dialogue
from fireact.trajectories.records import Step


class JournaledModel:
    """``lm`` behind a journal; None in its place where only the journal answers.

    Args:
        settings: everything but the dialogue that shapes an answer, as plain data without secrets.
    """

    def __init__(self, lm: LanguageModel | None, journal: Journal, settings: Mapping[str, Any]) -> None:
        self._lm, self._journal, self._settings = lm, journal, json_text(settings)
        self.name, self.varies = _of(lm) if lm else journal.source("lm", self._settings)
        self.concurrency = lm.concurrency if lm else 1

    async def complete(self, dialogue: Dialogue) -> Completion:
        """See ``LanguageModel``; besides, what ``Journal.answer`` raises."""
        turns = [[turn.text, turn.observation] for turn in dialogue.turns]
        # Journals of before call the prefill so; a call keeps its key.
        request: dict[str, Any] = {"question": dialogue.question, "turns": turns, "opening": dialogue.prefill}
        if dialogue.system:
            request["system"] = dialogue.system
        if dialogue.tools:
            request["tools"] = [dataclasses.astuple(tool) for tool in dialogue.tools]
        asked = Asked(request, json_text([turn.ids for turn in dialogue.turns]))
        source = Source("lm", self._settings, dialogue.few_shot)

        async def ask() -> str:
            assert self._lm is not None
            completion = await self._lm.complete(dialogue)
            if completion.cost_usd and getattr(self._lm, "ledger", None) is not self._journal:
                self._journal.pay(completion.cost_usd)  # the others' budgets count it too
            return answer_of(completion)

        return completion_of(await self._journal.answer(source, self.name, self.varies, asked, ask))

    async def aclose(self) -> None:
        """See ``LanguageModel``; the journal stays open."""
        if self._lm is not None:
            await self._lm.aclose()


class JournaledSearch:
    """``search`` behind a journal; None in its place where only the journal answers. ``settings`` as for a model."""

    def __init__(self, search: SearchTool | None, journal: Journal, settings: Mapping[str, Any]) -> None:
        self._search, self._journal, self._source = search, journal, Source("search", json_text(settings))
        if search:
            self.name, self.varies = _of(search)
            journal.enter(self._source, self.name, self.varies)  # a replay needs its name, were it never asked
        else:
            self.name, self.varies = journal.source("search", json_text(settings))

    async def search(self, query: str) -> str:
        """See ``SearchTool``; besides, what ``Journal.answer`` raises."""

        async def ask() -> str:
            assert self._search is not None
            return await self._search.search(query)

        return await self._journal.answer(self._source, self.name, self.varies, Asked({"query": query}), ask)

    async def aclose(self) -> None:
        """See ``SearchTool``; the journal stays open."""
        if self._search is not None:
            await self._search.aclose()


class JournaledTool:
    """``tool`` behind a journal, which alone answers where it replays ``only``; ``settings`` as for a model.

    A call of one that is not idempotent is kept at its place: its question's own, as often as that asks.
    """

    def __init__(self, tool: Tool, journal: Journal, settings: Mapping[str, Any]) -> None:
        self._tool, self._journal = tool, journal
        self.schema, self.idempotent = tool.schema, tool.idempotent
        self._source = Source("tool", json_text({**settings, "schema": tool.schema.to_json()}))

    async def call(self, arguments: Mapping[str, Any]) -> str:
        """See ``Tool``; besides, what ``Journal.answer`` raises."""
        asked = Asked({"arguments": dict(arguments)})
        return await self._journal.answer(
            self._source, self.schema.name, not self.idempotent, asked, lambda: self._tool.call(arguments)
        )

    async def aclose(self) -> None:
        """See ``Tool``; the journal stays open."""
        await self._tool.aclose()


def _of(part: LanguageModel | SearchTool) -> tuple[str, bool]:
    """The name of a part, and whether its answers vary; most do not and need not say so."""
    return part.name, getattr(part, "varies", False)


def completion_of(answer: str) -> Completion:
    """The completion that a journal's answer holds."""
    fields = json.loads(answer)
    steps = fields.get("steps")
    fields["steps"] = None if steps is None else tuple(Step(**step) for step in steps)
    return Completion(**{**fields, "ids": None if fields["ids"] is None else tuple(fields["ids"])})


def answer_of(completion: Completion) -> str:
    """What a journal keeps of it; what the first edition did not know is left out where it says nothing."""
    fields = dataclasses.asdict(completion)
    for name, default in (("steps", None), ("reason", "")):
        if fields[name] == default:
            del fields[name]
    return json_text(fields)

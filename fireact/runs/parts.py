"""The model and the search tool of a run, behind its journal, and what makes their answers what they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from fireact.cli import Config, build, resolved
from fireact.errors import ConfigError
from fireact.journal.journaled import JournaledModel, JournaledSearch, JournaledTool
from fireact.journal.store import Journal, Replay
from fireact.lms.base import LanguageModel
from fireact.runs.adapters import weights
from fireact.runs.result_keys import result_keys
from fireact.runs.scoring import budget_usd, judge_of
from fireact.tools.base import SearchTool, Tool
from fireact.tools.limited import Limited
from fireact.trajectories.records import FINISH, SEARCH
from fireact.trajectories.storage.digests import digests

# Of a task whose documents are searched, what says which questions are asked and changes no document.
_OF_QUESTIONS = ("corpus.limit", "corpus.order", "corpus.prompts")

_NAME = re.compile(r"\w+")


@dataclass(frozen=True)
class Parts:
    """The model, the search tool, the other tools by the names that a model calls, and the model that a measure asks,
    if it asks one."""

    lm: LanguageModel
    search: SearchTool
    tools: dict[str, Tool]
    judge: LanguageModel | None = None


@contextmanager
def parts(cfg: Config) -> Iterator[Parts]:
    """The parts of a run, behind the configured journal."""
    if cfg.journal.replay in ("off", False):  # YAML takes a bare off for False
        judge = None if (node := judge_of(cfg)) is None else build(node)
        yield Parts(build(cfg.lm), build(cfg.search), named_tools(cfg.get("tools")), judge)
        return
    with closing(Journal(cfg.journal.path, cfg.journal.replay)) as journal:
        search = _search(cfg.search, journal)
        lm = JournaledModel(_model(cfg.lm, journal), journal, {**settings("lm", cfg.lm), **weights(cfg.tuned)})
        tools = named_tools(cfg.get("tools"), journal)
        yield Parts(lm, search, tools, _judge(cfg, journal))


def _model(node: Config, journal: Journal, **others: Any) -> LanguageModel | None:
    """The model, if it may be asked. Whoever keeps a budget enters its calls in the journal, next to others'."""
    if journal.replay is not Replay.REUSE:
        return None
    model: LanguageModel = build(node, ledger=journal, **others) if "budget_usd" in node else build(node)
    return model


def _judge(cfg: Config, journal: Journal) -> LanguageModel | None:
    """The model that the measure asks, if it asks one; the run's budget is its budget too."""
    if (node := judge_of(cfg)) is None:
        return None
    judge = _model(node, journal, budget_usd=budget_usd(cfg))
    return JournaledModel(judge, journal, {**settings("lm", node), **weights(node.get("adapter"))})


def named_tools(node: Config | None, journal: Journal | None = None) -> dict[str, Tool]:
    """The tools besides the search tool, each within its limits, by the names that a model calls.

    Raises:
        ConfigError: two have one name, or one has that of another action.
    """
    found: dict[str, Tool] = {}
    for key, below in (node.named.items() if node else ()):
        assert node is not None
        tool: Tool = Limited(build(below), node.timeout_s, node.max_chars, node.on_error)
        name = tool.schema.name
        if name.lower() in (SEARCH, FINISH, *map(str.lower, found)) or not _NAME.fullmatch(name):
            raise ConfigError(f"tools.named.{key} is called {name}, which another action is, or which is no word of "
                              "letters, digits and _; give its schema another name")
        limits = {"max_chars": node.max_chars, "on_error": node.on_error}
        found[name] = JournaledTool(tool, journal, {**settings("tool", below), **limits}) if journal else tool
    return found


def settings(kind: str, node: Config) -> dict[str, Any]:
    """What shapes the answers of a part: its configuration and the content of every file that this names."""
    keys = result_keys({kind: resolved(node)})
    keys = {key: leaf for key, leaf in keys.items() if not any(f".{part}." in f".{key}." for part in _OF_QUESTIONS)}
    content = digests(keys, node.get("cache_dir"))
    return {**keys, **{f"{key} sha256": sha256 for key, sha256 in content.items()}}


def _search(node: Config, journal: Journal) -> SearchTool:
    """What the node builds. A wrapper stays outside of the journal, so all wrappers share what they wrap."""
    if "tool" in node:
        wrapper: SearchTool = build(node, tool=_search(node.tool, journal))
        return wrapper
    search = build(node) if journal.replay is Replay.REUSE else None
    return JournaledSearch(search, journal, settings("search", node))

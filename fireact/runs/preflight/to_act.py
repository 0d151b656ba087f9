"""What ``evaluate.py`` and ``generate.py`` need: questions, a prompt, a search tool and a model that could answer."""

from __future__ import annotations

import asyncio
import itertools
import os
import pkgutil
import socket
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fireact.cli import Config, build, resolved
from fireact.errors import DataError, ModelError, StorageError, ToolError
from fireact.models.hub import to_fetch
from fireact.models.shape import GIB
from fireact.runs import scoring
from fireact.runs.adapters import check
from fireact.runs.parts import named_tools
from fireact.runs.preflight.check import Check
from fireact.tools.base import Tool
from fireact.tools.bm25 import read_documents
from fireact.trajectories.files import read
from fireact.trajectories.records import SEARCH
from fireact.trajectories.storage.download import Need

_OURS = "fireact."
_PATIENCE_S = 3.0  # for a connection
_LOOKED_AT = 1000  # rows of a corpus, which may hold millions


def questions(cfg: Config) -> None:
    """The task's questions can be had and scored, and there are some."""
    task = scoring.task_of(cfg)
    if not task.questions():
        raise DataError(f"task={cfg.task.name} has no questions; choose another split, file or task")


def prompt(cfg: Config) -> None:
    """The method's few-shot prompt is there."""
    _ = build(cfg.method).few_shot


def search(cfg: Config) -> str | None:
    """The search tool has its corpus, its key and its server, where the method searches; a line on what it fetches."""
    if cfg.journal.replay != "only" and SEARCH in getattr(build(cfg.method), "actions", (SEARCH,)):
        return _search(cfg.search, asks=not Path(cfg.journal.path).exists())
    return None


def tools(cfg: Config) -> None:
    """The tools besides the search tool can be built, servers say what they offer, and names tell them apart."""
    asyncio.run(_closed(named_tools(cfg.get("tools"), recorded=cfg.journal)))


async def _closed(tools: Mapping[str, Tool]) -> None:
    for tool in tools.values():
        await tool.aclose()


def model(cfg: Config) -> str | None:
    """The model has its weights, or its key and its server; a line where weights are to be fetched."""
    return None if cfg.journal.replay == "only" else _model(cfg, cfg.lm, "lm")


def judge(cfg: Config) -> str | None:
    """So has the model that the measure asks, if it asks one."""
    node = scoring.judge_of(cfg)
    if node is None or cfg.journal.replay == "only":
        return None
    given = {"budget_usd": scoring.budget_usd(cfg)} if "budget_usd" in node else {}
    return _model(cfg, node, "measure.lm", **given)


def _model(cfg: Config, node: Any, key: str, **given: Any) -> str | None:
    if "backbone" in node:
        if node.get("adapter") is not None:
            _adapter(Path(node.adapter))
        return weights(resolved(node.backbone))
    if node._target_.startswith(_OURS):
        built = build(node, **given)
        asyncio.run(built.aclose())
        if node.get("base_url") and not Path(cfg.journal.path).exists():  # which may hold all the answers
            _connect(node.base_url, f"{key}.base_url", ModelError)
    return None


def weights(backbone: Mapping[str, Any]) -> str | None:
    """A line where the weights of ``backbone`` are to be fetched from the model hub first."""
    fetch = to_fetch(backbone)
    if fetch is None:
        return None
    return f"{fetch.name} is to be fetched from the model hub" + (f", {fetch.size / GIB:.1f} GiB" if fetch.size else "")


def logger(cfg: Config) -> None:
    """The dashboard has its extra and its key."""
    node = cfg.get("logger")
    if node is not None and node._target_.startswith(_OURS):
        ready = getattr(build(node), "ready", None)
        if ready:
            ready()


def journal(cfg: Config) -> None:
    """The journal can be written where it is to lie."""
    path = Path(cfg.journal.path).absolute()
    place = next(place for place in (path, *path.parents) if place.exists())
    fits = place.is_file() if place == path else place.is_dir()
    if cfg.journal.replay == "reuse" and not (fits and os.access(place, os.W_OK)):
        raise StorageError(f"the journal {cfg.journal.path} can't be written there; choose another journal.path")


ACTING = (
    Check(questions, ("task", "measure", "tuned")),
    Check(prompt, ("method",)),
    Check(search, ("search", "method", "journal.replay", "journal.path")),
    Check(tools, ("tools", "journal.replay", "journal.path")),
    Check(model, ("lm", "journal.replay", "journal.path")),
    Check(judge, ("measure", "lm.budget_usd", "tuned", "journal.replay", "journal.path")),
    Check(logger, ("logger",)),
    Check(journal, ("journal",)),
)


def _search(node: Any, asks: bool) -> str | None:
    """A tool that wraps another is as good as that one; an index is never built just to see."""
    line = _search(node.tool, asks) if "tool" in node else None
    for key in ("corpus", "pool"):
        if key in node and not (key == "pool" and node.get("mode") == "none"):
            _documents(node[key], f"search.{key}")
    if not node._target_.startswith(_OURS) or {"tool", "corpus"} & set(node):
        return line
    if needs := getattr(pkgutil.resolve_name(node._target_), "needs", None):
        wanted: Sequence[Need] = needs(**resolved(node))
        lines = (f"{need.name} is to be fetched from {need.source}, {(need.size or 0) / GIB:.1f} GiB"
                 for need in wanted if need.path is None and need.source is not None)
        return next(lines, None)
    asyncio.run(build(node).aclose())
    if node.get("base_url") and asks:
        _connect(node.base_url, "search.base_url", ToolError)
    return None


def _documents(source: Any, key: str) -> None:
    """A file that is there and begins as it should, or a task that has documents."""
    if isinstance(source, str):
        if not Path(source).is_file():
            raise DataError(f"{source} does not exist; {key} needs a file")
        begin = read_documents(Path(source)) if key == "search.corpus" else read(source, Counter())
        for _ in itertools.islice(begin, _LOOKED_AT):
            pass
    elif source is not None:
        next(iter(build(source).documents()), None)


def _adapter(folder: Path) -> None:
    if not any((folder / name).is_file() for name in ("fireact.json", "adapter_config.json")):
        raise ModelError(f"{folder} holds no adapter; run train.py first or name its adapter folder")
    check(folder)


def _connect(url: str, key: str, error: type[ModelError] | type[ToolError]) -> None:
    """Open a connection, unless a proxy stands between, which would be asked instead."""
    parts = urlsplit(url)
    proxies: Mapping[str, str] = urllib.request.getproxies()
    if parts.scheme in proxies and not urllib.request.proxy_bypass(parts.hostname or ""):
        return
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    try:
        socket.create_connection((parts.hostname, port), _PATIENCE_S).close()
    except OSError as reason:
        why = reason.strerror or reason
        fix = "start it, or check the address and the network"
        raise error(f"no server answers at {key}={url} ({why}); {fix}") from None

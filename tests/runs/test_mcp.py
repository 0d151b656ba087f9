"""Whole runs with the tools of an MCP server: started when it is needed, replayed without it, never left behind."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fireact import cli
from fireact.errors import ConfigError, ModelError, StorageError
from fireact.runs import tool_servers
from fireact.runs.evaluate import evaluate
from fireact.trajectories.files import read
from fireact.trajectories.records import Trajectory
from tests.conftest import ROOT
from tests.lms.openai_server import Answer, Request, chat
from tests.runs.test_acting import serving
from tests.tools.mcp.conftest import is_alive

pytest.importorskip("mcp")
SCRIPT = ROOT / "tests" / "faulty" / "mcp_server.py"
SAID = ["Thought: One.\nAction: do[well]", "Thought: Two.\nAction: do[badly]", "Thought: Done.\nAction: finish[yes]"]


async def _model(request: Request) -> Answer:
    return chat(SAID[sum(message["role"] == "assistant" for message in request.body["messages"])])


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the runs here are composed of, but for what the server does."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("MARKS", str(tmp_path / "marks"))
    monkeypatch.setattr(tool_servers, "_LISTED", {})
    rows = [{"question": f"Is it {n}?", "answer": "yes"} for n in range(2)]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "corpus.jsonl").write_text(json.dumps({"title": "A", "text": "B."}))
    task = ["task=file", f"task.path={tmp_path}/questions.jsonl", f"task.corpus={tmp_path}/corpus.jsonl"]
    return [*task, "method=fireact", "lm=openai", "lm.model=m", "lm.stream=false", "tools=mcp",
            "tools.named.mcp.env=[MARKS]", f"cache_dir={tmp_path}/cache"]  # fmt: skip


def _server(fault: str) -> str:
    return f"tools.named.mcp.command=[{sys.executable},{SCRIPT},{fault}]"


def _run(folder: Path, *overrides: str) -> list[Trajectory]:
    evaluate(cli.compose("evaluate", [f"run_dir={folder}", *overrides]))
    return list(read(folder / "predictions.jsonl", Counter()))


def _started(folder: Path) -> list[int]:
    """The processes that were servers."""
    marks = folder / "marks"
    return [int(number) for number in marks.read_text().split()] if marks.exists() else []


def _steps(trajectories: list[Trajectory]) -> list[Any]:
    return [(t.steps, t.ending, t.answer, t.tools, t.usage.search_calls) for t in trajectories]


def test_a_server_is_started_once_to_be_listed_and_once_to_be_called_and_replayed_without(
    tmp_path: Path, given: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, given = tmp_path / "run", [*given, _server("result_error")]
    with serving(_model) as server:
        found = _run(run, *given, f"lm.base_url={server.url}")
        assert len(server.requests) == 6
    assert len(_started(tmp_path)) == 2 and not any(map(is_alive, _started(tmp_path)))
    for trajectory in found:
        assert [step.observation for step in trajectory.steps] == ["fine", "Error: no such page", None]
        assert [tool.name for tool in trajectory.tools] == ["search", "do"]
        assert trajectory.tools[1].description == "Does."
        assert (trajectory.provenance["tools"], trajectory.answer) == ("do", "yes")
    monkeypatch.setattr(tool_servers, "_LISTED", {})
    (run / "metrics.json").unlink()
    (run / "predictions.jsonl").unlink()
    nobody = f"lm.base_url={server.url}"
    assert _steps(_run(run, *given, nobody)) == _steps(found)
    only = ["journal.replay=only", f"journal.path={run}/journal.sqlite"]
    assert _steps(_run(tmp_path / "again", *given, nobody, *only)) == _steps(found)
    assert len(_started(tmp_path)) == 2


def test_with_other_tools_it_is_another_run(tmp_path: Path, given: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    given = [*given, _server("changes"), "journal.replay=off"]
    with serving(_model) as server:
        given = [*given, f"lm.base_url={server.url}"]
        _run(tmp_path / "run", *given)
        (listing,) = tool_servers._LISTED.values()
        _run(tmp_path / "run", *given)  # is finished
        assert len(server.requests) == 6
        for key in tool_servers._LISTED:
            tool_servers._LISTED[key] = listing.replace("Does.", "Does another thing.")
        with pytest.raises(StorageError, match=r"tools_sha256\.mcp"):
            _run(tmp_path / "run", *given)


def test_a_failure_may_end_its_episode(tmp_path: Path, given: list[str]) -> None:
    with (
        serving(_model) as server,
        pytest.raises(ModelError, match="could be acted out: no such page; fix that"),
    ):
        _run(tmp_path / "run", *given, _server("result_error"), "tools.on_error=end", f"lm.base_url={server.url}")
    endings = [(t.ending, t.provenance["error"]) for t in read(tmp_path / "run" / "predictions.jsonl", Counter())]
    assert endings == [("tool_failure", "no such page")] * 2


def test_a_server_that_can_t_be_begun_with_stops_the_run_before_anything_is_asked(
    tmp_path: Path, given: list[str]
) -> None:
    with (
        serving(_model) as server,
        pytest.raises(ConfigError, match=r"start_exits' exited with code 1 \(no licence\);"),
    ):
        _run(tmp_path / "run", *given, _server("start_exits"), f"lm.base_url={server.url}")
    assert not server.requests and not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [("SIGTERM", 143), ("SIGINT", 130), ("SIGKILL", -9)])
def test_a_stopped_run_leaves_no_server_behind(number: str, code: int, tmp_path: Path, given: list[str]) -> None:
    stopped = threading.Event()

    async def model(request: Request) -> Answer:
        while sum(message["role"] == "assistant" for message in request.body["messages"]) == 2 and not stopped.is_set():
            await asyncio.sleep(0.01)
        return await _model(request)

    with serving(model) as server:
        command = [sys.executable, str(ROOT / "evaluate.py"), *given, _server("none"), f"lm.base_url={server.url}",
                   f"run_dir={tmp_path}/run"]  # fmt: skip
        with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
            while len(server.requests) < 6 and process.poll() is None:
                time.sleep(0.05)
            assert process.poll() is None
            listed, called = _started(tmp_path)
            assert not is_alive(listed) and is_alive(called, 0)
            process.send_signal(getattr(signal, number))
            _, said = process.communicate(timeout=30)
        stopped.set()
    assert process.returncode == code and "Traceback" not in said
    assert not is_alive(called)  # after a kill it only hears of the end of its input

"""An MCP server of which each question meets another misbehaviour, while as many good ones are answered beside them.

    python benchmarks/faults/mcp_servers.py [--show] [stdio | http] [NAME ...]

``--show`` prints what each fault was answered; names choose among the faults. The model calls the tool until it gets
an answer, ten times at most, and then answers. All questions share one server: over stdio a process, which some of the
faults end, so that calls under way end with it; over HTTP an address. Where the run is made again without its
``metrics.json``, no call may be made again.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.faults.runs import ANSWER, ROOT, Left, check, evaluate, name_of, write_questions  # noqa: E402
from tests.faulty.http import reply  # noqa: E402
from tests.faulty.models import whole  # noqa: E402
from tests.faulty.server import Reply, Server  # noqa: E402
from tests.tools.mcp.test_faults import CALLS  # noqa: E402
from tests.tools.mcp.test_http_faults import CALL, FAULTS, INFO, PLACE, TOOL  # noqa: E402

_NAMED = re.compile(r"<((?:fault|good) [^>]+)>")
_FINE = {"content": [{"type": "text", "text": "fine"}]}


class Service:
    """A model that calls the tool for its question, and, over HTTP, the server of the tool."""

    def __init__(self) -> None:
        self.called: Counter[str] = Counter()

    def choose(self, head: bytes, body: bytes) -> Reply:
        asked = json.loads(body or b"{}")
        if "messages" not in asked:
            return self._tool(asked)
        kind, name = _NAMED.findall(asked["messages"][0]["content"])[0].split(" ", 1)
        last, calls = asked["messages"][-1]["content"], len(asked["messages"]) // 2
        if calls == 0 or kind == "good" and "Error:" in last and calls < 10:
            return reply(whole(f"Action: do[{'well' if kind == 'good' else name}]"))
        return reply(whole(f"Action: finish[{ANSWER}]"))

    def _tool(self, asked: dict[str, Any]) -> Reply:
        said: dict[str, Any] = {"jsonrpc": "2.0", "id": asked.get("id")}
        match asked.get("method"):
            case "initialize":
                return reply(json.dumps({**said, "result": INFO}).encode())
            case "tools/list":
                return reply(json.dumps({**said, "result": {"tools": [TOOL]}}).encode())
            case "tools/call":
                how = asked["params"]["arguments"]["how"]
                self.called[how] += 1
                fault = json.dumps({**said, "result": _FINE}).encode() if how == "well" else FAULTS[how]
                return reply(fault) if how == "well" else _with_id(fault, asked["id"])
            case "server/discover":
                return reply(json.dumps({**said, "error": {"code": -32601, "message": "no such method"}}).encode())
        return reply(b"", status=b"202 Accepted")


def _with_id(fault: Reply, number: int) -> Reply:
    """A reply to this call; what is compressed or written by a script stays a reply to another."""
    return fault.replace(PLACE % CALL, PLACE % number) if isinstance(fault, bytes) else fault


def run(kind: str, names: list[str], show: bool) -> None:
    service, known = Service(), list(CALLS) if kind == "stdio" else list(FAULTS)
    faults = [name for name in names if name in known] or known
    with tempfile.TemporaryDirectory() as temporary, Server(service.choose) as server:
        folder = Path(temporary)
        write_questions(folder / "questions.jsonl", faults)
        script = ROOT / "tests" / "faulty" / "mcp_server.py"
        place = f"command=[{sys.executable},{script},none]" if kind == "stdio" else f"url={server.url}/mcp"
        (folder / "corpus.jsonl").write_text('{"title": "A", "text": "B."}\n')
        tool = ["tools=mcp", f"tools.named.mcp.{place}", "tools.timeout_s=10", f"task.corpus={folder}/corpus.jsonl",
                f"lm.base_url={server.url}/v1", "lm.concurrency=16"]  # fmt: skip
        left = evaluate(folder, *tool, rounds=12)
        if show:
            _show(left)
        ends, calls = check(left, faults), service.called.total()
        again = _again(left)
        (folder / "run" / "metrics.json").unlink()
        service.called.clear()
        check(evaluate(folder, *tool, rounds=12), faults)
        assert not service.called
    said = [row["steps"][0]["observation"] for row in left.rows if name_of(row).startswith("fault")]
    late = sum("did not answer within" in text for text in said)
    errors = sum(text.startswith("Error: ") for text in said)
    print(f"{kind}: {len(faults)} faults beside {len(faults)} good questions, {left.seconds:.0f} s, {left.memory} MiB "
          f"at most; good ones answered {len(faults)}, {again} of them at a later call, as one was lost with the "
          f"server; the others: {errors} errors with a reason, {late} of which are time-outs, {len(said) - errors} "
          f"answers; {dict(ends)}" + (f"; {calls} calls, none of them made again" if kind == "http" else ""))


def _again(left: Left) -> int:
    """How many good questions had to call again."""
    return sum(len(row["steps"]) > 2 for row in left.rows if name_of(row).startswith("good"))


def _show(left: Left) -> None:
    for row in left.rows:
        print(f"  {name_of(row):30} {[ascii(step['observation'])[:150] for step in row['steps'][:-1]]}")


def main(arguments: list[str]) -> None:
    for kind in [kind for kind in ("stdio", "http") if kind in arguments] or ("stdio", "http"):
        run(kind, arguments, "--show" in arguments)


if __name__ == "__main__":
    main(sys.argv[1:])

"""A search service that misbehaves in another way for each question, while as many good ones are answered beside them.

    python benchmarks/faults/replies_search.py [--show] [wikipedia | serpapi] [NAME ...]

``--show`` prints how each fault ended; names choose among the faults. The model is a good server, which searches once
and then answers. It is run, and run again without its ``metrics.json``: nothing that was found may be searched again.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from urllib.parse import unquote_plus

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.faults.runs import ANSWER, Left, check, evaluate, name_of, reasons, write_questions  # noqa: E402
from tests.faulty.http import http_faults, reply  # noqa: E402
from tests.faulty.models import whole  # noqa: E402
from tests.faulty.searches import FOUND, serpapi, serpapi_faults, wikipedia, wikipedia_faults  # noqa: E402
from tests.faulty.server import Reply, Server  # noqa: E402

_QUERY = re.compile(rb"[?&](?:gsrsearch|q)=([^& ]+)")
_NAMED = re.compile(r"<((?:fault|good) [^>]+)>")
_OF = {"wikipedia": (wikipedia, wikipedia_faults), "serpapi": (serpapi, serpapi_faults)}


class Service:
    """A model that searches for its question, and the service that it searches with."""

    def __init__(self, kind: str) -> None:
        self.searched: Counter[str] = Counter()
        self.lock, self.url = threading.Lock(), ""
        right, faults = _OF[kind]
        self.right = reply(right())
        self.faults: dict[str, Reply] = {**http_faults(right(), lambda: self.url), **faults()}

    def choose(self, head: bytes, body: bytes) -> Reply:
        if body:
            messages = json.loads(body)["messages"]
            name = _NAMED.findall(messages[0]["content"])[0]
            return reply(whole(f"Action: search[{name}]" if len(messages) == 1 else f"Action: finish[{ANSWER}]"))
        query = _QUERY.search(head)
        if query is None:  # of a redirect that was followed
            return self.right
        kind, name = unquote_plus(query[1].decode()).split()
        with self.lock:
            self.searched[f"{kind} {name}"] += 1
        return self.right if kind == "good" else self.faults[name]


def run(kind: str, names: list[str], show: bool) -> None:
    service = Service(kind)
    faults = [name for name in names if name in service.faults] or list(service.faults)
    with tempfile.TemporaryDirectory() as temporary, Server(service.choose) as server:
        folder, service.url = Path(temporary), f"{server.url}/api"
        write_questions(folder / "questions.jsonl", faults)
        tool = [f"search={kind}", f"search.base_url={service.url}", "search.limits.timeout=2", "lm.concurrency=32",
                "search.limits.retries=1", "search.limits.backoff=0.1", "search.limits.per_second=1000",
                "search.limits.longest_wait=1", "search.limits.connections=32", f"lm.base_url={server.url}/v1",
                *(["search.contact=faults"] if kind == "wikipedia" else [])]  # fmt: skip
        left = evaluate(folder, *tool)
        if show:
            reasons(left)
        ends, calls = check(left, faults), service.searched.total()
        assert _observations(left, "good") == {FOUND}
        (folder / "run" / "metrics.json").unlink()
        service.searched.clear()
        again = evaluate(folder, *tool)
        check(again, faults)
        found = {name_of(row) for row in left.rows if "error" not in row["provenance"]}
        assert not found & set(service.searched), found & set(service.searched)
    print(f"{kind}: {len(faults)} faults beside {len(faults)} good questions, {calls} searches: {left.seconds:.0f} s, "
          f"{left.memory} MiB at most; good ones answered {len(faults)}; the others: "
          f"{', '.join(f'{ending} {number}' for ending, number in ends.most_common())}; run again, 0 of {len(found)} "
          "searches that were answered were made again")


def _observations(left: Left, kind: str) -> set[str]:
    """What the good questions found, without titles."""
    rows = [row for row in left.rows if name_of(row).startswith(kind)]
    return {row["steps"][0]["observation"].removeprefix("Title: ") for row in rows}


def main(arguments: list[str]) -> None:
    for kind in [kind for kind in _OF if kind in arguments] or _OF:
        run(kind, arguments, "--show" in arguments)


if __name__ == "__main__":
    main(sys.argv[1:])

"""A model's server that misbehaves in another way for each question, while as many good ones are answered beside them.

    python benchmarks/faults/replies_model.py [--show] [--whole] [NAME ...]

``--show`` prints how each fault ended, ``--whole`` asks for replies in one piece; names choose among the faults. It is
run, and run again without its ``metrics.json``: no answered question may be asked again. A last run has half of the
budget that the first took, and keeps it by the server's bill too.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.faults.runs import Left, check, evaluate, name_of, reasons, write_questions  # noqa: E402
from tests.faulty.http import http_faults, reply  # noqa: E402
from tests.faulty.models import SAID, model_faults, whole  # noqa: E402
from tests.faulty.server import Reply, Server  # noqa: E402

_NAMED = re.compile(r"<(fault|good) ([^>]+)>")
_PRICE_IN, _PRICE_OUT, _ANSWER, _BUDGET = 1.0, 10.0, 64, 100.0  # USD per million tokens, tokens, USD
_NOT_BEGUN = {400, 401, 402, 403, 404, 405, 408, 409, 410, 413, 418, 422, 425, 429, 431, 451, 503, 529}
_STATUS = re.compile(rb"HTTP/1\.1 (\d+)")


class Model:
    """Answers by the fault that a question names; ``asked`` counts its requests, ``begun`` those of them that it may
    have begun to work on, since the last bill."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.begun: Counter[str] = Counter()
        self.lock, self.url = threading.Lock(), ""
        self.faults: dict[str, Reply] = {**http_faults(whole(), lambda: self.url), **model_faults()}

    def choose(self, head: bytes, body: bytes) -> Reply:
        if not body:  # a search
            return reply(b"{}")
        request = json.loads(body)
        kind, name = _NAMED.findall(request["messages"][0]["content"])[0]
        answer = reply(whole(SAID)) if kind == "good" else self.faults[name]
        status = _STATUS.match(answer) if isinstance(answer, bytes) else None
        with self.lock:
            self.asked[f"{kind} {name}"] += 1
            if status is None or int(status[1][:9]) not in _NOT_BEGUN:
                self.begun[f"{kind} {name}"] += 1
        return answer

    def bill(self, *lefts: Left) -> float:
        """US dollars for what was begun: as reported (50 and 7 tokens) where a run could read it, else all allowed."""
        read = {name_of(row) for left in lefts for row in left.rows
                if row["usage"]["lm_calls"] and row["usage"]["tokens_out"] == 7 * row["usage"]["lm_calls"]}  # fmt: skip
        tokens = sum(calls * (7 if name in read else _ANSWER) for name, calls in self.begun.items())
        return (50 * self.begun.total() * _PRICE_IN + tokens * _PRICE_OUT) / 1e6


def _poor(model: Model, folder: Path, faults: list[str], budget: float, lm: list[str]) -> tuple[float, Left]:
    """The budget and what is left of a run that it cuts short; a usage beyond what is allowed counts as it is said."""
    folder /= "poor"
    folder.mkdir()
    model.begun.clear()
    write_questions(folder / "questions.jsonl", [name for name in faults if name != "usage-beyond"])
    poor = evaluate(folder, *lm[:-1], f"lm.budget_usd={budget:.4f}")
    assert poor.code == 0 and "Traceback" not in poor.said, poor.said[-3000:]
    assert model.bill(poor) <= poor.ledger <= budget, (model.bill(poor), poor.ledger, budget)
    return budget, poor


def main(arguments: list[str]) -> None:
    model, names = Model(), [argument for argument in arguments if not argument.startswith("--")]
    faults = names or list(model.faults)
    with tempfile.TemporaryDirectory() as temporary, Server(model.choose) as server:
        folder, model.url = Path(temporary), f"{server.url}/v1"
        write_questions(folder / "questions.jsonl", faults)
        lm = [f"lm.base_url={model.url}", "lm.timeout_s=2", "lm.max_retries=1", f"lm.max_new_tokens={_ANSWER}",
              f"+lm.prices.m.input={_PRICE_IN}", f"+lm.prices.m.output={_PRICE_OUT}",
              "search=wikipedia", "search.contact=faults", f"search.base_url={server.url}/api",
              "search.limits.retries=0", *(["lm.stream=false"] if "--whole" in arguments else []),
              f"lm.budget_usd={_BUDGET}"]  # fmt: skip
        left = evaluate(folder, *lm)
        if "--show" in arguments:
            reasons(left)
        ends, calls = check(left, faults), model.asked.total()
        assert model.bill(left) <= left.ledger <= _BUDGET, (model.bill(left), left.ledger)
        (folder / "run" / "metrics.json").unlink()
        model.asked.clear()
        again = evaluate(folder, *lm)
        check(again, faults)
        answered = {name_of(row) for row in left.rows if "error" not in row["provenance"]}
        assert not answered & set(model.asked), answered & set(model.asked)
        bill = model.bill(left, again)
        assert bill <= again.ledger <= _BUDGET, (bill, again.ledger)
        tight, poor = _poor(model, folder, faults, left.ledger / 2, lm)
    print(f"{len(faults)} faults beside {len(faults)} good questions, {calls} calls: {left.seconds:.0f} s, "
          f"{left.memory} MiB at most; good ones answered {len(faults)}; the others: "
          f"{', '.join(f'{ending} {number}' for ending, number in ends.most_common())}; ledger ${again.ledger:.4f}, "
          f"server's bill ${bill:.4f}; run again, 0 of {len(answered)} answered questions were asked again")
    print(f"with a budget of ${tight:.4f}: ledger ${poor.ledger:.4f}, server's bill ${model.bill(poor):.4f}; it ended "
          f"{sum(row['ending'] == 'budget' for row in poor.rows)} of {len(poor.rows)} questions")


if __name__ == "__main__":
    main(sys.argv[1:])

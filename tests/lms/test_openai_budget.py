"""That no budget is passed: not by what servers report, nor by settings, nor by several runs, nor by kills."""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from fireact.errors import BudgetError, ConfigError, ModelError
from fireact.journal.journaled import JournaledModel
from fireact.journal.store import Journal
from fireact.lms.base import Completion
from fireact.lms.openai import OpenAI
from fireact.trajectories.dialogue import Dialogue
from tests.lms.asking import ASK, SAID, asked
from tests.lms.openai_server import Answer, Loopback, Request, chat, error, streamed

# A call of 5,000 tokens costs 0.05 dollars, and is known to cost 0.06 at most.
PRICED = {"prices": {"m": {"input": 0.0, "output": 10.0}}, "max_new_tokens": 6000}
MOST = 0.06


def test_the_budget_is_never_passed_with_32_in_flight() -> None:
    """A call costs 5,000 tokens at $10 a million: $0.05, so a dollar pays for 20 at most, less the last reserve."""
    options = {"prices": {"m": {"input": 0.0, "output": 10.0}}, "budget_usd": 1.0, "max_new_tokens": 6000}
    said, server, _ = asked(chat(SAID, 10, 5000), dialogues=[ASK] * 100, concurrency=32, **options)
    paid = [answer.cost_usd for answer in said if isinstance(answer, Completion)]
    assert paid == [0.05] * 19
    assert len(server.requests) == 19
    refused = [answer for answer in said if not isinstance(answer, Completion)]
    assert {type(answer) for answer in refused} == {BudgetError}
    assert "would pass lm.budget_usd=1; raise it to go on" in str(refused[0])


@pytest.mark.parametrize(
    ("trouble", "calls"),
    [
        (error(503, "busy"), 9),
        (error(400, "no"), 3),
        (error(500, "oops"), 1),
        (Answer(None), 1),
        (Answer({"choices": [{"message": {"content": SAID}}]}), 1),
    ],
    ids=["busy: free", "refused: free", "failed: may be billed", "cut off: may be billed", "no usage: the bound"],
)
def test_what_may_have_been_billed_counts(trouble: Answer, calls: int) -> None:
    options = {"prices": {"m": {"input": 0.0, "output": 10.0}}, "budget_usd": 0.1, "max_new_tokens": 6000}
    said, server, _ = asked(trouble, dialogues=[ASK] * 3, max_retries=2, concurrency=1, **options)
    assert len(server.requests) == calls
    assert isinstance(said[-1], ModelError if calls > 1 else BudgetError)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    "usage",
    [(10, -(10**9)), (-(10**9), 5), (10, 10**12), (10, 1.5), (10, float("nan")), (10, True), (10, "5"), (10, None)],
)
def test_usage_that_cannot_be_counts_in_full(stream: bool, usage: tuple[Any, Any], caplog: Any) -> None:
    counts = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
    whole = Answer({**chat(SAID).body, "usage": counts})
    answer = streamed(SAID, usage=counts) if stream else whole
    said, server, _ = asked(answer, dialogues=[ASK] * 9, budget_usd=0.2, concurrency=1, **PRICED)
    assert len(server.requests) == 3
    assert [answer.cost_usd for answer in said[:3]] == [MOST] * 3
    assert all(isinstance(answer, BudgetError) for answer in said[3:])
    assert all(0 <= tokens <= 6000 for answer in said[:3] for tokens in (answer.tokens_in, answer.tokens_out))
    assert caplog.text.count("reports a usage of no use") == 1


LONG = Dialogue("Who wrote Emma? " * 100)  # 1,600 bytes


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("usage", [(0, 0), (400, 0), (0, 5), (99, 5), (400, 1)])
def test_fewer_tokens_than_the_words_must_have_count_in_full(stream: bool, usage: tuple[int, int], caplog: Any) -> None:
    """SAID has 42 bytes; no text of any length has 16 of them a token."""
    answer = streamed(SAID, usage=usage) if stream else chat(SAID, *usage)
    said, server, _ = asked(answer, dialogues=[LONG] * 9, budget_usd=0.2, concurrency=1, **PRICED)
    assert len(server.requests) == 3
    assert [answer.cost_usd for answer in said[:3]] == [MOST] * 3
    assert all(isinstance(answer, BudgetError) for answer in said[3:])
    assert caplog.text.count("reports a usage of no use") == 1


def test_few_tokens_that_may_be_count_as_they_are(caplog: Any) -> None:
    [said], *_ = asked(chat(SAID, 100, 2), dialogues=[LONG], budget_usd=0.2, **PRICED)
    assert (said.tokens_in, said.tokens_out, said.cost_usd) == (100, 2, 2e-5)
    [silent], *_ = asked(chat("", 100, 0), dialogues=[LONG], budget_usd=0.2, **PRICED)
    assert (silent.tokens_out, silent.cost_usd) == (0, 0.0)
    assert not caplog.text


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("usage", [(10, 90_000), (2_000_000, 5_000)])
def test_more_than_was_allowed_counts_as_reported_and_stops_what_comes_after(
    stream: bool, usage: tuple[int, int], caplog: Any
) -> None:
    """A server that does not know the field's name keeps to no limit; the bill is what counts."""
    prices = {"m": {"input": 0.5, "output": 10.0}}
    answer = streamed(SAID, usage=usage) if stream else chat(SAID, *usage)
    options = {"prices": prices, "max_new_tokens": 6000, "max_tokens_key": "of_tomorrow"}
    said, server, _ = asked(answer, dialogues=[ASK] * 9, budget_usd=0.9, concurrency=1, **options)
    assert len(server.requests) == 1
    assert (said[0].tokens_in, said[0].tokens_out) == usage
    assert said[0].cost_usd == (usage[0] * 0.5 + usage[1] * 10) / 1e6 > 0.9
    assert all(isinstance(answer, BudgetError) for answer in said[1:])
    assert caplog.text.count("reports a usage beyond what was allowed") == 1
    assert "check whether the server knows lm.max_tokens_key=of_tomorrow" in caplog.text


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("max_tokens", 9999, "can't be set there; set lm.max_new_tokens, and lm.max_tokens_key to"),
        ("max_completion_tokens", 9999, "can't be set there; set lm.max_new_tokens"),
        ("n_predict", -1, "can't be set there; set lm.max_new_tokens"),
        ("limit", 1, "can't be set there; set lm.max_new_tokens"),
        ("n", 5, "=5 pays for answers that nobody reads; leave it out"),
        ("best_of", 8, "=8 pays for answers that nobody reads"),
        ("model", "dear", "can't be set there; set lm.model"),
        ("messages", [], "can't be set there; the method writes what is asked"),
        ("stream", True, "can't be set there; set lm.stream"),
        ("stop", [], "can't be set there; a turn ends where the parser ends it"),
        ("temperature", 1, "can't be set there; set lm.temperature"),
        *[(field, {}, "may change what a call costs, which lm.budget_usd can't bound; leave one of them out$")
          for field in ("web_search_options", "models", "provider", "tools", "options", "thinking", "of_tomorrow")],
        ("service_tier", "priority", "may change what a call costs"),
        ("service_tier", None, "may change what a call costs"),
    ],
)
def test_what_would_get_round_the_budget_is_refused(field: str, value: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=f"^lm.extra_body.{field}.*{words}"):
        OpenAI("m", "http://127.0.0.1:1/v1", extra_body={field: value}, budget_usd=1, max_tokens_key="limit", **PRICED)


def test_what_costs_no_more_is_sent() -> None:
    extra = {"n": 1, "service_tier": "flex", "top_p": 0.5, "chat_template_kwargs": {"enable_thinking": False}}
    [said], server, _ = asked(chat(SAID), extra_body=extra, budget_usd=1.0, **PRICED)
    assert said.text == SAID
    assert {key: server.requests[0].body[key] for key in extra} == extra


def test_without_a_budget_any_field_is_sent() -> None:
    [said], server, _ = asked(chat(SAID), extra_body={"tools": [1], "of_tomorrow": 2})
    assert said.text == SAID
    assert (server.requests[0].body["tools"], server.requests[0].body["of_tomorrow"]) == ([1], 2)


@pytest.mark.parametrize(
    "key",
    ["stop", "stream", "model", "messages", "prompt", "temperature", "seed", "n", "top_k", "min_tokens", "service_tier",
     "stream_options", "tools"],
)
@pytest.mark.parametrize("budget", [None, 1])
def test_a_limit_by_another_field_s_name_is_refused(key: str, budget: float | None) -> None:
    with pytest.raises(ConfigError, match=f"^lm.max_tokens_key={key} has another meaning, .*such as max_tokens or max"):
        OpenAI("m", "http://127.0.0.1:1/v1", max_tokens_key=key, budget_usd=budget, **PRICED)


def on_one_journal(folder: Path, runs: int, dialogues: list[Dialogue], answer: Any, **options: Any) -> Loopback:
    """Several runs at once, each with a client and a connection to the journal of its own, ask the same server."""

    async def run() -> Loopback:
        async with Loopback(answer) as server:
            with ExitStack() as stack:
                lms = []
                for number in range(runs):
                    journal = stack.enter_context(closing(Journal(folder / "journal.sqlite")))
                    lm = OpenAI("m", server.url, ledger=journal, **PRICED, **options)
                    lms.append(JournaledModel(lm, journal, {"run": number}))
                asked = [lm.complete(dialogue) for dialogue in dialogues for lm in lms]
                said = await asyncio.gather(*asked, return_exceptions=True)
                assert {type(answer) for answer in said} <= {Completion, BudgetError}
                for lm in lms:
                    await lm.aclose()
        return server

    return asyncio.run(run())


def total(folder: Path) -> float:
    with closing(Journal(folder / "journal.sqlite")) as journal:
        return journal.total()


def test_several_runs_on_one_journal_keep_one_budget(tmp_path: Path) -> None:
    dialogues = [Dialogue(f"Question {number}") for number in range(20)]
    server = on_one_journal(tmp_path, 4, dialogues, chat(SAID, 10, 5000), budget_usd=1.0, concurrency=4)
    assert 16 <= len(server.requests) <= 20
    assert total(tmp_path) == pytest.approx(0.05 * len(server.requests))
    again = on_one_journal(tmp_path, 1, [ASK], chat(SAID, 10, 5000), budget_usd=1.06)
    assert len(again.requests) == 1, "a raised budget goes on"


def test_a_run_without_a_budget_counts_in_those_of_others(tmp_path: Path) -> None:
    assert len(on_one_journal(tmp_path, 1, [ASK], chat(SAID, 10, 5000)).requests) == 1
    other = Dialogue("Another?")
    assert not on_one_journal(tmp_path, 1, [other], chat(SAID, 10, 5000), budget_usd=0.1).requests
    assert len(on_one_journal(tmp_path, 1, [other], chat(SAID, 10, 5000), budget_usd=0.11).requests) == 1


async def never(_: Request) -> Answer:
    await asyncio.Event().wait()
    raise AssertionError


def test_a_call_that_is_cancelled_counts_and_one_that_waits_does_not(tmp_path: Path) -> None:
    async def run() -> None:
        arrived = asyncio.Event()

        async def silent(request: Request) -> Answer:
            arrived.set()
            return await never(request)

        async with Loopback(silent) as server:
            with closing(Journal(tmp_path / "journal.sqlite")) as journal:
                lm = OpenAI("m", server.url, ledger=journal, concurrency=1, **PRICED)
                calls = [asyncio.create_task(lm.complete(ASK)) for _ in range(3)]
                await arrived.wait()
                for call in calls:
                    call.cancel()
                await asyncio.gather(*calls, return_exceptions=True)
                await lm.aclose()

    asyncio.run(run())
    assert total(tmp_path) == MOST


ASKING = """
import asyncio, sys
from fireact.journal.store import Journal
from fireact.lms.openai import OpenAI
from fireact.trajectories.dialogue import Dialogue

async def run():
    prices = {"m": {"input": 0.0, "output": 10.0}}
    lm = OpenAI("m", sys.argv[1], ledger=Journal(sys.argv[2]), concurrency=3, prices=prices, max_new_tokens=6000)
    await asyncio.gather(*(lm.complete(Dialogue(str(number))) for number in range(9)))

asyncio.run(run())
"""


def test_calls_that_a_kill_cut_off_count_in_full(tmp_path: Path) -> None:
    async def run() -> None:
        together = asyncio.Barrier(4)

        async def silent(request: Request) -> Answer:
            await together.wait()
            return await never(request)

        async with Loopback(silent) as server:
            arguments = ("-c", ASKING, server.url, str(tmp_path / "journal.sqlite"))
            process = await asyncio.create_subprocess_exec(sys.executable, *arguments)
            ended = asyncio.create_task(process.wait())
            arrived = asyncio.create_task(together.wait())
            await asyncio.wait([arrived, ended], return_when=asyncio.FIRST_COMPLETED)
            assert not ended.done(), "it asks three times and waits"
            process.kill()
            await process.wait()

    asyncio.run(run())
    assert total(tmp_path) == pytest.approx(3 * MOST)
    assert not on_one_journal(tmp_path, 1, [ASK], chat(SAID, 10, 5000), budget_usd=0.2).requests


def test_the_same_call_made_by_two_runs_is_paid_for_twice(tmp_path: Path) -> None:
    async def run() -> None:
        both = asyncio.Barrier(2)

        async def together(_: Request) -> Answer:
            await both.wait()
            return chat(SAID, 10, 5000)

        async with Loopback(together) as server:
            with ExitStack() as stack:
                journals = [stack.enter_context(closing(Journal(tmp_path / "journal.sqlite"))) for _ in range(2)]
                lms = [JournaledModel(OpenAI("m", server.url, ledger=j, **PRICED), j, {}) for j in journals]
                await asyncio.gather(*(lm.complete(ASK) for lm in lms))
                for lm in lms:
                    await lm.aclose()

    asyncio.run(run())
    assert total(tmp_path) == pytest.approx(0.1)

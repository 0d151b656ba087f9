"""Whole runs by composed configurations: replayed, resumed, collected to a target, exported."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fireact import cli
from fireact.errors import ConfigError, ModelError, ReplayMiss, StorageError
from fireact.runs import acting, parts
from fireact.runs import collect as collecting
from fireact.runs import evaluate as evaluating
from fireact.trajectories.dialogue import dialogue_of
from fireact.trajectories.files import read
from fireact.trajectories.records import Trajectory
from fireact.trajectories.storage.writing import append_line
from tests.lms.openai_server import Answer, Loopback, chat, error


def compose(script: str, folder: Path, *overrides: str) -> cli.Config:
    return cli.compose(script, [f"run_dir={folder}", *overrides])


def evaluate(folder: Path, *overrides: str) -> dict[str, Any]:
    return evaluating.evaluate(compose("evaluate", folder, *overrides))


def collect(folder: Path, *overrides: str) -> list[Trajectory]:
    kept = collecting.collect(compose("generate", folder, *overrides))
    trajectories = list(read(folder / "trajectories.jsonl", Counter()))
    assert len(trajectories) == kept
    return trajectories


def metrics(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "metrics.json").read_text())


def test_the_released_run_through_our_own_loop(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIREACT_DATA", str(real_data))
    (run,) = (real_data / "fireact/trajs").glob("*.json")
    recorded = ["lm=recorded", f"lm.path={run}", "search=recorded", f"search.path={run}", "method=fireact"]
    paper = ["task=hotpotqa", "task.questions=dev", "task.order=paper", "task.limit=500"]
    figures = evaluate(tmp_path, *recorded, *paper)
    assert (figures["n"], figures["finished"], figures["em"]) == (500, 465, 0.4)
    assert figures["endings"] == {"finish": 465, "model_failure": 35}
    rounded = {key: round(figures[key], digits) for key, digits in {"f1": 3, "rounds_mean": 2, "rounds_std": 2}.items()}
    assert rounded == {"f1": 0.542, "rounds_mean": 2.67, "rounds_std": 1.78}
    ours = {t.question.id: t for t in read(tmp_path / "predictions.jsonl", Counter())}
    for theirs in read(run, Counter()):
        assert ours[theirs.question.id].score.em == theirs.score.em
        assert ours[theirs.question.id].score.f1 == pytest.approx(theirs.score.f1)


MINIWIKI = ["lm=oracle", "task.limit=12"]


def test_a_run_is_made_again_from_its_journal_alone(tmp_path: Path) -> None:
    figures = evaluate(tmp_path / "a", *MINIWIKI)
    replay = ["journal.replay=only", f"journal.path={tmp_path / 'a' / 'journal.sqlite'}"]
    assert evaluate(tmp_path / "b", *MINIWIKI, *replay) == figures
    first, again = ((tmp_path / name / "predictions.jsonl").read_bytes() for name in "ab")
    assert first == again
    with pytest.raises(ReplayMiss, match=r"\"lm.seed\": 0, .*where now .*\"lm.seed\": 1, "):
        evaluate(tmp_path / "c", *MINIWIKI, *replay, "lm.seed=1")


def test_a_run_that_never_searched_is_made_again_too(tmp_path: Path) -> None:
    answered = [*MINIWIKI, "method=cot"]
    figures = evaluate(tmp_path / "a", *answered)
    replay = ["journal.replay=only", f"journal.path={tmp_path / 'a' / 'journal.sqlite'}"]
    assert evaluate(tmp_path / "b", *answered, *replay) == figures
    first, again = ((tmp_path / name / "predictions.jsonl").read_bytes() for name in "ab")
    assert first == again and b'"search_calls": 0' in first and b'"search_calls": 1' not in first


def test_a_tasks_own_score_is_printed_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = evaluate(tmp_path / "yesno", "task=miniwiki_yesno", *MINIWIKI)
    assert (figures["measure"], figures["accuracy"]) == ("accuracy", 1.0)
    said = capsys.readouterr().out
    assert said.startswith("miniwiki_yesno by react: accuracy 1.000 [0.758, 1.000], 12 of 12 finished, rounds ")
    assert evaluate(tmp_path / "yesno", "task=miniwiki_yesno", *MINIWIKI) == figures
    assert "is finished already (accuracy 1.000); nothing to do" in capsys.readouterr().out
    assert evaluate(tmp_path / "spans", *MINIWIKI)["measure"] == "EM"
    assert "miniwiki by react: EM 1.000 [0.758, 1.000], F1 1.000, 12 of 12" in capsys.readouterr().out


def test_noise_stands_outside_of_the_journal(tmp_path: Path) -> None:
    shared = f"journal.path={tmp_path / 'journal.sqlite'}"
    evaluate(tmp_path / "plain", *MINIWIKI, shared, "search=bm25")
    noisy = [*MINIWIKI, shared, "search=noise_none"]
    figures = evaluate(tmp_path / "noisy", *noisy)
    assert figures["retriever"] == "noise(none, p=0.5) over bm25[miniwiki] k=1"
    assert evaluate(tmp_path / "again", *noisy, "journal.replay=only") == figures
    assert (tmp_path / "noisy" / "predictions.jsonl").read_bytes() == (
        tmp_path / "again" / "predictions.jsonl"
    ).read_bytes()


def test_without_a_journal(tmp_path: Path) -> None:
    evaluate(tmp_path, *MINIWIKI, "journal.replay=off")
    assert not (tmp_path / "journal.sqlite").exists()


def test_no_secret_enters_the_journal_s_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("SERPAPI_API_KEY", "sk-secret")
    cfg = compose("evaluate", tmp_path, "lm=openai", "lm.model=m", "search=serpapi")
    settings = {**parts.settings("lm", cfg.lm), **parts.settings("search", cfg.search)}
    assert "sk-secret" not in str(settings)
    assert settings["lm.temperature"] == 0.0 and settings["search.engine"] == "google"
    assert not {"lm.budget_usd", "lm.timeout_s", "lm.concurrency", "lm.stream", "search.limits.retries"} & set(settings)


def test_the_content_of_a_named_file_is_part_of_the_settings(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"

    def settings(text: str) -> dict[str, Any]:
        corpus.write_text(text)
        cfg = compose("evaluate", tmp_path, "search=bm25", f"search.corpus={corpus}")
        return parts.settings("search", cfg.search)

    assert settings("a") != settings("b")


@contextmanager
def serving(*answers: Answer) -> Iterator[Loopback]:
    """A server with an event loop of its own, for runs that have theirs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = Loopback(*answers)
    asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(_ended(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def _ended(server: Loopback) -> None:
    """Close it; who is still being answered, as a client that was killed, is left."""
    await server.__aexit__()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def test_a_budget_without_a_journal_is_refused(tmp_path: Path) -> None:
    priced = ["lm=openai", "lm.model=gpt-4o", "lm.budget_usd=1"]
    for script in ("evaluate", "generate"):
        for off in ("off", "'off'"):
            with pytest.raises(ConfigError, match="^lm.budget_usd needs a journal, .*leave journal.replay=off out"):
                compose(script, tmp_path / "run", *priced, f"journal.replay={off}")
        compose(script, tmp_path / "run", *priced[:2], "journal.replay=off")
    assert not (tmp_path / "run").exists()


def test_a_raised_budget_goes_on_where_the_last_one_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every answer is billed 0.1 dollars; a call may cost 0.2 at most."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    with serving(chat("Thought: I know.\nAction: finish[X]", 500, 1000)) as server:
        lm = ["lm=openai", "lm.model=m", f"lm.base_url={server.url}", "lm.max_new_tokens=2000", "task.limit=6"]
        lm += ["+lm.prices.m.input=0", "+lm.prices.m.output=100"]
        first = evaluate(tmp_path, *lm, "lm.budget_usd=0.35", "lm.concurrency=1")
        assert (first["endings"], round(first["cost_usd"], 6)) == ({"budget": 4, "finish": 2}, 0.2)
        left = "; the budget ended 4 of 6 questions, which the same command with a larger lm.budget_usd asks"
        assert f"rounds 1.00{left}; see " in capsys.readouterr().out
        assert evaluate(tmp_path, *lm, "lm.budget_usd=0.35", "lm.concurrency=1") == first
        assert f"is finished already (EM 0.000{left}); nothing to do" in capsys.readouterr().out
        assert len(server.requests) == 2
        second = evaluate(tmp_path, *lm, "lm.budget_usd=0.55", "lm.concurrency=1")
        assert (second["endings"], round(second["cost_usd"], 6)) == ({"budget": 2, "finish": 4}, 0.4)
        capsys.readouterr()
        third = evaluate(tmp_path, *lm)
        assert "the budget" not in capsys.readouterr().out
        assert (third["n"], third["endings"], len(server.requests)) == (6, {"finish": 6}, 6)


def test_an_outage_is_said_and_leaves_the_run_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    with serving(*[error(500, "oops")] * 3, chat("Thought: I know.\nAction: finish[X]")) as server:
        lm = ["lm=openai", "lm.model=m", f"lm.base_url={server.url}", "task.limit=3", "lm.max_retries=0"]
        with pytest.raises(ModelError, match="no question could be acted out: .*fix that and run the same command"):
            evaluate(tmp_path, *lm, "lm.concurrency=1")
        assert not (tmp_path / "metrics.json").exists()
        assert evaluate(tmp_path, *lm, "lm.concurrency=1")["endings"] == {"finish": 3}
        assert len(server.requests) == 6


def test_an_edited_question_file_is_another_run(tmp_path: Path) -> None:
    questions = tmp_path / "q.csv"
    own = ["task=file", f"task.path={questions}", "lm=recorded", "lm.path=r.json"]
    cfg = compose("evaluate", tmp_path / "run", *own)
    questions.write_text("question,answer\nWho?,X\n")
    append_line(acting.open_run(cfg).folder / "predictions.jsonl", {})
    questions.write_text("question,answer\nWho?,Y\n")
    with pytest.raises(StorageError, match="was made with task_sha256"):
        acting.open_run(cfg)


def test_a_password_in_an_address_never_reaches_the_run_folder(tmp_path: Path) -> None:
    cfg = compose("evaluate", tmp_path / "run", "lm=openai", "lm.model=m", "lm.base_url='http://u:pw@host/v1'")
    with pytest.raises(ConfigError, match="lm.base_url holds a key, a token or a password"):
        acting.open_run(cfg)
    assert not (tmp_path / "run").exists()


COT = ["method=cot", "task.split=train", "task.limit=200"]


def test_questions_are_asked_until_the_target_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    everything = collect(tmp_path / "all", *COT)
    assert metrics(tmp_path / "all")["n"] == 200
    first = collect(tmp_path / "some", *COT, "targets.cot=10", "lm.concurrency=3")
    assert [(t.question, t.steps) for t in first] == [(t.question, t.steps) for t in everything[:10]]
    counts = metrics(tmp_path / "some")
    assert counts["target"] == counts["kept"] == 10 and counts["n"] == 10 + counts["dropped"] < 200
    assert counts["dropped_by_reason"].get("surplus", 0) <= 2
    assert all(t.provenance["lm"] == "oracle" and t.provenance["prompt_sha256"] for t in first)
    assert f"kept 10 of {counts['n']} asked (dropped " in capsys.readouterr().out


def test_a_target_that_the_questions_do_not_yield_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = len(collect(tmp_path, *COT, "targets.cot=199"))
    assert f", {199 - kept} fewer than the target; see" in capsys.readouterr().out


def test_collecting_resumes_where_it_was_cut_off(tmp_path: Path) -> None:
    whole = collect(tmp_path / "whole", *COT, "targets.cot=10")
    lines = (tmp_path / "whole" / "predictions.jsonl").read_text().splitlines(keepends=True)
    cfg = compose("generate", tmp_path / "cut", *COT, "targets.cot=10")
    acting.open_run(cfg)
    (tmp_path / "cut" / "predictions.jsonl").write_text("".join(lines[1:9:2]) + '{"torn')
    resumed = collect(tmp_path / "cut", *COT, "targets.cot=10")
    assert [t.question for t in resumed] == [t.question for t in whole]
    assert [t.steps for t in resumed] == [t.steps for t in whole]


def test_exports_are_read_back_equal(tmp_path: Path) -> None:
    mixed = ["task=miniwiki_choice", "task.split=train", "task.limit=30", "method=react"]
    kept = collect(tmp_path, *mixed, "export=[alpaca,chat]")
    for name in ("trajectories.alpaca.json", "trajectories.chat.jsonl"):
        again = list(read(tmp_path / name, Counter()))
        assert [dialogue_of(t).question for t in again] == [dialogue_of(t).question for t in kept]
        assert [[(s.thought, s.action, s.argument) for s in t.steps] for t in again] == [
            [(s.thought, s.action, s.argument) for s in t.steps] for t in kept
        ]
        assert all(t.score.correct for t in again)
    with pytest.raises(ConfigError, match=r"export\[0\]=csv must be alpaca or chat"):
        collect(tmp_path / "other", *mixed, "export=[csv]")


def test_a_tuned_student_teaches_and_is_named(tmp_path: Path, tiny_folder: Path) -> None:
    from fireact.models.backbone import Adapter, Backbone

    adapter, backbone = tmp_path / "adapter", Backbone("tiny_random", "tiny_random", path=str(tiny_folder))
    lora = Adapter("lora", "lora", r=2, alpha=4, dropout=0.0, targets=["q_proj"])
    lora.save(lora.apply(backbone), backbone, backbone.tokenizer(), adapter)
    student = ["lm=huggingface", "backbone=tiny_random", f"backbone.path={tiny_folder}", f"tuned={adapter}"]
    limits = ["method=fireact", "task.limit=2", "lm.max_context=1024", "lm.max_new_tokens=4", "select.right=false"]
    kept = collect(tmp_path / "run", *student, *limits)
    assert len(kept) == 2
    for trajectory in kept:
        assert trajectory.provenance["lm"] == f"tiny_random+{adapter}"
        assert len(trajectory.provenance["tuned_sha256"]) == 64


def test_a_finished_collection_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = collect(tmp_path, *COT, "targets.cot=3")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert collect(tmp_path, *COT, "targets.cot=3") == first
    assert "is finished already (3 trajectories); nothing to do" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before

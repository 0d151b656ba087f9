"""What ``generate.py`` and ``evaluate.py`` share: the questions of a task acted out in a run folder."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fireact.agent.rollout import Rollout, act_out
from fireact.cli import Config, build, resolved
from fireact.errors import ConfigError, ModelError
from fireact.reporting.judging import said
from fireact.reporting.statistics import summarize
from fireact.runs import outputs, run_folders, scoring, tool_servers
from fireact.runs.adapters import weights
from fireact.runs.parts import parts
from fireact.runs.progress import RolloutProgress
from fireact.runs.result_keys import result_keys
from fireact.tasks.base import Task
from fireact.tasks.measures.measured import Measured
from fireact.trajectories.files import read
from fireact.trajectories.records import Ending, Question, Trajectory
from fireact.trajectories.storage.digests import digests
from fireact.trajectories.storage.reading import printable


def open_run(cfg: Config, figures: Sequence[str] = ()) -> run_folders.Run:
    """The run folder of ``cfg``; which adapter acted is part of what it was made with.

    A finished run that a budget cut short goes on under another one, and one of which a file is damaged as well.

    Args:
        figures: what the caller reads of a finished run's besides ours.

    Raises:
        StorageError: the folder can't be written or belongs to another configuration.
    """
    files = digests(result_keys(resolved(cfg.task)), cfg.cache_dir)
    content = {"tuned_sha256": weights(cfg.tuned), **({"task_sha256": files} if files else {})}
    content |= scoring.content(cfg, scoring.task_of(cfg))
    if offered := tool_servers.digests(cfg.get("tools"), cfg.journal):
        content |= {"tools_sha256": offered}
    run = run_folders.open(cfg.run_dir, {**resolved(cfg), **content})
    if run.state == run_folders.State.FINISHED:
        run = outputs.whole(run, None if cfg.journal.replay in ("off", False) else Path(cfg.journal.path))
    if run.state == run_folders.State.FINISHED and not {"accuracy", "endings", *figures} <= {*run.metrics}:
        print(f"{run.folder / run_folders.METRICS} is damaged; the run goes on, and writes it again", flush=True)
        run = run.reopen()
    if run.state == run_folders.State.FINISHED and run.metrics["endings"].get(Ending.BUDGET):
        return run if run.metrics["budget_usd"] == scoring.budget_usd(cfg) else run.reopen()
    return run


def act(
    cfg: Config,
    run: run_folders.Run,
    task: Task | Measured,
    questions: Sequence[Question],
    select: Callable[[Trajectory], None] = lambda _: None,
    enough: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Act the questions out into ``predictions.jsonl``; returns the run's facts and figures.

    Args:
        select: is shown each trajectory as it is done.
        enough: whether no more questions need to be asked.

    Raises:
        ConfigError: the method is a mix to train on.
        ModelError: no question could be acted out.
    """
    if "_target_" not in cfg.method:
        raise ConfigError(f"method={cfg.method.name} is a mix to train on; act with method=fireact or one of its parts")
    path, method = run.folder / "predictions.jsonl", build(cfg.method)
    prompt = method.few_shot  # read first: a missing one is said before any weights are loaded
    adapter = weights(cfg.lm.get("adapter"))
    with parts(cfg) as its, RolloutProgress(f"{task.name} {method.name}", len(questions)) as progress:
        lm, search, tools = its.lm, its.search, its.tools
        measured = scoring.task_of(cfg, its.judge) if isinstance(task, Measured) else task
        provenance = {
            "lm": lm.name,
            **({"tuned_sha256": " ".join(adapter.values())} if adapter else {}),
            "search": search.name,
            **({"tools": " ".join(tools)} if tools else {}),
            "prompt_sha256": hashlib.sha256(prompt.encode()).hexdigest()[:16],
            "seed": str(cfg.seed),
            **getattr(measured, "provenance", {}),
        }

        def finished(trajectory: Trajectory) -> None:
            progress(trajectory)
            select(trajectory)

        close = measured.aclose if isinstance(measured, Measured) else None
        rollout = Rollout(method, lm, search, measured.score, provenance, tools, close)
        act_out(rollout, questions, path, finished, enough)
    _say_outages(path, run)
    measure = getattr(task, "measure", None)  # a user's class may lack it
    named = re.search(r"\[(.+)\]", search.name)  # bm25[miniwiki] k=1 searches miniwiki; a service has no corpus
    figures = {
        "task": task.name, "method": method.name, "lm": lm.name, "seed": cfg.seed,
        **({"measure": measure} if measure else {}),
        **({"scored_by": measured.about} if isinstance(measured, Measured) else {}),
        "corpus": named[1] if named else search.name, "retriever": search.name, "budget_usd": scoring.budget_usd(cfg),
        **summarize(read(path, Counter())),
    }  # fmt: skip
    for sentence in said(figures):
        print(printable(sentence))
    return figures


def cut_short(metrics: dict[str, Any]) -> str:
    """What a budget has left undone, to be said behind every figure of such a run."""
    ended = metrics["endings"].get(Ending.BUDGET)
    return (f"; the budget ended {ended} of {metrics['n']} questions, which the same command with a larger "
            "lm.budget_usd asks") if ended else ""


def _say_outages(path: Path, run: run_folders.Run) -> None:
    """Say why the model or the search tool ended episodes.

    Raises:
        ModelError: they ended all of them, so that there is nothing to score; the run stays unfinished.
    """
    endings, reasons = Counter[Ending](), Counter[str]()
    for trajectory in read(path, Counter()):
        endings[trajectory.ending] += 1
        if trajectory.ending in (Ending.MODEL_FAILURE, Ending.TOOL_FAILURE):
            reasons[trajectory.provenance.get("error", "")] += 1
    if not reasons:
        return
    reason, number = reasons.most_common(1)[0]
    if reasons.total() == endings.total():
        raise ModelError(f"no question could be acted out: {reason}; fix that and run the same command again")
    print(f"{reasons.total()} of {endings.total()} episodes ended without an answer from the model or the search tool, "
          f"{number} of them so: {printable(reason)}; remove {run.folder / run_folders.METRICS} and run the same "
          "command to try those again")

"""What ``generate.py`` and ``evaluate.py`` share: a composed configuration, acted out in a run folder."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from fireact.agent.rollout import Rollout, act_out
from fireact.cli import Config, build, resolved
from fireact.errors import ConfigError, ModelError
from fireact.journal.journaled import JournaledModel, JournaledSearch
from fireact.journal.store import Journal, Replay
from fireact.lms.base import LanguageModel
from fireact.reporting.statistics import measure_of, restated, summarize
from fireact.runs import run_folders
from fireact.runs.progress import RolloutProgress
from fireact.runs.result_keys import IGNORED, result_keys
from fireact.tasks.base import Task
from fireact.tools.base import SearchTool
from fireact.trajectories.files import read
from fireact.trajectories.records import EM, Ending, Question, Trajectory
from fireact.trajectories.selection import Selection, check_formats, export
from fireact.trajectories.storage.digests import digest, digests
from fireact.trajectories.storage.writing import write_lines

# Of a task, what says which questions are asked, and nothing of the documents that a tool searches.
_NO_CORPUS = ("corpus.limit", "corpus.order", "corpus.prompts")


def open_run(cfg: Config) -> run_folders.Run:
    """The run folder of ``cfg``; which adapter acted is part of what it was made with.

    A finished run that a budget cut short goes on under another one.

    Raises:
        StorageError: the folder can't be written or belongs to another configuration.
    """
    files = digests(result_keys(resolved(cfg.task)), cfg.cache_dir)
    content = {"tuned_sha256": _weights(cfg.tuned), **({"task_sha256": files} if files else {})}
    run = run_folders.open(cfg.run_dir, {**resolved(cfg), **content})
    if run.state == run_folders.State.FINISHED and run.metrics["endings"].get(Ending.BUDGET):
        return run if run.metrics["budget_usd"] == cfg.lm.get("budget_usd") else run.reopen()
    return run


def evaluate(cfg: Config) -> dict[str, Any]:
    """Act out all questions of the task into ``predictions.jsonl``, and say and return the run's metrics."""
    with run_folders.locked(cfg.run_dir):
        run = open_run(cfg)
        if run.state == run_folders.State.FINISHED:
            metrics = restated(run.metrics)
            print(f"{run.folder} is finished already ({_own_score(metrics)}{_cut_short(metrics)}); nothing to do")
            return metrics
        task = build(cfg.task)
        run.finish(_act(cfg, run, task, task.questions()))
    metrics = run.metrics
    low, high = metrics["accuracy_ci95"]
    f1 = f"F1 {metrics['f1']:.3f}, " if measure_of(metrics) == EM else ""  # of a yes or a letter it says nothing
    print(f"{cfg.task.name} by {cfg.method.name}: {_own_score(metrics)} [{low:.3f}, {high:.3f}], {f1}"
          f"{metrics['finished']} of {metrics['n']} finished, rounds {metrics['rounds_mean']:.2f}"
          f"{_cut_short(metrics)}; see {run.folder}")
    return metrics


def _own_score(metrics: dict[str, Any]) -> str:
    return f"{measure_of(metrics)} {metrics['accuracy']:.3f}"


def _cut_short(metrics: dict[str, Any]) -> str:
    """What a budget has left undone, to be said behind every figure of such a run."""
    ended = metrics["endings"].get(Ending.BUDGET)
    return (f"; the budget ended {ended} of {metrics['n']} questions, which the same command with a larger "
            "lm.budget_usd asks") if ended else ""


def collect(cfg: Config) -> int:
    """Run a teacher and keep what is worth keeping; says and saves what was dropped, and returns the number kept."""
    with run_folders.locked(cfg.run_dir):
        return _collect(cfg)


def _collect(cfg: Config) -> int:
    run = open_run(cfg)
    if run.state == run_folders.State.FINISHED:
        kept = f"{run.metrics['kept']} trajectories"
        print(f"{run.folder} is finished already ({kept}{_cut_short(run.metrics)}); nothing to do")
        return int(run.metrics["kept"])
    check_formats(cfg.export)
    task, target = build(cfg.task), cfg.targets.get(cfg.method.name)
    questions = task.questions()
    selection = Selection(questions, build(cfg.select), target)
    metrics = _act(cfg, run, task, questions, selection, selection.seems_enough)
    write_lines(run.folder / "trajectories.jsonl", (t.to_json() for t in selection.kept))
    export(cfg.export, selection.kept, run.folder)
    run.finish({"target": target, **selection.counts(), **metrics})
    print(f"{task.name} by {cfg.method.name}: {selection.summary()}{_cut_short(metrics)}; see "
          f"{run.folder / 'trajectories.jsonl'}")
    return len(selection.kept)


def _act(
    cfg: Config,
    run: run_folders.Run,
    task: Task,
    questions: Sequence[Question],
    select: Callable[[Trajectory], None] = lambda _: None,
    enough: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    if "_target_" not in cfg.method:
        raise ConfigError(f"method={cfg.method.name} is a mix to train on; act with method=fireact or one of its parts")
    path, method = run.folder / "predictions.jsonl", build(cfg.method)
    prompt = method.few_shot  # read first: a missing one is said before any weights are loaded
    with _parts(cfg) as (lm, search), RolloutProgress(f"{task.name} {method.name}", len(questions)) as watch:
        rollout = Rollout(method, lm, search, task.score, _provenance(cfg, lm, search, prompt))

        def finished(trajectory: Trajectory) -> None:
            watch(trajectory)
            select(trajectory)

        act_out(rollout, questions, path, finished, enough)
    facts = {"task": task.name, "method": method.name, "lm": lm.name, "seed": cfg.seed}
    facts |= {"measure": measure} if (measure := getattr(task, "measure", None)) else {}  # a user's class may lack it
    facts |= {"corpus": _corpus(search.name), "retriever": search.name, "budget_usd": cfg.lm.get("budget_usd")}
    _say_outages(path, run)
    return {**facts, **summarize(read(path, Counter()))}


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
        raise ModelError(f"no question could be acted out: {reason}; mend that and run the same command again")
    print(f"{reasons.total()} of {endings.total()} episodes ended for want of an answer, {number} of them so: "
          f"{reason}; remove {run.folder / run_folders.METRICS} and run the same command to try those again")


def _corpus(retriever: str) -> str:
    """What is searched: a tool's name says it in brackets, as in bm25[miniwiki] k=1, or is the name of a service."""
    named = re.search(r"\[(.+)\]", retriever)
    return named.group(1) if named else retriever


def _provenance(cfg: Config, lm: LanguageModel, search: SearchTool, prompt: str) -> dict[str, str]:
    """Where a trajectory comes from; times and costs are its own."""
    adapter = _weights(cfg.lm.get("adapter"))
    return {
        "lm": lm.name,
        **({"tuned_sha256": " ".join(adapter.values())} if adapter else {}),
        "search": search.name,
        "prompt_sha256": hashlib.sha256(prompt.encode()).hexdigest()[:16],
        "seed": str(cfg.seed),
    }


@contextmanager
def _parts(cfg: Config) -> Iterator[tuple[LanguageModel, SearchTool]]:
    """The model and the search tool, behind the configured journal."""
    if cfg.journal.replay in ("off", False):  # YAML takes a bare off for False
        yield build(cfg.lm), build(cfg.search)
        return
    with closing(Journal(cfg.journal.path, cfg.journal.replay)) as journal:
        search = _search(cfg.search, journal)
        lm = _model(cfg.lm, journal) if journal.replay is Replay.REUSE else None
        yield JournaledModel(lm, journal, {**_settings("lm", cfg.lm), **_weights(cfg.tuned)}), search


def _model(node: Config, journal: Journal) -> LanguageModel:
    """What the node builds; whoever keeps a budget enters its calls in the journal, beside those of other runs."""
    lm: LanguageModel = build(node, ledger=journal) if "budget_usd" in node else build(node)
    return lm


def _search(node: Config, journal: Journal) -> SearchTool:
    """What the node builds. A wrapper stays outside of the journal, so all wrappers share what they wrap."""
    if "tool" in node:
        wrapper: SearchTool = build(node, tool=_search(node.tool, journal))
        return wrapper
    search = build(node) if journal.replay is Replay.REUSE else None
    return JournaledSearch(search, journal, _settings("search", node))


def _settings(kind: str, node: Config) -> dict[str, Any]:
    """What shapes the answers of a part: its configuration and the content of every file that this names."""
    settings = result_keys({kind: resolved(node)}, [*IGNORED, *_NO_CORPUS])
    content = digests(settings, node.get("cache_dir"))
    return {**settings, **{f"{key} sha256": digest for key, digest in content.items()}}


def _weights(adapter: str | None) -> dict[str, str]:
    """The digest of every weight file of an adapter folder."""
    return {file.name: digest(file) for file in sorted(Path(adapter).glob("*.safetensors"))} if adapter else {}

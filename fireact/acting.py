"""What ``generate.py`` and ``evaluate.py`` share: a composed configuration, acted out in a run folder."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

from fireact import runs
from fireact.app import Config, build, resolved
from fireact.errors import ConfigError
from fireact.progress import RolloutProgress
from fireact.records import Trajectory
from fireact.reporting.statistics import summarize
from fireact.rollout import Rollout, act_out


def open_run(cfg: Config) -> runs.Run:
    """The run folder of ``cfg``; which adapter acted is part of what it was made with.

    Raises:
        StorageError: the folder can't be written or belongs to another configuration.
    """
    weights = sorted(Path(cfg.tuned).glob("*.safetensors")) if cfg.tuned else []
    digests = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in weights}
    return runs.open(cfg.run_dir, {**resolved(cfg), "tuned_sha256": digests})


def act(cfg: Config, path: Path) -> tuple[list[Trajectory], dict[str, Any]]:
    """Act out the questions that ``path`` does not hold yet.

    Returns:
        All trajectories in the order of the questions, and the facts that every score is reported with.
    """
    if "_target_" not in cfg.method:
        raise ConfigError(f"method={cfg.method.name} is a mix to train on; act with method=fireact or one of its parts")
    task, search, method = build(cfg.task), build(cfg.search), build(cfg.method)
    questions = task.questions()
    prompt = method.few_shot
    lm = build(cfg.lm)
    provenance = {
        "lm": lm.name,
        "search": search.name,
        "prompt_sha256": hashlib.sha256(prompt.encode()).hexdigest()[:16],
        "seed": str(cfg.seed),
    }
    rollout = Rollout(method, lm, search, task.score, provenance)
    with RolloutProgress(f"{task.name} {method.name}", len(questions)) as watch:
        trajectories = act_out(rollout, questions, path, watch)
    return trajectories, {"task": task.name, "method": method.name, "retriever": search.name, "lm": lm.name,
                          "seed": cfg.seed}


def collect(cfg: Config) -> int:
    """Run a teacher and keep what is right; says and saves what was dropped, and returns the number kept."""
    run = open_run(cfg)
    if run.state == runs.State.FINISHED:
        print(f"{run.folder} is finished already ({run.metrics['kept']} trajectories); nothing to do")
        return int(run.metrics["kept"])
    trajectories, facts = act(cfg, run.folder / "predictions.jsonl")
    kept = [t for t in trajectories if t.score.correct or cfg.keep == "all"]
    runs.write_lines(run.folder / "trajectories.jsonl", (t.to_json() for t in kept))
    dropped = Counter("wrong" if t.ending == "finish" else t.ending.value for t in trajectories if not t.score.correct)
    counts = {"kept": len(kept), "dropped": len(trajectories) - len(kept), "dropped_by_reason": dict(dropped)}
    run.finish({**facts, **counts, **summarize(trajectories, len(trajectories))})
    reasons = ", ".join(f"{n} {reason}" for reason, n in dropped.most_common())
    print(f"{cfg.task.name} by {cfg.method.name}: kept {counts['kept']} of {len(trajectories)}"
          f"{f' (dropped {reasons})' if reasons else ''}; see {run.folder / 'trajectories.jsonl'}")
    return len(kept)

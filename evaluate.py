"""Let a model act on a task's questions and score it: predictions.jsonl and metrics.json in a run folder.

python evaluate.py                                    the untuned embedded model with a few-shot prompt
python evaluate.py method=fireact tuned=RUN/adapter   the tuned one, without
"""

from __future__ import annotations

from fireact import app


@app.main("evaluate")
def evaluate(cfg: app.Config) -> float:
    """Act, score and write; returns exact match (a fraction)."""
    from fireact import acting

    run = acting.open_run(cfg)
    if run.state == "finished":
        print(f"{run.folder} is finished already (EM {run.metrics['em']:.3f}); nothing to do")
        return float(run.metrics["em"])
    metrics = acting.evaluate(cfg, run)
    run.finish(metrics)
    low, high = metrics["em_ci95"]
    print(f"{cfg.task.name} by {cfg.method.name}: EM {metrics['em']:.3f} [{low:.3f}, {high:.3f}], "
          f"F1 {metrics['f1']:.3f}, {metrics['finished']} of {metrics['n']} finished, "
          f"rounds {metrics['rounds_mean']:.2f}; see {run.folder}")
    return float(metrics["em"])


if __name__ == "__main__":
    evaluate()

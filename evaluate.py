"""Let a model act on a task's questions and score it: predictions.jsonl and metrics.json in a run folder.

python evaluate.py                                    the untuned embedded model with a few-shot prompt
python evaluate.py method=fireact tuned=RUN/adapter   the tuned one, without
"""

from __future__ import annotations

from fireact import cli
from fireact.runs import planning, sweep


@cli.main("evaluate", sweep.table_of(sweep.acted), planning.show)
def evaluate(cfg: cli.Config) -> float:
    """Act, score and write; returns the task's own score, a fraction: exact match, or accuracy where that is it."""
    return float(sweep.evaluate(cfg)["accuracy"])


if __name__ == "__main__":
    evaluate()

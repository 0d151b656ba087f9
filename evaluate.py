"""Let a model act on a task's questions and score it: predictions.jsonl and metrics.json in a run folder.

python evaluate.py                                    the untuned embedded model with a few-shot prompt
python evaluate.py method=fireact tuned=RUN/adapter   the tuned one, without
"""

from __future__ import annotations

import fireact.starting  # noqa: F401 - before all that takes time to import
from fireact import cli
from fireact.runs import sweep
from fireact.runs.evaluate import evaluate


@cli.main("evaluate", sweep.Evaluating())
def main(cfg: cli.Config) -> float:
    """Act, score and write; returns the task's own score, a fraction: exact match, or accuracy where that is it."""
    return float(evaluate(cfg)["accuracy"])


if __name__ == "__main__":
    main()

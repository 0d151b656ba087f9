"""Grids made up for tests: real files of records and metrics, written in a moment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fireact.reporting.grid import Cell, Grid
from fireact.reporting.statistics import summarize
from fireact.trajectories.records import Ending, Question, Score, Step, Trajectory, Usage

PROMPTED = {"backbone": "smollm2_135m", "adapter": "none", "acting": "react", "task": "miniwiki", "search": "bm25"}
PROMPTED["seed"] = "0"
TUNED = {**PROMPTED, "adapter": "qlora", "acting": "fireact", "method": "react", "data": "miniwiki", "size": "n100"}


def trajectory(
    number: int, right: float, rounds: int, task: str, em: float | None = None, world: str = ""
) -> Trajectory:
    """Question ``number`` after ``rounds`` actions, at a cent and two seconds; unfinished where rounds are 11."""
    question = Question(f"q{number:03}", f"{world}?", "a", task, "dev")
    steps = tuple(Step("t", "search", "x", "y") for _ in range(rounds))
    ending = Ending.STEP_LIMIT if rounds == 11 else Ending.FINISH
    score = Score(float(right) if em is None else em, 1.0 if right else 0.5, bool(right))
    facts = {"finished_at": f"2024-01-01T00:{number // 60:02}:{number % 60:02}+00:00"}
    return Trajectory(question, "react", steps, ending, "a", score, Usage(2, 1, 10, 5, 0.01, 2.0), facts)


class Maker:
    """Makes cells below ``folder``, one run folder each, and the grid of all of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.cells = folder, list[Cell]()

    def cell(self, axes: Mapping[str, str], right: Sequence[float], rounds: Sequence[int] = (), trained_on: int = 100,
             em: float | None = None, measure: str | None = None, world: str = "",
             mix: Mapping[str, int] | None = None) -> Cell:
        """A cell whose answer to question i is right where ``right[i]`` is 1; tuned on ReAct alone unless ``mix`` says.

        ``world`` changes what is asked.
        """
        run = self.folder / f"cell{len(self.cells)}"
        rounds = rounds or [2] * len(right)
        done = [trajectory(i, r, k, axes["task"], em, world)
                for i, (r, k) in enumerate(zip(right, rounds, strict=True))]
        _write(run / "predictions.jsonl", "".join(json.dumps(t.to_json()) + "\n" for t in done))
        facts = {"task": axes["task"], "retriever": f"{axes['search']}[world] k=1"}
        facts |= {"measure": measure} if measure else {}
        _write(run / "metrics.json", json.dumps({**facts, **summarize(done)}))
        learnt = mix or {f"{axes.get('data')}/react": trained_on}
        fit = self._fit(learnt) if axes["adapter"] != "none" else None
        self.cells.append(Cell(dict(axes), run, fit))
        return self.cells[-1]

    def failed(self, axes: Mapping[str, str], sentence: str) -> None:
        """A cell without results."""
        self.cells.append(Cell(dict(axes), self.folder / "nowhere", failed=sentence))

    def grid(self, experiment: str, left_out: Sequence[str] = ()) -> Grid:
        """All cells; its ``grid.json`` lies in ``folder``."""
        grid = Grid(experiment, f"python train.py experiment={experiment}", tuple(self.cells), tuple(left_out))
        _write(self.folder / "grid.json", json.dumps(grid.to_json(self.folder)))
        return grid

    def _fit(self, mix: Mapping[str, int]) -> Path:
        """One epoch in steps of 10, at 50 tokens a trajectory and 2 trajectories a second; 3,000 bytes of weights."""
        fit, trained_on = self.folder / f"fit{len(self.cells)}", sum(mix.values())
        metrics: dict[str, Any] = {"steps": trained_on // 10, "seconds": trained_on / 2, "tokens_per_s": 100.0}
        _write(fit / "metrics.json", json.dumps({**metrics, "data": {"kept": trained_on, **mix}}))
        _write(fit / "config.yaml", "optim: {batch_size: 10}\nval_fraction: 0\n")
        _write(fit / "adapter" / "adapter_model.safetensors", "x" * 3000)
        return fit


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")

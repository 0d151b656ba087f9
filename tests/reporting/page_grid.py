"""Made-up grids for the page's tests: realistic trajectories of two cells, run folders and all."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

from fireact.reporting.grid import PREDICTIONS, Cell, Grid
from fireact.trajectories.records import Ending, Question, Score, Step, Trajectory, Usage
from fireact.trajectories.storage.writing import write_lines

EVIL = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">&lt;b&gt; </script>"
AXES = {"backbone": "llama2_7b", "acting": "react", "task": "hotpotqa", "search": "bm25", "seed": "0"}
PROMPTED = {**AXES, "adapter": "none"}
TUNED = {**AXES, "adapter": "lora", "acting": "fireact", "method": "react_cot", "size": "n500"}
_TOWNS = ("Gingergate", "Otterton", "Badgerwick", "Larkhaven", "Foxcombe", "Heronsford", "Mothwell")
_MAKERS = ("Clara West", "Anton Barber", "Daniel Young", "Edith Lang", "Fletcher Moss", "Iris Holloway")


def grid_of(folder: Path, **trajectories: Iterable[Trajectory]) -> Grid:
    """A grid of the cells ``prompted`` and ``tuned``, as given, and of a third that failed."""
    axes = {"prompted": PROMPTED, "tuned": TUNED}
    cells = []
    for name, rows in trajectories.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        write_lines(folder / name / PREDICTIONS, (row.to_json() for row in rows))
        cells.append(Cell(axes[name], folder / name, folder / "fit" if name == "tuned" else None))
    failed = Cell({**TUNED, "size": "n100"}, folder / "none", folder / "fit", "the disk was full; free <some> of it")
    return Grid("multi_method", "python train.py experiment=multi_method -m", (*cells, failed))


def acted_out(number: int, seed: int = 0, kind: str = "bridge") -> list[Trajectory]:
    """The first ``number`` questions as a model with ``seed`` would act them out: the endings and rounds vary."""
    return [_trajectory(i, random.Random(f"{seed}-{i}"), kind) for i in range(number)]


def question(i: int, kind: str = "bridge") -> Question:
    """The ``i``-th question; the same for every seed."""
    chance = random.Random(i)
    maker, town = chance.choice(_MAKERS), chance.choice(_TOWNS)
    text = f"In which year was the newspaper founded that the mayor of {town}, married to {maker}, edited ({i})?"
    choices = ("1887", "1901", "1912", "1935") if i % 50 == 49 else ()
    answer = "B" if choices else str(1850 + chance.randrange(120))
    return Question(f"q-{i}", text, answer, "mmlu" if choices else "hotpotqa", "dev", choices, kind)


def step(chance: random.Random, number: int) -> Step:
    """A thought, a search and a page's first lines."""
    maker, town = chance.choice(_MAKERS), chance.choice(_TOWNS)
    thought = f"I still need the mayor of {town}; {maker} is named as editor, so I look that person up next."
    page = (
        f"{maker} (born {1850 + chance.randrange(99)} in {town}) was an editor and local politician. From "
        f"{1880 + number} {maker} wrote for the {town} Courier, founded in {1840 + chance.randrange(99)}, and sat on "
        f"the council with {chance.choice(_MAKERS)}.\nThe Courier merged with the {chance.choice(_TOWNS)} Herald."
    )
    return Step(thought, "search", f"{maker} {town}", page)


def _trajectory(i: int, chance: random.Random, kind: str) -> Trajectory:
    asked = question(i, kind)
    steps = [step(chance, n) for n in range(chance.randrange(1, 5))]
    ending = chance.choices(list(Ending), (85, 6, 4, 2, 2, 1))[0]
    answer = ""
    if ending is Ending.FINISH:
        answer = asked.answer if chance.random() < 0.55 else str(1850 + chance.randrange(120))
        steps.append(Step(f"The Courier was founded in {answer}; that is what was asked.", "finish", answer))
    if ending is Ending.PARSE_FAILURE:
        steps.append(Step("Action: look up the Courier somewhere", "", "", "Invalid action."))
    right = float(answer == asked.answer)
    usage = Usage(len(steps), len(steps) - 1, 900 * len(steps), 60 * len(steps), 0.0021 * len(steps), 1.3 * len(steps))
    errors = {"error": "the search tool did not answer within 30 s"} if ending is Ending.TOOL_FAILURE else {}
    method = "react" if i % 3 else "cot"
    return Trajectory(asked, method, tuple(steps), ending, answer, Score(right, right, right == 1), usage, errors)

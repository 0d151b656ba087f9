"""What must be said under a grid's table: failures, what was fixed, how it was scored, what the paper leaves out."""

from __future__ import annotations

from fireact.reporting import beside, paper
from fireact.reporting.choices import ORACLE, RANDOM
from fireact.reporting.grid import name_of
from fireact.reporting.measures import explained
from fireact.reporting.results import Results
from fireact.reporting.rows import Row

_TEST = (
    "difference is in points to the reference, the row alike but for what the experiment varies; p is two-sided, by "
    "Fisher's randomisation test over the same questions, not corrected for the number of rows."
)
_OTHER_QUESTIONS = "other questions: the row and its reference did not answer the same ones, so they are not compared."
_THEIRS = (
    "The paper's figures are EM (on StrategyQA and MMLU accuracy) on 500 HotpotQA dev questions with Google as its "
    "search, unless said; in brackets the difference to its own reference."
)
_OUR_PROMPTS = (
    "Rows that act by a prompt use this project's own few-shot prompts, not the paper's, so the paper's prompted "
    "figures stand beside them but were not measured with them."
)
_UNPROMPTED = {"fireact", RANDOM, ORACLE}


def notes_of(results: Results) -> list[str]:
    """Sentences, failures first."""
    failed = [f"Failed: {name_of(f.axes, results.varying) or 'the cell'}: {f.sentence}" for f in results.failures]
    found = [f"The paper found: {results.layout.found}"] if results.layout.found else []
    if not results.rows:
        return [*failed, "No cell has results.", *found]
    scoring = [*_fixed(results), *_scored(results), *_compared(results), *results.notes]
    return [*failed, *found, *scoring, *paper.footnotes(results.experiment)]


def _fixed(results: Results) -> list[str]:
    """The axes without a column, which are the same in all the rows that have them."""
    groups = {"prompted": [r for r in results.rows if r.prompted], "tuned": [r for r in results.rows if r.tuned]}
    fixed = {name: _hidden(group[0], results) for name, group in groups.items() if group}
    common = dict.fromkeys(item for item in next(iter(fixed.values()), []) if all(item in f for f in fixed.values()))
    said = {"": list(common), **{f"{name} ": [i for i in items if i not in common] for name, items in fixed.items()}}
    return [f"Every {name}row: {', '.join(f'{a}={v}' for a, v in items)}." for name, items in said.items() if items]


def _hidden(row: Row, results: Results) -> list[tuple[str, str]]:
    return [(axis, value) for axis, value in row.axes.items() if axis not in results.axes]


def _scored(results: Results) -> list[str]:
    facts = sorted(frozenset[str]().union(*(row.facts for row in results.rows)))
    one = any(row.tuned and len(row.seeds) == 1 for row in results.rows)
    seeds = "; one seed says nothing on how another tuning would do" if one else ""
    return [
        f"Scored on {'; '.join(facts)}.",
        *explained(results.measures),
        "Intervals are 95 %: Wilson's where every score is 0 or 1, else by bootstrap over questions, each with its "
        f"mean over seeds{seeds}.",
    ]


def _compared(results: Results) -> list[str]:
    return [
        *([_TEST] if any(line.difference is not None for line in results.lines) else []),
        *([] if all(line.paired for line in results.lines) else [_OTHER_QUESTIONS]),
        *([_THEIRS] if paper.of_experiment(results.experiment) else []),
        *([_OUR_PROMPTS] if any(_prompted_beside(row, results.experiment) for row in results.rows) else []),
    ]


def _prompted_beside(row: Row, experiment: str) -> bool:
    """Whether a score of the paper stands beside this row and either was prompted with examples."""
    prompted = row.axes.get("acting") not in _UNPROMPTED
    return prompted and bool(beside.exact(row, experiment) or beside.like(row, experiment))

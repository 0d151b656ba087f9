"""What must be said under a grid's table: failures, what was fixed, how it was scored, what the paper leaves out."""

from __future__ import annotations

from fireact.reporting import tool_calls
from fireact.reporting.grid import name_of
from fireact.reporting.method_choice import ORACLE, RANDOM
from fireact.reporting.results import Results
from fireact.reporting.statistics import explained

_TEST = (
    "difference is in points to the reference, the row alike but for what the experiment varies; p is two-sided, by "
    "Fisher's randomisation test over the same questions, not corrected for the number of rows."
)
_OTHER_QUESTIONS = "other questions: the row and its reference did not answer the same ones, so they are not compared."
_PAPERS = (
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
    grid, experiment = results.grid, results.experiment
    varying = grid.varying()
    failed = [f"Failed: {name_of(cell.axes, varying) or 'the cell'}: {cell.failed}" for cell in grid.failed]
    found = [f"The paper found: {experiment.found}"] if experiment.found else []
    if not results.rows:
        return [*failed, "No cell has results.", *found]
    said = [*_fixed(results), *_scored(results), *_compared(results), *results.notes]
    return [*failed, *found, *said]


def _fixed(results: Results) -> list[str]:
    """The axes without a column, which are the same in all the rows that have them."""
    groups = {"prompted": [r for r in results.rows if r.prompted], "tuned": [r for r in results.rows if r.tuned]}
    fixed = {name: {axis: value for axis, value in group[0].axes.items() if axis not in results.axes}.items()
             for name, group in groups.items() if group}
    common = [item for item in next(iter(fixed.values()), ()) if all(item in items for items in fixed.values())]
    said = {"": common, **{f"{name} ": [i for i in items if i not in common] for name, items in fixed.items()}}
    return [f"Every {name}row: {', '.join(f'{a}={v}' for a, v in items)}." for name, items in said.items() if items]


def _scored(results: Results) -> list[str]:
    scored_on = sorted(frozenset[str]().union(*(row.scored_on for row in results.rows)))
    one = any(row.tuned and len(row.seeds) == 1 for row in results.rows)
    seeds = "; one seed says nothing on how another tuning would do" if one else ""
    return [
        f"Scored on {'; '.join(scored_on)}.",
        *explained(results.measures),
        *dict.fromkeys(sentence for row in results.rows for sentence in row.said),
        *([tool_calls.NOTE] if any("exact_calls" in row.facts for row in results.rows) else []),
        "Intervals are 95 %: Wilson's where every score is 0 or 1, else by bootstrap over questions, each with its "
        f"mean over seeds{seeds}.",
    ]


def _compared(results: Results) -> list[str]:
    """How rows were compared with one another and with the paper's figures."""
    compared = {row.compared for row in results.rows}
    prompted = [row for row in results.rows if row.axes.get("acting") not in _UNPROMPTED]
    said = {
        _TEST: "paired" in compared,
        _OTHER_QUESTIONS: "other questions" in compared,
        _PAPERS: any(number.measure == "em" for number in results.numbers),
        _OUR_PROMPTS: any(n.measure == "em" for row in prompted for n in [*row.paper, *row.paper_others]),
    }
    return [sentence for sentence, holds in said.items() if holds]

"""Which form a row has: it shows in its own keys, so no format need be named.

====================  ==========================================================
keys                  row
====================  ==========================================================
question, steps       ours: ``Trajectory.to_json``
instruction, output   released Alpaca data (``data/finetune/alpaca_format``)
messages              released chat data (``data/finetune/gpt_format``), or OpenAI's or Anthropic's with tools
prompt, completion    TRL's, as messages or as two texts; the completion alone is learnt
conversations         ShareGPT's, with function calls
task, steps           a run of smolagents' agents; also the list of its steps alone
eval, samples         a log of inspect_ai's evaluations, of which each sample is a row
traj                  released evaluation run (``trajs/*.json``), one per question
====================  ==========================================================
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

from fireact.errors import DataError, quoted
from fireact.trajectories.importers import carried, chats, fields, inspect_logs, released, smolagents
from fireact.trajectories.records import Trajectory


def convert(row: Any, counts: Counter[str], published: bool = False) -> Trajectory:
    """The trajectory in one row of a file, whatever its form; ``counts`` gains every repair by its name.

    Of a row of the paper's ``published`` files its task is told by what these do alike.

    Raises:
        DataError: the row is none; says what is wrong, not where it stands.
    """
    if isinstance(row, released.RunRow):
        return released.from_run(row, counts)
    if isinstance(row, inspect_logs.SampleRow):
        return inspect_logs.from_sample(row, counts)
    if smolagents.is_run(row):
        return smolagents.from_run(row, counts)
    if not isinstance(row, dict):
        raise DataError(f"expected a trajectory as a JSON object, found {type(row).__name__}")
    if "span_id" in row or "inputs" in row and {"outputs", "output"} & {*row}:
        raise DataError("the row is a span of a trace, of which several make an episode; write each episode as one "
                        "row of messages")
    if any(key in row for key in _FOREIGN):
        return _carrying(row, counts, published)
    if "traj" in row:
        raise DataError("the row holds 'traj', as an evaluation run's do, which are read from a .json file of one "
                        "object of rows by their index; write it as messages, or the file so")
    if {*fields.PREFERENCES} & {*row}:
        fields.check({key: row[key] for key in fields.PREFERENCES if key in row}, (), "the row", counts)
    if set(row) == {"text"}:
        raise DataError("the row is one text, in which nothing says what is learnt; write it as 'prompt' and "
                        "'completion', or as messages")
    if "step_number" in row or "task_images" in row:
        raise DataError("the row is one step of smolagents'; write all steps of a run as one list")
    if row and not _OURS.intersection(row):
        raise DataError(f"the row has the fields {quoted(', '.join(row))}, none of which is known; expected messages, "
                        "or instruction and output, or a trajectory of ours")
    return Trajectory.from_json(row)


def _carrying(row: dict[str, Any], counts: Counter[str], published: bool) -> Trajectory:
    """A row of another form, with what its metadata carries of the trajectory that it was exported from."""
    row, said = carried.taken(row)
    if said is None:
        return _foreign(row, counts, published)
    found: Counter[str] = Counter()
    trajectory = carried.merged(_foreign(row, found, published), said)
    counts.update({name: count for name, count in found.items() if name not in _CONCLUDED})
    return trajectory


def _foreign(row: dict[str, Any], counts: Counter[str], published: bool) -> Trajectory:
    if "messages" in row:
        return chats.from_messages(row, counts, published)
    if "prompt" in row or "completion" in row:
        return chats.from_completion(row, counts)
    if "output" in row:
        return released.from_alpaca(row, counts, published)
    return chats.from_sharegpt(row, counts)


_FOREIGN = ("messages", "prompt", "completion", "output", "conversations")
_CONCLUDED = ("demonstrations", "methods_guessed", "closing_lines")  # what is no conclusion where a row says it
_OURS = {field.name for field in dataclasses.fields(Trajectory)}

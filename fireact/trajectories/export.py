"""Write trajectories for other trainers: ``python -m fireact.trajectories.export FILE… to=FORMAT out=PATH``.

Formats are those that are read (``files``): ``jsonl`` (ours), ``openai`` (messages with tools and tool_calls),
``sharegpt``, ``react`` (text chats) and ``alpaca``. A row is written only if it is read back as the very trajectory;
any other is refused with its file, line and reason, and counted. docs/exports.md says what each format can hold.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fireact.commands import end_with
from fireact.errors import ConfigError, DataError, FireActError, StorageError
from fireact.trajectories.exporters.rows import FORMATS, PARTS, row_of
from fireact.trajectories.files import placed
from fireact.trajectories.storage.reading import printable
from fireact.trajectories.storage.writing import replacing, writing

_KEYS = ("to", "out", "leave_out")
_SHOWN = 10  # refusals that are said in full
_HELP = f"""  to=         {", ".join(FORMATS)}
  out=        a new file, .jsonl (a row a line) or .json (a list of rows)
  leave_out=  any of {", ".join(PARTS)}; else a row that would lack something is refused

docs/exports.md says what each format can hold."""


@dataclass(frozen=True, slots=True)
class Export:
    """Which files are to be written as what; ``leave_out`` holds what a user does without (``rows.PARTS``)."""

    files: tuple[str, ...]
    to: str
    out: Path
    leave_out: tuple[str, ...] = ()


def main() -> int:
    """The command; exits with 1 and one sentence on a user's mistake, or where a row was refused."""
    parser = argparse.ArgumentParser(
        "python -m fireact.trajectories.export",
        usage="%(prog)s FILE... to=FORMAT out=PATH [leave_out=PART,...]",
        description="Write trajectories in a format that other trainers read; every row is read back equal.",
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("arguments", nargs="+", metavar="FILE", help="any file of trajectories that is read")
    counts: Counter[str] = Counter()
    try:
        export = parsed(parser.parse_args().arguments)
        write(export, counts)
    except FireActError as error:
        sys.exit(printable(str(error)))
    print(f"{export.out}: {counts['rows'] - counts['refused']} of {counts['rows']} trajectories as {export.to}")
    print(printable(", ".join(f"{name} {count}" for name, count in counts.items() if count)))
    return int(counts["refused"] > 0)


def parsed(arguments: Sequence[str]) -> Export:
    """A command's arguments.

    Raises:
        ConfigError: one is unknown, missing, given twice or has another value than it may; says which.
    """
    files, given = list[str](), dict[str, str]()
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if equals and key in given:
            raise ConfigError(f"{key} is given twice; give it once")
        if equals and key in _KEYS:
            given[key] = value
        elif equals and key.isidentifier() and not os.path.exists(argument):
            raise ConfigError(f"{key} is no key of this command; known are {', '.join(_KEYS)}")
        else:
            files.append(argument)
    for key, example in {"to": " or to=".join(FORMATS), "out": "PATH"}.items():
        if not given.get(key):
            raise ConfigError(f"{key} has no value; add {key}={example}")
    if not files:
        raise ConfigError("no file of trajectories is named; put its path before to=")
    if given["to"] not in FORMATS:
        raise ConfigError(f"to={given['to']} is no format; choose one of {', '.join(FORMATS)}")
    leave_out = tuple(filter(None, given.get("leave_out", "").split(",")))
    if unknown := [part for part in leave_out if part not in PARTS]:
        raise ConfigError(f"leave_out={unknown[0]} is no part that can be left out; choose from {', '.join(PARTS)}")
    out = Path(given["out"])
    if out.suffix.lower() not in (".jsonl", ".json"):
        raise ConfigError(f"out={out} must end in .jsonl (one row a line) or .json (a list of rows)")
    if given["to"] == "jsonl" and out.suffix.lower() != ".jsonl":
        raise ConfigError(f"out={out} must end in .jsonl, as to=jsonl writes one row a line")
    return Export(tuple(files), given["to"], out, leave_out)


def write(export: Export, counts: Counter[str]) -> None:
    """Write ``export.out``, whole or not at all, and say on standard error which rows the format can't hold.

    ``counts`` gains what was read, repaired, left out and ``refused``.

    Raises:
        DataError: a file can't be read, or no trajectory is left to write.
        StorageError: the file is there already, or can't be written.
    """
    _refuse_existing(export.out)
    is_lines = export.out.suffix.lower() == ".jsonl"
    first, between, end = ("", "\n", "\n") if is_lines else ("[\n", ",\n", "\n]\n")
    with writing(export.out, "choose another out=PATH"), replacing(export.out) as file:
        for number, row in enumerate(_rows(export, counts)):
            file.write((between if number else first) + json.dumps(row, ensure_ascii=False))
        if not counts["rows"]:
            raise DataError(f"{', '.join(export.files)} holds no trajectory; name a file with at least one")
        if counts["rows"] == counts["refused"]:
            raise DataError(f"{export.to} can't hold any trajectory of {', '.join(export.files)}, so {export.out} is "
                            "not written; do as the lines above say")
        file.write(end)
        _refuse_existing(export.out)  # somebody else may have written it meanwhile


def _rows(export: Export, counts: Counter[str]) -> Iterator[dict[str, Any]]:
    for file in export.files:
        for where, trajectory in placed(file, counts):
            try:
                row = row_of(trajectory, export.to, export.leave_out, counts)
            except DataError as error:
                counts["refused"] += 1
                if counts["refused"] <= _SHOWN:
                    print(printable(f"{where}: not written, since {error}"), file=sys.stderr)
            else:
                yield row
    if counts["refused"] > _SHOWN:
        print(f"… and {counts['refused'] - _SHOWN} more, not written", file=sys.stderr)


def _refuse_existing(path: Path) -> None:
    if os.path.lexists(path):
        raise StorageError(f"{path} is there already and stays as it is; move it away, or choose another out=PATH")


if __name__ == "__main__":
    end_with(main)

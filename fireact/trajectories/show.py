"""Look at training rows: ``python -m fireact.trajectories.show FILE… [--backbone DIR]``.

Prints trajectories as they are learnt, what the model must say in colour (in «» where the terminal has none), with
their counts of tokens, and last what was read, repaired, ignored and refused in all files. Without ``--backbone`` only
the text is shown, with <end> for the end token.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rich.console import Console
from rich.text import Text

from fireact.commands import end_with
from fireact.errors import ConfigError, DataError, FireActError
from fireact.formats import text_format
from fireact.formats.base import Segment
from fireact.training.rows import RowMaker
from fireact.trajectories.duplicates import Seen
from fireact.trajectories.files import attempted
from fireact.trajectories.learnable import check
from fireact.trajectories.records import Trajectory
from fireact.trajectories.storage import inputs
from fireact.trajectories.storage.reading import printable
from fireact.trajectories.summary import Summary


def main() -> None:
    """The command; exits with 1 and one sentence on a user's mistake."""
    parser = argparse.ArgumentParser(
        "python -m fireact.trajectories.show", description="Show trajectories as training rows."
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a file of rows, a folder of such, or a pattern in ''")
    parser.add_argument("--backbone", help="a local model folder, for example .cache/backbones/smollm2_135m")
    formats = ["react", "alpaca", "chat", "tools"]
    parser.add_argument("--format", default="alpaca", choices=formats, help="default: %(default)s")
    parser.add_argument("-n", type=int, default=3, help="how many to show; default: %(default)s")
    parser.add_argument("--loss-on", default="targets", choices=["targets", "all"], help="default: %(default)s")
    options = parser.parse_args()
    if options.n < 0:
        parser.error(f"-n {options.n} shows nothing; choose 0 or more")
    if options.format in ("chat", "tools") and not options.backbone:
        parser.error(f"--format {options.format} takes its template from a backbone; add --backbone DIR")
    try:
        show(options, Console(highlight=False, markup=False))
    except FireActError as error:
        sys.exit(printable(str(error)))


def show(options: argparse.Namespace, console: Console) -> None:
    """Print the first ``options.n`` trajectories of ``options.files``, then what was read and repaired in all of them.

    Raises:
        DataError, ConfigError: a file, the tokenizer or the format is not usable; at the end, the first row that is
            refused.
    """
    tokenizer = _tokenizer(options.backbone) if options.backbone else _NoTokenizer()
    maker = RowMaker(text_format(options.format, tokenizer), options.loss_on)
    counts, summary = Counter[str](), Summary()
    for number, trajectory in enumerate(_learnable(inputs.named(options.files), counts, summary)):
        if number >= options.n:
            continue
        everything = options.loss_on == "all"
        console.rule(Text(printable(_title(trajectory)).replace("\n", " ")))
        for example in maker.examples(trajectory):
            console.print(painted(example.segments, everything, console.color_system is not None), soft_wrap=True)
            if options.backbone:
                tokens = len(example.ids)
                learnt = tokens - sum(example.barred) if everything else sum(example.targets)
                console.print(f"{tokens} tokens, {learnt} of them targets", style="dim")
    if not counts["rows"]:
        files = ", ".join(options.files)
        raise summary.first or DataError(f"{files} holds no trajectory; name a file with at least one")
    for line in summary.lines(counts):
        console.print(printable(line), soft_wrap=True)
    console.print(printable(", ".join(f"{name} {count}" for name, count in counts.items() if count)), soft_wrap=True)
    if summary.first:
        others = f" ({summary.refused - 1} more are refused, as listed above)" if summary.refused > 1 else ""
        raise DataError(f"{summary.first}{others}")


def _learnable(files: Sequence[Path], counts: Counter[str], summary: Summary) -> Iterator[Trajectory]:
    """The trajectories of files; what is refused is kept in ``summary``, and failed ones that could not be learnt are
    counted."""
    seen = Seen()
    for file in files:
        for attempt in attempted(file, counts):
            try:
                if isinstance(attempt.found, DataError):
                    raise attempt.found
                check(attempt.found, attempt.where, counts)
            except DataError as error:
                if isinstance(attempt.found, Trajectory) and not attempt.found.score.correct:
                    counts["failed_unlearnable"] += 1
                else:
                    summary.refuse(attempt.where, error)
            else:
                summary.add(attempt.found, attempt.fields)
                seen.count(attempt.found, file, counts)
                yield attempt.found


def painted(segments: Sequence[Segment], everything: bool, colour: bool) -> Text:
    """The segments as one text, targets green or in «»; ``everything`` makes all of them targets that may be."""
    text = Text()
    for segment in segments:
        target, shown = segment.target or (everything and not segment.barred), printable(segment.text)
        marked = f"«{shown}»" if target and not colour else shown
        text.append(marked, style="bold green" if target else "dim")
    return text


def _title(trajectory: Trajectory) -> str:
    right = "right" if trajectory.score.correct else "wrong"
    return f"{trajectory.question.id} · {trajectory.method} · {trajectory.rounds} rounds · {right}"


def _tokenizer(folder: str) -> Any:
    from transformers import AutoTokenizer  # takes seconds, and is not needed to look at text

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError):
        raise ConfigError(f"--backbone={folder} holds no tokenizer; name a local Hugging Face model folder") from None


class _NoTokenizer:
    """Enough of a tokenizer to lay out text."""

    eos_token: str | None = "<end>"
    all_special_tokens: list[str] = []
    added_tokens_decoder: dict[int, Any] = {}

    def __call__(self, text: str, *, add_special_tokens: bool = True) -> Any:
        return SimpleNamespace(input_ids=[])


if __name__ == "__main__":
    end_with(main)

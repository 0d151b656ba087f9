"""Every key has a type and a range: a value that it can't have is one sentence, before anything runs."""

from __future__ import annotations

import copy
import functools
import math
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import pytest
import yaml
from annotated_types import Ge, Gt, Interval, Lt, MinLen
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from fireact import cli
from fireact.cli import checking, composing, keys, schema
from fireact.cli.declared import UNKNOWN, declared, declared_by
from fireact.cli.values import fault, said
from fireact.errors import ConfigError
from fireact.ranges import Count, NonNegative, Positive, Seed, Text, Texts


@pytest.fixture(scope="module", autouse=True)
def hydra_ready() -> Iterator[None]:
    """Set Hydra up once, not for every composition."""
    with composing.hydra_ready():
        yield


@functools.cache
def composed(script: str, *groups: str) -> cli.Config:
    """The configuration into which a mistake is put, for a composition takes a while."""
    return cli.compose(script, groups)


def refused(script: str, line: str) -> str:
    """The sentence in which composing, or what a script checks after it, ends."""
    with pytest.raises(ConfigError) as error:
        cli.check_given(cli.compose(script, line.split()))
    return str(error.value)


SENTENCES = """
train | seed=-1 | must be a whole number from 0 to 4294967295
train | seed=4294967296 | must be a whole number from 0 to 4294967295
train | seed=abc | must be a whole number from 0 to 4294967295
train | save_every=0 | must be a whole number from 1 to 1000000000
train | optim.lr=nan | must be a finite number above 0
train | optim.lr=inf | must be a finite number above 0
train | optim.warmup_steps=-5 | must be a whole number from 0 to 1000000000
train | optim.schedule=step | must be linear, cosine or constant
train | val_fraction=nan | must be a number from 0 to below 1 or a whole number from 1 to 1000000000
train | val_fraction=null | must be a number from 0 to below 1 or a whole number from 1 to 1000000000
train | early_stop=-1 | must be a whole number from 1 to 1000000000 or null
train | packing=maybe | must be true or false
train | adapter.r=0 | must be a whole number from 1 to 1000000000
train | adapter.dropout=2 | must be a number from 0 to below 1
train | adapter.targets=[] | must be text or a list of text, and not empty
train | adapter.kind=x | must be lora or full
train | backbone.dtype=float7 | must be auto, float32, bfloat16 or float16
train | backbone.revision=123 | must be text or null; put quotes round it to make it text
train | size.n=2.5 | must be a whole number from 1 to 1000000000 or null
train | data.counts.react=1.5 | must be a whole number from 0 to 1000000000 or null
train | data.counts.react=-1 | must be a whole number from 0 to 1000000000 or null
train | data.proportions.miniwiki.cot=-5 | must be a whole number from 1 to 1000000000
train | act.limit=0 | must be a whole number from 1 to 1000000000 or null
train | act.task=miniwiki | must be a list of text or null
train | trainer.num_nodes=0 trainer=ddp | must be a whole number from 1 to 1000000000
train | axes=[] | must be a list of text, and not empty
train | runs_dir='' | must be text, and not empty
evaluate | seed=true | must be a whole number from 0 to 4294967295
evaluate | method.max_rounds=-3 | must be a whole number from 1 to 1000000000
evaluate | method.max_retries=-1 | must be a whole number from 0 to 1000
evaluate | search.k=-1 | must be a whole number from 1 to 1000000000
evaluate | search.words=-5 | must be a whole number from 1 to 1000000000
evaluate | search.tool.k=0 search=noise_none | must be a whole number from 1 to 1000000000
evaluate | search.limits.timeout=0 search=serpapi | must be a number above 0 and up to 1000000
evaluate | lm.max_new_tokens=-5 | must be a whole number from 1 to 1000000000
evaluate | lm.temperature=-1 | must be a finite number from 0 on
evaluate | lm.concurrency=0 | must be a whole number from 1 to 1000000000
evaluate | lm.max_retries=-1 lm=openai | must be a whole number from 0 to 1000
evaluate | lm.budget_usd=nan lm=openai | must be a finite number from 0 on or null
evaluate | lm.api=soap lm=openai | must be chat, completions or tools
evaluate | task.limit=1.5 | must be a whole number from 1 to 1000000000 or null
evaluate | task.difficulty=odd | must be easy, medium or hard
evaluate | task.order=odd task=hotpotqa | must be file, shuffle or paper
evaluate | task.order=odd task=strategyqa | must be file, shuffle or paper
evaluate | journal.replay=odd | must be reuse, only, off or false
generate | targets.react=0 | must be a whole number from 1 to 1000000000 or null
generate | export=odd | must be a list of alpaca or chat
generate | select.similarity=0 | must be a number above 0 and up to 1 or null
"""


@pytest.mark.parametrize("line", SENTENCES.strip().splitlines())
def test_a_value_that_a_key_can_not_have_is_one_sentence(line: str) -> None:
    script, overrides, wanted = line.split(" | ")
    mistake, *groups = overrides.split()
    cfg, override = copy.deepcopy(composed(script, *groups)), OverridesParser.create().parse_override(mistake)
    OmegaConf.update(cfg, override.key_or_group, override.value())
    with pytest.raises(ConfigError) as error:
        checking.check(script, cfg)
    assert str(error.value) == f"{mistake.replace(chr(39), '')} {wanted}"


@pytest.mark.parametrize(("script", "line", "sentence"), [
    ("train", "size=150", "size=150 does not exist; choose one of all, grid, n100, n1000, n200, n25, n300, n400, n50, "
                          "n500, or size.n=150 for any number"),
    ("train", "logger=null", "logger=null does not exist; choose one of csv, tensorboard, wandb, or ~logger for none"),
    ("train", "~act.limit", "act.limit has no value; add act.limit=VALUE to the command"),
    ("train", "~data.tasks", "data.tasks has no value; add data.tasks=VALUE to the command"),
    ("train", "data=file", "data.path has no value; add data.path=VALUE to the command"),
    ("train", "backbone=gpt35", "backbone gpt35 has no weights to tune: it only answers through its provider's API; "
                                "choose another backbone or pass backbone.path=DIR"),
    ("train", "early_stop=1", "early_stop needs a validation loss; set val_fraction above 0"),
    ("train", "+optim.lrr=1", "optim.lrr is no option; did you mean optim.lr?"),
    ("train", "+act.limt=1", "+act.limt is read by nothing, for act.limt is no option; did you mean act.limit?"),
    ("train", "++saed=1", "+saed is read by nothing, for saed is no option; did you mean seed?"),
    ("evaluate", "lm=openai", "lm.model has no value; add lm.model=VALUE to the command"),
    ("evaluate", "method=react_cot",
     "method=react_cot is a mix to train on; act with method=fireact or one of its parts"),
    ("evaluate", "lm=openai lm.prices.gpt-4.input=-1", "lm.prices.gpt-4.input=-1 must be a finite number from 0 on"),
    ("evaluate", "lm.max_new_tokens=4000",
     "lm.max_new_tokens=4000 leaves no room for a prompt; choose less than lm.max_context=2048"),
    ("generate", "task=hotpotqa",
     "lm=oracle knows the answers of the miniwiki tasks only, not of task=hotpotqa; choose lm=openai, lm=huggingface "
     "or lm=recorded"),
])  # fmt: skip
def test_what_does_not_exist_or_fit_is_one_sentence(script: str, line: str, sentence: str) -> None:
    assert refused(script, line) == sentence


@pytest.mark.parametrize("line", [
    "+where=x cache_dir=${where}", "++act.limit=3", "trainer.devices=auto", "trainer.devices=[0,1]", "trainer=fsdp",
    "trainer.precision=16", "optim.lr=1", "backbone=gpt35 adapter=none", "~logger", "val_fraction=2", "size=n100",
    "+data.counts.mine=3", "adapter.targets=[q_proj]",
])  # fmt: skip
def test_what_a_key_can_have_it_may(line: str) -> None:
    cli.check_given(cli.compose("train", line.split()))


def test_a_context_beyond_the_model_is_refused_before_the_model_is_loaded(tiny_folder: Path) -> None:
    model = [f"backbone.path={tiny_folder}", "backbone=tiny_random"]
    cli.compose("evaluate", [*model, "lm.max_context=2048"])
    sentence = "lm.max_context=4097 must be at most 4096, which is what backbone tiny_random reads"
    assert refused("evaluate", " ".join([*model, "lm.max_context=4097"])) == sentence
    sentence = "max_length=4097 must be at most 4096, which is what backbone tiny_random reads"
    assert refused("train", " ".join([*model, "max_length=4097"])) == sentence


class Tool:
    """A class of a user's own."""

    def __init__(self, path: Path, k: Annotated[int, Interval(ge=1, le=9)] = 1, mode: Literal["a", "b"] = "a",
                 anything=None, **others: Count) -> None: ...  # fmt: skip


class Better(Tool):
    """Hands on what it doesn't name."""

    def __init__(self, words: Count, **options: Any) -> None: ...


def made(words: Count, **options: Any) -> Tool:
    """Hands on to what it returns."""
    return Tool(Path(), **options)


@pytest.mark.parametrize(("target", "given", "sentence"), [
    ("Tool", {"path": "x", "k": 3, "anything": [1, "x"]}, None),
    ("Tool", {"path": "x", "k": 0}, "tool.k=0 must be a whole number from 1 to 9"),
    ("Tool", {"path": "x", "mode": "c"}, "tool.mode=c must be a or b"),
    ("Better", {"path": "x", "words": 1, "k": 10}, "tool.k=10 must be a whole number from 1 to 9"),
    ("made", {"words": 1, "k": 10}, "tool.k=10 must be a whole number from 1 to 9"),
    ("Better", {"path": "x"}, "tool.words has no value; add tool.words=VALUE to the command"),
    ("Better", {"words": 1}, "tool.path has no value; add tool.path=VALUE to the command"),
    ("made", {"words": 1}, None),
])  # fmt: skip
def test_a_user_s_class_is_checked_by_its_signature(target: str, given: dict[str, Any], sentence: str | None) -> None:
    cfg = OmegaConf.create({"tool": {"_target_": f"{__name__}.{target}", **given}})
    try:
        checking.check("mine", cfg)
        checking.check_given(cfg)
    except ConfigError as error:
        assert str(error) == sentence
    else:
        assert sentence is None


def test_a_class_without_annotations_or_that_can_not_be_imported_is_left_alone() -> None:
    assert declared("nowhere.Thing") is UNKNOWN
    assert declared("lightning.Trainer") is UNKNOWN
    assert declared("builtins.dict").is_open


# What a key of each range takes of these; what it does not is refused, whatever it is.
VALUES = (-1, 0, 1, 2.5, math.nan, math.inf, -math.inf, 1e99, 10**30, "abc", "", "1", [1], [], {}, None, True)


class Thing(Protocol):
    """What pydantic knows nothing of."""


@pytest.mark.parametrize(("hint", "taken"), [
    (Count, [1]),
    (Seed, [0, 1]),
    (Seed | None, [0, 1, None]),
    (Positive, [1, 2.5, 1e99, 10**30]),
    (NonNegative, [0, 1, 2.5, 1e99, 10**30]),
    (Text, ["abc", "1"]),
    (Texts, []),
    (Sequence[Count], [[1], []]),
    (Mapping[str, Count], [{}]),
    (Thing | Text | None, ["abc", "1", None]),
    (Callable[[], Path] | Text, ["abc", "1"]),
    (bool, [True]),
    (tuple[int, ...], [[1], []]),
    (Path, ["abc", "", "1"]),
    (Annotated[float, Gt(0), Lt(2)], [1]),
])
def test_what_a_range_takes(hint: Any, taken: list[Any]) -> None:
    assert [repr(value) for value in VALUES if fault("key", value, hint) is None] == list(map(repr, taken))


@pytest.mark.parametrize(("hint", "words"), [
    (Annotated[int, Ge(1)], "a whole number from 1 on"),
    (Annotated[float, Interval(gt=0, le=1)], "a number above 0 and up to 1"),
    (Annotated[float, Lt(2)], "a number below 2"),
    (Literal["a", 1, None, True], "a, 1, null or true"),
    (Mapping[Literal["a", "b"], Count | None], "a mapping of a or b to a whole number from 1 to 1000000000 or null"),
    (Annotated[Sequence[Thing], MinLen(1)], "a list of anything"),
])
def test_a_range_is_said_in_words(hint: Any, words: str) -> None:
    assert said(hint) == words


SECTIONS = {"act": schema.Act, "journal": schema.Journal, "scored": schema.Scored, "size": schema.Size}


def _leaves(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """(key, the class that declares it or "") of every key below ``node`` that holds no other."""
    for name, below in node.items():
        path = f"{key}.{name}" if key else name
        if isinstance(below, dict) and ("_target_" in below or path in SECTIONS):
            yield from _leaves(below, path)
        elif name not in ("_target_", "_partial_", "_convert_", "defaults"):
            yield path, node.get("_target_", "")


def test_every_key_of_conf_is_declared() -> None:
    """With its type, that is: by its class, by the schema, or as a part of the recipe that both read."""
    declarations = {"train": schema.Train, "evaluate": schema.Acting, "generate": schema.Generate}
    for script, declaration in declarations.items():
        known = {*declared_by(declaration).hints, *keys.groups()}
        known |= {f"{name}.{inner}" for name, its in SECTIONS.items() for inner in declared_by(its).hints}
        for file in (keys.CONF / "common.yaml", keys.CONF / f"{script}.yaml"):
            text = yaml.safe_load(file.read_text(encoding="utf-8"))
            for key, target in _leaves({name: text[name] for name in text if name not in ("hydra", "defaults")}):
                assert key in known or _is_declared(target, key), f"{file}: {key}"
    for group in set(keys.groups()) - {"experiment", "size"}:
        for file in (keys.CONF / group).glob("*.yaml"):
            text = yaml.safe_load(file.read_text(encoding="utf-8"))
            text = text.get(group, text) if group in ("backbone", "data", "lm") else text
            for key, target in _leaves(text):
                assert not target or _is_declared(target, key), f"{file}: {key}"


def _is_declared(target: str, key: str) -> bool:
    its = declared(target)
    return its is UNKNOWN or its.hints.get(key.split(".")[-1], Any) is not Any


def test_a_mistake_is_told_without_torch() -> None:
    code = (
        "import sys\nfrom fireact import cli, errors\n"
        "for script, line in [('train', 'optim.lr=nan'), ('evaluate', 'lm.concurrency=0'), ('train', 'adapter.r=0')]:\n"
        "    try: cli.compose(script, [line])\n"
        "    except errors.ConfigError as error: print(error)\n"
        "print({'torch', 'lightning', 'transformers'} & {*sys.modules})"
    )
    said = subprocess.check_output([sys.executable, "-c", code], cwd=keys.CONF.parent, text=True)
    assert len(said.splitlines()) == 4 and said.endswith("set()\n")


@pytest.mark.parametrize("arguments", [["size=150"], ["size=150,n25", "-m"]])
def test_an_option_that_is_a_number_is_refused_before_any_cell(arguments):
    with pytest.raises(ConfigError, match="^size=150 does not exist; choose one of all, grid, n100"):
        composing.plan("train", arguments)

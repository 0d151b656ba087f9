"""What of a backbone is exact, what is off and why, and what memory it takes; no weights are loaded or fetched.

    python -m fireact.models.check backbone=qwen3_4b           one of conf/backbone
    python -m fireact.models.check backbone=DIR                a folder that holds a config.json
    python -m fireact.models.check backbone=Qwen/Qwen3-4B      a name on the model hub; fetches its config.json
    python -m fireact.models.check backbone=DIR adapter=lora   any other key of train.py
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, PretrainedConfig

from fireact import cli
from fireact.commands import end_with
from fireact.errors import ConfigError, FireActError, ModelError
from fireact.models import probe
from fireact.models.adapters import merges
from fireact.models.backbone import Adapter, Backbone
from fireact.models.shape import GIB, Shape, Tuning, acting_bytes, bytes_per_position, training_bytes
from fireact.models.weights import configuration
from fireact.training import shortcuts

_ALL = 1e9  # GiB: no bound
_DIALOGUES, _CONTEXT = 8, 4096  # of which the memory for acting is told


def check(backbone: Backbone, adapter: Adapter, packing: bool) -> list[str]:
    """A line for everything that is off when ``backbone`` is tuned with ``adapter`` and then acts.

    Raises:
        ConfigError: it can't take such an adapter.
        ModelError: it can't be tuned, or could not act afterwards.
    """
    config = configuration(backbone)
    quantised = getattr(config, "quantization_config", None)
    if quantised and adapter.quantization:
        method = quantised.get("quant_method") if isinstance(quantised, dict) else quantised.quant_method
        raise ConfigError(f"the weights of backbone {backbone.name} are quantised already ({method}), and "
                          f"adapter.quantization={adapter.quantization} would not be applied; choose adapter=lora")
    adapter.check(backbone)
    lines = list(shortcuts.found(config, backbone.name, backbone.cache_dir, packing).lines())
    acts = probe.equal(config, "generates", generated, backbone.cache_dir)
    if acts.kind == "fails":
        raise ModelError(f"backbone {backbone.name} could be tuned but not act: {acts.why} when it generates; choose "
                         "another")
    if acts.kind == "off":
        lines.append(f"token by token it gives other numbers than in one pass, by its own code: {acts.why}")
    if acts.kind == "untried":
        lines.append(f"whether it can act is not known before it is loaded: {acts.why}")
    shape = Shape.of_config(config.to_dict())
    if shape is not None and shape.fused and adapter.quantization:
        width = 4 if backbone.torch_dtype() == torch.float32 else 2
        lines.append(f"{shape.fused:,} of its weights are fused experts, which adapter={adapter.name} leaves dense: "
                     f"{shape.fused * width / GIB:.1f} GiB")
    return [f"backbone {backbone.name}: {line}" for line in lines]


@torch.no_grad()
def generated(toy: Any) -> probe.Pairs:
    """The logits that greedy generation picks by, past any window, and those of one forward pass over all of it."""
    ids = torch.arange(2, 16)[None]
    toy.generation_config = GenerationConfig()  # whatever the architecture brings would change what is said
    config = GenerationConfig(
        max_new_tokens=6, do_sample=False, use_cache=True, pad_token_id=1, return_dict_in_generate=True,
        output_logits=True,
    )  # fmt: skip
    said = toy.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=config)
    logits = toy(input_ids=said.sequences, use_cache=False).logits[:, ids.shape[1] - 1 : -1]
    yield torch.stack(said.logits, dim=1), logits.float()


def report(backbone: Backbone, adapter: Adapter) -> Iterator[str]:
    """What ``python -m fireact.models.check`` prints, line by line."""
    config = configuration(backbone)
    yield f"{backbone.name}: {config.model_type}, {type(config).__name__}"
    try:
        lines = check(backbone, adapter, packing=True)
    except FireActError as error:
        lines = [str(error)]
    yield from lines or ["exact: logits at labels only, padding, packing, generation"]
    if adapter.kind == "lora":
        merged = merges(adapter, backbone, config)
        if merged.exact:
            yield "exact: an adapter merged into the weights"
        elif merged.kind != "fails":  # which the lines before refuse
            yield f"it acts unmerged: {merged.why}"
    yield from _memory(config, adapter, backbone.torch_dtype())


def _memory(config: PretrainedConfig, adapter: Adapter, dtype: torch.dtype) -> Iterator[str]:
    shape = Shape.of_config(config.to_dict())
    if shape is None:
        yield "memory: its config.json tells no shape that is known here"
        return
    width, name = dtype.itemsize, str(dtype).removeprefix("torch.")
    tuning = Tuning.of(dataclasses.asdict(adapter), width)
    yield f"weights: {shape.parameters / 1e9:.2f} billion, about"
    for tokens in (1024, 4096):
        needed = training_bytes(shape, tuning, tokens) / GIB
        yield f"tuning in {name} with adapter={adapter.name}, micro_batch_tokens={tokens}: about {needed:.1f} GiB"
    needed = acting_bytes(shape, width, _DIALOGUES, _CONTEXT, _ALL) / GIB
    each = bytes_per_position(shape, width) * _CONTEXT / GIB
    yield (f"acting in {name}, {_DIALOGUES} dialogues of {_CONTEXT} tokens: about {needed:.1f} GiB, {each:.2f} of it "
           "a dialogue")


def _parts(arguments: Sequence[str]) -> tuple[Backbone, Adapter]:
    """The backbone and adapter that a command names."""
    given = dict(argument.partition("=")[::2] for argument in arguments)
    named = given.pop("backbone", "")
    others = [f"{key}={value}" for key, value in given.items()]
    if not named or "/" not in named and not Path(named).is_dir():
        cfg = cli.compose("train", arguments)
        return cli.build(cfg.backbone), cli.build(cfg.adapter)
    cfg = cli.compose("train", ["backbone=llama31_8b", *others])
    is_folder = Path(named).is_dir()
    backbone = dataclasses.replace(
        cli.build(cfg.backbone), name=Path(named).name, hub=named, path=named if is_folder else None
    )
    return backbone, cli.build(cfg.adapter)


def main(arguments: Sequence[str]) -> int:
    """Print the report of the backbone that ``arguments`` name; returns the exit code."""
    if not arguments or {"-h", "--help"} & set(arguments):
        print((__doc__ or "").strip())
        return 0
    try:
        for line in report(*_parts(arguments)):
            print(line)
    except Exception as error:
        if (sentence := cli.explain(error)) is None:
            raise
        print(sentence, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    end_with(lambda: main(sys.argv[1:]))

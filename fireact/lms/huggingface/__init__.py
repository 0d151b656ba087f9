"""A local model, tuned or not, answering many dialogues at once through one continuously batched engine.

The engine and its torch are imported when a model is made, so that what it takes can be told without.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Interval

from fireact.errors import ConfigError, ModelError
from fireact.formats import text_format
from fireact.formats.base import TextFormat, encode
from fireact.lms.base import Completion
from fireact.models.backbone import Backbone
from fireact.ranges import Count, NonNegative, Positive, Seed
from fireact.trajectories.dialogue import Dialogue, cut_turn, turn_is_over

if TYPE_CHECKING:
    import torch

    from fireact.lms.huggingface.engine import Request

_ON_A_CPU = 6.0  # GiB
_OF_FREE = 0.7  # of a GPU's free memory; a step over all dialogues takes of the rest
_OPEN = 4  # tokens before a question that the question's first words might change


class HuggingFace:
    """``LanguageModel`` over a backbone and, if ``adapter`` names a folder, the adapter tuned on it.

    Few-shot dialogues are plain ReAct text; without a few-shot prompt the backbone's own format is used, the one it
    was tuned in. Decoding is greedy at ``temperature`` 0, else sampled from a generator that depends on ``seed`` and
    the prompt alone. ``cache_gib`` bounds the memory of keys and values, and with it the dialogues in flight; those of
    a few-shot prompt are held once, besides. None is 6 GiB on a CPU, and most of what the weights leave free on a GPU.
    """

    def __init__(
        self,
        backbone: Backbone,
        adapter: str | None = None,
        temperature: NonNegative = 0.0,
        seed: Seed = 0,
        max_new_tokens: Count = 96,
        max_context: Annotated[int, Interval(ge=2, le=10**9)] = 2048,
        concurrency: Count = 64,
        cache_gib: Positive | None = None,
    ) -> None:
        from fireact.lms.huggingface.engine import Engine
        from fireact.models.adapters import load_for_acting

        self.name = backbone.name if adapter is None else f"{backbone.name}+{adapter}"
        self._tokenizer = backbone.tokenizer()
        self._tuned = backbone.text_format(self._tokenizer)
        self._prompted = text_format("react", self._tokenizer)
        model = load_for_acting(backbone, adapter)
        self._end_ids = _end_ids(model, self._tokenizer, (self._tuned, self._prompted))
        self._temperature, self._seed = temperature, seed
        self._max_new_tokens, self._max_context = max_new_tokens, max_context
        cache_gib = room(model.device) if cache_gib is None else cache_gib
        self.concurrency = min(concurrency, _slots_within(cache_gib, model, max_context))
        try:
            self._engine = Engine(model, self.concurrency, max_context)
        except (RuntimeError, OSError) as error:  # torch on a GPU, the system on a CPU
            raise ModelError(f"there is no memory for lm.cache_gib={cache_gib} of keys and values beside the model; "
                             "lower it") from error
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")
        self._beginnings: dict[str, list[int]] = {}  # by few-shot text
        self._answers: dict[Request, asyncio.Future[None]] = {}
        self._loop: asyncio.Task[None] | None = None

    async def complete(self, dialogue: Dialogue) -> Completion:
        """See ``LanguageModel``; raises ModelError where the prompt leaves no room in ``max_context``."""
        from fireact.lms.huggingface.engine import Request

        layout = self._prompted if dialogue.few_shot else self._tuned
        prompt, _ = encode(layout.segments(dialogue), self._tokenizer)
        if len(prompt) + self._max_new_tokens > self._max_context:
            raise ModelError(f"a prompt of {len(prompt)} tokens leaves no room for {self._max_new_tokens} more within "
                             f"lm.max_context={self._max_context}; raise it or ask for fewer rounds")
        request = Request(
            prompt, partial(self._stops, layout), self._max_new_tokens, self._temperature, self._generator(prompt),
            shared=self._beginning(layout, dialogue.few_shot, prompt),
        )
        await self._generate(request)
        return self._completion(request, layout, dialogue.opening)

    async def aclose(self) -> None:
        """Wait for the step under way and end the engine's thread."""
        if self._loop is not None:
            self._loop.cancel()
        self._thread.shutdown(cancel_futures=True)

    async def _generate(self, request: Request) -> None:
        self._answers[request] = asyncio.get_running_loop().create_future()
        self._engine.submit(request)
        if self._loop is None or self._loop.done():
            self._loop = asyncio.create_task(self._serve())
        await self._answers[request]

    async def _serve(self) -> None:
        """Step the engine in its own thread (always the same one: torch keeps a worker pool per calling thread)."""
        while not self._engine.idle:
            try:
                finished = await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.step)
            except RuntimeError as error:  # out of memory, above all
                self._fail(error)
                return
            for request in finished:
                self._answers.pop(request).set_result(None)
            for _ in range(3 if finished else 1):  # let those that were answered search and ask again first
                await asyncio.sleep(0)

    def _fail(self, error: Exception) -> None:
        reason = str(error).splitlines()[0]
        for answer in self._answers.values():
            answer.set_exception(ModelError(f"the local model stopped: {reason}; lower lm.concurrency if memory is "
                                            "short"))
        self._answers.clear()

    def _beginning(self, layout: TextFormat, few_shot: str, prompt: list[int]) -> int:
        """How many first tokens the prompt shares with every other of its few-shot text."""
        if few_shot not in self._beginnings:
            ids, _ = encode(layout.segments(Dialogue("", few_shot)), self._tokenizer)
            self._beginnings[few_shot] = ids[:-_OPEN]
        ids = self._beginnings[few_shot]
        return len(ids) if prompt[: len(ids)] == ids else 0

    def _stops(self, layout: TextFormat, generated: list[int]) -> bool:
        if generated[-1] in self._end_ids:
            return True
        return turn_is_over(self._tokenizer.decode(generated), layout.stop_texts)

    def _completion(self, request: Request, layout: TextFormat, opening: str) -> Completion:
        ids = request.generated
        ended = ids[-1] in self._end_ids
        text = self._tokenizer.decode(ids[:-1] if ended else ids)
        said = cut_turn(text, layout.stop_texts).rstrip()
        said = said if opening else said.lstrip()  # what follows an opening may begin on a new line
        closed = layout.closed(said, text, self._tokenizer.convert_ids_to_tokens(ids[-1]) if ended else "")
        kept = tuple(ids) if closed and not opening else None
        return Completion(said, kept, len(request.prompt), len(ids))

    def _generator(self, prompt: list[int]) -> torch.Generator | None:
        import torch

        if self._temperature == 0:
            return None
        return torch.Generator().manual_seed(zlib.crc32(repr((self._seed, prompt)).encode()))


def _end_ids(model: Any, tokenizer: Any, layouts: Iterable[TextFormat]) -> frozenset[int]:
    """The tokens after which this model says nothing more: what ends a turn in these formats, and its own end tokens.

    A base model's own is often another than the one that its chat template ends turns with, which tuning teaches it.
    """
    configured = model.generation_config.eos_token_id
    several = configured if isinstance(configured, list) else [configured]
    ends = [tokenizer.convert_tokens_to_ids(layout.end_token) for layout in layouts if layout.end_token]
    return frozenset(i for i in [*several, tokenizer.eos_token_id, *ends] if i is not None)


def room(device: torch.device) -> float:
    """GiB for keys and values on ``device``, whose memory holds the weights already."""
    if device.type != "cuda":
        return _ON_A_CPU
    free, _ = torch.cuda.mem_get_info(device)
    return round(_OF_FREE * free / 2**30, 1)


def _slots_within(cache_gib: float, model: Any, max_context: int) -> int:
    """How many dialogues of ``max_context`` tokens fit."""
    from fireact.lms.huggingface.cache import SlotCache

    if set(getattr(model.config, "layer_types", None) or ["full_attention"]) != {"full_attention"}:
        raise ModelError("this backbone's attention is not causal over the whole text, which the local engine needs; "
                         "serve it (for example with vLLM) and use lm=openai")
    per_slot = SlotCache.bytes_per_token(model.config, model.dtype) * (max_context + 1)
    slots = int(cache_gib * 2**30 // per_slot)
    if slots < 1:
        raise ConfigError(f"lm.cache_gib={cache_gib} does not hold one dialogue of lm.max_context={max_context} tokens "
                          f"({per_slot / 2**30:.2f} GiB); raise the one or lower the other")
    return slots

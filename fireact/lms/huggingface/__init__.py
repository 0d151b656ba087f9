"""A local model, tuned or not, answering many dialogues at once: through one continuously batched engine where a trial
shows that it gives the model's own numbers, else through transformers' own generation.

Both, and their torch, are imported when a model is made, so that what it takes can be told without.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Interval

from fireact.errors import ModelError
from fireact.formats import text_format
from fireact.formats.base import TextFormat
from fireact.lms.base import Completion
from fireact.models.backbone import Backbone
from fireact.ranges import Count, NoEffect, NonNegative, Positive, Seed
from fireact.trajectories.dialogue import Dialogue

if TYPE_CHECKING:
    import torch

    from fireact.lms.huggingface.request import Request

_ON_A_CPU = 6.0  # GiB
_OF_FREE = 0.7  # of a GPU's free memory; a step over all dialogues takes of the rest
_OPEN = 4  # tokens before a question that the question's first words might change


class HuggingFace:
    """``LanguageModel`` over a backbone and, if ``adapter`` names a folder, the adapter tuned on it.

    Few-shot dialogues are plain ReAct text; without a few-shot prompt the backbone's own format is used, the one it
    was tuned in. Decoding is greedy at ``temperature`` 0, else sampled from a generator that depends on ``seed`` and
    the prompt alone. ``cache_gib`` bounds the memory of keys and values, and with it the dialogues in flight; those of
    a few-shot prompt are held once, besides. None is 6 GiB on a CPU, and most of what the weights leave free on a GPU.

    Raises:
        ModelError: the weights or the adapter can't be loaded, or there is no memory for keys and values.
        ConfigError: ``cache_gib`` does not hold one dialogue of ``max_context`` tokens.
    """

    def __init__(
        self,
        backbone: Backbone,
        adapter: NoEffect[str | None] = None,
        temperature: NonNegative = 0.0,
        seed: Seed = 0,
        max_new_tokens: Count = 96,
        max_context: Annotated[int, Interval(ge=2, le=10**9)] = 2048,
        concurrency: NoEffect[Count] = 64,
        cache_gib: NoEffect[Positive | None] = None,
    ) -> None:
        from fireact.lms.huggingface.choice import actor_of
        from fireact.models.adapters import encoding_of, load_for_acting

        self.name = backbone.name if adapter is None else f"{backbone.name}+{adapter}"
        self._tokenizer = backbone.tokenizer()
        self._tuned = backbone.text_format(self._tokenizer, encoding_of(adapter))
        self._prompted = text_format("react", self._tokenizer)
        model = load_for_acting(backbone, adapter)
        self._end_ids = _end_ids(model, self._tokenizer, (self._tuned, self._prompted))
        self._temperature, self._seed = temperature, seed
        self._max_new_tokens, self._max_context = max_new_tokens, max_context
        cache_gib = room(model.device) if cache_gib is None else cache_gib
        self._actor, self.concurrency = actor_of(model, backbone, concurrency, max_context, cache_gib)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")
        self._beginnings: dict[str, list[int]] = {}  # by few-shot text
        self._answers: dict[Request, asyncio.Future[None]] = {}
        self._loop: asyncio.Task[None] | None = None

    async def complete(self, dialogue: Dialogue) -> Completion:
        """See ``LanguageModel``; raises ModelError where the prompt leaves no room in ``max_context``."""
        from fireact.lms.huggingface.request import Request

        layout = self._prompted if dialogue.few_shot else self._tuned
        prompt = layout.prompt(dialogue)
        if len(prompt) + self._max_new_tokens > self._max_context:
            raise ModelError(f"a prompt of {len(prompt)} tokens leaves no room for {self._max_new_tokens} more within "
                             f"lm.max_context={self._max_context}; raise it or ask for fewer rounds")
        stop = partial(self._stops, layout, dialogue.prefill)
        request = Request(
            prompt, stop, self._max_new_tokens, self._temperature, self._generator(prompt),
            shared=self._beginning(layout, dialogue.few_shot, prompt),
        )
        await self._generate(request)
        return self._completion(request, layout, dialogue)

    async def aclose(self) -> None:
        """Wait for the step under way and end the engine's thread."""
        if self._loop is not None:
            self._loop.cancel()
        self._thread.shutdown(cancel_futures=True)

    async def _generate(self, request: Request) -> None:
        self._answers[request] = asyncio.get_running_loop().create_future()
        self._actor.submit(request)
        if self._loop is None or self._loop.done():
            self._loop = asyncio.create_task(self._serve())
        await self._answers[request]

    async def _serve(self) -> None:
        """Step the engine in its own thread (always the same one: torch keeps a worker pool per calling thread)."""
        while not self._actor.idle:
            try:
                finished = await asyncio.get_running_loop().run_in_executor(self._thread, self._actor.step)
            except Exception as error:  # out of memory, above all; whatever it is, nobody may wait for ever
                self._fail(error)
                return
            for request in finished:
                self._answers.pop(request).set_result(None)
            for _ in range(3 if finished else 1):  # let those that were answered search and ask again first
                await asyncio.sleep(0)

    def _fail(self, error: Exception) -> None:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        for answer in self._answers.values():
            answer.set_exception(ModelError(f"the local model stopped: {reason}; lower lm.concurrency if memory is "
                                            "short"))
        self._answers.clear()

    def _beginning(self, layout: TextFormat, few_shot: str, prompt: list[int]) -> int:
        """How many first tokens the prompt shares with every other of its few-shot text."""
        if few_shot not in self._beginnings:
            self._beginnings[few_shot] = layout.prompt(Dialogue("", few_shot))[:-_OPEN]
        ids = self._beginnings[few_shot]
        return len(ids) if prompt[: len(ids)] == ids else 0

    def _stops(self, layout: TextFormat, prefill: str, generated: list[int]) -> bool:
        if generated[-1] in self._end_ids:
            return True
        _, spoken = layout.heard(self._tokenizer.decode(generated), prefill)
        return layout.over(spoken)

    def _completion(self, request: Request, layout: TextFormat, dialogue: Dialogue) -> Completion:
        ids, prefill = request.generated, dialogue.prefill
        ended = ids[-1] in self._end_ids
        text = self._tokenizer.decode(ids[:-1] if ended else ids)
        reasoning, spoken = layout.heard(text, prefill)
        said = layout.cut(spoken)
        said = said if prefill else said.lstrip()  # what follows a prefill may begin on a new line
        closed = layout.closed(said, text, self._tokenizer.convert_ids_to_tokens(ids[-1]) if ended else "")
        kept = tuple(ids) if closed and not prefill else None
        turn = layout.kept(reasoning) + said
        steps = layout.steps(prefill + turn, dialogue, whole=ended or layout.over(spoken))
        return Completion(turn, kept, len(request.prompt), len(ids), steps=steps)

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
    ends = [tokenizer.convert_tokens_to_ids(token) for layout in layouts for token in layout.end_tokens]
    return frozenset(i for i in [*several, tokenizer.eos_token_id, *ends] if i is not None)


def room(device: torch.device) -> float:
    """GiB for keys and values on ``device``, whose memory holds the weights already."""
    if device.type != "cuda":
        return _ON_A_CPU
    free, _ = torch.cuda.mem_get_info(device)
    return round(_OF_FREE * free / 2**30, 1)

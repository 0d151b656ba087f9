"""Continuous batching of a local model: every step feeds all running dialogues, and a finished one frees its slot.

A few-shot prompt's keys and values are computed once and held once, whoever goes on after it. A slot remembers the
tokens whose keys and values it holds: a prompt that continues a slot is only fed its new tokens, and one that begins
like any slot copies the common part instead of computing it again. Few dialogues go several tokens ahead in a step,
where they say what they could be guessed to say.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import torch

from fireact.lms.huggingface.attention import after, use_parts
from fireact.lms.huggingface.cache import Masks, SlotCache, layout
from fireact.lms.huggingface.head import Head
from fireact.lms.huggingface.patterns import Pattern
from fireact.lms.huggingface.request import Request

_WORTH_WAITING = 64  # tokens that another prompt is about to compute anyway
_AT_ONCE = 16  # tokens, guesses included, that a step takes little longer for than for one


class Engine:
    """Greedy outputs do not depend on what else is in the batch: rows never see each other (float32)."""

    def __init__(self, model: Any, slots: int, max_context: int = 2048, share: bool = True) -> None:
        pattern = Pattern.of(model.config)
        self._decoder, self._head = model.get_decoder(), Head(model)
        self._device, self._dtype = model.device, model.dtype
        self._cache = SlotCache(layout(model), pattern, slots, max_context, model.dtype, model.device)
        self._can_share = use_parts(model) and share
        self._adds_masks = model.config._attn_implementation == "eager"
        self._beginning: list[int] = []  # the tokens that the cache holds apart
        self._held: list[list[int]] = [[] for _ in range(slots)]  # the tokens of each slot, a shared beginning included
        self._start = [0] * slots  # how many of them are the beginning's
        self._last_used = [0] * slots
        self._clock = 0
        self._waiting: deque[Request] = deque()
        self._running: dict[int, Request] = {}

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not (self._waiting or self._running)

    def submit(self, request: Request) -> None:
        """Queue a request; it starts at the next ``step`` with a free slot."""
        self._waiting.append(request)

    @torch.inference_mode()
    def step(self) -> list[Request]:
        """Admit what fits, give every running request one more token; returns the requests this finished."""
        self._clock += 1
        finished = [r for r in self._decode() if r.finished]
        for alike in self._by_start(self._admit()):
            for group in _by_length(alike, lambda r: len(r.prompt) - len(self._held[r.slot])):
                finished += [r for r in self._prefill(group) if r.finished]
        for request in finished:
            del self._running[request.slot]
        return finished

    def _admit(self) -> list[Request]:
        """Give waiting requests slots, in order; one that shares a long new prefix with another waits a step."""
        admitted: list[Request] = []
        for request in list(self._waiting):
            slot = self._best_slot(request.prompt)
            if slot is None:
                break
            start = self._begin(request)
            donors = [s for s in range(len(self._held)) if self._start[s] == start]
            commons = {s: min(_common(self._held[s], request.prompt), len(request.prompt) - 1) for s in donors}
            donor = max(commons, key=lambda s: commons[s], default=slot)
            known = max(start, commons.get(donor, start))
            if any(_common(other.prompt, request.prompt) >= known + _WORTH_WAITING for other in admitted):
                continue
            if donor != slot:
                self._cache.copy(donor, slot, known - start)
            self._held[slot], self._start[slot] = request.prompt[:known], start
            request.slot, self._last_used[slot] = slot, self._clock
            self._running[slot] = request
            self._waiting.remove(request)
            admitted.append(request)
        return admitted

    def _begin(self, request: Request) -> int:
        """After how many shared tokens, held apart, the request starts: its own, or 0 where others hold that place."""
        beginning = request.prompt[: request.shared]
        if len(beginning) < _WORTH_WAITING or not self._can_share:
            return 0
        if beginning != self._beginning:
            if any(self._start[slot] for slot in self._running):
                return 0
            self._hold(beginning)
        return len(beginning)

    def _hold(self, beginning: list[int]) -> None:
        """Compute the keys and values that many requests share; slots that went on after others are worth nothing."""
        for slot, start in enumerate(self._start):
            if start:
                self._held[slot], self._start[slot] = [], 0
        masks = self._cache.aim_at_shared(len(beginning))
        ids = torch.tensor([beginning], device=self._device)
        self._hidden(ids, torch.arange(len(beginning), device=self._device).unsqueeze(0), masks)
        self._beginning = beginning

    def _by_start(self, requests: Sequence[Request]) -> list[list[Request]]:
        """Those that go on after the shared beginning, and those that don't; no empty group."""
        groups = [[r for r in requests if bool(self._start[r.slot]) == shared] for shared in (True, False)]
        return [group for group in groups if group]

    def _best_slot(self, prompt: list[int]) -> int | None:
        """The free slot that the prompt continues, else the one unused for longest; None if all are busy."""
        free = [s for s in range(len(self._held)) if s not in self._running]
        continued = [s for s in free if self._held[s] and self._held[s] == prompt[: len(self._held[s])]]
        if continued:
            return max(continued, key=lambda s: len(self._held[s]))
        return min(free, key=lambda s: self._last_used[s], default=None)

    def _prefill(self, requests: list[Request]) -> list[Request]:
        """Feed each prompt's new tokens (right-padded to the longest) and take each first token."""
        starts = [len(self._held[r.slot]) for r in requests]
        fresh = [r.prompt[start:] for r, start in zip(requests, starts, strict=True)]
        width = max(map(len, fresh))
        ids = torch.tensor([tokens + [0] * (width - len(tokens)) for tokens in fresh])
        logits = self._forward([r.slot for r in requests], ids, starts, [[len(tokens) - 1] for tokens in fresh])
        for request, row in zip(requests, logits, strict=True):
            request.take(row[0])
            self._held[request.slot] = list(request.prompt)
        return requests

    def _decode(self) -> list[Request]:
        """Feed every running request its last token, and guesses at the next ones where that costs little."""
        self._close_ranks()
        running = [self._running[slot] for slot in sorted(self._running)]
        return [request for alike in self._by_start(running) for request in self._decode_alike(alike)]

    def _close_ranks(self) -> None:
        """Where few slots are running, make them the first, whose keys and values are read in place."""
        if 2 * len(self._running) > max(self._running, default=0):
            return
        free = (slot for slot in range(len(self._running)) if slot not in self._running)
        for high in [slot for slot in self._running if slot >= len(self._running)]:
            low = next(free)
            length = max(len(self._held[slot]) - self._start[slot] for slot in (low, high))
            self._cache.swap(low, high, length)
            for of_slot in (self._start, self._last_used):
                of_slot[low], of_slot[high] = of_slot[high], of_slot[low]
            self._held[low], self._held[high] = self._held[high], self._held[low]
            self._running[low] = self._running.pop(high)
            self._running[low].slot = low

    def _decode_alike(self, requests: list[Request]) -> list[Request]:
        """Where most slots up to the last of these are running, those in between ride along with dummy tokens, whose
        keys lie beyond their length: cheaper than gathering the others' keys and values."""
        fed = {r.slot: [r.generated[-1], *self._guess(r, _AT_ONCE // len(requests) - 1)] for r in requests}
        rows = list(range(max(fed) + 1))
        if 2 * len(requests) < len(rows):
            rows = sorted(fed)
        width = max(map(len, fed.values()))
        ids = torch.tensor([[*fed.get(slot, []), *[0] * width][:width] for slot in rows])
        wanted = [list(range(len(fed.get(slot, [])))) for slot in rows]
        logits = self._forward(rows, ids, [len(self._held[slot]) for slot in rows], wanted)
        for request, of_request in zip(requests, (some for some in logits if len(some)), strict=True):
            said = self._take(request, of_request, fed[request.slot][1:])
            self._held[request.slot] += fed[request.slot][:said]
            request.lookup.reach = 2 * said
            self._last_used[request.slot] = self._clock
        return requests

    def _guess(self, request: Request, most: int) -> Sequence[int]:
        left = request.max_new_tokens - len(request.generated) - 1
        if request.temperature or (most := min(most, left)) < 1:
            return []
        return request.lookup.guess(request.prompt + request.generated, most)

    def _take(self, request: Request, logits: torch.Tensor, guesses: Sequence[int]) -> int:
        """Say a token, and another for every guess that was right; returns how many."""
        before = len(request.generated)
        for row, guess in zip(logits, [*guesses, None], strict=True):
            if request.take(row) != guess or request.finished:
                break
        return len(request.generated) - before

    def _forward(
        self, rows: list[int], ids: torch.Tensor, starts: list[int], wanted: list[list[int]]
    ) -> tuple[torch.Tensor, ...]:
        """One pass over ids (B, Q) of the slots ``rows``, which hold ``starts`` tokens; each row's logits (N, V) after
        its N ``wanted`` columns. The rows begin alike: all after the shared beginning, or none."""
        positions = (torch.tensor(starts).unsqueeze(1) + torch.arange(ids.shape[1])).to(self._device)
        apart = torch.tensor([[self._start[slot]] for slot in rows], device=self._device)
        masks = self._cache.aim(rows, positions - apart)
        shares = any(self._start[slot] for slot, columns in zip(rows, wanted, strict=True) if columns)
        with after(self._cache if shares else None):
            hidden = self._hidden(ids.to(self._device), positions, masks)
        places = [(row, column) for row, columns in enumerate(wanted) for column in columns]
        logits = self._head(hidden[tuple(zip(*places, strict=True))])
        return logits.split([len(columns) for columns in wanted])

    def _hidden(self, ids: torch.Tensor, positions: torch.Tensor, masks: Masks) -> torch.Tensor:
        """Hidden states (B, Q, H) of ids (B, Q) at their positions; the cache says where they are kept."""
        if self._adds_masks:
            masks = _added(masks, self._dtype)
        hidden: torch.Tensor = self._decoder(
            input_ids=ids, position_ids=positions, attention_mask=masks, past_key_values=self._cache, use_cache=True
        ).last_hidden_state
        return hidden


def _added(masks: Masks, dtype: torch.dtype) -> Masks:
    """The masks as what is added to scores: 0 where a key is seen, the lowest number where it isn't."""
    if isinstance(masks, dict):
        return {kind: torch.where(seen, 0.0, torch.finfo(dtype).min).to(dtype) for kind, seen in masks.items()}
    return torch.where(masks, 0.0, torch.finfo(dtype).min).to(dtype)


def _common(a: list[int], b: list[int]) -> int:
    """The length of the longest common prefix."""
    limit = min(len(a), len(b))
    if a[:limit] == b[:limit]:
        return limit
    return next(i for i in range(limit) if a[i] != b[i])


def _by_length(requests: list[Request], length: Callable[[Request], int]) -> list[list[Request]]:
    """Groups whose members are at least half as long as their longest, so that little is padding."""
    groups: list[list[Request]] = []
    for request in sorted(requests, key=length, reverse=True):
        if groups and 2 * length(request) >= length(groups[-1][0]):
            groups[-1].append(request)
        else:
            groups.append([request])
    return groups

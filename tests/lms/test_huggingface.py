from __future__ import annotations

import asyncio
import copy
import mmap
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from fireact.errors import ConfigError, ModelError
from fireact.formats import text_format
from fireact.lms.base import Completion
from fireact.lms.huggingface import HuggingFace, _end_ids
from fireact.lms.huggingface.attention import after, attend
from fireact.lms.huggingface.engine import Engine
from fireact.lms.huggingface.generation import Generation
from fireact.lms.huggingface.lookup import Lookup
from fireact.lms.huggingface.request import Request
from fireact.models.adapters import load_for_acting
from fireact.models.backbone import Adapter, Backbone
from fireact.trajectories.dialogue import Dialogue, Turn
from tests.conftest import CHATML

QUESTIONS = [f"Who wrote {title}?" for title in ("a book", "it", "Y", "the longest of all the books by Y", "I", "find")]
FEW_SHOT = "Find the answer. " * 20


def greedy(model, prompt: list[int], n: int) -> list[int]:
    """The reference: one text, the whole of it encoded again for every token."""
    ids = list(prompt)
    for _ in range(n):
        with torch.inference_mode():
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


def run_engine(engine: Engine, prompts: list[list[int]], n: int, shared: list[int] | None = None) -> list[list[int]]:
    shares = shared or [0] * len(prompts)
    requests = [Request(prompt, lambda _: False, n, shared=s) for prompt, s in zip(prompts, shares, strict=True)]
    for request in requests:
        engine.submit(request)
    while not engine.idle:
        engine.step()
    return [request.generated for request in requests]


def widths(engine: Engine, monkeypatch) -> list[int]:
    """Of every forward pass that the engine makes from now on: the most tokens it feeds a row."""
    fed, forward = [], engine._forward
    monkeypatch.setattr(engine, "_forward", lambda *args: (fed.append(args[1].shape[1]), forward(*args))[1])
    return fed


@pytest.mark.parametrize("slots", [1, 2, 4, 16])
def test_greedy_tokens_are_those_of_the_unbatched_loop(tiny, slots):
    model, tokenizer = load_for_acting(tiny, None), tiny.tokenizer()
    layout = text_format("react", tokenizer)
    prompts = [layout.prompt(Dialogue(q, FEW_SHOT)) for q in QUESTIONS]
    assert run_engine(Engine(model, slots), prompts, 12) == [greedy(model, prompt, 12) for prompt in prompts]


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("slots", [1, 3, 16])
def test_guesses_save_steps_and_change_no_token(tiny, slots, shared, monkeypatch):
    model, engine = (load_for_acting(tiny, None) for _ in range(2))
    engine = Engine(engine, slots)
    fed = widths(engine, monkeypatch)
    beginning = list(range(100, 180)) if shared else []
    prompts = [[*beginning, *range(5 + i, 15 + i), *range(5 + i, 9 + i)] for i in range(4)]
    said = run_engine(engine, prompts, 60, [len(beginning)] * 4)
    assert said == [greedy(model, prompt, 60) for prompt in prompts]
    assert len(fed) < 0.8 * 60 * -(-4 // slots)  # the tiny model soon repeats itself


def test_few_dialogues_close_ranks_and_change_no_token(tiny):
    model = load_for_acting(tiny, None)
    engine, prompts = Engine(model, 16), [list(range(5 + i, 25 + i)) for i in range(16)]
    lengths = [40 if i in (6, 11, 15) else 2 + i % 3 for i in range(16)]
    requests = [Request(p, lambda _: False, n) for p, n in zip(prompts, lengths, strict=True)]
    for request in requests:
        engine.submit(request)
    while not engine.idle:
        engine.step()
    said = [request.generated for request in requests]
    assert said == [greedy(model, prompt, n) for prompt, n in zip(prompts, lengths, strict=True)]
    assert {requests[i].slot for i in (6, 11, 15)} == {0, 1, 2}
    assert sorted(engine._held) == sorted([*p, *words[:-1]] for p, words in zip(prompts, said, strict=True))


def test_padding_beyond_the_last_place_changes_no_token(tiny):
    model = load_for_acting(tiny, None)
    engine, long, short = Engine(model, 2, max_context=60), list(range(5, 45)), list(range(50, 55))
    said = run_engine(engine, [long, short], 2)
    prompts = [[*long, *said[0], *range(70, 80)], [*short, *said[1], *range(70, 91)]]
    assert run_engine(engine, prompts, 4) == [greedy(model, prompt, 4) for prompt in prompts]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads memory as Linux tells it")
def test_places_never_written_take_no_memory(tiny):
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE

    model, before = load_for_acting(tiny, None), resident()
    engine = Engine(model, 64, max_context=100_000)
    run_engine(engine, [[5, 6, 7]], 2)
    assert sum(keys.nbytes for keys in engine._cache._keys) > 800e6 > 10 * (resident() - before)


def test_a_guess_is_what_followed_the_same_words_last_time():
    lookup = Lookup()
    assert lookup.guess([1, 2, 1], 9) == [] and lookup.guess([1, 2, 1, 2], 9) == [1, 2]
    lookup = Lookup()
    lookup.reach = 9
    assert lookup.guess([1, 2, 3, 4], 9) == []
    assert lookup.guess([1, 2, 3, 4, 9, 2, 3], 9) == [4, 9, 2, 3]  # after 2 3
    assert lookup.guess([1, 2, 3, 4, 9, 2, 3, 5, 6, 1, 2, 3], 2) == [4, 9]  # after 1 2 3, though 2 3 stood later
    assert lookup.guess([1, 2, 3, 4, 9, 2, 3, 5, 6, 1, 2, 3, 7, 2, 3], 3) == [7, 2, 3]
    assert lookup.guess([1, 2, 3, 4, 9, 2, 3, 5, 6, 1, 2, 3, 7, 2, 3], 0) == []


def test_a_guess_stops_where_the_turn_does(tiny):
    model, prompt = load_for_acting(tiny, None), list(range(5, 45))
    alone = greedy(model, prompt, 40)
    for end in range(30, 40):
        request = Request(prompt, lambda generated, end=end: len(generated) == end, 40)
        engine = Engine(model, 1)
        engine.submit(request)
        while not engine.idle:
            engine.step()
        assert request.generated == alone[:end]
        assert engine._held[0] == [*prompt, *alone[: end - 1]]


def test_a_continued_prompt_feeds_only_its_new_tokens(tiny, monkeypatch):
    model = load_for_acting(tiny, None)
    monkeypatch.setattr("fireact.lms.huggingface.engine._AT_ONCE", 1)  # no guesses
    engine = Engine(model, 4)
    fed = widths(engine, monkeypatch)
    prompt = list(range(5, 105))
    [generated] = run_engine(engine, [prompt], 6)
    longer = [*prompt, *generated, 7, 8, 9]
    [more] = run_engine(engine, [longer], 4)
    # 100 prompt tokens and 5 more single ones; then the last generated token with the 3 new ones.
    assert fed == [100, 1, 1, 1, 1, 1, 4, 1, 1, 1]
    assert more == greedy(model, longer, 4)


def test_a_shared_beginning_is_computed_once(tiny, monkeypatch):
    engine, fed = Engine(load_for_acting(tiny, None), 4), []
    forward = engine._forward
    monkeypatch.setattr(engine, "_forward", lambda *args: (fed.append(tuple(args[1].shape)), forward(*args))[1])
    shared = [5 + i % 200 for i in range(150)]
    run_engine(engine, [[*shared, 6, 7], [*shared, 8], [*shared, 9, 10, 11]], 2)
    assert fed[0] == (1, 152)
    assert sorted(fed[1:])[-1][1] <= 3


BEGINNING = [5 + i % 200 for i in range(150)]
QUESTION_IDS = [[6, 7], [8], [9, 10, 11], [12, 13, 14, 15], [16]]


@pytest.mark.parametrize("slots", [1, 3, 8])
def test_a_beginning_held_once_changes_no_greedy_token(tiny, slots):
    model = load_for_acting(tiny, None)
    engine = Engine(model, slots)
    prompts = [*([*BEGINNING, *ids] for ids in QUESTION_IDS), QUESTION_IDS[2], [*reversed(BEGINNING), 6]]
    shared = [150, 150, 150, 150, 150, 0, 150]  # the last one's beginning is another, and finds the place taken or free
    said = run_engine(engine, prompts, 10, shared)
    assert said == [greedy(model, prompt, 10) for prompt in prompts]
    after = [*prompts[-1], *said[-1], 7, 8]  # its slot began at nothing; alone, it gets the place of the beginning
    assert run_engine(engine, [after], 4, [150]) == [greedy(model, after, 4)]
    longer = [[*prompt, *words, 7, 8, 9] for prompt, words in zip(prompts, said, strict=True)]
    assert run_engine(engine, longer, 4, shared) == [greedy(model, prompt, 4) for prompt in longer]


def test_a_beginning_is_computed_once_and_takes_no_place_in_the_slots(tiny, monkeypatch):
    engine, fed = Engine(load_for_acting(tiny, None), 4), []
    decoder = engine._decoder
    monkeypatch.setattr(engine, "_decoder", lambda **given: (fed.append(given["input_ids"].shape), decoder(**given))[1])
    prompts = [[*BEGINNING, *ids] for ids in QUESTION_IDS[:4]]
    run_engine(engine, prompts, 2, [150] * 4)
    assert fed == [(1, 150), (3, 4), (1, 1), (4, 1)]
    assert engine._cache._length == 5


def test_attention_over_two_parts_is_attention_over_the_whole():
    torch.manual_seed(0)
    rows, heads, kv_heads, queries, own, beginning, width = 3, 6, 2, 4, 9, 700, 8
    query = torch.randn(rows, heads, queries, width, dtype=torch.float64)
    keys, values = torch.randn(2, rows, kv_heads, own, width, dtype=torch.float64)
    shared = torch.randn(2, 1, kv_heads, beginning, width, dtype=torch.float64)
    seen = torch.rand(rows, 1, queries, own) < 0.5
    seen[..., 0] = True
    module, cache = SimpleNamespace(layer_idx=0), SimpleNamespace(shared=lambda _: (*shared, None))
    with after(cache):
        split, _ = attend(module, query, keys, values, seen, scaling=0.3)
    parts = zip(shared.expand(2, rows, -1, -1, -1), (keys, values), strict=True)
    everything = (torch.cat(part, dim=2) for part in parts)
    mask = torch.cat([torch.ones(rows, 1, queries, beginning, dtype=torch.bool), seen], dim=-1)
    whole = F.scaled_dot_product_attention(query, *everything, mask, scale=0.3, enable_gqa=True).transpose(1, 2)
    torch.testing.assert_close(split, whole, rtol=1e-6, atol=1e-7)  # its sums are kept in float32


@pytest.mark.slow
def test_dialogues_keep_their_tokens_between_rounds(smollm2):
    """With the real backbone: batched and single dialogues say the same, and turns that ended cleanly keep ids."""
    few_shot = "Answer with Thought and Action lines.\n\n" + "\n\n".join(
        f"Question: Who wrote {work}?\nThought: I need to find who wrote {work}.\nAction: search[{work}]"
        for work in ("Hamlet", "Faust", "Ulysses")
    )

    def act(concurrency: int) -> list[list[tuple[str, bool]]]:
        async def dialogue(lm: HuggingFace, question: str) -> list[tuple[str, bool]]:
            turns: tuple[Turn, ...] = ()
            for _ in range(2):
                said = await lm.complete(Dialogue(question, few_shot, turns))
                turns = (*turns, Turn(said.text, "Nothing was found.", said.ids))
            return [(turn.text, turn.ids is not None) for turn in turns]

        async def every() -> list[list[tuple[str, bool]]]:
            lm = HuggingFace(smollm2, concurrency=concurrency, max_new_tokens=32)
            questions = ("Who wrote Emma?", "Who was the first Tudor king?")
            said = await asyncio.gather(*(dialogue(lm, q) for q in questions))
            await lm.aclose()
            return said

        return asyncio.run(every())

    batched = act(8)
    assert batched == act(1)
    assert batched[0][0] == ("Thought: I need to find who wrote Emma.\nAction: search[Emma]", True)


ENDS = {"a token": "<|im_end|>\n", "a text": "\n### End\n"}


@pytest.fixture
def base_model(tokenizer, tmp_path):
    """Makes a model whose tokenizer ends texts otherwise (``<pad>``) than its chat template ends turns, and which says
    just the turns of a dialogue: its output layer solves for that."""

    def make(end: str, dialogue: Dialogue, architecture: str = "llama") -> Backbone:
        base = copy.deepcopy(tokenizer)
        base.eos_token = "<pad>"
        base.chat_template = CHATML.replace("<|im_end|>\n", end)
        torch.manual_seed(0)
        sizes = {"intermediate_size": 64, "num_attention_heads": 4} if architecture == "llama" else {}
        model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[architecture](
            vocab_size=len(base), hidden_size=128, num_hidden_layers=2, eos_token_id=base.pad_token_id,
            pad_token_id=base.pad_token_id, tie_word_embeddings=False, **sizes,
        ))  # fmt: skip
        [example] = text_format("chat", base).examples(dialogue, finished=True)
        ids = list(example.ids)
        places = [place for place, target in enumerate(example.targets) if target]
        with torch.no_grad():
            hidden = model.get_decoder()(torch.tensor([ids])).last_hidden_state[0, [place - 1 for place in places]]
            said = F.one_hot(torch.tensor([ids[place] for place in places]), len(base)).float()
            model.lm_head.weight.copy_((torch.linalg.pinv(hidden) @ said).T)
        model.save_pretrained(tmp_path)
        base.save_pretrained(tmp_path)
        return Backbone("base", "fireact/base", path=str(tmp_path), format="chat")

    return make


@pytest.mark.parametrize("architecture", ["llama", "mamba"])  # the engine, and transformers' own generation
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_turn_ends_where_the_template_ends_it_whatever_the_tokenizers_end_token(base_model, end, architecture):
    turns = Turn("Thought: I need it.\nAction: search[a book]", "A book by Y."), Turn("Y wrote it.", None)
    backbone = base_model(end, Dialogue("Who?", turns=turns), architecture)

    async def act() -> list[Completion]:
        lm = HuggingFace(backbone, max_new_tokens=60, max_context=512)
        assert type(lm._actor) is (Engine if architecture == "llama" else Generation)
        first = await lm.complete(Dialogue("Who?"))
        last = await lm.complete(Dialogue("Who?", turns=(Turn(first.text, turns[0].observation, first.ids),)))
        await lm.aclose()
        return [first, last]

    said, tokenizer = asyncio.run(act()), backbone.tokenizer()
    assert [completion.text for completion in said] == [turn.text for turn in turns]
    kept = [completion for completion in said if completion.ids is not None]
    assert kept == (said if end == ENDS["a token"] else said[1:])  # the end of an action's line comes before "### End"
    assert all(tokenizer.decode(completion.ids) == completion.text + end.rstrip() for completion in kept)
    prompts = (Dialogue("Who?"), Dialogue("Who?", turns=(Turn(said[0].text, turns[0].observation, said[0].ids),)))
    lengths = [len(backbone.text_format(tokenizer).prompt(d)) for d in prompts]
    assert [completion.tokens_in for completion in said] == lengths
    assert [completion.tokens_out for completion in kept] == [len(completion.ids) for completion in kept]


def test_generation_stops_at_every_end_token_that_is_known(base_model):
    backbone = base_model("<|im_end|>\n", Dialogue("Who?", turns=(Turn("Y", None),)))
    model, tokenizer = load_for_acting(backbone, None), backbone.tokenizer()
    model.generation_config.eos_token_id = [7, 8]
    layouts = backbone.text_format(tokenizer), text_format("react", tokenizer)
    ends = tokenizer.convert_tokens_to_ids(["<pad>", "<|im_end|>"])
    assert _end_ids(model, tokenizer, layouts) == {7, 8, *ends}


def test_sampling_depends_on_seed_and_prompt_alone(tiny):
    async def sample(seed: int, concurrency: int) -> list[str]:
        lm = HuggingFace(tiny, temperature=1.0, seed=seed, max_new_tokens=8, max_context=256, concurrency=concurrency)
        said = await asyncio.gather(*(lm.complete(Dialogue(q)) for q in QUESTIONS))
        await lm.aclose()
        return [completion.text for completion in said]

    first = asyncio.run(sample(0, 6))
    assert first == asyncio.run(sample(0, 2))
    assert first != asyncio.run(sample(1, 6))


def test_whatever_goes_wrong_in_a_step_nobody_waits_for_ever(tiny, monkeypatch):
    async def ask() -> None:
        lm = HuggingFace(tiny, max_new_tokens=8, max_context=256)
        monkeypatch.setattr(lm._actor, "step", lambda: [].pop())
        try:
            await asyncio.wait_for(lm.complete(Dialogue("Who?")), timeout=20)
        finally:
            await lm.aclose()

    with pytest.raises(ModelError, match="the local model stopped: pop from empty list; lower lm.concurrency"):
        asyncio.run(ask())


def test_what_does_not_fit_is_one_sentence(tiny):
    async def ask() -> None:
        lm = HuggingFace(tiny, max_new_tokens=8, max_context=40)
        try:
            await lm.complete(Dialogue("a book " * 50))
        finally:
            await lm.aclose()

    with pytest.raises(ModelError, match=r"leaves no room for 8 more within lm\.max_context=40; raise it"):
        asyncio.run(ask())
    with pytest.raises(ConfigError, match="does not hold one dialogue"):
        HuggingFace(tiny, cache_gib=1e-9)


@pytest.mark.parametrize("max_context", [64, 128, 2048])
def test_keys_and_values_stay_within_their_bound(tiny, max_context):
    lm = HuggingFace(tiny, max_context=max_context, cache_gib=0.0005)
    cache = lm._actor._cache
    assert lm.concurrency < 64 and sum(t.nbytes for t in (*cache._keys, *cache._values)) <= 0.0005 * 2**30


def test_a_cache_that_the_machine_has_no_room_for_is_refused(tiny):
    with pytest.raises(ModelError, match="no memory for lm.cache_gib=1000000000.0 .* lower it"):
        HuggingFace(tiny, max_context=10**12, cache_gib=1e9)


@pytest.mark.parametrize("quantization", [None, "nf4", "int8"])
def test_a_tuned_model_acts_through_the_engine_as_with_its_adapter_apart(tiny, quantization, tmp_path):
    adapter = Adapter("lora", "lora", quantization, targets=("q_proj", "v_proj", "o_proj"))
    tuned = adapter.apply(tiny)
    torch.manual_seed(3)
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    adapter.save(tuned, tiny, tiny.tokenizer(), tmp_path)

    async def ask() -> list[Completion]:
        lm = HuggingFace(tiny, str(tmp_path), max_new_tokens=12, max_context=256)
        assert type(lm._actor) is Engine and lm._actor._can_share
        said = await asyncio.gather(*(lm.complete(Dialogue(question)) for question in QUESTIONS))
        await lm.aclose()
        return said

    # LLM.int8() rounds activations too, so there only what is merged gives these very tokens
    apart, tokenizer = load_for_acting(tiny, str(tmp_path), merge=quantization == "int8"), tiny.tokenizer()
    plain, layout = load_for_acting(tiny, None), tiny.text_format(tokenizer)
    prompts = [layout.prompt(Dialogue(question)) for question in QUESTIONS]
    said = asyncio.run(ask())
    for completion, prompt in zip(said, prompts, strict=True):
        text = tokenizer.decode(greedy(apart, prompt, completion.tokens_out))
        assert text.lstrip().startswith(completion.text)
    assert any(greedy(apart, prompt, 12) != greedy(plain, prompt, 12) for prompt in prompts)

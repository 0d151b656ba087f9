"""The embedded world: the same for everyone, fair, split cleanly, and scored as the paper scores its tasks."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from fireact.errors import ConfigError
from fireact.miniwiki.articles import read
from fireact.miniwiki.difficulty import DIFFICULTIES
from fireact.miniwiki.relations import HELD_OUT
from fireact.miniwiki.task import MiniWiki
from fireact.miniwiki.world import build
from fireact.trajectories.records import Question, Score

CONF = Path(__file__).resolve().parents[2] / "conf" / "task"
TRAINABLE = ("miniwiki", "miniwiki_yesno", "miniwiki_choice")
ALL = (*TRAINABLE, "miniwiki_compose")
# The world and its questions are part of every published score: change this only on purpose, and say so.
SHA256 = "381acdb499aa2126d83dc19c17e9b45f2051a212dd92c228179afe3c4b773b0b"


def task(name: str, **settings: object) -> MiniWiki:
    return instantiate(OmegaConf.merge(OmegaConf.load(CONF / f"{name}.yaml"), settings))


def splits(name: str) -> tuple[str, ...]:
    return ("train", "dev", "test") if name in TRAINABLE else ("dev", "test")


def test_articles_and_questions_are_the_same_byte_for_byte() -> None:
    digest = hashlib.sha256()
    for name in ALL:
        for split in splits(name):
            drawn = task(name, split=split, limit=200)
            rows = [asdict(row) for row in [*drawn.documents(), *drawn.questions()]]
            assert not any(row.pop(later, None) for row in rows for later in ("system", "calls"))  # filled by nothing
            digest.update(json.dumps(rows, sort_keys=True).encode())
    assert digest.hexdigest() == SHA256


def test_there_are_enough_articles_and_none_is_longer_than_a_snippet() -> None:
    for difficulty in DIFFICULTIES:
        documents = build(0, difficulty).documents
        assert len({document.title for document in documents}) == len(documents) >= 2000
        assert max(len(document.text.split()) for document in documents) <= 40


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_every_article_states_its_facts_and_no_others(difficulty: str) -> None:
    world = build(1, difficulty)
    texts = {document.title: document.text for document in world.documents}
    for entity in (entity for members in world.entities.values() for entity in members):
        noun = "" if entity.described == entity.name else entity.noun
        stated = {r.name: read(r, entity.name, noun, texts[entity.title]) for r in world.relations[entity.kind]}
        assert {name: value for name, value in stated.items() if value} == entity.facts


def test_splits_share_no_question_and_nothing_that_a_question_is_about() -> None:
    texts: dict[str, set[str]] = {"train": set(), "dev": set(), "test": set()}
    evidence: dict[str, set[str]] = {"train": set(), "dev": set(), "test": set()}
    for name in ALL:
        for split in splits(name):
            for question in task(name, split=split, limit=1000).questions():
                texts[split].add(question.text)
                evidence[split].update(question.evidence)
    for one, other in pairwise(["train", "dev", "test", "train"]):
        assert texts[one].isdisjoint(texts[other])
        assert evidence[one].isdisjoint(evidence[other])


@pytest.mark.parametrize("name", ALL)
def test_smaller_limits_are_the_head_of_larger_ones(name: str) -> None:
    assert task(name, limit=400).questions()[:100] == task(name, limit=100).questions()


@pytest.mark.parametrize("name", TRAINABLE)
def test_ten_thousand_different_questions_can_be_asked(name: str) -> None:
    questions = task(name).questions()
    assert len({question.prompt() for question in questions}) == len({q.id for q in questions}) == 10_000


def test_families_come_in_turn() -> None:
    kinds = [question.kind.removesuffix("_given") for question in task("miniwiki", limit=6).questions()]
    assert kinds == ["bridge", "bridge", "comparison"] * 2


@pytest.mark.parametrize("name", TRAINABLE)
def test_about_a_fifth_of_the_questions_state_all_they_need(name: str) -> None:
    questions = task(name, split="train", limit=1000).questions()
    assert 0.15 <= sum(question.kind.endswith("_given") for question in questions) / 1000 <= 0.22


def test_bridge_questions_mix_one_two_and_three_hops() -> None:
    questions = task("miniwiki", split="train", limit=1000).questions()
    hops = [len(question.evidence) for question in questions if question.kind == "bridge"]
    assert {1, 2, 3} == set(hops) and min(map(hops.count, hops)) >= 50


def test_the_compositions_kept_for_evaluation_occur_nowhere_else() -> None:
    def pairs(name: str, split: str) -> set[tuple[str, str]]:
        drawn = task(name, split=split, limit=1000)
        plans = [plan for question in drawn.questions() if (plan := drawn.plan(question.prompt()))]
        paths = [[r.name for r in lookup.relations] for plan in plans for lookup in plan.lookups]
        return {pair for path in paths for pair in pairwise(path)}

    assert pairs("miniwiki_compose", "test") == HELD_OUT - {("director", "teacher")}  # medium tells of no teachers
    for name in TRAINABLE:
        assert pairs(name, "train").isdisjoint(HELD_OUT)


@pytest.mark.parametrize(("name", "low", "high"), [
    ("miniwiki", 0.0, 0.03),
    ("miniwiki_compose", 0.0, 0.08),
    ("miniwiki_yesno", 0.45, 0.56),
    ("miniwiki_choice", 0.2, 0.3),
])
def test_knowing_only_how_often_answers_occur_gives_chance(name: str, low: float, high: float) -> None:
    seen = [question.answer for question in task(name, split="test", limit=1600).questions()]
    guess = max(sorted(set(seen)), key=seen.count)
    dev = task(name, limit=1000)
    assert low <= sum(dev.score(question, guess).correct for question in dev.questions()) / 1000 <= high


@pytest.mark.parametrize(("answer", "choices", "said", "expected"), [
    ("Ann Orr", (), "the Ann Orr.", Score(1.0, 1.0, True)),
    ("Ann Orr", (), "Ann", Score(0.0, 2 / 3, False)),
    ("yes", (), "Yes, it was", Score(1.0, 1.0, True)),
    ("yes", (), "no", Score(0.0, 0.0, False)),
    ("yes", (), "yesterday", Score(0.0, 0.0, False)),
    ("B", ("x", "y"), "(B) y", Score(1.0, 1.0, True)),
    ("B", ("x", "y"), "y", Score(0.0, 0.0, False)),
    ("A", ("x", "y"), "", Score(0.0, 0.0, False)),
])
def test_answers_are_scored_by_the_rule_of_their_task(
    answer: str, choices: tuple[str, ...], said: str, expected: Score
) -> None:
    question = Question("q", "?", answer, "miniwiki", "dev", choices=choices)
    assert task("miniwiki", limit=1).score(question, said) == expected


@pytest.mark.parametrize(("settings", "message"), [
    ({"name": "miniwiki_compose", "split": "train"}, "for evaluation only; choose task.split=dev or test"),
    ({"name": "miniwiki", "split": "val"}, "task.split=val is unknown; choose train, dev, test"),
    ({"name": "miniwiki", "difficulty": "brutal"}, "task.difficulty=brutal is unknown; choose easy, medium, hard"),
    ({"name": "miniwiki", "limit": 0}, "task.limit=0 asks nothing; choose 1 or more, or null for all"),
])
def test_settings_that_do_not_exist_are_named(settings: dict[str, object], message: str) -> None:
    name = str(settings.pop("name"))
    config = OmegaConf.merge(OmegaConf.load(CONF / f"{name}.yaml"), settings)
    families = [instantiate(family) for family in config.pop("families")]
    with pytest.raises(ConfigError, match=message):
        MiniWiki(families=families, **{str(k): v for k, v in config.items() if k != "_target_"})


def test_asking_for_more_questions_than_there_are_asks_all_there_are() -> None:
    all_there_are = task("miniwiki_compose", difficulty="easy").questions()
    assert 0 < len(all_there_are) < 9000
    assert task("miniwiki_compose", difficulty="easy", limit=9000).questions() == all_there_are

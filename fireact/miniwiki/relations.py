"""What miniwiki's articles say and how: each relation with its wordings, for writing, asking and reading.

``verbs`` finish a sentence about x and are how articles state the fact; ``phrases`` name its value inside a longer
question; ``asks`` ask for it. ``|`` parts the paraphrases. Relations of a kind share the type of their values on
purpose (author and dedicatee, birthplace and burial place), so a reader must tell them apart by their wording.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

NAME = r"[A-Z]\w*(?: [A-Z]\w*)*"
YEAR = r"\d{4}"
WORD = r"[a-z]+"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


OCCUPATIONS = _words("sculptor painter poet baker surgeon judge sailor chemist weaver pilot teacher tailor banker")
WARES = _words("clocks cheese boots honey paper glass rope soap bread lace bells knives")
EMBLEMS = _words("stag bear fox lion wolf swan horse goat dragon eagle whale crow")


@dataclass(frozen=True)
class Relation:
    """A fact about things of kind ``subject``; ``object`` is a kind, "year", or the tuple of words it draws from.

    ``done`` is the participle that goes with a year ("born"), for questions about what came first.
    """

    name: str
    subject: str
    object: str | tuple[str, ...]
    verbs: tuple[str, ...]
    phrases: tuple[str, ...]
    asks: tuple[str, ...]
    done: str = ""

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Any verb of the relation, whole, capturing the value."""
        value = YEAR if self.object == "year" else NAME if isinstance(self.object, str) else WORD
        verbs = (re.escape(verb).replace(r"\{y\}", rf"({value})") for verb in self.verbs)
        return re.compile("|".join(rf"\b{verb}\b" for verb in verbs))


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split("|"))


def _r(subject: str, name: str, object: str | tuple[str, ...], verbs: str, phrases: str, asks: str, done: str = "") \
        -> Relation:
    plain = f"the {name} of {{x}}"
    return Relation(name, subject, object, _split(verbs), (plain, *_split(phrases)), _split(asks), done)


# By kind, the most telling first: difficulty takes the first few of each kind.
RELATIONS: tuple[Relation, ...] = (
    _r("person", "birthplace", "town",
       "was born in {y} | was a native of {y} | hailed from {y} | came into the world at {y}",
       "the town where {x} was born | the place {x} hailed from",
       "Where was {x} born? | Which town did {x} hail from? | In which town was {x} born?"),
    _r("person", "spouse", "person",
       "married {y} | was wed to {y} | took {y} in marriage | shared a home with {y}",
       "the person {x} married | the husband or wife of {x}",
       "Who married {x}? | Whom did {x} marry? | Who was the husband or wife of {x}?"),
    _r("person", "employer", "organisation",
       "worked for {y} | was employed by {y} | was on the staff of {y} | spent a career at {y}",
       "the place where {x} worked | the institution that employed {x}",
       "Whom did {x} work for? | Where did {x} work? | Who employed {x}?"),
    _r("person", "birth year", "year",
       "was born in {y} | arrived in {y} | was a child of {y} | came into the world in {y}",
       "the year {x} was born | the year of birth of {x}",
       "In which year was {x} born? | When was {x} born? | What year did {x} come into the world?", "born"),
    _r("person", "teacher", "person",
       "studied under {y} | was taught by {y} | was a pupil of {y} | learned everything from {y}",
       "the person who taught {x} | the mentor of {x}",
       "Who taught {x}? | Under whom did {x} study? | Whose pupil was {x}?"),
    _r("person", "occupation", OCCUPATIONS,
       "worked as a {y} | earned a living as a {y} | was a {y} by trade | trained as a {y}",
       "the trade of {x} | the profession of {x}",
       "What did {x} do for a living? | What was the trade of {x}? | Which profession did {x} have?"),
    _r("person", "burial place", "town",
       "was buried in {y} | lies buried at {y} | was laid to rest in {y} | has a grave in {y}",
       "the town where {x} was buried | the place where {x} was laid to rest",
       "Where was {x} buried? | In which town is the grave of {x}? | Where was {x} laid to rest?"),

    _r("work", "author", "person",
       "was written by {y} | is by {y} | is the work of {y} | came from the pen of {y}",
       "the writer of {x} | the person who wrote {x}",
       "Who wrote {x}? | Who is the author of {x}? | {x} was written by whom?"),
    _r("work", "setting", "town",
       "is set in {y} | takes place in {y} | plays out in {y} | tells of life in {y}",
       "the town where {x} is set | the place described in {x}",
       "Where is {x} set? | In which town does {x} take place? | {x} tells of life in which town?"),
    _r("work", "publisher", "organisation",
       "was published by {y} | was issued by {y} | appeared through {y} | was printed by {y}",
       "the house that published {x} | the firm that issued {x}",
       "Who published {x}? | Which house issued {x}? | By whom was {x} printed?"),
    _r("work", "publication year", "year",
       "appeared in {y} | came out in {y} | was first released in {y} | dates from {y}",
       "the year {x} came out | the year {x} appeared",
       "When did {x} come out? | In which year was {x} published? | What year does {x} date from?", "published"),
    _r("work", "dedicatee", "person",
       "is dedicated to {y} | was written for {y} | was meant as a gift to {y} | honours {y}",
       "the person {x} is dedicated to | the person for whom {x} was written",
       "To whom is {x} dedicated? | For whom was {x} written? | Whom does {x} honour?"),

    _r("organisation", "founder", "person",
       "was founded by {y} | was started by {y} | owes its start to {y} | was set up by {y}",
       "the person who founded {x} | the person who set up {x}",
       "Who founded {x}? | By whom was {x} set up? | To whom does {x} owe its start?"),
    _r("organisation", "seat", "town",
       "is based in {y} | has its seat in {y} | operates from {y} | keeps its rooms in {y}",
       "the town where {x} is based | the home town of {x}",
       "Where is {x} based? | In which town does {x} have its seat? | From which town does {x} operate?"),
    _r("organisation", "director", "person",
       "is directed by {y} | is led by {y} | is headed by {y} | answers to {y}",
       "the head of {x} | the person who leads {x}",
       "Who directs {x}? | Who is at the head of {x}? | By whom is {x} led?"),
    _r("organisation", "founding year", "year",
       "was founded in {y} | opened its doors in {y} | began in {y} | goes back to {y}",
       "the year {x} was founded | the year {x} began",
       "When was {x} founded? | In which year did {x} begin? | What year does {x} go back to?", "founded"),
    _r("organisation", "rival", "organisation",
       "competes with {y} | has a rival in {y} | is at odds with {y} | envies {y}",
       "the competitor of {x} | the institution that {x} competes with",
       "With whom does {x} compete? | Who is the rival of {x}? | Whom does {x} envy?"),

    _r("event", "venue", "town",
       "took place in {y} | was held in {y} | was staged in {y} | filled the streets of {y}",
       "the town where {x} was held | the place where {x} was staged",
       "Where was {x} held? | In which town did {x} take place? | Where was {x} staged?"),
    _r("event", "winner", "person",
       "was won by {y} | ended in victory for {y} | saw {y} take the prize | brought glory to {y}",
       "the person who won {x} | the person who took the prize at {x}",
       "Who won {x}? | By whom was {x} won? | Who took the prize at {x}?"),
    _r("event", "sponsor", "organisation",
       "was paid for by {y} | was funded by {y} | was sponsored by {y} | was held at the cost of {y}",
       "the backer of {x} | the institution that paid for {x}",
       "Who paid for {x}? | By whom was {x} funded? | Who sponsored {x}?"),
    _r("event", "year", "year",
       "took place in {y} | was held in {y} | was staged in {y} | fell in {y}",
       "the year {x} was held | the year {x} took place",
       "When was {x} held? | In which year did {x} take place? | What year was {x} staged?", "held"),
    _r("event", "opener", "person",
       "was opened by {y} | was begun by {y} | got under way with {y} | was launched by {y}",
       "the person who opened {x} | the person who launched {x}",
       "Who opened {x}? | By whom was {x} launched? | Who got {x} under way?"),

    _r("town", "river", "river",
       "lies on the {y} | stands beside the {y} | is crossed by the {y} | looks over the {y}",
       "the river beside {x} | the river that crosses {x}",
       "On which river does {x} lie? | Which river crosses {x}? | What river stands {x} beside?"),
    _r("town", "region", "region",
       "belongs to {y} | is part of {y} | falls within {y} | pays its taxes to {y}",
       "the region around {x} | the region that {x} belongs to",
       "To which region does {x} belong? | Which region is {x} part of? | In which region does {x} fall?"),
    _r("town", "mayor", "person",
       "is run by {y} | elected {y} as mayor | has {y} as its mayor | trusts its mayor {y}",
       "the person who runs {x} | the person elected by {x}",
       "Who is the mayor of {x}? | Who runs {x}? | Whom did {x} elect?"),
    _r("town", "ware", WARES,
       "is known for {y} | makes fine {y} | sells {y} everywhere | lives by making {y}",
       "the product of {x} | the thing made in {x}",
       "What is {x} known for? | What does {x} make? | What does {x} sell?"),
    _r("town", "twin town", "town",
       "is twinned with {y} | has a twin in {y} | is paired with {y} | exchanges pupils with {y}",
       "the twin of {x} | the town paired with {x}",
       "With which town is {x} twinned? | Which town is paired with {x}? | Where does {x} have a twin?"),

    _r("region", "capital", "town",
       "is ruled from {y} | has its capital at {y} | is administered from {y} | looks to {y} as its capital",
       "the capital town of {x} | the town that {x} is ruled from",
       "What is the capital of {x}? | From which town is {x} ruled? | Where does {x} have its capital?"),
    _r("region", "governor", "person",
       "is governed by {y} | has {y} as governor | obeys {y} | is under the rule of {y}",
       "the ruler of {x} | the person who governs {x}",
       "Who governs {x}? | Whom does {x} obey? | Under whose rule is {x}?"),
    _r("region", "emblem", EMBLEMS,
       "has a {y} on its flag | bears a {y} as its emblem | shows a {y} on its coins | uses the {y} as its sign",
       "the animal on the flag of {x} | the sign of {x}",
       "Which animal is on the flag of {x}? | What animal does {x} use as its sign? | What is the emblem of {x}?"),

    _r("river", "source", "region",
       "rises in {y} | begins in {y} | has its springs in {y} | starts in the hills of {y}",
       "the region where {x} rises | the region where {x} has its springs",
       "Where does {x} rise? | In which region does {x} begin? | Which region is the source of {x}?"),
    _r("river", "mouth", "town",
       "reaches the sea at {y} | meets the sea at {y} | ends at {y} | flows out to sea by {y}",
       "the town where {x} meets the sea | the town at the end of {x}",
       "Where does {x} reach the sea? | At which town does {x} end? | Which town is at the mouth of {x}?"),
)

# Pairs (first hop, second hop) that no question contains except the compositions kept for evaluation.
HELD_OUT = frozenset({
    ("author", "spouse"), ("founder", "birthplace"), ("winner", "employer"), ("setting", "river"),
    ("seat", "mayor"), ("venue", "region"), ("director", "teacher"), ("employer", "founder"),
})

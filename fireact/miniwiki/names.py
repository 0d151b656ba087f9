"""Invented names, put together from words that cost a language model few tokens."""

from __future__ import annotations

from itertools import product
from random import Random


def _words(text: str) -> list[str]:
    return text.split()


_FIRST = _words(
    "Clara Dana Iris Rosa Emma Lia Ada Ruth Vera Maria Edith Martha Julia Helen Alice Ella Mira Nora Lena Greta "
    "Hugo Felix Otto Victor Simon Tom Max Owen Leon Karl Anton Ivan Peter Daniel Marcus Harold Oscar Walter Bruno Amos"
)
_WOMEN = 20
_LAST = _words(
    "Wick Marsh Reed Cole Dale Grant Hale Kane Lang Moss Nash Page Quinn Rhodes Shaw Ward York Brook Cross Drake "
    "Frost Hart Hood Hunt Lane Mills Pike Pond Price Rice Snow Swan Waters Webb West Wolf Young Baker Barber Carter "
    "Cooper Fletcher Foster Gardner Harper Mason Porter Potter Shepherd Turner Weaver Wheeler Vance Finch Slater Pell"
)
_PLACE = _words(
    "Lark Fern Raven Cedar Maple Birch Hazel Briar Amber Quill Otter Heron Falcon Badger Clover Thistle Ivy Linden "
    "Sable Rowan Juniper Pepper Ginger Saffron Cobalt Onyx Topaz Pearl"
)
_TOWN_END = _words("ton ford field wick ham port dale gate bury")
_REGION_END = _words("land shire mark mere")
_ADJECTIVE = _words(
    "Silver Golden Quiet Hollow Broken Hidden Secret Burning Frozen Northern Gentle Crystal Iron Scarlet Bitter "
    "Distant Velvet Empty Early Silent Lonely Ancient Purple Wooden Hungry Sleeping"
)
_THING = _words(
    "Garden River Mirror Harbor Tower Bridge Mountain Letter Window Island Forest Valley Station Crown Castle Kingdom "
    "Clock Lantern Orchard Candle Feather Anchor Road Summer Machine Ocean"
)
_FESTIVE = _words(
    "Autumn Copper Willow Ember Harvest Midnight Spring Diamond Emerald Thunder Pumpkin Barley Snowdrop Sunset Cherry "
    "Ribbon Banner Granite Marble Apple Tulip Walnut Chestnut Solstice Jubilee Coral Indigo Violet Comet Lemon "
    "Almond Canyon Beacon Saddle Pilgrim Breeze Cricket Dolphin Meteor Poppy Pine Olive Mango Bamboo Sugar"
)
_ONSET, _VOWEL, _CODA = "BDGLMNPRSTVZ", "aeiou", _words("rva ndo ska lmo zen vik")

NOUNS = {
    "person": (),
    "work": ("novel", "play", "opera", "poem", "ballad"),
    "organisation": ("bank", "school", "theatre", "brewery", "museum"),
    "event": ("fair", "regatta", "contest", "race", "parade"),
    "town": ("town", "village", "port"),
    "region": ("province", "duchy"),
    "river": ("river",),
}


def names(kind: str, rng: Random) -> list[tuple[str, str]]:
    """All (name, noun) pairs of a kind in random order, names unique; a person's noun is the pronoun, he or she."""
    pairs = _POOLS[kind]()
    rng.shuffle(pairs)
    if kind in ("person", "organisation", "event"):
        return pairs
    return [(name, rng.choice(NOUNS[kind])) for name, _ in pairs]


def _people() -> list[tuple[str, str]]:
    pronouns = ["she"] * _WOMEN + ["he"] * (len(_FIRST) - _WOMEN)
    return [(f"{first} {last}", noun) for (first, noun), last in product(zip(_FIRST, pronouns, strict=True), _LAST)]


def _named_by_noun(words: list[str], kind: str) -> list[tuple[str, str]]:
    return [(f"{word} {noun.title()}", noun) for word, noun in product(words, NOUNS[kind])]


_POOLS = {
    "person": _people,
    "work": lambda: [(f"{a} {b}", "") for a, b in product(_ADJECTIVE, _THING)],
    "organisation": lambda: _named_by_noun(_LAST, "organisation"),
    "event": lambda: _named_by_noun(_FESTIVE, "event"),
    "town": lambda: [(a + b, "") for a, b in product(_PLACE, _TOWN_END)],
    "region": lambda: [(a + b, "") for a, b in product(_PLACE, _REGION_END)],
    "river": lambda: [(a + b + c, "") for a, b, c in product(_ONSET, _VOWEL, _CODA)],
}

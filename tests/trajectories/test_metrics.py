from __future__ import annotations

import pytest

from fireact.trajectories.metrics import exact_match, f1_score, normalize_answer


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Eiffel Tower.", "eiffel tower"),
        ("an apple, a day", "apple day"),
        ("U.S.A.", "usa"),
        ("theatre", "theatre"),
        ("A", ""),
        ("  \n", ""),
    ],
)
def test_normalisation_drops_case_punctuation_and_articles(text: str, normal: str) -> None:
    assert normalize_answer(text) == normal


@pytest.mark.parametrize(
    ("prediction", "answer", "em", "f1"),
    [
        ("the Beatles", "Beatles!", 1.0, 1.0),
        ("John Lennon", "Lennon", 0.0, 2 / 3),
        ("Lennon", "John Winston Lennon", 0.0, 0.5),
        ("to be to be", "to be", 0.0, 2 / 3),  # tokens are counted, not merely present
        ("Paris", "London", 0.0, 0.0),
        ("", "London", 0.0, 0.0),
        ("", "", 1.0, 1.0),
        ("the", "the", 1.0, 1.0),  # normalises to nothing, and is right all the same
        ("A", "a", 1.0, 1.0),
        ("an", "the", 0.0, 0.0),
        ("...", "...", 1.0, 1.0),
        ("", "the", 0.0, 0.0),
        ("yes", "Yes.", 1.0, 1.0),
        ("yes it is", "yes", 0.0, 0.0),  # yes, no and noanswer match themselves only
        ("no", "no one knows", 0.0, 0.0),
        ("noanswer given", "noanswer", 0.0, 0.0),
        ("yes and no", "no and yes", 0.0, 1.0),
    ],
)
def test_scores_follow_hotpotqa(prediction: str, answer: str, em: float, f1: float) -> None:
    assert exact_match(prediction, answer) == em
    assert f1_score(prediction, answer) == pytest.approx(f1)


def test_the_letter_a_is_an_answer_although_it_is_an_article() -> None:
    assert [exact_match(said, "A") for said in ("A", "a", "", "the", "B")] == [1.0, 1.0, 0.0, 0.0, 0.0]

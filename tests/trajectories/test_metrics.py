from __future__ import annotations

import tracemalloc

import pytest

from fireact.trajectories.metrics import bootstrap_ci95, exact_match, f1_score, mean_ci95, normalize_answer, wilson_ci95


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


def test_interval_is_reproducible_ordered_and_about_the_normal_width() -> None:
    values = [1.0] * 40 + [0.0] * 60
    low, high = bootstrap_ci95(values)
    assert (low, high) == bootstrap_ci95(values)
    assert low == pytest.approx(0.4 - 1.96 * 0.049, abs=0.011)
    assert high == pytest.approx(0.4 + 1.96 * 0.049, abs=0.011)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(0, 50, 0, 0.0713), (50, 50, 0.9287, 1), (7, 100, 0.0343, 0.1375), (70, 100, 0.6042, 0.7811), (1, 1, 0.2065, 1)],
)
def test_the_interval_of_a_proportion_is_wilsons_and_never_a_point(right: int, n: int, low: float, high: float) -> None:
    assert wilson_ci95(right / n, n) == pytest.approx((low, high), abs=5e-5)
    assert mean_ci95([1.0] * right + [0.0] * (n - right)) == wilson_ci95(right / n, n)


def test_wilsons_bounds_solve_his_equation() -> None:
    for bound in wilson_ci95(0.3, 40):  # (share − p)² = z² p (1 − p) / n
        assert (0.3 - bound) ** 2 == pytest.approx(1.959964**2 * bound * (1 - bound) / 40, rel=1e-6)


def test_the_interval_of_other_scores_is_by_bootstrap_unless_they_are_all_equal() -> None:
    assert mean_ci95([0.5, 1.0, 0.0, 0.25]) == bootstrap_ci95([0.5, 1.0, 0.0, 0.25])
    assert mean_ci95([0.5] * 50) == wilson_ci95(0.5, 50)
    assert mean_ci95([]) == (0.0, 1.0)


def test_an_interval_takes_little_memory_for_many_scores() -> None:
    values = [i % 3 / 2 for i in range(5_000)]
    tracemalloc.start()
    low, high = bootstrap_ci95(values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**23
    assert (low, high) == pytest.approx((0.5 - 0.01132, 0.5 + 0.01132), abs=4e-4)  # 1.96 σ / √n, σ² = 1/6


def test_the_letter_a_is_an_answer_although_it_is_an_article() -> None:
    assert [exact_match(said, "A") for said in ("A", "a", "", "the", "B")] == [1.0, 1.0, 0.0, 0.0, 0.0]

"""The report page in headless Chromium: two cells side by side, and the link to each trajectory."""

from urllib.parse import parse_qsl

import pytest

pytest.importorskip("selenium", reason="selenium is not installed; pip install -e .[dev]")

from selenium.webdriver.common.by import By  # noqa: E402 - only after the skip

from tests.reporting.page_reader import PROMPTED, TUNED  # noqa: E402


def test_two_cells_side_by_side(page, rows):
    page.pick("with", TUNED)
    assert page.opened() == ("q-0", [PROMPTED, TUNED])
    left, right = page.all(".acted")
    assert left.rect["y"] == right.rect["y"] and left.rect["x"] < right.rect["x"]
    first, second = (column.find_elements(By.CSS_SELECTOR, ".step")[1] for column in (left, right))
    assert first.rect["y"] == second.rect["y"]  # rounds start at the same height
    sides = [rows["prompted"][0], rows["tuned"][0]]
    assert page.texts(".acted .thought p") == [step.thought for t in sides for step in t.steps if step.thought]


def test_where_the_compared_cell_differs(page, rows):
    pairs = list(zip(rows["prompted"], rows["tuned"], strict=False))
    page.open(cell=PROMPTED, **{"with": TUNED, "outcome": "worse"})
    page.shows([a for a, b in pairs if not a.score.correct and b.score.correct])
    page.pick("outcome", "better")
    page.shows([a for a, b in pairs if a.score.correct and not b.score.correct])
    page.pick("with", "")
    page.shows(rows["prompted"])


def test_a_question_that_the_compared_cell_lacks(page):
    page.open(**{"from": PROMPTED, "question": "q-59", "with": TUNED})
    assert page.opened() == ("q-59", [PROMPTED])
    assert page.text(".alert") == f"The compared cell “{TUNED}” has no trajectory for this question."
    page.open(**{"from": TUNED, "question": "q-3", "with": TUNED})
    assert page.text(".alert").startswith("This trajectory is of the compared cell itself")


def test_the_open_question_follows_into_another_cell(page):
    page.click("#row-3")
    page.until(lambda: page.opened() == ("q-3", [PROMPTED]))
    page.pick("cell", TUNED)
    assert page.opened() == ("q-3", [TUNED])


def test_a_link_restores_the_view(page, rows):
    page.pick("cell", PROMPTED)
    page.pick("with", TUNED)
    page.pick("outcome", "wrong")
    page.type("least", "2")
    page.type("find", "courier")
    wanted = [t for t in rows["prompted"] if not t.score.correct and t.rounds >= 2]
    page.shows(wanted)
    page.click("#next")
    href = "return document.getElementById('link').href"
    page.until(lambda: "find=courier" in page.driver.execute_script(href))  # the search waits for the typing to end
    link = page.driver.execute_script(href)
    page.driver.get("about:blank")
    page.driver.get(link)
    page.shows(wanted)
    assert page.opened() == (wanted[1].question.id, [PROMPTED, TUNED])
    assert page.driver.find_element(By.NAME, "find").get_attribute("value") == "courier"
    assert page.driver.find_element(By.NAME, "outcome").get_attribute("value") == "wrong"
    assert page.text("#place") == f"2 of {len(wanted)}"
    top = "return Math.round(document.getElementById('browser').getBoundingClientRect().top)"
    page.until(lambda: page.driver.execute_script(top) == 0)


def test_every_row_is_a_link_of_its_own(page):
    links = [dict(parse_qsl(row.get_attribute("href").partition("#")[2])) for row in page.all(".row")]
    assert links[:2] == [{"from": PROMPTED, "question": "q-0"}, {"from": PROMPTED, "question": "q-1"}]


@pytest.mark.parametrize(
    ("cell", "question", "why"),
    [
        (TUNED, "q-59", f"The cell “{TUNED}” has no trajectory for the question “q-59”."),
        ("acting=x", "q-1", "This report has no cell “acting=x”."),
    ],
)
def test_a_link_to_what_is_not_there_says_so(page, cell, question, why):
    page.open(**{"from": cell, "question": question})
    assert page.text("#trajectory") == why
    assert not page.driver.find_element(By.ID, "link").is_displayed()


def test_a_chosen_trajectory_stays_open_when_the_filters_hide_it(page):
    page.click("#row-3")
    page.until(lambda: page.opened()[0] == "q-3")
    page.type("find", "(17)")
    page.until(lambda: page.text("#place") == "hidden by the filters")
    assert page.opened()[0] == "q-3"
    page.click("#next")
    assert page.opened()[0] == "q-17"

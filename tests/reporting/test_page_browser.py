"""The report page in headless Chromium: what it shows, its list, its filters, its search and its keys."""

import pytest

from fireact.trajectories.records import Ending

pytest.importorskip("selenium", reason="selenium is not installed; pip install -e .[dev]")

from selenium.webdriver.common.by import By  # noqa: E402 - only after the skip
from selenium.webdriver.common.keys import Keys  # noqa: E402

from tests.reporting.page_reader import PROMPTED, TUNED  # noqa: E402


def test_the_first_trajectory_is_open_and_nothing_was_fetched(page, rows):
    page.shows(rows["prompted"] + rows["tuned"])
    assert page.opened() == ("q-0", [PROMPTED])
    fetched = page.driver.execute_script("return performance.getEntriesByType('resource').map((e) => e.name)")
    assert [name for name in fetched if not name.startswith("data:")] == []
    assert page.driver.execute_script("return document.querySelector('.plot img').naturalWidth") == 2000


def test_a_trajectory_is_told_in_full(page, rows):
    failed = next(t for t in rows["tuned"] if t.ending is Ending.TOOL_FAILURE)
    page.open(**{"from": TUNED, "question": failed.question.id})
    assert page.text(".asked") == failed.question.text
    assert page.text(".gold .answer") == failed.question.answer
    assert page.text(".summary .answer") == "none"
    assert page.text(".summary .error") == failed.provenance["error"]
    assert page.text(".summary .badge") == "✗ wrong"
    facts = [line.replace("\u00a0", " ") for line in page.texts(".summary .figures")]
    n = failed.rounds
    plural = "s" if n > 1 else ""
    assert facts[0] == f"EM 0 · F1 0 · tool_failure · {n} round{plural} · {failed.method}"
    assert facts[1].startswith(f"{n} model call{plural} · ")
    assert page.texts(".thought p") == [step.thought for step in failed.steps]
    assert page.texts(".action p") == [f"{step.action}[{step.argument}]" for step in failed.steps]
    assert page.texts(".observation p") == [step.observation for step in failed.steps]


def test_choices_are_lettered(page, rows):
    page.open(**{"from": PROMPTED, "question": "q-49"})
    assert page.texts(".choices li") == list(rows["prompted"][49].question.choices)
    assert page.driver.find_element(By.CSS_SELECTOR, ".choices").get_attribute("type") == "A"


def test_a_turn_without_an_action_says_so(page, rows):
    broken = next(t for t in rows["prompted"] if t.ending is Ending.PARSE_FAILURE)
    page.open(**{"from": PROMPTED, "question": broken.question.id})
    assert page.texts(".malformed") == ["No well-formed action in this turn."]
    assert page.text(".step:last-child .observation p") == "Invalid action."


def test_a_click_opens_a_trajectory_and_back_returns(page):
    page.click("#row-2")
    page.until(lambda: page.opened() == ("q-2", [PROMPTED]))
    page.click("#row-4")
    page.until(lambda: page.opened() == ("q-4", [PROMPTED]))
    assert page.hash() == {"from": PROMPTED, "question": "q-4"}
    assert page.driver.find_element(By.ID, "row-4").get_attribute("aria-selected") == "true"
    page.driver.back()
    page.until(lambda: page.opened() == ("q-2", [PROMPTED]))


def test_next_and_previous(page):
    assert not page.driver.find_element(By.ID, "previous").is_enabled()
    page.click("#next")
    page.click("#next")
    assert page.opened()[0] == "q-2" and page.text("#place") == "3 of 119"
    page.click("#previous")
    assert page.opened()[0] == "q-1"


FILTERS = {
    ("outcome", "right"): lambda t: t.score.correct,
    ("outcome", "wrong"): lambda t: not t.score.correct,
    ("ending", "step_limit"): lambda t: t.ending is Ending.STEP_LIMIT,
    ("method", "cot"): lambda t: t.method == "cot",
    ("task", "mmlu"): lambda t: t.question.task == "mmlu",
}


@pytest.mark.parametrize(("name", "value"), FILTERS)
def test_choices_filter(page, rows, name, value):
    both = rows["prompted"] + rows["tuned"]
    wanted = list(filter(FILTERS[name, value], both))
    assert 0 < len(wanted) < len(both)
    page.pick(name, value)
    page.shows(wanted)
    page.until(lambda: page.hash() == {name: value})
    page.click("button[type=reset]")
    page.shows(both)


def test_the_cell_filters(page, rows):
    page.pick("cell", TUNED)
    page.shows(rows["tuned"])
    assert page.opened() == ("q-0", [TUNED])


def test_rounds_filter(page, rows):
    both = rows["prompted"] + rows["tuned"]
    page.type("least", "2")
    page.shows([t for t in both if t.rounds >= 2])
    page.type("most", "3")
    page.shows([t for t in both if 2 <= t.rounds <= 3])


def test_filters_add_up_to_nothing(page):
    page.type("least", "99")
    page.shows([])
    assert page.text("#trajectory") == "No trajectory passes these filters."
    assert page.text("#count") == "0 of 119 trajectories"


SEARCHES = {
    "question": lambda t: t.question.text.split("mayor of ")[1][:20],
    "thought": lambda t: t.steps[0].thought[13:40],
    "action": lambda t: f"{t.steps[0].action}[{t.steps[0].argument}]",
    "observation": lambda t: t.steps[0].observation[:40],
    "answer": lambda t: t.answer,
}


@pytest.mark.parametrize("where", SEARCHES)
def test_search(page, rows, where):
    both = rows["prompted"] + rows["tuned"]
    sought = SEARCHES[where](next(t for t in both if t.answer))
    wanted = [t for t in both if sought.lower() in _said(t).lower()]
    assert 0 < len(wanted) < len(both)
    page.type("find", sought.upper() if where != "answer" else sought)
    page.shows(wanted)
    assert {text.lower() for text in page.texts("#trajectory mark")} == {sought.lower()}


def _said(t):
    steps = [f"{s.thought}\0{s.action}[{s.argument}]\0{s.observation}" for s in t.steps]
    return "\0".join([t.question.text, t.question.answer, *t.question.choices, t.answer, *steps])


def test_search_takes_signs_literally(page, rows):
    page.type("find", ".*(")
    page.shows([])
    page.press(Keys.CONTROL, "a")
    page.press("(1")
    page.shows([t for t in rows["prompted"] + rows["tuned"] if "(1" in _said(t)])


def test_keys(page, rows):
    page.press("jjk")
    page.until(lambda: page.opened()[0] == "q-1")
    page.press("/")
    assert page.driver.switch_to.active_element.get_attribute("name") == "find"
    page.press("(17)")
    page.shows([rows["prompted"][17], rows["tuned"][17]])
    page.press(Keys.ESCAPE)
    assert page.driver.switch_to.active_element.get_attribute("id") == "list"
    assert page.driver.find_element(By.NAME, "find").get_attribute("value") == "(17)"
    page.press("x")
    page.shows(rows["prompted"] + rows["tuned"])
    page.press("c")
    assert page.driver.switch_to.active_element.get_attribute("name") == "with"


def test_arrows_walk_the_list(page):
    page.click("#row-2")
    page.press(Keys.ARROW_DOWN, Keys.ARROW_UP, Keys.ARROW_UP)
    page.until(lambda: page.opened() == ("q-1", [PROMPTED]))
    page.press(Keys.END)
    assert page.opened() == ("q-58", [TUNED])
    chosen = page.driver.switch_to.active_element.get_attribute("aria-activedescendant")
    row = page.driver.find_element(By.ID, chosen)
    assert (row.get_attribute("aria-posinset"), row.get_attribute("aria-setsize")) == ("119", "119")
    assert row.is_displayed()
    page.press(Keys.HOME)
    assert page.opened() == ("q-0", [PROMPTED])
    page.press(Keys.ENTER)
    assert page.driver.switch_to.active_element.get_attribute("id") == "detail"


def test_letters_typed_into_the_search_are_no_commands(page):
    page.type("find", "jjx")
    page.until(lambda: page.text("#count").startswith("0 of"))
    assert page.driver.find_element(By.NAME, "find").get_attribute("value") == "jjx"


def test_a_failed_cell_is_listed(page):
    assert page.text("#failed li") == (
        "acting=fireact, adapter=lora, method=react_cot, size=n100: the disk was full; free <some> of it"
    )

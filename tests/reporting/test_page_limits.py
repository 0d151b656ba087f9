"""The report page in headless Chromium: hostile texts, 5,000 trajectories, a phone's width."""

from dataclasses import replace

import pytest

from fireact.reporting.markdown import Table
from fireact.reporting.page import write_page
from tests.reporting.page_grid import EVIL, acted_out, grid_of

pytest.importorskip("selenium", reason="selenium is not installed; pip install -e .[dev]")

from selenium.webdriver.common.by import By  # noqa: E402 - only after the skip
from selenium.webdriver.common.keys import Keys  # noqa: E402

from tests.reporting.page_reader import PROMPTED, TUNED, Page  # noqa: E402


def test_markup_in_what_was_said_does_nothing(chromium, tmp_path):
    said = acted_out(1)[0]
    first = replace(said.steps[0], thought=EVIL, argument=EVIL, observation=EVIL)
    asked = replace(said.question, text=EVIL, id=EVIL, task=EVIL, choices=(EVIL,), answer=EVIL)
    evil = replace(said, question=asked, steps=(first,), answer=EVIL, method=EVIL, provenance={"error": EVIL})
    figure = tmp_path / "em.svg"
    figure.write_text('<svg xmlns="http://www.w3.org/2000/svg" onload="parent.document.title=1"></svg>')
    table = Table(EVIL, (EVIL,), ((EVIL,),), (EVIL,))
    path = write_page(grid_of(tmp_path, prompted=[evil]), tmp_path, "Plain", [table], [figure])
    page = Page(chromium, path.as_uri()).open()
    page.type("find", EVIL[:30])
    page.until(lambda: page.all("#trajectory mark"))
    assert page.text(".asked") == page.text(".thought p") == page.text(".observation p") == page.text("td") == EVIL
    assert page.text(".action p") == f"search[{EVIL}]"
    assert chromium.title == "Plain"
    assert page.all("main script, #trajectory img, img[src=x]") == []
    page.click("#row-0")
    page.until(lambda: page.hash().get("question") == EVIL)
    assert page.text(".asked") == EVIL
    assert chromium.get_log("browser") == []


def test_injected_script_is_stopped_by_the_policy(chromium, address):
    page = Page(chromium, address).open()
    page.driver.execute_script(
        "document.body.append(Object.assign(document.createElement('img'), {src: 'http://a.b/c'}))"
    )
    page.driver.execute_script(
        "document.body.insertAdjacentHTML('beforeend', '<b onclick=\"document.title=1\" id=b>b</b>')"
    )
    page.driver.execute_script("document.getElementById('b').click()")
    assert chromium.title == "Multi-method"
    page.until(lambda: any("img-src data:" in entry["message"] for entry in chromium.get_log("browser")))


def test_five_thousand_trajectories(chromium, tmp_path):
    rows = {"prompted": acted_out(2500), "tuned": acted_out(2500, seed=1)}
    path = write_page(grid_of(tmp_path, **rows), tmp_path, "Many", (), ())
    page = Page(chromium, path.as_uri()).open()
    both = rows["prompted"] + rows["tuned"]
    right = sum(t.score.correct for t in both)
    share = f"{right:,} right ({right / 50:.1f} %)"
    page.until(lambda: page.text("#count") == f"5,000 of 5,000 trajectories · {share}")
    assert len(page.all(".row")) < 60  # only those in view are in the document
    page.type("find", "(2498)")
    page.until(lambda: page.text("#count").startswith("2 of 5,000 trajectories"))
    assert page.opened() == ("q-2498", [PROMPTED])
    page.press(Keys.ESCAPE)
    page.press("x")
    page.press(Keys.END)
    page.until(lambda: page.opened() == ("q-2499", [TUNED]))
    assert page.driver.find_element(By.ID, "row-4999").is_displayed()


def test_a_phones_width_needs_no_sideways_scroll(chromium, address):
    metrics = {"width": 375, "height": 760, "deviceScaleFactor": 2, "mobile": True}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        page = Page(chromium, address).open(**{"from": PROMPTED, "question": "q-3", "with": TUNED})
        wide = "return [document.documentElement.scrollWidth, innerWidth]"
        assert page.driver.execute_script(wide) == [375, 375]
        left, right = page.all(".acted")
        assert left.rect["x"] == right.rect["x"] and left.rect["y"] < right.rect["y"]
        box = "const box = document.querySelector('.scroll'); return box.scrollWidth > box.clientWidth"
        assert page.driver.execute_script(box)
        page.click(".filters summary")
        page.pick("outcome", "right")
        assert page.driver.execute_script(wide) == [375, 375]
    finally:
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

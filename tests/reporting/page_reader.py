"""The report page as a reader sees and uses it, over WebDriver."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

PROMPTED, TUNED = "acting=react, adapter=none", "acting=fireact, adapter=lora, method=react_cot, size=n500"


class Page:
    """What a reader sees and does. Every wait ends when its condition holds."""

    def __init__(self, driver, address):
        self.driver, self.address = driver, address

    def open(self, **state):
        self.driver.get("about:blank")  # or else another hash alone would not load the page anew
        self.driver.get(f"{self.address}#{urlencode(state)}" if state else self.address)
        return self

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.texts(selector)[0]

    def texts(self, selector):
        """At one moment: the page may be at work."""
        every = "return [...document.querySelectorAll(arguments[0])].map(each => each.textContent)"
        return self.driver.execute_script(every, selector)

    def click(self, selector):
        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def press(self, *keys):
        self.driver.switch_to.active_element.send_keys(*keys)

    def pick(self, name, value):
        self.click(f"[name={name}] option[value='{value}']")

    def type(self, name, text):
        self.driver.find_element(By.NAME, name).send_keys(text)

    def until(self, condition):
        WebDriverWait(self.driver, 30, 0.1).until(lambda _: condition())

    def shows(self, trajectories):
        """Wait until just these pass the filters, and the first of them is open."""
        right = sum(t.score.correct for t in trajectories)
        share = f" · {right} right ({100 * right / len(trajectories):.1f} %)" if trajectories else ""
        self.until(lambda: self.text("#count") == f"{len(trajectories)} of 119 trajectories{share}")
        asked = [t.question.text for t in trajectories]
        self.until(lambda: self.texts(".row .text") == asked[: len(self.all(".row .text"))])
        assert bool(self.all(".row .text")) == bool(asked)

    def opened(self):
        """The id of the question that is open, and whose trajectories are shown."""
        return self.text(".of").split(" · ")[-1], self.texts(".summary h4")

    def hash(self):
        return dict(parse_qsl(self.driver.execute_script("return location.hash.slice(1)")))

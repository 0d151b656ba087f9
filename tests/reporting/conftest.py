"""Headless Chromium on a made-up report page; skips where it is not installed."""

from __future__ import annotations

import os
import shutil

import pytest

from fireact.reporting.markdown import Table
from fireact.reporting.page import write_page
from tests.reporting.page_grid import acted_out, grid_of

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless=new --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=1440,900"
)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A driver of headless Chromium with a profile of its own."""
    pytest.importorskip("selenium", reason="selenium is not installed; pip install -e .[dev]")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    browser, driver = next(filter(None, map(shutil.which, _BROWSERS)), None), shutil.which("chromedriver")
    if not (browser and driver):
        pytest.skip("chromium and chromedriver are not installed; apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    root = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium's sandbox refuses to run as root
    for flag in (*_FLAGS.split(), *root, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    # Named here, so that selenium does not look for a driver on the network.
    driver = webdriver.Chrome(options=options, service=Service(executable_path=driver))
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def rows():
    """Sixty questions by the prompted cell, and all but the last by the tuned one."""
    return {"prompted": acted_out(60), "tuned": acted_out(59, seed=1)}


@pytest.fixture(scope="session")
def address(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    wide = Table("EM", tuple("abcdefgh"), (tuple(f"a wide column {n}" for n in range(8)),))
    figure = folder / "em.svg"
    figure.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="2000" height="300"><rect width="9"/></svg>')
    return write_page(grid_of(folder, **rows), folder, "Multi-method", [wide], [figure]).as_uri()


@pytest.fixture
def page(chromium, address):
    """The page, freshly opened; the browser must have nothing to complain of at the end."""
    from tests.reporting.page_reader import Page

    yield Page(chromium, address).open()
    assert chromium.get_log("browser") == []  # no error, and nothing that the page's policy had to stop

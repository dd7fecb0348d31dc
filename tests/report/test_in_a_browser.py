"""The page in a real browser: it draws its figures, says nothing on the console, and asks nobody for anything."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simlora.report.page import write_report

pytest.importorskip("plotly", reason="the extra report is not installed")
selenium = pytest.importorskip("selenium", reason="selenium is not installed")

pytestmark = pytest.mark.slow
BROWSERS, DRIVER = ("chromium", "chromium-browser", "google-chrome"), "chromedriver"
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,1000")
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless browser that notes its console and its requests."""
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    binary = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which(DRIVER)
    if binary is None or driver is None:
        pytest.skip("no chromium with its chromedriver here (Debian: chromium, chromium-driver)")
    options = ChromeOptions()
    options.binary_location = binary
    for option in OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = Chrome(options=options, service=ChromeService(driver))
    yield opened
    opened.quit()


@pytest.fixture(scope="module")
def page(browser: Any, finished: Path) -> Any:
    """The report of the small run, all of its figures scrolled by."""
    write_report(finished, finished / "report.html")
    browser.get((finished / "report.html").as_uri())
    for plot in plots(browser):
        bring_into_view(browser, plot)
        wait_for(lambda plot=plot: plot.get_attribute("data-drawn") == "yes", "a figure is not drawn")
    return browser


def plots(browser: Any) -> list[Any]:
    return list(browser.find_elements("css selector", ".plot"))


def bring_into_view(browser: Any, plot: Any) -> None:
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", plot)


def wait_for(condition: Any, otherwise: str) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until_s, otherwise
        time.sleep(0.1)


def asked(browser: Any) -> set[str]:
    """Addresses that the browser asked for since the last look."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return {url for url in sent if not url.startswith(("data:", "blob:"))}


def test_all_figures_are_there_and_the_console_is_empty(page: Any, finished: Path) -> None:
    drawn = [plot.find_elements("css selector", "svg.main-svg") for plot in plots(page)]
    assert len(drawn) == 11
    assert all(drawn)
    marks = (
        "return [...document.querySelectorAll('.plot')].map(p => p.querySelectorAll('.trace, .point, .js-line').length)"
    )
    assert all(page.execute_script(marks))
    assert page.get_log("browser") == []
    assert asked(page) == {(finished / "report.html").as_uri()}


def test_pointing_at_a_request_names_it_and_dragging_zooms(page: Any) -> None:
    from selenium.webdriver import ActionChains

    plot = next(p for p in plots(page) if p.get_attribute("aria-label") == "TTFT over time")
    bring_into_view(page, plot)
    points = plot.find_elements("css selector", ".scatterlayer .point")
    ActionChains(page).move_to_element(points[-1]).perform()
    wait_for(lambda: "request " in plot.find_element("css selector", ".hoverlayer").text, "no label at a point")
    assert "TTFT" in plot.find_element("css selector", ".hoverlayer").text
    reach = "return arguments[0]._fullLayout.xaxis.range.map(Number)"
    before = page.execute_script(reach, plot)
    area = plot.find_element("css selector", ".nsewdrag")
    ActionChains(page).move_to_element(area).click_and_hold().move_by_offset(120, 60).release().perform()
    wait_for(lambda: page.execute_script(reach, plot) != before, "dragging does not zoom")
    low, high = page.execute_script(reach, plot)
    assert before[0] < low < high < before[1]


def test_a_variant_shows_when_its_name_is_clicked(page: Any) -> None:
    plot = plots(page)[0]
    bring_into_view(page, plot)
    seen = "return arguments[0]._fullData.filter(t => t.name === 'no sharing').map(t => t.visible)"
    assert page.execute_script(seen, plot) == ["legendonly"] * 2
    names = plot.find_elements("css selector", ".legend .traces")
    next(name for name in names if "no sharing" in name.text).find_element("css selector", ".legendtoggle").click()
    wait_for(lambda: page.execute_script(seen, plot) == [True] * 2, "clicking its name does not show a variant")


def test_dark_is_dark(page: Any) -> None:
    feature = {"name": "prefers-color-scheme", "value": "dark"}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    ink = "return getComputedStyle(document.querySelector('.plot .xtick text')).fill"
    wait_for(lambda: page.execute_script(ink) == "rgb(230, 233, 238)", "figures do not follow the scheme")
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_page_that_asked_the_network_would_be_stopped_and_found_out(page: Any) -> None:
    page.get_log("browser")
    page.execute_script("const i = new Image(); i.src = 'http://192.0.2.1/x.png'; document.body.append(i)")
    wait_for(lambda: "Content Security Policy" in str(page.get_log("browser")), "the policy lets a picture through")

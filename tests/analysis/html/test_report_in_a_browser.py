"""The one-page report in a real browser, as wide as a phone and as a desk's screen."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import made_runs
import pytest
from browser import PROGRAMS, Browser

from analysis.html.page import page
from analysis.html.report import Report, write
from petl.config.study import Study, load_study
from petl.runs.synthetic import fabricate

pytestmark = pytest.mark.slow
PHONE, DESK = 390, 1280
LABEL = "<script>boom()</script><img src=x onerror=boom()>"
STUDY = f"""\
description: "Three ways on two datasets {LABEL}"
profile: as-run
report: test_last
matrix:
  dataset: [few, more]
  backbone: ast
  method: [full, lora, hostile]
  fold: [0, 1, 2]
  seed: [1, 2]
methods:
  hostile: {{label: "{LABEL}", like: linear}}
datasets:
  few: {{like: esc50, label: Few, dataset: {{classes: 3}}, train: {{epochs: 2}}}}
  more: {{like: esc50, label: More, dataset: {{classes: 4}}, train: {{epochs: 2}}}}
"""
CELLS = "#results > .petl-scroll tr.method td[data-row] button"
METHODS = "#results > .petl-scroll tbody th"
HEADS = "#results > .petl-scroll thead tr:last-child th"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    path = tmp_path_factory.mktemp("study") / "ways.yaml"
    path.write_text(STUDY)
    return load_study(path)


@pytest.fixture(scope="module")
def shown(study: Study) -> Path:
    """The page of a study with a failed run and some that never began."""
    folder = study.path.parent
    fabricate(study, folder / "runs", share=0.85, seed=3)
    missing = [t for t in study.tasks if not (folder / "runs" / study.name / t.run_id).exists()]
    assert len(missing) > 1
    made_runs.failed(missing[0], folder / "runs", LABEL)
    write(page(Report.of(study, folder / "runs")), folder / "page.html")
    return folder / "page.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """CI must have one; elsewhere these tests skip without it."""
    if lacking := [name for name in PROGRAMS if not shutil.which(name)]:
        why = f"no {' and no '.join(lacking)} here: apt-get install chromium chromium-driver"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_it_shows_without_a_complaint_and_without_the_network(
    browser: Browser, shown: Path, width: int, dark: bool
) -> None:
    browser.open(shown, width, dark)
    assert browser.texts("h2")[:3] == ["Results", "Progress", "Figures"]
    images = browser.run("return [...document.images].map(i => i.complete && i.naturalWidth)")
    assert len(images) >= 6 and all(images)
    assert browser.run("return document.documentElement.scrollWidth") == width
    white = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert (white == "rgb(255, 255, 255)") is not dark
    assert browser.complaints() == []
    fetched = {url for url in browser.requests() if not url.startswith("data:")}
    assert fetched == {shown.as_uri()}
    assert browser.run("return typeof boom") == "undefined"


def test_a_head_sorts_and_says_how(browser: Browser, shown: Path) -> None:
    browser.open(shown, DESK)
    before = browser.texts(METHODS)
    column = browser.texts(HEADS).index("Few")
    head = f"{HEADS}:nth-child({column + 1})"
    values = f"""return [...document.querySelectorAll("{CELLS.removesuffix(" button")}")]
        .filter(cell => cell.cellIndex === {column}).map(cell => Number(cell.dataset.value))"""
    orders = []
    for _ in range(3):
        browser.click(f"{head} button")
        how = browser.run(f"return document.querySelector('{head}').getAttribute('aria-sort')")
        orders.append((how, browser.run(values)))
    down, up, back = orders
    assert down == ("descending", sorted(down[1], reverse=True))
    assert up == ("ascending", sorted(up[1]))
    assert back[0] is None and browser.texts(METHODS) == before
    browser.click(f"{HEADS}:first-child button")
    assert browser.texts(METHODS) == sorted(before, key=str.lower) != before
    assert browser.complaints() == []


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_a_number_opens_its_runs_by_hand_and_by_keyboard(
    browser: Browser, shown: Path, study: Study, width: int
) -> None:
    browser.open(shown, width)
    opened = "return document.querySelector('dialog').open"
    assert not browser.run(opened)
    browser.click(CELLS)  # the first
    assert browser.run(opened)
    assert browser.texts("dialog h2") == ["FFT · Few"]
    mine = [t for t in study.tasks if (t.names.method, t.names.dataset) == ("full", "few")]
    assert sorted(browser.texts("dialog tbody th")) == sorted(task.run_id for task in mine)
    text = " ".join(browser.texts("dialog"))
    for fact in ("SYNTHETIC", "Fold", "Seed", "accuracy", "Seconds", "Commit", "Lock", "torch"):
        assert fact in text, fact
    assert browser.run("return document.documentElement.scrollWidth") == width
    browser.press("dialog .close", "\ue00c")  # Escape
    assert not browser.run(opened)
    browser.press(CELLS, "\ue007")  # Enter
    assert browser.run(opened)
    browser.click("dialog .close")
    assert not browser.run(opened)
    assert browser.complaints() == []


def test_a_number_leads_to_its_own_runs_after_sorting_too(
    browser: Browser, shown: Path, study: Study
) -> None:
    browser.open(shown, DESK)
    browser.click(f"{HEADS}:last-child button")
    for i, name in enumerate(browser.texts(METHODS)):
        browser.run(f"document.querySelectorAll('{CELLS}')[{2 * i + 1}].click()")
        assert browser.texts("dialog h2") == [f"{name} · More"]
        mine = {
            task.run_id
            for task in study.tasks
            if (task.names.method_label, task.names.dataset) == (name, "more")
        }
        assert set(browser.texts("dialog tbody th")) == mine
        browser.click("dialog .close")


def test_all_runs_can_be_kept(browser: Browser, shown: Path, study: Study, tmp_path: Path) -> None:
    browser.open(shown, DESK)
    where = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.devtools("Browser.setDownloadBehavior", **where)
    browser.click("#download")
    kept, end = tmp_path / "ways.provenance.json", time.monotonic() + 20
    while not kept.exists() and time.monotonic() < end:
        time.sleep(0.05)
    found: dict[str, Any] = json.loads(kept.read_text())
    at = found["columns"].index("run_id")
    assert [run[at] for run in found["runs"]] == [task.run_id for task in study.tasks]


def test_on_paper_there_is_nothing_to_click_and_little_closed(
    browser: Browser, shown: Path
) -> None:
    browser.open(shown, DESK)
    browser.devtools("Emulation.setEmulatedMedia", media="print")
    browser.run("dispatchEvent(new Event('beforeprint'))")
    closed = "return [...document.querySelectorAll('details:not([open])')].map(d => d.className)"
    assert browser.run(closed) == ["wide"]  # of settings, with more columns than any paper has
    hidden = "return getComputedStyle(document.querySelector('{}')).display"
    assert {browser.run(hidden.format(one)) for one in ("nav", "#download")} == {"none"}
    assert len(browser.devtools("Page.printToPDF")["data"]) > 10_000
    browser.devtools("Emulation.setEmulatedMedia", media="")

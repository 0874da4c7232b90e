"""A real Chromium without a screen, for pages that scripts draw; tests are skipped where there is none."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
# WebGL is drawn by software, so that it is the same on machines with a graphics card and without, and each
# pixel once, since edges need not be smooth to be counted.
OPTIONS = (
    *("--no-sandbox", "--enable-unsafe-swiftshader", "--use-angle=swiftshader"),
    *("--webgl-antialiasing-mode=none", "--webgl-msaa-sample-count=0"),
)


def browser_program() -> str | None:
    """The browser of this machine, None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def opened_browser(*more: str) -> Iterator[Any]:
    """A browser of playwright; the test is skipped where there is no browser, or no playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = browser_program()
    if program is None:
        pytest.skip(f"no browser here: none of {', '.join(NAMES)}")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=[*OPTIONS, *more])
        yield browser
        browser.close()


class OpenPage:
    """A page that lies in a file, with what it asked the network for and what went wrong in it."""

    def __init__(self, browser: Any, path: Path, fragment: str = "", width: int = 420, height: int = 820):
        self.page = browser.new_page(viewport={"width": width, "height": height})
        self.errors: list[str] = []
        self.asked: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.open(path, fragment)

    def open(self, path: Path, fragment: str = "") -> None:
        """Load a page, anew where it is this one."""
        self.page.goto("about:blank")
        self.page.goto(path.as_uri() + fragment)

    def when_drawn(self) -> OpenPage:
        """The page, once its surfaces are drawn, or cannot be."""
        self.page.wait_for_selector("#viewer[data-ready][data-drawn], #viewer[data-failed]")
        self.settle()
        return self

    def settle(self) -> None:
        """Wait for two frames, in which whatever was changed is drawn."""
        self.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def pixels(self, selector: str) -> NDArray[np.int64]:
        """What is seen of an element (h, w, 3), 0 to 255, without what is written over surfaces."""
        self.settle()
        over = ".legend, .views, .scale, .axes { visibility: hidden; } canvas { outline: none !important; }"
        png = self.page.locator(selector).screenshot(style=over)
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), np.int64)

    def text(self, selector: str) -> str:
        """The words of an element."""
        return str(self.page.inner_text(selector))

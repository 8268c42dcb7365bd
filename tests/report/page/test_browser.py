"""The page in a real browser."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from masksem_graph.report.page import write_page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
RED, BLUE, YELLOW = (255, 0, 0), (0, 0, 255), (255, 255, 0)
PANEL = (0xF4, 0xF6, 0xF8)


@pytest.fixture(scope="module")
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"needs one of {', '.join(BROWSERS)}; on Debian: apt-get install chromium")
    return found


def look(browser: str, profile: Path, *arguments: str) -> str:
    """Open something without a window, in a profile of its own; what the browser prints."""
    # Root may not use the sandbox, and containers have little /dev/shm; the only page it opens is ours.
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars")
    command = [browser, *options, f"--user-data-dir={profile}", *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def share(pixels: np.ndarray, colour: tuple[int, int, int]) -> float:
    return float((np.abs(pixels - np.array(colour)).max(2) <= 2).mean())


def test_shows_its_pictures(browser: str, run: Path, tmp_path: Path, add_pictures: Callable[[Path], None]) -> None:
    add_pictures(run)
    page = write_page(run).as_uri()
    screenshot = tmp_path / "screenshot.png"
    look(browser, tmp_path / "profile", "--window-size=1000,3000", f"--screenshot={screenshot}", page)
    pixels = np.round(imread(screenshot)[..., :3] * 255).astype(int)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100
    # Each plain picture is 300 x 100 of the 1000 x 3000 pixels; the styles apply, or there would be no panels.
    for colour in (RED, BLUE, YELLOW):
        assert share(pixels, colour) == pytest.approx(0.01, rel=0.05)
    assert share(pixels, PANEL) > 0.005


def test_holds_its_pictures_and_tables(browser: str, run: Path, tmp_path: Path, add_pictures: Callable[[Path], None]) -> None:
    add_pictures(run)
    dom = look(browser, tmp_path / "profile", "--dump-dom", write_page(run).as_uri())
    assert dom.count("<figure>") == dom.count("<img ") == 5 and dom.count("data:image/") == 5
    for shown in (
        "masksem on embedded x-sub, model tiny",
        "54.7 %",
        "45.0 to 85.0",
        "mask_ratio: 0.9",
        "my &lt;own&gt; picture.png",
    ):
        assert shown in dom

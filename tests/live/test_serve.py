"""The page: what it is sent, that a slow browser costs no memory, and what it looks like."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from pathlib import Path

import numpy as np
import pytest

from masksem_graph.errors import InputError
from masksem_graph.live.person import Person
from masksem_graph.live.recogniser import Recogniser
from masksem_graph.live.serve import KEPT, PAGE, Page
from tests.live.conftest import CLASSES, MakeRun, walk, with_reference


@pytest.fixture
def page(make_run: MakeRun) -> Iterator[Page]:
    with Page(Recogniser(make_run(), window=1), host="127.0.0.1", port=0) as one:
        yield one


def opened(page: Page, what: str) -> HTTPResponse:
    return urllib.request.urlopen(page.address + what, timeout=60)


def event(stream: HTTPResponse) -> dict:
    for _ in range(30):  # a few heartbeats, and not for ever
        if (line := stream.readline()).startswith(b"data: "):
            return json.loads(line[6:])
        assert line
    raise AssertionError("no event")


def until(true: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("never true")


def push(page: Page, frames: np.ndarray, begin: float = 0.0) -> None:
    for i, body in enumerate(frames):
        answer = page.recogniser.push(begin + i / 30, [Person(body, id="ann")])
        page.show(page.recogniser.window.frames[-1], answer, 0.002)


def test_the_page_loads_nothing_from_elsewhere(page: Page) -> None:
    answer = opened(page, "")
    text = answer.read().decode()
    assert text == PAGE.read_text() and answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert not re.search(r"https?://|src=|href=|@import|url\(", text)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        opened(page, "../etc/passwd")


def test_events(page: Page) -> None:
    frames = walk(30)
    frames[-1, 4] = np.nan
    with opened(page, "events") as stream:
        hello = event(stream)
        assert hello["classes"] == CLASSES and len(hello["joints"]) == 20 and len(hello["bones"]) == 19
        assert hello["joints"][hello["bones"][0][0]] == "hip_centre" and "reference" in hello["no_saliency"]
        push(page, frames)
        page.complain("line 7: no frame")
        found = [event(stream) for _ in range(31)]
    last = found[29]
    assert [one["t"] for one in found[:30]] == pytest.approx(np.arange(30) / 30)
    assert all(one["answer"] is None for one in found[:29]) and found[30] == {"problem": "line 7: no frame"}
    assert last["answer"]["bodies"] == ["ann"] and last["answer"]["latency_ms"] == 2
    assert sum(last["answer"]["probabilities"]) == pytest.approx(1, abs=1e-3)
    assert last["bodies"][0]["id"] == "ann" and last["bodies"][0]["joints"][4] is None
    np.testing.assert_allclose(last["bodies"][0]["joints"][5], frames[-1, 5], atol=1e-4)


def test_saliency_while_a_browser_asks(page: Page) -> None:
    with opened(page, "events?saliency=1") as asking:
        event(asking)
        assert page.recogniser.saliency and page.browsers == 1
        with opened(page, "events") as other:
            event(other)
        push(page, walk(30))
        until(lambda: page.browsers == 1)
        assert page.recogniser.saliency
    push(page, walk(30), 10)
    until(lambda: not page.browsers)
    assert not page.recogniser.saliency


def test_a_slow_browser_loses_old_events(page: Page) -> None:
    with opened(page, "events") as slow:
        event(slow)
        for begin in range(0, 300, 10):
            push(page, walk(30), begin)
        assert len(page.events) == KEPT
        page.complain("the last one")
        while event(slow) != {"problem": "the last one"}:
            pass


def test_a_port_that_cannot_be_had(page: Page) -> None:
    for port in (page.server.server_address[1], 70000):
        with pytest.raises(InputError, match=f"--serve: 127.0.0.1:{port} cannot be had"):
            Page(page.recogniser, host="127.0.0.1", port=port)
    threads = {thread.name for thread in threading.enumerate()}
    assert "page" in threads


@pytest.mark.parametrize("asked", ["", "#saliency"])
def test_in_a_browser(make_run: MakeRun, tmp_path: Path, asked: str) -> None:
    browser = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip("needs chromium; on Debian: apt-get install chromium")
    run = make_run()
    with_reference(run)
    with Page(Recogniser(run, window=1), host="127.0.0.1", port=0) as page:
        options = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
        command = [browser, *options, f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=2000", "--dump-dom"]
        looking = subprocess.Popen(
            [*command, page.address + asked], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        until(lambda: page.browsers, seconds=120)
        push(page, walk(45))
        label = page.recogniser.answer().label
        assert page.recogniser.saliency == bool(asked)
    # The browser's clock stands still until the stream ends. The label is written last, when all is drawn.
    dom, _ = looking.communicate(timeout=120)
    assert f'<h1 id="label">{label}</h1>' in dom and '<h2 id="who">body ann</h2>' in dom
    assert all(f'<span title="{name}">{name}</span>' in dom for name in CLASSES)
    assert ('id="legend" class="soft" hidden' in dom) == (not asked)

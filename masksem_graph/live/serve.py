"""The page that shows a stream: one file that loads nothing from elsewhere, fed by server-sent events."""

from __future__ import annotations

import json
import threading
from collections import deque
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from masksem_graph.errors import InputError
from masksem_graph.live.lines import told
from masksem_graph.live.recogniser import Answer, Recogniser
from masksem_graph.live.window import Frame

PAGE = Path(__file__).with_name("page.html")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"
KEPT = 64
"""Events that a slow browser may be behind; older ones are dropped."""


class Page:
    """Serves the page while it is entered; an `Output` of a session. Saliency is on while a browser asks for it.

    Raises:
        InputError: the port cannot be had; port 0 takes a free one.
    """

    def __init__(self, recogniser: Recogniser, *, host: str, port: int) -> None:
        self.recogniser, self.news = recogniser, threading.Condition()
        self.events: deque[tuple[int, bytes]] = deque(maxlen=KEPT)
        self.told = self.browsers = self.asking = 0
        self.open = True
        try:
            self.server = ThreadingHTTPServer((host, port), partial(_Handler, self))
        except (OSError, OverflowError) as error:
            raise InputError(f"--serve: {host}:{port} cannot be had: {error}") from None
        self.address = f"http://{host}:{self.server.server_address[1]}/"

    def __enter__(self) -> Page:
        threading.Thread(target=self.server.serve_forever, daemon=True, name="page").start()
        return self

    def __exit__(self, *_: object) -> None:
        with self.news:
            self.open = False
            self.news.notify_all()
        self.server.shutdown()
        self.server.server_close()

    def show(self, frame: Frame | None, answer: Answer | None, latency: float) -> None:
        if self.browsers and frame:
            about = {"t": frame.time, "count": self.recogniser.counts["frames"], "bodies": _drawn(frame)}
            self._tell(about | {"answer": _answered(answer, latency)})

    def complain(self, problem: str) -> None:
        self._tell({"problem": problem})

    def _tell(self, event: dict[str, Any]) -> None:
        with self.news:
            self.told += 1
            self.events.append((self.told, _event(event)))
            self.news.notify_all()

    def hello(self) -> bytes:
        """What a browser is told first."""
        one, topology = self.recogniser, self.recogniser.topology
        return _event(
            {
                "classes": one.classifier.classes,
                "joints": topology.inputs,
                "bones": [[topology.inputs.index(joint) for joint in bone] for bone in topology.bones],
                "dimensions": topology.dimensions,
                "window": one.window.ticks / one.window.fps,
                "no_saliency": one.why_no_saliency,
            }
        )

    def counted(self, browsers: int, asking: bool) -> None:
        """Browsers that came or went, and whether they ask for saliency."""
        with self.news:
            self.browsers += browsers
            self.asking += browsers * asking
            self.recogniser.saliency = self.asking > 0


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, page: Page, *about: Any) -> None:
        self.page = page
        super().__init__(*about)

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path == "/":
            self._send("text/html; charset=utf-8", PAGE.read_bytes())
        elif address.path == "/events":
            self._stream(asking=address.query == "saliency=1")
        else:
            self.send_error(404)

    def _send(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        for name, value in {"Content-Type": kind, "Cache-Control": "no-store", "Content-Security-Policy": POLICY}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, *, asking: bool) -> None:
        page = self.page
        page.counted(1, asking)
        try:
            seen = page.told  # before the greeting, so that nothing that happens meanwhile is lost
            self._send("text/event-stream", page.hello())
            while page.open:
                with page.news:
                    if page.told == seen and page.open:
                        page.news.wait(timeout=10)
                    new = [text for number, text in page.events if number > seen]
                    seen = page.told
                self.wfile.write(b"".join(new) or b":\n\n")
        except OSError:  # the browser went away
            pass
        finally:
            page.counted(-1, asking)

    def log_message(self, format: str, *args: Any) -> None:
        return


def _event(fields: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(fields)}\n\n".encode()


def _drawn(frame: Frame) -> list[dict[str, Any]]:
    return [
        {"id": name, "joints": [None if np.isnan(row).any() else [round(float(x), 4) for x in row] for row in body]}
        for (_, name), body in frame.bodies.items()
    ]


def _answered(answer: Answer | None, latency: float) -> dict[str, Any] | None:
    if answer is None:
        return None
    shares = None if answer.probabilities is None else answer.probabilities.round(4).tolist()
    salient = None if answer.saliency is None else answer.saliency.round(3).tolist()
    return {**told(answer, top=5, latency=latency), "probabilities": shares, "saliency": salient}

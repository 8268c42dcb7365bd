"""Name the action in a stream of frames while it comes in."""

import signal
import sys
from contextlib import ExitStack
from typing import Literal

from masksem_graph.console import counted
from masksem_graph.errors import InputError
from masksem_graph.parser import Parser


def main(argv: list[str]) -> None:
    """Run ``live RUN --input -|FILE|udp://HOST:PORT``."""
    parser = Parser(prog="masksem-graph live", description=f"{__doc__} A line of JSON is a frame: see docs/live.md.")
    parser.add_argument("run", type=str, help="folder of an evaluation that trained a head; its .onnx; or hf://OWNER/NAME")
    parser.add_argument("--input", type=str, default="-", help="- for standard input, a file, or udp://HOST:PORT")
    parser.add_argument("--realtime", action="store_true", help="a file's frames come at the pace of their times")
    parser.add_argument("--fps", type=float, default=30.0, help="frames a second of the clips that the run was trained on")
    parser.add_argument("--window", type=float, default=2.0, help="seconds that are looked at")
    parser.add_argument("--stride", type=float, default=0.1, help="seconds from one answer to the next")
    parser.add_argument("--bodies", type=int, default=2, help="at most so many bodies are looked at")
    ways = Literal["skip", "hold", "interpolate"]
    parser.add_argument("--missing", type=ways, default="hold", help="of joints that are not seen")
    parser.add_argument("--missing_frames", type=int, default=15, help="for how many frames on end a joint may be missing")
    parser.add_argument("--min_score", type=float, default=0.0, help="a joint with this score or less is not seen")
    parser.add_argument("--gap", type=float, default=0.5, help="seconds without a frame after which a body is absent")
    parser.add_argument("--smoothing", type=float, default=0.0, help="weight of the answers before, from 0 to below 1")
    parser.add_argument("--reject", type=float, default=0.0, help="no class is named below this probability")
    parser.add_argument("--top", type=int, default=5, help="how many classes to show")
    parser.add_argument("--json", action="store_true", help="lines of JSON in a terminal too")
    parser.add_argument("--serve", type=int | None, help="port of a page that shows the stream")
    parser.add_argument("--host", type=str, default="127.0.0.1", help="with --serve: who may look; 0.0.0.0 is everybody")
    found = vars(parser.parse_args(argv))
    if found["top"] < 1:
        raise InputError(f"--top: expected at least 1, found {found['top']}")
    source, realtime, run = found.pop("input"), found.pop("realtime"), found.pop("run")
    top, as_json, port, host = (found.pop(name) for name in ("top", "json", "serve", "host"))
    found.pop("config", None)

    from masksem_graph.hub import local
    from masksem_graph.live.recogniser import Recogniser
    from masksem_graph.live.serve import Page
    from masksem_graph.live.session import Bars, JsonLines, Output, Session
    from masksem_graph.live.source import open_source

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, with a summary
    recogniser = Recogniser(local(run), **found)
    lines = open_source(source, realtime=realtime)
    with ExitStack() as stack:
        shown = JsonLines(top) if as_json or not sys.stdout.isatty() else stack.enter_context(Bars(top, recogniser))
        outputs: list[Output] = [shown]
        if port is not None:
            page = stack.enter_context(Page(recogniser, host=host, port=port))
            print(f"look at {page.address}", file=sys.stderr)
            outputs.append(page)
        session = Session(recogniser, outputs)
        session.run(lines)
    for line in session.summary():
        print(line, file=sys.stderr)
    if session.lines and session.malformed == session.lines:
        raise InputError(f"--input: {source}: none of its {counted(session.lines, 'line')} is a frame of this run's skeleton")

"""The embedded data set: human motion made by forward kinematics, written as NTU RGB+D ``.skeleton`` files."""

import re
from pathlib import Path

import numpy as np

from masksem_graph.data.demo.actions import ACTIONS
from masksem_graph.data.demo.body import draw_body
from masksem_graph.data.demo.performance import perform
from masksem_graph.data.demo.sensor import AZIMUTHS_DEG, record, skeleton_text
from masksem_graph.errors import InputError
from masksem_graph.files import write_beside

CLASSES: tuple[str, ...] = tuple(ACTIONS)
"""Class names in the order of their labels; label 0 is A001 in a file's name."""

FILE_NAME = re.compile(r"S001C\d{3}P\d{3}R001A\d{3}\.skeleton")
FIRST_BODY_ID = 72057594037900000
"""The numbers that the Kinect v2 gives to bodies begin about here."""

__all__ = ["CLASSES", "clip_texts", "write_demo"]


def write_demo(folder: Path, *, seed: int = 0, subjects: int = 20) -> list[Path]:
    """Write the data set, and return its files: every subject performs every action once, seen by three cameras.

    The folder appears whole or not at all; one that holds this data set already is replaced. The same seed gives the same
    bytes, and a subject's files do not depend on how many subjects there are.

    Raises:
        InputError: the folder holds files of something else, or a number is out of range.
    """
    folder = Path(folder)
    if seed < 0:
        raise InputError(f"seed: found {seed}, expected 0 or more")
    if not 1 <= subjects <= 999:
        raise InputError(f"subjects: found {subjects}, expected 1 to 999")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file, expected a folder to write the embedded data set to")
    if foreign := sorted(path.name for path in folder.glob("*") if not FILE_NAME.fullmatch(path.name)):
        raise InputError(f"{folder}: holds {foreign[0]!r}, which is not of the embedded data set; expected a new folder")
    with write_beside(folder) as partial:
        partial.mkdir()
        for subject in range(1, subjects + 1):
            for action in range(1, len(CLASSES) + 1):
                for name, text in clip_texts(seed=seed, subject=subject, action=action).items():
                    (partial / name).write_bytes(text.encode("ascii"))
    return sorted(folder.glob("*.skeleton"))


def clip_texts(*, seed: int, subject: int, action: int) -> dict[str, str]:
    """One performance, as the files of the three cameras: name -> text. Subjects and actions count from 1."""
    body = draw_body(np.random.default_rng((seed, subject)))
    rng = np.random.default_rng((seed, subject, action))
    people = perform(CLASSES[action - 1], body, rng)
    texts = {}
    for camera in range(len(AZIMUTHS_DEG)):
        ids = [FIRST_BODY_ID + int(number) for number in rng.choice(90000, size=len(people), replace=False)]
        name = f"S001C{camera + 1:03d}P{subject:03d}R001A{action:03d}.skeleton"
        texts[name] = skeleton_text(record(people, camera, rng), ids)
    return texts

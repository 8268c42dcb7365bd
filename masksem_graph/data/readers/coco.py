"""COCO's 17 key points: a results file, or a folder with a text file a frame as YOLO writes them."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from masksem_graph.data.keypoints import Person, flat_points, ranked, read_json, scored
from masksem_graph.data.recordings import RecordingsReader
from masksem_graph.data.source import parse_numbers, read_lines
from masksem_graph.errors import InputError, shown

JOINTS, BOX = 17, 5


class CocoReader(RecordingsReader):
    """A recording is a ``.json`` of key point results in pixels: a list of ``{"image_id", "keypoints": [x, y, score, ...]}``,
    where ``image_id`` is the frame's number or a file's name that ends with it, and ``track_id`` tells who it is.
    Or it is a folder with ``NAME_12.txt`` and so on, as ``yolo pose predict save_txt=True`` writes them: a line a person, the
    class, the box, then x, y and perhaps a score of each joint, as shares of the picture (``--width``, ``--height``), then
    perhaps the person's score, and their id.

    Source: Lin et al., Microsoft COCO, ECCV 2014 and its format of results; Ultralytics' ``Results.save_txt``.
    """

    endings: ClassVar[tuple[str, ...]] = (".json",)
    topologies: ClassVar[tuple[str, ...]] = ("coco17",)
    frame_name: ClassVar[re.Pattern[str] | None] = re.compile(r"(.*?)_?(\d{1,15})\.txt")

    def people(self, path: Path) -> Mapping[int, Sequence[Person]]:
        return self._yolo(path) if path.is_dir() else self._results(path)

    def _results(self, path: Path) -> Mapping[int, Sequence[Person]]:
        entries = read_json(path)
        if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
            raise InputError(f"{path}: found {shown(entries)}, expected a list of results with image_id and keypoints")
        images: dict[int, list[Person]] = {}
        for i, entry in enumerate(entries):
            if entry.get("category_id", 1) != 1:
                raise InputError(f"{path}: [{i}].category_id: found {shown(entry['category_id'])}, expected 1, a person")
            points = flat_points(f"{path}: [{i}].keypoints", entry.get("keypoints"), JOINTS)
            if type(who := entry.get("track_id")) not in (int, str, type(None)):
                raise InputError(f"{path}: [{i}].track_id: found {shown(who)}, expected a number or a text")
            image = entry.get("image_id")
            ending = re.search(r"(\d{1,15})(?:\.\w+)?$", image) if isinstance(image, str) else None
            if not ending and not (type(image) is int and abs(image) < 10**15):
                expected = "a number, or a name that ends with one"
                raise InputError(f"{path}: [{i}].image_id: found {shown(image)}, expected {expected}")
            images.setdefault(int(ending[1]) if ending else image, []).append(Person(points, who))
        return self.of_pixels(path, dict(zip(ranked(path, list(images)), images.values(), strict=True)))

    def _yolo(self, path: Path) -> Mapping[int, Sequence[Person]]:
        lines = {number: _numbers(file) for number, file in self.frame_files(path).items()}
        last = [numbers[-1] for those in lines.values() for numbers in those if (len(numbers) - BOX) % JOINTS == 1]
        whole = {float(number).is_integer() for number in last}
        if len(whole) > 1:
            raise InputError(f"{path}: the last number of a line is a score, or an id? Expected one or the other in all lines")
        people: dict[int, list[Person]] = {}
        for number, those in lines.items():
            for numbers in those:
                more = (len(numbers) - BOX) % JOINTS
                points = numbers[BOX : len(numbers) - more].reshape(JOINTS, -1)
                if points.shape[1] == 3 and not ((points[:, 2] >= 0) & (points[:, 2] <= 1)).all():
                    raise InputError(f"{path}: found a score of {points[:, 2].max():g}, expected 0 to 1: these are no results")
                placed = self.in_picture(path, scored(points, 2), shares=True)
                known = more == 2 or (more == 1 and True in whole)
                people.setdefault(number, []).append(Person(placed, numbers[-1] if known else None))
        return people


def _numbers(file: Path) -> list[Float64[np.ndarray, " n"]]:
    """The numbers of each person."""
    out = []
    for number, line in read_lines(file):
        numbers = parse_numbers(f"{file}: line {number}", line.split())
        joints, more = divmod(len(numbers) - BOX, JOINTS)
        if joints not in (2, 3) or more > 2:
            expected = f"class, box, and x, y or x, y, score of {JOINTS} joints"
            raise InputError(f"{file}: line {number}: found {len(numbers)} numbers, expected {expected}")
        out.append(numbers)
    return out

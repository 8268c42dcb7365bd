"""NTU RGB+D 60 and 120, one ``.skeleton`` text file a clip."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32

from masksem_graph.data.cleaning import Cleaning, Track, clean_tracks
from masksem_graph.data.clip import Clip
from masksem_graph.data.readers.base import Reader, listed
from masksem_graph.data.source import Part, Source, parse_numbers, read_lines, read_text_file, stem, zip_names
from masksem_graph.errors import InputError

JOINTS = 25
COLUMNS = 12  # x, y, z, depth x and y, colour x and y, orientation w, x, y, z, tracking state
BODY_COLUMNS = 10
BODY_LINES = 2 + JOINTS
NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")
# What only a clip's name looks like, also one that is mistyped.
ALMOST = re.compile(r"S\d+.?C\d+|C\d+.?P\d+|P\d+.?R\d+|R\d+.?A\d+", re.IGNORECASE)
NTU60 = 60
NTU60_SUBJECTS = (1, 2, 4, 5, 8, 9, *range(13, 20), 25, 27, 28, 31, 34, 35, 38)
NTU120_SUBJECTS = (*NTU60_SUBJECTS, 45, 46, 47, 49, 50, *range(52, 60), 70, 74, 78, *range(80, 87), 89)
NTU120_SUBJECTS += (*range(91, 96), 97, 98, 100, 103)
TRAINING_CAMERAS = (2, 3)

ACTIONS = listed(
    """drink water, eat meal, brush teeth, brush hair, drop, pick up, throw, sit down, stand up, clap, read, write, tear up
    paper, put on jacket, take off jacket, put on a shoe, take off a shoe, put on glasses, take off glasses, put on a hat,
    take off a hat, cheer up, wave hand, kick something, reach into pocket, hop, jump up, phone call, play with phone, type
    on a keyboard, point to something, take a selfie, check time, rub two hands, nod head, shake head, wipe face, salute,
    put palms together, cross hands in front, sneeze or cough, stagger, fall down, headache, chest pain, back pain, neck
    pain, nausea, fan self, punch, kick, push, pat on back, point finger, hug, give object, touch pocket, shake hands, walk
    towards, walk apart, put on headphone, take off headphone, shoot at basket, bounce ball, tennis bat swing, juggle table
    tennis ball, hush, flick hair, thumb up, thumb down, make OK sign, make victory sign, staple book, count money, cut
    nails, cut paper, snap fingers, open bottle, sniff, squat down, toss a coin, fold paper, ball up paper, play magic
    cube, apply cream on face, apply cream on hand, put on bag, take off bag, put object into bag, take object out of bag,
    open a box, move heavy objects, shake fist, throw up hat, hands up, cross arms, arm circles, arm swings, run on the
    spot, butt kicks, cross toe touch, side kick, yawn, stretch oneself, blow nose, hit with object, wield knife, knock
    over, grab stuff, shoot with gun, step on foot, high-five, cheers and drink, carry object, take a photo, follow,
    whisper, exchange things, support somebody, rock-paper-scissors"""
)


class NTUReader(Reader):
    """NTU RGB+D as published: ``SsssCcccPpppRrrrAaaa.skeleton``, 25 joints in metres, in a folder or still in the .zip.

    Source: Shahroudy et al., NTU RGB+D, CVPR 2016; Liu et al., NTU RGB+D 120, TPAMI 2020. Set-up, camera, subject and action
    are in the name. Splits of the 60 actions: ``xsub`` and ``xview``; of the 120: ``xsub`` and ``xset``.

    Args:
        cleaning: ``community`` cleans as the community's arrays are; ``recorded`` leaves the frames of a body that leaves and
            returns where they were recorded.
        exclude: a text file with the names of clips to leave out, one a line, as the authors publish those with missing
            skeletons; lines before the first name are a header.
        actions: 60 reads the 60 actions of the first data set alone; without it there are 120 where the source holds an
            action above 60.
    """

    topology = "ntu25"
    classes = ACTIONS

    def __init__(
        self,
        *,
        cleaning: Cleaning = "community",
        exclude: str | os.PathLike[str] | None = None,
        actions: Literal[60, 120] | None = None,
    ) -> None:
        self.cleaning, self.exclude, self.actions = cleaning, exclude, actions
        self.excluded = frozenset(read_names(Path(exclude)) if exclude is not None else ())

    def sources(self, root: Path) -> Sequence[Source]:
        found = self._files(root)
        actions = {source: int(match[5]) if (match := NAME.fullmatch(stem(source))) else 0 for source in found}
        self.actions = self.actions or (120 if max(actions.values()) > NTU60 else 60)
        self.classes = ACTIONS[: self.actions]
        # Beyond the 120 a number is a fault, and reported; between 61 and 120 it is of the other data set.
        wanted = [source for source in found if not self.actions < actions[source] <= len(ACTIONS)]
        if not wanted:
            raise InputError(f"{root}: holds no clip of the actions A001 to A{self.actions:03}")
        return wanted

    def read(self, source: Source) -> Clip:
        setup, camera, subject, label = (-1, -1, -1, -1) if self.loose else self._numbers(source)
        tracks, length = parse_skeleton(source)
        try:
            bodies = clean_tracks(tracks, length=length, cleaning=self.cleaning)
        except InputError as error:
            raise InputError(f"{source}: {error}") from None
        return Clip(name=stem(source), label=label, subject=subject, camera=camera, setup=setup, bodies=bodies)

    def splits(self, clips: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if len(self.classes) > NTU60:
            return {"xsub": np.isin(clips["subject"], NTU120_SUBJECTS), "xset": clips["setup"] % 2 == 0}
        return {"xsub": np.isin(clips["subject"], NTU60_SUBJECTS), "xview": np.isin(clips["camera"], TRAINING_CAMERAS)}

    def files(self, root: Path) -> Sequence[Path]:
        return [*super().files(root), *([Path(self.exclude)] if self.exclude is not None else [])]

    def _files(self, root: Path) -> list[Source]:
        """The clips of a folder and of the archives in it, or of a .zip; what is unpacked is not read twice."""
        if not root.exists():
            raise InputError(f"{root}: no such folder, expected one with .skeleton files, or the published .zip")
        files: list[Source] = [*sorted(root.rglob("*.skeleton"))] if root.is_dir() else []
        unpacked = {stem(source) for source in files}
        for archive in sorted(root.rglob("*.zip")) if root.is_dir() else [root]:
            members = (Part(archive, name) for name in zip_names(archive) if name.endswith(".skeleton"))
            files += sorted((member for member in members if stem(member) not in unpacked), key=stem)
        found = [source for source in files if stem(source) not in self.excluded]
        if not found:
            others = " but excluded ones" if self.excluded else ""
            raise InputError(f"{root}: holds no .skeleton files{others}, expected SsssCcccPpppRrrrAaaa.skeleton")
        return found

    def _numbers(self, source: Source) -> tuple[int, int, int, int]:
        match = NAME.fullmatch(stem(source))
        if not match:
            raise InputError(f"{source}: expected a name like S001C001P001R001A001.skeleton")
        setup, camera, subject, _, action = map(int, match.groups())
        if not 1 <= action <= len(self.classes):
            raise InputError(f"{source}: found action A{action:03}, expected A001 to A{len(self.classes):03}")
        return setup, camera, subject, action - 1


def read_names(path: Path) -> list[str]:
    """The clips that a published list of missing skeletons names, whatever header stands before the first."""
    words = [(number, line.removesuffix(".skeleton")) for number, line in read_lines(path)]
    first = next((i for i, (_, word) in enumerate(words) if ALMOST.search(word)), None)
    if first is None:
        raise InputError(f"{path}: holds no clip name, expected lines like S001C002P005R002A008")
    for number, word in words[first:]:
        if not NAME.fullmatch(word):
            raise InputError(f"{path}: line {number}: found {word[:60]!r}, expected a clip name like S001C002P005R002A008")
    return [word for _, word in words[first:]]


def parse_skeleton(source: Source) -> tuple[list[Track], int]:
    """The bodies of a ``.skeleton`` file.

    Returns:
        one track per body id, in order of appearance, and the number of frames with a body; frames without are not counted.
    """
    # latin-1 never fails: what is no number is reported with its line.
    lines = read_text_file(source).decode("latin-1").rstrip().split("\n")
    if lines == [""]:
        raise InputError(f"{source}: is empty, expected a .skeleton file")
    at, length = 1, 0
    tracks: dict[str, dict[int, Float32[np.ndarray, "V 3"]]] = {}  # body id -> frame -> joints
    try:
        for _ in range(_count(source, lines, 0, "frames", least=1)):
            bodies = _count(source, lines, at, "bodies", least=0)
            at += 1
            for _ in range(bodies):
                words = lines[at].split()
                if len(words) != BODY_COLUMNS:
                    raise InputError(f"{source}: line {at + 1}: found {len(words)} words, expected a body's {BODY_COLUMNS}")
                track = tracks.setdefault(body := words[0], {})
                if length in track:
                    raise InputError(f"{source}: line {at + 1}: body {body[:60]} stands twice in a frame, expected once")
                track[length] = _joints(source, lines, at + 2)
                at += BODY_LINES
            length += bodies > 0
    except IndexError:
        raise InputError(f"{source}: ends at line {len(lines)}, expected {lines[0].strip()} frames") from None
    if trailing := next((i for i in range(at, len(lines)) if lines[i].strip()), None):
        raise InputError(f"{source}: line {trailing + 1}: found {lines[trailing][:60]!r}, expected the end of the file")
    if not tracks:
        raise InputError(f"{source}: no body in any of its {lines[0].strip()} frames, expected at least one")
    return [Track(np.stack(list(track.values())), np.array(list(track))) for track in tracks.values()], length


def _count(source: Source, lines: Sequence[str], at: int, what: str, *, least: int) -> int:
    text = lines[at].strip()
    # No count can exceed the lines that are left, and such a one must not even be looped over.
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= least):
        raise InputError(f"{source}: line {at + 1}: found {text[:60]!r}, expected the number of {what}, at least {least}")
    if int(text) > len(lines) - at - 1:
        raise InputError(f"{source}: line {at + 1}: found {text} {what}, but only {len(lines) - at - 1} lines follow")
    return int(text)


def _joints(source: Source, lines: Sequence[str], first: int) -> Float32[np.ndarray, "V 3"]:
    """The joints of a body, whose count stands in the line before ``first``."""
    if (found := lines[first - 1].strip()) != str(JOINTS):
        raise InputError(f"{source}: line {first}: found {found[:60]!r}, expected the number of joints, {JOINTS}")
    # Thousands of files: one split and one conversion a body are faster than one a line.
    words = " ".join(lines[first : first + JOINTS]).split()
    if len(words) == JOINTS * COLUMNS:
        xyz = words[0::COLUMNS] + words[1::COLUMNS] + words[2::COLUMNS]
        with suppress(ValueError), np.errstate(over="ignore"):
            joints = np.fromiter(map(float, xyz), np.float32, len(xyz)).reshape(3, JOINTS).T
            if np.isfinite(joints).all():
                return joints
    rows = []
    for at in range(first, first + JOINTS):
        place, words = f"{source}: line {at + 1}", lines[at].split()
        if len(words) != COLUMNS:
            raise InputError(f"{place}: found {len(words)} words, expected a joint's {COLUMNS} numbers")
        rows.append(parse_numbers(place, words[:3]))
    return np.array(rows, np.float32)

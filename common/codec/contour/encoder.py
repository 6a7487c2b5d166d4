"""Adaptive mode: the cheapest records that keep the mean IoU at its floor, in packets that each help on their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from common.codec.base import Budget, CodecError, EncodedUnit
from common.codec.contour.instances import check
from common.codec.contour.missing import LEAST_GAIN, MOST_BORN, Middles, missing
from common.codec.contour.packing import cost, most
from common.codec.contour.payload import Payload
from common.codec.contour.raster import Labels, area2, paint
from common.codec.contour.scene import Scene
from common.codec.contour.search import Course
from common.codec.contour.sheet import Ids, Prices, Sheet
from common.codec.contour.syntax import (
    GENERATIONS,
    MAX_FRAMES,
    MAX_TRACKS,
    Geometry,
    Key,
    Move,
    Record,
    Records,
    parts,
)
from common.codec.contour.update import bend, fresh, update, with_motion
from common.codec.contour.worth import Measure, counts
from common.maps.base import LabelMap

NEAR = 6  # pixels about a polygon within which errors are its own
LEAST_WRONG = 60.0  # bits that the errors about a track must be worth before it is looked at
MEASURED = 2  # of so many frames one is compared with what is shown, for the mean IoU
# Instances of a scene in which ellipses, symmetric polygons and turns are looked for: single objects; of many, each
# small, they cost more than they bring, and time.
MOST_SIMPLE = 16
BIRTH_BITS = 31.0  # that a new instance of such a scene must gain beyond its key: it will move and end
REMEMBERED = 16  # units whose packets a report may name
KEEP_WORTH = (300.0, 1e6)  # bits that a mean IoU of 1 over a unit may cost, least and most
FIRST_WORTH = 10000.0
SHORTER, LONGER = 12000.0, 2500.0  # worth beyond which a unit has more steps, or fewer
TABLES_KEPT = 8  # units from one comparison of the coder's tables to the next
GAIN = 20.0  # how fast that follows the mean IoU
QUICK_STEPS = 2  # of a unit of many instances at the quick effort: the time goes with the steps
Group = tuple[tuple[Record, ...], ...]  # records of one payload, by step


@dataclass(frozen=True, slots=True)
class ContourSettings:
    """What the adaptive mode is asked for."""

    classes: int  # labels are 0..classes - 1
    void: int | None = None  # label of pixels of which nothing is known; counts for nothing
    floor: float = 0.85  # mean IoU that is kept
    period: int = 4  # maps in a unit
    refresh: int = 8  # units from one key of an instance to its next at most
    repeat: bool = False  # keys and ends go again with the next unit: for links that lose packets
    fps: float = 10.0
    quick: bool = False  # fewer steps for scenes of many instances: half of the time, for live use

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("classes", self.classes, 1, 255),
            ("void", 255 if self.void is None else self.void, 0, 255),
            ("floor", self.floor, 0.0, 1.0),
            ("period", self.period, 1, MAX_FRAMES),
            ("refresh", self.refresh, 1, 256),
        ):
            if not low <= value <= high:
                raise CodecError(f"{name}: must be {low}..{high} (got {value})")
        if self.void is not None and self.void < self.classes:
            raise CodecError(f"void: must not be one of the {self.classes} classes (got {self.void})")


class ContourEncoder:
    """Encoder of one stream of maps; called by one thread. State: what a decoder that got everything shows."""

    def __init__(self, settings: ContourSettings, width: int, height: int) -> None:
        self._settings = settings
        self.floor = settings.floor
        """Mean IoU that is aimed at; may be changed between two units."""
        self.repeat = settings.repeat
        """See ContourSettings; may be changed likewise."""
        self._scene = Scene()
        self._size = (height, width)
        self._measure = Measure(settings.classes)
        self._worth = FIRST_WORTH
        self._courses: dict[int, Course] = {}
        # Of the last key of each number, whether its track has ended or not.
        self._generations: dict[int, int] = {}
        self._steps = min(2, settings.period)
        self._units = 0
        self._middles = Middles()
        self._born: dict[int, int] = {}  # instances of the tracks that the unit brings
        self._repeats: list[Record] = []
        self._tables = 0
        self._sent: dict[int, list[list[Record]]] = {}
        Geometry(width, height, 8, 0)  # says what is wrong with the size
        self._lost: dict[int, Record] = {}

    @property
    def frames_per_unit(self) -> int:
        """How many maps `encode` takes."""
        return self._settings.period

    @property
    def mean_iou(self) -> float:
        """Of the last dozens of units, where every packet arrives."""
        return self._measure.miou

    @property
    def instances(self) -> int:
        """That a decoder which got everything knows now."""
        return len(self._scene.tracks)

    def encode(self, given: Sequence[LabelMap | Labels], unit: int, budget: Budget) -> EncodedUnit:
        """Payloads of one unit: `period` maps, each with instances or (H, W) of uint8, fewer at the end of a stream.
        Where there are instances, those of one class that touch are apart, and each keeps its track by its number;
        else connected components are instances. The most important
        instances come first; the budget's wire bytes bound what is sent, however low the mean IoU. Raises CodecError on
        maps of another size or with labels that are no class."""
        begun = time.perf_counter()
        ids = [self._numbers(one) for one in given]
        maps = [self._checked(one.labels if isinstance(one, LabelMap) else one) for one in given]
        if not 1 <= len(maps) <= MAX_FRAMES:
            raise CodecError(f"maps: must be 1..{MAX_FRAMES} (got {len(maps)})")
        if self._scene.geometry is None:
            self._scene.geometry = self._geometry(maps[-1])
        before, courses = self._scene.copy(), dict(self._courses)
        chosen: list[list[tuple[float, Record]]] = []
        for start, end in parts(len(maps), min(self._steps, len(maps))):
            chosen.append(self._plan(maps[start:end], ids[end - 1]))
            self._apply([record for _, record in chosen[-1]])
        payloads, sent = self._packets(chosen, len(maps), budget)
        self._scene, self._courses = before, courses
        self._settle(sent, maps)
        wire = sum(map(len, payloads)) + budget.packet_overhead * len(payloads)
        self._sent[unit] = [[record for step in group for record in step] for group in sent]
        self._sent.pop(unit - REMEMBERED, None)
        self._repeats = [
            record for group in self._sent[unit] for record in group if not isinstance(record, Move)
        ]
        self._units += 1
        return EncodedUnit(payloads, 0, wire, {"encode": time.perf_counter() - begun})

    def report(self, unit: int, arrived: Sequence[bool] | None) -> None:
        """Feedback, where there is any: keys and ends of packets that were lost go again with the next unit."""
        groups = self._sent.pop(unit, [])
        for index, group in enumerate(groups):
            if arrived is None or not (index < len(arrived) and arrived[index]):
                self._lost |= {record.track: record for record in group if not isinstance(record, Move)}

    def _checked(self, labels: Labels) -> Labels:
        check(labels, self._size)
        settings = self._settings
        wrong = labels >= settings.classes
        if not wrong.any():
            return labels
        if settings.void is None or (labels[wrong] != settings.void).any():
            void = 256 if settings.void is None else settings.void
            worst = int(labels[wrong & (labels != void)].max())
            raise CodecError(f"map: label {worst} is none of the {settings.classes} classes")
        return np.where(wrong, np.uint8(settings.classes), labels)

    def _geometry(self, truth: Labels) -> Geometry:
        height, width = self._size
        classes = self._settings.classes
        ground = int(np.bincount(truth.reshape(-1), minlength=classes + 1)[:classes].argmax())
        return Geometry(width, height, max(1, (classes - 1).bit_length()), ground)

    def _plan(self, maps: Sequence[Labels], ids: Ids | None) -> list[tuple[float, Record]]:
        """Records with what each gains, in bits."""
        geometry = self._known
        prices = Prices(self._measure.errors(maps[-1]))
        frames = len(maps)
        at = ((frames - 1) // 2, frames)
        last = Sheet.of(maps[-1], geometry.ground, prices, ids)
        middle = Sheet.of(maps[at[0]], geometry.ground, prices)
        went = self._middles.went(ids)
        first = Sheet(maps[0], last.canvas, prices, last.pairs)
        out: list[tuple[float, Record]] = []
        painted = self._scene.painted()
        busy = self._busy(last, painted)
        simple = len(painted) <= MOST_SIMPLE
        for number in painted:
            track = self._scene.tracks[number]
            if number not in busy:
                last.paint(track.label, track.points)
                if frames > 1:
                    middle.paint(track.label, track.points)
                continue
            due = self._due(number)
            course = self._courses.get(number, Course())
            if course.instance in went:
                course = replace(course, speed=went[course.instance])
            choice = update(number, track, course, last, geometry, self._worth, frames, due, simple)
            if choice.points is not None:
                last.paint(track.label, choice.points)
            record = choice.record
            if isinstance(record, Key) and choice.points is not None:
                record = with_motion(record, choice.points, first, frames, False)
            if frames > 1:
                record = bend(record, track, middle, geometry, at, self._worth)
            if record is not None:
                out.append((choice.score, record))
        return out + self._births(last, middle, first, at)

    def _numbers(self, given: LabelMap | Labels) -> Ids | None:
        ids = given.instances if isinstance(given, LabelMap) else None
        if ids is not None and (ids.shape != self._size or ids.dtype != np.uint16):
            size = f"({self._size[0]}, {self._size[1]})"
            raise CodecError(f"instances: must be {size} of uint16 (got {ids.shape} of {ids.dtype})")
        return ids

    def _busy(self, last: Sheet, painted: Sequence[int]) -> set[int]:
        """The tracks that are worth a closer look: those due for a key, and those about which the held map is
        wrong."""
        tracks = [self._scene.tracks[number] for number in painted]
        wrong = last.wrong(self._known.ground, [(track.label, track.points) for track in tracks])
        found = set()
        for number, track in zip(painted, tracks, strict=True):
            left, top, right, bottom = (side // 2 for side in last.box(track.points, NEAR))
            right, bottom = min(right + 1, wrong.shape[1] - 1), min(bottom + 1, wrong.shape[0] - 1)
            about = wrong[bottom, right] - wrong[top, right] - wrong[bottom, left] + wrong[top, left]
            if about * self._worth > LEAST_WRONG or self._due(number):
                found.add(number)
        return found

    def _births(
        self, last: Sheet, middle: Sheet, first: Sheet, at: tuple[int, int]
    ) -> list[tuple[float, Record]]:
        """Keys of what truth shows and the canvas does not, large first."""
        found = missing(last, self._worth)
        simple = len(self._scene.tracks) + len(found) <= MOST_SIMPLE
        least = BIRTH_BITS if simple else 0.0
        free = (number for number in range(MAX_TRACKS) if number not in self._scene.tracks)
        out: list[tuple[float, Record]] = []
        for label, contour, instance in found:
            if len(out) == MOST_BORN:
                break
            gains = last.gains(label, contour, 6, instance)
            if gains.painted(contour) * self._worth < LEAST_GAIN:
                continue
            choice = fresh(0, label, 0, contour, gains, self._known, self._worth, simple)
            number = next(free, None) if choice is not None and choice.score > least else None
            if number is None or choice is None or choice.points is None:
                continue
            assert isinstance(choice.record, Key)  # `fresh` gives nothing else
            key = with_motion(self._named(choice.record, number), choice.points, first, at[1], True)
            last.paint(label, choice.points)
            self._born[number] = instance
            record = bend(key, None, middle, self._known, at, self._worth) if at[1] > 1 else key
            if record is not None:
                out.append((choice.score, record))
        return out

    def _named(self, key: Key, number: int) -> Key:
        """The key as that of a track, never of the generation that a decoder may still know by its number."""
        generation = (self._generations.get(number, -1) + 1) % GENERATIONS
        return replace(key, track=number, generation=generation)

    @property
    def _known(self) -> Geometry:
        assert self._scene.geometry is not None  # set before anything is planned
        return self._scene.geometry

    def _packets(
        self, chosen: Sequence[Sequence[tuple[float, Record]]], frames: int, budget: Budget
    ) -> tuple[list[bytes], list[Group]]:
        """Payloads, most important first, and the records in each; what the budget does not hold is left out."""
        gains: dict[int, float] = {}
        costs: dict[int, float] = {}
        for step in chosen:
            for gain, record in step:
                gains[record.track] = gains.get(record.track, 0.0) + gain
                costs[record.track] = costs.get(record.track, 4.0) + cost(record)
        ranked = sorted(gains, key=lambda track: -gains[track])
        again = tuple(self._again())
        records = [sorted((record for _, record in step), key=lambda record: record.track) for step in chosen]

        def group(tracks: Sequence[int]) -> Group:
            kept = set(tracks)
            return tuple(tuple(record for record in step if record.track in kept) for step in records)

        def make(tracks: Sequence[int], repeats: tuple[Record, ...]) -> bytes:
            steps = group(tracks)
            placed = any(isinstance(record, Key) for step in (*steps, repeats) for record in step)
            placed = placed or self._units % self._settings.refresh == 0
            body = Records(self._known if placed else None, steps, repeats)
            return bytes(Payload(frames, body, self._tables))

        payloads: list[bytes] = []
        groups: list[Group] = []
        left = budget.wire_bytes
        while ranked or again or not payloads:
            room = min(budget.max_payload, int(left) - budget.packet_overhead)
            if again:
                again = self._fitting(again, room, partial(make, ()))
            count, data = most(partial(make, repeats=again), ranked, [costs[track] for track in ranked], room)
            if not payloads and (self._units % TABLES_KEPT == 0 or self._units == 1):
                kept, self._tables = self._tables, 1 - self._tables
                other = make(ranked[:count], again)
                data, self._tables = (other, self._tables) if len(other) < len(data) else (data, kept)
            if payloads and not count and not again:
                break
            payloads.append(data)
            groups.append(group(ranked[:count]))
            left -= len(payloads[-1]) + budget.packet_overhead
            ranked, again = ranked[count:], ()
        return payloads, groups

    def _fitting(
        self, again: tuple[Record, ...], room: int, make: Callable[[tuple[Record, ...]], bytes]
    ) -> tuple[Record, ...]:
        """As many of the first as `room` holds; the others wait for the next unit."""

        def made(some: Sequence[Record]) -> bytes:
            return make(tuple(sorted(some, key=lambda record: record.track)))

        low = most(made, again, [cost(record) for record in again], room)[0]
        self._lost |= {record.track: record for record in again[low:]}
        return tuple(sorted(again[:low], key=lambda record: record.track))

    def _again(self) -> list[Record]:
        """Keys and ends of the unit before that go again, of those tracks that have had none since, large ones
        first."""
        due = {record.track: record for record in self._repeats} if self.repeat else {}
        due |= self._lost
        self._lost = {}
        tracks = self._scene.tracks

        def size(record: Record) -> int:
            return abs(area2(tracks[record.track].points)) if record.track in tracks else 0

        left = [
            record
            for record in due.values()
            if (record.track in tracks and tracks[record.track].generation == record.generation)
            == isinstance(record, Key)
        ]
        return sorted(left, key=size, reverse=True)

    def _apply(self, records: Sequence[Record]) -> None:
        """One step of the unit, as the decoder does it, and the courses of what moved."""
        self._scene.apply(records)
        for record in records:
            old = self._courses.get(record.track, Course(instance=self._born.get(record.track, 0)))
            if isinstance(record, Key):
                self._generations[record.track] = record.generation
                self._courses[record.track] = Course(
                    speed=record.motion, instance=old.instance, keyed=self._units
                )
            elif isinstance(record, Move):
                x, y = (record.motion[i] - old.motion[i] for i in (0, 1))
                self._courses[record.track] = Course(
                    record.motion,
                    record.zoom,
                    (x, y),
                    old.instance,
                    record.turn,
                    record.turn - old.turn,
                    old.keyed,
                )
            else:
                self._courses.pop(record.track, None)

    def _due(self, number: int) -> bool:
        """Whether a track must have a key: one a unit or so, none after more units than `refresh`, and none soon after
        another."""
        refresh = self._settings.refresh
        age = self._units - self._courses.get(number, Course()).keyed
        return age >= refresh or (2 * age >= refresh and (self._units - number) % refresh == 0)

    def _settle(self, sent: Sequence[Group], maps: Sequence[Labels]) -> None:
        """The state that a decoder comes to, how good its maps are, and what a mean IoU may cost from now on."""
        classes = self._settings.classes
        total = np.zeros((classes, classes), np.int64)
        steps = len(sent[0])
        for step, (start, end) in enumerate(parts(len(maps), steps)):
            self._apply([record for group in sent for record in group[step]])
            for frame in range(self._units % MEASURED, end - start, MEASURED) or [end - start - 1]:
                shown = paint(self._size, self._known.ground, self._scene.polygons(frame, end - start))
                total += counts(maps[start + frame], shown, classes)
        self._measure.add(total)
        short = self.floor - self._measure.miou
        self._worth = float(np.clip(self._worth * np.exp(np.clip(GAIN * short, -0.4, 0.7)), *KEEP_WORTH))
        quick = self._settings.quick and len(self._scene.tracks) > MOST_SIMPLE
        if self._worth > SHORTER and self._steps < (min(len(maps), QUICK_STEPS) if quick else len(maps)):
            self._steps, self._worth = min(2 * self._steps, self._settings.period), self._worth / 2
        elif self._worth < LONGER and self._steps > 1:
            self._steps, self._worth = self._steps // 2, self._worth * 2
        self._steps = min(self._steps, QUICK_STEPS) if quick else self._steps

"""What payloads hold, read and written by one walk: README.md sections 2 and 6."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

from common.codec.base import CodecError
from common.codec.contour.coder import Coder, number, signed, symbol, total

MAX_SIDE = 4096
MAX_PIXELS = 1920 * 1088  # bounds what one authentic packet can make a receiver allocate
COARSE = 16  # pixels that the sides of most maps are multiples of
MAX_FRAMES = 16
MAX_TRACKS = 1024  # tracks known at a time, and records of a payload
MAX_VERTICES = 512
MAX_MOTION = 2048  # pixels
MAX_ZOOM = 48  # in 1/64
GRIDS = (1, 2, 4, 8)  # pixels
FAR = 1 << 13  # pixels; no vertex is ever further from the map
GENERATIONS = 4
TURNS = 128  # of a whole turn; an ellipse's axis lies at one of the 16 that are 4 apart in half of it
KEY, MOVE, END = range(3)
POLYGON, SYMMETRIC, ELLIPSE = range(3)  # forms of a key

Point = tuple[int, int]

_SIZE = 8  # of a number's context group
_NUMBER, _SIGNED = 2 * _SIZE, 2 * _SIZE + 1
_GROUPS = {
    "count": _NUMBER,
    "steps": _NUMBER,
    "track": _NUMBER,
    "kind": 16,
    "generation": 12,
    "class": 256,
    "grid": 4,
    "vertices": _NUMBER,
    "dx": 3 * 5 * _NUMBER,
    "dy": 3 * 16 * _NUMBER,
    "x sign": 18,
    "y sign": 27,
    **dict.fromkeys(("vx", "vy", "bx", "by"), 3 * _SIGNED),
    **dict.fromkeys(("tx", "ty", "zoom"), _SIGNED),
    "late": 1,
    "shifts": _NUMBER,
    "gap": _NUMBER,
    "shift x": _SIGNED,
    "shift y": 2 * _SIGNED,
    **dict.fromkeys(("range", "px", "py", "mx", "my"), _SIGNED),
    "form": 4 * 4,
    "axis": _NUMBER,
    "flat": 4 * _NUMBER,
    "slant": 16,
    "turn": _SIGNED,
}
_STARTS = total(_GROUPS.values())
CONTEXTS = _STARTS[-1]
_AT = dict(zip(_GROUPS, _STARTS, strict=False))
_COUNT, _STEPS, _TRACK = (_AT[name] for name in ("count", "steps", "track"))
_KIND, _GENERATION = (_AT[name] for name in ("kind", "generation"))
_CLASS, _GRID, _VERTICES = (_AT[name] for name in ("class", "grid", "vertices"))
_DX, _DY, _XSIGN, _YSIGN = (_AT[name] for name in ("dx", "dy", "x sign", "y sign"))
_LATE, _VX, _VY, _BX, _BY, _TX, _TY, _ZOOM = (
    _AT[name] for name in ("late", "vx", "vy", "bx", "by", "tx", "ty", "zoom")
)
_SHIFTS, _GAP, _SX, _SY = (_AT[name] for name in ("shifts", "gap", "shift x", "shift y"))
_RANGE, _PX, _PY, _MX, _MY = (_AT[name] for name in ("range", "px", "py", "mx", "my"))
_FORM, _AXIS, _FLAT, _SLANT, _TURN = (_AT[name] for name in ("form", "axis", "flat", "slant", "turn"))


@dataclass(frozen=True, slots=True)
class Geometry:
    """Size of the map, how many bits a class has, and the class that lies below all instances."""

    width: int
    height: int
    class_bits: int
    ground: int

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("width", self.width, 1, MAX_SIDE),
            ("height", self.height, 1, MAX_SIDE),
            ("class bits", self.class_bits, 1, 8),
            ("ground", self.ground, 0, (1 << self.class_bits) - 1),
        ):
            if not low <= value <= high:
                raise CodecError(f"{name}: must be {low}..{high} (got {value})")
        if self.width * self.height > MAX_PIXELS:
            raise CodecError(f"size: at most {MAX_PIXELS} pixels (got {self.width}x{self.height})")

    def cells(self, grid: int) -> Point:
        """Highest column and row of a grid: its last lines lie on or beyond the map's."""
        return -(-(self.width - 1) // grid), -(-(self.height - 1) // grid)


@dataclass(frozen=True, slots=True)
class Key:
    """A whole polygon, clockwise from its topmost vertex, in lines of the grid; `motion` in pixels over the unit.

    One that is its own image under half a turn (SYMMETRIC) is told by its first half: the last point given lies
    opposite the first. An ELLIPSE is told by its middle and its half axes, longer first, and how that is slanted."""

    track: int
    generation: int
    label: int
    grid: int  # index in GRIDS
    points: tuple[Point, ...]
    motion: Point = (0, 0)
    bend: Point = (0, 0)  # how far the unit's middle frame is off the straight way
    late: bool = False  # appears in the second half of the unit
    form: int = POLYGON
    slant: int = 0  # of an ellipse: of its longer axis, in sixteenths of half a turn


@dataclass(frozen=True, slots=True)
class Move:
    """Where the polygon of a key is now: translation (pixels), zoom (1/64) and turn (1/128, clockwise) since it, and
    vertices that left it."""

    track: int
    generation: int
    motion: Point
    zoom: int
    bend: Point = (0, 0)
    shifts: tuple[tuple[int, int, int], ...] = ()  # vertex, lines of the grid to the right and down
    turn: int = 0


@dataclass(frozen=True, slots=True)
class End:
    """A track that is gone."""

    track: int
    generation: int


Record = Key | Move | End


@dataclass(frozen=True, slots=True)
class Contour:
    """An instance as the paper sends it: first point, quantised increments, motion (pixels) of each further frame."""

    label: int
    first: Point
    increments: tuple[Point, ...]
    motions: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Records:
    """Body of a payload of ours."""

    geometry: Geometry | None
    steps: tuple[tuple[Record, ...], ...]  # the unit's frames, in as many parts of equal length as can be
    repeats: tuple[Record, ...] = ()  # keys and ends of the unit before, for receivers that missed them


@dataclass(frozen=True, slots=True)
class Contours:
    """Body of a payload in the paper's format; an increment's step is `step` / 16 pixels."""

    geometry: Geometry
    step: int
    contours: tuple[Contour, ...] = field(default=())


@dataclass(slots=True)
class _Last:
    """What the record before had: neighbours in a payload tend to be of a kind and to move alike."""

    kind: int = 3
    form: int = 3
    motion: Point = (0, 0)
    bend: Point = (0, 0)


def placed(coder: Coder, given: Geometry | None) -> Geometry:
    """Writes a geometry, or reads one."""
    width, height = (given.width, given.height) if given else (COARSE, COARSE)
    fine = coder.raw(1, int(width % COARSE > 0 or height % COARSE > 0 or max(width, height) > COARSE << 7))
    bits, unit = (12, 1) if fine else (7, COARSE)
    width, height = (unit * (1 + coder.raw(bits, side // unit - 1)) for side in (width, height))
    class_bits = 1 + coder.raw(3, given.class_bits - 1 if given else 0)
    return Geometry(width, height, class_bits, coder.raw(class_bits, given.ground if given else 0))


def records(coder: Coder, body: Records, geometry: Geometry | None, frames: int, repeats: bool) -> Records:
    """Writes a body, or reads one whose header says whether it has geometry and repeats."""
    again = _group(coder, body.repeats, geometry) if repeats else ()
    count = 1 + number(coder, _STEPS, _SIZE, len(body.steps) - 1)
    _check("steps", count, 1, frames)
    given = body.steps or ((),) * count
    return Records(geometry, tuple(_group(coder, given[step], geometry) for step in range(count)), again)


def _group(coder: Coder, given: tuple[Record, ...], geometry: Geometry | None) -> tuple[Record, ...]:
    count = number(coder, _COUNT, _SIZE, len(given))
    _check("instances", count, 0, MAX_TRACKS)
    out: list[Record] = []
    track, last = -1, _Last()
    for index in range(count):
        one = given[index] if given else None
        track += 1 + number(coder, _TRACK, _SIZE, one.track - track - 1 if one else 0)
        _check("track", track, 0, MAX_TRACKS - 1)
        out.append(_record(coder, track, one, geometry, last))
    return tuple(out)


def _record(coder: Coder, track: int, given: Record | None, geometry: Geometry | None, last: _Last) -> Record:
    kind = KEY if isinstance(given, Key) else MOVE if isinstance(given, Move) else END
    kind = symbol(coder, _KIND + 4 * last.kind, 2, kind)
    _check("kind of record", kind, KEY, END)
    last.kind = kind
    generation = symbol(coder, _GENERATION + 4 * kind, 2, given.generation if given else 0)
    if kind == KEY:
        if geometry is None:
            raise CodecError("geometry: missing beside a key")
        return _key(coder, track, generation, given if isinstance(given, Key) else None, geometry, last)
    if kind == MOVE:
        return _move(coder, track, generation, given if isinstance(given, Move) else None, last)
    return End(track, generation)


def _key(
    coder: Coder, track: int, generation: int, given: Key | None, geometry: Geometry, last: _Last
) -> Key:
    label = symbol(coder, _CLASS, geometry.class_bits, given.label if given else 0)
    grid = symbol(coder, _GRID, 2, given.grid if given else 0)
    form = symbol(coder, _FORM + 4 * last.form, 2, given.form if given else 0)
    _check("form", form, POLYGON, ELLIPSE)
    last.form = form
    cells, slant = geometry.cells(GRIDS[grid]), 0
    if form == ELLIPSE:
        points, slant = _ellipse(coder, given, cells, FAR // GRIDS[grid])
    else:
        points = _polygon(coder, given.points if given else (), cells)
    key = Key(track, generation, label, grid, points, form=form, slant=slant)
    if coder.bit(_LATE, int(given.late) if given else 0):
        return replace(key, late=True)
    last.motion = _pair(coder, _VX, _VY, given.motion if given else (0, 0), last.motion)
    last.bend = _pair(coder, _BX, _BY, given.bend if given else (0, 0), last.bend)
    return replace(key, motion=last.motion, bend=last.bend)


def _first(coder: Coder, given: Point | None, cells: Point) -> Point:
    x, y = (coder.raw(most.bit_length(), given[axis] if given else 0) for axis, most in enumerate(cells))
    _within(x, y, cells)
    return x, y


def _within(x: int, y: int, cells: Point) -> None:
    if not (0 <= x <= cells[0] and 0 <= y <= cells[1]):
        raise CodecError(f"vertex: must be within the map (got {x}, {y} of {cells[0]}, {cells[1]})")


def _ellipse(coder: Coder, given: Key | None, cells: Point, longest: int) -> tuple[tuple[Point, ...], int]:
    middle = _first(coder, given.points[0] if given else None, cells)
    long, short = given.points[1] if given else (1, 1)
    long = 1 + number(coder, _AXIS, _SIZE, long - 1)
    _check("axis", long, 1, min(longest, MAX_SIDE))
    flat = number(
        coder, _FLAT + _NUMBER * min(long.bit_length() // 2, 3), _SIZE, long - short if given else 0
    )
    _check("flattening", flat, 0, long - 1)
    slant = symbol(coder, _SLANT, 4, given.slant if given else 0) if flat else 0
    return (middle, (long, long - flat)), slant


def _polygon(coder: Coder, given: tuple[Point, ...], cells: Point) -> tuple[Point, ...]:
    count = 1 + number(coder, _VERTICES, _SIZE, len(given) - 1)
    _check("vertices", count, 1, MAX_VERTICES)
    x, y = _first(coder, given[0] if given else None, cells)
    points = [(x, y)]
    before, length = (0, 0), 2 - (count > 5) - (count > 9)
    for index in range(count - 1):
        step = (given[index + 1][0] - x, given[index + 1][1] - y) if given else (0, 0)
        before = _increment(coder, before, step, index == 0, length)
        x, y = x + before[0], y + before[1]
        _within(x, y, cells)
        points.append((x, y))
    return tuple(points)


def _increment(coder: Coder, before: Point, step: Point, first: bool, length: int) -> Point:
    """A side of a polygon in lines of the grid, never nothing; contexts are lengths and directions of the last, and
    of how many it is one."""
    (px, py), (x, y) = before, step
    group = 5 * length + (4 if first else min(abs(px).bit_length(), 3))
    dx = number(coder, _DX + group * _NUMBER, _SIZE, abs(x))
    group = 16 * length + 4 * min(dx.bit_length(), 3) + min(abs(py).bit_length(), 3)
    least = int(dx == 0)
    dy = least + number(coder, _DY + group * _NUMBER, _SIZE, max(abs(y) - least, 0))
    turn = 3 * (1 + _sign(px)) + 1 + _sign(py)
    if dx and coder.bit(_XSIGN + 2 * turn + int(dx > dy), int(x < 0)):
        dx = -dx
    if dy and coder.bit(_YSIGN + 3 * turn + 1 + _sign(dx), int(y < 0)):
        dy = -dy
    return dx, dy


def _move(coder: Coder, track: int, generation: int, given: Move | None, last: _Last) -> Move:
    motion = _pair(coder, _TX, _TY, given.motion if given else (0, 0))
    zoom = signed(coder, _ZOOM, _SIZE, given.zoom if given else 0)
    _check("zoom", zoom, -MAX_ZOOM, MAX_ZOOM)
    turn = signed(coder, _TURN, _SIZE, given.turn if given else 0)
    _check("turn", turn, -TURNS // 2, TURNS // 2)
    last.bend = _pair(coder, _BX, _BY, given.bend if given else (0, 0), last.bend)
    count = number(coder, _SHIFTS, _SIZE, len(given.shifts) if given else 0)
    _check("shifted vertices", count, 0, MAX_VERTICES)
    shifts, vertex = [], -1
    for index in range(count):
        old = given.shifts[index] if given else (0, 0, 0)
        vertex += 1 + number(coder, _GAP, _SIZE, old[0] - vertex - 1 if given else 0)
        _check("vertex", vertex, 0, MAX_VERTICES - 1)
        x = signed(coder, _SX, _SIZE, old[1])
        y = signed(coder, _SY + _SIGNED * (x == 0), _SIZE, old[2])
        _check("shift of a vertex", max(abs(x), abs(y)), 0, MAX_MOTION)
        shifts.append((vertex, x, y))
    return Move(track, generation, motion, zoom, last.bend, tuple(shifts), turn)


def contours(coder: Coder, body: Contours, geometry: Geometry, frames: int) -> Contours:
    """Writes a body in the paper's format, or reads one."""
    step = number(coder, _RANGE, _SIZE, body.step)
    _check("step", step, 1, 1 << 15)
    count = number(coder, _COUNT, _SIZE, len(body.contours))
    _check("instances", count, 0, MAX_TRACKS)
    out = []
    for index in range(count):
        given = body.contours[index] if body.contours else None
        out.append(_contour(coder, given, geometry, frames))
    return Contours(geometry, step, tuple(out))


def _contour(coder: Coder, given: Contour | None, geometry: Geometry, frames: int) -> Contour:
    label = symbol(coder, _CLASS, geometry.class_bits, given.label if given else 0)
    cells = geometry.cells(1)
    first = _first(coder, given.first if given else None, cells)
    count = number(coder, _VERTICES, _SIZE, len(given.increments) if given else 0)
    _check("vertices", count, 0, MAX_VERTICES - 1)
    increments = tuple(_pair(coder, _PX, _PY, given.increments[i] if given else (0, 0)) for i in range(count))
    motions = tuple(_pair(coder, _MX, _MY, given.motions[i] if given else (0, 0)) for i in range(frames - 1))
    return Contour(label, first, increments, motions)


def _pair(coder: Coder, first: int, second: int, given: Point, last: Point | None = None) -> Point:
    """Two numbers of either sign; given the last such pair, in contexts of its signs."""
    if last:
        first, second = first + _SIGNED * (1 + _sign(last[0])), second + _SIGNED * (1 + _sign(last[1]))
    x, y = signed(coder, first, _SIZE, given[0]), signed(coder, second, _SIZE, given[1])
    _check("motion", max(abs(x), abs(y)), 0, MAX_MOTION)
    return x, y


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def _check(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise CodecError(f"{name}: must be {low}..{high} (got {value})")


def parts(frames: int, steps: int) -> list[tuple[int, int]]:
    """First frame and the one after the last of each step of a unit."""
    bounds = [frames * step // steps for step in range(steps + 1)]
    return list(pairwise(bounds))

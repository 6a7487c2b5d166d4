"""How the levels of a unit are written and read: one walk for both, so that the two cannot differ.

`coder` is either end of common.codec.contour.coder. Nothing here depends on decoded pictures or on other units:
every unit can be parsed alone."""

from __future__ import annotations

from dataclasses import dataclass

from common.codec.base import CodecError
from common.codec.contour.coder import Coder, total
from common.codec.texture.transform import BLOCKS, Scan, scan

FRESH, HELD, SKIPPED = (
    0,
    1,
    2,
)  # macroblock: without a past; the past where nothing is sent; nothing is sent at all

KINDS, TIMES, BANDS, AROUND = 2, 6, 10, 7  # luma or chroma; temporal frequency; spatial; what lies around
TIME = (0, 1, 2, 3, 3, *(4,) * 3, *(5,) * 24)  # class of a temporal frequency
QUANTISED = (0, 1, 2, 3, 3, 4, 4, 5, 5, 5)  # class of the sum of magnitudes around; 10 and more: the last
LENGTHS = 16  # contexts of a number: its length in unary, and a sign
LONGEST = 13  # bits of a number, less one
LEAST_VISITED, VISITED_A_BYTE, MOST_VISITED = 1024, 32, 24 << 10  # see most_visited

ZERO, LARGE, MORE, CODED, ALIVE, MEAN, EXCESS, SENT, MODE, CONTEXTS = total(
    (
        KINDS * TIMES * BANDS * AROUND,
        KINDS * TIMES * BANDS * 3,
        KINDS * TIMES * BANDS * 2,
        KINDS * TIMES * 8,
        KINDS * TIMES * 4,
        KINDS * 2 * LENGTHS,
        KINDS * 2 * LENGTHS,
        KINDS * 2,
        2 * 3,
    )
)

Grid = list[list[int]]
Block = list[int]


@dataclass(slots=True)
class Levels:
    """What a unit says: `modes` [row][column]; for each plane `values` [time][row][column][coefficient], and `sent`
    [row][column], whether coefficient 0 of time 0 is there."""

    modes: Grid
    values: list[list[list[list[Block]]]]
    sent: list[Grid]

    @classmethod
    def empty(cls, frames: int, rows: int, columns: int) -> Levels:
        """To be read into."""
        values = [
            [[[[0] * side**2 for _ in range(columns)] for _ in range(rows)] for _ in range(frames)]
            for side in BLOCKS
        ]
        return cls(_grid(rows, columns), values, [_grid(rows, columns) for _ in BLOCKS])


def _grid(rows: int, columns: int) -> Grid:
    return [[0] * columns for _ in range(rows)]


def most_visited(body: int) -> int:
    """Coefficients that may be walked over in a unit of so many bytes: four times what pictures need, and some. A run
    of zeros costs next to no bits, but as much time as any."""
    return min(MOST_VISITED, LEAST_VISITED + VISITED_A_BYTE * body)


def walk(coder: Coder, unit: Levels, reading: bool, most: int | None = None) -> int:
    """Writes a unit, or reads it into an empty one; returns over how many coefficients it went. Raises CodecError where
    these are more than `most`."""
    _modes(coder, unit.modes)
    visited = 0
    for number in range(len(BLOCKS)):
        plane = _Plane(coder, unit, number, reading, None if most is None else most - visited)
        plane.walk()
        visited += plane.visited
    return visited


def _modes(coder: Coder, modes: Grid) -> None:
    for y, row in enumerate(modes):
        for x, mode in enumerate(row):
            near = ((modes[y - 1][x] if y else FRESH), (row[x - 1] if x else FRESH))
            held = coder.bit(MODE + sum(m != FRESH for m in near), int(mode != FRESH))
            skipped = held and coder.bit(MODE + 3 + sum(m == SKIPPED for m in near), int(mode == SKIPPED))
            row[x] = held + skipped


def _number(coder: Coder, base: int, value: int) -> int:
    """0 or more: Exp-Golomb, its length adaptive."""
    width = (value + 1).bit_length() - 1
    got = 0
    while got < LONGEST and coder.bit(base + got, int(width > got)):
        got += 1
    return (1 << got | coder.raw(got, value + 1 & (1 << got) - 1)) - 1


class _Plane:
    """The walk over one plane."""

    def __init__(self, coder: Coder, unit: Levels, number: int, reading: bool, most: int | None) -> None:
        self.visited, self._most = 0, most
        self._coder, self._reading = coder, reading
        self._modes, self._values, self._sent = unit.modes, unit.values[number], unit.sent[number]
        self._kind = int(number > 0)
        self._scan = scan(BLOCKS[number])
        self._nothing = [0] * BLOCKS[number] ** 2
        rows, columns = len(self._modes), len(self._modes[0])
        self._means = _grid(rows, columns)  # coefficient 0 of time 0, or what it is expected to be
        self._alive = [[int(mode != SKIPPED) for mode in row] for row in self._modes]
        self._coded_before = _grid(rows, columns)

    def walk(self) -> None:
        """All temporal frequencies; a macroblock at which nothing more comes is left out from there on."""
        rows, columns = len(self._modes), len(self._modes[0])
        for time in range(len(self._values)):
            coded, alive = _grid(rows, columns), _grid(rows, columns)
            for y in range(rows):
                for x in range(columns):
                    if time == 0:
                        self._mean(y, x)
                    if not self._alive[y][x] or (time and not self._goes_on(time, y, x, alive)):
                        continue
                    alive[y][x] = 1
                    coded[y][x] = self._block(time, y, x, coded)
            self._alive, self._coded_before = alive, coded

    def _goes_on(self, time: int, y: int, x: int, alive: Grid) -> int:
        near = (alive[y - 1][x] if y else 0) + (alive[y][x - 1] if x else 0)
        near += self._coded_before[y][x] if time > 1 else 1
        more = 0 if self._reading else int(any(any(later[y][x]) for later in self._values[time:]))
        return self._coder.bit(ALIVE + (self._kind * TIMES + TIME[time]) * 4 + near, more)

    def _mean(self, y: int, x: int) -> None:
        """Coefficient 0 of time 0, as the difference from what its neighbours let expect."""
        left, up = (self._means[y][x - 1] if x else 0), (self._means[y - 1][x] if y else 0)
        inside = int(bool(x and y))
        expected = left or up
        if inside:
            corner = self._means[y - 1][x - 1]
            expected = sorted((left, up, left + up - corner))[1]
        self._means[y][x] = expected
        mode = self._modes[y][x]
        if mode == SKIPPED:
            return
        if mode == HELD:
            self._sent[y][x] = self._coder.bit(SENT + self._kind * 2 + inside, self._sent[y][x])
        else:
            self._sent[y][x] = 1
        if not self._sent[y][x]:
            return
        block = self._values[0][y][x]
        base = MEAN + (self._kind * 2 + inside) * LENGTHS
        difference = block[0] - expected
        size = _number(self._coder, base, abs(difference))
        if size and self._coder.bit(base + LENGTHS - 1, int(difference < 0)):
            size = -size
        block[0] = self._means[y][x] = expected + size

    def _block(self, time: int, y: int, x: int, coded: Grid) -> int:
        """The coefficients of a block at one temporal frequency, those of time 0 without the first."""
        coder, around, first = self._coder, self._scan, int(time == 0)
        now = self._values[time]
        block = now[y][x]
        place = self._kind * TIMES + TIME[time]
        near = (coded[y - 1][x] if y else 0) + (coded[y][x - 1] if x else 0)
        near = 2 * near + self._coded_before[y][x]
        if not coder.bit(CODED + place * 8 + near, 0 if self._reading else int(any(block[first:]))):
            return 0
        neighbours = (
            now[y][x - 1] if x else self._nothing,
            now[y - 1][x] if y else self._nothing,
            self._values[time - 1][y][x] if time else self._nothing,
        )
        self.visited += self._coefficients(block, neighbours, around, place, first)
        if self._most is not None and self.visited > self._most:
            raise CodecError("unit: more coefficients than its bytes can mean")
        return 1

    def _coefficients(
        self, block: Block, neighbours: tuple[Block, Block, Block], around: Scan, place: int, first: int
    ) -> int:
        """Returns how many it went over."""
        coder, count = self._coder, len(block)
        left, up, earlier = neighbours
        last = 0 if self._reading else max(i for i, value in enumerate(block) if value)
        for k in range(first, count):
            sum_ = abs(left[k]) + abs(up[k]) + 2 * abs(earlier[k])
            sum_ += sum(abs(block[i]) for i in (around.above[k], around.before[k]) if first <= i < count)
            spot = place * BANDS + around.band[k]
            if k < count - 1:
                here = QUANTISED[sum_] if sum_ < len(QUANTISED) else AROUND - 1
                if not coder.bit(ZERO + spot * AROUND + here, int(block[k] != 0)):
                    continue
            size = 1
            if coder.bit(LARGE + spot * 3 + min(2, sum_ // 2), int(abs(block[k]) > 1)):
                base = EXCESS + (self._kind * 2 + 1 - first) * LENGTHS
                size = 2 + _number(coder, base, abs(block[k]) - 2)
            block[k] = -size if coder.raw(1, int(block[k] < 0)) else size
            if k == count - 1 or not coder.bit(MORE + spot * 2 + min(1, sum_ // 2), int(k < last)):
                break
        return k + 1 - first

"""Takes into the corpus what a run of the fuzzer found: `python -m tests.fuzz.grow FOLDER` (what was --grow).

Of the inputs, shortest first, those are taken that step from a line to another as none of the corpus before it does.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from tests.fuzz.atheris_targets import TARGETS
from tests.fuzz.run import CORPUS, corpus

ROOT = Path(__file__).parent.parent.parent
WATCHED = tuple(str(ROOT / name) for name in ("proto", "common/codec", "receiver", "sender"))
MOST_BYTES = 12_000  # of the corpus of one target

Arc = tuple[str, int, int]


def arcs(call: Callable[[], None]) -> set[Arc]:
    """The steps from line to line that a call takes in our code."""
    found: set[Arc] = set()

    def watch(frame: FrameType, event: str, argument: object) -> Any:
        file = frame.f_code.co_filename
        if not file.startswith(WATCHED):
            return None
        last = frame.f_lineno

        def local(frame: FrameType, event: str, argument: object) -> Any:
            nonlocal last
            if event == "line":
                found.add((file, last, frame.f_lineno))
                last = frame.f_lineno
            return local

        return local

    sys.settrace(watch)
    try:
        call()
    finally:
        sys.settrace(None)
    return found


def grow(target: str, folder: Path) -> tuple[int, int]:
    """How many inputs there were, and how many were taken."""
    call, known = TARGETS[target], corpus(target)
    reached = set[Arc]().union(*(arcs(lambda data=data: call(data)) for data in known))  # type: ignore[misc]
    size = sum(map(len, known))
    inputs = sorted(
        {path.read_bytes() for path in folder.glob("*")} - set(known), key=lambda data: (len(data), data)
    )
    taken = 0
    for data in inputs:
        more = arcs(lambda data=data: call(data))  # type: ignore[misc]
        if more <= reached or size + len(data) > MOST_BYTES:
            continue
        reached |= more
        size += len(data)
        taken += 1
        (CORPUS / target).mkdir(parents=True, exist_ok=True)
        (CORPUS / target / hashlib.sha1(data).hexdigest()[:12]).write_bytes(data)
    return len(inputs), taken


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.grow", description=__doc__)
    parser.add_argument("folder", type=Path, help="a folder for each target")
    args = parser.parse_args(argv)
    for target in TARGETS:
        found, taken = grow(target, args.folder / target)
        print(f"{target:16} {found:6} inputs, {taken} taken")
    return 0


if __name__ == "__main__":
    sys.exit(main())

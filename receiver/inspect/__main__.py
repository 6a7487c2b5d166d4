"""`receiver inspect FILE...`: tables of what is in captures and recordings."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av

from common.capture.records import CaptureError
from common.service import EX_NOINPUT
from receiver.inspect.figures import figures_of
from receiver.inspect.movie import examine
from receiver.inspect.summary import Sender, Summary
from receiver.inspect.units import Unit
from receiver.replay.tape import Tape

EX_USAGE = 64
EPILOG = """\
examples:
  receiver inspect flight.smc
  receiver inspect flight-*.smc               all parts of a capture as one
  receiver inspect flight.smc --units | less  each unit with its packets: █ in time, ▒ too late, · lost
  receiver inspect flight.smc --json | jq '.senders[0].loss'
  receiver inspect flight.mkv                 a recording

Exit codes: 0, 64 wrong arguments, 66 a file is missing or of another kind.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        print(f"{self.prog}: {message}", file=sys.stderr)
        raise SystemExit(EX_USAGE)


def main(argv: Sequence[str]) -> int:
    """The exit code. Writes to standard output."""
    parser = _Parser(
        prog="receiver inspect",
        description="Tell what is in captures (.smc) or a recording (.mkv, .mp4).",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument(
        "--json", action="store_true", help="everything as one JSON object; with --units a line each"
    )
    parser.add_argument("--units", action="store_true", help="list every unit of a capture with its packets")
    arguments = parser.parse_args(argv)
    try:
        return _inspect(arguments)
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except CaptureError as error:
        print(f"receiver inspect: {error}", file=sys.stderr)
    except (OSError, av.FFmpegError) as error:
        name = getattr(error, "filename", None) or arguments.files[0]
        print(f"receiver inspect: {name}: {error.strerror or error}", file=sys.stderr)
    return EX_NOINPUT


def _inspect(arguments: argparse.Namespace) -> int:
    files: list[Path] = arguments.files
    if any(file.suffix.lower() in (".mkv", ".mp4") for file in files):
        if len(files) > 1 or arguments.units:
            print("receiver inspect: recordings go one at a time, and have no units", file=sys.stderr)
            return EX_USAGE
        figures = examine(files[0])
        if arguments.json:
            print(json.dumps(figures))
        else:
            from receiver.inspect.tables import print_movie

            print_movie(figures)
        return 0
    tape = Tape(files)
    lines = _Lines(arguments.json)
    summary = Summary(lines.unit) if arguments.units else Summary()
    for record in tape:
        summary.add(record)
    summary.finish()
    if arguments.units:
        return 0
    figures = figures_of(summary) | {"files": [_file(path, reader) for path, reader in tape.read]}
    if arguments.json:
        print(json.dumps(figures))
    else:
        from receiver.inspect.tables import print_capture

        print_capture(figures)
    return 0


def _file(path: Path, reader: Any) -> dict[str, Any]:
    return {
        "name": str(path),
        "bytes": path.stat().st_size,
        "part": reader.start.part,
        "closed": reader.ended is not None,
        "damaged_bytes": reader.damaged_bytes,
        "cut_bytes": reader.tail_bytes,
        "unknown_records": reader.unknown,
    }


class _Lines:
    """`--units`: a line as soon as a unit is closed."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self._first: float | None = None

    def unit(self, sender: Sender, stream: int, unit: Unit) -> None:
        """See Summary."""
        self._first = unit.first if self._first is None else self._first
        at, span = unit.first - self._first, (unit.last - unit.first) * 1000
        done = unit.decoded
        if self._json:
            line = {
                "sender": sender.origin.hex(),
                "stream": stream,
                "unit": unit.number,
                "at": round(at, 4),
                "arrived": [int(there) for there in unit.arrived],
                "decoded": None if done is None else [int(there) for there in done.mask],
                "bytes": unit.bytes,
                "spread_ms": round(span, 1),
                "decode_ms": None if done is None else round(done.seconds * 1000, 1),
            }
            print(json.dumps(line))
            return
        what = (
            ""
            if done is None
            else f"  decoded {(done.time - unit.first) * 1000:.0f} ms after its first packet"
        )
        print(
            f"{at:9.3f} s  stream {stream}  unit {unit.number:6}  {unit.received:3}/{len(unit.arrived):<3} "
            f"{unit.bytes:6} B  {span:5.0f} ms  {unit.bar()}{what}{' (refused)' if done and done.refused else ''}"
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

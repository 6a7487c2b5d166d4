"""What a Summary has counted, as JSON."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from common.capture.records import SENT
from proto.report import RUN_LIMITS
from proto.streams import STREAMS
from receiver.inspect.summary import Flow, Sender, Summary


def figures_of(summary: Summary) -> dict[str, Any]:
    """Everything, ready for JSON. Times in seconds, rates in kbit/s, shares 0 to 1."""
    duration = max(0.0, summary.last - summary.first) if summary.packets else 0.0
    rates = np.array(summary.per_second, dtype=float) * 8 / 1000
    return {
        "kind": "sent" if summary.start is not None and summary.start.role == SENT else "received",
        "begun_at": None if summary.start is None else round(_wall(summary, summary.first), 3),
        "duration": round(duration, 3),
        "packets": summary.packets,
        "records_missing": summary.missing,
        "rate_kbps": {
            "mean": _rounded(rates.sum() / max(duration, 1.0), 1),
            **_spread(rates[:-1] if len(rates) > 1 else rates, 1),
            "per_second": [round(float(rate), 1) for rate in rates],
        },
        "gaps": {
            "count": summary.gaps.count,
            "seconds": round(summary.gaps.seconds, 3),
            "longest": [
                {"at": round(at, 3), "seconds": round(length, 3)} for at, length in summary.gaps.longest
            ],
        },
        "senders": [_sender_figures(summary, sender) for sender in summary.senders.values()],
        "packets_of_more_senders": summary.more_senders,
    }


def _wall(summary: Summary, time: float) -> float:
    if summary.start is None or time == math.inf:
        return 0.0 if summary.start is None else summary.start.wall
    return summary.start.wall + time - summary.start.clock


def _sender_figures(summary: Summary, sender: Sender) -> dict[str, Any]:
    sessions = sender.sessions.values()
    sent = sum(session.newest - session.first + 1 for session in sessions)
    got = sum(session.packets for session in sessions)
    runs = [sum(counts) for counts in zip(*(session.runs.counts for session in sessions), strict=True)]
    return {
        "name": sender.name,
        "origin": sender.origin.hex(),
        "mode": sender.mode,
        "from": round(sender.first - summary.first, 3),
        "to": round(sender.last - summary.first, 3),
        "sessions": len(sessions),
        "two_way": any(session.two_way for session in sessions),
        "packets": got,
        "loss": _rounded(1 - got / sent if sent else 0.0, 4),
        "bursts": dict(zip(_run_names(), runs, strict=False)),
        "streams": [_flow_figures(sender, stream, flow) for stream, flow in sender.flows.items()],
    }


def _flow_figures(sender: Sender, stream: int, flow: Flow) -> dict[str, Any]:
    out: dict[str, Any] = {
        "id": stream,
        "name": STREAMS[stream].name if stream in STREAMS else "unknown",
        "profile": sender.profiles.get(stream, ""),
        "packets": flow.packets,
        "bytes": flow.bytes,
    }
    if flow.units is not None:
        out |= {
            "units": flow.units.seen,
            "units_complete": flow.complete,
            "units_missed": flow.units.missed,
            "packets_expected": flow.expected,
            "packets_received": flow.received,
            "packets_late": flow.late,
            "packets_unreadable": flow.unreadable,
            "concealed": flow.concealed,
            "refused": flow.refused,
            "jitter_ms": _rounded(flow.transit.jitter * 1000, 1),
            "lateness_ms": _spread(np.array(flow.lateness) * 1000, 1),
        }
    return out


def _run_names() -> list[str]:
    """Of the bins that LossRuns counts in."""
    names, least = [], 1
    for limit in RUN_LIMITS:
        names.append(str(limit) if limit == least else f"{least}-{limit}")
        least = limit + 1
    return [*names, f"{least}+"]


def _spread(values: Any, digits: int) -> dict[str, float | None]:
    if not len(values):
        return {"p50": None, "p95": None, "max": None}
    p50, p95 = np.percentile(values, [50, 95])
    return {"p50": _rounded(p50, digits), "p95": _rounded(p95, digits), "max": _rounded(max(values), digits)}


def _rounded(value: float, digits: int) -> float:
    return round(float(value), digits)

"""Panels of what viewers see, and of the link."""

from __future__ import annotations

from tests.deploy.grafana import Panel, Query, Row
from tests.deploy.queries import (
    BAD,
    LOSS,
    OK,
    RESIDUAL,
    SIGNAL,
    TRUST,
    USUAL,
    WARN,
    increase,
    quantile,
    rate,
    rx,
    tx,
)

OVERVIEW = Row(
    "Overview",
    (
        Panel(
            "Signal",
            "What viewers are told: waiting for a first packet, live, or lost.",
            (Query(SIGNAL),),
            kind="stat",
            width=4,
            height=4,
            mappings={"2": ("live", OK), "1": ("lost", BAD), "0": ("waiting", "blue")},
        ),
        Panel(
            "Capture to display, p95",
            "From the camera to the screen; right if the clocks of both hosts are in step.",
            (Query(quantile(0.95, rx("capture_to_display_seconds_bucket"))),),
            unit="s",
            kind="stat",
            width=4,
            height=4,
            decimals=2,
            thresholds=((0.6, WARN), (1.0, BAD)),
        ),
        Panel(
            "Packets lost",
            "Raw loss of video packets over the last minute, before recovery.",
            (Query(LOSS),),
            unit="percentunit",
            kind="stat",
            width=4,
            height=4,
            decimals=1,
            thresholds=((0.5, WARN), (0.9, BAD)),
        ),
        Panel(
            "Picture imagined",
            "Loss after recovery: regions of the picture with nothing received to go by.",
            (Query(RESIDUAL),),
            unit="percentunit",
            kind="stat",
            width=4,
            height=4,
            decimals=1,
            thresholds=((0.2, WARN), (0.5, BAD)),
        ),
        Panel(
            "Wire rate",
            "All bytes that arrive, IP and UDP headers included.",
            (Query(f"8 * {rate(rx('bytes_total'))}"),),
            unit="bps",
            kind="stat",
            width=4,
            height=4,
            decimals=1,
        ),
        Panel(
            "Standing still",
            "Share of the time that a picture stood because no other was ready.",
            (Query(rate(rx("freeze_seconds_total"))),),
            unit="percentunit",
            kind="stat",
            width=4,
            height=4,
            decimals=1,
            thresholds=((0.01, WARN), (0.05, BAD)),
        ),
        Panel(
            "Trust in what is shown",
            "Share of the shown picture that was received, recovered from what arrived, or imagined.",
            (
                Query(TRUST + ', trust="received"}', "received {{instance}}", "green"),
                Query(TRUST + ', trust="recovered"}', "recovered {{instance}}", "yellow"),
                Query(TRUST + ', trust="imagined"}', "imagined {{instance}}", "red"),
            ),
            unit="percentunit",
            maximum=1,
            stacked=True,
            width=12,
        ),
        Panel(
            "Latency from capture",
            "To the packet's leaving (sender), to the first packet's arrival, and to display (receiver).",
            (
                Query(quantile(0.95, tx("capture_to_send_seconds_bucket")), "to send p95 {{instance}}"),
                Query(quantile(0.95, rx("capture_to_arrival_seconds_bucket")), "to arrival p95 {{instance}}"),
                Query(quantile(0.5, rx("capture_to_display_seconds_bucket")), "to display p50 {{instance}}"),
                Query(quantile(0.95, rx("capture_to_display_seconds_bucket")), "to display p95 {{instance}}"),
                Query(quantile(0.99, rx("capture_to_display_seconds_bucket")), "to display p99 {{instance}}"),
            ),
            unit="s",
            width=12,
            thresholds=((1.0, BAD),),
        ),
    ),
)

LINK = Row(
    "Link",
    (
        Panel(
            "Loss, before and after recovery",
            "Raw: packets missing. Effective: regions imagined. Reported: what the sender was told of both.",
            (
                Query(LOSS, "raw {{instance}}"),
                Query(RESIDUAL, "effective {{instance}}"),
                Query(tx("reported_loss_ratio"), "raw, reported to {{instance}}"),
                Query(tx("reported_residual_loss_ratio"), "effective, reported to {{instance}}"),
            ),
            unit="percentunit",
            maximum=1,
            width=12,
        ),
        Panel(
            "Packets",
            "Sent, arrived, and late, copied or reordered.",
            (
                Query(rate(tx("packets_total")), "sent {{instance}}"),
                Query(rate(rx("packets_total")), "arrived {{instance}}"),
                Query(rate(rx("packets_lost_total")), "lost {{instance}}"),
                Query(rate(rx("packets_reordered_total")), "reordered {{instance}}"),
                Query(
                    rate(rx("packets_dropped_total", f"reason=~{USUAL}")),
                    "{{reason}} {{instance}}",
                ),
            ),
            unit="pps",
            width=12,
        ),
        Panel(
            "Packets refused",
            "Forged: another key, damage, or somebody who tries. See METRICS.md for all reasons.",
            (
                Query(
                    rate(rx("packets_dropped_total", f"reason!~{USUAL}")) + " > 0",
                    "{{reason}} {{instance}}",
                ),
                Query(rate(tx("replies_dropped_total")) + " > 0", "reply {{reason}} {{instance}}"),
            ),
            unit="pps",
        ),
        Panel(
            "Runs of lost packets",
            "How long losses last, in packets: 1 is independent loss, long runs are bursts and outages.",
            (
                Query(quantile(0.5, rx("loss_burst_packets_bucket")), "p50 {{instance}}"),
                Query(quantile(0.95, rx("loss_burst_packets_bucket")), "p95 {{instance}}"),
                Query(
                    f"{rate(rx('loss_burst_packets_sum'))} / ({rate(rx('loss_burst_packets_count'))} > 0)",
                    "mean {{instance}}",
                ),
            ),
            decimals=1,
        ),
        Panel(
            "Round trip, jitter and queue",
            "A queue that stands is congestion; the rate control keeps it short.",
            (
                Query(tx("rtt_seconds"), "round trip {{instance}}"),
                Query(rx("jitter_seconds"), "jitter {{instance}}"),
                Query(tx("queue_seconds"), "queue {{instance}}"),
                Query(tx("queue_longest_seconds"), "longest wait {{instance}}"),
            ),
            unit="s",
        ),
        Panel(
            "Blocks of protected streams",
            "Whole by themselves or with parity, and those that failed: sound and whatever has an erasure code.",
            (
                Query(rate(rx("blocks_total")), "all {{stream}} {{instance}}"),
                Query(rate(rx("blocks_recovered_total")), "recovered {{stream}} {{instance}}"),
                Query(rate(rx("blocks_failed_total")), "failed {{stream}} {{instance}}"),
                Query(rate(rx("protected_units_lost_total")), "units lost {{stream}} {{instance}}"),
            ),
            unit="ops",
            width=12,
        ),
        Panel(
            "Delay gradient",
            "Seconds a second by which units take longer: above 0 a queue builds up somewhere.",
            (
                Query(rx("delay_gradient_ratio"), "{{instance}}"),
                Query(tx("reported_delay_gradient_ratio"), "reported to {{instance}}"),
            ),
            minimum=None,
            decimals=3,
            width=12,
        ),
    ),
)

RATE = Row(
    "Rate control and keys",
    (
        Panel(
            "Rate",
            "On the wire, headers included: what is sent, what is aimed at, and what limits it.",
            (
                Query(f"8 * {rate(tx('bytes_total'))}", "sent {{instance}}"),
                Query(f"8 * {rate(rx('bytes_total'))}", "arrived {{instance}}"),
                Query("8 * " + tx("rate_target_bytes_per_second"), "target {{instance}}"),
                Query("8 * " + tx("rate_limit_bytes_per_second"), "limit {{instance}}"),
                Query("8 * " + tx("rate_capacity_bytes_per_second"), "capacity {{instance}}"),
            ),
            unit="bps",
        ),
        Panel(
            "What the rate control does",
            "Growing, holding, draining a queue, testing whether losses are its own, or falling back without reports.",
            (Query(tx("rate_state") + " == 1", "{{state}} {{instance}}"),),
            kind="state-timeline",
            mappings={"1": ("yes", "blue")},
        ),
        Panel(
            "Profile in force",
            "Of the last unit, at both ends.",
            (
                Query(tx("profile") + " == 1", "{{profile}} {{instance}}"),
                Query(rx("profile") + " == 1", "{{profile}} {{instance}}"),
            ),
            kind="state-timeline",
            mappings={"1": ("yes", "purple")},
        ),
        Panel(
            "Reports",
            "Of the receiver: sent, taken in, refused.",
            (
                Query(rate(rx("reports_total")), "sent {{instance}}"),
                Query(rate(tx("reports_total")), "taken in {{instance}}"),
                Query(rate(tx("reports_refused_total")), "{{reason}} {{instance}}"),
            ),
            unit="ops",
        ),
        Panel(
            "Return path",
            "1 while keys are agreed on, and while reports come in.",
            (
                Query(tx("two_way"), "keys agreed {{instance}}"),
                Query(tx("feedback_alive"), "reports {{instance}}"),
            ),
            kind="state-timeline",
            mappings={"1": ("yes", OK), "0": ("no", WARN)},
        ),
        Panel(
            "Keys",
            "Packets that the keys in use may still seal; a step up is new keys. Far from 0 always.",
            (
                Query(tx("key_packets_remaining"), "left {{instance}}"),
                Query(
                    increase(tx("handshakes_total")),
                    "handshakes {{instance}}",
                    axis="right",
                ),
                Query(tx("session_number"), "renewed {{instance}}", axis="right"),
            ),
        ),
    ),
)

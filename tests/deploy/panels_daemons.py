"""Panels of the codec, the playout and the processes."""

from __future__ import annotations

from tests.deploy.grafana import Panel, Query, Row
from tests.deploy.queries import (
    BAD,
    OK,
    SIGNAL,
    TROUBLE,
    WHERE,
    increase,
    quantile,
    rate,
    rx,
    spread,
    tx,
)

STAGES = Row(
    "Codec and stages",
    (
        Panel(
            "Encoding a unit",
            "Must stay below the duration of a unit, or frames are dropped.",
            spread(tx("stage_seconds_bucket", 'stage="encode"')),
            unit="s",
        ),
        Panel(
            "Decoding a unit",
            "All work on it: parsing, recovery by the network, drawing.",
            spread(rx("stage_seconds_bucket", 'stage="unit"')),
            unit="s",
        ),
        Panel(
            "Stages, p95",
            "Where the time goes: capture, encode (sender); collect, parse, recover, decode, ready (receiver).",
            (
                Query(quantile(0.95, tx("stage_seconds_bucket"), ", stage"), "{{stage}} {{instance}}"),
                Query(
                    quantile(0.95, rx("stage_seconds_bucket", 'stage!="unit"'), ", stage"),
                    "{{stage}} {{instance}}",
                ),
            ),
            unit="s",
        ),
        Panel(
            "Frames at the sender",
            "Captured, encoded, and dropped on the way.",
            (
                Query(rate(tx("frames_captured_total")), "captured {{instance}}"),
                Query(rate(tx("frames_encoded_total")), "encoded {{instance}}"),
                Query(rate(tx("frames_dropped_total")), "dropped: {{reason}} {{instance}}"),
            ),
            unit="fps",
        ),
        Panel(
            "Packets that were not sent",
            "Withheld (rate below the codec's lowest), stale (newer units waited), unsent (no network or no keys).",
            (
                Query(rate(tx("packets_withheld_total")), "withheld {{instance}}"),
                Query(rate(tx("packets_stale_total")), "stale {{instance}}"),
                Query(rate(tx("packets_unsent_total")), "unsent {{instance}}"),
            ),
            unit="pps",
        ),
        Panel(
            "Quality and damage",
            "Quality index of the encoder, and units that the receiver could not decode.",
            (
                Query(tx("quality_index"), "quality {{instance}}"),
                Query(rate(rx("units_damaged_total")), "damaged {{instance}}", "red", "right"),
                Query(rate(rx("decoder_failures_total")), "breakdowns {{instance}}", "dark-red", "right"),
            ),
        ),
    ),
)

PLAYOUT = Row(
    "Playout",
    (
        Panel(
            "Pictures",
            "Shown; of these concealed (nothing arrived) and repeated; and dropped because they came too late.",
            (
                Query(rate(rx("frames_shown_total")), "shown {{instance}}"),
                Query(rate(rx("frames_concealed_total")), "concealed {{instance}}"),
                Query(rate(rx("frames_repeated_total")), "repeated {{instance}}"),
                Query(rate(rx("frames_dropped_total")), "too late {{instance}}"),
            ),
            unit="fps",
        ),
        Panel(
            "Freezes",
            "Times that a picture stood, and for how long.",
            (
                Query(increase(rx("freezes_total")), "freezes {{instance}}"),
                Query(
                    increase(rx("freeze_seconds_total")),
                    "seconds {{instance}}",
                    axis="right",
                ),
            ),
        ),
        Panel(
            "Playout delay",
            "In force, and the most that it may become. At its limit, late packets are lost.",
            (
                Query(rx("playout_delay_seconds"), "in force {{instance}}"),
                Query(rx("playout_delay_limit_seconds"), "limit {{instance}}"),
            ),
            unit="s",
        ),
        Panel(
            "Signal",
            "Over time; silence is the time since the last packet.",
            (Query(SIGNAL),),
            kind="state-timeline",
            mappings={"2": ("live", OK), "1": ("lost", BAD), "0": ("waiting", "blue")},
        ),
        Panel(
            "Clock drift",
            "How much faster the sender's clock runs. Tens of parts per million are usual; playout follows.",
            (Query(rx("clock_drift_ratio") + " * 1e6", "ppm {{instance}}"),),
            minimum=None,
            decimals=1,
            thresholds=((200, BAD),),
        ),
        Panel(
            "Sinks",
            "Pictures that a sink was too slow to take; 0 in `up` is a sink that has ended.",
            (
                Query(rx("sink_up"), "up {{sink}} {{instance}}"),
                Query(rate(rx("sink_frames_dropped_total")), "dropped {{sink}} {{instance}}", axis="right"),
            ),
        ),
    ),
)

PROCESS = Row(
    "Process",
    (
        Panel(
            "CPU",
            "Cores in use.",
            (Query(f"rate(process_cpu_seconds_total{{{WHERE}}}[$__rate_interval])", "{{job}} {{instance}}"),),
            unit="percentunit",
        ),
        Panel(
            "CPU by thread",
            "loop: sockets and sessions; native: threads of libraries.",
            (
                Query(rate(tx("thread_cpu_seconds_total")), "{{thread}} {{instance}}"),
                Query(rate(rx("thread_cpu_seconds_total")), "{{thread}} {{instance}}"),
            ),
            unit="percentunit",
            stacked=True,
        ),
        Panel(
            "Memory",
            "Resident, and on the GPU where one is used. Level after minutes.",
            (
                Query(f"process_resident_memory_bytes{{{WHERE}}}", "{{job}} {{instance}}"),
                Query(rx("gpu_memory_bytes"), "GPU {{kind}} {{instance}}"),
            ),
            unit="bytes",
        ),
        Panel(
            "Files, threads, tasks",
            "None may grow with time.",
            (
                Query(f"process_open_fds{{{WHERE}}}", "files {{instance}}"),
                Query(tx("threads"), "threads {{instance}}"),
                Query(rx("threads"), "threads {{instance}}"),
                Query(tx("tasks"), "tasks {{instance}}"),
                Query(rx("tasks"), "tasks {{instance}}"),
            ),
        ),
        Panel(
            "Warnings and errors in the log",
            "A minute; those that were only counted as repetitions included.",
            (
                Query(
                    "60 * " + rate(tx("log_records_total", TROUBLE)),
                    "{{level}} {{instance}}",
                ),
                Query(
                    "60 * " + rate(rx("log_records_total", TROUBLE)),
                    "{{level}} {{instance}}",
                ),
            ),
        ),
        Panel(
            "Up since",
            "And with which version.",
            (
                Query(f"time() - process_start_time_seconds{{{WHERE}}}", "{{job}} {{instance}}"),
                Query(f"0 * ({tx('build_info')} or {rx('build_info')})", "version {{version}} {{instance}}"),
            ),
            unit="s",
            kind="stat",
        ),
    ),
)

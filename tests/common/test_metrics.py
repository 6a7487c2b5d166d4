"""The figures, scraped for real over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from common.metrics import Exporter
from common.metrics_process import export_process
from common.metrics_server import MAX_CLIENTS, MAX_REQUEST, MetricsServer
from common.service import ServiceError
from common.values import Address


@dataclass
class Counts:
    packets: int = 3
    drops: dict[str, int] = field(default_factory=lambda: {"late": 2, "forged": 0})
    healthy: bool = True


@dataclass
class Running:
    address: Address
    counts: Counts
    registry: CollectorRegistry

    async def ask(self, request: bytes) -> tuple[str, bytes]:
        """(status line, body) of the answer to raw bytes; empty when the server hung up."""
        reader, writer = await asyncio.open_connection(self.address.host, self.address.port)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            writer.write(request)
            answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        with contextlib.suppress(ConnectionResetError):
            await writer.wait_closed()
        head, _, body = answer.partition(b"\r\n\r\n")
        return head.split(b"\r\n")[0].decode(), body

    async def get(self, path: str) -> tuple[str, bytes]:
        return await self.ask(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    counts, registry = Counts(), CollectorRegistry()
    exporter = Exporter(registry, "test_")
    export_process(exporter)
    exporter.counter("packets_total", "Packets", lambda: counts.packets)
    exporter.counter_by("drops_total", "Drops", "reason", lambda: counts.drops)
    exporter.gauge("rate_bytes_per_second", "Rate", lambda: 12.5)
    exporter.gauge_by("states", "States", "state", lambda: {"ok": 1})
    exporter.histogram("stage_seconds", "Time", (0.1, 1), "stage").labels("encode").observe(0.5)

    def health() -> tuple[bool, Mapping[str, object]]:
        return counts.healthy, {"packets": counts.packets}

    server = MetricsServer(registry, Address("127.0.0.1", 0), health)
    yield Running(await server.start(), counts, registry)
    await server.close()
    await server.close()


async def test_a_scrape_reads_the_counters_of_the_moment(running: Running) -> None:
    running.counts.packets = 41
    running.counts.drops["late"] += 5
    status, body = await running.get("/metrics?x=1")
    assert status == "HTTP/1.1 200 OK"
    families = {family.name: family for family in text_string_to_metric_families(body.decode())}
    assert all(family.documentation for family in families.values())
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert samples["test_packets_total",] == 41
    assert samples["test_drops_total", "late"] == 7
    assert samples["test_rate_bytes_per_second",] == 12.5
    assert samples["test_states", "ok"] == 1
    assert samples["test_stage_seconds_bucket", "1.0", "encode"] == 1
    assert samples["test_stage_seconds_sum", "encode"] == 0.5
    assert ("process_resident_memory_bytes",) in samples


async def test_health(running: Running) -> None:
    status, body = await running.get("/healthz")
    assert (status, json.loads(body)) == ("HTTP/1.1 200 OK", {"status": "ok", "packets": 3})
    running.counts.healthy = False
    status, body = await running.get("/healthz")
    assert (status, json.loads(body)["status"]) == ("HTTP/1.1 503 Service Unavailable", "failing")


async def test_other_requests(running: Running) -> None:
    assert (await running.get("/"))[0] == "HTTP/1.1 404 Not Found"
    assert (await running.ask(b"POST /metrics HTTP/1.1\r\n\r\n"))[0] == "HTTP/1.1 405 Method Not Allowed"
    assert (await running.ask(b"\xff\xfe\r\n\r\n"))[0] == "HTTP/1.1 405 Method Not Allowed"
    status, body = await running.ask(b"HEAD /healthz HTTP/1.1\r\n\r\n")
    assert (status, body) == ("HTTP/1.1 200 OK", b"")


async def test_an_endless_request_is_cut_off(running: Running) -> None:
    assert (await running.ask(b"x" * (MAX_REQUEST * 3)))[0] == ""
    assert (await running.get("/healthz"))[0] == "HTTP/1.1 200 OK"


async def test_clients_are_limited(running: Running) -> None:
    idle = [
        await asyncio.open_connection(running.address.host, running.address.port) for _ in range(MAX_CLIENTS)
    ]
    await asyncio.sleep(0.05)
    assert (await running.get("/healthz"))[0] == ""
    for _, writer in idle:
        writer.close()
        await writer.wait_closed()
    await asyncio.sleep(0.05)
    assert (await running.get("/healthz"))[0] == "HTTP/1.1 200 OK"


async def test_a_taken_port_is_one_clear_error(running: Running) -> None:
    second = MetricsServer(CollectorRegistry(), running.address, lambda: (True, {}))
    with pytest.raises(
        ServiceError, match=r"metrics.listen: cannot listen on 127.0.0.1:\d+: .*`off`"
    ) as caught:
        await second.start()
    assert caught.value.exit_code == 69


def test_a_reader_that_fails_costs_its_own_figure(caplog: pytest.LogCaptureFixture) -> None:
    registry = CollectorRegistry()
    exporter = Exporter(registry, "test_")
    exporter.gauge("broken", "Fails.", lambda: 1 / 0)
    exporter.gauge("whole", "Works.", lambda: 3)
    text = generate_latest(registry).decode()
    assert "test_whole 3.0" in text and "test_broken" not in text
    assert "a figure cannot be read" in caplog.text


def test_counts_become_a_histogram() -> None:
    registry = CollectorRegistry()
    Exporter(registry, "test_").counts("runs", "Runs.", (1, 2, 4), lambda: ([5, 0, 2, 1], 23))
    buckets = [registry.get_sample_value("test_runs_bucket", {"le": le}) for le in ("1", "2", "4", "+Inf")]
    assert buckets == [5, 5, 7, 8]
    assert registry.get_sample_value("test_runs_count") == 8
    assert registry.get_sample_value("test_runs_sum") == 23


def test_labels_are_there_from_the_start() -> None:
    registry = CollectorRegistry()
    exporter = Exporter(registry, "test_")
    exporter.histogram("stage_seconds", "Time.", label="stage", values=("a", "b"))
    exporter.info("build_info", "What runs.", {"version": "1"})
    assert registry.get_sample_value("test_stage_seconds_count", {"stage": "b"}) == 0
    assert "_created" not in generate_latest(registry).decode()
    assert [(figure.name, figure.kind, figure.labels) for figure in exporter.catalog] == [
        ("test_stage_seconds", "histogram", ("stage",)),
        ("test_build_info", "gauge", ("version",)),
    ]

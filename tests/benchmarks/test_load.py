"""What a run sends, how it is judged, and where a server's limit is looked for."""

import asyncio
from collections import Counter
from typing import Any

import numpy as np
import pytest
from benchmarks.bench_forward import find_limit
from benchmarks.load import Measured
from benchmarks.media import Stream, judge
from benchmarks.scenarios import KEY_FRAMES_NS, SCENARIOS, schedule


@pytest.mark.parametrize("name", ["1x10", "25x24", "audio10x100", "50x4"])
def test_a_schedule_offers_the_rate_that_was_asked_for(name: str) -> None:
    scenario = SCENARIOS[name]
    frames = schedule(scenario, 40_000, 4.0, 6)
    packets = sum(len(frame.packets) for frame in frames)
    length = max(frame.due for frame in frames) / 1e9
    assert packets * scenario.copies / length == pytest.approx(40_000, rel=0.1)
    assert {frame.stream for frame in frames} == set(range(scenario.streams))
    assert [frame.due for frame in frames] == sorted(frame.due for frame in frames)


def test_a_stream_has_a_key_frame_first_and_then_each_second() -> None:
    last: dict[int, int] = {}
    for frame in schedule(SCENARIOS["25x24"], 100_000, 4.0, 6):
        before = last.get(frame.stream)
        assert frame.is_key_frame == (before is None or frame.due - before >= KEY_FRAMES_NS)
        if frame.is_key_frame:
            last[frame.stream] = frame.due


class Plain:
    """A client that seals nothing."""

    def seal(self, packet: bytes) -> bytes:
        return packet


def test_a_packet_tells_its_stream_and_number_and_one_that_was_changed_tells_nothing() -> None:
    streams = [Stream(Plain(), number, audio=False) for number in range(2)]  # type: ignore[arg-type]
    packets = [streams[number % 2].seal(300, 5, is_first=True, is_last=True, is_key_frame=False) for number in range(6)]
    start = packets[0].index(b"\x10\x11")
    payloads = [packet[start:] for packet in packets]
    assert [judge(payload, streams) for payload in payloads] == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]
    changed = bytearray(payloads[3])
    changed[40] ^= 1
    assert judge(bytes(changed), streams) is None
    assert judge(payloads[3][:-1], streams) is None


def measured(sent: int, received: int) -> Measured:
    return Measured(
        sent=sent, received=received, opened=1, wrong=0, seconds=2.0, cpu_s=0.5, rss_mb=1.0, latencies_ms=np.zeros(1)
    )


def test_loss_and_cost_are_of_what_arrived() -> None:
    run = measured(1000, 900)
    assert run.loss == pytest.approx(0.1)
    assert run.cpu_us_per_packet == pytest.approx(0.5e6 / 900)
    assert run.packets_s == 500
    assert measured(1000, 1001).loss == 0, "what came twice is no gain"


class Limited:
    """A server that loses a tenth of all above so many packets a second."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.asked: Counter[float] = Counter()

    async def run(self, seconds: float, packets_s: float, burst: int) -> Measured:
        self.asked[packets_s] += 1
        sent = round(packets_s * seconds)
        return measured(sent, sent if packets_s <= self.limit else round(sent * 0.9))


@pytest.mark.parametrize("first", [20_000, 100_000, 900_000])
def test_the_highest_rate_without_loss_is_found_from_below_and_above(first: float) -> None:
    server: Any = Limited(123_456)
    found, share = asyncio.run(find_limit(server, 6, first, 1.0, lambda _: None))
    assert server.limit / 1.1 <= found <= server.limit
    assert share == 0.25
    assert max(server.asked.values()) == 1


def test_a_server_that_always_loses_has_no_limit() -> None:
    server: Any = Limited(0)
    assert asyncio.run(find_limit(server, 6, 1_000_000, 1.0, lambda _: None)) == (0, 0)

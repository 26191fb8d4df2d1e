"""Data through the node: whole and in order through loss, and nobody pays for a receiver that stands still."""

import asyncio
import random
import time
from collections.abc import Iterator

import aiohttp
import psutil
import pytest
from livekit.protocol import models

from tests.network.relay import LossyRelay
from tests.node.client import NodeClient
from tests.node.metrics import events, measure
from tests.node.process import KEYS, RunningNode

pytestmark = [pytest.mark.interop, pytest.mark.timeout(150)]

LOSS = 0.05
MESSAGES = 1000
LONGEST = 200_000
WINDOW = 1_000_000
"""Bytes that the sender lets be on their way: the node keeps 2 MB for a receiver, and drops what is more."""

FLOOD = 400
FLOOD_BYTES = 50_000
"""20 MB together: ten times what the node keeps for one receiver."""


@pytest.fixture
def node() -> Iterator[RunningNode]:
    with RunningNode(**KEYS) as running:
        yield running


def media_port(node: RunningNode) -> int:
    return int(next(line["media_port"] for line in node.lines if "media_port" in line))


def sizes(seed: int) -> list[int]:
    """Mixed: most short, some long, a few as long as may be."""
    chance = random.Random(seed)
    longest = {0: 200, 1: 200, 2: 1200, 3: 1200, 4: 5000, 5: 20_000, 6: 20_000}
    return [chance.randint(24, longest.get(chance.randrange(20), 1200)) for _ in range(MESSAGES - 20)] + [LONGEST] * 20


async def test_a_thousand_messages_arrive_in_order_through_loss(node: RunningNode) -> None:
    server = ("127.0.0.1", media_port(node))
    lengths = sizes(7)
    random.Random(8).shuffle(lengths)
    arrived: list[tuple[int, int]] = []
    done = asyncio.Event()

    async with (
        LossyRelay(server, loss=LOSS, only_media=False, seed=1) as up,
        LossyRelay(server, loss=LOSS, only_media=False, seed=2) as spare_up,
        LossyRelay(server, loss=LOSS, only_media=False, seed=3) as spare_down,
        LossyRelay(server, loss=LOSS, only_media=False, seed=4) as down,
        aiohttp.ClientSession(f"http://{node.address}") as session,
        NodeClient(session, "alice", relays=(up.port, spare_down.port)) as alice,
        NodeClient(session, "bob", relays=(spare_up.port, down.port)) as bob,
    ):
        await alice.until_data_flows()
        await bob.until_data_flows()
        moved = asyncio.Event()

        def receive(packet: models.DataPacket) -> None:
            payload = packet.user.payload
            arrived.append((int.from_bytes(payload[:8], "big"), len(payload)))
            moved.set()
            if len(arrived) == MESSAGES:
                done.set()

        bob.on_data = receive
        begun = time.monotonic()
        sent = 0
        for number, length in enumerate(lengths):
            while sent - sum(each for _, each in arrived) > WINDOW:
                moved.clear()
                await asyncio.wait_for(moved.wait(), 60)
            alice.send(number.to_bytes(8, "big").ljust(length, b"."))
            sent += length
        await asyncio.wait_for(done.wait(), 90)
        took = time.monotonic() - begun
        counted = events(await measure(session))
    lost = sum(relay.to_server.lost + relay.to_client.lost for relay in (up, spare_up, spare_down, down))
    print(f"{MESSAGES} messages, {sent / 1e6:.1f} MB, in {took:.1f} s through {lost} lost datagrams")
    assert arrived == list(enumerate(lengths))
    assert lost > 500
    assert not counted.get("data_overflow")


async def test_a_receiver_that_stands_still_costs_bounded_memory_and_nobody_else_anything(node: RunningNode) -> None:
    process = psutil.Process(node.process.pid)
    async with (
        aiohttp.ClientSession(f"http://{node.address}") as session,
        NodeClient(session, "alice") as alice,
        NodeClient(session, "bob") as bob,
    ):
        still = NodeClient(session, "still")
        await still.join()
        for client in (alice, bob, still):
            await client.until_data_flows()
        await alice.publish()
        delays: list[float] = []
        moved = asyncio.Event()

        def receive(packet: models.DataPacket) -> None:
            payload = packet.user.payload
            delays.append(time.monotonic() - int.from_bytes(payload[:8], "big") / 1e9)
            moved.set()

        bob.on_data = receive
        still.subscriber.stand_still()
        before = process.memory_info().rss
        for number in range(FLOOD):
            alice.send(time.monotonic_ns().to_bytes(8, "big").ljust(FLOOD_BYTES, b"."))
            while len(delays) < number - 5:
                moved.clear()
                await asyncio.wait_for(moved.wait(), 20)
        while len(delays) < FLOOD:
            moved.clear()
            await asyncio.wait_for(moved.wait(), 20)
        growth = process.memory_info().rss - before
        counted = events(await measure(session))
        heard = [numbers for numbers in bob.audio.values() if numbers]
        await still.close()
    delays.sort()
    print(
        f"memory +{growth / 1e6:.1f} MB; {counted.get('data_overflow', 0)} messages dropped for who stood still; "
        f"the other got {len(delays)}, p50 {delays[len(delays) // 2] * 1e3:.1f} ms, p99 {delays[-4] * 1e3:.1f} ms"
    )
    assert growth < 16_000_000
    assert counted["data_overflow"] > FLOOD // 2
    assert delays[-4] < 1.0
    for numbers in heard:
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "its audio lost nothing"

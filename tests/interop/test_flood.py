"""A flood of garbage at the port costs a call that goes on no more than one packet in a hundred."""

import asyncio
import sys
from collections.abc import Iterator

import pytest
from benchmarks.clients import ScriptedClient, video_section

from tests.documents import ROOT
from visiomedia.peer.peer import Peer
from visiomedia.plane import Plane
from visiomedia.rtp.extensions import serialize_extensions, serialize_mid
from visiomedia.rtp.packet import RtpPacket

pytestmark = [pytest.mark.interop, pytest.mark.timeout(90)]

RATE = 200_000
SECONDS = 5.0
INTERVAL = 0.005
VP8 = bytes.fromhex("10 50 00 00 9d 01 2a 40 01 b4 00")
MID_ID = 4


def packets() -> Iterator[bytes]:
    """Key frames of one packet each, without end."""
    profile, extensions = serialize_extensions([(MID_ID, serialize_mid("0"))])
    number = 0
    while True:
        payload = VP8 + number.to_bytes(4, "big") + bytes(800)
        yield RtpPacket(96, number & 0xFFFF, 450 * number, 7, payload, True, (), profile, extensions).serialize()
        number += 1


async def test_a_flood_of_garbage_costs_a_call_at_most_one_in_a_hundred() -> None:
    asyncio.get_running_loop().set_debug(False)
    arrived: set[bytes] = set()
    async with Plane(["127.0.0.1"], 0) as plane, Peer(plane) as published, Peer(plane) as watched:
        publisher = ScriptedClient([video_section("sendonly")])
        watcher = ScriptedClient([video_section("recvonly")], on_rtp=lambda clear: arrived.add(clear[-804:-800]))

        def publish(offer: str) -> str:
            published.receive_offer(offer)
            return published.answer()

        def watch(offer: str) -> str:
            [section] = watched.receive_offer(offer)
            section.send(published.tracks[0])
            return watched.answer()

        await publisher.connect(publish)
        await watcher.connect(watch)
        await watched.connected
        port = plane.local_addresses[0].port
        command = [sys.executable, "-m", "tests.flood", str(port), str(RATE), str(SECONDS)]
        flood = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
        sent = 0
        for packet in packets():
            publisher.send_rtp(packet)
            sent += 1
            await asyncio.sleep(INTERVAL)
            if flood.returncode is not None:
                break
        assert flood.stdout is not None
        flooded = int(await flood.stdout.read())
        await asyncio.sleep(0.3)
        counters = plane.socket_counters()
        publisher.close()
        watcher.close()
    lost = 1 - len(arrived) / sent
    print(
        f"{flooded / SECONDS:,.0f} garbage datagrams/s: {len(arrived)} of {sent} arrived, {lost:.2%} lost; "
        f"{counters['received']:,} datagrams read, {counters['overflowed']:,} lost by the system"
    )
    assert flooded > RATE * SECONDS * 0.8
    assert lost <= 0.01

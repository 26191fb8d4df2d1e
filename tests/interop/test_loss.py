"""A call whose every leg loses one packet in twenty still shows nearly all of its pictures."""

import asyncio
import contextlib

import pytest

from tests.interop.repairing_call import LossyPublisher, RepairingReceiver
from tests.network.relay import LossyRelay
from visiomedia.peer.peer import Peer
from visiomedia.plane import Plane

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

LOSS = 0.05
SECONDS = 15.0
IN_TIME = 0.3


@pytest.mark.parametrize("seed", [1, 2])
async def test_both_legs_lose_one_in_twenty_and_are_repaired(seed: int) -> None:
    async with Plane(["127.0.0.1"], 0) as plane:
        server = ("127.0.0.1", plane.local_addresses[0].port)
        async with (
            LossyRelay(server, loss=LOSS, only_media=True, seed=2 * seed) as first_leg,
            LossyRelay(server, loss=LOSS, only_media=True, seed=2 * seed + 1) as second_leg,
            Peer(plane) as published,
            Peer(plane) as watched,
        ):
            publisher, receiver = LossyPublisher(seed), RepairingReceiver()

            def publish(offer: str) -> str:
                published.receive_offer(offer)
                return published.answer()

            def watch(offer: str) -> str:
                [section] = watched.receive_offer(offer)
                section.send(published.tracks[0])
                return watched.answer()

            await publisher.client.connect(publish, port=first_leg.port)
            await receiver.client.connect(watch, port=second_leg.port)
            await watched.connected
            repairing = asyncio.ensure_future(receiver.run())
            await publisher.run(SECONDS)
            await asyncio.sleep(2 * IN_TIME)
            repairing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await repairing
            publisher.client.close()
            receiver.client.close()

            delays = [receiver.arrived.get(sent.packet.payload, float("inf")) - sent.sent for sent in publisher.sent]
            in_time = sum(delay <= IN_TIME for delay in delays) / len(delays)
            decoded = receiver.counters.decoded / publisher.frames
            account = (
                f"{in_time:.2%} of {len(delays)} packets in time, {sum(d == float('inf') for d in delays)} never; "
                f"{decoded:.2%} of {publisher.frames} frames decoded, {publisher.key_frames} of them key frames; "
                f"publisher resent {publisher.resent}; {receiver.counters}; "
                f"relays up {first_leg.to_server}, down {second_leg.to_client}; drops "
                f"{ {reason: count for reason, count in plane.counters().items() if count} }"
            )
            print(account)
            # Each direction of each leg has lost what it should: the figures below are earned.
            for counts in (first_leg.to_server, second_leg.to_client):
                assert counts.media > 1000, account
                assert 0.03 < counts.lost / counts.media < 0.07, account
            assert in_time >= 0.99, account
            assert decoded >= 0.97, account

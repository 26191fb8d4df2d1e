"""The line on a bad network: what its receivers see stays whole, in order, and told only once, whatever links do."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visiomedia.rtp.packet import RtpPacket
from visiomedia.rtp.rtcp import Nack, ReceiverReport
from visiomedia.simulation import Bernoulli, Conditions, GilbertElliott, Loss
from visiomedia.simulation.line import RTX, Endpoint, Stream, VirtualLine

NACK_AFTER = 0.02
GIVE_UP = 6


class Watcher:
    """A receiver that asks for what it misses, as browsers do, and puts in order what it has."""

    def __init__(self, endpoint: Endpoint, stream: Stream) -> None:
        self.endpoint, self.line = endpoint, endpoint.line
        self.subscription = endpoint.subscribe(stream)
        self.packets: dict[int, RtpPacket] = {}
        self.repaired = 0
        self.asked: Counter[int] = Counter()
        self.differing: list[int] = []
        self._highest = -1
        endpoint.on_rtp = self._take

    def _take(self, packet: RtpPacket) -> None:
        if packet.payload_type == RTX:
            self.repaired += 1
            number, payload = int.from_bytes(packet.payload[:2], "big"), packet.payload[2:]
        else:
            number, payload = packet.sequence_number, packet.payload
        index = number if self._highest < 0 else self._highest + ((number - self._highest + 0x8000) & 0xFFFF) - 0x8000
        known = self.packets.get(index)
        if known is not None and (known.payload, known.timestamp) != (payload, packet.timestamp):
            self.differing.append(index)
        self.packets.setdefault(index, replace(packet, payload=payload))
        if self._highest >= 0:
            for missing in range(self._highest + 1, index):
                self._ask_soon(missing)
        self._highest = max(self._highest, index)

    def _ask_soon(self, missing: int) -> None:
        self.line.network.call_at(self.line.network.now + NACK_AFTER, lambda: self._ask(missing))

    def _ask(self, missing: int) -> None:
        if missing in self.packets or self.asked[missing] >= GIVE_UP:
            return
        self.asked[missing] += 1
        self.endpoint.send_rtcp(ReceiverReport(1), Nack(1, self.subscription.ssrc, (missing & 0xFFFF,)))
        # Again when the answer should be here, and was lost.
        self.line.network.call_at(self.line.network.now + 0.15, lambda: self._ask(missing))


class Publisher:
    """Sends frames, answers NACKs from what it has sent, and key-frame requests by its next frame."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint, self.line = endpoint, endpoint.line
        (self.stream,) = endpoint.publish()
        self.sent: dict[int, bytes] = {}
        self.names: list[bytes] = []
        self._heard = 0

    def frame(self) -> None:
        """The next frame of three packets."""
        name = len(self.names).to_bytes(4, "big")
        self.names.append(name)
        first = self.stream.sequence_number
        is_key = self.stream.is_key_frame_due()
        for number, sealed in enumerate(self.stream.frame(name, key=is_key, packets=3)):
            self.sent[(first + number) & 0xFFFF] = sealed
            self.endpoint.arrive(sealed)

    def answer(self) -> None:
        """What was asked for since."""
        asked = self.endpoint.feedback(Nack)
        for each in asked[self._heard :]:
            for number in each.packet.lost:
                if number in self.sent:
                    self.endpoint.arrive(self.sent[number])
        self._heard = len(asked)


def call(conditions: Conditions, *, seed: int, seconds: float = 5.0) -> tuple[VirtualLine, Publisher, list[Watcher]]:
    """One publisher and two watchers, the same conditions on every link, then a while without loss."""
    line = VirtualLine(seed=seed)
    publisher = Publisher(line.endpoint())
    endpoints = [line.endpoint() for _ in range(2)]
    line.turn()
    watchers = [Watcher(endpoint, publisher.stream) for endpoint in endpoints]
    line.turn()
    for endpoint in (publisher.endpoint, *endpoints):
        endpoint.connect(conditions, conditions)
    step = 0

    def each() -> None:
        nonlocal step
        step += 1
        publisher.answer()
        if step % 3 == 0:
            publisher.frame()

    line.pass_time(seconds, each)
    line.pass_time(1.5, publisher.answer)
    return line, publisher, watchers


def check(line: VirtualLine, watcher: Watcher) -> None:
    """What must hold whatever the network does."""
    assert not watcher.differing, "a packet that is told again is the same"
    assert max(line.sealed.values()) == 1, "no nonce is used twice"
    for before, after in pairwise(sorted(watcher.packets)):
        first, second = watcher.packets[before], watcher.packets[after]
        ahead = (second.timestamp - first.timestamp) & 0xFFFFFFFF
        assert ahead < 0x8000_0000, "time does not go back"
        if after == before + 1:
            assert (ahead != 0) == first.marker, "a frame ends before the next begins"


def names_of(watcher: Watcher) -> list[bytes]:
    """Frames that are whole: three packets in a row of one timestamp."""
    frames: dict[int, list[bytes]] = {}
    for packet in watcher.packets.values():
        frames.setdefault(packet.timestamp, []).append(packet.payload[2:6])
    return [names[0] for names in frames.values() if len(names) == 3]


@pytest.mark.parametrize("loss", [Bernoulli(0.05), GilbertElliott.bursts(0.05, 3)], ids=["each", "bursts"])
def test_at_five_percent_loss_and_100_ms_of_way_and_back_almost_every_frame_is_whole(loss: Loss) -> None:
    bad = Conditions(delay=0.05, jitter=0.005, loss=loss, reordered=0.02)
    line, publisher, watchers = call(bad, seed=11, seconds=20.0)
    for watcher in watchers:
        check(line, watcher)
        whole = len(names_of(watcher)) / len(publisher.names)
        lost = sum(index not in watcher.packets for index in range(min(watcher.packets), max(watcher.packets)))
        assert whole > 0.985
        assert lost < 0.005 * len(watcher.packets)
        assert watcher.repaired > 20, "repaired by RTX"


def test_without_loss_nothing_is_asked_for_and_nothing_is_missing() -> None:
    line, publisher, watchers = call(Conditions(delay=0.03, jitter=0.02), seed=2)
    for watcher in watchers:
        check(line, watcher)
        assert not watcher.asked
        indices = sorted(watcher.packets)
        assert indices == list(range(indices[0], indices[-1] + 1))
        assert len(names_of(watcher)) == len(publisher.names)


def test_a_simulated_call_repeats_itself_to_the_byte() -> None:
    bad = Conditions(delay=0.05, loss=Bernoulli(0.1), jitter=0.02, duplicated=0.05)
    first, again = (call(bad, seed=4, seconds=2.0)[0] for _ in range(2))
    assert first.wire == again.wire
    assert len(first.wire) > 100
    assert call(bad, seed=5, seconds=2.0)[0].wire != first.wire


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1 << 16),
    loss=st.floats(0, 0.4),
    burst=st.floats(1, 8),
    jitter=st.floats(0, 0.08),
    duplicated=st.floats(0, 0.2),
    reordered=st.floats(0, 0.3),
)
def test_whatever_the_links_do_the_invariants_hold(seed: int, loss: float, burst: float, **others: Any) -> None:
    bad = Conditions(delay=0.03, loss=GilbertElliott.bursts(loss, burst), reordering_delay=0.05, **others)
    line, _, watchers = call(bad, seed=seed, seconds=2.0)
    for watcher in watchers:
        check(line, watcher)

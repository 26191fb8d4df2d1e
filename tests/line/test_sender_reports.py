"""Lips and voices: what our sender reports say of the instants at which packets were captured."""

from collections.abc import Callable

import pytest

from visiomedia.clock import NANOSECONDS, NTP_EPOCH_OFFSET, ntp_seconds
from visiomedia.routing.router import Subscription
from visiomedia.rtp.packet import RtpPacket
from visiomedia.rtp.rtcp import SenderReport, SourceDescription
from visiomedia.simulation.line import MS, START_NS, WALL_NS, Endpoint, Stream, VirtualLine

TOLERANCE = 0.005
"""Seconds between audio and video captured together: what nobody notices."""


class Studio:
    """A publisher of one microphone and one camera in two layers, and what one receiver makes of it.

    Each capture carries its instant. Packets and reports take their time through the network, each its own.
    """

    def __init__(self, seed: int) -> None:
        self.line = VirtualLine(seed=seed)
        self.publisher, self.receiver = self.line.endpoint(), self.line.endpoint()
        (self.microphone,) = self.publisher.publish(is_audio=True)
        self.low, self.high = self.publisher.publish(layers=2)
        self.voice = self.receiver.subscribe(self.microphone)
        self.picture = self.receiver.subscribe(self.low)
        self.line.turn()
        self.on_the_way: list[tuple[int, Endpoint, bytes]] = []

    def delayed(self, data: bytes, *, least: int = 0, most: int) -> None:
        """Through the network: it arrives up to ``most`` ms later."""
        arrival = self.line.now + self.line.random.randint(least * MS, most * MS)
        self.on_the_way.append((arrival, self.publisher, data))

    def report(self, stream: Stream) -> None:
        self.delayed(self.publisher.session.protect_rtcp(stream.report().serialize()), most=200)

    def run(self, seconds: float, each: Callable[[int], None]) -> None:
        """``each`` is told how many ms have passed."""
        start = self.line.now

        def step() -> None:
            each((self.line.now - start) // MS)
            due = [item for item in self.on_the_way if item[0] <= self.line.now]
            self.on_the_way = [item for item in self.on_the_way if item[0] > self.line.now]
            for _, endpoint, data in sorted(due, key=lambda item: item[0]):
                endpoint.arrive(data)

        self.line.pass_time(seconds, step)

    def speak(self) -> None:
        packet = self.microphone.make(instant(self.line.now))
        self.delayed(self.publisher.session.protect(packet), most=5)

    def film(self, stream: Stream, *, late: int = 0) -> None:
        (packet,) = stream.frame(instant(self.line.now)[:8], key=stream.is_key_frame_due(), packets=1)
        self.delayed(packet, least=late, most=late + 5)

    def errors(self, subscription: Subscription, clock_rate: int) -> list[tuple[int, float]]:
        """(instant of arrival, seconds by which the newest report before it places a packet too late) of packets."""
        reports = [each for each in self.receiver.feedback(SenderReport) if each.packet.ssrc == subscription.ssrc]
        errors = []
        for received in self.receiver.rtp:
            known = [each.packet for each in reports if each.at <= received.at]
            if received.packet.ssrc == subscription.ssrc and known:
                told = mapped(known[-1], received.packet, clock_rate)
                captured = START_NS + int.from_bytes(received.packet.payload[-9:-1], "big")
                true = (captured + WALL_NS) / NANOSECONDS + NTP_EPOCH_OFFSET
                errors.append((received.at, told - true))
        return errors


def instant(now: int) -> bytes:
    """As a payload carries it, before its last octet."""
    return (now - START_NS).to_bytes(8, "big") + b"."


def mapped(report: SenderReport, packet: RtpPacket, clock_rate: int) -> float:
    """NTP seconds of a packet by a report (RFC 3550 section 6.4.1)."""
    ticks = (packet.timestamp - report.timestamp + (1 << 31)) % (1 << 32) - (1 << 31)
    return ntp_seconds(report.ntp) + ticks / clock_rate


@pytest.mark.parametrize("seed", range(5))
def test_audio_and_video_captured_together_are_told_within_5_ms_across_layer_changes(seed: int) -> None:
    studio = Studio(seed)

    def each(ms: int) -> None:
        if ms % 20 == 0:
            studio.speak()
        if ms % 40 == 0:
            studio.film(studio.low)
            # The higher layer comes at 2 s, its packets later than the lower one's; it stops at 6 s and returns at 9 s.
            if ms == 9000:
                studio.high.granted = -1
            if 2000 <= ms < 6000 or ms >= 9000:
                studio.film(studio.high, late=70)
        if ms % 1000 == 10:
            for stream in (studio.microphone, studio.low, studio.high):
                if stream.packets:
                    studio.report(stream)
        if ms == 1500:
            studio.report(studio.high)  # browsers report a layer as soon as it runs

    studio.run(12, each)
    row = studio.line.subscription_row(studio.picture)
    assert row.switches >= 3
    voice = studio.errors(studio.voice, 48_000)
    picture = studio.errors(studio.picture, 90_000)
    assert len(voice) > 500 and len(picture) > 240
    assert max(abs(error) for _, error in voice) <= TOLERANCE
    # A higher layer's first frame, later than what was shown already, must not run back: it alone is told too late.
    late = [error for _, error in picture if abs(error) > TOLERANCE]
    assert len(late) <= 2
    assert all(0 < error < 0.08 for error in late)


def test_reports_count_what_we_sent_and_name_the_participant_once() -> None:
    studio = Studio(7)

    def each(ms: int) -> None:
        if ms % 20 == 0:
            studio.speak()
        if ms % 40 == 0:
            studio.film(studio.low)
        if ms % 500 == 10:
            for stream in (studio.microphone, studio.low):
                studio.report(stream)

    studio.run(1, each)
    # From here on the receiver is a second one that came late: counts are of what it was sent, not of the publisher's.
    late = studio.line.endpoint()
    picture = late.subscribe(studio.low)
    voice = late.subscribe(studio.microphone)
    studio.run(4, each)
    for subscription in (picture, voice):
        reports = [each for each in late.feedback(SenderReport) if each.packet.ssrc == subscription.ssrc]
        assert 3 <= len(reports) <= 4
        for report in reports:
            # A turn forwards before it reports.
            sent = [one.packet for one in late.rtp if one.at <= report.at and one.packet.ssrc == subscription.ssrc]
            assert report.packet.packets == len(sent)
            assert report.packet.octets == sum(len(packet.payload) for packet in sent)
    names = {
        (chunk.ssrc, value)
        for each in late.feedback(SourceDescription)
        for chunk in each.packet.chunks
        for _, value in chunk.items
    }
    assert {ssrc for ssrc, _ in names} == {picture.ssrc, voice.ssrc}
    assert {bytes(value) for _, value in names} == {b"participant"}


def test_no_report_before_the_publisher_has_told_its_clock() -> None:
    studio = Studio(8)
    studio.run(3, lambda ms: studio.speak() if ms % 20 == 0 else None)
    assert studio.receiver.feedback(SenderReport) == []

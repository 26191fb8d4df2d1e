"""The plane on loopback: real sockets, ICE, DTLS and SRTP around the line; in each way that it takes its turns."""

import asyncio
import logging
import time
from collections.abc import Callable

import pytest
from benchmarks.clients import ScriptedClient, audio_section, video_section

from visiomedia.batch import RowKind
from visiomedia.engine import Address
from visiomedia.line import Capacities
from visiomedia.peer.peer import Peer
from visiomedia.plane import Plane
from visiomedia.rtp.extensions import serialize_extensions
from visiomedia.rtp.packet import RtpPacket
from visiomedia.rtp.rtcp import (
    Goodbye,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    TransportFeedback,
    parse_compound,
)
from visiomedia.rtp.rtcp.transport_feedback import TICK_NS
from visiomedia.simulation.line import SMALL, rows_in_use
from visiomedia.transport import DtlsIdentity
from visiomedia.turns import Way

AUDIO_SSRC, VIDEO_SSRC = 0xA0D10, 0x71DE0
IDENTITY = DtlsIdentity.generate()
CAPACITIES = Capacities(**{**vars(SMALL), "batch_rows": 512, "out_rows": 512})
WAYS = pytest.mark.parametrize("way", list(Way))

Clear = tuple[str, int, int, bool, bytes, bytes]
"""Kind, sequence number and timestamp from the first on, marker, extensions, payload."""


def make_plane(way: Way) -> Plane:
    return Plane(["127.0.0.1"], 0, capacities=CAPACITIES, identity=IDENTITY, way=way)


async def until(condition: Callable[[], bool]) -> None:
    """Return once it holds: turns of a thread are its own."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # it is a thread that makes it true
            await asyncio.sleep(0.001)


class Receiver(ScriptedClient):
    """Keeps what it opens, and tells when there is so much of it."""

    def __init__(self) -> None:
        sections = [audio_section("recvonly"), video_section("recvonly")]
        super().__init__(sections, on_rtp=self._take, on_rtcp=self._take_rtcp)
        self.packets: list[RtpPacket] = []
        self.rtcp: list[RtcpPacket] = []
        self._changed = asyncio.Event()

    def _take(self, packet: bytes) -> None:
        self.packets.append(RtpPacket.parse(packet))
        self._changed.set()

    def _take_rtcp(self, compound: bytes) -> None:
        self.rtcp += parse_compound(compound)
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def until_packets(self, count: int) -> None:
        await self.until(lambda: len(self.packets) >= count)

    def clear(self, ssrcs: dict[int, str]) -> list[Clear]:
        """What came, by kind, with numbers from the first on: where they begin is drawn."""
        firsts: dict[int, RtpPacket] = {}
        return [
            (
                ssrcs[packet.ssrc],
                (packet.sequence_number - firsts.setdefault(packet.ssrc, packet).sequence_number) & 0xFFFF,
                (packet.timestamp - firsts[packet.ssrc].timestamp) & 0xFFFFFFFF,
                packet.marker,
                packet.extension_data,
                packet.payload,
            )
            for packet in self.packets
        ]


class Call:
    """Two clients through one plane: one publishes, the other watches."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.publisher = ScriptedClient([audio_section("sendonly"), video_section("sendonly")])
        self.receiver = Receiver()
        self.peers: list[Peer] = []

    async def connect(self) -> None:
        await self.publisher.connect(self._publish)
        await self.receiver.connect(self._watch)

    def _publish(self, offer: str) -> str:
        peer = Peer(self.plane)
        self.peers.append(peer)
        peer.receive_offer(offer)
        return peer.answer()

    def _watch(self, offer: str) -> str:
        peer = Peer(self.plane)
        self.peers.append(peer)
        for section, track in zip(peer.receive_offer(offer), self.peers[0].tracks, strict=True):
            section.send(track)
        return peer.answer()

    @property
    def ssrcs(self) -> dict[int, str]:
        """What the receiver is sent, by SSRC."""
        assert self.receiver.answer is not None
        return {ssrcs[0]: kind for ssrcs, kind in zip(self.receiver.answer.ssrcs.values(), ("a", "v"), strict=True)}

    def hang_up(self) -> None:
        for peer in self.peers:
            peer.close()
        self.publisher.close()
        self.receiver.close()


def script(number: int) -> list[bytes]:
    """What one step of the publisher's script sends: a packet of each kind, some with extensions and padding."""
    level = [(1, bytes([number & 0x7F]))] if number % 2 else []
    mids = ((4, b"0"), (4, b"1"))
    packets = []
    for ssrc, payload_type, mid, elements in ((AUDIO_SSRC, 111, mids[0], level), (VIDEO_SSRC, 96, mids[1], [])):
        profile, data = serialize_extensions([mid, *elements, (3, number.to_bytes(2, "big"))])
        start = b"\x10" + bytes([number % 10 != 0])
        packet = RtpPacket(
            payload_type,
            number,
            number * 960,
            ssrc,
            start + bytes([number % 251]) * (1 + number * 7 % 1100),
            number % 3 == 0,
            (ssrc,) * (number % 4),
            profile,
            data,
            number % 5,
        )
        packets.append(packet.serialize())
    return packets


async def forwarded(way: Way) -> list[Clear]:
    """What a receiver makes of the script, audio and video apart: the sockets may cut batches otherwise."""
    async with make_plane(way) as plane:
        call = Call(plane)
        await call.connect()
        for number in range(300):
            for packet in script(number):
                call.publisher.send_rtp(packet)
            if number % 10 == 9:
                await call.receiver.until_packets(2 * number + 2)
        result = call.receiver.clear(call.ssrcs)
        call.hang_up()
        return sorted(result, key=lambda packet: packet[:2])


async def test_the_same_datagrams_are_forwarded_alike_in_each_way() -> None:
    by_kernels = await forwarded(Way.LOOP)
    for way in (Way.THREAD, Way.PORTABLE):
        assert by_kernels == await forwarded(way)
    payloads = [
        RtpPacket.parse(packet).payload for kind in (0, 1) for number in range(300) for packet in [script(number)[kind]]
    ]
    assert [packet[-1] for packet in by_kernels] == payloads


@WAYS
async def test_peers_that_close_leave_no_row_whoever_closes(way: Way) -> None:
    async with make_plane(way) as plane:
        for closes_here in (True, False):
            call = Call(plane)
            await call.connect()
            for number in range(10):
                for packet in script(number):
                    call.publisher.send_rtp(packet)
            call.publisher.send_rtp(RtpPacket(96, 1, 2, 77, b"of nobody").serialize())
            await call.receiver.until_packets(20)
            if closes_here:
                call.hang_up()
            else:
                call.publisher.close()  # close_notify
                call.receiver.close()
            async with asyncio.timeout(5):
                reasons = [await peer.closed for peer in call.peers]
            assert set(reasons) == {"closed here" if closes_here else "close_notify"}
            await until(lambda: not any(rows_in_use(plane.tables).values()))
            assert (len(plane.directory), plane.limiter.in_progress) == (0, 0)
            call.hang_up()


@WAYS
async def test_a_stream_that_pauses_is_forwarded_again_though_it_says_no_mid_any_more(way: Way) -> None:
    async with make_plane(way) as plane:
        call = Call(plane)
        # Two sections of one payload type: only MID, or memory, tells them apart.
        call.publisher.sections = [audio_section("sendonly"), video_section("sendonly"), video_section("sendonly")]
        await call.publisher.connect(call._publish)
        peer = call.peers[0]
        spare = peer.transceivers["2"].track
        assert spare is not None

        def watch(offer: str) -> str:
            call.peers.append(Peer(plane))
            _, section = call.peers[-1].receive_offer(offer)
            section.send(peer.tracks[1])
            return call.peers[-1].answer()

        await call.receiver.connect(watch)
        profile, data = serialize_extensions([(4, b"1")])
        first = RtpPacket(96, 1, 0, VIDEO_SSRC, b"\x10\x00first", extension_profile=profile, extension_data=data)
        call.publisher.send_rtp(first.serialize())
        await call.receiver.until_packets(1)
        offer = call.publisher.offer()
        head, middle, tail = offer.split("m=video")
        peer.receive_offer("m=video".join([head, middle.replace("a=sendonly", "a=inactive"), tail]))
        peer.answer()
        peer.receive_offer(offer)
        peer.answer()
        (_, section) = call.peers[1].receive_offer(call.receiver.offer())
        section.send(peer.tracks[1])
        answer = call.peers[1].answer()
        assert "a=sendonly" in answer
        call.publisher.send_rtp(RtpPacket(96, 2, 3000, VIDEO_SSRC, b"\x10\x00again").serialize())
        await call.receiver.until_packets(2)
        assert call.receiver.packets[1].payload == b"\x10\x00again"
        call.hang_up()


@WAYS
async def test_reports_and_a_goodbye_pass_through_the_whole_house(way: Way) -> None:
    async with make_plane(way) as plane:
        call = Call(plane)
        await call.connect()
        for packet in script(0):
            call.publisher.send_rtp(packet)
        await call.receiver.until_packets(2)
        ntp = 0xEA00_0000_0000_0000
        call.publisher.send_rtcp(SenderReport(AUDIO_SSRC, ntp, 0, 1, 2).serialize())
        await call.receiver.until(lambda: any(isinstance(packet, SourceDescription) for packet in call.receiver.rtcp))
        reports = [packet for packet in call.receiver.rtcp if isinstance(packet, SenderReport)]
        assert call.ssrcs[reports[0].ssrc] == "a"
        assert 0 <= reports[0].ntp - ntp < 5 << 32
        goodbye = Goodbye((AUDIO_SSRC,)).serialize()
        call.publisher.send_rtcp(SenderReport(AUDIO_SSRC, ntp, 0, 1, 2).serialize() + goodbye)
        call.publisher.send_rtp(script(1)[1])
        await call.receiver.until_packets(3)
        await until(lambda: rows_in_use(plane.tables)["sources"] == 1)
        # Media of an SSRC that said goodbye binds it anew.
        call.publisher.send_rtp(script(1)[0])
        await call.receiver.until_packets(4)
        assert [kind for kind, *_ in call.receiver.clear(call.ssrcs)] == ["a", "v", "v", "a"]
        call.hang_up()


@pytest.mark.parametrize("way", [Way.THREAD, Way.LOOP])
async def test_a_loop_that_stands_still_changes_no_arrival_time_told_to_a_publisher(way: Way) -> None:
    async with make_plane(way) as plane:
        call = Call(plane)
        compounds: list[bytes] = []
        call.publisher = ScriptedClient(
            [audio_section("sendonly"), video_section("sendonly")], on_rtcp=compounds.append
        )
        await call.connect()
        sent: list[float] = []
        for number in range(60):
            call.publisher.send_rtp(script(number)[1])
            sent.append(time.monotonic())
            if number % 2:
                while time.monotonic() < sent[-1] + 0.01:  # the application computes
                    pass
            await asyncio.sleep(0.001)
        await call.receiver.until_packets(60)
        told: dict[int, float] = {}
        async with asyncio.timeout(5):
            while len(told) < 60:
                await asyncio.sleep(0.01)
                for feedback in (each for compound in compounds for each in parse_compound(compound)):
                    if isinstance(feedback, TransportFeedback):
                        told |= {number: ticks * TICK_NS / 1e9 for number, ticks in feedback.received}
        errors = sorted(abs(told[number] - told[0] - (sent[number] - sent[0])) for number in range(60))
        print(f"median {errors[30] * 1000:.2f} ms, worst {errors[-1] * 1000:.2f} ms")
        assert errors[30] < 0.001
        assert errors[50] < 0.003
        call.hang_up()


class Clumsy:
    """An owner whose code has a fault."""

    def __init__(self) -> None:
        self.asked = 0

    def receive_unknown_media(self, packet: bytes) -> None:
        self.asked += 1
        raise ZeroDivisionError("a fault of ours")


async def test_an_owner_that_raises_costs_its_datagram_only() -> None:
    async with make_plane(Way.LOOP) as plane:
        raised: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context["exception"]))
        clumsy = Clumsy()
        handle = plane.add_transport(clumsy, takes_reduced_size=True)  # type: ignore[arg-type]  # all it is asked for
        tables = plane.tables.transport
        record = tables.handed[0]
        record.kind, record.length = RowKind.RTP, 12
        record.transport, record.generation = handle
        tables.handed_flows[record.flow] += 1
        tables.handed_state[0] += 1
        for _ in range(5):
            plane.wake()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert clumsy.asked == 1
        assert [type(error) for error in raised] == [ZeroDivisionError]
        assert tables.handed_state[0] == tables.handed_state[1]


async def test_a_route_that_takes_no_segments_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "visiomedia.plane")
    async with make_plane(Way.LOOP) as plane:
        transport = plane.add_transport(Clumsy(), takes_reduced_size=True)  # type: ignore[arg-type]  # never asked
        addresses = [Address(0, host, 5000) for host in ("192.0.2.1", "192.0.2.2", "192.0.2.3")]
        paths = [plane.add_path(transport, address) for address in addresses]

        async def refuse(number: int) -> list[str]:
            plane.tables.net.paths["refuses_segments"][paths[number].row] = 1
            plane._sockets.tables.sockets["segments_refused"] += 1  # type: ignore[union-attr]  # it is open
            plane.wake()
            await asyncio.sleep(0)
            return caplog.messages

        await asyncio.sleep(0)
        assert not caplog.messages
        assert len(await refuse(1)) == 1
        assert len(await refuse(1)) == 1
        assert ["192.0.2.2" in line or "192.0.2.3" in line for line in await refuse(2)] == [True, True]

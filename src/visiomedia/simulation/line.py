"""The line in virtual time: endpoints with known SRTP keys around its tables, no socket, no clock, no DTLS.

An endpoint seals what it sends and opens what comes with libsrtp; the line does the same with its own kernels. Between
them there is nothing, or a ``Link`` each way: then the line takes a turn whenever something arrives.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Generic, TypeVar

import numpy as np

from visiomedia.batch import ROWS_USED, Drop, OutKind, append_datagram, datagram
from visiomedia.clock import NANOSECONDS, ntp_from_unix_ns
from visiomedia.commands import CommandQueue, Operation
from visiomedia.engine import Address
from visiomedia.errors import AuthenticationError
from visiomedia.jit import compile_for
from visiomedia.line import (
    FAN_OUT_WAITS,
    NOTHING_LEFT,
    Capacities,
    Tables,
    advance,
    begin,
    ingest,
    make_batches,
    make_tables,
    reset,
)
from visiomedia.net.addresses import address_to_bytes, path_command
from visiomedia.net.tables import PathKind
from visiomedia.routing.router import Router, Subscription, Track
from visiomedia.rows import Handle, RowAllocator
from visiomedia.rtp.extensions import ExtensionKind, parse_extensions, serialize_extensions
from visiomedia.rtp.packet import RtpPacket
from visiomedia.rtp.payload.codec import Codec
from visiomedia.rtp.rtcp import PictureLoss, RtcpPacket, SenderReport, parse_compound, serialize_compound
from visiomedia.rtp.tables import NO_PRIMARY
from visiomedia.sdp.attributes import Codec as Format
from visiomedia.simulation.conditions import Conditions
from visiomedia.simulation.link import Link
from visiomedia.simulation.network import Network
from visiomedia.srtp.crypto import SessionKeys, make_session_keys
from visiomedia.srtp.profiles import ProtectionProfile
from visiomedia.srtp.session import SrtpSession
from visiomedia.srtp.tables import Cipher
from visiomedia.transport.tables import HANDED_READ, HANDED_WRITTEN

T = TypeVar("T")

MS = 1_000_000
STEP_NS = 10 * MS
START_NS = 5_000 * NANOSECONDS
WALL_NS = 1_790_000_000 * NANOSECONDS
"""Unix time of every publisher's clock when the line's own stands at 0."""

AUDIO, VIDEO, RTX = 111, 96, 97
OPUS = Format(AUDIO, "opus", 48_000, 2)
VP8 = Format(VIDEO, "VP8", 90_000)
IDS = {ExtensionKind.MID: 4, ExtensionKind.RID: 10, ExtensionKind.AUDIO_LEVEL: 1, ExtensionKind.TRANSPORT_WIDE_CC: 3}
SMALL = Capacities(
    transports=16, sources=32, tracks=16, subscriptions=64, paths=16, batch_rows=64, out_rows=64, history_mb=16
)
KEY_FRAME, DELTA_FRAME, CONTINUATION = b"\x10\x00", b"\x10\x01", b"\x00\x01"
"""VP8 descriptor and first octet of a frame: S and partition 0, then the P bit (RFC 7741 sections 4.2 and 4.3)."""


@cache
def _compiled(function: Callable[..., Any], *capacities: int) -> Callable[..., Any]:
    """An entry point, once for all lines: types do not depend on sizes."""
    tables = make_tables(SMALL, b"types")
    batch, out = make_batches(SMALL)
    return compile_for(function, (out,) if function is reset else (tables, batch, out, np.int64(0)))


@dataclass(slots=True)
class Received(Generic[T]):
    """Something that reached an endpoint, and when."""

    at: int
    packet: T


@dataclass(slots=True, eq=False)
class Stream:
    """One SSRC that an endpoint sends. Its timestamps tell the endpoint's capture time, from an offset of their own."""

    endpoint: "Endpoint"
    ssrc: int
    payload_type: int
    clock_rate: int
    sequence_number: int
    timestamp_offset: int
    track: Track | None = None
    packets: int = 0
    octets: int = 0
    granted: int = -1
    """Key-frame requests answered so far; an encoder begins with one unasked."""

    def is_key_frame_due(self) -> bool:
        """Whether an encoder's next frame is a key frame: its first, or one that was asked for. Asking counts."""
        asked = sum(each.packet.media_ssrc == self.ssrc for each in self.endpoint.feedback(PictureLoss))
        is_due, self.granted = asked > self.granted, asked
        return is_due

    def timestamp(self, captured: int) -> int:
        """RTP ticks of an instant."""
        return (captured * self.clock_rate // NANOSECONDS + self.timestamp_offset) & 0xFFFFFFFF

    def make(
        self,
        payload: bytes,
        *,
        captured: int | None = None,
        marker: bool = True,
        elements: Sequence[tuple[int, bytes]] = (),
        csrcs: tuple[int, ...] = (),
        padding: int = 0,
    ) -> bytes:
        """The next packet, in the clear. ``captured``: ns, by default now."""
        profile, data = serialize_extensions(elements) if elements else (None, b"")
        packet = RtpPacket(
            self.payload_type,
            self.sequence_number,
            self.timestamp(self.endpoint.line.now if captured is None else captured),
            self.ssrc,
            payload,
            marker,
            csrcs,
            profile,
            data,
            padding,
        )
        self.sequence_number = (self.sequence_number + 1) & 0xFFFF
        self.packets += 1
        self.octets += len(payload)
        return packet.serialize()

    def send(self, payload: bytes, **fields: Any) -> bytes:
        """Make the next packet and let it arrive with the next turn; returns it in the clear."""
        packet = self.make(payload, **fields)
        self.endpoint.send(packet)
        return packet

    def frame(self, name: bytes, *, key: bool = False, packets: int = 2, captured: int | None = None) -> list[bytes]:
        """A frame of video in so many packets, sealed and not sent: the test decides which arrive."""
        starts = [KEY_FRAME if key else DELTA_FRAME] + [CONTINUATION] * (packets - 1)
        return [
            self.endpoint.session.protect(
                self.make(start + name + bytes([i]), captured=captured, marker=i == packets - 1)
            )
            for i, start in enumerate(starts)
        ]

    def send_frame(self, name: bytes, **fields: Any) -> None:
        """A frame that arrives whole."""
        for sealed in self.frame(name, **fields):
            self.endpoint.arrive(sealed)

    def report(self) -> SenderReport:
        """What the sender says of its clock now."""
        now = self.endpoint.line.now
        ntp = ntp_from_unix_ns(now + WALL_NS)
        return SenderReport(self.ssrc, ntp, self.timestamp(now), self.packets, self.octets)


@dataclass(slots=True, eq=False)
class Endpoint:
    """A peer that is all set: keys, path, ids of extensions, payload types."""

    line: "VirtualLine"
    handle: Handle
    address: Address
    keys: SessionKeys
    session: SrtpSession
    ids: dict[ExtensionKind, int]
    uplink: Link | None = None
    """What it sends takes this way to the line; None: it is there at once."""
    downlink: Link | None = None
    on_rtp: Callable[[RtpPacket], object] | None = None
    """Told of each packet of media as it comes."""
    rtp: list[Received[RtpPacket]] = field(default_factory=list)
    rtcp: list[Received[RtcpPacket]] = field(default_factory=list)
    refused: int = 0
    """Datagrams that a link doubled, or held back until they were too old."""
    unknown: list[bytes] = field(default_factory=list)
    """Opened packets of unbound SSRCs that were handed up."""

    def send(self, packet: bytes) -> None:
        """Seal an RTP packet; it arrives with the next turn."""
        self.arrive(self.session.protect(packet))

    def send_rtcp(self, *packets: RtcpPacket) -> None:
        """Seal a compound; it arrives with the next turn."""
        self.arrive(self.session.protect_rtcp(serialize_compound(packets)))

    def arrive(self, sealed: bytes, *, at: int | None = None) -> None:
        """A datagram leaves for the line, or arrives there with the next turn; ``at``: when the kernel had it, by
        default now."""
        if self.uplink is not None:
            self.uplink.send(sealed)
        else:
            self.line.arriving.append((self, sealed, at))

    def connect(self, up: Conditions | None = None, down: Conditions | None = None) -> None:
        """Put a link each way between it and the line."""
        network = self.line.network
        self.uplink = network.link(self._reach_line, up)
        self.downlink = network.link(self.take, down)

    def _reach_line(self, sealed: bytes) -> None:
        self.line.arriving.append((self, sealed, None))
        self.line.turn_soon()

    def take(self, data: bytes) -> None:
        """A datagram of the line's reaches it: opened, parsed, kept. One that comes twice is refused."""
        now = self.line.now
        try:
            if 192 <= data[1] <= 223:  # RFC 5761 section 4
                self.rtcp += [Received(now, packet) for packet in parse_compound(self.session.unprotect_rtcp(data))]
                return
            packet = RtpPacket.parse(self.session.unprotect(data))
        except AuthenticationError:
            if self.downlink is None or not self.downlink.counts.duplicated + self.downlink.counts.reordered:
                raise
            self.refused += 1
            return
        self.rtp.append(Received(now, packet))
        if self.on_rtp is not None:
            self.on_rtp(packet)

    def stream(self, *, is_audio: bool = False, track: Track | None = None) -> Stream:
        """An SSRC that it may send; unknown to the line until ``bind``."""
        random_ = self.line.random
        return Stream(
            self,
            random_.getrandbits(32),
            AUDIO if is_audio else VIDEO,
            48_000 if is_audio else 90_000,
            random_.randrange(0x8000),
            random_.getrandbits(32),
            track,
        )

    def publish(self, *, is_audio: bool = False, layers: int = 1, cname: str = "participant") -> list[Stream]:
        """A track with its layers bound: a stream each, lowest first."""
        format_ = OPUS if is_audio else VP8
        track = self.line.router.add_track(self.handle, format=format_, is_audio=is_audio, cname=cname)
        streams = [self.stream(is_audio=is_audio, track=track) for _ in range(layers)]
        for layer, stream in enumerate(streams):
            self.line.router.add_source(track, stream.ssrc, layer)
        return streams

    def subscribe(
        self, stream: Stream, *, repaired: bool = True, mid: str = "", payload_type: int | None = None
    ) -> Subscription:
        """Have a stream's track forwarded here."""
        router, track = self.line.router, stream.track
        assert track is not None, "publish it first"
        repaired = repaired and not track.is_audio
        return router.subscribe(
            track,
            self.handle,
            ssrc=router.new_ssrc(self.handle),
            rtx_ssrc=router.new_ssrc(self.handle) if repaired else 0,
            payload_type=stream.payload_type if payload_type is None else payload_type,
            rtx_payload_type=RTX if repaired else 0,
            mid=mid,
        )

    def media(self, subscription: Subscription) -> list[RtpPacket]:
        """What came of a subscription, as media."""
        return [received.packet for received in self.rtp if received.packet.ssrc == subscription.ssrc]

    def elements(self, packet: RtpPacket) -> dict[int, bytes]:
        """The header extension elements of a packet, by id."""
        return dict(parse_extensions(packet.extension_profile, packet.extension_data))

    def feedback(self, kind: type[T]) -> list[Received[T]]:
        """RTCP packets of one kind that came."""
        return [Received(each.at, each.packet) for each in self.rtcp if isinstance(each.packet, kind)]


class VirtualLine:
    """Tables, batches, a router and endpoints. ``turn`` takes what has arrived; ``pass_time`` takes turns."""

    def __init__(self, capacities: Capacities = SMALL, *, seed: int = 1, libsrtp: bool = False) -> None:
        self.libsrtp = libsrtp
        self.random = random.Random(seed)  # noqa: S311  # keys included, it has to be the same again
        self.network = Network(seed, start=START_NS / NANOSECONDS)
        self._turn_is_due = False
        self.tables = make_tables(capacities, b"server")
        self.batch, self.out = make_batches(capacities)
        self.commands = CommandQueue(self.tables.commands)
        self.router = Router(self.commands, self.tables.routing, entropy=self.random.randbytes)
        self.transports = RowAllocator("transports", capacities.transports)
        self.endpoints: list[Endpoint] = []
        self.arriving: list[tuple[Endpoint, bytes, int | None]] = []
        self.wire: list[bytes] = []
        """Every datagram that left, as it left."""
        self.sealed: Counter[tuple[int, str, int, int]] = Counter()
        """(endpoint's row, protocol, SSRC, index) of all that was sealed: each is a nonce under one key."""

    # --- endpoints ----------------------------------------------------------------------------------------------

    def endpoint(self, ids: dict[ExtensionKind, int] | None = None, *, takes_reduced_size: bool = True) -> Endpoint:
        """A peer with fresh keys."""
        profile = ProtectionProfile.AEAD_AES_128_GCM
        lengths = profile.lengths
        masters = [self.random.randbytes(length) for length in (lengths.key, lengths.salt) * 2]
        keys = make_session_keys(profile, *masters, is_portable=self.libsrtp)
        handle = self.transports.allocate()
        address = Address(0, f"192.0.2.{handle.row + 1}", 40_000)
        session = SrtpSession(profile, *masters[2:], *masters[:2])
        endpoint = Endpoint(self, handle, address, keys, session, IDS if ids is None else ids)
        self.endpoints.append(endpoint)
        command = self.commands.append
        command(Operation.ADD_TRANSPORT, *handle, (self.router.new_ssrc(handle), int(takes_reduced_size)))
        command(Operation.ADD_PATH, handle.row, 1, *path_command(address, handle.row))
        command(Operation.SELECT_PATH, *handle, (handle.row,))
        command(Operation.SET_KEYS, *handle, keys.command_values(), keys.command_body())
        body = bytearray(256 + 16)
        for kind, identifier in endpoint.ids.items():
            body[identifier] = kind
            body[256 + kind] = identifier
        command(Operation.SET_EXTENSIONS, *handle, (1,), bytes(body))
        entries = [
            (AUDIO, Codec.OPUS, True, NO_PRIMARY, 48_000),
            (VIDEO, Codec.VP8, False, NO_PRIMARY, 90_000),
            (RTX, Codec.RTX, False, VIDEO, 90_000),
        ]
        types = b"".join(bytes(entry[:4]) + entry[4].to_bytes(4, "big") for entry in entries)
        command(Operation.SET_PAYLOAD_TYPES, *handle, (), types)
        return endpoint

    def remove(self, endpoint: Endpoint) -> None:
        """A peer's transport goes; what it publishes and watches must have gone before."""
        self.commands.append(Operation.SELECT_PATH, *endpoint.handle, (-1,))
        self.commands.append(Operation.REMOVE_PATH, endpoint.handle.row, 1)
        number = self.commands.append(Operation.REMOVE_TRANSPORT, *endpoint.handle)
        self.transports.release(endpoint.handle, number)
        self.router.forget_transport(endpoint.handle)

    @property
    def now(self) -> int:
        """Monotonic ns: the network's clock."""
        return self.network.now_ns

    # --- turns --------------------------------------------------------------------------------------------------

    def turn(self, *, fills: int | None = None) -> None:
        """One turn at this instant: commands, what has arrived, what follows from it.

        ``fills``: it ends with so many out batches, as one does that has used up its time.
        """
        now = np.int64(self.now)
        _compiled(begin)(self.tables, self.batch, self.out, now)
        room = len(self.batch.rows) - int(self.batch.state[ROWS_USED])
        taken, self.arriving = self.arriving[:room], self.arriving[room:]
        for endpoint, data, at in taken:
            host = address_to_bytes(endpoint.address.host)
            arrival = self.now if at is None else at
            append_datagram(self.batch, data, arrival=arrival, address=host, port=endpoint.address.port)
        _compiled(ingest)(self.tables, self.batch, self.out, now)
        while True:
            left = _compiled(advance)(self.tables, self.batch, self.out, now)
            self._deliver()
            _compiled(reset)(self.out)
            fills = None if fills is None else fills - 1
            if left == NOTHING_LEFT or (left == FAN_OUT_WAITS and fills is not None and fills <= 0):
                break
        self.commands.flush()
        self.router.acknowledged(self.commands.applied)
        self.transports.acknowledged(self.commands.applied)
        self._take_handed_up()
        if fills is None and (self.arriving or self.commands.waiting):
            self.turn()

    def pass_time(self, seconds: float, each: Callable[[], object] | None = None) -> None:
        """Let time pass in steps of 10 ms, with a turn after each; ``each`` is called before it.

        What arrives over links in between has turns of its own.
        """
        for _ in range(round(seconds * NANOSECONDS / STEP_NS)):
            self.network.run(STEP_NS / NANOSECONDS)
            if each is not None:
                each()
            self.turn()

    def turn_soon(self) -> None:
        """Take a turn at this instant, once all that arrives with it has arrived."""
        if not self._turn_is_due:
            self._turn_is_due = True
            self.network.call_at_ns(self.now, self._due)

    def _due(self) -> None:
        self._turn_is_due = False
        self.turn()

    def _deliver(self) -> None:
        for number in range(int(self.out.state[ROWS_USED])):
            row = self.out.rows[number]
            if row.drop != Drop.NONE:
                continue
            endpoint = next(each for each in self.endpoints if each.handle.row == row.path)
            data = datagram(self.out, number)
            self.wire.append(data)
            if row.kind == OutKind.RTP:
                self.sealed[endpoint.handle.row, "rtp", int(row.ssrc), int(row.index)] += 1
            else:
                index = int.from_bytes(data[-4:], "big")
                self.sealed[endpoint.handle.row, "rtcp", int.from_bytes(data[4:8], "big"), index] += 1
            if endpoint.downlink is not None:
                endpoint.downlink.send(data)
            else:
                endpoint.take(data)

    def _take_handed_up(self) -> None:
        tables = self.tables.transport
        state = tables.handed_state
        while state[HANDED_READ] < state[HANDED_WRITTEN]:
            record = tables.handed[state[HANDED_READ] % len(tables.handed)]
            endpoint = next(each for each in self.endpoints if each.handle.row == record.transport)
            endpoint.unknown.append(record.body[: record.length].tobytes())
            state[HANDED_READ] += 1

    # --- what it counted --------------------------------------------------------------------------------------------

    def drops(self, reason: Drop) -> int:
        """Datagrams received that ended so."""
        return int(self.tables.transport.drops[reason])

    def subscription_row(self, subscription: Subscription) -> Any:
        """The plane's own record of a subscription."""
        return self.tables.routing.subscriptions[subscription.handle.row]


def sequence_numbers(packets: Iterable[RtpPacket]) -> list[int]:
    """In order of arrival."""
    return [packet.sequence_number for packet in packets]


def rows_in_use(tables: Tables) -> dict[str, int]:
    """Rows of each table that somebody has."""
    routing, transport = tables.routing, tables.transport
    return {
        "transports": int(transport.transports["in_use"].sum()),
        "paths": int((tables.net.paths["kind"] != PathKind.NONE).sum()),
        "flows": int(tables.net.flows.state[1]),
        "keys": int((tables.srtp.sessions["cipher"] != Cipher.NONE).sum()),
        "sources": int(routing.sources["in_use"].sum()),
        "tracks": int(routing.tracks["in_use"].sum()),
        "subscriptions": int(routing.subscriptions["in_use"].sum()),
        "active sources": int(routing.active_sources[0]),
        "active subscriptions": int(routing.active_subscriptions[0]),
        "outgoing SSRCs": int(routing.outgoing.state[1]),
        "incoming SSRCs": int(transport.ssrcs.state[1]),
        "held packets": int(transport.held_state[0]),
    }

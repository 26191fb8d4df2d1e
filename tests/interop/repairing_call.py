"""Both ends of a call that repairs its losses as browsers do, with every packet accounted for by its sender.

The publisher encodes VP8, answers NACKs by RTX and picture-loss indications by key frames. The receiver asks for
what is missing, puts packets in order, and decodes.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from av import CodecContext, Packet, VideoFrame
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from benchmarks.clients import ScriptedClient, video_section

from visiomedia.rtp import rtx
from visiomedia.rtp.depacketizers import Vp8Depacketizer
from visiomedia.rtp.extensions import serialize_extensions, serialize_mid, serialize_transport_sequence_number
from visiomedia.rtp.packet import RtpPacket
from visiomedia.rtp.packetizers import Vp8Packetizer
from visiomedia.rtp.rtcp import Nack, PictureLoss, ReceiverReport, parse_compound, serialize_compound
from visiomedia.rtp.sequence import SequenceExtender

WIDTH, HEIGHT, FRAME_RATE, BIT_RATE = 640, 360, 30, 1_000_000
MEDIA_TYPE, REPAIR_TYPE = 96, 97
MEDIA_SSRC, REPAIR_SSRC, REPORTER_SSRC = 0x5EED, 0x5EEE, 0x5EEF
MID_ID, TRANSPORT_SEQUENCE_ID = 4, 3

NACK_INTERVAL = 0.05
"""Seconds between two requests for one packet."""

PATIENCE = 1.0
"""Seconds that a receiver waits for a missing packet before it passes it over and asks for a key frame."""

PICTURE_LOSS_INTERVAL = 0.3


class MovingPicture:
    """A coarse texture that drifts and twinkles, so that each frame costs what rate control lets it."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._coarse = self._random.integers(64, 192, (HEIGHT // 8, WIDTH // 8), np.uint8)

    def frame(self, number: int) -> VideoFrame:
        """Frame ``number`` as yuv420p."""
        twinkling = self._random.random(self._coarse.shape) < 0.1
        self._coarse[twinkling] = self._random.integers(64, 192, int(twinkling.sum()), np.uint8)
        planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
        planes[:HEIGHT] = np.roll(np.kron(self._coarse, np.ones((8, 8), np.uint8)), (number, 2 * number), (0, 1))
        frame = VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, FRAME_RATE)
        return frame


def realtime_encoder() -> VideoCodecContext:
    """libvpx as a call uses it: no lookahead, key frames only on demand."""
    encoder = CodecContext.create("libvpx", "w")
    assert isinstance(encoder, VideoCodecContext), "VP8 is video"
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(FRAME_RATE), Fraction(1, FRAME_RATE)
    encoder.bit_rate, encoder.gop_size = BIT_RATE, 100_000
    encoder.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "error-resilient": "0"}
    return encoder


@dataclass
class SentPacket:
    """One media packet by its sender's count."""

    packet: RtpPacket
    sent: float


class LossyPublisher:
    """Sends one VP8 track; ``sent`` is its own account of it, ``frames`` how many it encoded."""

    def __init__(self, seed: int = 1) -> None:
        self.client = ScriptedClient([video_section("sendonly")], on_rtcp=self._receive_rtcp)
        self.sent: list[SentPacket] = []
        self.frames = self.key_frames = self.resent = self.not_kept = 0
        self._picture = MovingPicture(seed)
        self._encoder = realtime_encoder()
        self._packetizer = Vp8Packetizer()
        self._number_of: dict[int, int] = {}
        self._key_frame_wanted = False
        self._transport_sequence = self._repair_sequence = 0

    async def run(self, seconds: float) -> None:
        """Encode and send by the clock."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        for number in range(int(seconds * FRAME_RATE)):
            await asyncio.sleep(max(0.0, start + number / FRAME_RATE - loop.time()))
            frame = self._picture.frame(number)
            if self._key_frame_wanted:
                frame.pict_type, self._key_frame_wanted = PictureType.I, False
            for encoded in await asyncio.to_thread(self._encoder.encode, frame):
                self._send(bytes(encoded), encoded.is_keyframe, number)

    def _send(self, encoded: bytes, is_key_frame: bool, number: int) -> None:
        self.frames += 1
        self.key_frames += is_key_frame
        payloads = self._packetizer.packetize(encoded)
        for position, payload in enumerate(payloads):
            sequence = len(self.sent) & 0xFFFF
            packet = RtpPacket(
                MEDIA_TYPE,
                sequence,
                number * 90_000 // FRAME_RATE & 0xFFFFFFFF,
                MEDIA_SSRC,
                payload,
                position == len(payloads) - 1,
            )
            self._number_of[sequence] = len(self.sent)
            self.sent.append(SentPacket(packet, asyncio.get_running_loop().time()))
            self._emit(packet)

    def _emit(self, packet: RtpPacket) -> None:
        """With the extensions that a browser sends: whose section it is, and the transport-wide number."""
        self._transport_sequence = (self._transport_sequence + 1) & 0xFFFF
        profile, data = serialize_extensions(
            [
                (MID_ID, serialize_mid("0")),
                (TRANSPORT_SEQUENCE_ID, serialize_transport_sequence_number(self._transport_sequence)),
            ]
        )
        self.client.send_rtp(
            RtpPacket(
                packet.payload_type,
                packet.sequence_number,
                packet.timestamp,
                packet.ssrc,
                packet.payload,
                packet.marker,
                extension_profile=profile,
                extension_data=data,
            ).serialize()
        )

    def _receive_rtcp(self, compound: bytes) -> None:
        for packet in parse_compound(compound):
            if isinstance(packet, Nack):
                assert packet.media_ssrc == MEDIA_SSRC, "only media is asked for again"
                for lost in packet.lost:
                    self._resend(lost)
            elif isinstance(packet, PictureLoss):
                self._key_frame_wanted = True

    def _resend(self, sequence_number: int) -> None:
        number = self._number_of.get(sequence_number)
        if number is None:
            self.not_kept += 1
            return
        self.resent += 1
        self._repair_sequence = (self._repair_sequence + 1) & 0xFFFF
        self._emit(
            rtx.wrap(
                self.sent[number].packet,
                payload_type=REPAIR_TYPE,
                ssrc=REPAIR_SSRC,
                sequence_number=self._repair_sequence,
            )
        )


@dataclass
class _Missing:
    noticed: float
    asked: float = 0.0


@dataclass
class ReceiverCounters:
    """What the receiver did."""

    original: int = 0
    repaired: int = 0
    duplicates: int = 0
    nacks: int = 0
    passed_over: int = 0
    picture_losses: int = 0
    decoded: int = 0
    not_decodable: int = 0


@dataclass
class RepairingReceiver:
    """Receives one VP8 track. ``arrived``: when each payload first came, as media or as a retransmission."""

    arrived: dict[bytes, float] = field(default_factory=dict)
    counters: ReceiverCounters = field(default_factory=ReceiverCounters)

    def __post_init__(self) -> None:
        self.client = ScriptedClient([video_section("recvonly")], on_rtp=self._receive_rtp)
        self._extender = SequenceExtender()
        self._waiting: dict[int, RtpPacket] = {}
        self._missing: dict[int, _Missing] = {}
        self._next: int | None = None
        self._depacketizer = Vp8Depacketizer()
        decoder = CodecContext.create("vp8", "r")
        assert isinstance(decoder, VideoCodecContext), "VP8 is video"
        self._decoder = decoder
        self._needs_key_frame = True
        self._picture_loss_sent = 0.0

    @property
    def _ssrcs(self) -> tuple[int, int]:
        assert self.client.answer is not None, "connect first"
        media, repair = self.client.answer.ssrcs["0"]
        return media, repair

    async def run(self) -> None:
        """Ask again for what is still missing, until cancelled."""
        while True:
            await asyncio.sleep(0.01)
            self._release()
            self._ask()

    def _receive_rtp(self, data: bytes) -> None:
        now = asyncio.get_running_loop().time()
        packet = RtpPacket.parse(data)
        media, repair = self._ssrcs
        if packet.ssrc == repair:
            packet = rtx.unwrap(packet, payload_type=MEDIA_TYPE, ssrc=media)
            self.counters.repaired += 1
        else:
            assert (packet.ssrc, packet.payload_type) == (media, MEDIA_TYPE), "one track was asked for"
            self.counters.original += 1
        before = self._extender.highest
        index = self._extender.extend(packet.sequence_number)
        if index in self._waiting or (self._next is not None and index < self._next):
            self.counters.duplicates += 1
        else:
            self._waiting[index] = packet
            self._missing.pop(index, None)
            if self._next is None:
                self._next = index
            for lost in range((index if before is None else before) + 1, index):
                self._missing[lost] = _Missing(now)
        self.arrived.setdefault(packet.payload, now)
        self._release()
        self._ask()

    def _ask(self) -> None:
        """One compound for all that is due (RFC 4585 section 6.2.1)."""
        now = asyncio.get_running_loop().time()
        due = [index for index, entry in self._missing.items() if now - entry.asked >= NACK_INTERVAL]
        if not due:
            return
        for index in due:
            self._missing[index].asked = now
        lost = tuple(index & 0xFFFF for index in sorted(due))
        self.counters.nacks += 1
        self.client.send_rtcp(
            serialize_compound([ReceiverReport(REPORTER_SSRC, ()), Nack(REPORTER_SSRC, self._ssrcs[0], lost)])
        )

    def _release(self) -> None:
        """Decode what is in order; pass over what was waited for too long."""
        now = asyncio.get_running_loop().time()
        while self._next is not None:
            packet = self._waiting.pop(self._next, None)
            if packet is None:
                entry = self._missing.get(self._next)
                if entry is None or now - entry.noticed < PATIENCE:
                    break
                del self._missing[self._next]
                self.counters.passed_over += 1
                self._next += 1
                continue
            self._next += 1
            for frame in self._depacketizer.receive(packet):
                if frame.follows_loss and not frame.is_key_frame:
                    self._needs_key_frame = True
                self._decode(frame.data, frame.is_key_frame)
        if self._needs_key_frame and self._next is not None:
            self._ask_for_key_frame(now)

    def _decode(self, data: bytes, is_key_frame: bool) -> None:
        self._needs_key_frame = self._needs_key_frame and not is_key_frame
        if self._needs_key_frame:
            self.counters.not_decodable += 1
            return
        for frame in self._decoder_frames(data):
            if (frame.width, frame.height) == (WIDTH, HEIGHT):
                self.counters.decoded += 1

    def _decoder_frames(self, data: bytes) -> Iterator[VideoFrame]:
        try:
            yield from self._decoder.decode(Packet(data))
        except FFmpegError:
            self.counters.not_decodable += 1
            self._needs_key_frame = True

    def _ask_for_key_frame(self, now: float) -> None:
        if now - self._picture_loss_sent < PICTURE_LOSS_INTERVAL:
            return
        self._picture_loss_sent = now
        self.counters.picture_losses += 1
        self.client.send_rtcp(
            serialize_compound([ReceiverReport(REPORTER_SSRC, ()), PictureLoss(REPORTER_SSRC, self._ssrcs[0])])
        )

"""Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1)."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from visiomedia.errors import ParseError
from visiomedia.rtp.rtcp.header import HEADER_BYTES, PacketType, TransportLayerFormat, pack_packet

HEAD = struct.Struct("!IIHH3sB")
TICK_NS = 250_000
REFERENCE_TICKS = 256
"""A reference time counts 64 ms, deltas count 250 µs."""

CLOCK_TICKS = REFERENCE_TICKS << 24
"""The receiver's clock wraps here: every 12.4 days."""

NOT_RECEIVED, SMALL, LARGE = 0, 1, 2
MAX_RUN = 0x1FFF
ONE_BIT_SYMBOLS, TWO_BIT_SYMBOLS = 14, 7
MAX_STATUSES = 0x7FFE
MAX_BYTES = 1200


@dataclass(frozen=True, slots=True)
class TransportFeedback:
    """When packets arrived, by transport-wide number. It is as large as what was received, not as what it covers."""

    sender_ssrc: int
    media_ssrc: int
    base_sequence_number: int
    status_count: int
    """Packets that it tells of, from the base on."""
    reference_time: int
    """Signed 24 bits, in 64 ms of the receiver's clock."""
    feedback_count: int
    """8 bits: of this report, to notice those that were lost."""
    arrivals: tuple[tuple[int, int], ...]
    """Of each packet received: how far it is from the base, and ticks of 250 µs since the reference time.

    In rising order of the first; the second may fall, by at most 32768 from one to the next."""

    @property
    def received(self) -> list[tuple[int, int]]:
        """(16-bit sequence number, ticks of 250 µs on the receiver's clock) of what was received.

        The clock wraps at ``CLOCK_TICKS``: only differences mean something.
        """
        base, reference = self.base_sequence_number, self.reference_time * REFERENCE_TICKS
        return [((base + offset) & 0xFFFF, reference + ticks) for offset, ticks in self.arrivals]

    @property
    def lost(self) -> list[int]:
        """16-bit sequence numbers of what was not received until now."""
        received = {offset for offset, _ in self.arrivals}
        base = self.base_sequence_number
        return [(base + offset) & 0xFFFF for offset in range(self.status_count) if offset not in received]

    @classmethod
    def parse(cls, content: bytes) -> "TransportFeedback":
        """``content``: behind the common header, padding taken off. Raises: ParseError."""
        if len(content) < HEAD.size:
            raise ParseError("transport feedback", f"{len(content)} bytes, wants at least {HEAD.size}")
        sender, media, base, count, reference, number = HEAD.unpack_from(content)
        statuses, at = _parse_chunks(content, count)
        arrivals: list[tuple[int, int]] = []
        clock = 0
        for offset, symbol in statuses:
            if symbol == SMALL:
                clock += content[at]
                at += 1
            else:
                clock += int.from_bytes(content[at : at + 2], "big", signed=True)
                at += 2
            arrivals.append((offset, clock))
        return cls(sender, media, base, count, int.from_bytes(reference, "big", signed=True), number, tuple(arrivals))

    def serialize(self) -> bytes:
        """One packet. Raises: ValueError where a delta does not fit, or an arrival lies outside the report."""
        symbols = bytearray(self.status_count)
        deltas = bytearray()
        clock, last = 0, -1
        for offset, ticks in self.arrivals:
            delta = ticks - clock
            if not last < offset < self.status_count or not -0x8000 <= delta <= 0x7FFF:
                raise ValueError(f"arrival {ticks} of packet {offset} does not fit")
            symbols[offset] = SMALL if 0 <= delta <= 255 else LARGE
            deltas += delta.to_bytes(symbols[offset], "big", signed=symbols[offset] == LARGE)
            clock, last = ticks, offset
        head = HEAD.pack(
            self.sender_ssrc,
            self.media_ssrc,
            self.base_sequence_number & 0xFFFF,
            self.status_count,
            (self.reference_time & 0xFFFFFF).to_bytes(3, "big"),
            self.feedback_count & 0xFF,
        )
        content = head + _pack_chunks(bytes(symbols)) + deltas
        return pack_packet(PacketType.TRANSPORT_LAYER_FEEDBACK, TransportLayerFormat.TRANSPORT_WIDE, content)


def _parse_chunks(content: bytes, count: int) -> tuple[list[tuple[int, int]], int]:
    """(offset from the base, symbol) of what was received, and where the deltas begin; they are all there."""
    statuses: list[tuple[int, int]] = []
    at, end = HEAD.size, len(content)
    offset = delta_bytes = 0
    while offset < count:
        if at + 2 > end:
            raise ParseError("transport feedback", "chunks are cut short")
        chunk = content[at] << 8 | content[at + 1]
        at += 2
        if chunk < 0x8000:
            symbol, run = chunk >> 13, min(chunk & MAX_RUN, count - offset)
            # Checked before it is spelled out: two bytes may claim 8191 packets.
            if symbol != NOT_RECEIVED:
                if symbol <= LARGE and delta_bytes + run * symbol <= end - at:
                    statuses += [(offset + place, symbol) for place in range(run)]
                delta_bytes += run * symbol
            symbols: Sequence[int] = ()
            offset += run
        elif chunk < 0xC000:
            symbol = SMALL
            symbols = [chunk >> shift & 1 for shift in range(13, -1, -1)]
        else:
            symbols = [chunk >> shift & 3 for shift in range(12, -1, -2)]
            symbol = max(symbols)
        if symbol > LARGE:
            raise ParseError("transport feedback", "reserved symbol")
        if symbols:
            for place, received in enumerate(symbols[: count - offset]):
                if received != NOT_RECEIVED:
                    statuses.append((offset + place, received))
                    delta_bytes += received
            offset += len(symbols)
        if at + delta_bytes > end:
            raise ParseError("transport feedback", "deltas are cut short")
    return statuses, at


def _pack_chunks(symbols: bytes) -> bytes:
    """Runs where they are longer than a vector or end the report, else the vector that holds the next symbols."""
    chunks = bytearray()
    at, count = 0, len(symbols)
    while at < count:
        symbol = symbols[at]
        most = min(MAX_RUN, count - at)
        run = 1
        while run < most and symbols[at + run] == symbol:
            run += 1
        following = symbols[at : at + ONE_BIT_SYMBOLS]
        is_one_bit = LARGE not in following
        if run == count - at or run >= (ONE_BIT_SYMBOLS if is_one_bit else TWO_BIT_SYMBOLS):
            chunk, taken = symbol << 13 | run, run
        elif is_one_bit:
            chunk, taken = 0x8000, ONE_BIT_SYMBOLS
            for place, received in enumerate(following):
                chunk |= received << (13 - place)
        else:
            chunk, taken = 0xC000, TWO_BIT_SYMBOLS
            for place, received in enumerate(following[:TWO_BIT_SYMBOLS]):
                chunk |= received << (12 - 2 * place)
        chunks += chunk.to_bytes(2, "big")
        at += taken
    return bytes(chunks)


def build_transport_feedback(
    sender_ssrc: int,
    media_ssrc: int,
    feedback_count: int,
    base_sequence_number: int,
    arrivals: Sequence[int | None],
    *,
    max_bytes: int = MAX_BYTES,
) -> tuple[TransportFeedback, int]:
    """A report of as many packets as fit, and how many that are; the caller goes on with the rest.

    ``arrivals``: of each packet from the base on, ns of the receiver's clock, or None where it did not come.
    It ends early where a delta leaves 16 bits (8.19 s), at 0x7FFE packets, or at ``max_bytes``. Times are rounded down
    to 250 µs each for itself, so that errors do not add up.
    """
    first = next((arrival for arrival in arrivals if arrival is not None), 0)
    reference = first // TICK_NS // REFERENCE_TICKS
    origin = reference * REFERENCE_TICKS
    told: list[tuple[int, int]] = []
    clock = delta_bytes = taken = 0
    for offset, arrival in enumerate(arrivals[:MAX_STATUSES]):
        # At worst every chunk is a vector of seven.
        chunk_bytes = 2 * (offset // TWO_BIT_SYMBOLS + 1)
        size, ticks = 0, clock
        if arrival is not None:
            ticks = arrival // TICK_NS - origin
            size = 1 if 0 <= ticks - clock <= 255 else 2
            if not -0x8000 <= ticks - clock <= 0x7FFF:
                break
        if HEADER_BYTES + HEAD.size + chunk_bytes + delta_bytes + size + 3 > max_bytes:
            break
        if arrival is not None:
            told.append((offset, ticks))
        clock, delta_bytes, taken = ticks, delta_bytes + size, offset + 1
    signed = (reference + (1 << 23)) % (1 << 24) - (1 << 23)
    feedback = TransportFeedback(
        sender_ssrc, media_ssrc, base_sequence_number & 0xFFFF, taken, signed, feedback_count & 0xFF, tuple(told)
    )
    return feedback, taken

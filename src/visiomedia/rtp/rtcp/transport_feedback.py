"""Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1)."""

from dataclasses import dataclass

from visiomedia.errors import ParseError

TICK_NS = 250_000
REFERENCE_TICKS = 256
"""A reference time counts 64 ms, deltas count 250 µs."""

NOT_RECEIVED, SMALL, LARGE = 0, 1, 2
MAX_RUN = 0x1FFF


@dataclass(slots=True)
class TransportFeedback:
    """When each packet from ``base_sequence_number`` on arrived."""

    sender_ssrc: int
    media_ssrc: int
    base_sequence_number: int
    feedback_count: int
    reference_time: int
    """Signed 24 bits, in 64 ms."""
    deltas: tuple[int | None, ...]
    """For each packet: ticks of 250 µs since the received one before it (the first: since the reference), or None."""

    @property
    def arrivals(self) -> list[int | None]:
        """Ticks of 250 µs of each packet's arrival, on the receiver's clock; None where it did not come."""
        clock = self.reference_time * REFERENCE_TICKS
        times: list[int | None] = []
        for delta in self.deltas:
            if delta is None:
                times.append(None)
            else:
                clock += delta
                times.append(clock)
        return times

    @classmethod
    def parse(cls, body: bytes) -> "TransportFeedback":
        """``body``: behind the common header, padding taken off. Raises ParseError."""
        if len(body) < 16:
            raise ParseError("transport feedback", f"{len(body)} bytes")
        count = int.from_bytes(body[10:12], "big")
        reference = int.from_bytes(body[12:15], "big", signed=True)
        symbols, at = _parse_chunks(body, 16, count)
        deltas: list[int | None] = []
        for symbol in symbols:
            if symbol == NOT_RECEIVED:
                deltas.append(None)
                continue
            size = 1 if symbol == SMALL else 2
            if at + size > len(body):
                raise ParseError("transport feedback", "deltas are cut short")
            deltas.append(int.from_bytes(body[at : at + size], "big", signed=size == 2))
            at += size
        return cls(
            int.from_bytes(body[:4], "big"),
            int.from_bytes(body[4:8], "big"),
            int.from_bytes(body[8:10], "big"),
            body[15],
            reference,
            tuple(deltas),
        )

    def body(self) -> bytes:
        """Behind the common header; its length is no multiple of 4 where padding has to follow."""
        head = self.sender_ssrc.to_bytes(4, "big") + self.media_ssrc.to_bytes(4, "big")
        head += self.base_sequence_number.to_bytes(2, "big") + len(self.deltas).to_bytes(2, "big")
        head += (self.reference_time & 0xFFFFFF).to_bytes(3, "big") + bytes([self.feedback_count])
        symbols = [NOT_RECEIVED if delta is None else SMALL if 0 <= delta <= 255 else LARGE for delta in self.deltas]
        data = b"".join(
            delta.to_bytes(1, "big") if 0 <= delta <= 255 else delta.to_bytes(2, "big", signed=True)
            for delta in self.deltas
            if delta is not None
        )
        return head + _chunks(symbols) + data


def _parse_chunks(body: bytes, at: int, count: int) -> tuple[list[int], int]:
    symbols: list[int] = []
    while len(symbols) < count:
        if at + 2 > len(body):
            raise ParseError("transport feedback", "chunks are cut short")
        chunk = int.from_bytes(body[at : at + 2], "big")
        at += 2
        if chunk >> 15 == 0:
            run = min(chunk & MAX_RUN, count - len(symbols))
            symbols += [chunk >> 13 & 3] * run
        elif chunk >> 14 & 1:
            symbols += [chunk >> shift & 3 for shift in range(12, -1, -2)]
        else:
            symbols += [chunk >> shift & 1 for shift in range(13, -1, -1)]
        if chunk == 0:
            raise ParseError("transport feedback", "a run of nothing")
    symbols = symbols[:count]
    if 3 in symbols:
        raise ParseError("transport feedback", "reserved symbol")
    return symbols, at


def _chunks(symbols: list[int]) -> bytes:
    data = b""
    at = 0
    while at < len(symbols):
        run = 1
        while at + run < len(symbols) and symbols[at + run] == symbols[at] and run < MAX_RUN:
            run += 1
        if run >= 7 or at + run == len(symbols):
            data += (symbols[at] << 13 | run).to_bytes(2, "big")
            at += run
        else:
            chunk = 0xC000
            for place, symbol in enumerate(symbols[at : at + 7]):
                chunk |= symbol << (12 - 2 * place)
            data += chunk.to_bytes(2, "big")
            at += 7
    return data

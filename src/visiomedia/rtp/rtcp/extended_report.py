"""Extended reports: reference times both ways, so that who only receives learns its round trip (RFC 3611 4.4, 4.5)."""

from dataclasses import dataclass

from visiomedia.errors import ParseError

RECEIVER_REFERENCE_TIME = 4
DELAY_SINCE_LAST = 5


@dataclass(slots=True)
class DelaySinceLast:
    """One sub-block of DLRR. Times as in a report block."""

    ssrc: int
    last_receiver_report: int
    delay: int


@dataclass(slots=True)
class ExtendedReport:
    """XR with the two kinds of block that matter here; others are skipped."""

    ssrc: int
    reference_time: int | None = None
    """RRTR: 64-bit NTP."""
    delays: tuple[DelaySinceLast, ...] = ()

    @classmethod
    def parse(cls, body: bytes) -> "ExtendedReport":
        """``body``: behind the common header. Raises ParseError."""
        if len(body) < 4:
            raise ParseError("extended report", f"{len(body)} bytes")
        report = cls(int.from_bytes(body[:4], "big"))
        at = 4
        while at < len(body):
            if at + 4 > len(body):
                raise ParseError("extended report", "block header is cut short")
            kind, length = body[at], 4 * int.from_bytes(body[at + 2 : at + 4], "big")
            content = body[at + 4 : at + 4 + length]
            if len(content) < length:
                raise ParseError("extended report", "block is cut short")
            if kind == RECEIVER_REFERENCE_TIME:
                if length != 8:
                    raise ParseError("extended report", f"reference time of {length} bytes")
                report.reference_time = int.from_bytes(content, "big")
            elif kind == DELAY_SINCE_LAST:
                if length % 12:
                    raise ParseError("extended report", f"DLRR of {length} bytes")
                words = [int.from_bytes(content[i : i + 4], "big") for i in range(0, length, 4)]
                report.delays += tuple(DelaySinceLast(*words[i : i + 3]) for i in range(0, len(words), 3))
            at += 4 + length
        return report

    def body(self) -> bytes:
        """Behind the common header."""
        data = self.ssrc.to_bytes(4, "big")
        if self.reference_time is not None:
            data += bytes([RECEIVER_REFERENCE_TIME, 0, 0, 2]) + self.reference_time.to_bytes(8, "big")
        if self.delays:
            data += bytes([DELAY_SINCE_LAST, 0]) + (3 * len(self.delays)).to_bytes(2, "big")
            for delay in self.delays:
                for word in (delay.ssrc, delay.last_receiver_report, delay.delay):
                    data += word.to_bytes(4, "big")
        return data

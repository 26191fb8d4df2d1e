"""Time: monotonic seconds for engines, NTP for the wire (RFC 5905 section 6). Wall time enters here, once."""

import time

NTP_EPOCH_OFFSET = 2_208_988_800
"""Seconds from 1900-01-01 (the NTP era) to 1970-01-01 (Unix)."""

NANOSECONDS = 1_000_000_000


class Clock:
    """Maps monotonic time to wall time by one reading taken when it is made, so that NTP never jumps."""

    __slots__ = ("wall_offset_ns",)

    def __init__(self) -> None:
        self.wall_offset_ns = time.time_ns() - time.monotonic_ns()

    def monotonic(self) -> float:
        """Monotonic seconds: the ``now`` of every engine."""
        return time.monotonic()

    def monotonic_ns(self) -> int:
        """Monotonic nanoseconds: the unit of the packet plane."""
        return time.monotonic_ns()

    def ntp(self, now_ns: int) -> int:
        """The 64-bit NTP timestamp (32.32 fixed point) of a monotonic reading in nanoseconds."""
        return ntp_from_unix_ns(now_ns + self.wall_offset_ns)


def ntp_from_unix_ns(unix_ns: int) -> int:
    """64-bit NTP timestamp (32.32 fixed point, modulo its era) of Unix nanoseconds."""
    seconds, nanoseconds = divmod(unix_ns, NANOSECONDS)
    return ((seconds + NTP_EPOCH_OFFSET) << 32 | (nanoseconds << 32) // NANOSECONDS) & 0xFFFF_FFFF_FFFF_FFFF


def ntp_seconds(ntp: int) -> float:
    """Seconds since 1900 (of its era) of a 64-bit NTP timestamp."""
    return ntp / (1 << 32)

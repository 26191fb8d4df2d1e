"""Which packets to ask for again, and when (RFC 4585 section 6.2.1)."""

from dataclasses import dataclass
from typing import Final

from visiomedia.rtp.sequence import extend

MAX_JUMP: Final = 1000
"""A larger gap is not repaired packet by packet."""

MAX_PENDING: Final = 256
REORDER: Final = 0.005
"""Seconds for which a missing packet may only be late, unless three newer ones have come."""

REORDER_PACKETS: Final = 3
REPEAT: Final = 0.040
MAX_TRIES: Final = 10
MAX_AGE: Final = 1.0


@dataclass(slots=True)
class _Missing:
    noticed: float
    requested: float = 0.0
    tries: int = 0


class NackGenerator:
    """Loss of one source. ``needs_key_frame`` turns true where repair is hopeless; the owner resets it.

    Give it every packet as it comes, ask ``next_timeout`` when to ask again, and then send what is ``lost``.
    """

    __slots__ = ("_highest", "_missing", "needs_key_frame")

    def __init__(self) -> None:
        self._highest: int | None = None
        self._missing: dict[int, _Missing] = {}
        self.needs_key_frame = False

    @property
    def missing(self) -> list[int]:
        """Unbounded numbers of what is missing, oldest first."""
        return sorted(self._missing)

    def receive(self, sequence_number: int, now: float) -> None:
        """A packet came, itself or by retransmission."""
        if self._highest is None:
            self._highest = sequence_number
            return
        index = extend(sequence_number, self._highest)
        if index <= self._highest:
            self._missing.pop(index, None)
            return
        gap = range(self._highest + 1, index)
        if len(gap) > MAX_JUMP or len(self._missing) + len(gap) > MAX_PENDING:
            self._missing.clear()
            self.needs_key_frame = True
        else:
            self._missing.update((lost, _Missing(now)) for lost in gap)
        self._highest = index

    def _moment(self, index: int, entry: _Missing, repeat: float) -> float:
        assert self._highest is not None, "nothing is missing before something came"
        if entry.tries:
            return entry.requested + repeat
        return entry.noticed if self._highest - index >= REORDER_PACKETS else entry.noticed + REORDER

    def lost(self, now: float, rtt: float = 0.0) -> list[int]:
        """The 16-bit numbers to ask for now, oldest first; what was asked often or is old is given up."""
        repeat = max(rtt, REPEAT)
        for index, entry in list(self._missing.items()):
            if entry.tries >= MAX_TRIES or now - entry.noticed > MAX_AGE:
                del self._missing[index]
        due = [index for index in self.missing if self._moment(index, self._missing[index], repeat) <= now]
        for index in due:
            self._missing[index].requested = now
            self._missing[index].tries += 1
        return [index & 0xFFFF for index in due]

    def next_timeout(self, rtt: float = 0.0) -> float | None:
        """When ``lost`` has something to say."""
        repeat = max(rtt, REPEAT)
        return min((self._moment(index, entry, repeat) for index, entry in self._missing.items()), default=None)

"""Which TSNs have come: what a SACK reports (RFC 9260 sections 3.3.4 and 6.2)."""

from bisect import bisect_left

MAX_SPAN = 0xFFFF
"""A block's offsets are 16 bits: nothing further ahead could be reported."""

MAX_DUPLICATES = 20


class ReceivedTsns:
    """TSNs, extended to unbounded numbers: all up to ``cumulative``, and blocks above it, apart from each other."""

    __slots__ = ("_firsts", "_lasts", "cumulative", "duplicates")

    def __init__(self, cumulative: int) -> None:
        self.cumulative = cumulative
        self.duplicates: list[int] = []
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    @property
    def highest(self) -> int:
        """The highest TSN that has come."""
        return self._lasts[-1] if self._lasts else self.cumulative

    @property
    def has_gaps(self) -> bool:
        """Whether one is missing."""
        return bool(self._firsts)

    def __contains__(self, tsn: int) -> bool:
        if tsn <= self.cumulative:
            return True
        at = bisect_left(self._lasts, tsn)
        return at < len(self._lasts) and self._firsts[at] <= tsn

    def note_duplicate(self, tsn: int) -> None:
        """One came again; the next SACK says so, of some."""
        if len(self.duplicates) < MAX_DUPLICATES:
            self.duplicates.append(tsn)

    def add(self, tsn: int) -> None:
        """One came that is not there yet."""
        firsts, lasts = self._firsts, self._lasts
        if not firsts and tsn == self.cumulative + 1:
            self.cumulative = tsn
            return
        at = bisect_left(lasts, tsn)
        joins_left = at > 0 and lasts[at - 1] + 1 == tsn
        joins_right = at < len(firsts) and firsts[at] - 1 == tsn
        if joins_left and joins_right:
            firsts.pop(at)
            lasts.pop(at - 1)
        elif joins_left:
            lasts[at - 1] = tsn
        elif joins_right:
            firsts[at] = tsn
        else:
            firsts.insert(at, tsn)
            lasts.insert(at, tsn)
        self._absorb()

    def forward(self, cumulative: int) -> None:
        """Everything up to here is over, whether it came or not (RFC 3758 section 3.6)."""
        self.cumulative = max(self.cumulative, cumulative)
        self._absorb()

    def _absorb(self) -> None:
        while self._firsts and self._firsts[0] <= self.cumulative + 1:
            self.cumulative = max(self.cumulative, self._lasts[0])
            del self._firsts[0], self._lasts[0]

    def gaps(self, limit: int) -> list[tuple[int, int]]:
        """The first ``limit`` blocks, as offsets from ``cumulative``."""
        base = self.cumulative
        return [
            (first - base, last - base) for first, last in zip(self._firsts[:limit], self._lasts[:limit], strict=True)
        ]

"""Pacing: the first of several wishes is met at once, those that follow within an interval together."""


class Pacer:
    """Says when something that was wanted is due, at most once an interval."""

    __slots__ = ("_interval", "_last", "_wanted_at")

    def __init__(self, interval: float) -> None:
        self._interval = interval
        """Seconds."""
        self._last: float | None = None
        self._wanted_at: float | None = None

    def want(self, now: float) -> None:
        """Ask for it."""
        if self._wanted_at is None:
            self._wanted_at = now if self._last is None else max(now, self._last + self._interval)

    def next_timeout(self) -> float | None:
        """When it is due, or None while nobody wants it."""
        return self._wanted_at

    def take(self, now: float) -> bool:
        """Whether it is due; if so, it counts as done."""
        if self._wanted_at is None or now < self._wanted_at:
            return False
        self._wanted_at = None
        self._last = now
        return True

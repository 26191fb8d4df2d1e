"""How many DTLS handshakes may be under way at once: public-key operations are what a stranger can make us
do."""

from collections import Counter

from visiomedia.errors import ConfigurationError


class HandshakeLimiter:
    """Caps handshakes in progress, for each remote host and overall. Memory is bounded by the overall cap."""

    __slots__ = ("_by_host", "_in_progress", "capacity", "per_host", "refused")

    def __init__(self, capacity: int = 200, per_host: int = 40) -> None:
        if capacity < 1:
            raise ConfigurationError("capacity", capacity, "at least 1")
        if per_host < 1:
            raise ConfigurationError("per_host", per_host, "at least 1")
        self.capacity = capacity
        self.per_host = per_host
        self.refused = 0
        self._in_progress = 0
        self._by_host: Counter[str] = Counter()

    @property
    def in_progress(self) -> int:
        """Handshakes acquired and not released."""
        return self._in_progress

    def acquire(self, host: str) -> bool:
        """Whether one more handshake with this host may begin; if so it counts until ``release``."""
        if self._in_progress >= self.capacity or self._by_host[host] >= self.per_host:
            self.refused += 1
            if not self._by_host[host]:
                del self._by_host[host]
            return False
        self._in_progress += 1
        self._by_host[host] += 1
        return True

    def release(self, host: str) -> None:
        """A handshake that was acquired has completed, failed or been given up."""
        assert self._by_host[host] > 0, "released more often than acquired"
        self._in_progress -= 1
        self._by_host[host] -= 1
        if not self._by_host[host]:
            del self._by_host[host]

"""T1 and T2: a chunk of setup or shutdown that is sent again until it is answered (RFC 9260 sections 5.1 and 9.2)."""

from visiomedia.sctp.chunks import CookieEcho, Init, Shutdown, Signal
from visiomedia.sctp.failure import AssociationFailed

Repeated = Init | CookieEcho | Shutdown | Signal


class Repeater:
    """One chunk at a time: setup and shutdown never overlap. ``at``: when it is sent again."""

    __slots__ = ("_chunk", "_failures", "_limit", "at")

    def __init__(self) -> None:
        self._chunk: Repeated | None = None
        self._failures = 0
        self._limit = 0
        self.at: float | None = None

    def start(self, chunk: Repeated, at: float, limit: int) -> None:
        """The chunk has been sent; ``limit``: how often it is sent again."""
        self._chunk, self.at, self._limit, self._failures = chunk, at, limit, 0

    def stop(self) -> None:
        """It was answered."""
        self._chunk = self.at = None

    def repeat(self, at: float) -> Repeated:
        """The chunk to send again; ``at``: when the next time would be.

        Raises:
            AssociationFailed: it has been sent often enough.
        """
        assert self._chunk is not None, "a timer that runs has a chunk"
        self._failures += 1
        if self._failures > self._limit:
            raise AssociationFailed("the peer does not answer")
        self.at = at
        return self._chunk

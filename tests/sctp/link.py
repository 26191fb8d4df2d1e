"""Two associations with a link between them, in virtual time: what it loses, delays and doubles a seed says."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from visiomedia.engine import Address
from visiomedia.sctp import Association, AssociationEvent, MessageReceived, SctpSettings
from visiomedia.sctp.packet import Packet

A_ADDRESS = Address(0, "192.0.2.1", 1111)
B_ADDRESS = Address(0, "192.0.2.2", 2222)

Passes = Callable[[bytes], bool]


def entropy_of(seed: int, first: bytes = b"") -> Callable[[int], bytes]:
    """Repeatable randomness. ``first``: secret (32), tag (4) and TSN (4) of the association, if they matter."""
    rng = random.Random(seed)
    ready = bytearray(first)

    def entropy(count: int) -> bytes:
        if ready:
            taken = bytes(ready[:count])
            del ready[:count]
            return taken
        return rng.randbytes(count)

    return entropy


def entropy_with_tsn(tsn: int, seed: int = 1) -> Callable[[int], bytes]:
    """Randomness in which the initial TSN is given."""
    return entropy_of(seed, random.Random(seed).randbytes(36) + tsn.to_bytes(4, "big"))


@dataclass
class Link:
    """``loss``, ``duplication``: of 1. ``jitter``: seconds at most on top of ``delay``, which reorders."""

    a: Association
    b: Association
    delay: float = 0.02
    loss: float = 0.0
    duplication: float = 0.0
    jitter: float = 0.0
    seed: int = 1
    now: float = 100.0
    passes: Passes = lambda _: True
    reads_b: bool = True
    a_events: list[AssociationEvent] = field(default_factory=list)
    b_events: list[AssociationEvent] = field(default_factory=list)
    packets: int = 0

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._on_the_way: list[tuple[float, int, bytes, bool]] = []
        self._count = 0

    def start(self, *, both: bool = True) -> None:
        """Begin: both sides at once, as WebRTC does, or only the first."""
        self.a.associate(B_ADDRESS, self.now)
        if both:
            self.b.associate(A_ADDRESS, self.now)
        self.drain()

    def drain(self) -> None:
        """Put what both want to send onto the link, and note events."""
        self._put(self.a, to_b=True)
        self._put(self.b, to_b=False)
        self.a_events += self.a.events()
        if self.reads_b:
            self.b_events += self.b.events()
            self._put(self.b, to_b=False)

    def _put(self, sender: Association, *, to_b: bool) -> None:
        for datagram in sender.datagrams_to_send():
            assert len(datagram.data) <= sender.settings.maximum_packet
            self.packets += 1
            if not self.passes(datagram.data):
                continue
            copies = 2 if self._rng.random() < self.duplication else 1
            for _ in range(copies):
                if self._rng.random() >= self.loss:
                    self._count += 1
                    arrival = self.now + self.delay + self._rng.random() * self.jitter
                    heapq.heappush(self._on_the_way, (arrival, self._count, datagram.data, to_b))

    def step(self) -> bool:
        """Go to the next moment at which something happens; False when nothing will."""
        moments = [moment for moment in (self.a.next_timeout(), self.b.next_timeout()) if moment is not None]
        if self._on_the_way:
            moments.append(self._on_the_way[0][0])
        if not moments:
            return False
        self.now = max(self.now, min(moments))
        while self._on_the_way and self._on_the_way[0][0] <= self.now:
            _, _, data, to_b = heapq.heappop(self._on_the_way)
            if to_b:
                self.b.receive_datagram(data, A_ADDRESS, self.now)
            else:
                self.a.receive_datagram(data, B_ADDRESS, self.now)
            self.drain()
        for side in (self.a, self.b):
            timeout = side.next_timeout()
            if timeout is not None and timeout <= self.now:
                side.handle_timeout(self.now)
        self.drain()
        return True

    def run(self, seconds: float) -> None:
        """Go on for so long."""
        self.drain()
        end = self.now + seconds
        while (moment := self._next()) is not None and moment <= end:
            self.step()
        self.now = max(self.now, end)

    def run_until(self, is_done: Callable[[], bool], seconds: float = 120.0) -> None:
        """Go on until it is so; fails when it is not within the time."""
        self.drain()
        end = self.now + seconds
        while not is_done():
            assert self.step(), "nothing will happen any more"
            assert self.now < end, "it takes too long"

    def _next(self) -> float | None:
        moments = [moment for moment in (self.a.next_timeout(), self.b.next_timeout()) if moment is not None]
        if self._on_the_way:
            moments.append(self._on_the_way[0][0])
        return min(moments, default=None)

    def messages(self, *, of_b: bool = True) -> list[bytes]:
        """What was received on any channel."""
        events = self.b_events if of_b else self.a_events
        return [event.data for event in events if isinstance(event, MessageReceived)]


def pair(
    settings: SctpSettings | None = None,
    *,
    seed: int = 1,
    a_entropy: Callable[[int], bytes] | None = None,
    b_entropy: Callable[[int], bytes] | None = None,
) -> tuple[Association, Association]:
    """A DTLS client and a server that take the largest messages."""
    a = Association(
        is_client=True, remote_maximum_message=0, settings=settings, entropy=a_entropy or entropy_of(2 * seed)
    )
    b = Association(
        is_client=False, remote_maximum_message=0, settings=settings, entropy=b_entropy or entropy_of(2 * seed + 1)
    )
    return a, b


def established(settings: SctpSettings | None = None, *, seed: int = 1, delay: float = 0.02) -> Link:
    """A link over which two associations are established, without loss so far."""
    link = Link(*pair(settings, seed=seed), seed=seed, delay=delay)
    link.start()
    link.run(1.0)
    return link


def chunk_kinds(data: bytes) -> list[int]:
    """Types of a packet's chunks."""
    return [int(chunk.kind) for chunk in Packet.parse(data).chunks]

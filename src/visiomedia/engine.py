"""The sans-IO contract: what a protocol's state machine offers its owner.

After each call the owner drains ``datagrams_to_send()`` and ``events()``, then re-arms one timer if
``next_timeout()`` moved. An engine's own verbs queue and return nothing. ``now`` is monotonic seconds and
always an argument; an engine reads no clock, opens no socket and knows no event loop.
"""

from typing import NamedTuple, Protocol, TypeVar

EventT = TypeVar("EventT")


class Address(NamedTuple):
    """Where a datagram came from or goes to: a local socket's index, and the remote host and port."""

    socket: int
    host: str
    port: int


class Datagram(NamedTuple):
    """Bytes and where they go."""

    data: bytes
    address: Address


class Engine(Protocol[EventT]):
    """A protocol as a state machine: datagrams and timeouts in, datagrams and events out."""

    def receive_datagram(self, data: bytes, address: Address, now: float) -> None:
        """Take in one datagram. Never raises for what the network sent: garbage is counted and dropped."""

    def handle_timeout(self, now: float) -> None:
        """Do what is due at ``now``. Harmless when nothing is."""

    def next_timeout(self) -> float | None:
        """Monotonic seconds at which ``handle_timeout`` wants to be called, or None."""

    def datagrams_to_send(self) -> list[Datagram]:
        """What wants to leave, oldest first; the queue is empty afterwards."""

    def events(self) -> list[EventT]:
        """What happened, oldest first; the queue is empty afterwards."""

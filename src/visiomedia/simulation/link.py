"""One direction between two places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from visiomedia.clock import NANOSECONDS
from visiomedia.simulation.conditions import HEADERS, Conditions

if TYPE_CHECKING:
    from visiomedia.simulation.network import Network

BITS = 8


@dataclass(slots=True)
class LinkCounts:
    """Datagrams. Once none is on its way: ``sent + duplicated == lost + overflowed + delivered``."""

    sent: int = 0
    lost: int = 0
    overflowed: int = 0
    """Lost in a full queue."""
    duplicated: int = 0
    reordered: int = 0
    delivered: int = 0
    delivered_bytes: int = 0


class Link:
    """Carries datagrams to ``deliver`` under conditions; made by ``Network.link``."""

    def __init__(
        self, network: Network, deliver: Callable[[bytes], object], conditions: Conditions, random: Random
    ) -> None:
        self.counts = LinkCounts()
        self._network, self._deliver, self._random = network, deliver, random
        self._conditions = conditions
        self._fates = conditions.loss.fates(random)
        self._free_at = network.now_ns
        """When the last byte that waits for the rate will have left."""
        self._last_arrival = network.now_ns

    @property
    def conditions(self) -> Conditions:
        """Those of now."""
        return self._conditions

    def change(self, conditions: Conditions) -> None:
        """Other conditions from now on; what is on its way arrives as it would have."""
        if conditions.loss != self._conditions.loss:
            self._fates = conditions.loss.fates(self._random)
        self._conditions = conditions

    @property
    def queueing(self) -> float:
        """Seconds that a datagram which is sent now waits for the rate."""
        return max(0, self._free_at - self._network.now_ns) / NANOSECONDS

    def send(self, data: bytes) -> None:
        """A datagram enters."""
        self.counts.sent += 1
        leaves = self._leave(len(data) + HEADERS)
        if leaves is None:
            self.counts.overflowed += 1
            return
        # Every datagram draws the same numbers, so that changing one condition leaves the others' fates alone.
        is_lost = next(self._fates)
        spread, again, behind = (self._random.random() for _ in range(3))
        if is_lost:
            self.counts.lost += 1
            return
        conditions = self._conditions
        arrival = leaves + round((conditions.delay + conditions.jitter * spread) * NANOSECONDS)
        if behind < conditions.reordered:
            self.counts.reordered += 1
            arrival = max(arrival, self._last_arrival) + round(conditions.reordering_delay * NANOSECONDS)
        else:
            arrival = self._last_arrival = max(arrival, self._last_arrival)
        self._network.call_at_ns(arrival, lambda: self._arrive(data))
        if again < conditions.duplicated:
            self.counts.duplicated += 1
            self._network.call_at_ns(arrival, lambda: self._arrive(data))

    def _leave(self, size: int) -> int | None:
        """When its last byte has left for the wire, in ns; None where the queue is full."""
        now, rate = self._network.now_ns, self._conditions.rate
        if rate is None:
            return max(now, self._free_at)
        waiting = max(0, self._free_at - now) * rate / (BITS * NANOSECONDS)
        if waiting > 0 and waiting + size > self._conditions.queue:
            return None
        self._free_at = max(now, self._free_at) + round(size * BITS * NANOSECONDS / rate)
        return self._free_at

    def _arrive(self, data: bytes) -> None:
        self.counts.delivered += 1
        self.counts.delivered_bytes += len(data)
        self._deliver(data)

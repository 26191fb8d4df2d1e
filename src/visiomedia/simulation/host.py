"""An engine on the simulated network."""

from typing import Any, Generic, TypeVar

from visiomedia.engine import Address, Engine
from visiomedia.simulation.conditions import Conditions
from visiomedia.simulation.link import Link
from visiomedia.simulation.network import Network, Timer

EngineT = TypeVar("EngineT", bound=Engine[Any])


class Host(Generic[EngineT]):
    """Owns a sans-IO engine as a socket's owner would: hands it datagrams and timeouts, and sends what it says.

    After a verb of the engine's own ``pump`` is called; ``events`` keeps all that the engine told.
    """

    def __init__(self, network: Network, engine: EngineT, address: Address) -> None:
        self.network, self.engine, self.address = network, engine, address
        self.events: list[Any] = []
        self.unroutable = 0
        """Datagrams to where no link leads."""
        self._links: dict[tuple[str, int], Link] = {}
        self._timer: Timer | None = None
        self._due: float | None = None

    def add_link(self, to: Address, link: Link) -> None:
        """What is sent there takes this link."""
        self._links[to.host, to.port] = link

    def receive(self, data: bytes, source: Address) -> None:
        """A datagram arrives."""
        self.engine.receive_datagram(data, source, self.network.now)
        self.pump()

    def pump(self) -> None:
        """Send what the engine wants to send, keep its events, and wake it when it wants to be."""
        for datagram in self.engine.datagrams_to_send():
            link = self._links.get((datagram.address.host, datagram.address.port))
            if link is None:
                self.unroutable += 1
            else:
                link.send(datagram.data)
        self.events += self.engine.events()
        due = self.engine.next_timeout()
        if due == self._due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due, self._timer = due, None
        if due is not None:
            self._timer = self.network.call_at(due, self._time_out)

    def _time_out(self) -> None:
        # The clock counts whole ns: it may stand a little before what a float said.
        now = self.network.now if self._due is None else max(self.network.now, self._due)
        self._due = self._timer = None
        self.engine.handle_timeout(now)
        self.pump()


def connect(
    a: Host[Any], b: Host[Any], conditions: Conditions | None = None, back: Conditions | None = None
) -> tuple[Link, Link]:
    """Links between two hosts, there and back; ``back`` is like ``conditions`` where it is not said."""
    there = a.network.link(lambda data: b.receive(data, a.address), conditions)
    home = b.network.link(lambda data: a.receive(data, b.address), back or conditions)
    a.add_link(b.address, there)
    b.add_link(a.address, home)
    return there, home

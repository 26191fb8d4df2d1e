"""Batch UDP by recvmmsg and sendmmsg. The plane's turn calls the kernels itself; these calls are for others."""

from typing import Any

from numpy.typing import NDArray

from visiomedia.batch import PacketBatch
from visiomedia.net.kernels import receive, send
from visiomedia.net.sockets import BoundSockets


class BatchUdp(BoundSockets):
    """Bound sockets, batched. See ``DatagramSockets``."""

    def receive(self, batch: PacketBatch, now: int) -> int:
        """Append what has arrived; ``now``: monotonic ns."""
        return int(receive(self.tables, batch, now))

    def send(self, out: PacketBatch, paths: NDArray[Any]) -> None:
        """Send every row that was not dropped."""
        send(self.tables, out, paths)

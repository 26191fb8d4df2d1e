"""Batch UDP by recvmmsg and sendmmsg. The plane's turn calls the kernels itself; these calls are for others."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from visiomedia.batch import PacketBatch
from visiomedia.net.kernels import receive, send
from visiomedia.net.segmentation import segments_per_message
from visiomedia.net.sockets import BoundSockets


class BatchUdp(BoundSockets):
    """Bound sockets, batched. See ``DatagramSockets``. ``segments``: datagrams of one message, by default what the host
    takes."""

    def __init__(self, addresses: Sequence[str], port: int, *, segments: int | None = None) -> None:
        super().__init__(addresses, port, segments=segments_per_message() if segments is None else segments)

    def receive(self, batch: PacketBatch, now: int) -> int:
        """Append what has arrived; ``now``: monotonic ns."""
        return int(receive(self.tables, batch, now))

    def send(self, out: PacketBatch, paths: NDArray[Any]) -> None:
        """Send every row that was not dropped."""
        send(self.tables, out, paths)

"""UDP by one call a datagram, on any operating system: fills the same batch, and is the kernels' oracle."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiomedia.batch import BYTES_USED, MAX_DATAGRAM, ROWS_USED, Drop, PacketBatch
from visiomedia.net.addresses import address_from_bytes, address_to_bytes
from visiomedia.net.sockets import BoundSockets
from visiomedia.net.tables import PathKind


class PortableUdp(BoundSockets):
    """Bound sockets, one system call a datagram. See ``DatagramSockets``. Arrival is when it was read."""

    def receive(self, batch: PacketBatch, now: int) -> int:
        """Append what has arrived; ``now``: monotonic ns."""
        rows, arena, state = batch
        before = int(state[ROWS_USED])
        for number, opened in enumerate(self.sockets):
            while state[ROWS_USED] < len(rows) and state[BYTES_USED] + MAX_DATAGRAM < len(arena):
                at = int(state[BYTES_USED])
                # One byte more than is allowed tells a longer datagram from one that just fits.
                try:
                    length, name = opened.recvfrom_into(memoryview(arena)[at : at + MAX_DATAGRAM + 1])
                except BlockingIOError:
                    break
                except OSError:
                    continue  # what the network reported of an earlier send
                row = rows[state[ROWS_USED]]
                row.offset, row.length = at, min(length, MAX_DATAGRAM)
                row.drop = Drop.TRUNCATED if length > MAX_DATAGRAM else Drop.NONE
                row.arrival = time.monotonic_ns()
                row.socket, row.port = number, name[1]
                row.address[:] = np.frombuffer(address_to_bytes(name[0].split("%")[0]), np.uint8)
                state[ROWS_USED] += 1
                state[BYTES_USED] = at + length
                self.tables.sockets[number].received += 1
        return int(state[ROWS_USED]) - before

    def send(self, out: PacketBatch, paths: NDArray[Any]) -> None:
        """Send every row that was not dropped."""
        for row in out.rows[: out.state[ROWS_USED]]:
            if row.drop or row.path < 0:
                continue
            path = paths[row.path]
            if path.kind != PathKind.UDP:
                row.drop = Drop.NO_PATH
                continue
            name = (address_from_bytes(path.address.tobytes()), int(path.port))
            try:
                self.sockets[path.socket].sendto(memoryview(out.arena)[row.offset : row.offset + row.length], name)
            except OSError:
                path.send_errors += 1
                self.tables.sockets[path.socket].send_errors += 1
                continue
            path.sent_packets += 1
            path.sent_bytes += row.length
            self.tables.sockets[path.socket].sent += 1

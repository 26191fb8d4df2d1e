"""UDP by one call a datagram, on any operating system: fills the same batch, and is the kernels' oracle."""

import errno
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiomedia.batch import BYTES_USED, MAX_DATAGRAM, ROWS_USED, Drop, PacketBatch
from visiomedia.net.addresses import address_from_bytes, address_to_bytes
from visiomedia.net.sockets import BoundSockets
from visiomedia.net.structures import TURNS
from visiomedia.net.tables import PathKind

FULL = (errno.EAGAIN, errno.ENOBUFS)
"""The socket's buffer, or the network card's, takes no more now."""


Destination = tuple[int, tuple[str, int]]
"""A socket's index, and the remote host and port."""


class PortableUdp(BoundSockets):
    """Bound sockets, one system call a datagram. See ``DatagramSockets``. Arrival is when it was read."""

    def __init__(self, addresses: Sequence[str], port: int) -> None:
        super().__init__(addresses, port)
        # One byte more than is allowed tells a longer datagram from one that just fits.
        self._datagram = bytearray(MAX_DATAGRAM + 1)

    def receive(self, batch: PacketBatch, now: int) -> int:
        """Append what has arrived; ``now``: monotonic ns. The sockets take turns at being first."""
        before = int(batch.state[ROWS_USED])
        count = len(self.sockets)
        first = int(self.tables.state[TURNS]) % count
        self.tables.state[TURNS] += 1
        for place in range(count):
            room = len(batch.rows) - int(batch.state[ROWS_USED])
            # As the kernel does: none takes more than half of what is left to the others.
            self._receive_from((first + place) % count, batch, room if place + 1 == count else (room + 1) // 2)
        return int(batch.state[ROWS_USED]) - before

    def _receive_from(self, number: int, batch: PacketBatch, room: int) -> None:
        """Append at most ``room`` rows of one socket."""
        rows, arena, state = batch
        # By column: a record's attributes cost microseconds each, outside of kernels.
        used, at = int(state[ROWS_USED]), int(state[BYTES_USED])
        for _ in range(room):
            if at + MAX_DATAGRAM > len(arena):
                break
            try:
                received, name = self.sockets[number].recvfrom_into(self._datagram)
            except BlockingIOError:
                break
            except OSError:
                self.tables.sockets["receive_errors"][number] += 1  # what the network reported of an earlier send
                continue
            length = min(received, MAX_DATAGRAM)
            arena[at : at + length] = np.frombuffer(self._datagram, np.uint8, length)
            rows["offset"][used], rows["length"][used] = at, length
            rows["drop"][used] = Drop.TRUNCATED if received > MAX_DATAGRAM else Drop.NONE
            rows["arrival"][used] = time.monotonic_ns()
            rows["socket"][used], rows["port"][used] = number, name[1]
            rows["address"][used] = np.frombuffer(address_to_bytes(name[0].split("%")[0]), np.uint8)
            used += 1
            at += length
        self.tables.sockets["received"][number] += used - state[ROWS_USED]
        state[ROWS_USED], state[BYTES_USED] = used, at

    def send(self, out: PacketBatch, paths: NDArray[Any]) -> None:
        """Send every row that was not dropped; what a full socket refuses is lost, and what is left for it."""
        used = out.rows[: out.state[ROWS_USED]]
        buffer = memoryview(out.arena.data)
        destinations: dict[int, Destination | None] = {}
        full: set[int] = set()
        columns = [used[column].tolist() for column in ("drop", "path", "offset", "length")]
        for row, (drop, path, offset, length) in enumerate(zip(*columns, strict=True)):
            if drop or path < 0:
                continue
            if path not in destinations:
                destinations[path] = self._destination(paths[path])
            destination = destinations[path]
            if destination is None:
                used["drop"][row] = Drop.NO_PATH
                continue
            number, name = destination
            error = 0 if number in full else self._send_to(number, buffer[offset : offset + length], name)
            if error in FULL:
                full.add(number)
            if error or number in full:
                paths["send_errors"][path] += 1
                self.tables.sockets["send_errors"][number] += 1
                continue
            paths["sent_packets"][path] += 1
            paths["sent_bytes"][path] += length
            self.tables.sockets["sent"][number] += 1
            self.tables.sockets["messages"][number] += 1

    def _destination(self, path: Any) -> Destination | None:
        if path.kind != PathKind.UDP or path.socket >= len(self.sockets):
            return None
        return int(path.socket), (address_from_bytes(path.address.tobytes()), int(path.port))

    def _send_to(self, number: int, data: memoryview, name: tuple[str, int]) -> int:
        """0, or the errno of what was refused."""
        for is_last in (False, True):
            try:
                self.sockets[number].sendto(data, name)
            except OSError as error:
                # What ICMP reported of an earlier datagram is told to whoever sends next.
                if isinstance(error, ConnectionRefusedError) and not is_last:
                    continue
                return error.errno or errno.EIO
            return 0
        raise AssertionError("the second attempt returned")

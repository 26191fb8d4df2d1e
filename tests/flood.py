"""Garbage at a UDP port, as fast as asked for: ``python -m tests.flood PORT PACKETS_A_SECOND SECONDS``."""

import os
import sys
import time

from tests.net.datagrams import outbound, paths_to
from visiomedia.engine import Address
from visiomedia.net import BatchUdp

BURST = 64
BYTES = 120


def main(port: int, rate: float, seconds: float) -> None:
    """Flood, then say how many have left."""
    sockets = BatchUdp(["127.0.0.1"], 0)
    net = paths_to(Address(0, "127.0.0.1", port))
    garbage = [bytes([0x80 + number % 16, 96]) + os.urandom(BYTES - 2) for number in range(BURST)]
    batch = outbound([(0, data) for data in garbage])
    begun = time.monotonic()
    bursts = 0
    while (now := time.monotonic()) < begun + seconds:
        if bursts * BURST < (now - begun) * rate:
            sockets.send(batch, net.paths)
            bursts += 1
    print(int(sockets.tables.sockets[0].sent), flush=True)
    sockets.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))

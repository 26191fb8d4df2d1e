"""What data channels cost: two associations back to back in memory, CPU of both together a megabyte.

    python -m benchmarks.bench_data_channels --json data_channels.json

No DTLS, no socket, no loss: the engines alone, and aiortc's beside ours in the same run. aiortc's figure has the event
loop in it that it cannot run without. Method: benchmarks/README.md.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcsctptransport import RTCSctpCapabilities, RTCSctpTransport
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine, write_json
from visiomedia.engine import Address
from visiomedia.sctp import Association, MessageReceived, SctpSettings

ADDRESS = Address(0, "192.0.2.1", 1)
STEP_S = 0.001
"""Virtual time between two exchanges."""

LOW_WATER = 500_000
"""Bytes kept in the sender's queue."""


class Pair:
    """Two of our associations and a channel from the first to the second."""

    def __init__(self, settings: SctpSettings) -> None:
        self.now = 1.0
        self.a = Association(is_client=True, remote_maximum_message=0, settings=settings)
        self.b = Association(is_client=False, remote_maximum_message=0, settings=settings)
        self.received = 0
        self.a.associate(ADDRESS, self.now)
        self.b.associate(ADDRESS, self.now)
        self.channel = self.a.open_channel("bench", self.now)
        for _ in range(20):
            self.exchange()

    def exchange(self) -> None:
        """One crossing each way, drained after each datagram as a socket's owner would."""
        self.now += STEP_S
        for datagram in self.a.datagrams_to_send():
            self.b.receive_datagram(datagram.data, ADDRESS, self.now)
            for answer in self.b.datagrams_to_send():
                self.a.receive_datagram(answer.data, ADDRESS, self.now)
            self._read()
        for side in (self.a, self.b):
            timeout = side.next_timeout()
            if timeout is not None and timeout <= self.now:
                side.handle_timeout(self.now)
        for answer in self.b.datagrams_to_send():
            self.a.receive_datagram(answer.data, ADDRESS, self.now)
        self.a.events()

    def _read(self) -> None:
        for event in self.b.events():
            if isinstance(event, MessageReceived):
                self.received += len(event.data)


def ours(settings: SctpSettings, size: int, total: int) -> float:
    """CPU seconds for ``total`` bytes in messages of ``size``."""
    pair, message, sent = Pair(settings), bytes(size), 0
    started = time.process_time()
    while pair.received < total:
        while sent < total and pair.a.buffered_amount(pair.channel) < LOW_WATER:
            pair.a.send(pair.channel, message, pair.now)
            sent += size
        pair.exchange()
    return time.process_time() - started


class MemoryDtls:
    """What aiortc's transport wants of DTLS: data handed to the other one, by tasks of its own."""

    state = "connected"

    def __init__(self, role: str) -> None:
        self._role = role
        self.queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.other: MemoryDtls | None = None

    def _register_data_receiver(self, receiver: Any) -> None:
        pass

    def _unregister_data_receiver(self, receiver: Any) -> None:
        pass

    async def _send_data(self, data: bytes) -> None:
        assert self.other is not None, "both are joined before they start"
        self.other.queue.put_nowait(data)

    async def pump(self, receiver: RTCSctpTransport) -> None:
        """Deliver what the other one sent."""
        while True:
            await cast(Any, receiver)._handle_data(await self.queue.get())


async def _aiortc(size: int, total: int) -> float:
    wires = MemoryDtls("client"), MemoryDtls("server")
    wires[0].other, wires[1].other = wires[1], wires[0]
    a, b = (RTCSctpTransport(cast(Any, wire)) for wire in wires)
    done = asyncio.Event()
    received = 0

    def accept(channel: RTCDataChannel) -> None:
        def count(message: bytes) -> None:
            nonlocal received
            received += len(message)
            if received >= total:
                done.set()

        channel.on("message", count)

    b.on("datachannel", accept)
    tasks = [asyncio.create_task(wires[0].pump(a)), asyncio.create_task(wires[1].pump(b))]
    for side in (a, b):
        await side.start(RTCSctpCapabilities(maxMessageSize=0), 5000)
    channel = RTCDataChannel(a, RTCDataChannelParameters(label="bench"))
    is_open = asyncio.Event()
    channel.on("open", is_open.set)
    await is_open.wait()
    message, sent = bytes(size), 0
    started = time.process_time()
    while not done.is_set():
        while sent < total and channel.bufferedAmount < LOW_WATER:
            channel.send(message)
            sent += size
        await asyncio.sleep(0)
    spent = time.process_time() - started
    for side in (a, b):
        await side.stop()
    for task in tasks:
        task.cancel()
    return spent


def aiortc(size: int, total: int) -> float:
    """The same by aiortc."""
    return asyncio.run(_aiortc(size, total))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=32)
    parser.add_argument("--quick", action="store_true", help="one short run each")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.runs, chosen.megabytes = 1, 8
    total = chosen.megabytes * 1_000_000
    plain, summed = SctpSettings(), SctpSettings(zero_checksum=False)
    contestants: list[tuple[str, int, int, Callable[[int, int], float]]] = []
    for size, share in ((64_000, 1), (1000, 4), (100, 32)):
        contestants += [
            ("visiomedia, zero checksum", size, total // share, lambda size, total: ours(plain, size, total)),
            ("visiomedia, CRC32c", size, total // share, lambda size, total: ours(summed, size, total)),
            ("aiortc", size, total // share // 8, aiortc),
        ]
    table = Table("engine", "message bytes", "MB/s of CPU", "messages/s of CPU", title=describe_machine())
    spent: dict[int, list[float]] = {index: [] for index in range(len(contestants))}
    for _ in range(chosen.runs):
        for index, (_, size, amount, run) in enumerate(contestants):
            spent[index].append(run(size, amount))
    rows = []
    for index, (name, size, amount, _) in enumerate(contestants):
        seconds = statistics.median(spent[index])
        row = {
            "engine": name,
            "message_bytes": size,
            "megabytes_per_cpu_s": round(amount / seconds / 1e6, 2),
            "messages_per_cpu_s": round(amount / size / seconds),
        }
        rows.append(row)
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)
    if chosen.json is not None:
        write_json(chosen.json, rows)


if __name__ == "__main__":
    main()

"""Whether the node keeps up: minutes of forwarding, alone or under a flood of garbage; loss and memory of each run.

    python -m benchmarks.endurance --minutes 10 --packets-s 200000 --json endurance.json
    python -m benchmarks.endurance --minutes 0.5 --scenario 1x10 --packets-s 20000 --flood 200000

The flood comes from another process, datagrams of every kind that the port tells apart, from an address that nobody
knows.
"""

import argparse
import asyncio
import multiprocessing
import os
import socket
import struct
import sys
import time
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import servers
from benchmarks.bench_forward import GCM, LOAD_CORE, SERVER_CORE, prepare
from benchmarks.load import Load
from benchmarks.micro import report
from benchmarks.network import ADDRESS
from benchmarks.scenarios import SCENARIOS

RUN_S = 20.0
BURST = 6
PORT = 7880
MEDIA_PORT = PORT + 2

SEGMENTS, SEGMENT = 50, 100
UDP_SEGMENT = 103
FIRST_BYTES = bytes([0, 1, 20, 22, 63, 64, 128, 144, 191, 255])
"""STUN, DTLS, media, and what is none of them (RFC 7983)."""


def flood(packets_s: int, stop: Event) -> None:
    """Garbage at the media port until told to stop."""
    os.sched_setaffinity(0, {LOAD_CORE})
    messages = []
    for _ in range(64):
        body = bytearray(os.urandom(SEGMENTS * SEGMENT))
        body[::SEGMENT] = bytes(FIRST_BYTES[number % len(FIRST_BYTES)] for number in range(SEGMENTS))
        messages.append(bytes(body))
    control = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("H", SEGMENT))]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect((ADDRESS, MEDIA_PORT))
        began, sent = time.monotonic(), 0
        while not stop.is_set():
            if sent * SEGMENTS > (time.monotonic() - began) * packets_s:
                time.sleep(0.0002)
                continue
            sender.sendmsg([messages[sent % len(messages)]], control)
            sent += 1
        print(f"flood: {sent * SEGMENTS / (time.monotonic() - began):,.0f} datagrams/s", file=sys.stderr)


async def endure(chosen: argparse.Namespace, console: Console) -> list[dict[str, Any]]:
    """A row a run."""
    rows = []
    stop = multiprocessing.Event()
    flooding = multiprocessing.Process(target=flood, args=(chosen.flood, stop))
    async with servers.visiomedia("thread", core=SERVER_CORE, port=PORT) as server:
        load = Load(server, SCENARIOS[chosen.scenario], GCM)
        await load.open()
        await load.run(RUN_S, chosen.packets_s, BURST)  # history and buffers reach their size
        if chosen.flood:
            flooding.start()
        try:
            for number in range(max(1, round(chosen.minutes * 60 / RUN_S))):
                run = await load.run(RUN_S, chosen.packets_s, BURST)
                row = {
                    "run": number + 1,
                    "scenario": chosen.scenario,
                    "flood_s": chosen.flood,
                    "packets_s": round(run.packets_s),
                    "packets": run.sent,
                    "lost": run.sent - run.received,
                    "loss": round(run.loss, 7),
                    "wrong": run.wrong,
                    "cpu_share": round(run.cpu_share, 2),
                    "rss_mb": round(run.rss_mb, 1),
                }
                rows.append(row)
                console.print(f"{row['run']}: {row['lost']} of {run.sent:,} lost, {row['rss_mb']} MB")
        finally:
            stop.set()
            if flooding.is_alive():
                flooding.join()
        await load.close()
    return rows


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.endurance", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--scenario", default="25x24", choices=SCENARIOS)
    parser.add_argument("--packets-s", type=int, default=200_000, help="forwarded")
    parser.add_argument("--flood", type=int, default=0, help="datagrams of garbage a second")
    parser.add_argument("--json", type=Path, metavar="FILE")
    chosen = parser.parse_args()
    console = Console(stderr=True)
    prepare(console)
    rows = asyncio.run(endure(chosen, console))
    report(f"{chosen.minutes} minutes of {chosen.scenario}", rows, chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())

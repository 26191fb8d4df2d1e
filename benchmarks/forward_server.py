"""The measured side of ``bench_forward``: a process with one plane that forwards one publisher to every watcher.

It is told what to do by lines of JSON on stdin and answers each with one on stdout. Its CPU time is its own account.
"""

import argparse
import asyncio
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from visiomedia.jit import warm_up
from visiomedia.line import Capacities
from visiomedia.peer.peer import Peer
from visiomedia.plane import Plane
from visiomedia.turns import Way, warm_up_stages

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds() -> float:
    """User and system time of this process since it began, all its threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def resident_mb() -> float:
    """Resident memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES / 1e6


class ForwardServer:
    """What the measuring process may ask for."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._peers: list[Peer] = []

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply to one request; ``do`` names it."""
        match request["do"]:
            case "publish":
                peer = Peer(self._plane)
                peer.receive_offer(request["offer"])
                self._peers.append(peer)
                return {"answer": peer.answer()}
            case "watch":
                return {"answer": self._watch(request["offer"])}
            case "usage":
                paths = self._plane.tables.net.paths
                return {
                    "cpu_s": cpu_seconds(),
                    "sockets": self._plane.socket_counters(),
                    "rss_mb": resident_mb(),
                    "connected": sum(peer.connected.done() for peer in self._peers),
                    "sent": int(paths["sent_packets"].sum()),
                    "send_errors": int(paths["send_errors"].sum()),
                    "drops": {reason: count for reason, count in self._plane.counters().items() if count},
                }
        raise ValueError(f"asked to do {request['do']!r}")

    def _watch(self, offer: str) -> str:
        publisher, peer = self._peers[0], Peer(self._plane)
        for section in peer.receive_offer(offer):
            for track in publisher.tracks:
                if track.kind == section.kind:
                    section.send(track)
        self._peers.append(peer)
        return peer.answer()

    def close(self) -> None:
        """End every peer."""
        for peer in self._peers:
            peer.close()


async def serve(way: Way) -> None:
    """Answer requests until stdin ends."""
    loop = asyncio.get_running_loop()
    requests = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)
    capacities = Capacities()
    for _ in warm_up(warm_up_stages(capacities)):
        pass
    async with Plane(["127.0.0.1"], 0, capacities=capacities, way=way) as plane:
        server = ForwardServer(plane)
        print(json.dumps({"ready": True}), flush=True)
        while line := await requests.readline():
            print(json.dumps(server.answer(json.loads(line))), flush=True)
        server.close()


def main() -> None:
    """Run until stdin ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--core", type=int, required=True)
    parser.add_argument("--way", type=Way, choices=list(Way), default=Way.THREAD)
    chosen = parser.parse_args()
    os.sched_setaffinity(0, {chosen.core})
    asyncio.run(serve(chosen.way))


if __name__ == "__main__":
    main()

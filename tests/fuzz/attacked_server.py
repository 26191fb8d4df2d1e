"""The attacked side of ``test_hostile``: a process with one plane, so that its memory and its loop are its own.

It is told what to do by lines of JSON on stdin and answers each with one on stdout.
"""

import asyncio
import ctypes
import gc
import json
import logging
import sys
from pathlib import Path
from typing import Any

import psutil

from visiomedia.jit import warm_up
from visiomedia.line import Capacities
from visiomedia.peer.peer import Peer
from visiomedia.plane import Plane
from visiomedia.turns import warm_up_stages

PR_SET_THP_DISABLE = 41


def forbid_huge_pages() -> None:
    """Have resident memory be what was touched.

    numpy asks for huge pages where arrays are large, and khugepaged makes them in its own time: 2 MB resident at a
    stroke for tables of which a few pages are in use.
    """
    assert ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0, "Linux since 3.15 can"


KEPT = 20
"""Messages and exceptions that are told; more of them say no more."""


class _Messages(logging.Handler):
    """Keeps the first warnings and errors that anything logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.messages) < KEPT:
            self.messages.append(self.format(record)[:1000])


def dropped_by_kernel(port: int) -> int:
    """Datagrams that found our socket's buffer full: the last column of this namespace's table of UDP sockets."""
    sockets = [line.split() for line in Path("/proc/self/net/udp").read_text().splitlines()[1:]]
    return sum(int(columns[-1]) for columns in sockets if int(columns[1].rpartition(":")[2], 16) == port)


class AttackedServer:
    """What the test may ask for."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._peers: dict[str, Peer] = {}
        self._process = psutil.Process()
        self.exceptions: list[str] = []
        self.messages = _Messages()

    def note_exception(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An exception reached the loop."""
        if len(self.exceptions) < KEPT:
            self.exceptions.append(repr(context)[:1000])

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply to one request; ``do`` names it."""
        match request["do"]:
            case "join":
                return {"answer": self._join(request["name"], request["watches"], request["offer"])}
            case "report":
                return self._report()
        raise ValueError(f"asked to do {request['do']!r}")

    def _join(self, name: str, watches: str, offer: str) -> str:
        """A peer that publishes what it offers and, section by section of a kind, gets what ``watches`` publishes."""
        self._peers[name] = peer = Peer(self._plane)
        waiting = self._peers[watches].tracks if watches else []
        for section in peer.receive_offer(offer):
            track = next((track for track in waiting if track.kind == section.kind), None)
            if track is not None and section.offered.direction.receives:
                waiting.remove(track)
                section.send(track)
        return peer.answer()

    def _report(self) -> dict[str, Any]:
        gc.collect()
        tables = self._plane.tables
        sockets = self._plane._sockets
        assert sockets is not None, "the plane is open"
        return {
            "rss": self._process.memory_info().rss,
            "received": int(sockets.tables.sockets["received"].sum()),
            "dropped_by_kernel": dropped_by_kernel(self._plane.local_addresses[0].port),
            "held": int(tables.transport.held_state[0]),
            "waiting": int(tables.transport.handed_state[0] - tables.transport.handed_state[1]),
            "counters": self._plane.counters(),
            "connected": [
                name for name, peer in self._peers.items() if peer.connected.done() and not peer.closed.done()
            ],
            "sources": int(tables.routing.active_sources[0]),
            "history_chunks": int(tables.routing.sources["chunks"].sum()),
            "exceptions": self.exceptions,
            "messages": self.messages.messages,
        }

    def close(self) -> None:
        """End every peer."""
        for peer in self._peers.values():
            peer.close()


async def serve() -> None:
    """Answer requests until stdin ends."""
    loop = asyncio.get_running_loop()
    requests = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)
    forbid_huge_pages()
    capacities = Capacities()
    for _ in warm_up(warm_up_stages(capacities)):
        pass
    async with Plane(["127.0.0.1"], 0, capacities=capacities) as plane:
        server = AttackedServer(plane)
        logging.getLogger().addHandler(server.messages)
        loop.set_exception_handler(server.note_exception)
        print(json.dumps({"port": plane.local_addresses[0].port}), flush=True)
        while line := await requests.readline():
            print(json.dumps(server.answer(json.loads(line))), flush=True)
        server.close()


if __name__ == "__main__":
    asyncio.run(serve())

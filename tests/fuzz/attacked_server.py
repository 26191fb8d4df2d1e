"""The attacked side of ``test_hostile``: a process with one plane, so that its memory and its loop are its own.

It is told what to do by lines of JSON on stdin and answers each with one on stdout.
"""

import asyncio
import gc
import json
import logging
import sys
from typing import Any

import psutil

from visiomedia.jit import warm_up
from visiomedia.line import Capacities
from visiomedia.peer.peer import Peer
from visiomedia.plane import Plane, warm_up_stages


class _Messages(logging.Handler):
    """Keeps the first hundred warnings and errors that anything logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.messages) < 100:
            self.messages.append(self.format(record))


class AttackedServer:
    """What the test may ask for."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._peers: dict[str, Peer] = {}
        self._process = psutil.Process()
        self.exceptions: list[str] = []
        self.messages = _Messages()

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
            "held": int(tables.transport.held_state[0]),
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
    capacities = Capacities()
    for _ in warm_up(warm_up_stages(capacities)):
        pass
    async with Plane(["127.0.0.1"], 0, capacities=capacities) as plane:
        server = AttackedServer(plane)
        logging.getLogger().addHandler(server.messages)
        loop.set_exception_handler(lambda _, context: server.exceptions.append(repr(context)[:1000]))
        print(json.dumps({"port": plane.local_addresses[0].port}), flush=True)
        while line := await requests.readline():
            print(json.dumps(server.answer(json.loads(line))), flush=True)
        server.close()


if __name__ == "__main__":
    asyncio.run(serve())

"""What a person who comes costs: CPU of the whole server a join, and joins a second.

    python -m benchmarks.bench_join --json join.json

Everybody joins as the server's own clients do: signalling by websocket, ICE, DTLS, a published microphone; and leaves.
Servers on core 0, those who come on core 1: where the figure of joins a second is far below what the CPU a join would
allow, it is the load's. Servers take turns. Method: benchmarks/README.md.
"""

import asyncio
import statistics
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from benchmarks.bench_forward import GCM, SERVER_CORE, prepare
from benchmarks.load import Session, make_session
from benchmarks.micro import arguments, report, rounded
from benchmarks.servers import Server

MEASURED = {("visiomedia", "thread"), ("livekit", ""), ("janus", "event_loops=1")}
"""Names and paths; a path that is a version is whatever it is."""
TOGETHER = 10
"""So many are on their way in at once."""


@dataclass
class Entrant:
    """A server and what its rounds gave."""

    server: Server
    session: Session
    cpu_ms: list[float] = field(default_factory=list)
    joins_s: list[float] = field(default_factory=list)

    async def visits(self, count: int) -> None:
        """So many come and leave."""
        before, began = self.server.usage(), time.monotonic()
        waiting = list(range(count))

        async def come() -> None:
            while waiting:
                waiting.pop()
                await self.session.visit()

        await asyncio.gather(*(come() for _ in range(TOGETHER)))
        self.joins_s.append(count / (time.monotonic() - began))
        self.cpu_ms.append(self.server.usage().cpu_since(before) * 1000 / count)


def is_measured(name: str, path: str) -> bool:
    """Not every way of ours: signalling is the same in all."""
    return (name, path) in MEASURED or (name, "") in MEASURED


async def measure(console: Console, *, quick: bool) -> list[dict[str, Any]]:
    """Rows of all servers."""
    entrants: list[Entrant] = []
    rounds, count = (3, 30) if quick else (7, 100)
    async with AsyncExitStack() as stack:
        for contestant in prepare(console):
            if is_measured(contestant.name, contestant.path):
                server = await stack.enter_async_context(contestant.start(SERVER_CORE))
                session = make_session(server, GCM)
                stack.push_async_callback(session.close)
                entrants.append(Entrant(server, session))
                await session.visit()  # what is made once is made now
        for _ in range(rounds):
            for entrant in entrants:
                await entrant.visits(count)
    return [
        {
            "server": each.server.name,
            "path": each.server.path,
            "joins": rounds * count,
            "cpu_ms_per_join": rounded(statistics.median(each.cpu_ms)),
            "joins_per_s": rounded(statistics.median(each.joins_s)),
        }
        for each in entrants
    ]


def main() -> int:
    """Returns the exit status."""
    chosen = arguments("bench_join", __doc__)
    rows = asyncio.run(measure(Console(), quick=chosen.quick))
    report(f"Joins, {TOGETHER} at a time", rows, chosen.json, note="medians; CPU: of all of a server's processes")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What forwarding costs: one publisher, its watchers, CPU of the server process a forwarded packet.

    python -m benchmarks.bench_forward --quick --json forward.json

The server runs on core 0, publisher and watchers on core 1, all over loopback without UDP_GRO. Every watcher is a real
WebRTC client: ICE, DTLS, and a sample of its packets opened and compared. Method: benchmarks/README.md.
"""

import argparse
import asyncio
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.forward_load import BURST, PACKET_BYTES, Measurement, Room, ServerProcess
from benchmarks.machine import describe_machine, write_json
from visiomedia.turns import Way

SERVER_CORE = 0
LOAD_CORE = 1
ALLOWED_LOSS = 0.001
ATTEMPTS = 3
"""How often a run that lost more is tried again."""

WARM_UP_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured. ``packets_s``: forwarded packets a second that are offered."""

    watchers: tuple[int, ...]
    runs: int
    run_s: float
    packets_s: int = 20_000


QUICK = Plan(watchers=(10, 50), runs=3, run_s=2.0)
FULL = Plan(watchers=(10, 50, 100), runs=5, run_s=5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One row: a path through the server and how many watch."""

    path: str
    watchers: int
    profile: str
    runs: tuple[Measurement, ...]
    void: int
    """Runs that lost too much and were tried again."""

    def row(self) -> dict[str, Any]:
        """As ``--json`` writes it: medians of the runs, their losses together."""
        runs = self.runs
        sent = sum(run.sent for run in runs)
        return {
            "server": "visiomedia",
            "path": self.path,
            "scenario": f"1x{self.watchers}",
            "burst": BURST,
            "profile": self.profile,
            "packet_bytes": PACKET_BYTES,
            "packets": sent,
            "packets_s": round(statistics.median(run.packets_s for run in runs)),
            "cpu_us_per_packet": round(statistics.median(run.cpu_us_per_packet for run in runs), 2),
            "cpu_us_per_packet_least": round(min(run.cpu_us_per_packet for run in runs), 2),
            "cpu_us_per_packet_most": round(max(run.cpu_us_per_packet for run in runs), 2),
            "loss": round(1 - sum(run.received for run in runs) / sent, 6),
            "rss_mb": round(statistics.median(run.rss_mb for run in runs), 1),
            "runs": len(runs),
            "void_runs": self.void,
        }


class VoidError(Exception):
    """A scenario could not be measured: every attempt lost packets, or what arrived was not what was sent."""


async def run_once(room: Room, plan: Plan, path: str) -> tuple[Measurement, int]:
    """One run that counts, and how many before it did not. Raises VoidError."""
    interval = len(room.watchers) * BURST / plan.packets_s
    frames = max(1, round(plan.run_s / interval))
    for attempt in range(ATTEMPTS):
        measured = await room.run(frames, interval, BURST)
        if measured.wrong:
            raise VoidError(f"{path}: {measured.wrong} packets were not what was published")
        if measured.loss <= ALLOWED_LOSS:
            return measured, attempt
    raise VoidError(
        f"{path}: {measured.loss:.2%} of {measured.sent} packets were lost {ATTEMPTS} times; drops: {measured.drops}"
    )


async def measure(plan: Plan, watchers: int, advance: Callable[[str], None]) -> list[Scenario]:
    """Each way with so many watchers, their runs interleaved."""
    rooms: dict[str, Room] = {}
    runs: dict[str, list[Measurement]] = {way: [] for way in Way}
    void = dict.fromkeys(runs, 0)
    interval = watchers * BURST / plan.packets_s
    try:
        for path in runs:
            advance(f"1x{watchers} {path}: connecting")
            rooms[path] = await Room.open(SERVER_CORE, watchers, way=Way(path))
            await rooms[path].run(round(WARM_UP_S / interval) + 1, interval, BURST)
        for number in range(plan.runs):
            for path, room in rooms.items():
                advance(f"1x{watchers} {path}: run {number + 1} of {plan.runs}")
                measured, repeated = await run_once(room, plan, path)
                runs[path].append(measured)
                void[path] += repeated
        for path, room in rooms.items():
            if not room.proven:
                raise VoidError(f"{path}: no packet was opened")
        return [
            Scenario(path=path, watchers=watchers, profile=room.profile, runs=tuple(runs[path]), void=void[path])
            for path, room in rooms.items()
        ]
    finally:
        for room in rooms.values():
            await room.close()


def show(console: Console, rows: Sequence[dict[str, Any]]) -> None:
    """Print the table."""
    table = Table(
        title=f"Forwarding {PACKET_BYTES}-byte packets in bursts of {BURST}, loopback without UDP_GRO; "
        f"server on core {SERVER_CORE}, load on core {LOAD_CORE}\n{describe_machine()}",
        caption="medians; CPU: user and system time of the server process, divided by packets that arrived",
    )
    for name in ("server", "path", "scenario", "profile"):
        table.add_column(name)
    for name in ("packets/s", "packets", "µs CPU/packet", "least–most", "loss", "RSS MB", "void runs"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row["server"],
            row["path"],
            row["scenario"],
            row["profile"],
            f"{row['packets_s']:,}",
            f"{row['packets']:,}",
            f"{row['cpu_us_per_packet']:.2f}",
            f"{row['cpu_us_per_packet_least']:.2f}–{row['cpu_us_per_packet_most']:.2f}",
            f"{row['loss']:.3%}",
            f"{row['rss_mb']:.0f}",
            str(row["void_runs"]),
        )
    console.print(table)


async def run(plan: Plan, console: Console) -> list[dict[str, Any]]:
    """Measure everything, with progress shown. Raises VoidError."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    rows: list[dict[str, Any]] = []
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=1 + len(plan.watchers) * len(Way) * (plan.runs + 1))

        def advance(description: str) -> None:
            progress.update(task, advance=1, description=description)
            if not console.is_terminal:
                console.print(description)

        # Compiled by a process of its own: a compiler's memory is not the server's.
        advance("compiling or loading kernels")
        await (await ServerProcess.start(SERVER_CORE, way=Way.THREAD)).stop()
        for watchers in plan.watchers:
            rows += [scenario.row() for scenario in await measure(plan, watchers, advance)]
    return rows


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_forward", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10 and 50 watchers, short runs: under a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--packets-s", type=int, metavar="N", help="forwarded packets a second to offer")
    chosen = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 140)
    if len(os.sched_getaffinity(0)) < 2:
        console.print("this benchmark wants two cores: one for the server, one for its load")
        return 1
    os.sched_setaffinity(0, {LOAD_CORE})
    plan = QUICK if chosen.quick else FULL
    if chosen.packets_s:
        plan = Plan(watchers=plan.watchers, runs=plan.runs, run_s=plan.run_s, packets_s=chosen.packets_s)
    try:
        rows = asyncio.run(run(plan, console))
    except VoidError as error:
        console.print(f"void: {error}")
        return 1
    show(console, rows)
    if chosen.json:
        write_json(chosen.json, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())

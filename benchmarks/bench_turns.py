"""Who should take the plane's turns: a thread of its own, or the event loop.

    python -m benchmarks.bench_turns --json turns.json

25 people see each other, once undisturbed, once while 10 people a second join another room, once while an application
holds the loop up for 100 ms each second. What packets wait for in the node is the answer; CPU is beside it.
"""

import asyncio
import statistics
import sys
from contextlib import AsyncExitStack
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks import servers
from benchmarks.bench_forward import GCM, SERVER_CORE, prepare
from benchmarks.load import Load, Measured
from benchmarks.micro import arguments, report
from benchmarks.scenarios import SCENARIOS

WAYS = ("thread", "loop")
JOINS_S = 10
PACKETS_S = 100_000
BURST = 6
SCENARIO = "25x24"


def row(way: str, beside: str, runs: list[Measured]) -> dict[str, Any]:
    """Flat, as ``--json`` writes it."""
    latencies = np.concatenate([run.latencies_ms for run in runs])
    p50, p99, most = (round(float(np.percentile(latencies, share)), 2) for share in (50, 99, 100))
    return {
        "server": "visiomedia",
        "path": way,
        "scenario": SCENARIO,
        "beside": beside,
        "packets_s": round(statistics.median(run.packets_s for run in runs)),
        "cpu_us_per_packet": round(statistics.median(run.cpu_us_per_packet for run in runs), 2),
        "latency_p50_ms": p50,
        "latency_p99_ms": p99,
        "latency_most_ms": most,
        "loss": round(1 - sum(run.received for run in runs) / sum(run.sent for run in runs), 6),
    }


async def measure(*, quick: bool) -> list[dict[str, Any]]:
    """Each way, quiet and disturbed, taking turns."""
    rounds, seconds = (2, 2.0) if quick else (5, 4.0)
    loads: dict[tuple[str, bool], Load] = {}
    async with AsyncExitStack() as stack:
        for number, way in enumerate(WAYS):
            for stalled in (False, True):
                port = 7880 + 20 * number + 10 * stalled
                server = servers.visiomedia(way, core=SERVER_CORE, port=port, stalled=stalled)
                load = Load(await stack.enter_async_context(server), SCENARIOS[SCENARIO], GCM)
                stack.push_async_callback(load.close)
                await load.open()
                loads[way, stalled] = load
        found: dict[tuple[str, str], list[Measured]] = {}
        for _ in range(rounds):
            for (way, stalled), load in loads.items():
                disturbances = {"a stalled loop": 0} if stalled else {"nothing": 0, f"{JOINS_S} joins/s": JOINS_S}
                for beside, joins_s in disturbances.items():
                    measured = await load.run(seconds, PACKETS_S, BURST, joins_s=joins_s)
                    found.setdefault((beside, way), []).append(measured)
    return [row(way, beside, runs) for (beside, way), runs in sorted(found.items(), reverse=True)]


def main() -> int:
    """Returns the exit status."""
    chosen = arguments("bench_turns", __doc__)
    prepare(Console())
    rows = asyncio.run(measure(quick=chosen.quick))
    report("Turns on a thread and on the loop", rows, chosen.json, note="CPU: with what is beside; latency of all runs")
    return 0


if __name__ == "__main__":
    sys.exit(main())

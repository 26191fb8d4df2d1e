"""Whether cost grows with the room: CPU a forwarded packet to 10, 100 and 1000 receivers of one publisher.

    python -m benchmarks.bench_scale --json scale.json

The same packets a second in each, so that what is paid by the turn weighs alike; all else is `bench_forward`'s.
"""

import asyncio
import sys
from typing import Any

from rich.console import Console

from benchmarks.bench_forward import Case, Plan, prepare, run, show
from benchmarks.machine import write_json
from benchmarks.micro import arguments

PACKETS_S = 100_000
"""A frame of six packets for a thousand receivers is six thousand: that is some frames a second."""
SCENARIOS = ("1x10", "1x100", "1x1000")


def growth(rows: list[dict[str, Any]]) -> float:
    """What a packet costs with most receivers, over what it costs with fewest."""
    return float(rows[-1]["cpu_us_per_packet"] / rows[0]["cpu_us_per_packet"])


def main() -> int:
    """Returns the exit status."""
    chosen = arguments("bench_scale", __doc__)
    console = Console(width=None if sys.stdout.isatty() else 160)
    cases = tuple(Case(scenario=name) for name in SCENARIOS)
    plan = Plan(cases=cases, runs=3 if chosen.quick else 7, run_s=2.0, packets_s=PACKETS_S)
    ours = [each for each in prepare(console) if (each.name, each.path) == ("visiomedia", "thread")]
    benchmark = asyncio.run(run(plan, ours, console))
    show(console, benchmark.rows, benchmark.complaints)
    if benchmark.complaints:
        return 1
    console.print(f"1x1000 costs {growth(benchmark.rows):.2f} times as much a packet as 1x10")
    if chosen.json:
        write_json(chosen.json, benchmark.rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What the benchmarks of single stages share: arguments, a clock, a table, a file."""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine, write_json


def arguments(name: str, description: str | None) -> argparse.Namespace:
    """``quick`` and ``json``."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions: some seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser.parse_args()


class Stopwatch:
    """CPU of this thread by what it was spent on, and for how many packets: medians of ns a packet."""

    def __init__(self) -> None:
        self._ns: dict[str, list[float]] = {}

    def run(self, name: str, packets: int, function: Callable[..., Any], *given: Any) -> Any:
        """Call a function that works on so many packets."""
        began = time.thread_time_ns()
        result = function(*given)
        spent = time.thread_time_ns() - began
        if packets > 0:
            self._ns.setdefault(name, []).append(spent / packets)
        return result

    def medians(self) -> dict[str, float]:
        """ns a packet, by name."""
        return {name: statistics.median(values) for name, values in self._ns.items()}


def report(title: str, rows: Sequence[dict[str, Any]], to: Path | None, *, note: str = "") -> None:
    """Print rows that share their keys, and write them."""
    table = Table(title=f"{title}\n{describe_machine()}", caption=note or None)
    for key in rows[0]:
        table.add_column(key.replace("_", " "), justify="left" if isinstance(rows[0][key], str) else "right")
    for row in rows:
        table.add_row(*(f"{value:,}" if isinstance(value, int | float) else str(value) for value in row.values()))
    Console(width=140).print(table)
    if to is not None:
        write_json(to, rows)


def rounded(value: float) -> float:
    """Three figures are what a shared machine gives."""
    return round(value, 1) if value < 1000 else round(value)

"""Two runs of a benchmark against each other: what became worse beyond a threshold.

    python -m benchmarks.compare before.json after.json

Ends with 1 where a figure became worse, a run became void, or a row of the first file is gone from the second.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VOID_LOSS = 0.001
"""The loss above which a run's figures mean nothing."""

CONDITIONS = (
    *("server", "path", "scenario", "burst", "profile", "packet_bytes", "receivers", "workers"),
    *("load_share", "joins_s"),
)
"""What a row was measured under: rows that agree in all of them, and nearly in their rate, are compared."""

SAME_RATE = 0.1
"""Rates are measured, never twice the same: those that differ by less than this share are one rate."""

LOWER_IS_BETTER = ("cpu_us_per_packet", "latency_p50_ms", "latency_p99_ms", "rss_mb", "cpu_ms_per_join")
HIGHER_IS_BETTER = ("packets_per_core_s", "joins_per_s")

Row = Mapping[str, Any]
Conditions = tuple[Any, ...]


@dataclass(frozen=True)
class Change:
    """One figure in both files; ``worse`` is the share by which it became worse, negative where it became better."""

    conditions: Conditions
    figure: str
    before: float
    after: float
    worse: float


@dataclass(frozen=True)
class Comparison:
    """All figures that stand in both files, and the rows that cannot be compared."""

    changes: list[Change]
    missing: list[Conditions]
    newly_void: list[Conditions]

    def regressions(self, threshold: float) -> list[Change]:
        """The figures that became worse by more than ``threshold``."""
        return [change for change in self.changes if change.worse > threshold]

    def passes(self, threshold: float) -> bool:
        """Whether something was compared, and nothing became worse, void or absent."""
        return bool(self.changes) and not (self.missing or self.newly_void or self.regressions(threshold))


def compare(before: Sequence[Row], after: Sequence[Row]) -> Comparison:
    """Compare rows measured under the same conditions; a row that was void before says nothing and is left out."""
    result = Comparison([], [], [])
    for old in before:
        conditions = _conditions(old)
        if _void(old):
            continue
        new = _counterpart(old, after)
        if new is None:
            result.missing.append(conditions)
        elif _void(new):
            result.newly_void.append(conditions)
        else:
            result.changes.extend(_changes(conditions, old, new))
    return result


def _counterpart(old: Row, after: Sequence[Row]) -> Row | None:
    """The row measured as ``old`` was, at the nearest rate; None where none is near."""
    rate = _rate(old)
    alike = [row for row in after if _settings(row) == _settings(old)]
    nearest = min(alike, key=lambda row: abs(_rate(row) - rate), default=None)
    if nearest is None or abs(_rate(nearest) - rate) > SAME_RATE * rate:
        return None
    return nearest


def _rate(row: Row) -> float:
    return float(row.get("packets_s") or 0.0)


def _settings(row: Row) -> Conditions:
    return tuple(row.get(name) for name in CONDITIONS)


def _conditions(row: Row) -> Conditions:
    rate = row.get("packets_s")
    return (*_settings(row), None if rate is None else f"{rate}/s")


def _void(row: Row) -> bool:
    return float(row.get("loss") or 0.0) > VOID_LOSS


def _changes(conditions: Conditions, old: Row, new: Row) -> list[Change]:
    changes = []
    for figure in (*LOWER_IS_BETTER, *HIGHER_IS_BETTER):
        before, after = old.get(figure), new.get(figure)
        if not before or not after:
            continue
        ratio = after / before if figure in LOWER_IS_BETTER else before / after
        changes.append(Change(conditions, figure, before, after, ratio - 1.0))
    return changes


def _name(conditions: Conditions) -> str:
    return " ".join(str(part) for part in conditions if part is not None)


def _rows(path: Path) -> list[Row]:
    rows: list[Row] = json.loads(path.read_text())["rows"]
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Print each figure's change; 0 where nothing became worse."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare", description=__doc__.partition("\n")[0] if __doc__ else None
    )
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--threshold", type=float, default=0.15, help="the share that counts as worse (0.15)")
    chosen = parser.parse_args(arguments)
    found = compare(_rows(chosen.before), _rows(chosen.after))
    for change in found.changes:
        mark = "WORSE " if change.worse > chosen.threshold else ""
        print(f"{mark}{_name(change.conditions)}: {change.figure} {change.before:g} -> {change.after:g}")
    for conditions in found.missing:
        print(f"MISSING {_name(conditions)}")
    for conditions in found.newly_void:
        print(f"VOID {_name(conditions)}: more than {VOID_LOSS:.1%} was lost")
    if not found.changes:
        print("Nothing could be compared.")
    return 0 if found.passes(chosen.threshold) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Ten minutes at half load, and a call under a flood: processes of their own, measured as the benchmarks do."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HALF_LOAD = 200_000
"""Forwarded packets a second, 25 people each to 24: the README of the benchmarks has what a core carries."""
MAY_GROW_MB = 5


def endure(tmp_path: Path, *arguments: str, patience: float) -> list[dict[str, Any]]:
    figures = tmp_path / "endurance.json"
    command = [sys.executable, "-m", "benchmarks.endurance", *arguments, f"--json={figures}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=patience)
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    return list(json.loads(figures.read_text())["rows"])


@pytest.mark.soak
@pytest.mark.timeout(1500)
def test_ten_minutes_at_half_load_lose_nothing_and_memory_stays_flat(tmp_path: Path) -> None:
    rows = endure(tmp_path, "--minutes=10", f"--packets-s={HALF_LOAD}", patience=1400)
    assert sum(row["packets"] for row in rows) > 0.95 * 600 * HALF_LOAD
    assert [row["lost"] for row in rows] == [0] * len(rows)
    assert not any(row["wrong"] for row in rows)
    after_a_minute = rows[2]["rss_mb"]
    assert max(row["rss_mb"] for row in rows[3:]) < after_a_minute + MAY_GROW_MB


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_flood_of_garbage_costs_a_running_call_next_to_nothing(tmp_path: Path) -> None:
    flooded = ("--scenario=1x10", "--packets-s=20000", "--flood=200000")
    rows = endure(tmp_path, "--minutes=0.67", *flooded, patience=250)
    assert sum(row["lost"] for row in rows) <= 0.01 * sum(row["packets"] for row in rows)
    assert not any(row["wrong"] for row in rows)

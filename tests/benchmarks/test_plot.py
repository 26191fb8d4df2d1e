"""The picture of a run of bench_forward."""

from pathlib import Path
from typing import Any

from benchmarks.plot import draw, lines

MACHINE = {"processor": "a processor", "cores": 2, "kernel": "Linux"}


def row(server: str, receivers: int, cost: float, **changed: Any) -> dict[str, Any]:
    usual = {"server": server, "path": "", "scenario": f"1x{receivers}", "receivers": receivers, "burst": 6}
    figures = {"cpu_us_per_packet": cost, "cpu_us_per_packet_least": cost - 1, "cpu_us_per_packet_most": cost + 1}
    return {**usual, "profile": "AEAD_AES_128_GCM", "packets_s": 20_000, **figures, **changed}


ROWS = [
    row("visiomedia", 100, 3.0),
    row("visiomedia", 10, 4.0),
    row("janus", 10, 12.0),
    row("visiomedia", 10, 9.0, burst=1),
    row("visiomedia", 10, 9.0, profile="AES128_CM_SHA1_80"),
    row("visiomedia", 10, 9.0, load_share=0.5),
    row("visiomedia", 24, 9.0, scenario="25x24"),
]


def test_a_line_holds_what_was_measured_alike() -> None:
    assert lines(ROWS) == {
        ("visiomedia", ""): [(10, 4.0, 3.0, 5.0), (100, 3.0, 2.0, 4.0)],
        ("janus", ""): [(10, 12.0, 11.0, 13.0)],
    }


def test_it_is_drawn(tmp_path: Path) -> None:
    picture = tmp_path / "forward.png"
    draw({"rows": ROWS, "machine": MACHINE}, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 10_000

"""A picture of a run of `bench_forward`: CPU a forwarded packet against receivers, a line for each server.

python -m benchmarks.plot forward.json forward.png
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")

from matplotlib import pyplot as plt  # the backend is chosen before

SIZE_INCHES, DPI = (8.0, 4.6), 110
STYLES = {"visiomedia": "-o", "livekit": "--s", "janus": ":^", "aiortc": "-.D"}
Point = tuple[int, float, float, float]
"""Receivers; µs of CPU a packet: median, least and most."""


def lines(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str], list[Point]]:
    """Points by server and path: one publisher, bursts of six, AES-GCM, at the common rate."""
    found: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for row in rows:
        is_common = row["burst"] == 6 and row["profile"].endswith("AES_128_GCM") and "load_share" not in row
        if is_common and row["scenario"].startswith("1x"):
            figures = (row["cpu_us_per_packet"], row["cpu_us_per_packet_least"], row["cpu_us_per_packet_most"])
            found[row["server"], row["path"]].append((row["receivers"], *figures))
    return {name: sorted(points) for name, points in found.items()}


def draw(content: dict[str, Any], picture: Path) -> None:
    """Write the PNG."""
    figure, axes = plt.subplots(figsize=SIZE_INCHES, dpi=DPI, layout="constrained")
    for (server, path), points in lines(content["rows"]).items():
        receivers, median, least, most = zip(*points, strict=True)
        below = [middle - low for middle, low in zip(median, least, strict=True)]
        above = [high - middle for high, middle in zip(most, median, strict=True)]
        label = f"{server} {path}".strip()
        axes.errorbar(receivers, median, yerr=[below, above], fmt=STYLES[server], label=label, capsize=3)
    axes.set_xscale("log")
    axes.set_yscale("log")
    ticks = sorted({point[0] for points in lines(content["rows"]).values() for point in points})
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_yticks([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"])
    axes.minorticks_off()
    axes.set_xlabel("receivers of one publisher")
    axes.set_ylabel("µs of CPU a forwarded packet (less is better)")
    rate = next(row["packets_s"] for row in content["rows"] if "load_share" not in row)
    machine = content["machine"]
    axes.set_title(
        f"Forwarding at {round(rate, -3):,} packets/s of 1200 bytes, bursts of 6, AES-128-GCM\n"
        f"{machine['processor']}, {machine['cores']} cores, {machine['kernel']}",
        fontsize=10,
    )
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=8, ncols=2)
    figure.savefig(picture)
    plt.close(figure)


def main() -> None:
    """From one file into another."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plot", description=__doc__)
    parser.add_argument("results", type=Path, help="what bench_forward --json wrote")
    parser.add_argument("picture", type=Path, help="the PNG to write")
    chosen = parser.parse_args()
    draw(json.loads(chosen.results.read_text()), chosen.picture)
    print(f"{chosen.picture}: {chosen.picture.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()

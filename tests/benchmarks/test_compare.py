"""Two runs of a benchmark against each other."""

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks.compare import main


def row(**changed: Any) -> dict[str, Any]:
    usual = {"server": "visiomedia", "path": "fast", "scenario": "1x100", "burst": 6, "packets_s": 20000}
    return {**usual, "cpu_us_per_packet": 2.0, "packets_per_core_s": 400000, "loss": 0.0, **changed}


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        pytest.param([row()], [row()], 0, id="the same"),
        pytest.param([row()], [row(cpu_us_per_packet=2.2)], 0, id="worse within the threshold"),
        pytest.param([row()], [row(cpu_us_per_packet=2.4)], 1, id="more CPU"),
        pytest.param([row()], [row(cpu_us_per_packet=1.0)], 0, id="less CPU"),
        pytest.param([row()], [row(packets_per_core_s=300000)], 1, id="fewer packets a core"),
        pytest.param([row()], [row(packets_per_core_s=500000)], 0, id="more packets a core"),
        pytest.param([row()], [row(loss=0.002)], 1, id="became void"),
        pytest.param([row(), row(burst=1, loss=0.002)], [row()], 0, id="was void before"),
        pytest.param([row(), row(burst=1)], [row()], 1, id="a row is gone"),
        pytest.param([row()], [row(), row(burst=1)], 0, id="a row is new"),
        pytest.param([row()], [row(packets_s=60000)], 1, id="another rate is not compared"),
        pytest.param([row()], [row(packets_s=19874)], 0, id="nearly the same rate"),
        pytest.param(
            [row(), row(packets_s=60000, cpu_us_per_packet=1.0)],
            [row(packets_s=60210, cpu_us_per_packet=1.0), row(packets_s=20013)],
            0,
            id="each rate with its own",
        ),
        pytest.param([], [row()], 1, id="nothing to compare"),
    ],
)
def test_status(before: list[Any], after: list[Any], status: int, tmp_path: Path) -> None:
    paths = tmp_path / "before.json", tmp_path / "after.json"
    for path, rows in zip(paths, (before, after), strict=True):
        path.write_text(json.dumps({"commit": "", "machine": {}, "rows": rows}))
    assert main([str(path) for path in paths]) == status

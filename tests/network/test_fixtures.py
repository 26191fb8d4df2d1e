"""The fixtures of conftest.py catch what they are for: shown on test files run by a pytest of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BLOCKS = "time.sleep(0.001)"
READS_A_FILE = "open('/etc/hostname').read()"
RAISES_IN_A_CALLBACK = "asyncio.get_running_loop().call_soon(int, 'one'); await asyncio.sleep(0)"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (BLOCKS, "Blocking call to time.sleep"),
        (READS_A_FILE, "Blocking call to"),
        (RAISES_IN_A_CALLBACK, "an exception reached the event loop"),
    ],
)
def test_a_test_that_harms_the_loop_fails(tmp_path: Path, body: str, complaint: str) -> None:
    result = run_pytest(tmp_path, f"import asyncio, time\nasync def test_it():\n    {body}\n")
    assert result.returncode == 1
    assert complaint in result.stdout


def test_a_test_without_a_loop_may_block(tmp_path: Path) -> None:
    assert run_pytest(tmp_path, f"import time\ndef test_it():\n    {BLOCKS}\n").returncode == 0


def test_random_examples_are_the_same_on_every_run(tmp_path: Path) -> None:
    source = (
        "from hypothesis import given, strategies\n@given(strategies.binary())\n"
        "def test_it(data):\n    print(data)\n    assert len(data) < 9\n"
    )
    outputs = [run_pytest(tmp_path, source).stdout for _ in range(2)]
    first, second = (output.partition("FAILURES")[2].partition("short test summary")[0] for output in outputs)
    assert "assert 9 < 9" in first
    assert first == second


def run_pytest(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    """Run one test file under this project's conftest and settings."""
    file = folder / "test_sample.py"
    file.write_text(source)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", str(ROOT / "pyproject.toml")]
    command += ["--rootdir", str(ROOT), "-p", "no:cacheprovider", str(file)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)

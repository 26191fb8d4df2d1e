"""What the README promises: its example runs as printed, and CI runs its command."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()

FENCE = re.compile(r"^```python\n# example\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LONGEST_EXAMPLE = 12
"""Lines with something on them: ten, and room for a comment."""

PATIENCE = 45.0
"""Seconds, with kernels compiled."""


def example() -> str:
    """The README's one library example.

    Raises:
        AssertionError: there is not exactly one, or it is empty.
    """
    found: list[str] = FENCE.findall(README)
    assert len(found) == 1, "README.md has one fenced python block that begins with the line '# example'"
    assert found[0].strip(), "the example in README.md is empty"
    return found[0]


def test_the_example_is_about_ten_lines() -> None:
    assert sum(1 for line in example().splitlines() if line.strip()) <= LONGEST_EXAMPLE


def test_the_example_runs_as_printed_and_ends(tmp_path: Path) -> None:
    file = tmp_path / "example.py"
    file.write_text(example())
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    try:
        result = subprocess.run(
            [sys.executable, str(file)],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        pytest.fail(f"the example did not end within {late.timeout} s; it had printed {late.stdout!r}")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""


def test_ci_runs_the_command_that_the_readme_names() -> None:
    assert re.search(r"^make test\b", README, re.MULTILINE)
    assert re.search(r"^make test$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "benchmarks/README.md"])
def test_links_between_pages_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    targets = [target for target in re.findall(r"\]\(([^)#:]+)\)", text) if target]
    missing = [target for target in targets if not ((ROOT / page).parent / target).exists()]
    assert missing == []

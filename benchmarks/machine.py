"""The machine that a benchmark ran on, and the JSON file that its figures go to."""

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from visiomedia.jit import running_python


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def machine() -> dict[str, Any]:
    """Processor, cores, kernel and interpreter."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": running_python(),
    }


def describe_machine() -> str:
    """The same in one line, for a table's header."""
    here = machine()
    return f"{here['processor']}, {here['cores']} cores, {here['kernel']}, {here['python']}"


def commit() -> str:
    """The commit that was measured, marked where the tree differs from it; empty outside a repository."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def write_json(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write a benchmark's rows beside commit and machine."""
    content = {"commit": commit(), "machine": machine(), "rows": list(rows)}
    path.write_text(json.dumps(content, indent=2) + "\n")

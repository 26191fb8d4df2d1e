"""An example run as a newcomer runs it: a process of its own, on its own ports."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def running_example(name: str) -> AsyncIterator[str]:
    """Start ``examples/NAME.py`` and wait for the address it prints; stop it by interrupt, and expect a clean end."""
    async with running_program(ROOT / "examples" / f"{name}.py", "open ") as url:
        yield url


@asynccontextmanager
async def running_program(file: Path, before_address: str) -> AsyncIterator[str]:
    """The same with any program, which prints its address after some words."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(file),
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None, "both are pipes"
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
        if not line.startswith(f"{before_address}http://"):
            raise AssertionError(f"{file.name} did not start:\n{(await process.stderr.read()).decode()}")
        yield line.removeprefix(before_address).split()[0]
    finally:
        if process.returncode is None:
            process.send_signal(2)
        _, errors = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0, errors.decode()
    assert errors == b"", errors.decode()

"""A server in a process of its own, told what to do by lines of JSON, and payloads that tell their number."""

import asyncio
import json
import sys
from typing import Any, Self


class ServerProcess:
    """A server in a process of its own, told what to do by lines of JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start_module(cls, module: str, *arguments: str) -> Self:
        """Start a module that serves, and wait until it says that it listens."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 20,
        )
        server = cls(process)
        await server._reply()
        return server

    async def ask(self, do: str, **values: Any) -> dict[str, Any]:
        """One request and its reply."""
        assert self._process.stdin is not None, "started with a pipe"
        self._process.stdin.write(json.dumps({"do": do, **values}).encode() + b"\n")
        await self._process.stdin.drain()
        return await self._reply()

    async def _reply(self) -> dict[str, Any]:
        assert self._process.stdout is not None, "started with a pipe"
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server ended with status {await self._process.wait()}")
        reply: dict[str, Any] = json.loads(line)
        return reply

    async def stop(self) -> None:
        """End its input, which ends it."""
        assert self._process.stdin is not None, "started with a pipe"
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 10)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


def body(number: int, length: int) -> bytes:
    """A payload that tells its number at both ends."""
    mark = number.to_bytes(8, "big")
    return mark + bytes([number & 0xFF]) * (length - 16) + mark

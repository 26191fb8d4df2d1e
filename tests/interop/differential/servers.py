"""The two servers that a session is played against, each a process in the test's own network."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp

ADDRESS = "10.99.9.1"
PATIENCE = 20.0


@contextmanager
def interface() -> Iterator[None]:
    """An interface besides loopback, both ends of it in here: the SDK's native library gathers on no other."""
    for command in (
        "link add v0 type veth peer name v1",
        f"addr add {ADDRESS}/24 dev v0",
        "link set v0 up",
        "link set v1 up",
        "route add default via 10.99.9.254",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    try:
        yield
    finally:
        subprocess.run(["ip", "link", "del", "v0"], check=True)


@asynccontextmanager
async def livekit(binary: Path) -> AsyncIterator[str]:
    """LiveKit's server with the known key; its address."""
    command = [str(binary), "--dev", "--bind", "0.0.0.0", "--node-ip", ADDRESS]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = "http://127.0.0.1:7880"
    try:
        async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(url) as answer:
                        if answer.status == 200:
                            break
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.1)
        yield url
    finally:
        process.kill()
        await process.wait()

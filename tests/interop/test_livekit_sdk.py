"""Two programs with the unmodified LiveKit SDK meet on the node: pictures, sound, data, and what people do."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.browser.server import ROOT
from tests.interop.livekit_program import COLOUR, HEIGHT, TONE, WIDTH
from visiomedia.conference.grants import Grants
from visiomedia.livekit.tokens import grants_claim, sign

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

URL = "http://127.0.0.1:7880"


@pytest.fixture
def interface() -> Iterator[None]:
    """An interface besides loopback, both ends of it in here: the SDK's native library gathers on no other."""
    for command in (
        "link add v0 type veth peer name v1",
        "addr add 10.99.9.1/24 dev v0",
        "link set v0 up",
        "link set v1 up",
        "route add default via 10.99.9.254",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    yield
    subprocess.run(["ip", "link", "del", "v0"], check=True)


def token(identity: str, *, room: str = "assembly") -> str:
    """Of the node's own --dev keys."""
    grants = grants_claim(Grants(room=room, room_join=True))
    return sign({"iss": "devkey", "sub": identity, "exp": int(time.time()) + 600, "video": grants}, "secret")


@asynccontextmanager
async def node() -> AsyncIterator[None]:
    """The node as ``make serve`` starts it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "examples.conference", "--dev", cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    said = b""
    try:
        async with asyncio.timeout(60):
            while b"ready" not in said:
                line = await process.stdout.readline()
                assert line, said.decode()
                said += line
        yield
    finally:
        process.terminate()
        rest, _ = await asyncio.wait_for(process.communicate(), 20)
        print(rest.decode())
    assert process.returncode == 0, (said + rest).decode()
    assert b"Traceback" not in rest and b"ERROR" not in rest, rest.decode()


class Program:
    """One process with the SDK; ``events`` is what it has told and nobody has asked for yet."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.events: list[dict[str, Any]] = []

    @classmethod
    @asynccontextmanager
    async def start(cls) -> AsyncIterator["Program"]:
        """Run it; it ends with the context."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.interop.livekit_program",
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        program = cls(process)
        try:
            yield program
        finally:
            process.kill()
            await process.communicate()

    async def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None and self._process.stderr is not None
        line = await self._process.stdout.readline()
        if not line:
            raise AssertionError(f"the SDK's process has ended: {(await self._process.stderr.read()).decode()}")
        message: dict[str, Any] = json.loads(line)
        return message

    async def do(self, action: str, **values: Any) -> None:
        """Have it do something, and wait until it is done."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": action, **values}).encode() + b"\n")
        async with asyncio.timeout(30):
            while (message := await self._read()).get("done") != action:
                self.events.append(message)
        assert "error" not in message, message

    async def sees(self, event: str, matches: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """The next event of a kind, and all before it, are taken."""
        try:
            async with asyncio.timeout(20):
                while True:
                    message = self.events.pop(0) if self.events else await self._read()
                    if message["event"] == event and matches(message):
                        return message
        except TimeoutError:
            raise AssertionError(f"no {event}") from None


def is_the_picture(event: dict[str, Any]) -> bool:
    near = all(abs(seen - sent) < 12 for seen, sent in zip(event["colour"], COLOUR, strict=True))
    return near and (event["width"], event["height"]) == (WIDTH, HEIGHT)


@pytest.mark.usefixtures("interface")
async def test_two_programs_see_hear_and_tell_each_other() -> None:
    async with node(), Program.start() as alice, Program.start() as bob, Program.start() as carol:
        await bob.do("connect", url=URL, token=token("bob"))
        await carol.do("connect", url=URL, token=token("carol"))
        await alice.do("connect", url=URL, token=token("alice"))
        await bob.sees("joined", lambda event: event["identity"] == "alice")
        await alice.do("publish")
        await bob.sees("picture", is_the_picture)
        await bob.sees("sound", lambda event: abs(event["frequency"] - TONE) < 5 and event["level"] > 3000)

        await alice.do("data", text="to all", reliable=True)
        for other in (bob, carol):
            heard = await other.sees("data")
            assert heard == {"event": "data", "text": "to all", "sender": "alice", "reliable": True}
        await bob.do("data", text="to one", reliable=False, to=["alice"])
        await bob.do("data", text="again to all", reliable=True)
        told = [await alice.sees("data") for _ in range(2)]
        assert {each["text"] for each in told} == {"to one", "again to all"}
        assert (await carol.sees("data"))["text"] == "again to all", "what was for alice alone came to nobody else"

        await alice.do("mute", kind="video")
        await bob.sees("muted", lambda event: event["identity"] == "alice")
        await alice.do("unmute", kind="video")
        await bob.sees("unmuted")
        await bob.sees("picture", is_the_picture)
        await alice.do("unpublish", kind="video")
        await bob.sees("unpublished", lambda event: event["identity"] == "alice")
        await alice.do("leave")
        await bob.sees("left", lambda event: event["identity"] == "alice")
        async with Program.start() as returned:
            await returned.do("connect", url=URL, token=token("alice"))
            await bob.sees("joined", lambda event: event["identity"] == "alice")
            await returned.do("publish")
            await bob.sees("picture", is_the_picture)
            await carol.sees("sound", lambda event: abs(event["frequency"] - TONE) < 5)


@pytest.mark.usefixtures("interface")
async def test_who_comes_twice_puts_the_first_out() -> None:
    async with node(), Program.start() as first, Program.start() as second:
        await first.do("connect", url=URL, token=token("alice"))
        await second.do("connect", url=URL, token=token("alice"))
        assert (await first.sees("disconnected"))["reason"] == 2, "DUPLICATE_IDENTITY"

"""The load of ``bench_forward``: a server process, one publisher and its watchers, all real WebRTC clients."""

import asyncio
import json
import sys
from dataclasses import dataclass
from typing import Any, Self

from benchmarks.clients import OfferedSection, ScriptedClient, video_section
from visiomedia.errors import ParseError
from visiomedia.rtp.packet import HEADER, RtpPacket
from visiomedia.turns import Way

PACKET_BYTES = 1200
BURST = 6
CLOCK_RATE = 90_000
SAMPLED = 50
"""One packet in so many is opened and compared with what was sent."""

PUBLISHED_SSRC = 0x51DE0
PAYLOAD_TYPE = 96
ONE_BYTE_HEADERS = 0xBEDE
TRANSPORT_SEQUENCE_NUMBER_ID = 3
VP8_FIRST_OF_FRAME = 0x10
VP8_INTER_FRAME = 0x01


class ServerProcess:
    """A server in a process of its own, told what to do by lines of JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, core: int, *, way: Way) -> Self:
        """Start the measured one on a core, and wait until it listens."""
        return await cls.start_module("benchmarks.forward_server", "--core", str(core), "--way", way)

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


class Publisher(ScriptedClient):
    """Sends frames of a burst each: a key frame when it is asked for one, inter frames else."""

    def __init__(self) -> None:
        super().__init__([video_section("sendonly")], on_rtcp=self._hear)
        self._number = 0
        self._wants_key_frame = True

    def _hear(self, compound: bytes) -> None:
        # RFC 4585 section 6.3.1: payload-specific feedback (206) of format 1 is a PLI.
        at = 0
        while at + 4 <= len(compound):
            if compound[at] & 0x1F == 1 and compound[at + 1] == 206:
                self._wants_key_frame = True
            at += 4 * (int.from_bytes(compound[at + 2 : at + 4], "big") + 1)

    def packet(self, number: int, frame: int, *, is_first: bool, is_last: bool, is_key_frame: bool) -> RtpPacket:
        """One packet of ``PACKET_BYTES`` whose payload follows from its number."""
        element = bytes([TRANSPORT_SEQUENCE_NUMBER_ID << 4 | 1]) + (number & 0xFFFF).to_bytes(2, "big") + b"\0"
        descriptor = VP8_FIRST_OF_FRAME if is_first else 0
        frame_byte = 0 if is_key_frame else VP8_INTER_FRAME
        head = bytes([descriptor, frame_byte])
        room = PACKET_BYTES - HEADER.size - 4 - len(element) - len(head)
        return RtpPacket(
            payload_type=PAYLOAD_TYPE,
            sequence_number=number & 0xFFFF,
            timestamp=frame * CLOCK_RATE // 30 & 0xFFFFFFFF,
            ssrc=PUBLISHED_SSRC,
            payload=head + body(number, room),
            marker=is_last,
            extension_profile=ONE_BYTE_HEADERS,
            extension_data=element,
        )

    def send_frame(self, burst: int) -> None:
        """Seal a frame's packets, then send them one right behind the other."""
        assert self._session is not None, "connect first"
        is_key_frame, self._wants_key_frame = self._wants_key_frame, False
        frame = self._number // burst
        sealed = []
        for place in range(burst):
            packet = self.packet(
                self._number,
                frame,
                is_first=place == 0,
                is_last=place + 1 == burst,
                is_key_frame=is_key_frame,
            )
            sealed.append(self._session.protect(packet.serialize()))
            self._number += 1
        for data in sealed:
            self.send_raw(data)


def body(number: int, length: int) -> bytes:
    """A payload that tells its number at both ends."""
    mark = number.to_bytes(8, "big")
    return mark + bytes([number & 0xFF]) * (length - 16) + mark


class Watcher(ScriptedClient):
    """Counts what comes, and opens a sample to see that it is what was published."""

    def __init__(self, sections: list[OfferedSection] | None = None) -> None:
        super().__init__(sections or [video_section("recvonly")], on_rtp=self._judge, opens_one_in=SAMPLED)
        self.proven = 0
        self.wrong = 0

    def _judge(self, clear: bytes) -> None:
        try:
            packet = RtpPacket.parse(clear)
        except ParseError:
            self.wrong += 1
            return
        content = packet.payload[2:]
        is_right = len(content) > 16 and content == body(int.from_bytes(content[:8], "big"), len(content))
        self.proven += is_right
        self.wrong += not is_right


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One run. ``sent``: what should have reached the watchers together; ``cpu_s``: the server's own."""

    sent: int
    received: int
    wrong: int
    seconds: float
    cpu_s: float
    rss_mb: float
    drops: dict[str, int]

    @property
    def loss(self) -> float:
        """Share of the packets that did not reach a watcher."""
        return 1 - self.received / self.sent

    @property
    def cpu_us_per_packet(self) -> float:
        """Microseconds of the server's CPU for each packet that left and arrived."""
        return self.cpu_s * 1e6 / max(self.received, 1)

    @property
    def packets_s(self) -> float:
        """Forwarded packets a second that were offered."""
        return self.sent / self.seconds


class Room:
    """One server with a publisher and its watchers, connected."""

    def __init__(self, server: ServerProcess, publisher: Publisher) -> None:
        self.server, self.publisher = server, publisher
        self.watchers: list[Watcher] = []

    @classmethod
    async def open(cls, core: int, watchers: int, *, way: Way) -> Self:
        """Start a server and connect everybody, one after another: the server limits handshakes of one host."""
        server = await ServerProcess.start(core, way=way)
        room = cls(server, Publisher())
        await room._connect(room.publisher, "publish")
        for _ in range(watchers):
            watcher = Watcher()
            await room._connect(watcher, "watch")
            room.watchers.append(watcher)
        return room

    async def _connect(self, client: ScriptedClient, do: str) -> None:
        await client.open()
        reply = await self.server.ask(do, offer=client.offer())
        client.accept(reply["answer"])
        await asyncio.wait_for(asyncio.shield(client.connected), 20)

    async def run(self, frames: int, interval: float, burst: int) -> Measurement:
        """Publish frames at a steady pace; what was sent, what came, and what it cost the server."""
        loop = asyncio.get_running_loop()
        before = await self.server.ask("usage")
        received, wrong = self._received(), self._wrong()
        start = loop.time()
        for frame in range(frames):
            await asyncio.sleep(start + frame * interval - loop.time())
            self.publisher.send_frame(burst)
        await asyncio.sleep(start + frames * interval - loop.time())
        await self._settle()
        after = await self.server.ask("usage")
        return Measurement(
            sent=frames * burst * len(self.watchers),
            received=self._received() - received,
            wrong=self._wrong() - wrong,
            seconds=frames * interval,
            cpu_s=after["cpu_s"] - before["cpu_s"],
            rss_mb=after["rss_mb"],
            drops=after["drops"],
        )

    async def _settle(self) -> None:
        """Wait until nothing more comes, a second at most."""
        seen = -1
        for _ in range(20):
            await asyncio.sleep(0.05)
            before, seen = seen, self._received()
            if seen == before:
                return

    def _received(self) -> int:
        return sum(watcher.counters.packets for watcher in self.watchers)

    def _wrong(self) -> int:
        return sum(watcher.wrong + watcher.counters.refused for watcher in self.watchers)

    @property
    def proven(self) -> int:
        """Packets that were opened and found to be what was published."""
        return sum(watcher.proven for watcher in self.watchers)

    @property
    def profile(self) -> str:
        """The protection profile that was negotiated."""
        return self.publisher.connected.result().profile.name

    async def close(self) -> None:
        """Say goodbye and end the server."""
        for client in (*self.watchers, self.publisher):
            client.close()
        await self.server.stop()

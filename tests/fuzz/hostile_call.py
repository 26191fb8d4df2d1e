"""The call of ``test_hostile``: somebody publishes and somebody watches, while strangers and one who was let in attack.

What is hostile is made and sealed before it is sent, so that a flood's pace is that of the socket.
"""

import asyncio
import itertools
import random
import socket
from collections import Counter
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

from benchmarks.clients import ScriptedClient, audio_section, video_section

from tests.fuzz.hostile_input import AUDIO, CONTESTED, HostilePeer, attacker_sections, from_outside
from tests.fuzz.sealing import Sealer
from tests.fuzz.server_process import ServerProcess, body
from visiomedia.rtp.extensions import parse_extensions
from visiomedia.rtp.packet import RtpPacket

STRANGERS = 16
"""Sockets of those who were not let in."""

TICK = 0.002
CATCH_UP = 4
"""After a stall a tick sends at most so many times its share: a burst beyond measure is not the pace that was asked."""

AUDIO_SSRC, VIDEO_SSRC = 0xA0D10, 0x51DE0
VIDEO = 96
FRAME_PACKETS = 4
VIDEO_BYTES, AUDIO_BYTES = 1000, 80


class Publisher(ScriptedClient):
    """Speaks 50 times a second and shows 30 frames of four packets, each packet told apart by its payload."""

    def __init__(self) -> None:
        super().__init__([audio_section("sendonly"), video_section("sendonly")])
        self.published: Counter[int] = Counter()
        """Packets by payload type: their payloads are ``body`` of 0, 1, 2 …"""

    async def publish(self) -> None:
        """Until cancelled: 5 packets of audio and 3 frames in every 100 ms, spread over it."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        moments = sorted([(place / 50, AUDIO) for place in range(5)] + [(place / 30, VIDEO) for place in range(3)])
        for turn in itertools.count():
            for moment, payload_type in moments:
                await asyncio.sleep(max(0.0, start + turn / 10 + moment - loop.time()))
                if payload_type == AUDIO:
                    self._send(AUDIO, AUDIO_SSRC, self.published[AUDIO] * 960, AUDIO_BYTES)
                else:
                    self._send_frame()

    def _send_frame(self) -> None:
        frame = self.published[VIDEO] // FRAME_PACKETS
        for place in range(FRAME_PACKETS):
            # A key frame a second, asked for or not (RFC 7741 section 4.3: its P bit is 0).
            descriptor = bytes([0x10 if place == 0 else 0, frame % 30 != 0])
            self._send(VIDEO, VIDEO_SSRC, frame * 3000, VIDEO_BYTES, descriptor, marker=place + 1 == FRAME_PACKETS)

    def _send(
        self, payload_type: int, ssrc: int, timestamp: int, length: int, head: bytes = b"", marker: bool = False
    ) -> None:
        number = self.published[payload_type]
        self.published[payload_type] += 1
        packet = RtpPacket(
            payload_type=payload_type,
            sequence_number=number & 0xFFFF,
            timestamp=timestamp & 0xFFFFFFFF,
            ssrc=ssrc,
            payload=head + body(number, length),
            marker=marker,
        )
        self.send_rtp(packet.serialize())


class Watcher(ScriptedClient):
    """Notes which packets came, in their order; it asks for nothing a second time."""

    def __init__(self) -> None:
        super().__init__([audio_section("recvonly"), video_section("recvonly")], on_rtp=self._note)
        self.seen: dict[int, list[int]] = {AUDIO: [], VIDEO: []}
        self.both_seen = asyncio.Event()
        self.strange = 0
        """Packets that are not what was published, or came as repairs that nobody asked for."""

    def _note(self, clear: bytes) -> None:
        packet = RtpPacket.parse(clear)
        content = packet.payload[2:] if packet.payload_type == VIDEO else packet.payload
        number = int.from_bytes(content[:8], "big")
        if packet.payload_type in self.seen and content == body(number, len(content)):
            self.seen[packet.payload_type].append(number)
            if all(self.seen.values()):
                self.both_seen.set()
        else:
            self.strange += 1


class Audience(ScriptedClient):
    """Is sent what the attacker publishes: whatever that is, it must come as RTP that can be opened and parsed."""

    def __init__(self) -> None:
        sections = [replace(section, direction="recvonly") for section in attacker_sections()[: CONTESTED + 1]]
        super().__init__(sections, on_rtp=self._parse)
        self.parsed = 0

    def _parse(self, clear: bytes) -> None:
        packet = RtpPacket.parse(clear)
        if packet.extension_profile is not None:
            parse_extensions(packet.extension_profile, packet.extension_data)
        self.parsed += 1


@dataclass
class Call:
    """Four clients of one attacked server, and strangers around it. ``async with`` ends all of it."""

    server: ServerProcess
    publisher: Publisher = field(default_factory=Publisher)
    watcher: Watcher = field(default_factory=Watcher)
    attacker: ScriptedClient = field(default_factory=lambda: ScriptedClient(attacker_sections(), opens_one_in=1 << 30))
    audience: Audience = field(default_factory=Audience)
    strangers: list[socket.socket] = field(default_factory=list)
    sent_by_strangers: int = 0

    @classmethod
    async def open(cls) -> Self:
        """Start the server and connect everybody."""
        call = cls(await ServerProcess.start_module("tests.fuzz.attacked_server"))
        await call._join(call.publisher, "publisher", "")
        await call._join(call.watcher, "watcher", "publisher")
        await call._join(call.attacker, "attacker", "publisher")
        await call._join(call.audience, "audience", "attacker")
        for _ in range(STRANGERS):
            stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            stranger.bind(("127.0.0.1", 0))
            stranger.setblocking(False)
            call.strangers.append(stranger)
        return call

    async def _join(self, client: ScriptedClient, name: str, watches: str) -> None:
        await client.open()
        reply = await self.server.ask("join", name=name, watches=watches, offer=client.offer())
        client.accept(reply["answer"])
        await asyncio.wait_for(asyncio.shield(client.connected), 20)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for client in self.clients:
            client.close()
        for stranger in self.strangers:
            stranger.close()
        await self.server.stop()

    @property
    def clients(self) -> tuple[ScriptedClient, ...]:
        """Everybody who was let in."""
        return self.publisher, self.watcher, self.attacker, self.audience

    @property
    def sent(self) -> int:
        """Datagrams that everybody has sent to the server so far."""
        return self.sent_by_strangers + sum(client.counters.sent for client in self.clients)

    # --- the attack ---------------------------------------------------------------------------------------------

    async def make_flood(self, seed: int, datagrams: int) -> list[tuple[bytes, bytes]]:
        """As many hostile datagrams, in pairs: one of the peer that was let in, sealed, and one of a stranger.

        Of the peer's, a third are RTCP. Nothing blocks for long: the clients keep their consent alive meanwhile.
        """
        rng = random.Random(seed)
        usernames = []
        for client in self.clients:
            assert client.answer is not None, "connected"
            usernames.append(f"{client.answer.ufrag}:{client.local.ufrag}")
        assert self.attacker.answer is not None, "connected"
        watched = [ssrc for mid in self.attacker.answer.ssrcs.values() for ssrc in mid]
        hostile, sealer = HostilePeer(rng, watched), Sealer(self.attacker.connected.result())
        pairs = []
        for number in range(datagrams // 2):
            sealed = sealer.seal_rtcp(hostile.rtcp()) if number % 3 == 0 else sealer.seal(hostile.rtp())
            pairs.append((sealed, from_outside(rng, usernames)))
            if number % 200 == 0:
                await asyncio.sleep(0)
        return pairs

    async def send_flood(self, pairs: list[tuple[bytes, bytes]], rate: int) -> float:
        """Send it, ``rate`` datagrams a second; returns the seconds it took."""
        loop = asyncio.get_running_loop()
        start, done = loop.time(), 0
        while done < len(pairs):
            due = int((loop.time() - start) * rate / 2) + 1
            share = max(1, int(rate / 2 * TICK * CATCH_UP))
            for sealed, foreign in pairs[done : min(due, done + share)]:
                self.attacker.send_raw(sealed)
                self._send_foreign(foreign)
                done += 1
            await asyncio.sleep(TICK)
        return loop.time() - start

    def _send_foreign(self, data: bytes) -> None:
        assert self.attacker.answer is not None, "connected"
        stranger = self.strangers[self.sent_by_strangers % len(self.strangers)]
        stranger.sendto(data, (self.attacker.answer.host, self.attacker.answer.port))
        self.sent_by_strangers += 1

    # --- the account --------------------------------------------------------------------------------------------

    async def settled_report(self) -> dict[str, Any]:
        """What the server says of itself once it has taken in all that was sent to it."""
        for _ in range(50):
            sent = self.sent
            report = await self.server.ask("report")
            taken = report["received"] + report["dropped_by_kernel"]
            if taken == sent == self.sent and report["waiting"] == 0:
                break
            await asyncio.sleep(0.1)
        return report | {"sent": sent}

"""The load: rooms of publishers and receivers on one server, packets sent on time, and what became of them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import numpy as np
from numpy.typing import NDArray

from benchmarks import janus_client, livekit_client, traffic
from benchmarks.clients import OfferedSection, ScriptedClient, audio_section, video_section
from benchmarks.media import AUDIO_CLOCK, FIRST_SSRC, VIDEO_CLOCK, Stream, judge
from benchmarks.network import ADDRESS
from benchmarks.scenarios import Frame, Scenario, schedule
from benchmarks.servers import Server
from visiomedia.errors import AuthenticationError, ParseError
from visiomedia.rtp.packet import RtpPacket
from visiomedia.srtp.profiles import ProtectionProfile

SAMPLED = 47
"""One packet in so many is opened and compared with what was sent: a prime, so that no receiver is left out."""

TOGETHER = 20
"""So many join at once."""

LEAD_IN_S = 0.5
"""What is sent before a run and not counted: who was paused begins again with a key frame."""

FIRST_PICTURE_S = 20.0
"""How long everybody's first packets may take."""

VISITOR = audio_section("sendonly", ssrc=1, msid="visitor")
LOBBY = 4999

Publish = Callable[[ScriptedClient, int], None]
"""A publisher and its number among all of them: it begins to send."""


class Session(Protocol):
    """How participants come to one server."""

    async def fill(self, room: int, scenario: Scenario, publish: Publish) -> list[ScriptedClient]:
        """Make a room and everybody in it; returns its receivers. ``publish`` is told each publisher at once."""

    async def visit(self) -> None:
        """One comes into a room where nobody else receives anything, connects as a publisher, and leaves."""

    async def close(self) -> None:
        """Let everybody go."""


def section(scenario: Scenario, number: int) -> OfferedSection:
    """What publisher ``number`` of all offers to send."""
    ssrc, msid = FIRST_SSRC + number, f"track{number}"
    if scenario.audio:
        return audio_section("sendonly", ssrc=ssrc, msid=msid)
    return video_section("sendonly", ssrc=ssrc, msid=msid)


class LiveKitSession:
    """Participants of a server that speaks LiveKit's protocol."""

    def __init__(self, url: str, profile: ProtectionProfile) -> None:
        self._http = aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0))
        self._profile = profile
        self.visits = 0
        self.people: list[livekit_client.Participant] = []

    def _person(self, identity: str, room: int) -> livekit_client.Participant:
        self.people.append(livekit_client.Participant(self._http, identity, f"room{room}", profile=self._profile))
        return self.people[-1]

    async def fill(self, room: int, scenario: Scenario, publish: Publish) -> list[ScriptedClient]:
        """See ``Session``."""
        receivers: list[ScriptedClient] = []
        own = []
        for number in range(scenario.publishers):
            person = self._person(f"p{number}", room)
            own.append(person)
            await person.join()
            number_of_all = room * scenario.publishers + number
            publish(await person.publish([section(scenario, number_of_all)]), number_of_all)
        if scenario.publishers_receive:
            receivers += await asyncio.gather(*(person.receive(scenario.publishers - 1) for person in own))
        for first in range(0, scenario.watchers, TOGETHER):
            numbers = range(first, min(first + TOGETHER, scenario.watchers))
            watchers = [self._person(f"w{number}", room) for number in numbers]
            await asyncio.gather(*(watcher.join() for watcher in watchers))
            receivers += await asyncio.gather(*(watcher.receive(scenario.publishers) for watcher in watchers))
        return receivers

    async def visit(self) -> None:
        """See ``Session``."""
        self.visits += 1
        person = livekit_client.Participant(self._http, f"v{self.visits}", "lobby", profile=self._profile)
        try:
            await person.join()
            await person.publish([VISITOR])
        finally:
            await person.close()

    async def close(self) -> None:
        """See ``Session``."""
        await asyncio.gather(*(person.close() for person in self.people), return_exceptions=True)
        await self._http.close()


class JanusSession:
    """Participants of Janus."""

    def __init__(self, url: str, profile: ProtectionProfile) -> None:
        self._http = aiohttp.ClientSession()
        self._janus = janus_client.JanusSession(self._http, url)
        self._profile = profile
        self._is_open = False
        self.visits = 0
        self.people: list[janus_client.Participant] = []

    def _person(self, room: int) -> janus_client.Participant:
        self.people.append(janus_client.Participant(self._janus, room, profile=self._profile))
        return self.people[-1]

    async def _open(self) -> None:
        if not self._is_open:
            await self._janus.open()
            self._is_open = True

    async def fill(self, room: int, scenario: Scenario, publish: Publish) -> list[ScriptedClient]:
        """See ``Session``."""
        await self._open()
        receivers: list[ScriptedClient] = []
        name = 5000 + room
        await janus_client.create_room(self._janus, name)
        own = []
        for number in range(scenario.publishers):
            own.append(self._person(name))
            number_of_all = room * scenario.publishers + number
            publish(await own[-1].publish([section(scenario, number_of_all)]), number_of_all)
        feeds = [person.feed for person in own]
        if scenario.publishers_receive:
            for person in own:
                receivers.append(await person.receive([feed for feed in feeds if feed != person.feed]))
        for first in range(0, scenario.watchers, TOGETHER):
            watchers = [self._person(name) for _ in range(first, min(first + TOGETHER, scenario.watchers))]
            receivers += await asyncio.gather(*(watcher.receive(feeds) for watcher in watchers))
        return receivers

    async def visit(self) -> None:
        """See ``Session``."""
        await self._open()
        if not self.visits:
            await janus_client.create_room(self._janus, LOBBY)
        self.visits += 1
        person = janus_client.Participant(self._janus, LOBBY, profile=self._profile)
        try:
            await person.publish([VISITOR])
        finally:
            await person.close()

    async def close(self) -> None:
        """See ``Session``."""
        for person in self.people:
            await person.close()
        await self._janus.close()
        await self._http.close()


class AiortcSession:
    """Participants of the rooms that aiortc forwards in."""

    def __init__(self, url: str, profile: ProtectionProfile) -> None:
        self._http = aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0))
        self._profile = profile
        self._people: list[ScriptedClient] = []
        self.visits = 0

    async def _connect(self, path: str, sections: list[OfferedSection], **query: int) -> ScriptedClient:
        client = ScriptedClient(sections, profiles=(self._profile,))
        self._people.append(client)
        await client.open(ADDRESS)
        async with self._http.post(path, data=client.offer(setup="active"), params=query) as answer:
            answer.raise_for_status()
            client.accept(await answer.text())
        await asyncio.wait_for(asyncio.shield(client.connected), FIRST_PICTURE_S)
        return client

    async def fill(self, room: int, scenario: Scenario, publish: Publish) -> list[ScriptedClient]:
        """See ``Session``."""
        for number in range(scenario.publishers):
            number_of_all = room * scenario.publishers + number
            publish(await self._connect("/publish", [section(scenario, number_of_all)], room=room), number_of_all)
        receivers = []
        wanted = video_section("recvonly")
        if scenario.publishers_receive:
            for number in range(scenario.publishers):
                sections = [wanted] * (scenario.publishers - 1)
                receivers.append(await self._connect("/subscribe", sections, room=room, but=number))
        for _ in range(scenario.watchers):
            receivers.append(await self._connect("/subscribe", [wanted] * scenario.publishers, room=room))
        return receivers

    async def visit(self) -> None:
        """See ``Session``."""
        self.visits += 1
        client = await self._connect("/publish", [video_section("sendonly", ssrc=1, msid="visitor")], room=-self.visits)
        client.close()

    async def close(self) -> None:
        """See ``Session``."""
        for client in self._people:
            client.close()
        await self._http.close()


def make_session(server: Server, profile: ProtectionProfile) -> Session:
    """The way in that a server wants."""
    if server.name == "aiortc":
        return AiortcSession(server.url, profile)
    if server.name == "janus":
        return JanusSession(server.url, profile)
    return LiveKitSession(server.url, profile)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run. ``sent``: what should have reached the receivers together; ``opened``: of them, and found right."""

    sent: int
    received: int
    opened: int
    wrong: int
    seconds: float
    cpu_s: float
    rss_mb: float
    latencies_ms: NDArray[np.float64]

    @property
    def loss(self) -> float:
        """Share of packets that did not arrive."""
        return max(0.0, 1 - self.received / self.sent)

    @property
    def packets_s(self) -> float:
        """Forwarded packets a second that were offered."""
        return self.sent / self.seconds

    @property
    def cpu_us_per_packet(self) -> float:
        """Of the whole server process, a packet that arrived."""
        return self.cpu_s * 1e6 / max(1, self.received)

    @property
    def cpu_share(self) -> float:
        """Of one core."""
        return self.cpu_s / self.seconds


class Load:
    """A server with a scenario's people on it: ``open``, then ``run`` as often as wanted."""

    def __init__(self, server: Server, scenario: Scenario, profile: ProtectionProfile) -> None:
        self.server, self.scenario, self.profile = server, scenario, profile
        self._session = make_session(server, profile)
        self.streams: list[Stream] = []
        self.receivers: list[ScriptedClient] = []
        self._descriptors: list[int] = []
        self._origins: dict[tuple[int, int], tuple[int, int]] = {}
        """Of what a receiver gets under an SSRC: (stream, what the server adds to its timestamps)."""
        self._offset_s = 0.0

    async def open(self) -> None:
        """Everybody comes in, and everybody's pictures begin.

        Raises:
            TimeoutError: somebody was let in and receives nothing.
        """
        # A server tells of a track when its first packets come, and a picture begins with a key frame.
        beginning = asyncio.create_task(self._begin())
        try:
            for room in range(self.scenario.rooms):
                self.receivers += await self._session.fill(room, self.scenario, self._publish)
            async with asyncio.timeout(FIRST_PICTURE_S):
                while any(receiver.counters.packets == 0 for receiver in self.receivers):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        finally:
            beginning.cancel()
            await asyncio.gather(beginning, return_exceptions=True)
        for receiver in self.receivers:
            opened = receiver.detach()
            traffic.ready(opened)
            self._descriptors.append(opened.fileno())

    def _publish(self, client: ScriptedClient, number: int) -> None:
        assert number == len(self.streams), "publishers come in their order"
        self.streams.append(Stream(client, number, self.scenario.audio))

    async def _begin(self) -> None:
        while True:
            for stream in list(self.streams):
                stream.client.send_raw(self._seal_alone(stream))
            self._offset_s += 0.1
            await asyncio.sleep(0.1)

    def _seal_alone(self, stream: Stream) -> bytes:
        return stream.seal(150, self._ticks(0), is_first=True, is_last=True, is_key_frame=True)

    def _ticks(self, due: int) -> int:
        """The RTP timestamp of what is due so many ns after the next run's beginning."""
        clock = AUDIO_CLOCK if self.scenario.audio else VIDEO_CLOCK
        return round((self._offset_s + due / 1e9) * clock)

    async def run(self, seconds: float, packets_s: float, burst: int, *, joins_s: int = 0) -> Measured:
        """So many packets a second are forwarded for so long; frames have ``burst`` packets where no trace says more.
        ``joins_s`` people a second come into another room, connect and leave again."""
        await self._carry(schedule(self.scenario, packets_s, LEAD_IN_S, burst))
        coming = asyncio.create_task(self._let_people_come(joins_s)) if joins_s else None
        try:
            return await self._carry(schedule(self.scenario, packets_s, seconds, burst))
        finally:
            if coming is not None:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)

    async def _let_people_come(self, joins_s: int) -> None:
        async with asyncio.TaskGroup() as visits:
            while True:
                visits.create_task(self._session.visit())
                await asyncio.sleep(1 / joins_s)

    async def _carry(self, frames: Sequence[Frame]) -> Measured:
        tables, sent = self._sealed(frames)
        before = self.server.usage()
        try:
            await asyncio.to_thread(traffic.run, tables)
        finally:
            tables.state[traffic.STOP] = 1
        after = self.server.usage()
        opened, wrong = self._open_samples(tables)
        seconds = (int(tables.packets[-1]["due"]) + 1) / 1e9
        return Measured(
            sent=len(tables.packets) * self.scenario.copies,
            received=int(tables.receivers["packets"].sum()),
            opened=opened,
            wrong=wrong,
            seconds=seconds,
            cpu_s=after.cpu_since(before),
            rss_mb=after.rss_mb,
            latencies_ms=latencies(tables, self._origins, sent),
        )

    def _sealed(self, frames: Sequence[Frame]) -> tuple[traffic.TrafficTables, dict[tuple[int, int], int]]:
        """A run's tables, and which packet of it is the last of a frame, by (stream, timestamp)."""
        rows: list[tuple[int, int, bytes]] = []
        last: dict[tuple[int, int], bytes] = {}
        for frame in frames:
            stream, timestamp = self.streams[frame.stream], self._ticks(frame.due)
            for place, (gap, size) in enumerate(frame.packets):
                is_last = place + 1 == len(frame.packets)
                sealed = stream.seal(
                    size, timestamp, is_first=place == 0, is_last=is_last, is_key_frame=frame.is_key_frame
                )
                rows.append((frame.due + gap, frame.stream, sealed))
                if is_last:
                    last[frame.stream, timestamp & 0xFFFFFFFF] = sealed
        rows.sort(key=lambda row: row[0])
        place_of = {id(row[2]): place for place, row in enumerate(rows)}
        packets = np.zeros(len(rows), traffic.PACKET)
        packets["due"] = [row[0] for row in rows]
        lengths = np.array([len(row[2]) for row in rows])
        packets["length"] = lengths
        packets["start"] = np.cumsum(lengths) - lengths
        packets["destination"] = [row[1] for row in rows]
        packets["descriptor"] = [self.streams[row[1]].client.descriptor for row in rows]
        arena = np.frombuffer(bytearray().join(row[2] for row in rows), np.uint8)
        names = [traffic.sockaddr(*stream.client.destination) for stream in self.streams]
        self._offset_s += rows[-1][0] / 1e9 + 1.0
        notes_all = self.scenario.audio
        tables = traffic.make_tables(packets, arena, names, self._descriptors, one_in=SAMPLED, notes_all=notes_all)
        return tables, {key: place_of[id(sealed)] for key, sealed in last.items()}

    def _open_samples(self, tables: traffic.TrafficTables) -> tuple[int, int]:
        """(opened and right, wrong) of the packets that were kept."""
        opened = wrong = 0
        for number, sealed in traffic.samples(tables):
            try:
                packet = RtpPacket.parse(self.receivers[number].open_packet(sealed))
            except (AuthenticationError, ParseError):
                wrong += 1
                continue
            judged = judge(packet.payload, self.streams)
            if judged is None:
                wrong += 1
                continue
            opened += 1
            stream, packet_number = judged
            told = self.streams[stream].timestamps[packet_number]
            self._origins[number, packet.ssrc] = stream, (packet.timestamp - told) & 0xFFFFFFFF
        return opened, wrong

    async def close(self) -> None:
        """Everybody goes."""
        await self._session.close()


def latencies(
    tables: traffic.TrafficTables,
    origins: dict[tuple[int, int], tuple[int, int]],
    sent: dict[tuple[int, int], int],
) -> NDArray[np.float64]:
    """ms from each frame's last packet leaving its publisher to its arrival at each receiver that could be told."""
    found = []
    times: Any = tables.packets["sent"]
    for receiver, ssrc, timestamp, arrival in traffic.markers(tables).tolist():
        origin = origins.get((receiver, ssrc))
        place = None if origin is None else sent.get((origin[0], (timestamp - origin[1]) & 0xFFFFFFFF))
        if place is not None:
            found.append(arrival - int(times[place]))
    return np.array(found, np.float64) / 1e6

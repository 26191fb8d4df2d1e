"""Whoever comes to the node with bad intent gets an error, and a call that goes on beside it loses nothing."""

import asyncio
import base64
import os
import random
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from livekit.protocol import models, rtc

from tests.node.client import NodeClient, token
from tests.node.metrics import measure, rows
from tests.node.process import KEY, KEYS, SECRET, RunningNode

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

JOIN_TIMEOUT = 3.0
SILENT = 100
TOO_LONG = 3 << 20
BOMB = 64 << 20
UPGRADE = (
    "GET /rtc?access_token={token} HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{more}\r\n"
)


@pytest.fixture
def node() -> Iterator[RunningNode]:
    with RunningNode(f"--livekit-join-timeout={JOIN_TIMEOUT}", "--room-departure-timeout=1", **KEYS) as running:
        yield running
        running.ask_to_stop()
        assert running.wait() == 0
        assert [line for line in running.lines if line["level"] == "error"] == []
        assert "Traceback" not in running.log


@pytest_asyncio.fixture
async def session(node: RunningNode) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://{node.address}") as opened:
        yield opened


class Call:
    """Two people who talk, and hear each other without a gap."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._people = [NodeClient(session, name, "call") for name in ("alice", "bob")]

    async def __aenter__(self) -> "Call":
        self.before = await measure(self._session)
        for one in self._people:
            await one.join()
        for one in self._people:
            await one.publish()
        await self._hear(10)
        return self

    async def _hear(self, more: int) -> None:
        """Wait until each has heard so many packets more."""
        for one in self._people:
            wanted = self._heard(one) + more
            for _ in range(2000):
                if self._heard(one) >= wanted:
                    break
                await asyncio.sleep(0.01)
            else:
                pytest.fail(f"{one.identity} hears nothing any more")

    @staticmethod
    def _heard(one: NodeClient) -> int:
        return sum(map(len, one.audio.values()))

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            await self._hear(10)
        heard = [list(numbers) for one in self._people for numbers in one.audio.values()]
        for one in self._people:
            await one.leave()
        if kind is not None:
            return
        assert len(heard) == 2
        for numbers in heard:
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "the call lost something"
        for _ in range(100):
            after = await measure(self._session)
            if not any(rows(after).values()) and not after["visiomedia_rooms"]:
                break
            await asyncio.sleep(0.1)
        assert not any(rows(after).values()), rows(after)
        assert after["visiomedia_rooms"] == 0
        assert after["visiomedia_tasks"] <= self.before["visiomedia_tasks"]
        assert after["process_open_fds"] <= self.before["process_open_fds"]


async def say_and_wait(session: aiohttp.ClientSession, *frames: bytes | str, name: str = "mallory") -> int | None:
    """Join, say something, and wait until the node closes; its code. A client whose answer is awaited says nothing."""
    async with session.ws_connect("/rtc", params={"access_token": token(name, "lair"), "protocol": "17"}) as socket:
        await socket.receive()
        for frame in frames:
            try:
                await (socket.send_str(frame) if isinstance(frame, str) else socket.send_bytes(frame))
            except ConnectionError:
                break
        async with asyncio.timeout(JOIN_TIMEOUT + 10):
            while (message := await socket.receive()).type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT):
                pass
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        return socket.close_code


def request(**message: Any) -> bytes:
    return rtc.SignalRequest(**message).SerializeToString()


async def test_frames_that_are_no_requests_end_their_own_socket(
    node: RunningNode, session: aiohttp.ClientSession
) -> None:
    chance = random.Random(5)
    async with Call(session):
        for garbage in (
            b"\xff" * 100,
            b"\x0a\xff\xff\xff\xff\x0f",
            chance.randbytes(5000),
            "{",
            '{"offer": 5}',
            "\x00" * 100,
        ):
            assert await say_and_wait(session, garbage) == aiohttp.WSCloseCode.INVALID_TEXT, garbage[:20]
        assert await say_and_wait(session, bytes(TOO_LONG)) == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
        assert (await measure(session))["visiomedia_livekit_events_total garbage"] == 6


async def test_a_bomb_of_compressed_zeros_is_refused(node: RunningNode, session: aiohttp.ClientSession) -> None:
    host, _, port = node.address.rpartition(":")
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packed.compress(bytes(BOMB)) + packed.flush(zlib.Z_SYNC_FLUSH)
    body = body.removesuffix(b"\x00\x00\xff\xff")
    mask = b"\0\0\0\0"
    frame = bytes([0xC2, 0x80 | 127]) + len(body).to_bytes(8, "big") + mask + body
    async with Call(session):
        before = (await measure(session))["process_resident_memory_bytes"]
        reader, writer = await asyncio.open_connection(host, int(port))
        extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(UPGRADE.format(token=token("mallory", "lair"), key=key, more=extension).encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head and b"permessage-deflate" in head
        writer.write(frame)
        async with asyncio.timeout(20):
            rest = await reader.read()
        assert (1009).to_bytes(2, "big") in rest, "too big"
        writer.close()
        assert (await measure(session))["process_resident_memory_bytes"] - before < 32e6


GOOD_HEAD = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
SECTION = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na=sendonly\r\na=rtcp-mux\r\n"
    "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=setup:actpass\r\n"
    "a=fingerprint:sha-256 " + ":".join(["AB"] * 32) + "\r\na=rtpmap:111 opus/48000/2\r\n"
)
ABSURD = {
    "empty": "",
    "no description": "hello",
    "no sections": GOOD_HEAD,
    "a thousand sections": GOOD_HEAD + "".join(SECTION.format(mid=mid) for mid in range(1000)),
    "ten thousand candidates": GOOD_HEAD
    + SECTION.format(mid=0)
    + "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n" * 10_000,
    "the same mid twice": GOOD_HEAD + SECTION.format(mid=0) * 2,
    "no credentials": GOOD_HEAD + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n",
    "a line of a megabyte": GOOD_HEAD + "a=" + "x" * 1_000_000 + "\r\n",
    "zeros": "\0" * 1000,
    "ten thousand codecs": GOOD_HEAD
    + SECTION.format(mid=0)
    + "".join(f"a=rtpmap:{number} opus/48000/2\r\n" for number in range(10_000)),
}


@pytest.mark.parametrize("sdp", ABSURD.values(), ids=ABSURD)
async def test_absurd_descriptions_harm_nobody(node: RunningNode, session: aiohttp.ClientSession, sdp: str) -> None:
    async with Call(session):
        for kind in ("offer", "answer"):
            description = rtc.SessionDescription(type=kind, sdp=sdp, id=1)
            # Its media never flow: the node says goodbye at the latest when it has waited long enough.
            await say_and_wait(session, request(**{kind: description}))


def unsolicited(chance: random.Random) -> Iterator[bytes]:
    """Requests of every kind, with fields that mean nothing here."""
    for field in rtc.SignalRequest.DESCRIPTOR.fields:
        if field.message_type is None:
            yield request(**{field.name: chance.getrandbits(40)})
            continue
        message = rtc.SignalRequest()
        inner = getattr(message, field.name)
        inner.SetInParent()
        for each in inner.DESCRIPTOR.fields:
            if each.is_repeated or each.message_type is not None:
                continue
            if each.type == each.TYPE_STRING:
                setattr(inner, each.name, chance.choice(["", "TR_none", "x" * 1000, "\u202e"]))
            elif each.type == each.TYPE_BYTES:
                setattr(inner, each.name, chance.randbytes(20))
            elif each.type == each.TYPE_BOOL:
                setattr(inner, each.name, chance.random() < 0.5)
            elif each.type not in (each.TYPE_ENUM, each.TYPE_DOUBLE, each.TYPE_FLOAT):
                setattr(inner, each.name, chance.getrandbits(20))
        if field.name != "leave":
            yield message.SerializeToString()


async def test_requests_that_nobody_asked_for_harm_nobody(node: RunningNode, session: aiohttp.ClientSession) -> None:
    chance = random.Random(9)
    async with Call(session):
        for turn in range(10):
            for each in unsolicited(chance):
                async with session.ws_connect(
                    "/rtc", params={"access_token": token(f"mallory-{turn}", "lair"), "protocol": "17"}
                ) as socket:
                    await socket.receive()
                    await socket.send_bytes(each)
        add = request(add_track=rtc.AddTrackRequest(cid="c", name="n", type=models.TrackType.AUDIO))
        await say_and_wait(session, *[add] * 1000)


async def silent_connection(node: RunningNode, words: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = node.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(words)
    return reader, writer


async def test_a_hundred_sockets_that_never_speak(node: RunningNode, session: aiohttp.ClientSession) -> None:
    async with Call(session):
        opened = [
            await silent_connection(node, words)
            for words in (b"", b"GET / HTTP/1.1\r\nHost: n", b"G")
            for _ in range(SILENT // 4)
        ]
        for number in range(SILENT // 4):
            key = base64.b64encode(os.urandom(16)).decode()
            words = UPGRADE.format(token=token(f"silent-{number}", "lair"), key=key, more="").encode()
            opened.append(await silent_connection(node, words))
        assert len(opened) == SILENT
        async with NodeClient(session, "late", "call") as late:
            assert set(late.others) >= {"alice", "bob"}, "others come in all the same"
        for reader, writer in opened[-SILENT // 4 :]:
            async with asyncio.timeout(JOIN_TIMEOUT + 10):
                said = await reader.read()
            assert b" 101 " in said, "let in, then told to leave, then closed"
            writer.close()
        for _, writer in opened:
            writer.close()


async def test_clients_that_go_away_in_the_middle_of_coming(node: RunningNode, session: aiohttp.ClientSession) -> None:
    chance = random.Random(3)
    key = base64.b64encode(bytes(16)).decode()
    async with Call(session):
        for number in range(200):
            words = UPGRADE.format(token=token(f"fickle-{number % 7}", "lair"), key=key, more="")
            _, writer = await silent_connection(node, words.encode())
            await asyncio.sleep(chance.random() / 100)
            writer.transport.abort()


Make = Callable[[], dict[str, Any]]
CASES: dict[str, tuple[Make, int, str]] = {
    "wrong secret": (lambda: {"secret": "another" * 8}, 401, "invalid token"),
    "unknown key": (lambda: {"key": "stranger"}, 401, "invalid API key: stranger"),
    "expired": (lambda: {"exp": 5}, 401, "invalid token"),
    "not valid yet": (lambda: {"nbf": 1 << 40}, 401, "invalid token"),
    "no grants": (lambda: {"video": {}}, 401, "permissions denied"),
    "may not join": (lambda: {"video": {"room": "r1"}}, 401, "permissions denied"),
    "no room": (lambda: {"video": {"roomJoin": True}}, 400, "no room name"),
    "no identity": (lambda: {"sub": ""}, 400, "identity cannot be empty"),
}
Ask = Callable[[aiohttp.ClientSession, str], Awaitable[tuple[int, str]]]


async def by_websocket(session: aiohttp.ClientSession, given: str) -> tuple[int, str]:
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    headers["Sec-WebSocket-Key"] = base64.b64encode(bytes(16)).decode()
    async with session.get("/rtc", params={"access_token": given}, headers=headers) as answer:
        return answer.status, await answer.text()


async def by_validation(session: aiohttp.ClientSession, given: str) -> tuple[int, str]:
    async with session.get("/rtc/validate", headers={"Authorization": f"Bearer {given}"}) as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize("ask", [by_websocket, by_validation])
async def test_whoever_may_not_come_in_is_told_why(node: RunningNode, session: aiohttp.ClientSession, ask: Ask) -> None:
    for case, (changes, status, text) in CASES.items():
        given = {"key": KEY, "secret": SECRET} | changes()
        refused = await ask(session, token("mallory", **given))
        assert refused[0] == status and refused[1].startswith(text), (case, refused)
    assert (await ask(session, "garbage"))[0] == 401


async def test_a_room_that_is_not_there_is_told_where_none_is_made() -> None:
    with_flags = RunningNode("--livekit-auto-create=false", **KEYS)
    running = await asyncio.to_thread(with_flags.__enter__)
    try:
        async with aiohttp.ClientSession(f"http://{running.address}") as session:
            for ask in (by_websocket, by_validation):
                assert await ask(session, token("mallory")) == (404, "requested room does not exist")
    finally:
        await asyncio.to_thread(with_flags.__exit__, None, None, None)

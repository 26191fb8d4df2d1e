"""The node, running: what it answers, what it logs, and how it ends."""

import asyncio
import json
import logging
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from livekit.protocol import models, rtc

from examples.conference.logs import FIELDS, JsonFormatter, TextFormatter
from tests.node.metrics import values
from tests.node.process import ANYWHERE, KEY, KEYS, SECRET, RunningNode, run
from visiomedia.livekit.tokens import sign


def token(identity: str, key: str = KEY, secret: str = SECRET) -> str:
    now = int(time.time())
    video = {"roomJoin": True, "room": "r1"}
    return sign({"iss": key, "sub": identity, "nbf": now, "exp": now + 600, "video": video}, secret)


@pytest.fixture
def node(request: pytest.FixtureRequest) -> Iterator[RunningNode]:
    """Started outside of the test's loop, which must not wait for it. Flags come by ``with_flags``."""
    flags = getattr(request, "param", ())
    with RunningNode(*flags, **({} if "--dev" in flags else KEYS)) as running:
        yield running


def with_flags(*flags: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("node", [flags], indirect=True, ids=" ".join)


async def hear(websocket: aiohttp.ClientWebSocketResponse, kind: str) -> rtc.SignalResponse:
    """The next message of a kind."""
    while True:
        message = rtc.SignalResponse.FromString(await websocket.receive_bytes(timeout=10))
        if message.WhichOneof("message") == kind:
            return message


async def test_it_answers_clients_health_checks_and_prometheus(node: RunningNode) -> None:
    async with aiohttp.ClientSession(f"http://{node.address}") as client:
        async with client.get("/") as answer:
            assert (answer.status, await answer.text()) == (200, "OK")
        async with client.get("/healthz") as answer:
            assert (answer.status, await answer.json()) == (200, {"status": "ok"})
        async with client.get("/metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=")
            measured = values(await answer.text())
    assert measured["visiomedia_rooms"] == 0
    assert measured["visiomedia_datagrams_received_total unknown_kind"] == 0
    assert measured["visiomedia_packets_total in"] == 0
    assert measured["process_resident_memory_bytes"] > 0


async def test_metrics_count_who_is_there_and_what_was_dropped(node: RunningNode) -> None:
    ready = node.lines[-1]
    async with (
        aiohttp.ClientSession(f"http://{node.address}") as client,
        client.ws_connect("/rtc", params={"access_token": token("alice"), "protocol": "17"}) as websocket,
    ):
        await hear(websocket, "join")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.setblocking(False)
            await asyncio.get_running_loop().sock_sendto(
                stranger, b"\xff no protocol of ours", ("127.0.0.1", ready["media_port"])
            )
        measured: dict[str, float] = {}
        async with asyncio.timeout(10):
            while not measured.get("visiomedia_datagrams_received_total unknown_kind"):
                async with client.get("/metrics") as answer:
                    measured = values(await answer.text())
    assert measured["visiomedia_rooms"] == 1
    assert measured["visiomedia_participants joining"] == 1
    assert measured["visiomedia_participants active"] == 0
    assert measured["visiomedia_rows transports"] == 1, "by which it is sent what others publish"
    assert measured["visiomedia_rows_limit transports"] == 2048
    assert measured["visiomedia_livekit_events_total joins"] == 1
    assert measured["visiomedia_tasks"] >= 3
    assert measured["visiomedia_datagrams_received_total unknown_kind"] == 1


@with_flags("--metrics-bind=127.0.0.1:0")
async def test_monitoring_may_have_a_port_of_its_own(node: RunningNode) -> None:
    monitoring = find(node, setting="metrics_bind")["listens"]
    async with aiohttp.ClientSession() as client:
        for path in ("/healthz", "/metrics"):
            async with client.get(f"http://{monitoring}{path}") as answer:
                assert answer.status == 200
            async with client.get(f"http://{node.address}{path}") as answer:
                assert answer.status == 404


async def test_a_client_joins_and_is_told_to_leave_when_the_node_stops(node: RunningNode) -> None:
    async with (
        aiohttp.ClientSession(f"http://{node.address}") as client,
        client.ws_connect("/rtc", params={"access_token": token("alice")}) as websocket,
    ):
        joined = await hear(websocket, "join")
        assert joined.join.room.name == "r1"
        assert joined.join.participant.identity == "alice"
        node.ask_to_stop()
        told = await hear(websocket, "leave")
        assert told.leave.reason == models.DisconnectReason.SERVER_SHUTDOWN
    assert await asyncio.to_thread(node.wait) == 0
    assert [line["message"] for line in node.lines if line["level"] != "info"] == []
    assert node.lines[-1]["message"] == "stopped"


async def test_while_it_waits_for_clients_nobody_else_comes_in(node: RunningNode) -> None:
    async with (
        aiohttp.ClientSession(f"http://{node.address}") as client,
        # It does not answer the goodbye.
        client.ws_connect("/rtc", params={"access_token": token("alice")}, autoclose=False) as websocket,
    ):
        await hear(websocket, "join")
        node.ask_to_stop()
        await hear(websocket, "leave")
        async with client.get("/healthz") as answer:
            assert (answer.status, await answer.json()) == (503, {"status": "stopping"})
        for path in ("/", "/rtc", "/rtc/validate"):
            async with client.get(path, params={"access_token": token("bob")}) as answer:
                assert answer.status == 503
    assert await asyncio.to_thread(node.wait) == 0


@with_flags("--shutdown-timeout=0.2")
async def test_clients_that_do_not_leave_are_cut_off_in_time(node: RunningNode) -> None:
    async with (
        aiohttp.ClientSession(f"http://{node.address}") as client,
        client.ws_connect("/rtc", params={"access_token": token("alice")}, autoclose=False) as websocket,
    ):
        await hear(websocket, "join")
        node.ask_to_stop()
        assert await asyncio.to_thread(node.wait) == 0
    assert any("cut off" in line["message"] for line in node.lines)


@with_flags("--shutdown-timeout=60")
async def test_who_asks_twice_does_not_wait_for_clients(node: RunningNode) -> None:
    async with (
        aiohttp.ClientSession(f"http://{node.address}") as client,
        client.ws_connect("/rtc", params={"access_token": token("alice")}, autoclose=False) as websocket,
    ):
        await hear(websocket, "join")
        node.ask_to_stop()
        leave = (await hear(websocket, "leave")).leave
        assert leave.reason == models.DisconnectReason.SERVER_SHUTDOWN
        asked = time.monotonic()
        node.ask_to_stop()
        assert await asyncio.to_thread(node.wait) == 0
        assert time.monotonic() - asked < 10
    assert "Traceback" not in node.log


@with_flags("--log-level=debug")
async def test_no_token_is_logged_at_any_level(node: RunningNode) -> None:
    good, bad = token("alice"), token("alice", secret="f" * 32)
    async with aiohttp.ClientSession(f"http://{node.address}") as client:
        async with client.ws_connect("/rtc", params={"access_token": good}) as websocket:
            await hear(websocket, "join")
        for text in (good, bad, "garbage"):
            for path in ("/rtc/validate", "/no/such/path"):
                async with client.get(path, params={"access_token": text}):
                    pass
            async with client.get("/rtc/validate", headers={"Authorization": f"Bearer {text}"}):
                pass
    reader, writer = await asyncio.open_connection(*node.address.split(":"))
    writer.write(f"GET /rtc?access_token={good} HTTP/9.x\r\n\r\n".encode())
    await reader.read()
    writer.close()
    node.ask_to_stop()
    assert await asyncio.to_thread(node.wait) == 0
    assert find(node, path="/no/such/path", status=404)["method"] == "GET"
    for secret in (good, bad, good.split(".")[1], good.split(".")[2], "garbage", SECRET):
        assert secret not in node.log


def find(node: RunningNode, **fields: Any) -> dict[str, Any]:
    return next(line for line in node.lines if fields.items() <= line.items())


@with_flags("--dev")
async def test_dev_takes_the_known_key_and_says_so_loudly(node: RunningNode) -> None:
    dev = token("alice", "devkey", "secret")
    async with (
        aiohttp.ClientSession(f"http://{node.address}") as client,
        client.get("/rtc/validate", params={"access_token": dev}) as answer,
    ):
        assert answer.status == 200
    assert any(line["level"] == "warning" and "Never do this on a server" in line["message"] for line in node.lines)


def test_it_starts_within_two_seconds_of_a_core_once_kernels_are_cached(node: RunningNode) -> None:
    with RunningNode(**KEYS) as second:
        print(f"ready {second.started_within:.2f} s after its start, with {second.processor_seconds:.2f} s of a core")
        assert second.processor_seconds < 2


def test_a_tcp_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run(*ANYWHERE, f"--bind=127.0.0.1:{port}", "--log-format=text", **KEYS)
    assert ended.returncode == 1
    assert f"TCP port {port} (bind) cannot be had" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_udp_port_that_is_taken_is_named() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        ended = run(*ANYWHERE, f"--media-port={port}", **KEYS)
    assert ended.returncode == 1
    assert f"UDP port {port} (media.port) cannot be had" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("flag", "line"),
    [
        ("--bind=203.0.113.7:0", "bind: got '203.0.113.7:0', wants an address of this machine"),
        ("--media-addresses=203.0.113.7", "media.addresses: got '203.0.113.7', wants an address of this machine"),
    ],
)
def test_an_address_of_another_machine_is_named(flag: str, line: str) -> None:
    ended = run(*ANYWHERE, flag, **KEYS)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith(line)
    assert "Traceback" not in ended.stderr


def test_records_are_one_line_of_json_each() -> None:
    record = logging.LogRecord("n", logging.ERROR, "", 0, "two\nlines of %s", ("it",), None)
    setattr(record, FIELDS, {"status": 404})
    try:
        raise KeyError("why")
    except KeyError:
        record.exc_info = sys.exc_info()
    text = JsonFormatter().format(record)
    assert "\n" not in text
    line = json.loads(text)
    assert line["message"] == "two\nlines of it"
    assert (line["level"], line["status"], line["time"][-6:]) == ("error", 404, "+00:00")
    assert "KeyError: 'why'" in line["exception"]
    assert " ERROR: two\nlines of it\nTraceback" in TextFormatter().format(record)

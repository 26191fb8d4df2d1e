"""People come and go for minutes: nothing of them is left in the node, and its memory stays where it was."""

import asyncio
import time
from collections.abc import Iterator

import aiohttp
import psutil
import pytest

from tests.node.client import NodeClient
from tests.node.metrics import measure, rows
from tests.node.process import KEYS, RunningNode

PEOPLE, PEOPLE_A_ROOM = 50, 3
MEGABYTE = 1_000_000
GROWTH = 5 * MEGABYTE


@pytest.fixture
def node() -> Iterator[RunningNode]:
    """With limits that fifty people from one address do not meet, and rooms that end at once."""
    with RunningNode("--room-departure-timeout=1", **KEYS) as running:
        yield running


async def stay(session: aiohttp.ClientSession, number: int, until: float, counts: dict[str, int]) -> None:
    """One person, who joins, speaks, and leaves, again and again; each stay is longer or shorter than the last."""
    turn = 0
    await asyncio.sleep(number / 20)
    while time.monotonic() < until:
        # Most packets that come are only counted: opening them all would be most of the work.
        client = NodeClient(session, f"person-{number}", f"room-{number // PEOPLE_A_ROOM}", opens_one_in=50)
        async with client:
            await client.publish()
            counts["joins"] += 1
            await asyncio.sleep(0.5 + (number * 7 + turn * 3) % 10 / 4)
            counts["sent"] += client.sent_audio
            counts["received"] += client.publisher.counters.packets + client.subscriber.counters.packets
        turn += 1


async def churn(node: RunningNode, seconds: float, people: int, first_look: float) -> dict[str, float]:
    """Let people come and go; what the node had at the first look and what it has in the end."""
    asyncio.get_running_loop().set_debug(False)  # else its books about fifty clients take most of a core
    process = psutil.Process(node.process.pid)
    counts = dict.fromkeys(("joins", "sent", "received"), 0)
    async with aiohttp.ClientSession(f"http://{node.address}") as session:
        before = await measure(session)
        begun = time.monotonic()
        processor = sum(process.cpu_times()[:2])
        coming = [asyncio.create_task(stay(session, number, begun + seconds, counts)) for number in range(people)]
        await asyncio.sleep(first_look)
        early = process.memory_info().rss
        await asyncio.gather(*coming)
        spent = sum(process.cpu_times()[:2]) - processor
        took = time.monotonic() - begun
        late = process.memory_info().rss
        for _ in range(100):  # rooms end, and rows are taken back
            after = await measure(session)
            if not any(rows(after).values()) and not after["visiomedia_rooms"]:
                break
            await asyncio.sleep(0.2)
    print(
        f"{counts['joins']} joins in {took:.0f} s ({counts['joins'] / took:.1f}/s), {counts['sent']} packets sent, "
        f"{counts['received']} received; CPU {spent:.1f} s; RSS {early / MEGABYTE:.1f} MB after {first_look:.0f} s, "
        f"{late / MEGABYTE:.1f} MB in the end; tasks {before['visiomedia_tasks']:.0f} and "
        f"{after['visiomedia_tasks']:.0f}, descriptors {before['process_open_fds']:.0f} and "
        f"{after['process_open_fds']:.0f}; rows {rows(after)}"
    )
    assert not any(rows(after).values()), rows(after)
    assert counts["received"] > counts["sent"], "they heard each other"
    return {
        "joins": counts["joins"],
        "growth": late - early,
        "tasks": after["visiomedia_tasks"] - before["visiomedia_tasks"],
        "descriptors": after["process_open_fds"] - before["process_open_fds"],
    }


@pytest.mark.interop
@pytest.mark.timeout(90)
async def test_people_who_come_and_go_leave_nothing_behind(node: RunningNode) -> None:
    left = await churn(node, 8, 10, 4)
    assert left["joins"] >= 20
    assert left["tasks"] <= 0
    assert left["descriptors"] <= 0
    node.ask_to_stop()


@pytest.mark.soak
@pytest.mark.timeout(500)
async def test_fifty_people_come_and_go_for_five_minutes(node: RunningNode) -> None:
    left = await churn(node, 300, PEOPLE, 60)
    assert left["joins"] > 1000
    assert left["tasks"] <= 0
    assert left["descriptors"] <= 0
    assert left["growth"] < GROWTH

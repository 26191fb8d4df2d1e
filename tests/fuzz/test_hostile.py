"""A call under attack: hostile datagrams from strangers and from a peer that was let in, thousands a second.

The server runs in a process of its own, so that its memory and its loop are measured without ours. NUMBA_BOUNDSCHECK
reaches it by the environment: with it a kernel that reads outside of an array raises, and that reaches its loop.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.fuzz.hostile_call import Call
from visiomedia.batch import Drop
from visiomedia.ice.agent import LiteAgentCounters

RATE = 5_000
WARM_UP_SHARE = 20
"""A twentieth of a flood goes first, before memory is measured: it fills what the allocator and the tables keep."""

ALLOWED_GROWTH = 5_000_000

EXPECTED = (
    *("unknown_kind", "unknown_flow", "truncated", "unclaimed_stun", "ice_malformed", "ice_bad_integrity"),
    *("malformed", "authentication", "replayed", "too_old", "duplicate", "unknown_payload_type", "padding_only"),
    *("full", "held", "pending_overflow"),
)
"""What a flood as it should be runs into: strangers at the door, the peer that was let in behind it."""


@dataclass
class Attack:
    """What an attack did, as told by everybody."""

    before: dict[str, Any] = field(repr=False)
    """The server's report once it was warm."""
    after: dict[str, Any] = field(repr=False)
    """Its report when all that was sent had arrived."""
    seconds: float
    first: dict[int, int]
    """The call's first packet, by payload type, that was seen before the attack."""
    published: dict[int, int]
    seen: dict[int, list[int]] = field(repr=False)
    strange: int
    parsed_by_audience: int
    refused_by_clients: int

    @property
    def growth(self) -> int:
        """Bytes by which the server's resident memory grew."""
        return int(self.after["rss"] - self.before["rss"])

    @property
    def counters(self) -> dict[str, int]:
        """What became of datagrams since the server started; 0 for what did not happen."""
        counted: dict[str, int] = self.after["counters"]
        return dict.fromkeys([*EXPECTED, "transport_after_end"], 0) | counted

    @property
    def accounted(self) -> int:
        """Datagrams that the server's counters speak of, and those it still holds."""
        drops = sum(self.counters[reason.name.lower()] for reason in Drop if reason)
        return self.counters["accepted"] + drops + int(self.after["held"])

    @property
    def accounted_stun(self) -> int:
        """STUN datagrams handed up that an agent, or nobody, was counted to have had."""
        agents = sum(self.counters[f"ice_{name}"] for name in LiteAgentCounters.__dataclass_fields__)
        return agents + self.counters["unclaimed_stun"] + self.counters["transport_after_end"]

    def lost(self) -> dict[int, list[int]]:
        """Packets of the call that did not arrive, by payload type."""
        ends = self.published.items()
        return {number: sorted(set(range(self.first[number], end)) - set(self.seen[number])) for number, end in ends}

    def account(self) -> str:
        """All of it, for the message of a failure."""
        names = ("sent", "received", "dropped_by_kernel", "held", "waiting", "sources", "history_chunks", "rss")
        return json.dumps(
            {
                "seconds": round(self.seconds, 2),
                "memory grew by": self.growth,
                "before and after": {name: [self.before[name], self.after[name]] for name in names},
                "counted": {name: count for name, count in sorted(self.counters.items()) if count},
                "accounted for": {"datagrams": self.accounted, "stun": self.accounted_stun},
                "published": self.published,
                "lost of the call": {number: packets[:20] for number, packets in self.lost().items()},
                "strange in the call": self.strange,
                "the attacker's packets that its audience parsed": self.parsed_by_audience,
                "refused by clients": self.refused_by_clients,
                "connected": self.after["connected"],
                "exceptions": self.after["exceptions"][:3],
                "messages": self.after["messages"][:5],
            },
            indent=1,
        )


async def attack(seed: int, datagrams: int) -> Attack:
    """Run a call through a flood of that many datagrams, the first of which warm the server up."""
    errors: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(repr(context)))
    async with await Call.open() as call:
        publishing = asyncio.create_task(call.publisher.publish())
        await asyncio.wait_for(call.watcher.both_seen.wait(), 10)
        first = {payload_type: seen[0] for payload_type, seen in call.watcher.seen.items()}
        flood = await call.make_flood(seed, datagrams)
        warm_up = len(flood) // WARM_UP_SHARE
        seconds = await call.send_flood(flood[:warm_up], RATE)
        before = await call.server.ask("report") | {"sent": call.sent}
        seconds += await call.send_flood(flood[warm_up:], RATE)
        publishing.cancel()
        after = await call.settled_report()
        assert not errors, f"the clients themselves are sound: {errors[:3]}"
        return Attack(
            before=before,
            after=after,
            seconds=seconds,
            first=first,
            published=dict(call.publisher.published),
            seen=call.watcher.seen,
            strange=call.watcher.strange,
            parsed_by_audience=call.audience.parsed,
            refused_by_clients=sum(client.counters.refused for client in call.clients),
        )


@pytest.mark.fuzz
@pytest.mark.soak
@pytest.mark.timeout(180)
def test_call_goes_on_under_a_hundred_thousand_hostile_datagrams() -> None:
    # A loop of its own instead of an asyncio test: asyncio's debug mode, which those run under, would slow the senders
    # below their pace, and what must not be blocked is the server's loop, which is in the other process.
    done = asyncio.run(attack(seed=1, datagrams=100_000))
    account, after, counters = done.account(), done.after, done.counters

    assert not after["exceptions"] and not after["messages"], f"nothing reaches the loop or the log\n{account}"
    assert after["connected"] == ["publisher", "watcher", "attacker", "audience"], account
    assert done.seconds < 1.1 * 100_000 / RATE, f"the flood kept its pace\n{account}"

    assert not any(done.lost().values()), f"the call goes on without a lost packet\n{account}"
    assert all(done.seen[number] == sorted(done.seen[number]) for number in done.seen), f"and in order\n{account}"
    assert done.strange == done.refused_by_clients == 0, account
    assert done.parsed_by_audience > 1_000, f"what the attacker publishes is forwarded, and sound\n{account}"

    assert after["received"] + after["dropped_by_kernel"] == after["sent"], f"all that was sent arrived\n{account}"
    assert done.accounted == after["received"], f"each datagram is counted as taken or by why not\n{account}"
    assert done.accounted_stun == counters["handed_up_stun"], f"each check too\n{account}"
    assert all(counters[reason] for reason in EXPECTED), f"the flood runs into all that it should\n{account}"
    assert counters["authentication"] < 1_000, f"what the peer sends was mutated before it was sealed\n{account}"

    assert done.growth < ALLOWED_GROWTH, f"memory is bounded\n{account}"

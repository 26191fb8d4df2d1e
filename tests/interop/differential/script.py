"""The session: who does what, one step after another, and what each of them is told by it."""

import asyncio
import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.documents import ROOT
from visiomedia.livekit.tokens import sign

QUIET, LONG_QUIET = 1.0, 3.0
"""Seconds of silence after which a step has had its effects: with our node, and with LiveKit's server, which may tell a
participant's arrival two seconds late."""

LONGEST = 10.0
KEY, SECRET, ROOM = "devkey", "secret", "assembly"

Step = dict[str, Any]
"""``step``: what is done; ``told``: by participant, what each was told (``_told``); ``state``: by participant, what an
application then reads."""


def token(identity: str, **changes: Any) -> str:
    """Of the known key. ``video``: replaces the grants; ``expires``: seconds from now; ``secret``, ``key``."""
    now = int(time.time())
    video = {"roomJoin": True, "room": ROOM, **changes.get("grants", {})}
    claims = {
        "iss": changes.get("key", KEY),
        "sub": identity,
        "name": f"{identity.capitalize()} of the assembly" if identity else "",
        "nbf": now - 10,
        "exp": now + changes.get("expires", 600),
        "video": changes.get("video", video),
        "attributes": {"colour": "blue"} if identity == "alice" else {},
    }
    return sign(
        {name: value for name, value in claims.items() if value not in ("", None)}, changes.get("secret", SECRET)
    )


SESSION: list[tuple[str, dict[str, Any]]] = [
    ("bob", {"do": "connect"}),
    ("alice", {"do": "connect"}),
    ("alice", {"do": "publish", "kind": "KIND_AUDIO"}),
    ("alice", {"do": "publish", "kind": "KIND_VIDEO", "simulcast": True}),
    ("carol", {"do": "connect"}),
    ("dave", {"do": "connect", "auto_subscribe": False}),
    ("dave", {"do": "subscribe", "to": "alice", "kind": "KIND_VIDEO"}),
    ("dave", {"do": "unsubscribe", "to": "alice", "kind": "KIND_VIDEO"}),
    ("alice", {"do": "mute", "kind": "KIND_VIDEO"}),
    ("alice", {"do": "unmute", "kind": "KIND_VIDEO"}),
    ("alice", {"do": "mute", "kind": "KIND_AUDIO"}),
    ("bob", {"do": "data", "text": "to all", "reliable": True}),
    ("bob", {"do": "data", "text": "to all, lossy", "reliable": False, "topic": "weather"}),
    ("bob", {"do": "data", "text": "to one", "reliable": True, "to": ["alice"]}),
    ("bob", {"do": "data", "text": "to nobody", "reliable": True, "to": ["zoe"]}),
    ("bob", {"do": "data", "text": "to oneself", "reliable": True, "to": ["bob"]}),
    ("alice", {"do": "text", "text": "a text, streamed: " + "long " * 5000}),
    ("alice", {"do": "text", "text": "for carol", "to": ["carol"]}),
    ("alice", {"do": "call", "to": "bob", "method": "greet"}),
    ("alice", {"do": "call", "to": "bob", "method": "unknown"}),
    ("alice", {"do": "call", "to": "zoe", "method": "greet"}),
    ("alice", {"do": "set_metadata", "value": "chair"}),
    ("alice", {"do": "set_name", "value": "Alice the chair"}),
    ("alice", {"do": "set_attributes", "value": {"hand": "up", "mood": "fine"}}),
    ("alice", {"do": "set_attributes", "value": {"hand": ""}}),
    ("carol", {"do": "set_name", "value": "not allowed"}),
    ("mute", {"do": "connect"}),
    ("mute", {"do": "publish", "kind": "KIND_AUDIO"}),
    ("mute", {"do": "data", "text": "not allowed", "reliable": True}),
    ("listener", {"do": "connect"}),
    ("carol", {"do": "unsubscribe", "to": "alice", "kind": "KIND_AUDIO"}),
    ("carol", {"do": "subscribe", "to": "alice", "kind": "KIND_AUDIO"}),
    ("alice", {"do": "unpublish", "kind": "KIND_VIDEO"}),
    ("ghost", {"do": "connect"}),
    ("ghost", {"do": "data", "text": "boo", "reliable": True}),
    ("ghost", {"do": "leave"}),
    ("bob2", {"do": "connect"}),
    ("bob2", {"do": "leave"}),
    ("alice", {"do": "leave"}),
    ("alice", {"do": "connect"}),
    ("alice", {"do": "publish", "kind": "KIND_AUDIO"}),
    ("alice", {"do": "leave"}),
]

GRANTS: dict[str, dict[str, Any]] = {
    "alice": {"canUpdateOwnMetadata": True},
    "mute": {"canPublish": False, "canPublishData": False},
    "listener": {"canSubscribe": False},
    "ghost": {"hidden": True},
}
IDENTITIES = {"bob2": "bob"}
"""Who comes as somebody else."""


@dataclass
class Process:
    """One participant's."""

    name: str
    running: asyncio.subprocess.Process
    events: list[dict[str, Any]] = field(default_factory=list)
    last: float = 0.0
    answers: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)

    @classmethod
    @asynccontextmanager
    async def start(cls, name: str) -> AsyncIterator["Process"]:
        """It ends with the context."""
        running = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.interop.differential.participant",
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            limit=1 << 20,
        )
        process = cls(name, running)
        reading = asyncio.ensure_future(process._read())
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                running.kill()
            await running.wait()
            await reading

    async def _read(self) -> None:
        assert self.running.stdout is not None
        while line := await self.running.stdout.readline():
            message = json.loads(line)
            if "event" in message:
                self.events.append(message)
                self.last = time.monotonic()
            else:
                self.answers.put_nowait(message)
        assert self.running.stderr is not None
        # Its native library ends the whole process where a server's message is not to its liking.
        self.answers.put_nowait({"ended": (await self.running.stderr.read()).decode()})

    async def ask(self, **request: Any) -> dict[str, Any]:
        """Do something; how it ended."""
        assert self.running.stdin is not None
        self.running.stdin.write(json.dumps(request).encode() + b"\n")
        async with asyncio.timeout(60):
            answer = await self.answers.get()
        assert "ended" not in answer, f"the SDK's process of {self.name} has ended at {request}: {answer['ended']}"
        return answer


async def play(url: str, quiet: float = QUIET) -> list[Step]:
    """The whole session against a server; what happened, step by step, in normal form."""
    names = list(dict.fromkeys(name for name, _ in SESSION))
    async with AsyncExitStack() as started:
        people = {name: await started.enter_async_context(Process.start(name)) for name in names}
        steps = []
        for name, request in SESSION:
            begun = time.monotonic()
            extra = {}
            if request["do"] == "connect":
                extra = {"url": url, "token": token(IDENTITIES.get(name, name), grants=GRANTS.get(name, {}))}
            answer = await people[name].ask(**request, **extra)
            await _settle(people, begun, quiet)
            told = {one: _told(process) for one, process in people.items() if process.events}
            state = {}
            for one, process in people.items():
                now = (await process.ask(do="state"))["result"]
                if now["connected"]:
                    state[one] = now
            steps.append(_normal({"step": [name, request], "answer": _answer(answer), "told": told, "state": state}))
        return steps


async def _settle(people: dict[str, Process], begun: float, quiet: float) -> None:
    """Wait until nobody is told anything for a while."""
    while True:
        latest = max(begun, *(process.last for process in people.values()))
        rest = min(latest + quiet, begun + LONGEST) - time.monotonic()
        if rest <= 0:
            return
        await asyncio.sleep(rest)


def _answer(answer: dict[str, Any]) -> Any:
    if "error" in answer:
        return {"error": answer["error"]}
    return answer.get("result")


COUNTED = ("data_received", "text_stream")
"""Twice is not once. Other events that repeat themselves say nothing new."""


def _told(process: Process) -> dict[str, Any]:
    """What one was told by a step, and forgets. ``events``: what, without an order, since events about different people
    and tracks have none that a client may count on; ``order``: by whom it is about, in which order."""
    told = [json.dumps([event["event"], *event["values"]], sort_keys=True) for event in process.events]
    once = {each for each in told if json.loads(each)[0] not in COUNTED}
    repeated = [each for each in told if json.loads(each)[0] in COUNTED]
    order: dict[str, list[str]] = {}
    for event in process.events:
        about = next((value["participant"] for value in event["values"] if _is_participant(value)), None)
        if about is not None:
            names = order.setdefault(about, [])
            if names[-1:] != [event["event"]]:
                names.append(event["event"])
    process.events.clear()
    return {"events": [json.loads(each) for each in sorted([*once, *repeated])], "order": order}


def _is_participant(value: Any) -> bool:
    return isinstance(value, dict) and "participant" in value


SID = re.compile(r"\b(PA|TR|RM|PU|DTR)_\w+")


def _normal(value: Any) -> Any:
    """Without what is drawn by lot."""
    if isinstance(value, str):
        return SID.sub(r"\1_#", value)
    if isinstance(value, dict):
        return {key: _normal(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_normal(inner) for inner in value]
    return value


REFUSALS: dict[str, dict[str, Any] | str] = {
    "no token": "",
    "not a token": "garbage",
    "unknown key": {"key": "stranger"},
    "wrong secret": {"secret": "not the secret"},
    "expired": {"expires": -3600},
    "no grants": {"video": None},
    "may not join": {"video": {"room": ROOM}},
    "no room": {"video": {"roomJoin": True}},
    "no identity": {},
    "long identity": {},
    "fine": {},
}
WEBSOCKETS = ("/rtc",)
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
PATHS = ("/rtc/validate", "/rtc/v1/validate", "/rtc")


async def refusals(url: str) -> dict[str, list[Any]]:
    """Status and text of what is asked over HTTP on the way in, and whether it repeats the token, by case and path."""
    found: dict[str, list[Any]] = {}
    async with aiohttp.ClientSession() as session:
        for case, changes in REFUSALS.items():
            identity = {"no identity": "", "long identity": "x" * 400}.get(case, "alice")
            given = changes if isinstance(changes, str) else token(identity, **changes)
            for path in PATHS:
                headers = {"Authorization": f"Bearer {given}"} if given else {}
                if path in WEBSOCKETS:
                    headers |= UPGRADE
                async with session.get(f"{url}{path}", headers=headers) as answer:
                    opens = answer.status == 101
                    said = "" if opens else (await answer.text()).strip()
                    repeats = bool(given) and given in said
                    text = said.replace(given, "TOKEN") if given else said
                    found[f"{case}: {path}"] = [answer.status, text, "repeats the token" if repeats else ""]
    return found

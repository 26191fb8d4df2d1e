"""Tokens for whoever opens a room's link, on a node of one's own machine. Elsewhere people log in first."""

import re
import time
import uuid
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from visiomedia.conference.conference import Conference
from visiomedia.conference.grants import Grants
from visiomedia.conference.refusals import RefusedError
from visiomedia.livekit.tokens import grants_claim, sign

LIFE = 6 * 3600
"""Seconds that a visitor's token is good for."""

LONGEST_NAME = 64
ROOM = re.compile(r"[\w-]{1,64}")
IDENTITY = re.compile(r"[A-Za-z0-9-]{16,64}")


class Visitors:
    """``POST /api/token``: ``{room, name, identity?}`` to ``{token, identity}``, or ``{error}`` with its reason.

    ``identity`` is what an earlier answer said: who reloads the page comes back as the same participant.
    """

    def __init__(self, conference: Conference, keys: Mapping[str, str], *, are_let_in: bool) -> None:
        self._conference = conference
        self._key, self._secret = next(iter(keys.items()))
        self._are_let_in = are_let_in

    def routes(self) -> list[web.AbstractRouteDef]:
        """To be added to an application."""
        return [web.post("/api/token", self.give)]

    async def give(self, request: web.Request) -> web.Response:
        """A token."""
        if not self._are_let_in:
            return _refuse(403, "login_required")
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != request.host:
            # Another site's page must not let its readers into rooms.
            return _refuse(403, "other_origin")
        try:
            asked = await request.json()
        except ValueError:
            return _refuse(400, "bad_request")
        if not isinstance(asked, dict):
            return _refuse(400, "bad_request")
        room, name, identity = (asked.get(field) for field in ("room", "name", "identity"))
        name = " ".join(name.split())[:LONGEST_NAME] if isinstance(name, str) else ""
        if not isinstance(room, str) or not ROOM.fullmatch(room):
            return _refuse(400, "bad_room")
        if not name or not name.isprintable():
            return _refuse(400, "bad_name")
        if not isinstance(identity, str) or not IDENTITY.fullmatch(identity):
            identity = str(uuid.uuid4())
        refusal = self._refusal(room, name, identity)
        if refusal is not None:
            return _refuse(*refusal)
        return web.json_response(
            {"token": self._token(room, name, identity), "identity": identity}, headers={"Cache-Control": "no-store"}
        )

    def _refusal(self, name_of_room: str, name: str, identity: str) -> tuple[int, str] | None:
        """What a meeting under way has against a newcomer: told before cameras are opened for nothing."""
        room = self._conference.rooms.get(name_of_room)
        if room is None or identity in room.participants:
            return None
        if any(one.name.casefold() == name.casefold() for one in room.participants.values()):
            return 409, "name_taken"
        try:
            room.check_capacity(identity)
        except RefusedError:
            return 403, "room_full"
        return None

    def _token(self, room: str, name: str, identity: str) -> str:
        now = int(time.time())
        grants = Grants(room=room, room_join=True, can_update_own_metadata=True)
        claims: dict[str, Any] = {
            "iss": self._key,
            "sub": identity,
            "name": name,
            "nbf": now,
            "exp": now + LIFE,
            "video": grants_claim(grants),
        }
        return sign(claims, self._secret)


def _refuse(status: int, reason: str) -> web.Response:
    return web.json_response({"error": reason}, status=status, headers={"Cache-Control": "no-store"})

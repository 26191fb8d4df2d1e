"""Who may come in: the checks before a websocket opens, and how each refusal is said in HTTP."""

from collections.abc import Mapping

from visiomedia.conference.conference import Conference
from visiomedia.conference.grants import Grants
from visiomedia.conference.refusals import RefusedError
from visiomedia.errors import VisiomediaError
from visiomedia.livekit.settings import LiveKitSettings
from visiomedia.livekit.tokens import AccessToken, TokenError, verify

NO_SUCH_ROOM = "requested room does not exist"
"""Clients know it by this text: any other 404 makes them think that the path does not exist."""


class AccessRefusedError(VisiomediaError):
    """The answer to a request that is not let in."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text}")
        self.status = status
        self.text = text


def bearer(headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    """The token of a request, from its header or, where browsers cannot write one, from its query."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else query.get("access_token", "")


def admit(
    token: str, keys: Mapping[str, str], settings: LiveKitSettings, conference: Conference, unix_now: float
) -> tuple[AccessToken, Grants]:
    """Who comes, and what it may do. Raises AccessRefusedError."""
    if not token:
        raise AccessRefusedError(401, "no permissions to access the room")
    try:
        access = verify(token, keys, unix_now)
    except TokenError as error:
        raise AccessRefusedError(401, str(error)) from error
    if access.grants is None:
        raise AccessRefusedError(401, "no permissions to access the room")
    if not access.grants.room_join:
        raise AccessRefusedError(401, "permissions denied")
    if not access.grants.room:
        raise AccessRefusedError(400, "no room name")
    if not access.identity:
        raise AccessRefusedError(400, "identity cannot be empty")
    longest = settings.room.max_name
    for what, text in (("room name", access.grants.room), ("participant identity", access.identity)):
        if len(text) > longest:
            raise AccessRefusedError(400, f"{what} length exceeds limits: max length {longest}")
    _check_room(access, access.grants.room, settings, conference)
    return access, access.grants


def _check_room(access: AccessToken, name: str, settings: LiveKitSettings, conference: Conference) -> None:
    room = conference.rooms.get(name)
    if room is None:
        if not settings.auto_create:
            raise AccessRefusedError(404, NO_SUCH_ROOM)
        if len(conference.rooms) >= conference.max_rooms:
            raise AccessRefusedError(429, "there are too many rooms")
        return
    try:
        room.check_capacity(access.identity)
    except RefusedError as error:
        # 403 and not 404: clients take it for what it is, and do not try again.
        raise AccessRefusedError(403, str(error)) from error

"""Access tokens: JSON web tokens (RFC 7519) signed with HMAC SHA-256, and the grants that they carry."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from jwt.warnings import InsecureKeyLengthWarning

from visiomedia.conference.grants import Grants
from visiomedia.conference.participant import Participant, ParticipantKind
from visiomedia.conference.track import Source
from visiomedia.errors import AuthenticationError

ALGORITHM = "HS256"

LEEWAY = 60.0
"""Seconds that two clocks may differ by."""

LEAST_LIFE = 600.0
"""Seconds that a refreshed token lives at least."""

_FLAGS = {
    "roomJoin": "room_join",
    "roomAdmin": "room_admin",
    "canPublish": "can_publish",
    "canSubscribe": "can_subscribe",
    "canPublishData": "can_publish_data",
    "canUpdateOwnMetadata": "can_update_own_metadata",
    "hidden": "hidden",
    "recorder": "recorder",
    "agent": "agent",
}
_ALWAYS_SAID = ("canPublish", "canSubscribe", "canPublishData")
"""Absent ones would mean yes."""


class TokenError(AuthenticationError):
    """A token is not one, or is not valid here and now. Its text never holds the token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """What a valid token says."""

    key: str
    """Whose secret signed it."""
    identity: str = ""
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    kind: ParticipantKind = ParticipantKind.STANDARD
    grants: Grants | None = None
    """None where it grants nothing of rooms."""
    expires_at: float | None = None
    """Unix seconds."""
    claims: Mapping[str, Any] = field(default_factory=dict)
    """Everything it says."""


def verify(token: str, keys: Mapping[str, str], unix_now: float) -> AccessToken:
    """A token's claims.

    Args:
        token: as the client sent it.
        keys: secrets by API key.
        unix_now: Unix seconds.

    Raises:
        TokenError: it is no token, of an unknown key, wrongly signed, expired or not yet valid.
    """
    try:
        unverified = jwt.decode(token, options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError) as error:
        raise TokenError("invalid authorization token") from error
    key = _text(unverified, "iss")
    if key not in keys:
        raise TokenError(f"invalid API key: {key[:64]}")
    try:
        claims = _decode(token, keys[key])
    except (jwt.InvalidTokenError, ValueError) as error:
        raise TokenError("invalid token: its signature is not valid") from error
    expires_at, begins_at = _time(claims, "exp"), _time(claims, "nbf")
    if expires_at is not None and unix_now > expires_at + LEEWAY:
        raise TokenError("invalid token: it is expired")
    if begins_at is not None and unix_now < begins_at - LEEWAY:
        raise TokenError("invalid token: it is not valid yet")
    return AccessToken(
        key=key,
        identity=_text(claims, "sub"),
        name=_text(claims, "name"),
        metadata=_text(claims, "metadata"),
        attributes=_attributes(claims.get("attributes")),
        kind=_kind(claims.get("kind")),
        grants=_grants(claims.get("video")),
        expires_at=expires_at,
        claims=claims,
    )


def refresh(token: AccessToken, participant: Participant, secret: str, unix_now: float) -> str:
    """A token to come back with: the participant as it is now, with the old token's end, or ten minutes."""
    assert token.grants is not None, "somebody has joined with it"
    video = dict(token.claims.get("video") or {}) | grants_claim(participant.grants)
    claims: dict[str, Any] = {
        "iss": token.key,
        "sub": participant.identity,
        "identity": participant.identity,
        "nbf": int(unix_now),
        "iat": int(unix_now),
        "exp": int(max(token.expires_at or 0.0, unix_now + LEAST_LIFE)),
        "kind": participant.kind.value,
        "video": video,
    }
    if participant.name:
        claims["name"] = participant.name
    if participant.metadata:
        claims["metadata"] = participant.metadata
    if participant.attributes:
        claims["attributes"] = participant.attributes
    return sign(claims, secret)


def sign(claims: Mapping[str, Any], secret: str) -> str:
    """A token."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyLengthWarning)
        return jwt.encode(dict(claims), secret, ALGORITHM)


def grants_claim(grants: Grants) -> dict[str, Any]:
    """The ``video`` claim of grants."""
    claim: dict[str, Any] = {"room": grants.room}
    for name, attribute in _FLAGS.items():
        value = getattr(grants, attribute)
        if value or name in _ALWAYS_SAID:
            claim[name] = value
    if grants.can_publish_sources:
        claim["canPublishSources"] = sorted(source.value for source in grants.can_publish_sources)
    return claim


def _decode(token: str, secret: str) -> dict[str, Any]:
    # Times are compared above, with the caller's clock; LiveKit's tokens have no audience.
    unchecked = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
    with warnings.catch_warnings():
        # A short secret is the operator's choice: it is said at start, not with each token.
        warnings.simplefilter("ignore", InsecureKeyLengthWarning)
        return jwt.decode(token, secret, algorithms=[ALGORITHM], options=unchecked)  # type: ignore[arg-type]  # a partial TypedDict


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TokenError(f"invalid token: {name} is no time")
    return float(value)


def _attributes(value: object) -> dict[str, str]:
    """Applications write null for an attribute that somebody does not have."""
    if not isinstance(value, Mapping):
        return {}
    return {key: text for key, text in value.items() if isinstance(key, str) and isinstance(text, str)}


def _kind(value: object) -> ParticipantKind:
    return next((kind for kind in ParticipantKind if kind.value == value), ParticipantKind.STANDARD)


def _grants(claim: object) -> Grants | None:
    if not isinstance(claim, Mapping):
        return None
    flags = {attribute: claim[name] for name, attribute in _FLAGS.items() if isinstance(claim.get(name), bool)}
    names = claim.get("canPublishSources")
    sources = {source for source in Source if isinstance(names, list) and source.value in names}
    if isinstance(names, list) and names and not sources:
        # Only sources that we do not know: none of ours. An empty set would be all of them.
        flags["can_publish"] = False
    return Grants(room=_text(claim, "room"), can_publish_sources=frozenset(sources), **flags)

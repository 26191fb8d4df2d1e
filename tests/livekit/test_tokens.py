"""Access tokens: what is believed, and what is refused in which words."""

import warnings
from typing import Any

import jwt
import pytest

from visiomedia.conference.conference import Conference
from visiomedia.conference.grants import Grants
from visiomedia.conference.participant import ParticipantKind
from visiomedia.conference.settings import RoomSettings
from visiomedia.conference.track import Source
from visiomedia.livekit.access import AccessRefusedError, admit, bearer
from visiomedia.livekit.settings import LiveKitSettings
from visiomedia.livekit.tokens import TokenError, sign, verify

NOW = 1_800_000_000
SECRET = "s" * 64
KEYS = {"key": SECRET}
VIDEO = {"roomJoin": True, "room": "r1"}
CLAIMS: dict[str, Any] = {"iss": "key", "sub": "alice", "nbf": NOW - 10, "exp": NOW + 600, "video": VIDEO}


def token(**changes: Any) -> str:
    return sign({key: value for key, value in (CLAIMS | changes).items() if value is not None}, SECRET)


def test_claims_become_grants() -> None:
    video = VIDEO | {"canPublish": True, "canSubscribe": False, "canPublishSources": ["camera", "screen_share_audio"]}
    access = verify(
        token(
            video=video | {"hidden": True},
            name="Alice",
            metadata="m",
            kind="agent",
            # Visio writes null for who has no role.
            attributes={"color": "red", "room_role": None},
        ),
        KEYS,
        NOW,
    )
    assert (access.identity, access.name, access.metadata, access.kind) == (
        "alice",
        "Alice",
        "m",
        ParticipantKind.AGENT,
    )
    assert access.attributes == {"color": "red"}
    assert access.grants == Grants(
        room="r1",
        room_join=True,
        can_subscribe=False,
        hidden=True,
        can_publish_sources=frozenset({Source.CAMERA, Source.SCREEN_SHARE_AUDIO}),
    )


def test_what_a_token_does_not_say_is_allowed_except_administration() -> None:
    grants = verify(token(), KEYS, NOW).grants
    assert grants is not None
    assert grants.can_publish and grants.can_subscribe and grants.can_publish_data
    assert not (grants.room_admin or grants.can_update_own_metadata or grants.hidden or grants.recorder)


@pytest.mark.parametrize(("sources", "may"), [([], True), (["camera"], True), (["microphone"], False), (["x"], False)])
def test_an_empty_list_of_sources_is_every_source(sources: list[str], may: bool) -> None:
    grants = verify(token(video=VIDEO | {"canPublishSources": sources}), KEYS, NOW).grants
    assert grants is not None and grants.may_publish(Source.CAMERA) is may


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("abc", "invalid authorization token"),
        ("a.b.c", "invalid authorization token"),
        (token(iss="nokey"), "invalid API key: nokey"),
        (token(iss=None), "invalid API key: "),
        (sign(CLAIMS, "x" * 32), "signature"),
        (jwt.encode(CLAIMS, "", "none"), "signature"),
        (jwt.encode(CLAIMS, SECRET, "HS512"), "signature"),
        (token(exp=NOW - 3600), "expired"),
        (token(nbf=NOW + 3600), "not valid yet"),
        (token(exp="soon"), "exp is no time"),
        (token() + "x", "signature"),
    ],
)
def test_a_token_that_is_not_valid_is_refused_and_not_repeated(text: str, reason: str) -> None:
    with pytest.raises(TokenError, match=reason) as caught:
        verify(text, KEYS, NOW)
    assert text not in str(caught.value)


@pytest.mark.parametrize("exp", [NOW - 30, None])
def test_a_little_late_or_without_end_is_valid(exp: int | None) -> None:
    assert verify(token(exp=exp), KEYS, NOW).identity == "alice"


def test_a_short_secret_warns_nobody_at_each_token() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert verify(sign(CLAIMS, "secret"), {"key": "secret"}, NOW).identity == "alice"


@pytest.mark.parametrize(
    ("text", "status", "body"),
    [
        ("", 401, "no permissions to access the room"),
        ("abc", 401, "invalid authorization token"),
        (token(video=None), 401, "no permissions to access the room"),
        (token(video={"room": "r1"}), 401, "permissions denied"),
        (token(video={"roomJoin": True}), 400, "no room name"),
        (token(sub=None), 400, "identity cannot be empty"),
        (token(sub="x" * 300), 400, "participant identity length exceeds limits: max length 256"),
        (token(video=VIDEO | {"room": "x" * 300}), 400, "room name length exceeds limits: max length 256"),
    ],
)
def test_refusals_have_the_status_and_words_that_clients_know(text: str, status: int, body: str) -> None:
    with pytest.raises(AccessRefusedError) as caught:
        admit(text, KEYS, LiveKitSettings(), Conference(), NOW)
    assert (caught.value.status, caught.value.text) == (status, body)


def test_a_room_that_is_not_made_by_joining_does_not_exist() -> None:
    conference = Conference()
    settings = LiveKitSettings(auto_create=False)
    with pytest.raises(AccessRefusedError) as caught:
        admit(token(), KEYS, settings, conference, NOW)
    assert (caught.value.status, caught.value.text) == (404, "requested room does not exist")
    conference.open("r1", 0.0)
    assert admit(token(), KEYS, settings, conference, NOW)[0].identity == "alice"


def test_a_full_room_forbids() -> None:
    from visiomedia.conference.participant import Arrival

    conference = Conference(RoomSettings(max_participants=1))
    conference.open("r1", 0.0).join(Arrival(identity="bob", grants=Grants()), 0.0)
    with pytest.raises(AccessRefusedError) as caught:
        admit(token(), KEYS, LiveKitSettings(), conference, NOW)
    assert caught.value.status == 403
    assert admit(token(sub="bob"), KEYS, LiveKitSettings(), conference, NOW)[0].identity == "bob"


def test_the_token_is_read_from_header_or_query() -> None:
    assert bearer({"Authorization": "Bearer abc"}, {"access_token": "x"}) == "abc"
    assert bearer({}, {"access_token": "x"}) == "x"
    assert bearer({"Authorization": "Basic abc"}, {}) == ""

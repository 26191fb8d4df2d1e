"""Who is there, who is told what and when."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.conference.gathering import Gathering, media
from visiomedia.conference.conference import Conference
from visiomedia.conference.events import (
    GrantsChanged,
    MuteAsked,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantsUpdated,
    Removed,
    RoomClosed,
    RoomUpdated,
    TrackPublished,
    TrackTaken,
    TrackUnpublished,
)
from visiomedia.conference.grants import Grants
from visiomedia.conference.identifiers import ALPHABET, new_identifier
from visiomedia.conference.participant import Arrival, LeaveReason, ParticipantState
from visiomedia.conference.refusals import Refusal, RefusedError
from visiomedia.conference.settings import RoomSettings
from visiomedia.conference.track import Kind, Source, TrackDescription
from visiomedia.errors import ConfigurationError


def updates(events: Sequence[object]) -> list[list[str]]:
    """Identities that each update names."""
    return [[one.identity for one in event.participants] for event in events if isinstance(event, ParticipantsUpdated)]


def test_identifiers_are_a_prefix_and_twelve_unmistakable_characters() -> None:
    identifier = new_identifier("PA_", lambda size: bytes(range(size)))
    assert identifier.startswith("PA_") and len(identifier) == 15
    assert set(identifier[3:]) <= set(ALPHABET)
    assert new_identifier("PA_", lambda size: bytes(size)) == "PA_" + "2" * 12


def test_sids_name_what_they_are_of() -> None:
    gathering = Gathering()
    alice = gathering.join("alice")
    assert gathering.room.sid.startswith("RM_") and alice.sid.startswith("PA_")
    assert gathering.publish(alice).sid.startswith("TR_AM")


def test_the_first_change_is_told_at_once_and_what_follows_within_the_interval_together() -> None:
    gathering = Gathering()
    alice = gathering.join("alice")
    assert updates(gathering.events()) == [["alice"]]
    for number in range(20):
        gathering.join(f"guest{number}")
    gathering.room.update_participant(alice, gathering.now, name="Alice")
    assert updates(gathering.events()) == []
    assert updates(gathering.advance(0.099)) == []
    (together,) = updates(gathering.advance(0.002))
    assert together == [*(f"guest{number}" for number in range(20)), "alice"]
    assert updates(gathering.advance(10)) == []


def test_a_change_after_a_quiet_time_is_told_at_once() -> None:
    gathering = Gathering()
    alice = gathering.join("alice")
    gathering.advance(1)
    gathering.room.update_participant(alice, gathering.now, name="Alice")
    assert updates(gathering.events()) == [["alice"]]


def test_versions_rise_with_each_change() -> None:
    gathering = Gathering()
    alice = gathering.join("alice")
    versions = [alice.version]
    track = gathering.publish(alice)
    versions.append(alice.version)
    gathering.room.set_muted(track, True, gathering.now)
    versions.append(alice.version)
    gathering.room.leave(alice, LeaveReason.CLIENT_INITIATED, gathering.now)
    versions.append(alice.version)
    assert versions == sorted(set(versions))


def test_who_is_joining_is_told_to_others_when_its_media_flow() -> None:
    gathering = Gathering()
    gathering.join("alice")
    gathering.advance(1)
    bob = gathering.join("bob", is_active=False)
    assert updates(gathering.advance(1)) == []
    assert [one.identity for one in gathering.room.visible(bob)] == ["alice"]
    gathering.room.activate(bob, gathering.now)
    events = gathering.events()
    assert updates(events) == [["bob"]]
    assert [one.participant for one in events if isinstance(one, ParticipantJoined)] == [bob]


def test_how_many_are_there_is_told_once_an_interval() -> None:
    gathering = Gathering(room_interval=1.0)
    gathering.join("alice")
    gathering.advance(5)
    for number in range(5):
        gathering.join(f"guest{number}")
    told = [event for event in gathering.advance(3) if isinstance(event, RoomUpdated)]
    assert len(told) == 2
    assert gathering.room.participant_count == 6


def test_metadata_of_the_room_are_told_at_once() -> None:
    gathering = Gathering()
    alice = gathering.join("alice")
    gathering.events()
    gathering.room.set_metadata("{}")
    (event,) = gathering.events()
    assert isinstance(event, RoomUpdated) and event.recipients == (alice,)


def test_a_second_stay_replaces_the_first_and_is_told_instead_of_its_end() -> None:
    gathering = Gathering()
    gathering.join("bob")
    first = gathering.join("alice")
    gathering.publish(first)
    gathering.advance(1)
    second = gathering.join("alice", is_active=False)
    events = gathering.events()
    assert [(one.recipient, one.reason) for one in events if isinstance(one, Removed)] == [
        (first, LeaveReason.DUPLICATE_IDENTITY)
    ]
    assert updates(events) == []
    assert first.state is ParticipantState.DISCONNECTED and not first.tracks
    gathering.room.activate(second, gathering.now)
    (event,) = [one for one in gathering.advance(1) if isinstance(one, ParticipantsUpdated)]
    assert event.participants == (second,)
    # The first one's late goodbye means nothing to the second.
    gathering.room.leave(first, LeaveReason.SIGNAL_CLOSE, gathering.now)
    assert gathering.room.participants["alice"] is second


def test_the_house_is_told_of_everybody_who_came_and_every_track() -> None:
    gathering = Gathering()
    alice = gathering.join("alice")
    track = gathering.publish(alice)
    never = gathering.join("never", is_active=False)
    for participant in (never, alice):
        gathering.room.leave(participant, LeaveReason.CLIENT_INITIATED, gathering.now)
    kinds = (ParticipantJoined, ParticipantLeft, TrackPublished, TrackUnpublished, RoomClosed)
    told = [event for event in gathering.advance(60) if isinstance(event, kinds)]
    assert [type(event) for event in told] == [
        ParticipantJoined,
        TrackPublished,
        TrackUnpublished,
        ParticipantLeft,
        RoomClosed,
    ]
    assert isinstance(told[1], TrackPublished) and told[1].track is track


def test_a_room_that_nobody_joins_ends() -> None:
    gathering = Gathering(empty_timeout=300.0)
    assert gathering.advance(299) == []
    assert [type(event) for event in gathering.advance(2)] == [RoomClosed]
    assert gathering.room.is_closed


def test_a_room_that_everybody_has_left_ends_unless_somebody_comes_back() -> None:
    gathering = Gathering(departure_timeout=20.0)
    alice = gathering.join("alice")
    gathering.advance(1000)
    gathering.room.leave(alice, LeaveReason.CLIENT_INITIATED, gathering.now)
    gathering.advance(19)
    alice = gathering.join("alice")
    gathering.advance(1000)
    assert not gathering.room.is_closed
    gathering.room.leave(alice, LeaveReason.CLIENT_INITIATED, gathering.now)
    gathering.advance(21)
    assert gathering.room.is_closed


def test_limits_of_participants_and_sizes() -> None:
    gathering = Gathering(max_participants=2, max_metadata=10, max_attributes=10, max_name=5)
    alice = gathering.join("alice")
    too_large: list[dict[str, Any]] = [{"name": "x" * 6}, {"metadata": "é" * 6}, {"attributes": {"key": "x" * 8}}]
    for changes in too_large:
        with pytest.raises(RefusedError) as refused:
            gathering.room.update_participant(alice, gathering.now, **changes)
        assert refused.value.refusal is Refusal.LIMIT_EXCEEDED
    assert (alice.name, alice.metadata, alice.attributes) == ("", "", {})
    with pytest.raises(RefusedError):
        gathering.room.set_metadata("x" * 11)
    gathering.join("bob")
    with pytest.raises(RefusedError):
        gathering.join("carol")
    assert set(gathering.room.participants) == {"alice", "bob"}


def test_limits_of_tracks() -> None:
    gathering = Gathering(max_tracks_of_one=2, max_tracks=3)
    alice, bob = gathering.join("alice"), gathering.join("bob")
    gathering.publish(alice, "1")
    track = gathering.publish(alice, "2")
    with pytest.raises(RefusedError):
        gathering.publish(alice, "3")
    gathering.publish(bob, "4")
    with pytest.raises(RefusedError):
        gathering.publish(bob, "5")
    gathering.room.unpublish(track, gathering.now)
    gathering.publish(bob, "5")


@pytest.mark.parametrize("is_live", [True, False])
def test_a_cid_is_announced_once(is_live: bool) -> None:
    gathering = Gathering()
    alice = gathering.join("alice")
    description = TrackDescription(cid="mic", kind=Kind.AUDIO)
    track = gathering.room.announce(alice, description)
    if is_live:
        gathering.room.publish(track, media(), gathering.now)
    with pytest.raises(RefusedError) as refused:
        gathering.room.announce(alice, description)
    assert refused.value.refusal is Refusal.DUPLICATE
    gathering.room.unpublish(track, gathering.now)
    gathering.room.announce(alice, description)


def test_an_attribute_that_becomes_empty_is_deleted_and_others_stay() -> None:
    gathering = Gathering()
    arrival = Arrival(identity="alice", grants=Grants(), attributes={"a": "1", "b": "2", "c": ""})
    alice = gathering.room.join(arrival, gathering.now)
    assert alice.attributes == {"a": "1", "b": "2"}
    gathering.room.update_participant(alice, gathering.now, attributes={"a": "", "d": "4"})
    assert alice.attributes == {"b": "2", "d": "4"}
    assert any(isinstance(event, GrantsChanged) for event in gathering.events())


def test_tracks_that_are_no_longer_allowed_end_and_their_publisher_is_told() -> None:
    gathering = Gathering()
    alice = gathering.join("alice")
    microphone = gathering.publish(alice)
    camera = gathering.publish(alice, "cam", Source.CAMERA)
    gathering.events()
    gathering.room.update_participant(
        alice, gathering.now, grants=Grants(can_publish_sources=frozenset({Source.MICROPHONE}))
    )
    assert list(alice.tracks.values()) == [microphone]
    assert [event.track for event in gathering.events() if isinstance(event, TrackTaken)] == [camera]


def test_a_mute_that_is_asked_for_counts_at_once_and_is_asked_once() -> None:
    gathering = Gathering()
    track = gathering.publish(gathering.join("alice"))
    gathering.events()
    gathering.room.ask_to_mute(track, gathering.now)
    gathering.room.ask_to_mute(track, gathering.now)
    assert track.is_muted
    assert len([event for event in gathering.events() if isinstance(event, MuteAsked)]) == 1


def test_hidden_participants_are_not_counted_and_recorders_are_noticed() -> None:
    gathering = Gathering()
    alice = gathering.join("alice")
    gathering.advance(1)
    ghost = gathering.join("ghost", hidden=True, recorder=True)
    assert gathering.room.participant_count == 1 and gathering.room.is_recorded
    events = gathering.advance(1)
    assert any(isinstance(event, RoomUpdated) for event in events)
    told = [event for event in events if isinstance(event, ParticipantsUpdated)]
    assert [event.recipients for event in told] == [(ghost,)]
    assert gathering.room.visible(alice) == []
    gathering.room.leave(ghost, LeaveReason.CLIENT_INITIATED, gathering.now)
    assert updates(gathering.advance(1)) == [] and not gathering.room.is_recorded


def test_a_message_reaches_those_named_and_never_its_sender() -> None:
    gathering = Gathering()
    alice, bob, carol = (gathering.join(name) for name in ("alice", "bob", "carol"))
    room = gathering.room
    assert room.audience(alice) == [bob, carol]
    assert room.audience(None) == [alice, bob, carol]
    assert room.audience(alice, ["bob", "alice", "nobody"]) == [bob]
    assert room.audience(alice, ["bob"], [carol.sid]) == [bob, carol]
    assert room.audience(alice, ["nobody"]) == []


def test_everybody_is_told_when_a_room_is_closed() -> None:
    gathering = Gathering()
    people = [gathering.join(name) for name in ("alice", "bob")]
    gathering.advance(1)
    gathering.room.close(LeaveReason.ROOM_DELETED, gathering.now)
    events = gathering.events()
    assert [(one.recipient, one.reason) for one in events if isinstance(one, Removed)] == [
        (participant, LeaveReason.ROOM_DELETED) for participant in people
    ]
    assert gathering.room.next_timeout() is None
    with pytest.raises(RefusedError):
        gathering.join("carol")


def test_rooms_are_made_when_they_are_opened_and_go_when_they_end() -> None:
    conference = Conference(RoomSettings(empty_timeout=10.0), max_rooms=2)
    first = conference.open("a", 0.0)
    assert conference.open("a", 1.0) is first
    conference.open("b", 5.0)
    with pytest.raises(RefusedError):
        conference.open("c", 5.0)
    assert conference.next_timeout() == 10.0
    conference.handle_timeout(11.0)
    assert [(room.name, type(event)) for room, event in conference.events()] == [("a", RoomClosed)]
    assert list(conference.rooms) == ["b"]
    assert conference.open("a", 12.0) is not first


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ConfigurationError):
        RoomSettings(empty_timeout=-1)
    with pytest.raises(ConfigurationError):
        RoomSettings(max_tracks=-1)
    with pytest.raises(ConfigurationError):
        Conference(max_rooms=0)

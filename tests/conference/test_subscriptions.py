"""Who is sent which track."""

import itertools
from collections.abc import Sequence

import pytest

from tests.conference.gathering import Gathering
from visiomedia.conference.events import (
    ParticipantsUpdated,
    SubscriptionEnded,
    SubscriptionPermissionChanged,
    SubscriptionStarted,
    TrackReceived,
)
from visiomedia.conference.grants import Grants
from visiomedia.conference.participant import LeaveReason
from visiomedia.conference.refusals import RefusedError
from visiomedia.conference.subscriptions import MAX_WISHES, SubscriptionPolicy, TrackSettings
from visiomedia.conference.track import Quality, Source

CHANGES = (SubscriptionStarted, SubscriptionEnded, SubscriptionPermissionChanged)


def changes(events: Sequence[object]) -> list[tuple[str, str]]:
    return [(type(event).__name__, event.recipient.identity) for event in events if isinstance(event, CHANGES)]


@pytest.mark.parametrize(
    ("publisher_hidden", "can_subscribe", "auto", "asked", "policy"),
    list(itertools.product([False, True], [False, True], [False, True], [None, False, True], [False, True])),
)
def test_every_combination_of_grant_wish_and_permission(
    publisher_hidden: bool, can_subscribe: bool, auto: bool, asked: bool | None, policy: bool
) -> None:
    gathering = Gathering()
    alice = gathering.join("alice", hidden=publisher_hidden)
    bob = gathering.join("bob", can_subscribe=can_subscribe, auto_subscribe=auto)
    gathering.room.set_subscription_policy(alice, SubscriptionPolicy(all_participants=policy))
    track = gathering.publish(alice)
    gathering.advance(1)
    if asked is not None:
        gathering.room.subscribe(bob, [track.sid], asked, gathering.now)
    wanted = auto if asked is None else asked
    expected = can_subscribe and not publisher_hidden and wanted and policy
    assert gathering.room.subscriptions.is_active(bob, track) is expected
    assert not gathering.room.subscriptions.is_active(alice, track)


def test_a_track_starts_after_its_publisher_was_told_and_its_permission() -> None:
    gathering = Gathering()
    alice = gathering.join("alice")
    gathering.join("bob")
    gathering.advance(1)
    gathering.publish(alice)
    kinds = [type(event) for event in gathering.events() if isinstance(event, (ParticipantsUpdated, *CHANGES))]
    assert kinds == [ParticipantsUpdated, SubscriptionPermissionChanged, SubscriptionStarted]


def test_a_track_published_within_the_interval_starts_with_its_update() -> None:
    gathering = Gathering()
    alice = gathering.join("alice")
    gathering.join("bob")
    gathering.publish(alice)
    assert changes(gathering.events()) == []
    assert changes(gathering.advance(0.2)) == [("SubscriptionPermissionChanged", "bob"), ("SubscriptionStarted", "bob")]


def test_who_joins_late_is_sent_what_is_there_once() -> None:
    gathering = Gathering()
    gathering.publish(gathering.join("alice"))
    gathering.join("bob", is_active=False)
    started = [one for one in changes(gathering.advance(1)) if one[0] == "SubscriptionStarted"]
    assert started == [("SubscriptionStarted", "bob")]


def test_a_wish_for_a_track_that_does_not_exist_yet_holds_when_it_does() -> None:
    gathering = Gathering()
    alice = gathering.join("alice")
    bob = gathering.join("bob", auto_subscribe=False)
    gathering.advance(1)
    track = gathering.publish(alice)
    sid = track.sid
    gathering.room.unpublish(track, gathering.now)
    gathering.room.subscribe(bob, [sid, "TR_later"], True, gathering.now)
    assert gathering.room.subscriptions.active(bob) == set()
    with pytest.raises(RefusedError):
        gathering.room.subscribe(bob, (f"TR_{number}" for number in range(MAX_WISHES)), True, gathering.now)


@pytest.mark.parametrize(
    ("policy", "bob_may", "carol_may"),
    [
        (SubscriptionPolicy(), True, True),
        (SubscriptionPolicy(all_participants=False), False, False),
        (SubscriptionPolicy(all_participants=False, all_tracks=frozenset({"bob"})), True, False),
        (SubscriptionPolicy(all_participants=False, tracks={"carol": frozenset({"?"})}), False, True),
        (SubscriptionPolicy(all_participants=False, tracks={"carol": frozenset({"TR_x"})}), False, False),
    ],
)
def test_a_publisher_may_name_who_gets_what(policy: SubscriptionPolicy, bob_may: bool, carol_may: bool) -> None:
    gathering = Gathering()
    alice, bob, carol = (gathering.join(name) for name in ("alice", "bob", "carol"))
    track = gathering.publish(alice)
    gathering.advance(1)
    named = {who: frozenset(track.sid if sid == "?" else sid for sid in sids) for who, sids in policy.tracks.items()}
    policy = SubscriptionPolicy(all_participants=policy.all_participants, all_tracks=policy.all_tracks, tracks=named)
    gathering.room.set_subscription_policy(alice, policy)
    active = gathering.room.subscriptions.is_active
    assert (active(bob, track), active(carol, track)) == (bob_may, carol_may)


def test_what_is_forbidden_is_said_once_and_what_is_allowed_again_starts() -> None:
    gathering = Gathering()
    alice = gathering.join("alice")
    gathering.join("bob")
    gathering.publish(alice)
    gathering.advance(1)
    closed, open_ = SubscriptionPolicy(all_participants=False), SubscriptionPolicy()
    gathering.room.set_subscription_policy(alice, closed)
    gathering.room.set_subscription_policy(alice, closed)
    assert changes(gathering.events()) == [("SubscriptionPermissionChanged", "bob"), ("SubscriptionEnded", "bob")]
    gathering.room.set_subscription_policy(alice, open_)
    assert changes(gathering.events()) == [("SubscriptionPermissionChanged", "bob"), ("SubscriptionStarted", "bob")]


def test_grants_that_change_start_and_end_subscriptions() -> None:
    gathering = Gathering()
    alice, bob = gathering.join("alice"), gathering.join("bob")
    gathering.publish(alice)
    gathering.advance(1)
    gathering.room.update_participant(bob, gathering.now, grants=Grants(can_subscribe=False))
    assert ("SubscriptionEnded", "bob") in changes(gathering.events())
    gathering.room.update_participant(bob, gathering.now, grants=Grants())
    assert ("SubscriptionStarted", "bob") in changes(gathering.events())
    gathering.room.update_participant(alice, gathering.now, grants=Grants(hidden=True))
    assert ("SubscriptionEnded", "bob") in changes(gathering.events())


def test_subscriptions_end_with_the_track_and_with_its_publisher() -> None:
    gathering = Gathering()
    alice, bob = gathering.join("alice"), gathering.join("bob")
    first, second = gathering.publish(alice), gathering.publish(alice, "cam", Source.CAMERA)
    gathering.advance(1)
    gathering.room.unpublish(first, gathering.now)
    assert changes(gathering.events()) == [("SubscriptionEnded", "bob")]
    gathering.room.leave(alice, LeaveReason.CLIENT_INITIATED, gathering.now)
    assert changes(gathering.events()) == [("SubscriptionEnded", "bob")]
    assert gathering.room.subscriptions.active(bob) == set() and second.media is None


def test_the_first_reception_is_told_to_the_publisher() -> None:
    gathering = Gathering()
    alice, bob, carol = (gathering.join(name) for name in ("alice", "bob", "carol"))
    track = gathering.publish(alice)
    gathering.advance(1)
    for receiver in (alice, bob, carol, bob):
        gathering.room.received(receiver, track)
    assert [event.recipient for event in gathering.events() if isinstance(event, TrackReceived)] == [alice]


def test_settings_are_kept_while_the_track_lives() -> None:
    gathering = Gathering()
    alice, bob = gathering.join("alice"), gathering.join("bob")
    track = gathering.publish(alice)
    settings = TrackSettings(quality=Quality.LOW, is_disabled=True)
    gathering.room.set_track_settings(bob, [track.sid, "TR_unknown"], settings)
    assert gathering.room.subscriptions.settings(bob, track) == settings
    gathering.room.unpublish(track, gathering.now)
    assert gathering.room.subscriptions.settings(bob, track) == TrackSettings()

"""What a session answers, and what the others are told."""

import json
from typing import Any

import pytest
from livekit.protocol import models, rtc

from tests.livekit.fakes import FakeSubscriber
from tests.livekit.scene import CAMERA, EPOCH, MICROPHONE, Scene, answer_to, as_json, claims_of, kind_of, offer_of, only
from visiomedia.conference.grants import Grants
from visiomedia.conference.participant import LeaveReason, ParticipantState
from visiomedia.conference.settings import RoomSettings
from visiomedia.conference.track import Quality, Source
from visiomedia.errors import CapacityError, ParseError
from visiomedia.livekit.client import Client
from visiomedia.livekit.settings import LiveKitSettings

LOST, POOR, EXCELLENT = (models.ConnectionQuality.Value(name) for name in ("LOST", "POOR", "EXCELLENT"))


def test_join_is_first_and_the_subscriber_is_offered_channels_for_data() -> None:
    scene = Scene()
    alice = scene.join("alice", connects=False)
    messages = alice.hear()
    assert [kind_of(one) for one in messages] == ["join", "refresh_token", "offer", "trickle"]
    join = messages[0].join
    assert join.subscriber_primary and join.fast_publish
    assert (join.ping_interval, join.ping_timeout) == (5, 15)
    assert join.participant.state == models.ParticipantInfo.JOINING
    assert "webrtc-datachannel" in messages[2].offer.sdp
    assert set(alice.subscriber.channels) == {"_reliable", "_lossy"}
    candidate = json.loads(messages[3].trickle.candidateInit)
    assert set(candidate) == {"candidate", "sdpMid", "sdpMLineIndex"} and candidate["sdpMid"] == "0"
    assert messages[3].trickle.final and messages[3].trickle.target == rtc.SignalTarget.SUBSCRIBER


def test_who_may_not_subscribe_is_not_offered_anything() -> None:
    scene = Scene()
    alice = scene.join("alice", can_subscribe=False, connects=False)
    messages = alice.hear()
    assert [kind_of(one) for one in messages] == ["join", "refresh_token"]
    assert not messages[0].join.subscriber_primary
    alice.publisher.connect()
    assert alice.participant.state is ParticipantState.ACTIVE


def test_a_client_without_a_protocol_is_not_offered_first() -> None:
    alice = Scene().join("alice", client=Client(), connects=False)
    assert not only(alice.hear(), "join").join.subscriber_primary


def test_published_tracks_are_told_before_they_are_offered() -> None:
    scene = Scene()
    alice, bob = scene.join("alice"), scene.join("bob")
    scene.advance(2)
    alice.hear(), bob.hear()
    sid = alice.publish(CAMERA)
    messages = bob.hear()
    kinds = [kind_of(one) for one in messages if kind_of(one) != "room_update"]
    assert kinds == ["update", "subscription_permission_update", "offer"]
    info = only(messages, "update").update.participants[0]
    assert info.identity == "alice" and info.is_publisher
    assert info.tracks[0].sid == sid and info.tracks[0].mime_type == "video/VP8" and info.tracks[0].mid == "1"
    offer = only(messages, "offer").offer
    assert dict(offer.mid_to_track_id) == {"1": sid}
    assert f"a=msid:{alice.participant.sid}|{sid} {sid}" in offer.sdp


def test_only_one_offer_waits_for_its_answer_and_what_comes_meanwhile_goes_into_the_next() -> None:
    scene = Scene()
    alice, bob = scene.join("alice"), scene.join("bob")
    camera = alice.publish(CAMERA)
    scene.advance(1)
    first = only(bob.hear(), "offer").offer
    microphone = alice.publish(MICROPHONE)
    scene.advance(1)
    assert "offer" not in bob.kinds()
    second = only(bob.answer(), "offer").offer
    assert second.id == first.id + 1
    assert set(dict(second.mid_to_track_id).values()) == {camera, microphone}
    assert "offer" not in [kind_of(one) for one in bob.answer()]


def test_an_answer_to_an_older_offer_is_passed_over() -> None:
    scene = Scene()
    alice, bob = scene.join("alice"), scene.join("bob")
    alice.publish(CAMERA)
    scene.advance(1)
    offer = only(bob.hear(), "offer").offer
    old = answer_to(bob.subscriber.offers[0])
    assert bob.say(answer=rtc.SessionDescription(type="answer", sdp=old, id=offer.id - 1)) == []
    assert bob.subscriber.is_negotiating and bob.participant.is_present


def test_the_publisher_learns_that_somebody_receives_it_once() -> None:
    scene = Scene()
    alice, bob, carol = scene.join("alice"), scene.join("bob"), scene.join("carol")
    sid = alice.publish(CAMERA)
    scene.advance(1)
    alice.hear()
    bob.answer()
    assert only(alice.hear(), "track_subscribed").track_subscribed.track_sid == sid
    carol.answer()
    assert "track_subscribed" not in alice.kinds()


def test_a_track_becomes_live_whichever_of_announcement_and_offer_comes_first() -> None:
    scene = Scene()
    alice = scene.join("alice")
    answer = only(alice.offer(["cam"], identifier=9), "answer").answer
    assert answer.id == 9
    assert not alice.participant.tracks
    alice.say(add_track=CAMERA)
    assert [track.description.cid for track in alice.participant.tracks.values()] == ["cam"]


def test_a_track_ends_with_its_section() -> None:
    scene = Scene()
    alice, bob = scene.join("alice"), scene.join("bob")
    sid = alice.publish(CAMERA)
    scene.advance(1)
    bob.answer(), bob.hear()
    alice.offer([])
    scene.advance(1)
    messages = bob.hear()
    assert not only(messages, "update").update.participants[0].tracks
    offer = only(messages, "offer").offer
    assert sid not in offer.sdp and not offer.mid_to_track_id
    # No track_unpublished: that one is for tracks that the server takes.
    assert "track_unpublished" not in alice.kinds()


def test_a_section_may_carry_another_track_without_a_pause() -> None:
    scene = Scene()
    alice = scene.join("alice")
    alice.publish(CAMERA)
    other = rtc.AddTrackRequest(cid="cam2", type=models.TrackType.VIDEO, source=models.TrackSource.SCREEN_SHARE)
    alice.say(add_track=other)
    sdp = offer_of([("cam", True)]).replace("stream cam", "stream cam2")
    alice.say(offer=rtc.SessionDescription(type="offer", sdp=sdp, id=3))
    assert [track.source for track in alice.participant.tracks.values()] == [Source.SCREEN_SHARE]


@pytest.mark.parametrize(
    ("grants", "request_", "reason"),
    [
        ({"can_publish": False}, MICROPHONE, rtc.RequestResponse.NOT_ALLOWED),
        ({"can_publish_sources": frozenset({Source.MICROPHONE})}, CAMERA, rtc.RequestResponse.NOT_ALLOWED),
    ],
)
def test_publishing_without_a_grant_is_refused(
    grants: dict[str, Any], request_: rtc.AddTrackRequest, reason: rtc.RequestResponse.Reason
) -> None:
    alice = Scene().join("alice", **grants)
    response = only(alice.say(add_track=request_), "request_response").request_response
    assert response.reason == reason and response.add_track == request_


def test_publishing_too_much_or_twice_is_refused() -> None:
    scene = Scene(LiveKitSettings(room=RoomSettings(max_tracks_of_one=1)))
    alice = scene.join("alice")
    alice.say(add_track=CAMERA)
    twice = only(alice.say(add_track=CAMERA), "request_response").request_response
    assert twice.reason == rtc.RequestResponse.QUEUED
    more = only(alice.say(add_track=MICROPHONE), "request_response").request_response
    assert more.reason == rtc.RequestResponse.LIMIT_EXCEEDED


def test_muting_is_told_to_all_and_renegotiates_nothing() -> None:
    scene = Scene()
    alice, bob = scene.join("alice"), scene.join("bob")
    sid = alice.publish(CAMERA)
    scene.advance(1)
    bob.answer(), bob.hear(), alice.hear()
    alice.say(mute=rtc.MuteTrackRequest(sid=sid, muted=True))
    messages = bob.hear()
    assert [kind_of(one) for one in messages] == ["update"]
    assert messages[0].update.participants[0].tracks[0].muted


def test_muting_an_unknown_track_is_not_found() -> None:
    response = only(Scene().join("alice").say(mute=rtc.MuteTrackRequest(sid="TR_nope")), "request_response")
    assert response.request_response.reason == rtc.RequestResponse.NOT_FOUND


def test_somebody_else_may_ask_for_a_mute() -> None:
    scene = Scene()
    alice = scene.join("alice")
    track = alice.participant.tracks[alice.publish(CAMERA)]
    alice.hear()
    scene.room.ask_to_mute(track, scene.now)
    mute = only(alice.hear(), "mute").mute
    assert mute.sid == track.sid and mute.muted


def test_unsubscribing_and_subscribing_again_changes_what_is_offered() -> None:
    scene = Scene()
    alice, bob = scene.join("alice"), scene.join("bob")
    sid = alice.publish(CAMERA)
    scene.advance(1)
    bob.answer(), bob.hear()
    tracks = [models.ParticipantTracks(participant_sid=alice.participant.sid, track_sids=[sid])]
    off = rtc.UpdateSubscription(track_sids=[sid], subscribe=False, participant_tracks=tracks)
    assert sid not in only(bob.say(subscription=off), "offer").offer.sdp
    bob.answer()
    on = rtc.UpdateSubscription(subscribe=True, participant_tracks=tracks)
    messages = bob.say(subscription=on)
    assert [kind_of(one) for one in messages] == ["subscription_permission_update", "offer"]
    assert sid in messages[1].offer.sdp


def test_without_auto_subscribe_nothing_is_sent_before_it_is_wanted() -> None:
    scene = Scene()
    alice = scene.join("alice")
    sid = alice.publish(CAMERA)
    scene.advance(1)
    bob = scene.join("bob", client=Client(protocol=17, auto_subscribe=False))
    assert not bob.subscriber.is_negotiating
    assert "offer" in [
        kind_of(one) for one in bob.say(subscription=rtc.UpdateSubscription(track_sids=[sid], subscribe=True))
    ]


def test_a_publisher_may_restrict_who_gets_its_tracks() -> None:
    scene = Scene()
    alice, bob, carol = scene.join("alice"), scene.join("bob"), scene.join("carol")
    sid = alice.publish(CAMERA)
    scene.advance(1)
    for actor in (bob, carol):
        actor.answer(), actor.hear()
    permission = rtc.TrackPermission(participant_identity="carol", track_sids=[sid])
    alice.say(subscription_permission=rtc.SubscriptionPermission(track_permissions=[permission]))
    messages = bob.hear()
    assert not only(messages, "subscription_permission_update").subscription_permission_update.allowed
    assert sid not in only(messages, "offer").offer.sdp
    assert carol.kinds() == []
    bob.answer()
    alice.say(subscription_permission=rtc.SubscriptionPermission(all_participants=True))
    assert only(bob.hear(), "subscription_permission_update").subscription_permission_update.allowed


def test_track_settings_are_kept() -> None:
    scene = Scene()
    alice, bob = scene.join("alice"), scene.join("bob")
    sid = alice.publish(CAMERA)
    scene.advance(1)
    setting = rtc.UpdateTrackSettings(track_sids=[sid], quality=models.VideoQuality.MEDIUM, width=320, fps=15)
    assert bob.say(track_setting=setting)
    kept = scene.room.subscriptions.settings(bob.participant, alice.participant.tracks[sid])
    assert (kept.quality, kept.width, kept.frame_rate) == (Quality.MEDIUM, 320, 15)


def test_pings_of_both_kinds_are_answered() -> None:
    scene = Scene()
    alice = scene.join("alice")
    scene.advance(2)
    alice.hear()
    assert [one.pong for one in alice.say(ping=5)] == [(EPOCH + 2) * 1000]
    pong = only(alice.say(ping_req=rtc.Ping(timestamp=77, rtt=3)), "pong_resp").pong_resp
    assert (pong.last_ping_timestamp, pong.timestamp) == (77, (EPOCH + 2) * 1000)


def test_a_client_that_stops_pinging_loses_its_signalling_and_is_kept_while_media_flow() -> None:
    scene = Scene()
    alice = scene.join("alice")
    scene.advance(100)
    assert alice.session.is_attached, "one that never pings is left to the websocket's own pings"
    alice.say(ping_req=rtc.Ping(timestamp=1))
    scene.advance(14)
    alice.say(subscription_permission=rtc.SubscriptionPermission(all_participants=True))
    scene.advance(14)
    assert alice.session.is_attached, "anything counts"
    scene.advance(2)
    assert not alice.session.is_attached and alice.participant.is_present


def test_leaving_is_answered_and_told() -> None:
    scene = Scene()
    alice, bob = scene.join("alice"), scene.join("bob")
    scene.advance(2)
    bob.hear()
    leave = only(alice.say(leave=rtc.LeaveRequest()), "leave").leave
    assert leave.reason == models.DisconnectReason.CLIENT_INITIATED
    assert alice.session.is_over and alice.publisher.is_closed and alice.subscriber.is_closed
    info = only(bob.hear(), "update").update.participants[0]
    assert info.state == models.ParticipantInfo.DISCONNECTED
    assert info.disconnect_reason == models.DisconnectReason.CLIENT_INITIATED
    assert alice.say(ping=1) == []


@pytest.mark.parametrize(
    ("reason", "action"),
    [
        (LeaveReason.PARTICIPANT_REMOVED, rtc.LeaveRequest.DISCONNECT),
        (LeaveReason.ROOM_DELETED, rtc.LeaveRequest.DISCONNECT),
        (LeaveReason.SERVER_SHUTDOWN, rtc.LeaveRequest.DISCONNECT),
        (LeaveReason.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT),
        (LeaveReason.CONNECTION_TIMEOUT, rtc.LeaveRequest.RECONNECT),
    ],
)
def test_who_is_removed_is_told_why_and_what_to_do(reason: LeaveReason, action: rtc.LeaveRequest.Action) -> None:
    scene = Scene()
    alice = scene.join("alice")
    scene.room.leave(alice.participant, reason, scene.now)
    leave = only(alice.hear(), "leave").leave
    assert models.DisconnectReason.Name(leave.reason) == reason.name
    assert leave.action == action and leave.can_reconnect == (action == rtc.LeaveRequest.RECONNECT)
    assert alice.publisher.is_closed


def test_media_that_never_flow_end_the_session() -> None:
    scene = Scene()
    alice = scene.join("alice", connects=False)
    alice.answer()
    scene.advance(59)
    assert alice.participant.is_present
    scene.advance(2)
    assert only(alice.hear(), "leave").leave.reason == models.DisconnectReason.JOIN_FAILURE


def test_an_offer_that_is_not_answered_ends_the_session() -> None:
    scene = Scene()
    alice = scene.join("alice", connects=False)
    alice.hear()
    scene.advance(16)
    leave = only(alice.hear(), "leave").leave
    assert leave.action == rtc.LeaveRequest.RECONNECT
    assert scene.counters["answer_timeouts"] == 1


def test_a_peer_connection_that_ends_lets_the_client_join_anew() -> None:
    scene = Scene()
    alice = scene.join("alice")
    alice.subscriber.fail("consent expired")
    leave = only(alice.hear(), "leave").leave
    assert leave.reason == models.DisconnectReason.CONNECTION_TIMEOUT
    assert leave.action == rtc.LeaveRequest.RECONNECT


def test_metadata_of_ones_own_need_a_grant_and_are_confirmed() -> None:
    scene = Scene()
    alice, bob = scene.join("alice", can_update_own_metadata=True), scene.join("bob")
    scene.advance(2)
    alice.hear(), bob.hear()
    update = rtc.UpdateParticipantMetadata(name="Alice", metadata="m", attributes={"a": "b"}, request_id=5)
    messages = alice.say(update_metadata=update)
    response = only(messages, "request_response").request_response
    assert (response.request_id, response.reason) == (5, rtc.RequestResponse.OK)
    claims = claims_of(only(messages, "refresh_token").refresh_token)
    assert (claims["name"], claims["metadata"], claims["attributes"]) == ("Alice", "m", {"a": "b"})
    info = only(bob.hear(), "update").update.participants[0]
    assert (info.name, info.metadata, dict(info.attributes)) == ("Alice", "m", {"a": "b"})
    refused = only(bob.say(update_metadata=update), "request_response").request_response
    assert refused.reason == rtc.RequestResponse.NOT_ALLOWED


def test_grants_that_are_taken_end_tracks_and_make_a_new_token() -> None:
    scene = Scene()
    alice, bob = scene.join("alice"), scene.join("bob")
    sid = alice.publish(CAMERA)
    scene.advance(1)
    bob.answer(), bob.hear(), alice.hear()
    scene.room.update_participant(
        alice.participant, scene.now, grants=Grants(room="r1", room_join=True, can_publish=False)
    )
    messages = alice.hear()
    assert only(messages, "track_unpublished").track_unpublished.track_sid == sid
    assert claims_of(only(messages, "refresh_token").refresh_token)["video"]["canPublish"] is False
    assert "offer" in bob.kinds()


def test_a_section_of_a_track_that_was_taken_carries_no_other() -> None:
    scene = Scene()
    alice = scene.join("alice")
    track = alice.participant.tracks[alice.publish(CAMERA)]
    scene.room.take(track, scene.now)
    other = rtc.AddTrackRequest(cid="cam2", type=models.TrackType.VIDEO, source=models.TrackSource.CAMERA)
    alice.say(add_track=other)
    alice.offer(["cam"])
    assert not alice.participant.tracks
    alice.offer(["cam", "cam2"])
    assert [one.description.cid for one in alice.participant.tracks.values()] == ["cam2"]


def test_a_track_whose_section_has_another_name_is_found_where_it_is_the_only_one() -> None:
    alice = Scene().join("alice")
    alice.say(add_track=MICROPHONE)
    alice.say(add_track=CAMERA)
    alice.offer(["another"])
    assert [one.description.cid for one in alice.participant.tracks.values()] == ["cam"]


def test_a_token_is_refreshed_every_five_minutes_and_keeps_its_end() -> None:
    scene = Scene()
    alice = scene.join("alice")
    scene.advance(301)
    token = only(alice.hear(), "refresh_token").refresh_token
    claims = claims_of(token)
    assert claims["exp"] == EPOCH + 300 + 600 and claims["nbf"] == EPOCH + 300
    assert claims["sub"] == "alice" and claims["video"]["roomJoin"] is True and claims["video"]["x"] == 1


def test_speakers_are_told() -> None:
    scene = Scene()
    alice, bob = scene.join("alice"), scene.join("bob")
    sid = alice.publish(MICROPHONE)
    scene.advance(1)
    bob.hear()
    media = alice.participant.tracks[sid].media
    assert media is not None
    alice.publisher.levels = {media: 6}
    for _ in range(10):
        scene.advance(0.05)
        alice.session.sample_audio_levels(scene.now)
        scene.pump()
    speaker = only(bob.hear(), "speakers_changed").speakers_changed.speakers[0]
    assert speaker.sid == alice.participant.sid and speaker.active and speaker.level == pytest.approx(0.375)


def sample_quality(scene: Scene, *sessions: Any) -> None:
    for session in sessions:
        session.sample_quality(scene.now)
    scene.pump()


def qualities(messages: list[rtc.SignalResponse]) -> list[tuple[str, int]]:
    told = [one.connection_quality.updates for one in messages if kind_of(one) == "connection_quality"]
    return [(info.participant_sid, info.quality) for updates in told for info in updates]


def test_the_quality_of_connections_is_told_where_it_changes() -> None:
    scene = Scene()
    alice, bob = scene.join("alice"), scene.join("bob")
    sample_quality(scene, alice.session, bob.session)
    everybody = {(alice.participant.sid, EXCELLENT), (bob.participant.sid, EXCELLENT)}
    assert set(qualities(alice.hear())) == set(qualities(bob.hear())) == everybody
    alice.publisher.lost, alice.subscriber.lost = 0.0, 0.2
    sample_quality(scene, alice.session)
    assert qualities(bob.hear()) == [], "every five seconds"
    scene.advance(5)
    sample_quality(scene, alice.session, bob.session)
    assert qualities(bob.hear()) == qualities(alice.hear()) == [(alice.participant.sid, POOR)], "the worse way counts"
    carol = scene.join("carol")
    sample_quality(scene, carol.session)
    assert (alice.participant.sid, POOR) in qualities(carol.hear()), "who comes later is told"
    scene.advance(5)
    alice.session.detach(scene.now)
    sample_quality(scene, alice.session)
    assert qualities(bob.hear())[-1] == (alice.participant.sid, LOST)


def test_the_quality_of_the_hidden_is_told_to_nobody_else() -> None:
    scene = Scene()
    alice, ghost = scene.join("alice"), scene.join("ghost", hidden=True)
    sample_quality(scene, ghost.session)
    assert qualities(alice.hear()) == []
    assert qualities(ghost.hear()) == [(ghost.participant.sid, EXCELLENT)]


def test_the_hidden_are_told_to_nobody_and_see_everybody() -> None:
    scene = Scene()
    alice = scene.join("alice")
    sid = alice.publish(CAMERA)
    ghost = scene.join("ghost", hidden=True, recorder=True, connects=False)
    join = only(ghost.hear(), "join").join
    assert [other.identity for other in join.other_participants] == ["alice"]
    assert join.room.num_participants == 1 and join.room.active_recording
    ghost.connect()
    scene.advance(5)
    assert sid in ghost.subscriber.offers[-1]
    updates = [one.update for one in alice.hear() if kind_of(one) == "update"]
    assert all(info.identity == "alice" for update in updates for info in update.participants)
    bob = scene.join("bob", connects=False)
    assert [one.identity for one in only(bob.hear(), "join").join.other_participants] == ["alice"]


def test_garbage_raises_and_what_is_unknown_is_passed_over() -> None:
    scene = Scene()
    alice = scene.join("alice")
    assert alice.say() == []
    assert alice.say(trickle=rtc.TrickleRequest(candidateInit="{nonsense")) == []
    with pytest.raises(ParseError):
        alice.say(offer=rtc.SessionDescription(type="offer", sdp="nonsense"))
    with pytest.raises(ParseError):
        alice.say(add_track=rtc.AddTrackRequest())


def test_an_offer_that_cannot_be_answered_ends_the_session() -> None:
    scene = Scene()
    alice = scene.join("alice")
    empty = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
    messages = alice.say(offer=rtc.SessionDescription(type="offer", sdp=empty))
    assert only(messages, "leave").leave.reason == models.DisconnectReason.STATE_MISMATCH
    assert scene.counters["negotiations_failed"] == 1


def test_permissions_are_told_in_full() -> None:
    scene = Scene()
    scene.join("alice", can_publish_sources=frozenset({Source.CAMERA, Source.MICROPHONE}))
    bob = scene.join("bob", connects=False)
    permission = only(bob.hear(), "join").join.other_participants[0].permission
    assert as_json(permission) == {
        "canSubscribe": True,
        "canPublish": True,
        "canPublishData": True,
        "canPublishSources": ["CAMERA", "MICROPHONE"],
    }


def test_sizes_that_change_are_told() -> None:
    scene = Scene()
    alice, bob = scene.join("alice"), scene.join("bob")
    sid = alice.publish(CAMERA)
    scene.advance(1)
    bob.hear()
    alice.say(update_video_track=rtc.UpdateLocalVideoTrack(track_sid=sid, width=320, height=180))
    info = only(bob.hear(), "update").update.participants[0].tracks[0]
    assert (info.width, info.height) == (320, 180)
    unknown = rtc.UpdateLocalVideoTrack(track_sid="TR_nope")
    response = only(alice.say(update_video_track=unknown), "request_response").request_response
    assert response.reason == rtc.RequestResponse.NOT_FOUND


def test_a_second_encoding_of_a_track_is_not_supported() -> None:
    alice = Scene().join("alice")
    sid = alice.publish(CAMERA)
    second = rtc.AddTrackRequest(cid="backup", sid=sid, type=models.TrackType.VIDEO)
    response = only(alice.say(add_track=second), "request_response").request_response
    assert response.reason == rtc.RequestResponse.UNSUPPORTED_TYPE


def test_clients_own_tests_may_end_the_server_for_themselves() -> None:
    scene = Scene()
    alice, bob = scene.join("alice"), scene.join("bob")
    messages = alice.say(simulate=rtc.SimulateScenario(server_leave=True))
    assert only(messages, "leave").leave.reason == models.DisconnectReason.SERVER_SHUTDOWN
    assert bob.participant.is_present


def test_a_client_that_finds_no_place_on_the_plane_is_told_to_give_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: FakeSubscriber, label: str, **options: object) -> None:
        raise CapacityError("transports", 1)

    monkeypatch.setattr(FakeSubscriber, "create_data_channel", full)
    scene = Scene()
    alice = scene.join("alice", connects=False)
    messages = alice.hear()
    assert [kind_of(one) for one in messages] == ["join", "refresh_token", "leave"]
    assert messages[-1].leave.reason == models.DisconnectReason.JOIN_FAILURE
    assert not scene.room.participants


def test_a_track_that_finds_no_place_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: FakeSubscriber, track: object, **options: object) -> None:
        raise CapacityError("subscriptions", 1)

    scene = Scene()
    alice, bob = scene.join("alice"), scene.join("bob")
    monkeypatch.setattr(FakeSubscriber, "add_sender", full)
    sid = alice.publish(CAMERA)
    scene.advance(1)
    assert "offer" not in bob.kinds() and bob.participant.is_present
    alice.offer([])
    scene.advance(1)
    assert sid not in alice.participant.tracks


def test_an_answer_that_does_not_fit_ends_the_session() -> None:
    scene = Scene()
    alice, bob = scene.join("alice"), scene.join("bob")
    alice.publish(CAMERA)
    scene.advance(1)
    bob.hear()
    old = answer_to(bob.subscriber.offers[0])
    messages = bob.say(answer=rtc.SessionDescription(type="answer", sdp=old))
    assert only(messages, "leave").leave.action == rtc.LeaveRequest.RECONNECT
    carol = scene.join("carol", connects=False)
    carol.hear()
    with pytest.raises(ParseError):
        carol.say(answer=rtc.SessionDescription(type="answer", sdp="nonsense"))

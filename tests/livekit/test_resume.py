"""A client comes back: on another websocket, or from elsewhere."""

from livekit.protocol import models, rtc

from tests.livekit.scene import CAMERA, Scene, claims_of, kind_of, only
from visiomedia.livekit.settings import LiveKitSettings


def test_a_resumed_session_is_told_everything_anew_and_keeps_its_media() -> None:
    scene = Scene()
    alice, bob = scene.join("alice"), scene.join("bob")
    sid = bob.publish(CAMERA)
    scene.advance(2)
    alice.answer(), alice.hear()
    alice.session.detach(scene.now)
    bob.say(mute=rtc.MuteTrackRequest(sid=sid, muted=True))
    carol = scene.join("carol")
    scene.advance(5)
    assert alice.hear() == []
    alice.session.resume(alice.token, scene.now)
    messages = alice.hear()
    assert [kind_of(one) for one in messages] == ["reconnect", "update", "room_update", "refresh_token", "offer"]
    infos = {info.identity: info for info in messages[1].update.participants}
    assert set(infos) == {"alice", "bob", "carol"}
    assert infos["bob"].tracks[0].muted
    assert claims_of(messages[3].refresh_token)["sub"] == "alice"
    assert alice.subscriber.restarts == 1 and sid in messages[4].offer.sdp
    assert not alice.subscriber.is_closed and carol.participant.is_present
    alice.answer()
    scene.advance(100)
    assert alice.participant.is_present, "the deadline has gone"


def test_an_offer_that_was_lost_with_the_websocket_is_made_again() -> None:
    scene = Scene()
    alice = scene.join("alice")
    bob = scene.join("bob")
    bob.publish(CAMERA)
    scene.advance(1)
    first = only(alice.hear(), "offer").offer.id
    alice.session.detach(scene.now)
    alice.session.resume(alice.token, scene.now)
    assert only(alice.hear(), "offer").offer.id > first
    assert "offer" not in [kind_of(one) for one in alice.answer()]


def test_a_mute_asked_for_meanwhile_is_not_lost() -> None:
    scene = Scene()
    alice = scene.join("alice")
    track = alice.participant.tracks[alice.publish(CAMERA)]
    alice.session.detach(scene.now)
    scene.room.ask_to_mute(track, scene.now)
    scene.pump()
    alice.session.resume(alice.token, scene.now)
    assert only(alice.hear(), "mute").mute.sid == track.sid


def test_who_does_not_come_back_is_gone() -> None:
    scene = Scene(LiveKitSettings(resume_timeout=30.0))
    alice, bob = scene.join("alice"), scene.join("bob")
    scene.advance(2)
    bob.hear()
    alice.session.detach(scene.now)
    scene.advance(29)
    assert alice.participant.is_present
    scene.advance(2)
    info = only(bob.hear(), "update").update.participants[0]
    assert info.disconnect_reason == models.DisconnectReason.SIGNAL_CLOSE
    assert alice.publisher.is_closed and alice.subscriber.is_closed


def test_without_media_a_lost_websocket_ends_the_stay_at_once() -> None:
    scene = Scene()
    alice = scene.join("alice", connects=False)
    alice.session.detach(scene.now)
    assert not alice.participant.is_present


def test_wishes_of_a_resumed_client_are_taken_over() -> None:
    scene = Scene()
    alice, bob = scene.join("alice"), scene.join("bob")
    sid = bob.publish(CAMERA)
    scene.advance(1)
    alice.answer()
    alice.session.detach(scene.now)
    alice.session.resume(alice.token, scene.now)
    alice.answer()
    off = rtc.UpdateSubscription(track_sids=[sid], subscribe=False)
    alice.say(sync_state=rtc.SyncState(subscription=off, track_sids_disabled=[sid]))
    assert not scene.room.subscriptions.is_active(alice.participant, bob.participant.tracks[sid])


def test_repeated_reliable_messages_are_dropped_and_the_last_one_is_told() -> None:
    scene = Scene()
    alice, bob = scene.join("alice"), scene.join("bob")
    channel = alice.publisher.make_channel("_reliable")
    assert channel.on_message is not None
    for sequence in (1, 2, 2, 1, 3):
        channel.on_message(models.DataPacket(user=models.UserPacket(), sequence=sequence).SerializeToString())
    scene.pump()
    sent = [models.DataPacket.FromString(bytes(data)) for data in bob.subscriber.channels["_reliable"].sent]  # type: ignore[arg-type]  # packets are bytes
    assert [packet.sequence for packet in sent] == [1, 2, 3]
    alice.session.detach(scene.now)
    alice.session.resume(alice.token, scene.now)
    assert only(alice.hear(), "reconnect").reconnect.last_message_seq == 3


def test_the_same_identity_from_elsewhere_takes_its_own_place() -> None:
    scene = Scene()
    alice, bob = scene.join("alice"), scene.join("bob")
    sid = alice.publish(CAMERA)
    scene.advance(2)
    bob.answer(), bob.hear(), alice.hear()
    again = scene.join("alice")
    leave = only(alice.hear(), "leave").leave
    assert leave.reason == models.DisconnectReason.DUPLICATE_IDENTITY
    assert leave.action == rtc.LeaveRequest.DISCONNECT
    assert alice.publisher.is_closed and not again.publisher.is_closed
    scene.advance(1)
    messages = bob.hear()
    infos = [info for one in messages if kind_of(one) == "update" for info in one.update.participants]
    assert [(info.sid, info.state) for info in infos] == [(again.participant.sid, models.ParticipantInfo.ACTIVE)]
    assert sid not in only(messages, "offer").offer.sdp
    # What the old session still says is nothing any more.
    assert alice.say(leave=rtc.LeaveRequest()) == []
    assert again.participant.is_present

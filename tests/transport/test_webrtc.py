"""WebRtcTransport against a scripted full agent: no sockets, and time that stands until a test moves it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transport.full_peer import MOBILE, SERVER, WIFI, Call, identity
from visiomedia.engine import Address
from visiomedia.errors import ConfigurationError, InvalidStateError
from visiomedia.ice.credentials import Credentials
from visiomedia.ice.stun import MessageClass
from visiomedia.srtp.dtls import ApplicationDataReceived, Closed, DtlsRole, HandshakeCompleted, HandshakeFailed
from visiomedia.srtp.handshake_limiter import HandshakeLimiter
from visiomedia.transport import TransportState, WebRtcSettings
from visiomedia.transport.webrtc import Failed, PathForgotten, PathSelected, PathValidated, UfragWithdrawn

ROLES = pytest.mark.parametrize("role", list(DtlsRole), ids=lambda role: role.name)


def state_of(call: Call) -> TransportState:
    """Asked anew each time: a call changes it, which narrowing does not see."""
    return call.transport.state


def failures(call: Call) -> list[str]:
    return [event.reason for event in call.events if isinstance(event, Failed)]


@ROLES
def test_check_and_handshake_connect(role: DtlsRole) -> None:
    call = Call.open(role=role)
    assert state_of(call) is TransportState.NEW
    call.connect()
    assert state_of(call) is TransportState.CONNECTED
    assert call.transport.role is role
    assert [type(event) for event in call.events] == [PathValidated, PathSelected, HandshakeCompleted]
    assert {event.address for event in call.events if isinstance(event, PathValidated | PathSelected)} == {WIFI}
    assert all(answer.message_class is MessageClass.SUCCESS_RESPONSE for answer in call.answers)


@ROLES
def test_both_sides_have_the_same_keys(role: DtlsRole) -> None:
    call = Call.open(role=role)
    call.connect()
    ours, theirs = call.keys()
    assert ours.profile is theirs.profile
    assert (ours.local_key, ours.local_salt) == (theirs.remote_key, theirs.remote_salt)
    assert (ours.remote_key, ours.remote_salt) == (theirs.local_key, theirs.local_salt)
    assert ours.local_key != ours.remote_key


def test_a_check_before_the_description_counts_once_it_has_come() -> None:
    call = Call.open()
    call.check()
    assert call.events == []
    call.describe()
    assert [type(event) for event in call.events] == [PathValidated, PathSelected]
    call.shake_hands()
    assert state_of(call) is TransportState.CONNECTED


def test_another_certificate_than_described_fails() -> None:
    call = Call.open()
    call.expected = identity().certificate.fingerprint
    call.connect()
    assert state_of(call) is TransportState.FAILED
    assert failures(call) == ["DTLS: fingerprint mismatch"]
    assert not [event for event in call.events if isinstance(event, HandshakeCompleted)]
    assert call.transport.next_timeout() is None


def test_a_peer_that_refuses_our_certificate_fails_the_transport() -> None:
    call = Call.open(peer_expects=Call.open().expected)
    call.connect()
    assert [type(event) for event in call.peer_events] == [HandshakeFailed]
    assert state_of(call) is TransportState.FAILED
    assert len(failures(call)) == 1


def test_silence_past_consent_fails_and_forgets_the_path() -> None:
    call = Call.open()
    call.connect()
    call.pass_time(29.9)
    assert state_of(call) is TransportState.CONNECTED
    call.pass_time(0.2)
    assert state_of(call) is TransportState.FAILED
    assert failures(call) == ["consent expired: nothing heard from the peer (RFC 7675)"]
    assert PathForgotten(WIFI) in call.events
    assert call.transport.next_timeout() is None


def test_checks_keep_consent() -> None:
    call = Call.open()
    call.connect()
    for _ in range(10):
        call.pass_time(20)
        call.check()
    assert state_of(call) is TransportState.CONNECTED
    assert not [event for event in call.events if isinstance(event, PathForgotten)]


def test_nobody_comes_within_the_connect_timeout() -> None:
    call = Call.open(settings=WebRtcSettings(connect_timeout=5))
    call.describe()
    call.pass_time(4.9)
    assert state_of(call) is TransportState.CONNECTING
    call.pass_time(0.2)
    assert failures(call) == ["no connectivity check arrived within 5 s"]


def test_no_handshake_within_the_connect_timeout() -> None:
    call = Call.open(settings=WebRtcSettings(connect_timeout=5))
    call.describe()
    call.check()
    call.pass_time(5)
    assert failures(call) == ["no DTLS handshake within 5 s"]


def test_connected_transports_have_no_connect_timeout() -> None:
    call = Call.open(settings=WebRtcSettings(connect_timeout=5))
    call.connect()
    call.pass_time(6)
    assert state_of(call) is TransportState.CONNECTED


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_a_connect_timeout_that_cannot_work_is_refused(seconds: float) -> None:
    with pytest.raises(ConfigurationError, match="connect_timeout"):
        WebRtcSettings(connect_timeout=seconds)


def test_peer_that_moves_is_followed_and_keeps_its_keys() -> None:
    call = Call.open()
    call.connect()
    call.events.clear()
    call.address = MOBILE
    call.check()
    assert call.events == [PathValidated(MOBILE), PathSelected(MOBILE)]
    # What DTLS says goes to the new address: ``take`` looks.
    call.transport.send_application_data(b"here", call.now)
    call.talk()
    assert ApplicationDataReceived(b"here") in call.peer_events


def test_ice_restart_keeps_the_keys_and_withdraws_the_old_ufrag_once_the_new_one_carries() -> None:
    call = Call.open()
    call.connect()
    old = call.transport.local_credentials
    call.events.clear()

    call.credentials = Credentials.generate()
    renewed = call.transport.restart_ice(call.credentials, call.now)
    assert call.transport.local_credentials is renewed
    assert renewed.ufrag != old.ufrag
    call.describe()
    assert call.events == []
    call.address = MOBILE
    call.check()
    assert call.events[:2] == [PathValidated(MOBILE), PathSelected(MOBILE)]
    assert set(map(repr, call.events[2:])) == {repr(UfragWithdrawn(old.ufrag)), repr(PathForgotten(WIFI))}
    assert state_of(call) is TransportState.CONNECTED
    call.transport.send_application_data(b"still here", call.now)
    call.talk()
    assert call.peer_events[-1] == ApplicationDataReceived(b"still here")
    assert not [event for event in call.events if isinstance(event, HandshakeCompleted)]


@pytest.mark.parametrize("what", ["certificate", "role"])
def test_another_certificate_or_role_needs_a_new_transport(what: str) -> None:
    call = Call.open()
    call.connect()
    role = DtlsRole.CLIENT if what == "role" else call.role
    expected = identity().certificate.fingerprint if what == "certificate" else call.expected
    with pytest.raises(InvalidStateError, match="new transport"):
        call.transport.set_remote(call.credentials, role, (expected,), call.now)


# --- the limiter ------------------------------------------------------------------------------------------------------


def test_limiter_refuses_beyond_its_cap_and_its_places_come_back() -> None:
    limiter = HandshakeLimiter(capacity=1)
    first, second = Call.open(limiter=limiter), Call.open(limiter=limiter)
    for call in (first, second):
        call.describe()
        call.check()
    first.peer.start(SERVER, first.now)
    (hello,) = first.peer.datagrams_to_send()
    first.transport.receive_datagram(hello.data, WIFI, first.now)
    assert limiter.in_progress == 1

    second.shake_hands()
    assert second.transport.counters["handshake_refused"] == 1
    assert second.transport.state is TransportState.CONNECTING
    assert second.transport.datagrams_to_send() == []

    first.talk()
    assert first.transport.state is TransportState.CONNECTED
    assert limiter.in_progress == 0

    third = Call.open(limiter=limiter)
    third.connect()
    assert third.transport.state is TransportState.CONNECTED


def test_a_client_that_was_refused_says_hello_once_there_is_a_place() -> None:
    limiter = HandshakeLimiter(capacity=1)
    assert limiter.acquire("198.51.100.99")
    call = Call.open(limiter=limiter, role=DtlsRole.CLIENT)
    call.connect()
    assert call.transport.counters["handshake_refused"] >= 1
    assert state_of(call) is TransportState.CONNECTING
    limiter.release("198.51.100.99")
    call.pass_time(0.6)
    call.talk()
    assert state_of(call) is TransportState.CONNECTED
    assert limiter.in_progress == 0


def test_dtls_before_a_clients_hello_takes_no_place_of_the_limiter() -> None:
    limiter = HandshakeLimiter()
    call = Call.open(limiter=limiter, role=DtlsRole.CLIENT)
    call.describe()
    call.check(nominate=False)
    call.transport.receive_datagram(bytes([22, 254, 253]) + bytes(10), WIFI, call.now)
    assert call.transport.dtls_counters["before_start"] == 1
    assert limiter.in_progress == 0
    call.check()
    call.talk()
    assert state_of(call) is TransportState.CONNECTED


@pytest.mark.parametrize("end", ["fails", "times out", "is closed"])
def test_a_handshake_that_ends_otherwise_gives_its_place_back(end: str) -> None:
    limiter = HandshakeLimiter()
    call = Call.open(limiter=limiter, settings=WebRtcSettings(connect_timeout=0.5))
    if end == "fails":
        call.expected = identity().certificate.fingerprint
    call.describe()
    call.check()
    call.peer.start(SERVER, call.now)
    (hello,) = call.peer.datagrams_to_send()
    call.transport.receive_datagram(hello.data, WIFI, call.now)
    assert limiter.in_progress == 1
    match end:
        case "fails":
            call.talk()
        case "times out":
            call.transport.handle_timeout(call.now + 0.5)
        case "is closed":
            call.transport.close(call.now)
    assert call.transport.state in (TransportState.FAILED, TransportState.CLOSED)
    assert limiter.in_progress == 0


# --- what is not the peer's -------------------------------------------------------------------------------------------


def test_dtls_from_an_address_that_no_check_proved_is_counted_and_dropped() -> None:
    call = Call.open()
    call.describe()
    call.check()
    call.peer.start(SERVER, call.now)
    (hello,) = call.peer.datagrams_to_send()
    call.transport.receive_datagram(hello.data, MOBILE, call.now)
    assert call.transport.counters["dtls_from_unvalidated_address"] == 1
    assert call.transport.datagrams_to_send() == []
    call.transport.receive_datagram(hello.data, WIFI, call.now)
    assert call.transport.datagrams_to_send()


def test_dtls_before_the_description_is_counted() -> None:
    call = Call.open()
    call.check()
    call.peer.start(SERVER, call.now)
    (hello,) = call.peer.datagrams_to_send()
    call.transport.receive_datagram(hello.data, WIFI, call.now)
    assert call.transport.counters["dtls_before_description"] == 1
    call.describe()
    call.transport.receive_datagram(hello.data, WIFI, call.now)
    call.talk()
    assert state_of(call) is TransportState.CONNECTED


@given(data=st.binary(max_size=100), port=st.sampled_from([WIFI.port, 4]))
def test_any_bytes_are_taken_and_change_nothing(data: bytes, port: int) -> None:
    call = Call.open()
    call.describe()
    call.check()
    call.events.clear()
    call.transport.receive_datagram(data, Address(0, WIFI.host, port), call.now)
    assert call.transport.events() == []
    assert state_of(call) is TransportState.CONNECTING


def test_media_is_not_for_the_session_plane() -> None:
    call = Call.open()
    call.connect()
    call.transport.receive_datagram(bytes([128, 96]) + bytes(20), WIFI, call.now)
    assert call.transport.counters["not_for_the_session_plane"] == 1


# --- the end ----------------------------------------------------------------------------------------------------------


def test_close_says_close_notify() -> None:
    call = Call.open()
    call.connect()
    call.transport.close(call.now)
    call.talk()
    assert call.peer_events[-1] == Closed("close_notify")
    assert state_of(call) is TransportState.CLOSED
    assert call.events[-1] != Closed("close_notify"), "our own close is no event"


def test_close_notify_of_the_peer_closes_us() -> None:
    call = Call.open()
    call.connect()
    call.peer.close()
    call.talk()
    assert call.events[-1] == Closed("close_notify")
    assert state_of(call) is TransportState.CLOSED


@pytest.mark.parametrize("moment", ["new", "connecting", "connected", "failed"])
def test_close_is_the_end_at_any_moment(moment: str) -> None:
    call = Call.open()
    match moment:
        case "connecting":
            call.describe()
            call.check()
        case "connected":
            call.connect()
        case "failed":
            call.expected = identity().certificate.fingerprint
            call.connect()
    for _ in range(2):
        call.transport.close(call.now)
    call.take()
    assert state_of(call) is TransportState.CLOSED
    assert call.transport.next_timeout() is None
    seen = len(call.answers)
    call.check()
    call.transport.handle_timeout(call.now + 1000)
    assert len(call.answers) == seen
    assert call.transport.counters["after_end"] == 1
    with pytest.raises(InvalidStateError):
        call.describe()


def test_data_passes_both_ways_once_connected() -> None:
    call = Call.open()
    with pytest.raises(InvalidStateError):
        call.transport.send_application_data(b"too early", call.now)
    call.connect()
    call.transport.send_application_data(b"down", call.now)
    call.peer.send_application_data(b"up")
    call.talk()
    assert call.peer_events[-1] == ApplicationDataReceived(b"down")
    assert call.events[-1] == ApplicationDataReceived(b"up")

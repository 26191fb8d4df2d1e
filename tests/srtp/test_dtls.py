"""The DTLS endpoint: both roles, every profile, loss, hostile peers and browsers' own ClientHellos."""

import itertools
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.srtp.association import (
    CLIENT_ADDRESS,
    SERVER_ADDRESS,
    Association,
    Passes,
    PlainPeer,
    context,
    ecdsa_certificate,
    rsa_certificate,
    run_in_real_time,
)
from visiomedia.engine import Address
from visiomedia.errors import ConfigurationError, InvalidStateError
from visiomedia.srtp.certificate import Fingerprint
from visiomedia.srtp.dtls import (
    ApplicationDataReceived,
    Closed,
    DtlsContext,
    DtlsRole,
    DtlsState,
    HandshakeCompleted,
    HandshakeFailed,
)
from visiomedia.srtp.profiles import PREFERENCE, ProtectionProfile
from visiomedia.srtp.records import records

VECTORS = Path(__file__).parent.parent / "vectors" / "dtls"
WRONG = Fingerprint("sha-256", bytes(32))


def completed(events: list[object]) -> HandshakeCompleted:
    [event] = events
    assert isinstance(event, HandshakeCompleted)
    return event


def connected() -> Association:
    association = Association()
    association.start()
    association.run()
    assert association.client.state is association.server.state is DtlsState.CONNECTED
    association.client_events.clear()
    association.server_events.clear()
    return association


def test_both_sides_get_the_same_keys_crosswise_and_know_each_other() -> None:
    association = Association()
    association.start()
    association.run()
    client = completed(list(association.client_events))
    server = completed(list(association.server_events))
    assert client.profile is server.profile is ProtectionProfile.AEAD_AES_128_GCM
    assert (client.local_key, client.local_salt) == (server.remote_key, server.remote_salt)
    assert (client.remote_key, client.remote_salt) == (server.local_key, server.local_salt)
    assert client.local_key != client.remote_key
    assert (len(client.local_key), len(client.local_salt)) == (16, 12)
    assert client.fingerprint == association.server._context.certificate.fingerprint
    assert server.fingerprint == association.client._context.certificate.fingerprint
    assert association.client.next_timeout() is None
    assert association.server.next_timeout() is None


def test_keys_do_not_show_when_an_event_is_printed() -> None:
    association = Association()
    association.start()
    association.run()
    event = completed(list(association.client_events))
    assert repr(event.local_key) not in repr(event)


@pytest.mark.parametrize("profile", list(ProtectionProfile))
def test_each_profile_is_negotiated_when_it_is_the_only_one(profile: ProtectionProfile) -> None:
    server = DtlsContext(DtlsRole.SERVER, ecdsa_certificate(1), profiles=[profile])
    association = Association(server=server)
    association.start()
    association.run()
    event = completed(list(association.server_events))
    assert event.profile is profile
    assert len(event.local_key) == profile.lengths.key
    assert len(event.local_salt) == profile.lengths.salt


def test_as_server_our_order_of_profiles_decides() -> None:
    client = DtlsContext(DtlsRole.CLIENT, ecdsa_certificate(0), profiles=PREFERENCE[::-1])
    association = Association(client=client)
    association.start()
    association.run()
    assert completed(list(association.server_events)).profile is PREFERENCE[0]


@pytest.mark.parametrize("is_client", [False, True])
@pytest.mark.parametrize("profile", list(ProtectionProfile))
def test_a_plain_openssl_peer_exports_the_same_keys(profile: ProtectionProfile, is_client: bool) -> None:
    peer = PlainPeer(ecdsa_certificate(2), is_client=is_client, profiles=profile.openssl_name.encode())
    ours = context(DtlsRole.SERVER if is_client else DtlsRole.CLIENT).make_endpoint([ecdsa_certificate(2).fingerprint])
    ours.start(SERVER_ADDRESS, 0.0)
    event = completed(list(peer.run(ours)))
    material = peer.connection.export_keying_material(
        b"EXTRACTOR-dtls_srtp", 2 * (profile.lengths.key + profile.lengths.salt), None
    )
    ours_then_theirs = (event.local_key, event.remote_key, event.local_salt, event.remote_salt)
    theirs_then_ours = (event.remote_key, event.local_key, event.remote_salt, event.local_salt)
    assert material == b"".join(theirs_then_ours if is_client else ours_then_theirs)


def test_an_rsa_server_is_accepted_by_our_client() -> None:
    server = DtlsContext(DtlsRole.SERVER, rsa_certificate())
    association = Association(server=server)
    association.start()
    association.run()
    assert completed(list(association.client_events)).fingerprint == rsa_certificate().fingerprint


def test_an_rsa_client_is_accepted_by_our_server() -> None:
    peer = PlainPeer(rsa_certificate(), is_client=True, profiles=b"SRTP_AES128_CM_SHA1_80")
    ours = context(DtlsRole.SERVER).make_endpoint([rsa_certificate().fingerprint])
    assert completed(list(peer.run(ours))).fingerprint == rsa_certificate().fingerprint


@pytest.mark.parametrize("algorithm", ["sha-1", "sha-256", "sha-384", "sha-512"])
def test_the_strongest_hash_of_a_description_decides(algorithm: str) -> None:
    right = Fingerprint.of(ecdsa_certificate(1).der, algorithm)
    association = Association(client_expects=[Fingerprint("md5", b"x"), right])
    association.start()
    association.run()
    completed(list(association.client_events))


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_wrong_fingerprint_fails_the_handshake_on_both_sides_and_gives_no_keys(side: str) -> None:
    if side == "client":
        association = Association(client_expects=[WRONG])
    else:
        association = Association(server_expects=[WRONG])
    association.start()
    association.run()
    suspicious = association.client_events if side == "client" else association.server_events
    assert suspicious == [HandshakeFailed("fingerprint mismatch")]
    other = association.server_events if side == "client" else association.client_events
    assert [type(event) for event in other] == [HandshakeFailed]
    assert association.client.state is association.server.state is DtlsState.FAILED


def test_a_peer_without_use_srtp_fails() -> None:
    peer = PlainPeer(ecdsa_certificate(2), is_client=True, profiles=b"")
    ours = context(DtlsRole.SERVER).make_endpoint([ecdsa_certificate(2).fingerprint])
    [event] = peer.run(ours)
    assert isinstance(event, HandshakeFailed)
    assert "profile" in event.reason


def test_a_peer_with_no_cipher_in_common_fails() -> None:
    peer = PlainPeer(
        ecdsa_certificate(2),
        is_client=True,
        profiles=b"SRTP_AES128_CM_SHA1_80",
        ciphers=b"ECDHE-RSA-AES128-SHA",
    )
    ours = context(DtlsRole.SERVER).make_endpoint([ecdsa_certificate(2).fingerprint])
    assert [type(event) for event in peer.run(ours)] == [HandshakeFailed]
    assert peer.error is not None


def test_keys_wait_for_a_description_that_comes_after_the_handshake() -> None:
    client, server = context(DtlsRole.CLIENT), context(DtlsRole.SERVER)
    association = Association(client, server)
    association.server = server.make_endpoint(None)
    association.start()
    association.run()
    association.client.send_application_data(b"too early")
    association.run()
    assert association.server.state is DtlsState.UNVERIFIED
    assert association.server_events == []
    assert association.server.counters["data_before_verification"] == 1
    association.server.expect_fingerprints([client.certificate.fingerprint])
    association.run()
    completed(list(association.server_events))
    with pytest.raises(InvalidStateError):
        association.server.expect_fingerprints([WRONG])


def test_a_late_description_with_a_wrong_fingerprint_gives_no_keys() -> None:
    association = Association()
    association.server = context(DtlsRole.SERVER).make_endpoint(None)
    association.start()
    association.run()
    association.server.expect_fingerprints([WRONG])
    association.run()
    assert association.server_events == [HandshakeFailed("fingerprint mismatch")]
    assert association.client_events[1:] == [Closed("close_notify")]


def test_application_data_crosses_both_ways_and_respects_its_limit() -> None:
    association = connected()
    largest = bytes(association.client.maximum_application_data)
    association.client.send_application_data(b"ping")
    association.client.send_application_data(largest)
    association.server.send_application_data(b"pong")
    association.run()
    assert association.server_events == [ApplicationDataReceived(b"ping"), ApplicationDataReceived(largest)]
    assert association.client_events == [ApplicationDataReceived(b"pong")]
    with pytest.raises(ConfigurationError):
        association.client.send_application_data(largest + b"x")
    with pytest.raises(ConfigurationError):
        association.client.send_application_data(b"")


def test_data_before_the_handshake_is_refused() -> None:
    with pytest.raises(InvalidStateError):
        context(DtlsRole.CLIENT).make_endpoint().send_application_data(b"x")


def test_close_tells_the_peer_once() -> None:
    association = connected()
    association.client.close()
    association.client.close()
    association.run()
    assert association.client_events == []
    assert association.server_events == [Closed("close_notify")]
    assert association.server.state is DtlsState.CLOSED
    association.server.receive_datagram(b"\x17\xfe\xfd" + bytes(20), CLIENT_ADDRESS, 1.0)
    assert association.server.counters["after_end"] == 1


def test_closing_in_the_midst_of_a_handshake_is_quiet() -> None:
    association = Association()
    association.start()
    association.client.close()
    assert association.client.state is DtlsState.CLOSED
    assert association.client.next_timeout() is None


def test_start_twice_is_a_mistake_of_the_caller() -> None:
    association = Association()
    association.start()
    with pytest.raises(InvalidStateError):
        association.start()


def test_answers_go_where_the_handshake_comes_from_until_ice_chooses() -> None:
    association = Association()
    association.start()
    [hello] = association.client.datagrams_to_send()
    assert hello.address == SERVER_ADDRESS
    association.server.receive_datagram(hello.data, CLIENT_ADDRESS, 0.0)
    assert {datagram.address for datagram in association.server.datagrams_to_send()} == {CLIENT_ADDRESS}
    association = connected()
    chosen = Address(1, "198.51.100.7", 9)
    association.server.set_remote_address(chosen)
    association.server.send_application_data(b"x")
    assert [datagram.address for datagram in association.server.datagrams_to_send()] == [chosen]


@pytest.mark.parametrize("browser", ["chromium156", "firefox153"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 0, 1, 1)])
def test_a_browsers_hello_in_two_datagrams_is_answered_within_the_mtu(browser: str, order: tuple[int, ...]) -> None:
    ours = context(DtlsRole.SERVER).make_endpoint([WRONG])
    answer: list[bytes] = []
    for part in order:
        assert answer == []
        ours.receive_datagram((VECTORS / f"{browser}_clienthello_{part}.bin").read_bytes(), CLIENT_ADDRESS, 0.0)
        answer += [datagram.data for datagram in ours.datagrams_to_send()]
        if set(order[: order.index(part) + 1]) == {0, 1}:
            break
    kinds = [record[13] for data in answer for record in records(data)]
    # ServerHello, Certificate, ServerKeyExchange, CertificateRequest, ServerHelloDone
    assert kinds == [2, 11, 12, 13, 14]
    assert all(len(data) <= 1200 for data in answer)
    assert ours.state is DtlsState.HANDSHAKING


def test_every_datagram_of_a_small_mtu_holds() -> None:
    server = DtlsContext(DtlsRole.SERVER, rsa_certificate(), maximum_datagram=600)
    client = DtlsContext(DtlsRole.CLIENT, rsa_certificate(), maximum_datagram=600)
    association = Association(client, server)
    sizes: list[int] = []

    def measure(data: bytes) -> bool:
        sizes.append(len(data))
        return True

    association.start()
    association.run(passes=measure)
    completed(list(association.server_events))
    assert max(sizes) <= 600
    assert len(sizes) > 4


def test_a_handshake_that_nobody_answers_is_given_up() -> None:
    association = Association()
    association.start(100.0)
    timeout = association.client.next_timeout()
    assert timeout is not None
    assert 100.9 < timeout <= 101.0
    association.client.handle_timeout(129.9)
    assert association.client.events() == []
    association.client.handle_timeout(130.0)
    assert association.client.events() == [HandshakeFailed("timed out")]
    assert association.client.next_timeout() is None
    association.client.handle_timeout(131.0)


def test_a_timeout_before_its_time_does_nothing() -> None:
    association = Association()
    association.start(100.0)
    association.client.datagrams_to_send()
    association.client.handle_timeout(100.5)
    assert association.client.datagrams_to_send() == []


def test_every_lost_flight_is_repeated_by_openssls_timer() -> None:
    """By the machine's clock: OpenSSL repeats after one second, here for all associations at once."""

    def losing(lost: set[int]) -> Passes:
        sent = itertools.count()
        return lambda _: next(sent) not in lost

    associations = {Association(): losing(lost) for lost in ({0}, {1}, {2}, {3})}
    run_in_real_time(associations, 8.0)
    for association in associations:
        completed(list(association.client_events))
        completed(list(association.server_events))
    assert sum(association.client.counters["retransmitted_flights"] for association in associations) >= 3


def test_garbage_changes_nothing_and_is_counted() -> None:
    association = Association()
    association.start()
    garbage = [
        b"",
        b"\x16",
        b"\x16\xfe\xff" + bytes(8),
        b"\x80" + bytes(40),  # RTP
        b"\x00\x01\x00\x00" + bytes(16),  # STUN
        b"\x2f" + bytes(40),  # DTLS 1.3's unified header
        b"\x16\x03\x03" + bytes(30),  # TLS
        b"\x16\xfe\xff" + bytes(8) + b"\xff\xff" + bytes(20),
        b"\x16\xfe\xff" + bytes(8) + b"\x00\x0c" + b"\x01\x01\x86\xa0" + bytes(8),  # announces 100 kB
    ]
    for data in garbage:
        association.server.receive_datagram(data, CLIENT_ADDRESS, 0.0)
    assert association.server.counters["malformed"] == len(garbage) - 1
    association.run()
    completed(list(association.server_events))


def test_records_after_a_good_one_are_dropped_with_what_follows_them() -> None:
    association = Association()
    association.start()
    [hello] = association.client.datagrams_to_send()
    association.server.receive_datagram(hello.data + b"\xff garbage", CLIENT_ADDRESS, 0.0)
    assert association.server.counters["malformed"] == 1
    association.run()
    completed(list(association.server_events))


def test_a_client_hears_nothing_before_it_speaks() -> None:
    client = context(DtlsRole.CLIENT).make_endpoint([WRONG])
    client.receive_datagram((VECTORS / "chromium156_clienthello_0.bin").read_bytes(), SERVER_ADDRESS, 0.0)
    assert client.counters["before_start"] == 1
    assert client.state is DtlsState.NEW


def test_replayed_and_forged_records_do_not_disturb_a_connection() -> None:
    association = connected()
    association.client.send_application_data(b"once")
    [datagram] = association.client.datagrams_to_send()
    forged = datagram.data[:-1] + bytes([datagram.data[-1] ^ 1])
    for data in (forged, datagram.data, datagram.data, datagram.data[:-5]):
        association.server.receive_datagram(data, CLIENT_ADDRESS, 0.0)
    association.server.receive_datagram((VECTORS / "chromium156_clienthello_0.bin").read_bytes(), CLIENT_ADDRESS, 0.0)
    association.server.receive_datagram(b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02\x02\x28", CLIENT_ADDRESS, 0.0)
    association.run()
    assert association.server_events == [ApplicationDataReceived(b"once")]
    assert association.server.state is DtlsState.CONNECTED


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_no_mutation_of_a_flight_raises(seed: int) -> None:
    generator = random.Random(seed)
    association = Association()
    association.start()
    for _ in range(3):
        for sender, receiver in (
            (association.client, association.server),
            (association.server, association.client),
        ):
            for datagram in sender.datagrams_to_send():
                mutated = bytearray(datagram.data)
                for _ in range(generator.randint(0, 3)):
                    mutated[generator.randrange(len(mutated))] = generator.randrange(256)
                cut = generator.randrange(len(mutated)) if generator.random() < 0.2 else len(mutated)
                receiver.receive_datagram(bytes(mutated[:cut]), CLIENT_ADDRESS, 0.0)
    association.client.handle_timeout(40.0)
    association.server.handle_timeout(40.0)
    for events in (association.client.events(), association.server.events()):
        # A peer that is believed has never said anything but what it should.
        assert all(isinstance(event, HandshakeCompleted | HandshakeFailed | Closed) for event in events)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_raise(data: bytes) -> None:
    association = connected()
    association.server.receive_datagram(data, CLIENT_ADDRESS, 0.0)
    association.server.receive_datagram(b"\x16\xfe\xfd" + data, CLIENT_ADDRESS, 0.0)
    fresh = context(DtlsRole.SERVER).make_endpoint()
    header = b"\x16\xfe\xff" + bytes(8) + len(data).to_bytes(2, "big")
    fresh.receive_datagram(header + data, CLIENT_ADDRESS, 0.0)
    assert association.server.state is DtlsState.CONNECTED


@pytest.mark.parametrize("bad", [{"profiles": []}, {"maximum_datagram": 100}])
def test_settings_that_cannot_work_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        DtlsContext(DtlsRole.SERVER, ecdsa_certificate(), **bad)  # type: ignore[arg-type]

"""The ICE-lite agent: answers, learning, nomination, roles, restarts and bounded memory."""

from dataclasses import astuple, replace

import aioice.stun
import pytest

from tests.ice.scripted_peer import (
    LOCAL,
    MOBILE,
    REMOTE,
    RENEWED_LOCAL,
    RENEWED_REMOTE,
    TRANSACTION_ID,
    WIFI,
    ScriptedPeer,
    agent,
    answer_to,
    counted_entropy,
)
from visiomedia.engine import Address, Engine
from visiomedia.errors import ConfigurationError, InvalidStateError
from visiomedia.ice import (
    CandidatePairForgotten,
    CandidatePairNominated,
    CandidatePairValidated,
    Credentials,
    CredentialsWithdrawn,
    ErrorReason,
    IceEvent,
    LiteAgent,
    LiteAgentSettings,
    Message,
    MessageClass,
    Restarted,
    Role,
    TransportAddress,
)

PRIORITY = 1853693695
OUR_TIE_BREAKER = 0x0102030405060708


def test_check_is_answered_with_the_address_it_came_from() -> None:
    engine: Engine[IceEvent] = agent()
    engine.receive_datagram(ScriptedPeer().check(), WIFI, 1.0)
    (datagram,) = engine.datagrams_to_send()
    assert datagram.address == WIFI
    answer = Message.parse(datagram.data)
    assert answer == Message(
        message_class=MessageClass.SUCCESS_RESPONSE,
        transaction_id=TRANSACTION_ID,
        xor_mapped_address=TransportAddress("192.0.2.1", 50000),
    )
    assert answer.is_authentic(LOCAL.password.encode())
    assert answer.has_fingerprint
    assert engine.datagrams_to_send() == []


def test_check_over_ipv6_is_answered() -> None:
    engine = agent()
    engine.receive_datagram(ScriptedPeer().check(), Address(1, "2001:db8::7", 4), 1.0)
    assert answer_to(engine).xor_mapped_address == TransportAddress("2001:db8::7", 4)


def test_each_new_address_is_learned_once() -> None:
    engine = agent()
    for now in (1.0, 1.5):
        engine.receive_datagram(ScriptedPeer().check(), WIFI, now)
    engine.receive_datagram(ScriptedPeer(priority=5).check(), MOBILE, 2.0)
    assert engine.events() == [CandidatePairValidated(WIFI, PRIORITY), CandidatePairValidated(MOBILE, 5)]
    assert engine.events() == []
    assert engine.addresses == (WIFI, MOBILE)
    assert engine.counters.answered == 3
    assert engine.selected is None


def test_same_remote_address_on_another_local_socket_is_another_pair() -> None:
    engine = agent()
    engine.receive_datagram(ScriptedPeer().check(), WIFI, 1.0)
    engine.receive_datagram(ScriptedPeer().check(), WIFI._replace(socket=1), 1.0)
    assert len(engine.addresses) == 2


def test_check_with_use_candidate_nominates_once() -> None:
    engine = agent()
    for now in (1.0, 3.5):
        engine.receive_datagram(ScriptedPeer().check(nominate=True), WIFI, now)
    assert engine.events() == [CandidatePairValidated(WIFI, PRIORITY), CandidatePairNominated(WIFI)]
    assert engine.selected == WIFI


def test_latest_nomination_wins() -> None:
    engine = agent()
    peer = ScriptedPeer()
    engine.receive_datagram(peer.check(nominate=True), WIFI, 1.0)
    engine.receive_datagram(peer.check(nominate=True), MOBILE, 2.0)
    engine.receive_datagram(peer.check(), WIFI, 3.0)
    assert engine.selected == MOBILE
    engine.receive_datagram(peer.check(nominate=True), WIFI, 4.0)
    assert engine.selected == WIFI
    assert [event for event in engine.events() if isinstance(event, CandidatePairNominated)] == [
        CandidatePairNominated(WIFI),
        CandidatePairNominated(MOBILE),
        CandidatePairNominated(WIFI),
    ]


def test_checks_before_the_answer_are_answered_and_reported_when_the_peer_is_known() -> None:
    engine = agent(remote=None)
    engine.receive_datagram(ScriptedPeer().check(nominate=True), WIFI, 1.0)
    engine.receive_datagram(ScriptedPeer().check(nominate=True), MOBILE, 1.1)
    stranger = ScriptedPeer(local=Credentials("stranger", "strangersPasswordOfLetters"))
    engine.receive_datagram(stranger.check(nominate=True), Address(0, "203.0.113.9", 1), 1.2)
    assert len(engine.datagrams_to_send()) == 3
    assert engine.events() == []
    assert engine.selected is None
    assert list(engine.addresses) == []
    engine.set_remote(REMOTE)
    assert engine.events() == [
        CandidatePairValidated(WIFI, PRIORITY),
        CandidatePairValidated(MOBILE, PRIORITY),
        CandidatePairNominated(MOBILE),
    ]
    assert list(engine.addresses) == [WIFI, MOBILE]
    engine.set_remote(REMOTE)
    assert engine.events() == []


def test_other_remote_credentials_need_a_restart() -> None:
    engine = agent()
    with pytest.raises(InvalidStateError, match="restart"):
        engine.set_remote(RENEWED_REMOTE)


def test_wrong_password_is_dropped_without_an_answer() -> None:
    engine = agent()
    thief = ScriptedPeer(remote=Credentials(LOCAL.ufrag, "aGuessedPasswordOfLetters"))
    engine.receive_datagram(thief.check(nominate=True), WIFI, 1.0)
    assert engine.datagrams_to_send() == []
    assert engine.events() == []
    assert engine.counters.bad_integrity == 1


@pytest.mark.parametrize("username", ["ourUfrag:other", "other:peer", "ourUfrag", "ourUfrag:peer:x", ":", ""])
def test_username_of_another_session_is_dropped_without_an_answer(username: str) -> None:
    engine = agent()
    request = replace(ScriptedPeer().request(), username=username)
    engine.receive_datagram(request.serialize(LOCAL.password.encode()), WIFI, 1.0)
    assert engine.datagrams_to_send() == []
    assert engine.counters.unknown_username == 1


def test_request_without_credentials_is_dropped_without_an_answer() -> None:
    engine = agent()
    request = ScriptedPeer().request()
    engine.receive_datagram(request.serialize(), WIFI, 1.0)
    request.username = None
    engine.receive_datagram(request.serialize(LOCAL.password.encode()), WIFI, 1.0)
    assert engine.datagrams_to_send() == []
    assert engine.counters.unauthenticated == 2


def test_messages_that_are_no_binding_requests_are_counted_by_kind() -> None:
    engine = agent()
    password = LOCAL.password.encode()
    request = ScriptedPeer().request()
    for message_class in (
        MessageClass.INDICATION,
        MessageClass.SUCCESS_RESPONSE,
        MessageClass.ERROR_RESPONSE,
    ):
        engine.receive_datagram(replace(request, message_class=message_class).serialize(password), WIFI, 1.0)
    engine.receive_datagram(replace(request, method=3).serialize(password), WIFI, 1.0)
    engine.receive_datagram(b"\x16\xfe\xfd", WIFI, 1.0)
    assert engine.datagrams_to_send() == []
    counters = engine.counters
    assert (counters.indication, counters.unexpected_response) == (1, 2)
    assert (counters.unsupported_method, counters.malformed) == (1, 1)
    assert sum(astuple(counters)) == 5


def with_unknown_attribute(signed_by: bytes) -> bytes:
    """A check whose SOFTWARE (0x8022) is turned into the unknown required 0x0022 before it is signed."""
    request = replace(ScriptedPeer().request(nominate=True), software="x")
    patched = request.serialize()[:-8].replace(b"\x80\x22\x00\x01x", b"\x00\x22\x00\x01x")
    digest = aioice.stun.message_integrity(patched, signed_by)
    patched += b"\x00\x08\x00\x14" + digest
    patched += b"\x80\x28\x00\x04" + aioice.stun.message_fingerprint(patched).to_bytes(4, "big")
    return aioice.stun.set_body_length(patched, len(patched) - 20)


def test_unknown_required_attribute_is_answered_420_and_nothing_is_learned() -> None:
    engine = agent()
    engine.receive_datagram(with_unknown_attribute(LOCAL.password.encode()), WIFI, 1.0)
    answer = answer_to(engine)
    assert answer.error == ErrorReason(420, "Unknown Attribute")
    assert answer.unknown_attributes == (0x0022,)
    assert answer.is_authentic(LOCAL.password.encode())
    assert engine.events() == []
    assert engine.counters.unknown_attribute == 1


def test_unknown_required_attribute_of_a_stranger_is_not_answered() -> None:
    engine = agent()
    engine.receive_datagram(with_unknown_attribute(b"aGuessedPasswordOfLetters"), WIFI, 1.0)
    assert engine.datagrams_to_send() == []
    assert engine.counters.bad_integrity == 1


def test_new_address_without_priority_is_answered_400() -> None:
    engine = agent()
    engine.receive_datagram(ScriptedPeer(priority=None).check(), WIFI, 1.0)
    assert answer_to(engine).error == ErrorReason(400, "Bad Request")
    assert engine.addresses == ()
    engine.receive_datagram(ScriptedPeer().check(), WIFI, 2.0)
    engine.receive_datagram(ScriptedPeer(priority=None).check(), WIFI, 3.0)
    assert engine.counters.answered == 2


def test_full_peer_that_claims_to_be_controlled_is_told_to_change_its_role() -> None:
    engine = agent()
    for tie_breaker in (0, OUR_TIE_BREAKER, 2**64 - 1):
        engine.receive_datagram(ScriptedPeer().check(controlled=tie_breaker), WIFI, 1.0)
        assert answer_to(engine).error == ErrorReason(487, "Role Conflict")
    assert engine.role is Role.CONTROLLED
    assert engine.events() == []
    assert engine.counters.role_conflict == 3


def lite_pair(role: Role) -> LiteAgent:
    return LiteAgent(LOCAL, REMOTE, role=role, peer_is_lite=True, entropy=counted_entropy)


@pytest.mark.parametrize(
    ("theirs", "role", "code"),
    [
        (OUR_TIE_BREAKER - 1, Role.CONTROLLING, 487),
        (OUR_TIE_BREAKER, Role.CONTROLLING, 487),
        (OUR_TIE_BREAKER + 1, Role.CONTROLLED, None),
    ],
)
def test_two_controlling_agents_compare_tie_breakers(theirs: int, role: Role, code: int | None) -> None:
    engine = lite_pair(Role.CONTROLLING)
    request = replace(ScriptedPeer().request(), ice_controlling=theirs)
    engine.receive_datagram(request.serialize(LOCAL.password.encode()), WIFI, 1.0)
    error = answer_to(engine).error
    assert (error and error.code) == code
    assert engine.role is role


@pytest.mark.parametrize(
    ("theirs", "role", "code"),
    [
        (OUR_TIE_BREAKER - 1, Role.CONTROLLING, None),
        (OUR_TIE_BREAKER, Role.CONTROLLING, None),
        (OUR_TIE_BREAKER + 1, Role.CONTROLLED, 487),
    ],
)
def test_two_controlled_lite_agents_compare_tie_breakers(theirs: int, role: Role, code: int | None) -> None:
    engine = lite_pair(Role.CONTROLLED)
    engine.receive_datagram(ScriptedPeer().check(controlled=theirs), WIFI, 1.0)
    error = answer_to(engine).error
    assert (error and error.code) == code
    assert engine.role is role


def test_nomination_by_a_controlled_peer_means_nothing() -> None:
    engine = lite_pair(Role.CONTROLLING)
    engine.receive_datagram(ScriptedPeer().check(nominate=True, controlled=1), WIFI, 1.0)
    assert engine.events() == [CandidatePairValidated(WIFI, PRIORITY)]
    assert engine.selected is None


def test_controlling_role_is_refused_with_a_full_peer() -> None:
    with pytest.raises(ConfigurationError, match="role"):
        LiteAgent(LOCAL, REMOTE, role=Role.CONTROLLING)


def test_restart_moves_media_only_when_the_new_credentials_nominate() -> None:
    engine = agent()
    engine.receive_datagram(ScriptedPeer().check(nominate=True), WIFI, 1.0)
    engine.events()
    engine.restart(RENEWED_LOCAL, RENEWED_REMOTE, 2.0)
    assert list(engine.local_ufrags) == [LOCAL.ufrag, RENEWED_LOCAL.ufrag]
    renewed = ScriptedPeer(local=RENEWED_REMOTE, remote=RENEWED_LOCAL)
    engine.receive_datagram(ScriptedPeer().check(nominate=True), WIFI, 2.1)
    engine.receive_datagram(renewed.check(), MOBILE, 2.2)
    assert engine.selected == WIFI
    assert engine.events() == [CandidatePairValidated(MOBILE, PRIORITY)]
    engine.receive_datagram(renewed.check(nominate=True), MOBILE, 2.3)
    assert engine.selected == MOBILE
    assert engine.events() == [
        CandidatePairNominated(MOBILE),
        Restarted(RENEWED_LOCAL.ufrag),
        CandidatePairForgotten(WIFI),
        CredentialsWithdrawn(LOCAL.ufrag),
    ]
    assert list(engine.local_ufrags) == [RENEWED_LOCAL.ufrag]
    answers = [Message.parse(datagram.data) for datagram in engine.datagrams_to_send()]
    assert [answer.is_authentic(LOCAL.password.encode()) for answer in answers] == [True, True, False, False]
    assert answers[3].is_authentic(RENEWED_LOCAL.password.encode())


def test_old_credentials_are_refused_after_the_restart() -> None:
    engine = agent()
    engine.restart(RENEWED_LOCAL, RENEWED_REMOTE, 2.0)
    renewed = ScriptedPeer(local=RENEWED_REMOTE, remote=RENEWED_LOCAL)
    engine.receive_datagram(renewed.check(nominate=True), MOBILE, 2.3)
    engine.datagrams_to_send()
    engine.receive_datagram(ScriptedPeer().check(nominate=True), WIFI, 2.4)
    assert engine.datagrams_to_send() == []
    assert engine.counters.unknown_username == 1
    assert engine.selected == MOBILE


def test_restart_over_the_same_address_keeps_it() -> None:
    engine = agent()
    engine.receive_datagram(ScriptedPeer().check(nominate=True), WIFI, 1.0)
    engine.restart(RENEWED_LOCAL, None, 2.0)
    engine.events()
    renewed = ScriptedPeer(local=RENEWED_REMOTE, remote=RENEWED_LOCAL)
    engine.receive_datagram(renewed.check(nominate=True), WIFI, 2.3)
    assert engine.events() == []
    engine.set_remote(RENEWED_REMOTE)
    assert engine.events() == [
        CandidatePairNominated(WIFI),
        Restarted(RENEWED_LOCAL.ufrag),
        CredentialsWithdrawn(LOCAL.ufrag),
    ]
    assert engine.addresses == (WIFI,)


def test_unfinished_restart_is_replaced_by_the_next() -> None:
    engine = agent()
    engine.receive_datagram(ScriptedPeer().check(nominate=True), WIFI, 1.0)
    engine.restart(RENEWED_LOCAL, RENEWED_REMOTE, 2.0)
    renewed = ScriptedPeer(local=RENEWED_REMOTE, remote=RENEWED_LOCAL)
    engine.receive_datagram(renewed.check(), MOBILE, 2.1)
    engine.events()
    third = Credentials("thirdUfrag", "ourThirdPasswordOfLetters")
    engine.restart(third, RENEWED_REMOTE, 3.0)
    assert engine.events() == [CandidatePairForgotten(MOBILE), CredentialsWithdrawn(RENEWED_LOCAL.ufrag)]
    assert engine.local_ufrags == (LOCAL.ufrag, third.ufrag)
    assert engine.selected == WIFI


def test_restart_needs_a_new_ufrag() -> None:
    with pytest.raises(InvalidStateError, match="new ufrag"):
        agent().restart(LOCAL, RENEWED_REMOTE, 1.0)


def test_remembered_addresses_are_bounded_and_the_selected_one_stays() -> None:
    engine = agent(remembered_pairs=4)
    peer = ScriptedPeer()
    engine.receive_datagram(peer.check(nominate=True), WIFI, 0.0)
    others = [Address(0, f"203.0.113.{index}", 9) for index in range(100)]
    for index, address in enumerate(others):
        engine.receive_datagram(peer.check(), address, 1.0 + index / 100)
    assert engine.addresses == (WIFI, *others[-3:])
    assert engine.selected == WIFI
    forgotten = [event.address for event in engine.events() if isinstance(event, CandidatePairForgotten)]
    assert forgotten == others[:-3]


def test_bound_on_addresses_holds_during_a_restart() -> None:
    engine = agent(remembered_pairs=2)
    engine.receive_datagram(ScriptedPeer().check(nominate=True), WIFI, 0.0)
    engine.restart(RENEWED_LOCAL, RENEWED_REMOTE, 0.5)
    renewed = ScriptedPeer(local=RENEWED_REMOTE, remote=RENEWED_LOCAL)
    for index in range(10):
        engine.receive_datagram(renewed.check(), Address(0, "203.0.113.1", index), 1.0)
    assert len(engine.addresses) == 2
    assert engine.selected == WIFI


@pytest.mark.parametrize("settings", [{"consent_timeout": 0.0}, {"consent_timeout": float("nan")}])
def test_wrong_consent_timeout_is_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="consent_timeout"):
        LiteAgentSettings(**settings)  # type: ignore[arg-type]


def test_wrong_bound_on_addresses_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="remembered_pairs"):
        LiteAgentSettings(remembered_pairs=1)

"""Consent in virtual time: RFC 7675 as an agent can keep it that sends no checks."""

import pytest

from tests.ice.scripted_peer import (
    LOCAL,
    MOBILE,
    REMOTE,
    RENEWED_LOCAL,
    RENEWED_REMOTE,
    WIFI,
    ScriptedPeer,
    agent,
)
from visiomedia.errors import InvalidStateError
from visiomedia.ice import (
    CandidatePairForgotten,
    CandidatePairNominated,
    CandidatePairValidated,
    ConsentExpired,
    Credentials,
    CredentialsWithdrawn,
    IceEvent,
    LiteAgent,
    Restarted,
)


def run_until(engine: LiteAgent, end: float) -> list[tuple[float, IceEvent]]:
    """Calls the timer each time it wants to be called up to ``end``; what happened when."""
    happened: list[tuple[float, IceEvent]] = []
    while (due := engine.next_timeout()) is not None and due <= end:
        engine.handle_timeout(due)
        happened.extend((due, event) for event in engine.events())
    return happened


def connected() -> LiteAgent:
    engine = agent()
    engine.receive_datagram(ScriptedPeer().check(nominate=True), WIFI, 100.0)
    engine.events()
    return engine


def test_agent_that_nobody_has_reached_waits_for_ever() -> None:
    engine = agent()
    assert engine.next_timeout() is None
    engine.handle_timeout(1e9)
    assert engine.events() == []


def test_consent_expires_thirty_seconds_after_the_last_check() -> None:
    engine = connected()
    assert run_until(engine, 1000.0) == [
        (130.0, CandidatePairForgotten(WIFI)),
        (130.0, CredentialsWithdrawn(LOCAL.ufrag)),
        (130.0, ConsentExpired()),
    ]
    assert engine.selected is None
    assert engine.local_ufrags == ()
    assert engine.next_timeout() is None


def test_each_check_renews_consent_without_moving_the_timer() -> None:
    engine = connected()
    for now in (105.0, 110.0, 129.0):
        engine.receive_datagram(ScriptedPeer().check(), WIFI, now)
        assert engine.next_timeout() == 130.0
    assert run_until(engine, 158.9) == []
    assert engine.next_timeout() == 159.0
    assert (159.0, ConsentExpired()) in run_until(engine, 159.0)


@pytest.mark.parametrize("password", ["aGuessedPasswordOfLetters", ""])
def test_checks_of_a_stranger_renew_nothing(password: str) -> None:
    engine = connected()
    request = ScriptedPeer().request()
    engine.receive_datagram(request.serialize(password.encode() or None), WIFI, 129.0)
    assert (130.0, ConsentExpired()) in run_until(engine, 130.0)


def test_silent_nominated_pair_is_left_but_another_keeps_the_agent_alive() -> None:
    engine = connected()
    engine.receive_datagram(ScriptedPeer().check(), MOBILE, 120.0)
    engine.events()
    assert run_until(engine, 149.0) == [(130.0, CandidatePairForgotten(WIFI))]
    assert engine.selected is None
    engine.receive_datagram(ScriptedPeer().check(nominate=True), MOBILE, 149.0)
    assert engine.events() == [CandidatePairNominated(MOBILE)]
    assert (179.0, ConsentExpired()) in run_until(engine, 1000.0)


def test_checks_after_expired_consent_are_not_answered() -> None:
    engine = connected()
    engine.datagrams_to_send()
    run_until(engine, 130.0)
    engine.receive_datagram(ScriptedPeer().check(nominate=True), WIFI, 131.0)
    assert engine.datagrams_to_send() == []
    assert engine.events() == []
    with pytest.raises(InvalidStateError, match="restart"):
        engine.set_remote(REMOTE)


def test_restart_revives_an_agent_whose_consent_expired() -> None:
    engine = connected()
    run_until(engine, 130.0)
    engine.restart(RENEWED_LOCAL, RENEWED_REMOTE, 140.0)
    renewed = ScriptedPeer(local=RENEWED_REMOTE, remote=RENEWED_LOCAL)
    engine.receive_datagram(renewed.check(nominate=True), WIFI, 150.0)
    events = engine.events()
    assert isinstance(events[0], CandidatePairValidated)
    assert events[1:] == [CandidatePairNominated(WIFI), Restarted(RENEWED_LOCAL.ufrag)]
    assert (180.0, ConsentExpired()) in run_until(engine, 1000.0)


def test_restart_gives_a_peer_with_a_dead_path_time_to_come_back() -> None:
    engine = connected()
    engine.restart(RENEWED_LOCAL, RENEWED_REMOTE, 128.0)
    assert run_until(engine, 140.0) == [(130.0, CandidatePairForgotten(WIFI))]
    renewed = ScriptedPeer(local=RENEWED_REMOTE, remote=RENEWED_LOCAL)
    engine.receive_datagram(renewed.check(nominate=True), MOBILE, 157.0)
    assert engine.selected == MOBILE
    assert CredentialsWithdrawn(LOCAL.ufrag) in engine.events()


def test_restart_that_nobody_answers_expires() -> None:
    engine = connected()
    engine.restart(RENEWED_LOCAL, RENEWED_REMOTE, 128.0)
    assert run_until(engine, 1000.0) == [
        (130.0, CandidatePairForgotten(WIFI)),
        (158.0, CredentialsWithdrawn(LOCAL.ufrag)),
        (158.0, CredentialsWithdrawn(RENEWED_LOCAL.ufrag)),
        (158.0, ConsentExpired()),
    ]


def test_checks_of_an_unconfirmed_peer_expire_as_well() -> None:
    engine = agent(remote=None)
    stranger = ScriptedPeer(local=Credentials("someone", "somePasswordOf24Letters.."))
    engine.receive_datagram(stranger.check(), WIFI, 100.0)
    assert run_until(engine, 1000.0) == [
        (130.0, CredentialsWithdrawn(LOCAL.ufrag)),
        (130.0, ConsentExpired()),
    ]


def test_early_call_of_the_timer_is_harmless() -> None:
    engine = connected()
    engine.handle_timeout(129.9)
    assert engine.events() == []
    assert engine.selected == WIFI

"""Candidates and their attribute."""

import aioice
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiomedia.errors import ParseError
from visiomedia.ice import Candidate, CandidateType, candidate_foundation, candidate_priority, host_candidate

CHROMIUM = (
    "candidate:842163049 1 udp 1677729535 203.0.113.5 46154 typ srflx raddr 192.0.2.7 rport 50421 "
    "generation 0 ufrag EEtu network-id 3 network-cost 10"
)


def test_candidate_of_a_browser_is_read() -> None:
    assert Candidate.parse(CHROMIUM) == Candidate(
        foundation="842163049",
        component=1,
        transport="udp",
        priority=1677729535,
        host="203.0.113.5",
        port=46154,
        type=CandidateType.SERVER_REFLEXIVE,
        related_host="192.0.2.7",
        related_port=50421,
        extensions=(("generation", "0"), ("ufrag", "EEtu"), ("network-id", "3"), ("network-cost", "10")),
    )


def test_candidate_is_written_as_it_was_read() -> None:
    assert "candidate:" + Candidate.parse(CHROMIUM).serialize() == CHROMIUM


def test_tcp_candidate_and_names_are_kept() -> None:
    candidate = Candidate.parse("1 1 TCP 1518280447 d3f1.local 9 typ host tcptype active")
    assert (candidate.transport, candidate.host, candidate.tcptype) == ("tcp", "d3f1.local", "active")
    assert candidate.serialize() == "1 1 tcp 1518280447 d3f1.local 9 typ host tcptype active"


def test_priority_follows_the_formula_of_the_rfc() -> None:
    assert candidate_priority(CandidateType.HOST) == 2130706431
    assert candidate_priority(CandidateType.PEER_REFLEXIVE) == 1862270975
    assert candidate_priority(CandidateType.RELAYED, local_preference=0, component=2) == 254


def test_foundation_differs_by_type_transport_base_and_server() -> None:
    made = {
        candidate_foundation("host", "udp", "192.0.2.1"),
        candidate_foundation("host", "tcp", "192.0.2.1"),
        candidate_foundation("srflx", "udp", "192.0.2.1"),
        candidate_foundation("host", "udp", "192.0.2.2"),
        candidate_foundation("srflx", "udp", "192.0.2.1", "198.51.100.1"),
    }
    assert len(made) == 5
    assert candidate_foundation("host", "UDP", "192.0.2.1") in made


@pytest.mark.interop
def test_host_candidate_is_understood_by_aioice() -> None:
    theirs = aioice.Candidate.from_sdp(host_candidate("2001:db8::1", 7882).serialize())
    assert (theirs.host, theirs.port, theirs.type, theirs.transport) == ("2001:db8::1", 7882, "host", "udp")
    assert (theirs.component, theirs.priority) == (1, 2130706431)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1 1 udp 1 192.0.2.1 9 typ",
        "1 1 udp 1 192.0.2.1 9 tip host",
        "1 0 udp 1 192.0.2.1 9 typ host",
        "1 257 udp 1 192.0.2.1 9 typ host",
        "1 1 udp 4294967296 192.0.2.1 9 typ host",
        "1 1 udp -1 192.0.2.1 9 typ host",
        "1 1 udp 1_0 192.0.2.1 9 typ host",
        "1 1 udp 1 192.0.2.1 ٩ typ host",
        "1 1 udp 1 192.0.2.1 65536 typ host",
        "1 1 udp 1 192.0.2.1 9 typ host rport x",
        "1 1 udp 1 192.0.2.1 9 typ host generation",
        "f" * 33 + " 1 udp 1 192.0.2.1 9 typ host",
        "1 1 udp 1 " + "a" * 1024 + " 9 typ host",
    ],
)
def test_wrong_candidates_raise_parse_error(value: str) -> None:
    with pytest.raises(ParseError):
        Candidate.parse(value)


@given(st.text(max_size=80), st.integers(0, len(CHROMIUM)))
def test_garbage_raises_parse_error_or_is_a_candidate(text: str, cut: int) -> None:
    for value in (text, CHROMIUM[:cut] + text, CHROMIUM[:cut] + text + CHROMIUM[cut:]):
        try:
            candidate = Candidate.parse(value)
        except ParseError:
            continue
        assert Candidate.parse(candidate.serialize()) == candidate

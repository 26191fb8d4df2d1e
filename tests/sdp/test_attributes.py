"""Single values, both ways."""

import pytest

from visiomedia.errors import ParseError
from visiomedia.sdp import Candidate, Codec, Direction, HeaderExtension, Rid, Simulcast, SsrcGroup
from visiomedia.sdp.attributes import parse_parameters, parse_rtpmap

Value = HeaderExtension | Rid | Simulcast | Candidate | SsrcGroup

CASES: list[tuple[str, Value]] = [
    ("1 urn:x", HeaderExtension(1, "urn:x")),
    ("2/sendonly urn:x", HeaderExtension(2, "urn:x", Direction.SENDONLY)),
    ("4100 urn:x some attributes", HeaderExtension(4100, "urn:x", None, "some attributes")),
    ("q send", Rid("q", "send")),
    ("1 recv pt=96,97;max-width=1280;unheard", Rid("1", "recv", (96, 97), {"max-width": "1280", "unheard": ""})),
    ("send q;h;f", Simulcast(send=(("q",), ("h",), ("f",)))),
    ("recv a", Simulcast(receive=(("a",),))),
    # RFC 8853 section 5.6.1: alternatives, and streams that begin paused.
    ("send 1,~4;~2 recv 3", Simulcast((("1", "4"), ("2",)), (("3",),), frozenset({"4", "2"}))),
    (
        "842163049 1 udp 1677729535 203.0.113.4 46154 typ srflx raddr 10.0.0.1 rport 5000 generation 0",
        Candidate(
            "842163049",
            1,
            "udp",
            1677729535,
            "203.0.113.4",
            46154,
            "srflx",
            "raddr 10.0.0.1 rport 5000 generation 0",
        ),
    ),
    ("0 1 UDP 2122252543 a.local 1 typ host", Candidate("0", 1, "UDP", 2122252543, "a.local", 1, "host")),
    ("FID 1 2", SsrcGroup("FID", (1, 2))),
]


@pytest.mark.parametrize(("text", "value"), CASES)
def test_values_are_parsed_and_serialized(text: str, value: Value) -> None:
    assert type(value).parse(text) == value
    assert value.serialize() == text


def test_trickled_candidate_may_have_its_prefix() -> None:
    assert Candidate.parse("candidate:" + CASES[-2][0]) == CASES[-2][1]


def test_candidate_extensions_are_found_by_name() -> None:
    candidate = Candidate.parse(CASES[-3][0])
    assert (candidate.extension("raddr"), candidate.extension("rport"), candidate.extension("tcptype")) == (
        "10.0.0.1",
        "5000",
        None,
    )


def test_directions_seen_from_the_other_side() -> None:
    assert Direction.SENDONLY.reversed is Direction.RECVONLY
    assert Direction.SENDRECV.reversed is Direction.SENDRECV
    assert Direction.INACTIVE.reversed is Direction.INACTIVE


def test_format_parameters_keep_order_values_with_equals_and_bare_words() -> None:
    text = "packetization-mode=1;sprop-parameter-sets=Z0LgC5ZUCg/I,aM48gA==;0-15"
    parameters = parse_parameters(text)
    assert list(parameters) == ["packetization-mode", "sprop-parameter-sets", "0-15"]
    assert parameters["sprop-parameter-sets"] == "Z0LgC5ZUCg/I,aM48gA=="
    assert Codec(96, "H264", 90000, 1, parameters).fmtp == text


def test_rtpmap_without_channels_has_one() -> None:
    assert parse_rtpmap("opus/48000/2") == ("opus", 48000, 2)
    assert parse_rtpmap("PCMU/8000") == ("PCMU", 8000, 1)
    with pytest.raises(ParseError):
        parse_rtpmap("opus")


@pytest.mark.parametrize("apt", ["", "x", "96,97", "9" * 5000, "-1"])
def test_a_senseless_apt_is_none(apt: str) -> None:
    assert Codec(97, "rtx", 90000, 1, {"apt": apt}).apt is None

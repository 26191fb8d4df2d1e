"""Packets, chunks, parameters and DCEP messages: one table both ways, and their invalid twins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sctp.vectors import CHUNKS, OPENS, RECONFIGURATIONS
from visiomedia.errors import ParseError
from visiomedia.sctp.chunks import (
    Chunk,
    ChunkType,
    CookieEcho,
    Signal,
    parse_chunk,
)
from visiomedia.sctp.dcep import DataChannelOpen
from visiomedia.sctp.packet import Packet
from visiomedia.sctp.parameters import Parameter, parse_parameters
from visiomedia.sctp.reconfiguration import (
    Reconfiguration,
    parse_reconfiguration,
)


def chunk_of(data: bytes) -> Chunk:
    """A lone chunk's bytes, parsed."""
    return parse_chunk(data[0], data[1], data[4 : int.from_bytes(data[2:4], "big")])


@pytest.mark.parametrize(("wire", "chunk"), CHUNKS)
def test_chunk_both_ways(wire: str, chunk: Chunk) -> None:
    assert chunk.serialize().hex() == wire.replace(" ", "")
    assert chunk_of(bytes.fromhex(wire)) == chunk


@pytest.mark.parametrize(("kind", "wire", "reconfiguration"), RECONFIGURATIONS)
def test_reconfiguration_both_ways(kind: int, wire: str, reconfiguration: Reconfiguration) -> None:
    parameter = Parameter(kind, bytes.fromhex(wire))
    assert reconfiguration.serialize() == parameter
    assert parse_reconfiguration(parameter) == reconfiguration


@pytest.mark.parametrize(("wire", "opened"), OPENS)
def test_data_channel_open_both_ways(wire: str, opened: DataChannelOpen) -> None:
    assert opened.serialize().hex() == wire.replace(" ", "")
    assert DataChannelOpen.parse(bytes.fromhex(wire)) == opened


@pytest.mark.parametrize("has_checksum", [True, False])
def test_packet_both_ways(has_checksum: bool) -> None:
    chunks = [chunk for _, chunk in CHUNKS]
    packet = Packet(5000, 5001, 0xDEADBEEF, chunks, has_checksum)
    data = packet.serialize()
    assert data[:8].hex() == "13881389deadbeef"
    assert (data[8:12] == bytes(4)) is not has_checksum
    assert Packet.parse(data) == packet


def test_padding_after_the_last_chunk_may_be_missing() -> None:
    packet = Packet(1, 2, 3, [CookieEcho(b"12345")], False)
    assert Packet.parse(packet.serialize()[:-3]) == packet


def test_every_prefix_of_a_packet_is_refused() -> None:
    data = Packet(5000, 5000, 1, [chunk for _, chunk in CHUNKS]).serialize()
    for length in range(len(data)):
        with pytest.raises(ParseError):
            Packet.parse(data[:length])


def test_every_prefix_without_a_checksum_is_refused_or_ends_with_a_chunk() -> None:
    whole = Packet(5000, 5000, 1, [chunk for _, chunk in CHUNKS], False)
    data = whole.serialize()
    for length in range(len(data)):
        try:
            parsed = Packet.parse(data[:length])
        except ParseError:
            continue
        assert parsed.chunks == whole.chunks[: len(parsed.chunks)]


@pytest.mark.parametrize("position", range(12))
def test_one_wrong_byte_of_the_header_is_seen(position: int) -> None:
    data = bytearray(Packet(5000, 5000, 1, [Signal(ChunkType.COOKIE_ACK)]).serialize())
    data[position] ^= 0x10
    with pytest.raises(ParseError):
        Packet.parse(bytes(data))


INVALID = [
    "00030010 00000001 0002 0003 000000",
    "01000014 00000000 00100000 ffff ffff 55667788",
    "01000014 00000001 00100000 0000 ffff 55667788",
    "01000014 00000001 00100000 ffff 0000 55667788",
    "01000010 00000001 00100000 ffff ffff",
    "01000018 00000001 00100000 ffff ffff 55667788 8008 0003",
    "01000018 00000001 00100000 ffff ffff 55667788 8008 0009",
    "03000010 00000009 00010000 0001 0000",
    "03000014 00000009 00010000 0001 0000 0003 0002",
    "03000014 00000009 00010000 0001 0000 0000 0002",
    "04000004",
    "04000008 0002 0004",
    "06000008 000c 0008",
    "07000004",
    "08000008 00000000",
    "0a000004",
    "c0000006 0000 0001",
    "c000000a 00000001 0002 0000",
    "82000004",
    "82000010 0010 0004 0010 0004 0010 0004",
]


@pytest.mark.parametrize("wire", INVALID)
def test_invalid_chunk_is_refused(wire: str) -> None:
    data = bytes.fromhex(wire)
    with pytest.raises(ParseError):
        chunk_of(data)


@pytest.mark.parametrize(
    ("kind", "wire"),
    [
        (13, "0000000100000002000000"),
        (13, "00000001000000020000000304"),
        (14, "000000"),
        (14, "0000000101"),
        (15, "00"),
        (16, "00000001"),
        (17, "00000001"),
        (19, "00000001"),
    ],
)
def test_invalid_reconfiguration_is_refused(kind: int, wire: str) -> None:
    with pytest.raises(ParseError):
        parse_reconfiguration(Parameter(kind, bytes.fromhex(wire)))


@pytest.mark.parametrize(
    "wire",
    [
        "",
        "03",
        "0200 0100 00000000 0000 0000",
        "0303 0100 00000000 0000 0000",
        "0300 0100 00000000 0001 0000 ff",
        "0300 0100 00000000 0002 0000 61",
        "0300 0100 00000000 0000 0000 61",
    ],
)
def test_invalid_data_channel_open_is_refused(wire: str) -> None:
    with pytest.raises(ParseError):
        DataChannelOpen.parse(bytes.fromhex(wire))


@given(st.binary(max_size=200))
def test_parsers_raise_nothing_but_parse_error(data: bytes) -> None:
    for kind in (*ChunkType, 77, 255):
        try:
            chunk = parse_chunk(kind, 0, data)
        except ParseError:
            continue
        # Chunks with parameters are padded inside, and padding is not kept.
        assert chunk_of(chunk.serialize()) == chunk
    for kind in range(13, 20):
        try:
            reconfiguration = parse_reconfiguration(Parameter(kind, data))
        except ParseError:
            continue
        assert parse_reconfiguration(reconfiguration.serialize()) == reconfiguration


@given(st.lists(st.tuples(st.integers(0, 65535), st.binary(max_size=20)), max_size=6))
def test_parameters_round_trip(parameters: list[tuple[int, bytes]]) -> None:
    wanted = [Parameter(*parameter) for parameter in parameters]
    assert parse_parameters(b"".join(parameter.serialize() for parameter in wanted), "test") == wanted

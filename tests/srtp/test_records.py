"""DTLS records seen from outside."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiomedia.errors import ParseError
from visiomedia.srtp.records import pack_records, records


def record(length: int, content_type: int = 23, epoch: int = 1) -> bytes:
    return bytes([content_type, 0xFE, 0xFD, 0, epoch]) + bytes(6) + length.to_bytes(2, "big") + bytes(length)


@given(st.lists(st.integers(1, 700), max_size=12), st.integers(300, 1400))
def test_packing_keeps_order_and_loses_nothing(lengths: list[int], limit: int) -> None:
    written = [record(length) for length in lengths]
    datagrams = pack_records(b"".join(written), limit)
    assert b"".join(datagrams) == b"".join(written)
    assert [r for datagram in datagrams for r in records(datagram)] == written
    for datagram in datagrams:
        assert len(datagram) <= limit or len(list(records(datagram))) == 1


def test_packing_fills_each_datagram() -> None:
    sizes = [len(datagram) for datagram in pack_records(record(587) + record(587) + record(587), 1200)]
    assert sizes == [1200, 600]


def test_every_prefix_of_a_record_is_refused() -> None:
    whole = record(40)
    for end in range(1, len(whole)):
        with pytest.raises(ParseError):
            list(records(whole[:end]))


@pytest.mark.parametrize("content_type", [0, 19, 24, 25, 26, 32, 63, 128, 255])
def test_other_content_types_are_refused(content_type: int) -> None:
    with pytest.raises(ParseError):
        list(records(record(4, content_type)))


def test_a_handshake_message_is_bounded_before_openssl_sets_memory_aside() -> None:
    def fragment(length: int, offset: int, fragment_length: int) -> bytes:
        header = b"\x01" + length.to_bytes(3, "big") + b"\0\0"
        header += offset.to_bytes(3, "big") + fragment_length.to_bytes(3, "big")
        body = header + bytes(fragment_length)
        return b"\x16\xfe\xff" + bytes(8) + len(body).to_bytes(2, "big") + body

    assert len(list(records(fragment(1413, 1175, 238)))) == 1
    for length, offset, fragment_length in ((100_000, 0, 10), (100, 95, 10), (16_385, 0, 10)):
        with pytest.raises(ParseError):
            list(records(fragment(length, offset, fragment_length)))
    cut = bytearray(fragment(50, 0, 50))
    cut[11:13] = (40).to_bytes(2, "big")
    with pytest.raises(ParseError):
        list(records(bytes(cut[:53])))


@given(st.binary(max_size=200))
def test_any_bytes_are_records_or_refused(data: bytes) -> None:
    with contextlib.suppress(ParseError):
        assert b"".join(records(data)) == data

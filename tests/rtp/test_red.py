"""RED: what is put in comes out, what cannot be told is left out, and garbage is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiomedia.errors import ParseError
from visiomedia.rtp.payload.red import RedundantBlock, build_red, parse_red

OPUS = 111


def block(offset: int, data: bytes) -> RedundantBlock:
    return RedundantBlock(OPUS, offset, data)


def test_a_packet_as_the_rfc_draws_it() -> None:
    # RFC 2198 section 4: F, block PT, timestamp offset of 14 bits, length of 10; then F=0 and the primary's PT.
    payload = bytes([0x80 | 7]) + (160 << 10 | 3).to_bytes(3, "big") + bytes([5]) + b"old" + b"new one"
    assert parse_red(payload) == [RedundantBlock(7, 160, b"old"), RedundantBlock(5, 0, b"new one")]
    assert build_red(RedundantBlock(5, 0, b"new one"), [RedundantBlock(7, 160, b"old")]) == payload


def test_without_redundancy_it_is_one_byte_more() -> None:
    assert build_red(block(0, b"sound")) == bytes([OPUS]) + b"sound"
    assert parse_red(bytes([OPUS]) + b"sound") == [block(0, b"sound")]
    assert parse_red(bytes([OPUS])) == [block(0, b"")]


@pytest.mark.parametrize("untold", [block(1920, b""), block(1920, bytes(1024)), block(1 << 14, b"x"), block(0, b"x")])
def test_what_cannot_be_told_is_left_out(untold: RedundantBlock) -> None:
    kept = block(960, b"kept")
    assert parse_red(build_red(block(0, b"now"), [untold, kept])) == [kept, block(0, b"now")]


BLOCKS = st.builds(
    RedundantBlock,
    payload_type=st.integers(0, 127),
    timestamp_offset=st.integers(1, (1 << 14) - 1),
    data=st.binary(min_size=1, max_size=1023),
)


@given(redundant=st.lists(BLOCKS, max_size=5), payload_type=st.integers(0, 127), data=st.binary(max_size=1200))
def test_what_is_built_is_read(redundant: list[RedundantBlock], payload_type: int, data: bytes) -> None:
    primary = RedundantBlock(payload_type, 0, data)
    assert parse_red(build_red(primary, redundant)) == [*redundant, primary]


@pytest.mark.parametrize("payload", [b"", b"\xef", b"\xef\x00\x00", b"\xef\x00\x00\x05", b"\xef\x00\x04\x05\x6fabc"])
def test_what_ends_early_is_refused(payload: bytes) -> None:
    with pytest.raises(ParseError):
        parse_red(payload)


@given(st.binary(max_size=200))
def test_garbage_is_read_or_refused(payload: bytes) -> None:
    try:
        blocks = parse_red(payload)
    except ParseError:
        return
    assert sum(len(each.data) for each in blocks) + 4 * (len(blocks) - 1) + 1 == len(payload)

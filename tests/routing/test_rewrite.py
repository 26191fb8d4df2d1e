"""Composed rows are what an RTP stack of its own would write: checked by taking the bytes apart by hand."""

from typing import Any

import numpy as np
import pytest

from visiomedia.batch import OUT_ROW
from visiomedia.routing.rewrite_kernels import compose
from visiomedia.routing.tables import ENTRY, SUBSCRIPTION
from visiomedia.rtp.tables import EXTENSION_MAP

MID, AUDIO_LEVEL, DEPENDENCY_DESCRIPTOR = 1, 4, 10


def compose_one(
    *,
    extensions: bytes = b"",
    ids: dict[int, int] | None = None,
    mid: bytes = b"",
    mixed: bool = False,
    repair: int = -1,
) -> Any:
    pool = np.zeros(1024, np.uint8)
    pool[200 : 200 + len(extensions)] = np.frombuffer(extensions, np.uint8)
    entry = np.zeros(1, ENTRY)[0]
    entry.offset, entry.extensions_length, entry.payload_length = 200, len(extensions), 333
    entry.timestamp, entry.marker = 0xFFFFFFF0, 1
    subscription = np.zeros(1, SUBSCRIPTION)[0]
    subscription.ssrc, subscription.rtx_ssrc = 0x01020304, 0x0A0B0C0D
    subscription.payload_type, subscription.rtx_payload_type = 96, 97
    subscription.map_timestamp_offset[2] = 0x20
    subscription.transport = 5
    subscription.mid_length = len(mid)
    subscription.mid[: len(mid)] = np.frombuffer(mid, np.uint8)
    extension_map = np.zeros(1, EXTENSION_MAP)[0]
    for kind, identifier in (ids or {}).items():
        extension_map.id_of_kind[kind] = identifier
    extension_map.takes_mixed = mixed
    out = np.zeros(1, OUT_ROW)[0]
    compose(out, subscription, 7, 2, entry, extension_map, pool, 0x1_F00D, repair)
    return out


def header(out: Any) -> bytes:
    return bytes(out.prefix[: out.header_length])


def test_plain_header_carries_the_subscriptions_numbers() -> None:
    out = compose_one()
    assert header(out).hex() == "80e0f00d" + "00000010" + "01020304"
    assert (out.index, out.ssrc, out.stream, out.transport) == (0x1_F00D, 0x01020304, 14, 5)
    assert (out.slice_offset[0], out.slice_length[0], out.prefix_length) == (200, 333, 12)


def test_retransmission_has_its_own_numbers_and_the_original_sequence_number_behind_the_header() -> None:
    out = compose_one(repair=0x42)
    assert header(out).hex() == "80e1004200000010" + "0a0b0c0d"
    assert out.prefix[12 : out.prefix_length].tobytes().hex() == "f00d"
    assert (out.index, out.stream) == (0x42, 15)


def test_extensions_go_by_the_receivers_ids_and_unknown_kinds_stay_behind() -> None:
    out = compose_one(extensions=bytes([AUDIO_LEVEL, 1, 0x85, 9, 3, 1, 2, 3]), ids={MID: 4, AUDIO_LEVEL: 2}, mid=b"0")
    # MID id 4, one byte; audio level id 2; playout delay has no id here.
    assert header(out)[12:].hex() == "bede0001" + "4030" + "2085"
    assert header(out)[0] == 0x90


def test_long_element_takes_the_two_byte_form_only_where_the_receiver_allows_it() -> None:
    descriptor = bytes([DEPENDENCY_DESCRIPTOR, 20]) + bytes(range(20))
    out = compose_one(extensions=descriptor, ids={DEPENDENCY_DESCRIPTOR: 12, MID: 1}, mid=b"v1", mixed=True)
    assert header(out)[12:16].hex() == "10000007"
    assert header(out)[16:20].hex() == "01027631"
    assert header(out)[20:42] == bytes([12, 20]) + bytes(range(20))
    assert header(out)[42:] == bytes(2)
    refused = compose_one(extensions=descriptor, ids={DEPENDENCY_DESCRIPTOR: 12, MID: 1}, mid=b"v1")
    assert header(refused)[12:].hex() == "bede0001" + "117631" + "00"


@pytest.mark.parametrize("size", [120, 200, 255])
def test_elements_that_do_not_fit_the_prefix_stay_behind(size: int) -> None:
    element = bytes([DEPENDENCY_DESCRIPTOR, size]) + bytes(size)
    out = compose_one(extensions=element * 2, ids={DEPENDENCY_DESCRIPTOR: 12}, mixed=True, repair=1)
    assert out.prefix_length <= 256
    assert out.header_length % 4 == 0

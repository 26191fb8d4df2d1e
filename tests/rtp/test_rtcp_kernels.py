"""RTCP rows become items of feedback; reports and requests are written as another parser reads them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from visiomedia.batch import Drop, RowKind, append_datagram, make_batch
from visiomedia.errors import ParseError
from visiomedia.rtp import rtcp_kernels
from visiomedia.rtp.rtcp import (
    Application,
    ExtendedReport,
    FullIntraRequest,
    Goodbye,
    Nack,
    PictureLoss,
    ReceiverEstimatedMaximumBitrate,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    TransportFeedback,
    pack_lost,
    parse_compound,
    serialize_compound,
)
from visiomedia.rtp.tables import COMPOUND_ITEMS, FEEDBACK, FeedbackKind

Item = tuple[int, int, int, list[int]]


def items_of(*datagrams: bytes, room: int = 100, before: int = 0) -> tuple[list[Item], list[int]]:
    """(kind, sender, media, values) of each item, and why rows were dropped."""
    batch = make_batch(len(datagrams), sum(map(len, datagrams)) + 1)
    for number, data in enumerate(datagrams):
        row = batch.rows[append_datagram(batch, data, arrival=0, address=bytes(16), port=1)]
        row.kind, row.transport = RowKind.RTCP, 3 + number
    feedback = np.zeros(room, FEEDBACK)
    # Whatever stood there before is no part of an item.
    feedback["values"] = -7
    count = int(rtcp_kernels.parse_rtcp(batch.rows, batch.arena, 0, len(datagrams), feedback, before))
    assert all(int(item.transport) == 3 + int(item.row) for item in feedback[before:count])
    items = [
        (int(item.kind), int(item.sender_ssrc), int(item.media_ssrc), item["values"].tolist())
        for item in feedback[before:count]
    ]
    return items, batch.rows["drop"].tolist()


def test_a_compound_becomes_items_in_order() -> None:
    block = ReportBlock(0xF0000002, 255, -3, 0xF0000003, 4, 0xF0000005, 6)
    items, drops = items_of(
        serialize_compound(
            [
                SenderReport(0xF0000001, 2**63 + 9, 0xF0000007, 8, 9, (block,)),
                SourceDescription.of_cname(1, "name"),
                ReceiverReport(1, (block, block)),
                Nack(1, 2, (10, 11, 40)),
                PictureLoss(1, 2),
                FullIntraRequest(1, ((5, 255), (6, 1))),
                ReceiverEstimatedMaximumBitrate(1, 1000, (2,)),
                ExtendedReport(1, 5),
                Application(2, 1, b"test"),
                Goodbye((8, 9), b"over"),
                TransportFeedback(1, 2, 3, 3, 0, 0, ((0, 0), (1, 0), (2, 0))),
            ]
        )
    )
    told = [255, -3, 0xF0000003, 4, 0xF0000005, 6]
    report = (FeedbackKind.REPORT_BLOCK, 1, 0xF0000002, told)
    assert drops == [Drop.NONE]
    assert items == [
        # The NTP time as its 64 bits: of this century it is below zero.
        (FeedbackKind.SENDER_REPORT, 0xF0000001, 0xF0000001, [9 - 2**63, 0xF0000007, 8, 9, 0, 0]),
        (FeedbackKind.REPORT_BLOCK, 0xF0000001, 0xF0000002, told),
        report,
        report,
        (FeedbackKind.NACK, 1, 2, [10, 1, 0, 0, 0, 0]),
        (FeedbackKind.NACK, 1, 2, [40, 0, 0, 0, 0, 0]),
        (FeedbackKind.KEY_FRAME_REQUEST, 1, 2, [0] * 6),
        (FeedbackKind.KEY_FRAME_REQUEST, 1, 5, [1, 255, 0, 0, 0, 0]),
        (FeedbackKind.KEY_FRAME_REQUEST, 1, 6, [1, 1, 0, 0, 0, 0]),
        (FeedbackKind.OTHER, 1, 0, [206, 15, 0, 0, 0, 0]),
        (FeedbackKind.OTHER, 1, 0, [207, 0, 0, 0, 0, 0]),
        (FeedbackKind.OTHER, 1, 0, [204, 2, 0, 0, 0, 0]),
        (FeedbackKind.GOODBYE, 8, 8, [0] * 6),
        (FeedbackKind.GOODBYE, 9, 9, [0] * 6),
        (FeedbackKind.OTHER, 1, 2, [205, 15, 0, 0, 0, 0]),
    ]


MALFORMED = {
    "header cut short": "81cd00",
    "version": "41ce0002 00000001 00000002",
    "packet longer than the datagram": "81ce0003 00000001 00000002",
    "blocks that are not there": "81c90001 00000001",
    "sender information that is not there": "80c80001 00000001",
    "feedback without SSRCs": "81ce0001 00000001",
    "half an entry of FIR": "84ce0003 00000001 00000000 00000002",
    "goodbyes that are not there": "82cb0001 00000001",
    "padding of nothing": "a1ce0002 00000001 00000000",
    "padding longer than the packet": "a1ce0002 00000001 0000000c",
    "padding that is no whole word": "a1ce0003 00000001 00000002 00000003",
    "padding before the end": "a1ce0003 00000001 00000002 00000004 80c90001 00000001",
    "header alone with padding": "a0ca0000",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_packet_drops_its_row_and_keeps_what_stood_before(data: str) -> None:
    good = serialize_compound([PictureLoss(1, 2)])
    items, drops = items_of(good + bytes.fromhex(data), good)
    assert drops == [Drop.MALFORMED, Drop.NONE]
    assert items == [(FeedbackKind.KEY_FRAME_REQUEST, 1, 2, [0] * 6)] * 2


def test_padding_of_the_last_packet_is_no_part_of_it() -> None:
    items, drops = items_of(bytes.fromhex("a1cd0005 00000001 00000002 00070000 00000000 00000008"))
    assert (len(items), drops) == (1, [Drop.NONE])


def test_items_beyond_the_room_are_left_out_and_their_row_says_so() -> None:
    data = serialize_compound([Goodbye(tuple(range(31)))])
    items, drops = items_of(data, data, room=40)
    assert (len(items), drops) == (40, [Drop.NONE, Drop.FULL])
    assert items_of(data, room=5, before=5) == ([], [Drop.FULL])


def test_compound_does_not_crowd_out_those_behind_it() -> None:
    flood = serialize_compound([Nack(1, 2, tuple(range(0, 17 * 300, 17)))])
    small = serialize_compound([PictureLoss(3, 4)])
    items, drops = items_of(flood, small, room=COMPOUND_ITEMS + 1)
    assert drops == [Drop.FULL, Drop.NONE]
    assert items[-1] == (FeedbackKind.KEY_FRAME_REQUEST, 3, 4, [0] * 6)


def test_only_clear_rtcp_is_read() -> None:
    batch = make_batch(2, 100)
    for kind, drop in ((RowKind.RTP, Drop.NONE), (RowKind.RTCP, Drop.AUTHENTICATION)):
        data = serialize_compound([PictureLoss(1, 2)])
        row = batch.rows[append_datagram(batch, data, arrival=0, address=bytes(16), port=1)]
        row.kind, row.drop = kind, drop
    assert rtcp_kernels.parse_rtcp(batch.rows, batch.arena, 0, 2, np.zeros(4, FEEDBACK), 0) == 0


@given(st.lists(st.tuples(st.integers(0x80, 0xBF), st.integers(200, 207), st.binary(max_size=40)), max_size=4))
def test_what_the_packet_parser_takes_is_no_malformed_row(pieces: list[tuple[int, int, bytes]]) -> None:
    data = b"".join(
        bytes([first, kind]) + (len(body) // 4).to_bytes(2, "big") + body[: len(body) // 4 * 4]
        for first, kind, body in pieces
    )
    try:
        parse_compound(data)
    except ParseError:
        # The row may be dropped, and may not where nobody looks inside; nothing is read beyond it.
        items_of(data)
        return
    assert items_of(data)[1] == [Drop.NONE]


# --- writers -----------------------------------------------------------------------------------------------------


def written(write: Any, *arguments: Any) -> list[RtcpPacket]:
    """What a writer wrote at an odd place, read by the packet parser; its surroundings are untouched."""
    arena = np.full(600, 0xA5, np.uint8)
    length = int(write(arena, 12, *arguments))
    assert (arena[:12] == 0xA5).all()
    assert (arena[12 + length :] == 0xA5).all()
    return parse_compound(arena[12 : 12 + length].tobytes())


def pairs_of(lost: list[int]) -> tuple[NDArray[np.int64], int]:
    pairs = pack_lost(lost)
    return np.array([*pairs, (9, 9)], np.int64), len(pairs)


def test_sender_report_is_written() -> None:
    ntp = np.uint64(2**64 - 3)
    report = written(rtcp_kernels.write_sender_report, 0xF0000001, ntp, 0xF0000002, 0xF0000003, 4)
    assert report == [SenderReport(0xF0000001, 2**64 - 3, 0xF0000002, 0xF0000003, 4)]


def test_empty_receiver_report_is_written() -> None:
    assert written(rtcp_kernels.write_receiver_report_header, 0xF0000001, 0) == [ReceiverReport(0xF0000001)]


@pytest.mark.parametrize("name", ["", "a", "ab", "abc", "abcd", "a" * 64, "a" * 255])
def test_canonical_name_is_written_with_its_null_octets(name: str) -> None:
    data = np.frombuffer(name.encode() + b"beyond", np.uint8)
    chunk = written(rtcp_kernels.write_sdes_cname, 0xF0000001, data, len(name))
    assert chunk == [SourceDescription.of_cname(0xF0000001, name)]


@pytest.mark.parametrize("lost", [[5], [65535, 0, 15, 16], list(range(100))])
def test_nack_is_written(lost: list[int]) -> None:
    pairs, count = pairs_of(lost)
    assert written(rtcp_kernels.write_nack, 0xF0000001, 0xF0000002, pairs, count) == [
        Nack(0xF0000001, 0xF0000002, tuple(lost))
    ]


def test_pli_is_written() -> None:
    assert written(rtcp_kernels.write_pli, 0xF0000001, 0xF0000002) == [PictureLoss(0xF0000001, 0xF0000002)]

"""RTCP compounds: golden bytes with invalid twins, another stack's packets, round trips, garbage."""

from itertools import pairwise
from typing import Any

import pytest
from aiortc import rtp as other
from hypothesis import given
from hypothesis import strategies as st

from visiomedia.errors import ParseError
from visiomedia.rtp.rtcp import (
    Application,
    DelaySinceLast,
    ExtendedReport,
    FullIntraRequest,
    Goodbye,
    ItemType,
    Nack,
    PictureLoss,
    ReceiverEstimatedMaximumBitrate,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceChunk,
    SourceDescription,
    TransportFeedback,
    UnknownPacket,
    pack_lost,
    parse_compound,
    serialize_compound,
    unpack_lost,
)

BLOCK = ReportBlock(0x11223344, 64, -2, 0x00010005, 99, 0x89ABCDEF, 0x00018000)
BLOCK_HEX = "11223344 40fffffe 00010005 00000063 89abcdef 00018000"

# By hand, from the figures of the RFC sections named.
GOLDEN: dict[str, tuple[str, RtcpPacket]] = {
    "sender report (RFC 3550 6.4.1)": (
        f"81c8000c aabbccdd e1e2e3e4f1f2f3f4 00015f90 000000ff 0000ffff {BLOCK_HEX}",
        SenderReport(0xAABBCCDD, 0xE1E2E3E4F1F2F3F4, 90000, 255, 65535, (BLOCK,)),
    ),
    "receiver report (6.4.2)": (f"81c90007 aabbccdd {BLOCK_HEX}", ReceiverReport(0xAABBCCDD, (BLOCK,))),
    "empty receiver report": ("80c90001 00000001", ReceiverReport(1)),
    "source description (6.5)": (
        "82ca0005 00000001 0103616263 000000 00000002 02016e 00",
        SourceDescription((SourceChunk(1, ((ItemType.CNAME, b"abc"),)), SourceChunk(2, ((ItemType.NAME, b"n"),)))),
    ),
    "source description that ends at a word is padded by a word": (
        "81ca0003 00000001 01026162 00000000",
        SourceDescription.of_cname(1, "ab"),
    ),
    "goodbye with a reason (6.6)": ("82cb0004 00000001 00000002 05746972656400 00", Goodbye((1, 2), b"tired")),
    "goodbye of nobody": ("80cb0000", Goodbye(())),
    "application (6.7)": ("83cc0003 00000001 74657374 01020304", Application(3, 1, b"test", b"\1\2\3\4")),
    "NACK (RFC 4585 6.2.1)": (
        "81cd0004 00000001 00000002 fffe8001 00100000",
        Nack(1, 2, (0xFFFE, 0xFFFF, 0x000E, 0x0010)),
    ),
    "PLI (RFC 4585 6.3.1)": ("81ce0002 00000001 00000002", PictureLoss(1, 2)),
    "FIR (RFC 5104 4.3.1)": (
        "84ce0006 00000001 00000000 00000002 ff000000 00000003 00000000",
        FullIntraRequest(1, ((2, 255), (3, 0))),
    ),
    "REMB (draft-alvestrand-rmcat-remb-03)": (
        # 2 500 000 = 156250 * 2**4: exponent 4 in six bits, mantissa 0x2625a in eighteen.
        "8fce0006 00000001 00000000 52454d42 0212625a 00000007 00000008",
        ReceiverEstimatedMaximumBitrate(1, 2_500_000, (7, 8)),
    ),
    "XR with RRTR and DLRR (RFC 3611 4.4, 4.5)": (
        "80cf0008 00000001 04000002 0102030405060708 05000003 00000002 00030004 00000005",
        ExtendedReport(1, 0x0102030405060708, (DelaySinceLast(2, 0x00030004, 5),)),
    ),
    "slice loss, which is not modelled": (
        "82ce0003 00000001 00000002 ffffffff",
        UnknownPacket(206, 2, bytes.fromhex("00000001 00000002 ffffffff")),
    ),
    "AFB that is no REMB": (
        "8fce0003 00000001 00000002 52454d58",
        UnknownPacket(206, 15, bytes.fromhex("00000001 00000002 52454d58")),
    ),
    "a type of tomorrow": ("85d20001 01020304", UnknownPacket(210, 5, b"\1\2\3\4")),
}

MALFORMED = {
    "half a header": "80c9 00",
    "version 1": "40c90001 00000001",
    "longer than the datagram": "80c90002 00000001",
    "SR without its sender information": "80c80001 00000001",
    "SR with a block that is not there": "81c80006" + "00" * 24,
    "RR with two blocks of which one is there": f"82c90007 00000001 {BLOCK_HEX}",
    "RR without a sender": "80c90000",
    "chunk without an SSRC": "81ca0000",
    "item longer than the packet": "81ca0002 00000001 01040000",
    "item without a length": "81ca0002 00000001 01010001",
    "chunk without an end": "81ca0002 00000001 01026162",
    "BYE with SSRCs that are not there": "82cb0001 00000001",
    "BYE with a reason that is not there": "81cb0002 00000001 04616161",
    "APP without a name": "80cc0001 00000001",
    "NACK without SSRCs": "81cd0001 00000001",
    "PLI without a media SSRC": "81ce0001 00000001",
    "unknown feedback without SSRCs": "9fcd0001 00000001",
    "FIR with half an entry": "84ce0003 00000001 00000000 00000002",
    "REMB cut short": "8fce0003 00000001 00000000 52454d42",
    "REMB with SSRCs that are not there": "8fce0004 00000001 00000000 52454d42 01000001",
    "XR without a sender": "80cf0000",
    "XR with a block longer than it": "80cf0002 00000001 04000002",
    "RRTR of the wrong length": "80cf0003 00000001 04000001 00000000",
    "DLRR of the wrong length": "80cf0003 00000001 05000001 00000000",
    "padding of nothing": "a0c90000",
    "padding that counts no octet": "a0c90002 00000001 00000000",
    "padding that is no whole word": "a0c90002 00000001 00000003",
    "padding longer than the packet": "a0c90002 00000001 0000000c",
    "padding before the last packet": "a0c90002 00000001 00000004 80c90001 00000001",
}

ssrcs = st.integers(0, 0xFFFFFFFF)
words = st.integers(0, 0xFFFFFFFF)
blocks = st.lists(
    st.builds(ReportBlock, ssrcs, st.integers(0, 255), st.integers(-0x800000, 0x7FFFFF), words, words, words, words),
    max_size=31,
).map(tuple)
whole_words = st.binary(max_size=8).map(lambda data: data * 4)
packets = st.one_of(
    st.builds(SenderReport, ssrcs, st.integers(0, 2**64 - 1), words, words, words, blocks),
    st.builds(ReceiverReport, ssrcs, blocks),
    st.builds(
        SourceDescription,
        st.lists(
            st.builds(
                SourceChunk,
                ssrcs,
                st.lists(st.tuples(st.integers(1, 255), st.binary(max_size=255)), max_size=4).map(tuple),
            ),
            max_size=31,
        ).map(tuple),
    ),
    st.builds(Goodbye, st.lists(ssrcs, max_size=31).map(tuple), st.binary(max_size=255)),
    st.builds(Application, st.integers(0, 31), ssrcs, st.binary(min_size=4, max_size=4), whole_words),
    st.builds(PictureLoss, ssrcs, ssrcs),
    st.builds(FullIntraRequest, ssrcs, st.lists(st.tuples(ssrcs, st.integers(0, 255)), max_size=9).map(tuple)),
    st.builds(
        ReceiverEstimatedMaximumBitrate,
        ssrcs,
        st.builds(lambda mantissa, exponent: mantissa << exponent, st.integers(0, 2**18 - 1), st.integers(0, 46)),
        st.lists(ssrcs, max_size=255).map(tuple),
    ),
    st.builds(
        ExtendedReport,
        ssrcs,
        st.one_of(st.none(), st.integers(0, 2**64 - 1)),
        st.lists(st.builds(DelaySinceLast, ssrcs, words, words), max_size=9).map(tuple),
    ),
    st.builds(UnknownPacket, st.integers(208, 223), st.integers(0, 31), whole_words),
)


@pytest.mark.parametrize(("data", "packet"), GOLDEN.values(), ids=GOLDEN)
def test_golden_packets_both_ways(data: str, packet: RtcpPacket) -> None:
    assert parse_compound(bytes.fromhex(data)) == [packet]
    assert serialize_compound([packet]) == bytes.fromhex(data)


def test_compound_of_all_of_them_keeps_their_order() -> None:
    data = bytes.fromhex("".join(data for data, _ in GOLDEN.values()))
    packets = [packet for _, packet in GOLDEN.values()]
    assert parse_compound(data) == packets
    assert serialize_compound(packets) == data


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_malformed_packet_is_refused_wherever_it_stands(data: str) -> None:
    for before in ("", "80c90001 00000001"):
        with pytest.raises(ParseError):
            parse_compound(bytes.fromhex(before + data))


def test_padding_of_the_last_packet_is_taken_off() -> None:
    data = bytes.fromhex("80c90001 00000001 a1cd0005 00000001 00000002 00070000 00000000 00000008")
    assert parse_compound(data) == [ReceiverReport(1), Nack(1, 2, (7,))]


def test_a_profile_extension_behind_the_report_blocks_is_passed_over() -> None:
    assert parse_compound(bytes.fromhex("80c90002 00000001 12345678")) == [ReceiverReport(1)]


def test_unknown_extended_report_blocks_are_passed_over() -> None:
    data = bytes.fromhex("80cf0006 00000001 07000001 aaaaaaaa 04000002 0000000000000009")
    assert parse_compound(data) == [ExtendedReport(1, 9)]


def test_loss_beyond_24_bits_is_clamped() -> None:
    # RFC 3550 section 6.4.1 and appendix A.3: clamped at 0x7fffff for positive loss, 0x800000 for negative.
    for lost, written in ((1 << 30, 0x7FFFFF), (-(1 << 30), -0x800000)):
        assert ReportBlock.parse(ReportBlock(1, 0, lost, 0, 0).serialize()).cumulative_lost == written


def test_bitrate_loses_what_lies_below_its_18_highest_bits() -> None:
    (parsed,) = parse_compound(serialize_compound([ReceiverEstimatedMaximumBitrate(1, 0x40001, (2,))]))
    assert parsed == ReceiverEstimatedMaximumBitrate(1, 0x40000, (2,))


def test_what_needs_padding_may_only_stand_last() -> None:
    odd = TransportFeedback(1, 2, 3, 3, 0, 0, ((0, 1), (1, 2), (2, 5)))
    assert parse_compound(serialize_compound([ReceiverReport(1), odd])) == [ReceiverReport(1), odd]
    with pytest.raises(ValueError, match="last"):
        serialize_compound([odd, ReceiverReport(1)])


def test_what_does_not_fit_is_our_own_error() -> None:
    with pytest.raises(ValueError, match="31"):
        serialize_compound([Goodbye(tuple(range(32)))])
    with pytest.raises(ValueError, match="words"):
        serialize_compound([Application(0, 1, b"test", b"abc")])


@given(st.lists(packets, max_size=4))
def test_compounds_round_trip(compound: list[RtcpPacket]) -> None:
    assert parse_compound(serialize_compound(compound)) == compound


@given(
    st.lists(st.one_of(packets, st.just(TransportFeedback(1, 2, 3, 3, 5, 4, ((0, 6), (2, 706))))), max_size=3),
    st.data(),
)
def test_every_prefix_and_every_flipped_bit_is_a_compound_or_a_parse_error(
    compound: list[RtcpPacket], data: st.DataObject
) -> None:
    compound.sort(key=lambda packet: isinstance(packet, TransportFeedback))
    if sum(isinstance(packet, TransportFeedback) for packet in compound) > 1:
        compound = compound[-1:]
    whole = bytearray(serialize_compound(compound))
    for _ in range(data.draw(st.integers(0, 3)) if whole else 0):
        place = data.draw(st.integers(0, len(whole) - 1))
        whole[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        parse_compound(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    except ParseError:
        return


@given(st.lists(st.tuples(st.integers(0x80, 0xBF), st.integers(200, 208), st.binary(max_size=40)), max_size=3))
def test_random_bodies_are_packets_or_a_parse_error(pieces: list[tuple[int, int, bytes]]) -> None:
    data = b"".join(
        bytes([first, kind]) + (len(body) // 4).to_bytes(2, "big") + body[: len(body) // 4 * 4]
        for first, kind, body in pieces
    )
    try:
        parsed = parse_compound(data)
    except ParseError:
        return
    assert len(parsed) == len(pieces)


@given(st.integers(0, 0xFFFF), st.lists(st.integers(1, 40), max_size=60))
def test_lost_numbers_are_packed_into_pairs_and_unpacked(first: int, steps: list[int]) -> None:
    lost = [first]
    for step in steps:
        lost.append((lost[-1] + step) & 0xFFFF)
    pairs = pack_lost(lost)
    assert unpack_lost(pairs) == lost
    # Greedy from the oldest is the fewest: each pair's PID lies beyond the reach of the one before.
    reaches = [(later[0] - earlier[0]) & 0xFFFF for earlier, later in pairwise(pairs)]
    assert all(reach > 16 for reach in reaches)


def test_a_number_named_twice_is_asked_for_once() -> None:
    assert pack_lost([5, 5, 6, 6]) == [(5, 1)]


def test_items_of_a_source_are_found_by_type() -> None:
    chunk = SourceChunk(1, ((ItemType.CNAME, b"name"), (ItemType.MID, b"0"), (ItemType.MID, b"1")))
    assert (chunk.value(ItemType.CNAME), chunk.value(ItemType.MID), chunk.value(ItemType.PRIV)) == (
        b"name",
        b"0",
        None,
    )


def test_aiortc_reads_what_we_write() -> None:
    data = serialize_compound(
        [
            SenderReport(1, 2**63 + 5, 3, 4, 5, (BLOCK,)),
            SourceDescription.of_cname(1, "name"),
            ReceiverReport(2, (BLOCK, BLOCK)),
            Nack(3, 4, (10, 11, 26, 27, 99)),
            PictureLoss(5, 6),
            ReceiverEstimatedMaximumBitrate(7, 123_456, (8, 9)),
            Goodbye((10, 11)),
        ]
    )
    theirs: list[Any] = other.RtcpPacket.parse(data)
    sender, description, receiver, nack, loss, remb, goodbye = theirs
    information = sender.sender_info
    assert (information.ntp_timestamp, information.rtp_timestamp) == (2**63 + 5, 3)
    assert (information.packet_count, information.octet_count) == (4, 5)
    for block in (*sender.reports, *receiver.reports):
        assert bytes(block) == BLOCK.serialize()
        assert (block.packets_lost, block.fraction_lost, block.jitter) == (-2, 64, 99)
    assert [(chunk.ssrc, chunk.items) for chunk in description.chunks] == [(1, [(1, b"name")])]
    assert (nack.ssrc, nack.media_ssrc, nack.lost) == (3, 4, [10, 11, 26, 27, 99])
    assert (loss.fmt, loss.ssrc, loss.media_ssrc) == (1, 5, 6)
    assert other.unpack_remb_fci(remb.fci) == (123_456, [8, 9])
    assert goodbye.sources == [10, 11]


def test_we_read_what_aiortc_writes() -> None:
    block = other.RtcpReceiverInfo(0x11223344, 64, -2, 0x10005, 99, 0x89ABCDEF, 0x18000)
    theirs: list[Any] = [
        other.RtcpSrPacket(1, other.RtcpSenderInfo(2**63 + 5, 3, 4, 5), [block]),
        other.RtcpSdesPacket([other.RtcpSourceInfo(1, [(1, b"name")])]),
        other.RtcpRrPacket(2, [block]),
        other.RtcpRtpfbPacket(1, 3, 4, [10, 11, 26, 27, 99]),
        other.RtcpPsfbPacket(1, 5, 6),
        other.RtcpPsfbPacket(15, 7, 0, other.pack_remb_fci(123_456, [8, 9])),
        other.RtcpByePacket([10]),
    ]
    ours: list[RtcpPacket] = [
        SenderReport(1, 2**63 + 5, 3, 4, 5, (BLOCK,)),
        SourceDescription.of_cname(1, "name"),
        ReceiverReport(2, (BLOCK,)),
        Nack(3, 4, (10, 11, 26, 27, 99)),
        PictureLoss(5, 6),
        ReceiverEstimatedMaximumBitrate(7, 123_456, (8, 9)),
        Goodbye((10,)),
    ]
    assert parse_compound(b"".join(bytes(packet) for packet in theirs)) == ours

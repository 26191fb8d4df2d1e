"""RTP rows: what parsing fills in, what a retransmission becomes, what reception counts say."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiomedia.batch import BYTES_USED, ROW, Drop, PacketBatch, RowKind, append_datagram, make_batch
from visiomedia.rtp.extensions import (
    AudioLevel,
    ExtensionKind,
    serialize_extensions,
    serialize_transport_sequence_number,
)
from visiomedia.rtp.kernels import note_reception, parse, receive_statistics, restore_rtx
from visiomedia.rtp.packet import RtpPacket
from visiomedia.rtp.payload.codec import Codec
from visiomedia.rtp.rtcp import ReportBlock
from visiomedia.rtp.rtcp_kernels import write_report_block
from visiomedia.rtp.tables import EXTENSION_MAP, PAYLOAD_TYPE, RECEPTION

MS = 1_000_000
SECOND = 1_000_000_000
KINDS = {1: ExtensionKind.MID, 3: ExtensionKind.TRANSPORT_WIDE_CC, 4: ExtensionKind.AUDIO_LEVEL, 200: ExtensionKind.RID}
CODECS = {96: Codec.VP8, 97: Codec.RTX, 111: Codec.OPUS, 98: Codec.VP9, 102: Codec.H264, 45: Codec.AV1, 49: Codec.H265}


def parsed(*packets: bytes) -> PacketBatch:
    """A batch of clear packets, parsed. Behind each lies what must not be read."""
    batch = make_batch(len(packets), 4096)
    extension_maps, payload_types = np.zeros(1, EXTENSION_MAP), np.zeros((1, 128), PAYLOAD_TYPE)
    for identifier, kind in KINDS.items():
        extension_maps[0].kind_of_id[identifier] = kind
    for number, codec in CODECS.items():
        payload_types[0, number].codec = codec
    for packet in packets:
        row = batch.rows[append_datagram(batch, packet, arrival=0, address=bytes(16), port=1)]
        row.kind = RowKind.RTP
        end = int(batch.state[BYTES_USED])
        batch.arena[end : end + 8] = 0xFF
        batch.state[BYTES_USED] += 8
    parse(batch.rows, batch.arena, 0, len(packets), extension_maps, payload_types)
    return batch


def row_of(packet: RtpPacket) -> tuple[Any, bytes]:
    batch = parsed(packet.serialize())
    return batch.rows[0], batch.arena.tobytes()


def packet(payload_type: int = 96, payload: bytes = b"\x10\x00", **fields: Any) -> RtpPacket:
    return RtpPacket(payload_type, 5, 0xF0000001, 0xF0000002, payload, **fields)


def element(row: Any, arena: bytes, kind: ExtensionKind) -> bytes:
    return arena[row.extension_offset[kind] : row.extension_offset[kind] + row.extension_length[kind]]


def test_a_row_says_what_the_packet_says() -> None:
    profile, block = serialize_extensions(
        [
            (1, b"audio"),
            (4, AudioLevel(30, has_voice=True).serialize()),
            (3, serialize_transport_sequence_number(65535)),
        ]
    )
    row, arena = row_of(
        packet(
            111, b"opus", marker=True, csrcs=(1, 2), extension_profile=profile, extension_data=block, padding_length=4
        )
    )
    assert row.drop == Drop.NONE
    assert (row.payload_type, row.marker, row.timestamp, row.ssrc) == (111, 1, 0xF0000001, 0xF0000002)
    assert (row.codec, row.starts_frame, row.is_key_frame) == (Codec.OPUS, 1, 0)
    assert arena[row.payload_offset : row.payload_offset + row.payload_length] == b"opus"
    assert row.padding_length == 4
    assert (row.audio_level, row.has_voice, row.transport_sequence_number) == (30, 1, 65535)
    assert element(row, arena, ExtensionKind.MID) == b"audio"
    assert element(row, arena, ExtensionKind.RID) == b""


def test_what_is_absent_is_told_apart_from_nought() -> None:
    row, _ = row_of(packet())
    assert (row.audio_level, row.has_voice, row.transport_sequence_number) == (255, 0, -1)
    assert not row.extension_length.any()


def test_two_byte_elements_and_their_high_ids_are_found() -> None:
    profile, block = serialize_extensions([(200, b"r" * 20), (9, b""), (4, b"\x7f"), (1, b"")])
    row, arena = row_of(packet(extension_profile=profile | 7, extension_data=block))
    assert element(row, arena, ExtensionKind.RID) == b"r" * 20
    assert element(row, arena, ExtensionKind.MID) == b""
    assert row.audio_level == 127


@pytest.mark.parametrize("reserved", ["f0", "01ee"], ids=["id 15", "id 0 with a length"])
def test_a_reserved_id_ends_the_block_and_keeps_what_stood_before(reserved: str) -> None:
    block = bytes.fromhex(f"10aa {reserved} 40ff 0000000000")[:8]
    row, arena = row_of(packet(extension_profile=0xBEDE, extension_data=block))
    assert (row.drop, element(row, arena, ExtensionKind.MID), row.audio_level) == (Drop.NONE, b"\xaa", 255)


def test_an_element_longer_than_its_block_is_left_out() -> None:
    row, arena = row_of(packet(extension_profile=0xBEDE, extension_data=bytes.fromhex("10aa 31bb")))
    assert (row.drop, element(row, arena, ExtensionKind.MID)) == (Drop.NONE, b"\xaa")
    assert row.transport_sequence_number == -1


def test_transport_sequence_number_is_read_though_the_payload_type_was_not_negotiated() -> None:
    profile, block = serialize_extensions([(3, b"\0\7")])
    row, _ = row_of(packet(35, extension_profile=profile, extension_data=block))
    assert (row.drop, row.transport_sequence_number) == (Drop.UNKNOWN_PAYLOAD_TYPE, 7)


def test_padding_alone_is_no_fault() -> None:
    row, _ = row_of(packet(97, b"", padding_length=255))
    assert (row.drop, row.payload_length, row.padding_length) == (Drop.NONE, 0, 255)


def test_rows_dropped_before_or_of_another_kind_are_left_alone() -> None:
    batch = make_batch(2, 200)
    for kind, drop in ((RowKind.RTCP, Drop.NONE), (RowKind.RTP, Drop.REPLAYED)):
        data = packet().serialize()
        row = batch.rows[append_datagram(batch, data, arrival=0, address=bytes(16), port=1)]
        row.kind, row.drop = kind, drop
    before = batch.rows.tobytes()
    parse(batch.rows, batch.arena, 0, 2, np.zeros(1, EXTENSION_MAP), np.zeros((1, 128), PAYLOAD_TYPE))
    assert batch.rows.tobytes() == before


@given(st.binary(max_size=60), st.integers(0, 63))
def test_every_offset_of_a_row_that_was_not_dropped_lies_in_its_packet(tail: bytes, flags: int) -> None:
    data = bytes([0x80 | flags, 96]) + tail
    row = parsed(b"", data).rows[1]
    if row.drop == Drop.MALFORMED:
        return
    start, end = int(row.offset), int(row.offset) + len(data)
    assert start + 12 <= row.payload_offset
    assert row.payload_offset + row.payload_length + row.padding_length == end
    for offset, length in zip(row.extension_offset, row.extension_length, strict=True):
        assert length == 0 or start + 16 <= offset <= row.payload_offset - length


@pytest.mark.parametrize(
    ("payload_type", "payload", "starts", "is_key"),
    [
        (96, "10 00", 1, 1),  # VP8: S of partition 0, P 0
        (96, "10 01", 1, 0),
        (96, "11 00", 0, 0),  # partition 1
        (96, "00 00", 0, 0),  # no S
        (96, "90 f0 8001 02 03 00", 1, 1),  # X: I with 15 bits, L, T and K
        (96, "90 80 01 01", 1, 0),
        (96, "90 f0 8001 02 03", 0, 0),  # nothing behind the descriptor
        (96, "10", 0, 0),
        (98, "08", 1, 1),  # VP9: B, not P
        (98, "48", 1, 0),
        (98, "a8 8001 02 00", 1, 0),  # spatial layer 1
        (98, "a8 8001 00 00", 1, 1),
        (98, "00", 0, 0),
        (98, "a8 80", 0, 0),
        (102, "65", 1, 1),  # H.264: IDR
        (102, "67 42", 1, 1),  # SPS
        (102, "41", 1, 0),
        (102, "78 0001 41 0001 67", 1, 1),  # STAP-A
        (102, "78 0001 41 0000", 1, 0),
        (102, "7c 85", 1, 1),  # FU-A that starts an IDR
        (102, "7c 05", 0, 0),
        (102, "7c 81", 1, 0),
        (102, "7c", 0, 0),
        (45, "08", 1, 1),  # AV1: N
        (45, "10 0a", 1, 1),  # one element, a sequence header
        (45, "00 01 10 01 0a", 1, 1),  # elements with lengths
        (45, "00 01 10 02 0a", 1, 0),  # cut short
        (45, "10 32", 1, 0),
        (45, "88 0a", 0, 0),  # Z
        (49, "26 01 00", 1, 1),  # H.265: IDR_W_RADL
        (49, "40 01 00", 1, 1),  # VPS
        (49, "02 01 00", 1, 0),
        (49, "60 01 0001 02 0001 42", 1, 1),  # AP
        (49, "62 01 93", 1, 1),  # FU that starts an IDR
        (49, "62 01 13", 0, 0),
        (49, "26 01", 0, 0),
        (111, "fc", 1, 0),
        (111, "", 0, 0),
    ],
)
def test_a_row_says_whether_a_frame_and_a_key_frame_start(
    payload_type: int, payload: str, starts: int, is_key: int
) -> None:
    row, _ = row_of(packet(payload_type, bytes.fromhex(payload)))
    assert (row.starts_frame, row.is_key_frame) == (starts, is_key)


@pytest.mark.parametrize(
    ("original", "highest", "index"),
    [(4, 5, 4), (0xFFFF, 0x10002, 0xFFFF), (1, 0x1FFFE, 0x20001), (0x8002, 0x10001, 0x8002), (0xFFFF, 2, -1)],
)
def test_a_retransmission_becomes_the_packet_it_repairs(original: int, highest: int, index: int) -> None:
    row, arena = row_of(packet(97, original.to_bytes(2, "big") + b"payload", padding_length=3))
    assert restore_rtx(row, np.frombuffer(arena, np.uint8), 96, 0xF1, highest) == 0
    assert (row.index, row.ssrc, row.payload_type, row.is_recovered) == (index, 0xF1, 96, 1)
    assert arena[row.payload_offset : row.payload_offset + row.payload_length] == b"payload"


@pytest.mark.parametrize("payload", [b"", b"\0", b"\0\1"])
def test_a_retransmission_of_nothing_repairs_nothing(payload: bytes) -> None:
    row, arena = row_of(packet(97, payload))
    before = row.tobytes()
    assert restore_rtx(row, np.frombuffer(arena, np.uint8), 96, 0xF1, 7) == -1
    assert row.tobytes() == before


class Source:
    """One source's reception, driven by hand."""

    def __init__(self, clock_rate: int = 90_000) -> None:
        self.table = np.zeros(2, RECEPTION)
        self.table["highest"] = -1
        self.table["clock_rate"] = clock_rate

    @property
    def entry(self) -> Any:
        return self.table[1]

    def receive(self, index: int, timestamp: int, at: int, length: int = 100) -> None:
        rows = np.zeros(1, ROW)
        row = rows[0]
        row.index, row.timestamp, row.arrival, row.length = index, timestamp & 0xFFFFFFFF, at, length
        note_reception(self.table, 1, row)

    def report(self, now: int = 0) -> ReportBlock:
        arena = np.full(40, 0xA5, np.uint8)
        assert write_report_block(self.table, 1, 0xF2F3F4F5, arena, 8, now) == 24
        assert (arena[:8] == 0xA5).all()
        assert (arena[32:] == 0xA5).all()
        return ReportBlock.parse(arena[8:32].tobytes())


def test_loss_is_told_since_the_last_report_and_in_all() -> None:
    source = Source()
    for index in (0x1FFFE, 0x1FFFF, 0x20001):
        source.receive(index, 0, SECOND)
    block = source.report()
    assert (block.ssrc, block.highest_sequence_number) == (0xF2F3F4F5, 0x20001)
    assert (block.fraction_lost, block.cumulative_lost) == (64, 1)
    assert (block.last_report, block.delay_since_last_report) == (0, 0)
    source.receive(0x20002, 0, SECOND)
    block = source.report()
    assert (block.fraction_lost, block.cumulative_lost) == (0, 1)


def test_duplicates_make_loss_negative_and_a_fraction_never_is() -> None:
    source = Source()
    for index in (7, 7, 7):
        source.receive(index, 0, SECOND)
    block = source.report()
    assert (block.fraction_lost, block.cumulative_lost) == (0, -2)


def test_loss_is_clamped() -> None:
    source = Source()
    source.receive(0, 0, SECOND)
    source.receive(2**24, 0, SECOND)
    block = source.report()
    assert (block.fraction_lost, block.cumulative_lost) == (255, 0x7FFFFF)


def test_a_packet_from_before_the_first_does_not_move_the_first() -> None:
    source = Source()
    source.receive(10, 0, SECOND)
    source.receive(9, 0, SECOND)
    assert (source.entry.first, source.entry.highest, source.entry.received) == (10, 10, 2)


def test_jitter_is_that_of_rfc_3550_appendix_a_8() -> None:
    source = Source(clock_rate=8_000)
    jitter, transit = 0.0, None
    for index, late_ms in enumerate((0, 10, 0, 20, 20, 3)):
        source.receive(index, 160 * index, SECOND + (20 * index + late_ms) * MS)
        now = 8 * late_ms
        if transit is not None:
            jitter += (abs(now - transit) - jitter) / 16
        transit = now
    assert source.entry.jitter == pytest.approx(jitter)
    assert source.report().jitter == int(jitter)


def test_jitter_does_not_mind_a_timestamp_that_wraps_or_jumps() -> None:
    source = Source()
    for index in range(20):
        source.receive(index, 0xFFFFFFFF - 10_000 + 3_000 * index, SECOND + index * SECOND // 30)
    assert source.entry.jitter < 1
    source.receive(20, 0x12345678, SECOND + 20 * SECOND // 30)
    assert source.entry.jitter < 1


def test_a_block_answers_the_last_sender_report() -> None:
    source = Source()
    source.receive(1, 0, SECOND)
    source.entry.sender_report_ntp = 0xE1E2E3E4F1F2F3F4
    source.entry.sender_report_arrival = 10 * SECOND
    block = source.report(now=12 * SECOND + SECOND // 2)
    assert (block.last_report, block.delay_since_last_report) == (0xE3E4F1F2, 0x00028000)


def test_a_batch_counts_what_was_not_dropped_and_has_a_source() -> None:
    rows = np.zeros(5, ROW)
    rows["kind"], rows["length"], rows["index"], rows["source"] = RowKind.RTP, 50, 9, 1
    rows[1].drop = Drop.MALFORMED
    rows[2].source = -1
    rows[3].kind = RowKind.RTCP
    source = Source()
    receive_statistics(rows, 0, 5, source.table)
    assert (source.entry.received, source.entry.bytes_received, source.table[0].received) == (2, 100, 0)

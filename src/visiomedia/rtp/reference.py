"""The RTP kernels written from the RFCs over packets, lists and unbounded integers."""

import struct
from collections.abc import Iterator
from dataclasses import astuple
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiomedia.batch import EXTENSION_KINDS, Drop, RowKind
from visiomedia.errors import ParseError
from visiomedia.jit import Integer
from visiomedia.rtp.extensions import ONE_BYTE_PROFILE, AudioLevel, ExtensionKind, parse_extensions
from visiomedia.rtp.packet import RtpPacket
from visiomedia.rtp.payload.codec import Codec
from visiomedia.rtp.payload.description import is_key_frame, starts_frame
from visiomedia.rtp.rtcp import (
    FullIntraRequest,
    Goodbye,
    PacketType,
    PayloadSpecificFormat,
    PictureLoss,
    ReceiverReport,
    SenderReport,
    TransportLayerFormat,
    UnknownPacket,
    pack_lost,
)
from visiomedia.rtp.rtcp.header import split_packets
from visiomedia.rtp.tables import COMPOUND_ITEMS, FeedbackKind

REORDER_NS, REORDER_PACKETS = 5_000_000, 3
REPEAT_NS = 40_000_000
MAX_TRIES, MAX_AGE_NS = 10, 1_000_000_000


def parse(
    rows: NDArray[Any],
    arena: NDArray[np.uint8],
    first: Integer,
    last: Integer,
    extension_maps: NDArray[Any],
    payload_types: NDArray[Any],
) -> None:
    """See ``kernels.parse``."""
    for row in rows[first:last]:
        if row.drop or row.kind != RowKind.RTP:
            continue
        _parse_one(row, arena, extension_maps[row.transport].kind_of_id, payload_types[row.transport])


def _parse_one(row: Any, arena: NDArray[np.uint8], kind_of_id: Any, payload_types: Any) -> None:
    data = arena[row.offset : row.offset + row.length].tobytes()
    row.extension_offset[:] = 0
    row.extension_length[:] = 0
    row.audio_level, row.has_voice, row.is_recovered = 255, 0, 0
    row.transport_sequence_number = -1
    row.padding_length = row.payload_offset = row.payload_length = 0
    row.codec = row.is_key_frame = row.starts_frame = 0
    try:
        packet = RtpPacket.parse(data)
    except ParseError:
        row.drop = Drop.MALFORMED
        return
    row.marker, row.payload_type = packet.marker, packet.payload_type
    row.timestamp, row.ssrc = packet.timestamp, packet.ssrc
    _read_extensions(row, packet, kind_of_id)
    row.padding_length = packet.padding_length
    row.payload_length = len(packet.payload)
    row.payload_offset = row.offset + len(data) - packet.padding_length - len(packet.payload)
    if element := _element(row, arena, ExtensionKind.AUDIO_LEVEL):
        level = AudioLevel.parse(element)
        row.audio_level, row.has_voice = level.level, level.has_voice
    number = _element(row, arena, ExtensionKind.TRANSPORT_WIDE_CC)
    if len(number) >= 2:
        row.transport_sequence_number = int.from_bytes(number[:2], "big")
    codec = Codec(int(payload_types[packet.payload_type].codec))
    row.codec = codec
    if codec is Codec.UNKNOWN:
        row.drop = Drop.UNKNOWN_PAYLOAD_TYPE
    elif codec is not Codec.RTX:
        row.is_key_frame = is_key_frame(codec, packet.payload)
        row.starts_frame = starts_frame(codec, packet.payload)


def _read_extensions(row: Any, packet: RtpPacket, kind_of_id: Any) -> None:
    block = packet.extension_data
    start = int(row.offset) + 12 + 4 * len(packet.csrcs) + 4
    head = 1 if packet.extension_profile == ONE_BYTE_PROFILE else 2
    at = 0
    for identifier, value in parse_extensions(packet.extension_profile, block):
        # Padding before it is passed over to find its place.
        while block[at] == 0:
            at += 1
        at += head
        kind = int(kind_of_id[identifier])
        if 0 < kind < EXTENSION_KINDS and value:
            row.extension_offset[kind] = start + at
            row.extension_length[kind] = len(value)
        at += len(value)


def _element(row: Any, arena: NDArray[np.uint8], kind: ExtensionKind) -> bytes:
    at = int(row.extension_offset[kind])
    return arena[at : at + int(row.extension_length[kind])].tobytes()


def receive_statistics(rows: NDArray[Any], first: Integer, last: Integer, receptions: NDArray[Any]) -> None:
    """See ``kernels.receive_statistics``."""
    for row in rows[first:last]:
        if row.drop or row.kind != RowKind.RTP or row.source < 0:
            continue
        reception = receptions[row.source]
        index = int(row.index)
        if reception.highest < 0:
            reception.first = index
        reception.highest = max(int(reception.highest), index)
        reception.received += 1
        reception.bytes_received += int(row.length)
        reception.last_arrival = row.arrival
        # RFC 3550 appendix A.8, arrival in ticks of a microsecond clock.
        arrival = int(row.arrival) // 1000 * int(reception.clock_rate) // 1_000_000
        transit = (arrival - int(row.timestamp)) % 2**32
        if reception.received > 1:
            d = abs((transit - int(reception.transit) + 2**31) % 2**32 - 2**31)
            if d < 10 * int(reception.clock_rate):
                reception.jitter += (d - float(reception.jitter)) / 16.0
        reception.transit = transit


def parse_rtcp(
    rows: NDArray[Any],
    arena: NDArray[np.uint8],
    first: Integer,
    last: Integer,
    feedback: NDArray[Any],
    count: Integer,
) -> Integer:
    """See ``rtcp_kernels.parse_rtcp``."""
    for number in range(int(first), int(last)):
        row = rows[number]
        if row.drop or row.kind != RowKind.RTCP:
            continue
        data = arena[row.offset : row.offset + row.length].tobytes()
        room = min(len(feedback), int(count) + COMPOUND_ITEMS)
        try:
            for kind, sender, media, values in _items(data):
                if count >= room:
                    row.drop = Drop.FULL
                    continue
                item = feedback[count]
                item.kind, item.row, item.transport = kind, number, row.transport
                item.sender_ssrc, item.media_ssrc = sender, media
                item["values"] = [*values, *[0] * (6 - len(values))]
                count += 1
        except ParseError:
            row.drop = Drop.MALFORMED
    return count


Item = tuple[FeedbackKind, int, int, tuple[int, ...]]


def _items(data: bytes) -> Iterator[Item]:
    """What a compound says, up to the first packet that is malformed. Raises: ParseError there."""
    for packet_type, count, content in split_packets(data):
        match packet_type, count:
            case PacketType.SENDER_REPORT, _:
                sender = SenderReport.parse(count, content)
                ntp = sender.ntp - 2**64 if sender.ntp >= 2**63 else sender.ntp
                counts = (ntp, sender.timestamp, sender.packets, sender.octets)
                yield FeedbackKind.SENDER_REPORT, sender.ssrc, sender.ssrc, counts
                yield from _blocks(sender)
            case PacketType.RECEIVER_REPORT, _:
                yield from _blocks(ReceiverReport.parse(count, content))
            case PacketType.SOURCE_DESCRIPTION, _:
                pass
            case PacketType.GOODBYE, _:
                # Its reason is nobody's concern.
                for ssrc in Goodbye.parse(count, content[: 4 * count]).ssrcs:
                    yield FeedbackKind.GOODBYE, ssrc, ssrc, ()
            case PacketType.TRANSPORT_LAYER_FEEDBACK, TransportLayerFormat.NACK:
                head = PictureLoss.parse(content)
                # Pairs are told as they came, well packed or not.
                for pid, mask in struct.iter_unpack("!HH", content[8:]):
                    yield FeedbackKind.NACK, head.sender_ssrc, head.media_ssrc, (pid, mask)
            case PacketType.PAYLOAD_SPECIFIC_FEEDBACK, PayloadSpecificFormat.PICTURE_LOSS:
                loss = PictureLoss.parse(content)
                yield FeedbackKind.KEY_FRAME_REQUEST, loss.sender_ssrc, loss.media_ssrc, ()
            case PacketType.PAYLOAD_SPECIFIC_FEEDBACK, PayloadSpecificFormat.FULL_INTRA_REQUEST:
                request = FullIntraRequest.parse(content)
                for ssrc, number in request.requests:
                    yield FeedbackKind.KEY_FRAME_REQUEST, request.sender_ssrc, ssrc, (1, number)
            case PacketType.TRANSPORT_LAYER_FEEDBACK | PacketType.PAYLOAD_SPECIFIC_FEEDBACK, _:
                content = UnknownPacket.parse(packet_type, count, content).content
                ssrcs = struct.unpack_from("!II", content)
                yield FeedbackKind.OTHER, *ssrcs, (packet_type, count)
            case _:
                ssrc = int.from_bytes(content[:4], "big") if len(content) >= 4 else 0
                yield FeedbackKind.OTHER, ssrc, 0, (packet_type, count)


def _blocks(report: SenderReport | ReceiverReport) -> Iterator[Item]:
    for block in report.blocks:
        _, fraction, lost, highest, jitter, last_report, delay = astuple(block)
        values = (fraction, lost, highest, jitter, last_report, delay)
        yield FeedbackKind.REPORT_BLOCK, report.ssrc, block.ssrc, values


def collect_nacks(
    nacks: NDArray[Any], source: Integer, now: Integer, rtt_ns: Integer, out: NDArray[np.int64]
) -> Integer:
    """See ``nack_kernels.collect_nacks``."""
    pending = nacks[source]
    entries = {
        int(pending.index[position]): [
            int(column[position]) for column in (pending.noticed, pending.requested, pending.tries)
        ]
        for position in range(int(pending.count))
    }
    now = int(now)
    entries = {
        index: entry for index, entry in entries.items() if entry[2] < MAX_TRIES and now - entry[0] <= MAX_AGE_NS
    }
    repeat = max(int(rtt_ns), REPEAT_NS)

    def is_due(index: int) -> bool:
        noticed, requested, tries = entries[index]
        if tries:
            return now - requested >= repeat
        return now - noticed >= REORDER_NS or int(pending.highest) - index >= REORDER_PACKETS

    due = sorted(index for index in entries if is_due(index))
    pairs = 0
    while due and pairs < len(out):
        together = [index for index in due if index - due[0] <= 16]
        [(pid, mask)] = pack_lost(index & 0xFFFF for index in together)
        out[pairs] = (pid, mask)
        for index in together:
            entries[index][1:] = [now, entries[index][2] + 1]
        due = due[len(together) :]
        pairs += 1
    pending.count = len(entries)
    for position, (index, (noticed, requested, tries)) in enumerate(entries.items()):
        pending.index[position], pending.noticed[position] = index, noticed
        pending.requested[position], pending.tries[position] = requested, tries
    return pairs

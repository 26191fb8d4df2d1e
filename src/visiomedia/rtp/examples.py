"""Arguments to try the RTP kernels on: good packets, odd ones, and mutated ones."""

import numpy as np

from visiomedia.batch import ROW, Drop, RowKind, append_datagram, make_batch
from visiomedia.jit import Arguments
from visiomedia.rtp.extensions import ExtensionKind, serialize_extensions
from visiomedia.rtp.packet import RtpPacket
from visiomedia.rtp.payload.codec import Codec
from visiomedia.rtp.rtcp import (
    DelaySinceLast,
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
    UnknownPacket,
    serialize_compound,
)
from visiomedia.rtp.tables import EXTENSION_MAP, FEEDBACK, NACK_LIST, PAYLOAD_TYPE, RECEPTION

ROWS = 24
ADDRESS = bytes(16)

CODECS = {
    96: Codec.VP8,
    98: Codec.VP9,
    102: Codec.H264,
    45: Codec.AV1,
    49: Codec.H265,
    111: Codec.OPUS,
    97: Codec.RTX,
}


def _number(generator: np.random.Generator, bits: int) -> int:
    """A random number, its ends more often than chance would have them."""
    anything = int.from_bytes(generator.bytes(8), "big") >> (64 - bits)
    return (0, 1, (1 << bits) - 1, anything)[int(generator.integers(0, 4))]


def _mutated(generator: np.random.Generator, data: bytes) -> bytes:
    """Some bytes changed, or the end cut off."""
    changed = bytearray(data)
    for _ in range(int(generator.integers(0, 4))):
        changed[int(generator.integers(0, len(changed)))] = int(generator.integers(0, 256))
    if generator.random() < 0.2:
        del changed[int(generator.integers(1, len(changed) + 1)) :]
    return bytes(changed)


HEADS = {
    Codec.VP8: [0x10, 0x90, 0x00, 0x11],
    Codec.VP9: [0x08, 0x88, 0xA8, 0x28, 0x48, 0xFA],
    Codec.H264: [0x67, 0x65, 0x78, 0x7C, 0x41],
    Codec.AV1: [0x00, 0x08, 0x10, 0x20, 0x30, 0x80],
    Codec.H265: [0x26, 0x40, 0x42, 0x60, 0x62, 0x02],
}
"""First bytes to which payload formats give a meaning."""


def _aggregate(generator: np.random.Generator) -> bytes:
    """Elements with lengths before them: of two bytes as in STAP-A and AP, or of one as AV1's short ones."""
    data = b""
    for _ in range(int(generator.integers(0, 4))):
        head = int(generator.choice([0x0A, 0x67, 0x65, 0x26, 0x42, 0x00, 0x12]))
        unit = bytes([head]) + generator.bytes(int(generator.integers(0, 6)))
        size = len(unit) if generator.random() < 0.9 else int(generator.integers(0, 40))
        data += size.to_bytes(int(generator.integers(1, 3)), "big") + unit
    return data


def _payload(generator: np.random.Generator, codec: Codec) -> bytes:
    head = generator.bytes(1)
    if codec in HEADS and generator.random() < 0.8:
        head = bytes([int(generator.choice(HEADS[codec]))])
    rest = generator.bytes(int(generator.integers(0, 14)))
    if generator.random() < 0.4:
        rest = rest[: int(generator.integers(0, 2))] + _aggregate(generator)
    return head + rest if generator.random() < 0.95 else b""


def random_packet(generator: np.random.Generator) -> RtpPacket:
    """A packet of a negotiated format, or of none, with extensions of every size."""
    profile, block = None, b""
    if generator.random() < 0.7:
        wide = bool(generator.integers(2))
        elements = [
            (int(generator.integers(1, 18 if wide else 15)), bytes(generator.integers(0, 256, size, np.uint8)))
            for size in generator.integers(1, 20 if wide else 17, int(generator.integers(0, 6)))
        ]
        profile, block = serialize_extensions(elements, two_byte=wide)
    payload_type = int(generator.choice([*CODECS, 35]))
    return RtpPacket(
        payload_type,
        _number(generator, 16),
        _number(generator, 32),
        _number(generator, 32),
        _payload(generator, CODECS.get(payload_type, Codec.UNKNOWN)),
        bool(generator.integers(2)),
        tuple(_number(generator, 32) for _ in range(int(generator.choice([0, 0, 0, 1, 15])))),
        profile,
        block,
        int(generator.choice([0, 0, 0, 1, 200])),
    )


def parse_example(generator: np.random.Generator) -> Arguments:
    """Rows of RTP, whole and mutated, of two transports."""
    batch = make_batch(ROWS, ROWS * 2048)
    extension_maps = np.zeros(2, EXTENSION_MAP)
    for identifier, kind in enumerate(ExtensionKind):
        extension_maps[0].kind_of_id[identifier] = kind
        extension_maps[1].kind_of_id[(identifier * 3) % 18] = kind
    extension_maps["kind_of_id"][:, 0] = 0
    payload_types = np.zeros((2, 128), PAYLOAD_TYPE)
    for number, codec in CODECS.items():
        payload_types[0, number].codec = codec
    payload_types[1, 96].codec = Codec.VP8
    for _ in range(ROWS):
        data = _mutated(generator, random_packet(generator).serialize())
        number = append_datagram(batch, data, arrival=0, address=ADDRESS, port=1)
        row = batch.rows[number]
        row.kind = RowKind.RTP if generator.random() < 0.9 else RowKind.STUN
        row.drop = Drop.NONE if generator.random() < 0.9 else Drop.REPLAYED
        row.transport = int(generator.integers(0, 2))
    return batch.rows, batch.arena, 0, ROWS, extension_maps, payload_types


def statistics_example(generator: np.random.Generator) -> Arguments:
    """Rows of three sources with loss, reordering and jitter."""
    rows = np.zeros(200, ROW)
    receptions = np.zeros(3, RECEPTION)
    receptions["highest"] = -1
    receptions["clock_rate"] = [48000, 90000, 90000]
    index = [int(generator.integers(0, 0x20000)) for _ in range(3)]
    clock = 10**15
    for row in rows:
        source = int(generator.integers(-1, 3))
        row.kind, row.source, row.length = RowKind.RTP, source, int(generator.integers(12, 1500))
        row.drop = Drop.NONE if generator.random() < 0.95 else Drop.MALFORMED
        index[source] += int(generator.choice([1, 1, 1, 2, 7, -1]))
        clock += int(generator.integers(0, 30_000_000))
        row.index = index[source]
        row.arrival = clock
        row.timestamp = (index[source] * 3000 + int(generator.integers(0, 50))) & 0xFFFFFFFF
    return rows, 0, len(rows), receptions


def _random_rtcp(generator: np.random.Generator) -> RtcpPacket:
    def number(bits: int) -> int:
        return _number(generator, bits)

    def block() -> ReportBlock:
        lost = int(generator.integers(-0x800000, 0x800000))
        return ReportBlock(number(32), number(8), lost, number(32), number(32), number(32), number(32))

    blocks = tuple(block() for _ in range(int(generator.choice([0, 1, 2, 31]))))
    lost = tuple(int(value) for value in np.unique(generator.integers(0, 200, int(generator.integers(0, 9)))))
    choices: list[RtcpPacket] = [
        SenderReport(number(32), number(64), number(32), number(32), number(32), blocks),
        ReceiverReport(number(32), blocks),
        SourceDescription.of_cname(number(32), "name" * int(generator.integers(0, 9))),
        Goodbye((number(32), number(32)), b"over"),
        Nack(number(32), number(32), lost),
        PictureLoss(number(32), number(32)),
        FullIntraRequest(number(32), ((number(32), number(8)), (number(32), number(8)))),
        ReceiverEstimatedMaximumBitrate(number(32), number(40), (number(32),)),
        ExtendedReport(number(32), number(64), (DelaySinceLast(number(32), number(32), number(32)),)),
        UnknownPacket(205, 11, bytes(12)),
        UnknownPacket(210, 3, bytes(8)),
    ]
    return choices[int(generator.integers(0, len(choices)))]


def rtcp_example(generator: np.random.Generator) -> Arguments:
    """Rows of RTCP compounds, whole and mutated; sometimes more items than there is room for."""
    batch = make_batch(ROWS, ROWS * 2048)
    for _ in range(ROWS):
        packets = [_random_rtcp(generator) for _ in range(int(generator.integers(1, 4)))]
        if generator.random() < 0.2:
            packets.append(TransportFeedback(1, 2, 3, 4, 5, 6, ((0, 0), (2, 300), (3, 307))))
        data = serialize_compound(packets)
        if generator.random() < 0.5:
            data = _mutated(generator, data)
        row = batch.rows[append_datagram(batch, data[:2000], arrival=0, address=ADDRESS, port=1)]
        row.kind = RowKind.RTCP if generator.random() < 0.9 else RowKind.DTLS
        row.drop = Drop.NONE if generator.random() < 0.9 else Drop.AUTHENTICATION
        row.transport = int(generator.integers(0, 4))
    feedback = np.zeros(int(generator.choice([10, 2000])), FEEDBACK)
    return batch.rows, batch.arena, 0, ROWS, feedback, 0


def nack_example(generator: np.random.Generator) -> Arguments:
    """A list of what is missing, some of it asked for before."""
    nacks = np.zeros(2, NACK_LIST)
    pending = nacks[1]
    now = 10**12
    pending.highest = int(generator.integers(1000, 200_000))
    lost = np.unique(generator.integers(pending.highest - 90, pending.highest, int(generator.integers(0, 40))))
    generator.shuffle(lost)
    pending.count = len(lost)
    for position, index in enumerate(lost):
        pending.index[position] = index
        pending.noticed[position] = now - int(generator.integers(0, 1_200_000_000))
        pending.tries[position] = int(generator.choice([0, 0, 1, 9, 10]))
        pending.requested[position] = now - int(generator.integers(0, 200_000_000))
    rtt = int(generator.choice([0, 100_000_000]))
    return nacks, 1, now, rtt, np.zeros((int(generator.choice([2, 64])), 2), np.int64)


def observe_nacks(arguments: Arguments) -> object:
    """The pairs, and the list without its order."""
    nacks, source, _, _, out = arguments
    pending = nacks[source]
    entries = [
        tuple(int(column[position]) for column in (pending.index, pending.noticed, pending.requested, pending.tries))
        for position in range(pending.count)
    ]
    return out.tolist(), sorted(entries), int(pending.highest)


def observe_parse(arguments: Arguments) -> object:
    """All of the rows, but of malformed ones only that they are."""
    rows = arguments[0]
    whole = rows[rows["drop"] != Drop.MALFORMED]
    return rows["drop"].tolist(), [whole[name].tolist() for name in whole.dtype.names]

"""What reading a packet costs: ns of CPU, by kernels in batches, by plain Python one by one, and by aiortc.

    python -m benchmarks.bench_rtp --json rtp.json

RTP as browsers send it: a header with transport-wide sequence number and MID, and the payload descriptor of a codec.
RTCP: a receiver report with a block, SDES, and a NACK. aiortc reads no descriptor but VP8's, so its figure is that of
the header alone.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from aiortc.rtp import HeaderExtensionsMap
from aiortc.rtp import RtcpPacket as AiortcRtcp
from aiortc.rtp import RtpPacket as AiortcRtp

from benchmarks.micro import Stopwatch, arguments, report, rounded
from visiomedia.batch import ROW, PacketBatch, RowKind, append_datagram, make_batch
from visiomedia.jit import compile_for
from visiomedia.rtp import reference
from visiomedia.rtp.extensions import ExtensionKind, parse_extensions, serialize_extensions
from visiomedia.rtp.kernels import parse
from visiomedia.rtp.packet import RtpPacket
from visiomedia.rtp.payload.codec import Codec
from visiomedia.rtp.rtcp import Nack, ReceiverReport, ReportBlock, SourceDescription, parse_compound, serialize_compound
from visiomedia.rtp.rtcp_kernels import parse_rtcp
from visiomedia.rtp.tables import EXTENSION_MAP, FEEDBACK, PAYLOAD_TYPE

BATCH = 64
MID, SEQUENCE = 4, 3
PAYLOADS = {
    (111, Codec.OPUS): bytes(80),
    (96, Codec.VP8): b"\x90\x80\x80\x05" + bytes(1100),
    (98, Codec.VP9): b"\xa8\x80\x05" + bytes(1100),
    (102, Codec.H264): b"\x7c\x85" + bytes(1100),
    (45, Codec.AV1): b"\x10" + bytes(1100),
}


def rtp_packets(payload_type: int, payload: bytes) -> list[bytes]:
    """A batch of one stream."""
    profile, data = serialize_extensions([(SEQUENCE, b"\x00\x01"), (MID, b"1")])
    return [
        RtpPacket(payload_type, number, 3000, 0x5EC, payload, True, (), profile, data).serialize()
        for number in range(BATCH)
    ]


def rtcp_compounds() -> list[bytes]:
    """A batch of one receiver's feedback."""
    block = ReportBlock(0x5EC, 3, 10, 70_000, 90, 1, 2)
    packets = (ReceiverReport(1, (block,)), SourceDescription.of_cname(1, "somebody"), Nack(1, 0x5EC, (7, 9, 30)))
    return [serialize_compound(packets)] * BATCH


def batch_of(packets: list[bytes], kind: RowKind) -> PacketBatch:
    """As they come from the socket, demultiplexed."""
    batch = make_batch(BATCH, BATCH * 2048, ROW)
    for data in packets:
        row = batch.rows[append_datagram(batch, data, arrival=0, address=bytes(16), port=1)]
        row.kind, row.transport = kind, 0
    return batch


def read_plain(data: bytes) -> object:
    """Header and elements, by the library's own plain class."""
    packet = RtpPacket.parse(data)
    return packet, parse_extensions(packet.extension_profile, packet.extension_data)


def main() -> None:
    """Measure and print."""
    chosen = arguments("bench_rtp", __doc__)
    rounds = 20 if chosen.quick else 300
    rows = []
    extension_maps, payload_types = np.zeros(1, EXTENSION_MAP), np.zeros((1, 128), PAYLOAD_TYPE)
    extension_maps[0].kind_of_id[SEQUENCE] = ExtensionKind.TRANSPORT_WIDE_CC
    extension_maps[0].kind_of_id[MID] = ExtensionKind.MID
    for number, codec in PAYLOADS:
        payload_types[0, number].codec = codec
    theirs = HeaderExtensionsMap()
    for (number, codec), payload in PAYLOADS.items():
        packets = rtp_packets(number, payload)
        batch = batch_of(packets, RowKind.RTP)
        given = (batch.rows, batch.arena, np.int64(0), np.int64(BATCH), extension_maps, payload_types)
        paths: dict[str, Callable[[], object]] = {
            "kernel": in_batch(parse, *given),
            "reference": partial(reference.parse, *given),
            "rtp.packet": one_by_one(read_plain, packets),
            "aiortc": one_by_one(lambda data: AiortcRtp.parse(data, theirs), packets),
        }
        rows += measure(f"RTP, {codec.name}", paths, rounds)
        assert not batch.rows["drop"].any(), "all are good"
    compounds = rtcp_compounds()
    batch = batch_of(compounds, RowKind.RTCP)
    feedback = np.zeros(64 * BATCH, FEEDBACK)
    items = (batch.rows, batch.arena, np.int64(0), np.int64(BATCH), feedback, np.int64(0))
    paths = {
        "kernel": in_batch(parse_rtcp, *items),
        "reference": lambda: reference.parse_rtcp(*items),
        "rtp.rtcp": one_by_one(parse_compound, compounds),
        "aiortc": one_by_one(AiortcRtcp.parse, compounds),
    }
    rows += measure("RTCP", paths, rounds)
    report("Reading, ns of CPU a packet", rows, chosen.json)


def in_batch(kernel: Callable[..., Any], *given: Any) -> Callable[[], object]:
    """A kernel on a batch."""
    entry = compile_for(kernel, given)
    return lambda: entry(*given)


def one_by_one(function: Callable[[bytes], object], packets: list[bytes]) -> Callable[[], object]:
    """A function on each packet."""
    return lambda: [function(packet) for packet in packets]


def measure(what: str, paths: dict[str, Callable[[], object]], rounds: int) -> list[dict[str, Any]]:
    """Rows of all paths, which take turns."""
    watch = Stopwatch()
    for _ in range(rounds):
        for name, function in paths.items():
            watch.run(name, BATCH, function)
    return [{"what": what, "path": name, "ns_per_packet": rounded(ns)} for name, ns in watch.medians().items()]


if __name__ == "__main__":
    main()

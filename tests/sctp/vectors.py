"""Chunks, parameters of RE-CONFIG and DCEP messages, as bytes and as what they say."""

from visiomedia.sctp.chunks import (
    Causes,
    Chunk,
    ChunkType,
    CookieEcho,
    Data,
    ForwardTsn,
    Heartbeat,
    Init,
    ReConfig,
    Sack,
    Shutdown,
    Signal,
    UnknownChunk,
)
from visiomedia.sctp.dcep import DataChannelOpen
from visiomedia.sctp.parameters import Parameter
from visiomedia.sctp.reconfiguration import (
    AddStreams,
    IncomingReset,
    OutgoingReset,
    Reconfiguration,
    ReconfigurationType,
    ResetResponse,
    ResetResult,
    TsnReset,
)

CHUNKS: list[tuple[str, Chunk]] = [
    ("00030013 00000001 0002 0003 00000033 616263 00", Data(3, 1, 2, 3, 51, b"abc")),
    ("00060011 ffffffff fffe ffff 00000035 ff 000000", Data(6, 0xFFFFFFFF, 65534, 65535, 53, b"\xff")),
    (
        "01000020 11223344 00100000 ffff ffff 55667788 8008 0006 82c0 0000 c000 0004",
        Init(
            ChunkType.INIT,
            0x11223344,
            0x100000,
            65535,
            65535,
            0x55667788,
            [Parameter(0x8008, b"\x82\xc0"), Parameter(0xC000, b"")],
        ),
    ),
    (
        "0200001c 00000001 000005dc 0001 0002 00000003 0007 0008 aabbccdd",
        Init(ChunkType.INIT_ACK, 1, 1500, 1, 2, 3, [Parameter(7, b"\xaa\xbb\xcc\xdd")]),
    ),
    ("03000010 00000009 00010000 0000 0000", Sack(9, 65536)),
    (
        "0300001c 00000009 00000000 0002 0001 0002 0003 0005 0005 00000007",
        Sack(9, 0, [(2, 3), (5, 5)], [7]),
    ),
    ("0400000b 0001 0007 010203 00", Heartbeat(ChunkType.HEARTBEAT, b"\1\2\3")),
    ("05000008 0001 0004", Heartbeat(ChunkType.HEARTBEAT_ACK, b"")),
    ("06010004", Causes(ChunkType.ABORT, [], 1)),
    ("0600000c 000c 0008 71756974", Causes(ChunkType.ABORT, [Parameter(12, b"quit")])),
    ("0900000c 0003 0008 00000001", Causes(ChunkType.ERROR, [Parameter(3, b"\0\0\0\1")])),
    ("07000008 0000002a", Shutdown(42)),
    ("08000004", Signal(ChunkType.SHUTDOWN_ACK)),
    ("0a000009 0102030405 000000", CookieEcho(b"\1\2\3\4\5")),
    ("0b000004", Signal(ChunkType.COOKIE_ACK)),
    ("0e010004", Signal(ChunkType.SHUTDOWN_COMPLETE, 1)),
    ("c0000010 00000009 0001 0002 fffe ffff", ForwardTsn(9, [(1, 2), (65534, 65535)])),
    ("c0000008 00000009", ForwardTsn(9)),
    (
        "82000016 000d 0012 00000001 00000002 00000003 0004 0000",
        ReConfig([Parameter(13, bytes.fromhex("000000010000000200000003 0004"))]),
    ),
    (
        "8200001c 0010 000c 00000001 00000001 000e 000c 00000002 0003 0004",
        ReConfig([Parameter(16, bytes.fromhex("0000000100000001")), Parameter(14, bytes.fromhex("0000000200030004"))]),
    ),
    ("fe070007 010203 00", UnknownChunk(0xFE, 7, b"\1\2\3")),
]

RECONFIGURATIONS: list[tuple[int, str, Reconfiguration]] = [
    (13, "00000001 00000002 00000003", OutgoingReset(1, 2, 3)),
    (13, "00000001 00000002 00000003 0004 fffe", OutgoingReset(1, 2, 3, [4, 65534])),
    (14, "00000001 0004", IncomingReset(1, [4])),
    (15, "00000001", TsnReset(1)),
    (16, "00000001 00000006", ResetResponse(1, ResetResult.IN_PROGRESS)),
    (17, "00000001 0002 0000", AddStreams(ReconfigurationType.ADD_OUTGOING_STREAMS, 1, 2)),
    (18, "00000001 0002 0000", AddStreams(ReconfigurationType.ADD_INCOMING_STREAMS, 1, 2)),
]

OPENS: list[tuple[str, DataChannelOpen]] = [
    ("0300 0100 00000000 0000 0000", DataChannelOpen("")),
    ("0380 0080 00000000 0001 0002 61 6262", DataChannelOpen("a", "bb", False, None, None, 128)),
    ("0301 0200 00000003 0002 0000 c3a9", DataChannelOpen("é", "", True, 3, None, 512)),
    ("0382 0400 000003e8 0001 0000 61", DataChannelOpen("a", "", False, None, 1000, 1024)),
]

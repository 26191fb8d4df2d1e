"""Every parser of bytes from the network under mutations of what is valid: only ``ParseError`` may come out."""

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.hostile_input import AUDIO, CODECS, HostilePeer, dtls_record, mutated, stun_request
from tests.sctp.vectors import CHUNKS, OPENS
from tests.sdp.vectors import LOCAL, NAMES, plan_everything, read
from visiomedia.errors import NegotiationError, ParseError, VisiomediaError
from visiomedia.ice.candidate import Candidate as IceCandidate
from visiomedia.ice.directory import username_of
from visiomedia.ice.stun import Message
from visiomedia.rtp import extensions, rtx
from visiomedia.rtp.depacketizers import H264Depacketizer, OpusDepacketizer, Vp8Depacketizer
from visiomedia.rtp.packet import RtpPacket
from visiomedia.rtp.payload import av1, h264, vp8
from visiomedia.rtp.payload.codec import Codec
from visiomedia.rtp.payload.description import is_key_frame, starts_frame
from visiomedia.rtp.payload.opus import OpusPacket, is_silence
from visiomedia.rtp.payload.vp9 import Vp9Descriptor
from visiomedia.rtp.rtcp import TransportFeedback, parse_compound
from visiomedia.sctp.chunks import ReConfig
from visiomedia.sctp.dcep import DataChannelOpen
from visiomedia.sctp.packet import Packet
from visiomedia.sctp.reconfiguration import parse_reconfiguration
from visiomedia.sdp import SessionDescription, create_answer
from visiomedia.sdp.attributes import Candidate, HeaderExtension, Rid, Simulcast, SsrcGroup, parse_rtpmap
from visiomedia.sdp.negotiation import negotiated, offered_setup
from visiomedia.srtp.certificate import Fingerprint
from visiomedia.srtp.records import records
from visiomedia.transport.reference import classify

VECTORS = Path(__file__).parent.parent / "vectors"
ROUNDS = 10_000
MUTATED_AGAIN = 3
"""Of four inputs so many are mutated; the fourth is as it was made, so that what comes after parsing is seen too."""


@dataclass(frozen=True)
class Target:
    """A parser with all that is asked of what it returns, and who makes inputs that it might take."""

    make: Callable[[random.Random], bytes]
    parse: Callable[[bytes], object]
    refusals: tuple[type[VisiomediaError], ...] = (ParseError,)
    rounds: int = ROUNDS


# --- inputs ---------------------------------------------------------------------------------------------------------


def rtp_packet(rng: random.Random) -> bytes:
    return HostilePeer(rng).rtp()


def compound(rng: random.Random) -> bytes:
    return HostilePeer(rng, (1, 2)).rtcp()


def payload(codec: str, rng: random.Random) -> bytes:
    return HostilePeer(rng).payload(codec)


def any_payload(rng: random.Random) -> bytes:
    return payload(rng.choice([*CODECS, "H265"]), rng)


def extension_block(rng: random.Random) -> bytes:
    pieces = [
        bytes([rng.randrange(256), rng.choice((0, 1, 2, 16, 255))]) + rng.randbytes(rng.randrange(20))
        for _ in range(rng.randrange(6))
    ]
    return b"".join(pieces)


def sctp_packet(rng: random.Random) -> bytes:
    """Without its checksum, which would refuse whatever is mutated."""
    chunks = [chunk for _, chunk in rng.choices(CHUNKS, k=rng.randrange(1, 4))]
    return Packet(5000, 5000, rng.getrandbits(32), chunks, False).serialize()


def checks() -> list[bytes]:
    return [bytes.fromhex(path.read_text()) for path in sorted((VECTORS / "stun").glob("*.hex"))]


def hellos() -> list[bytes]:
    return [path.read_bytes() for path in sorted((VECTORS / "dtls").glob("*.bin"))]


def stun(rng: random.Random) -> bytes:
    return rng.choice([*STUN_VECTORS, stun_request(rng, "ours:theirs")])


def dtls(rng: random.Random) -> bytes:
    return rng.choice([*DTLS_VECTORS, dtls_record(rng)])


def description(rng: random.Random) -> bytes:
    """A real description with lines of others in it, some of its own gone or moved."""
    lines = read(rng.choice(NAMES)).split("\r\n")
    for _ in range(rng.randrange(6)):
        at = rng.randrange(len(lines))
        match rng.randrange(3):
            case 0:
                lines.insert(at, rng.choice(SDP_LINES))
            case 1:
                del lines[at]
            case _:
                lines.insert(at, lines.pop(rng.randrange(len(lines))))
    return "\r\n".join(lines).encode()


def attribute(name: str, rng: random.Random) -> bytes:
    return rng.choice([line for line in SDP_LINES if line.startswith(f"a={name}:")]).partition(":")[2].encode()


STUN_VECTORS, DTLS_VECTORS = checks(), hellos()
SDP_LINES = sorted({line for name in NAMES for line in read(name).split("\r\n") if line})


# --- what is done with them -----------------------------------------------------------------------------------------


def use_rtp(data: bytes) -> object:
    packet = RtpPacket.parse(data)
    assert RtpPacket.parse(packet.serialize()) == packet
    extensions.parse_extensions(packet.extension_profile, packet.extension_data)
    return rtx.unwrap(packet, payload_type=96, ssrc=1)


def use_rtcp(data: bytes) -> object:
    packets = parse_compound(data)
    return [(packet.received, packet.lost) for packet in packets if isinstance(packet, TransportFeedback)]


def use_extensions(data: bytes) -> object:
    for profile in (0xBEDE, 0x1000, 0x100F, 0):
        for _, value in extensions.parse_extensions(profile, data):
            for parse in EXTENSION_PARSERS:
                refusing(partial(parse, value))
    return None


EXTENSION_PARSERS: Sequence[Callable[[bytes], object]] = (
    extensions.parse_mid,
    extensions.parse_rid,
    extensions.AudioLevel.parse,
    extensions.parse_transport_sequence_number,
    extensions.parse_abs_send_time,
    extensions.AbsCaptureTime.parse,
    extensions.VideoOrientation.parse,
    extensions.PlayoutDelay.parse,
    extensions.DependencyDescriptor.parse,
)


def refusing(parse: Callable[[], object]) -> None:
    """One of several parsers of an input: that it refuses must not spare the others."""
    with suppress(ParseError):
        parse()


def use_stun(data: bytes) -> object:
    username_of(data)
    message = Message.parse(data)
    return message.is_authentic(b"VOkJxbRl1RmTxUk/WvJxBt")


def use_description(data: bytes) -> object:
    offer = SessionDescription.parse(data.decode("utf-8", "replace"))
    offered_setup(offer)
    assert SessionDescription.parse(offer.serialize()) == offer
    answer = create_answer(offer, LOCAL, plan_everything(offer))
    SessionDescription.parse(answer.serialize())
    return [negotiated(ours, theirs) for ours, theirs in zip(answer.media, offer.media, strict=True) if ours.is_rtp]


def as_text(parse: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: parse(data.decode("utf-8", "replace"))


def use_payload(data: bytes) -> object:
    for codec in Codec:
        starts_frame(codec, data)
        is_key_frame(codec, data)
    for parse in (vp8.Vp8Descriptor.parse, Vp9Descriptor.parse, av1.AggregationHeader.parse, av1.elements):
        refusing(partial(parse, data))
    refusing(partial(h264.aggregated_units, data))
    refusing(lambda: list(h264.split_avc(data)))
    list(h264.split_annex_b(data))
    vp8.frame_size(data)
    return None


def use_sctp(data: bytes) -> object:
    packet = Packet.parse(data)
    for chunk in packet.chunks:
        if isinstance(chunk, ReConfig):
            for parameter in chunk.parameters:
                refusing(partial(parse_reconfiguration, parameter))
    assert Packet.parse(packet.serialize()) == packet
    return packet


def use_opus(data: bytes) -> object:
    is_silence(data)
    packet = OpusPacket.parse(data)
    return packet.samples, packet.channels, packet.bandwidth


TARGETS = {
    "rtp": Target(rtp_packet, use_rtp),
    "rtcp": Target(compound, use_rtcp),
    "extensions": Target(extension_block, use_extensions, rounds=ROUNDS // 4),
    "payload descriptors": Target(any_payload, use_payload, rounds=ROUNDS // 4),
    "opus": Target(lambda rng: rng.randbytes(rng.choice((0, 1, 2, 3, 10, 200))), use_opus),
    "stun": Target(stun, use_stun),
    "dtls records": Target(dtls, lambda data: list(records(data))),
    "sctp": Target(sctp_packet, use_sctp),
    "data channel open": Target(lambda rng: bytes.fromhex(rng.choice(OPENS)[0]), DataChannelOpen.parse),
    "demux": Target(lambda rng: rng.randbytes(rng.randrange(16)), classify),
    "description": Target(description, use_description, (ParseError, NegotiationError), rounds=500),
    "candidate": Target(partial(attribute, "candidate"), as_text(Candidate.parse)),
    "ICE candidate": Target(lambda rng: b"candidate:" + attribute("candidate", rng), as_text(IceCandidate.parse)),
    "fingerprint": Target(partial(attribute, "fingerprint"), as_text(Fingerprint.parse)),
    "rtpmap": Target(partial(attribute, "rtpmap"), as_text(parse_rtpmap)),
    "extmap": Target(partial(attribute, "extmap"), as_text(HeaderExtension.parse)),
    "rid": Target(partial(attribute, "rid"), as_text(Rid.parse)),
    "simulcast": Target(partial(attribute, "simulcast"), as_text(Simulcast.parse)),
    "ssrc-group": Target(partial(attribute, "ssrc-group"), as_text(SsrcGroup.parse)),
}


@pytest.mark.fuzz
@pytest.mark.parametrize("name", TARGETS)
def test_parser_refuses_by_parse_error_alone(name: str) -> None:
    target, rng = TARGETS[name], random.Random(name)
    taken = 0
    for number in range(target.rounds):
        data = target.make(rng)
        if number % 4 < MUTATED_AGAIN:
            data = mutated(rng, data)
        try:
            target.parse(data)
            taken += 1
        except target.refusals:
            pass
        except Exception as error:
            pytest.fail(f"{name}, round {number}: {error!r} of {data!r}")
    assert taken > target.rounds // 20, f"{name} takes {taken} of {target.rounds}: what is mutated is no longer valid"


def depacketizers() -> list[tuple[str, Any, int]]:
    return [
        ("VP8", Vp8Depacketizer(), CODECS["VP8"][0]),
        ("H264", H264Depacketizer(), CODECS["H264"][0]),
        ("opus", OpusDepacketizer(), AUDIO),
    ]


@pytest.mark.fuzz
@pytest.mark.parametrize(("codec", "depacketizer", "payload_type"), depacketizers(), ids=lambda value: str(value)[:4])
def test_depacketizer_takes_anything_and_raises_nothing(codec: str, depacketizer: Any, payload_type: int) -> None:
    rng = random.Random(codec)
    timestamp, frames = 0, 0
    for number in range(ROUNDS):
        timestamp += rng.choice((0, 0, 3000))
        packet = RtpPacket(
            payload_type=payload_type,
            sequence_number=(number + rng.choice((0, 0, 0, 0, 1, -1, -200, 30_000))) & 0xFFFF,
            timestamp=timestamp & 0xFFFFFFFF,
            ssrc=1,
            payload=rng.choice((payload(codec, rng), payload(codec, rng), b"", rng.randbytes(3))),
            marker=rng.randrange(3) == 0,
        )
        frames += len(depacketizer.receive(packet))
    assert frames > ROUNDS // 100, "now and then a frame is whole"

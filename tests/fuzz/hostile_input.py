"""Datagrams that mean harm, by seed: from strangers, and from a peer that was let in and mutates what it seals."""

import random
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.clients import OfferedSection

AUDIO = 111
CODECS = {"VP8": (96, 97), "VP9": (98, 99), "H264": (100, 101), "AV1": (102, 103)}
"""Payload types of media and of its retransmissions; one section a codec."""

SECTIONS = 1 + len(CODECS)
CONTESTED = SECTIONS
"""One more section of VP8, that SSRCs of all sorts fight for: those of the others stay bound, and parsers see them."""

CONTESTED_VP8, CONTESTED_RTX = 104, 105
FIGHTING_SSRC = 0x0BAD_1000

MID_ID, TRANSPORT_SEQUENCE_ID, LEVEL_ID = 4, 3, 1
MAGIC_COOKIE = 0x2112A442
FINGERPRINT_XOR = 0x5354554E


def attacker_sections() -> list[OfferedSection]:
    """Audio, a section for each video codec, one that is fought for, and one by which it watches somebody else."""
    sections = [OfferedSection(kind="audio", direction="sendonly", codecs=((AUDIO, "opus/48000/2", "useinbandfec=1"),))]
    for name, (media, repair) in CODECS.items():
        fmtp = "packetization-mode=1;profile-level-id=42e01f;level-asymmetry-allowed=1" if name == "H264" else ""
        codecs = ((media, f"{name}/90000", fmtp), (repair, "rtx/90000", f"apt={media}"))
        sections.append(OfferedSection(kind="video", direction="sendonly", codecs=codecs))
    contested = ((CONTESTED_VP8, "VP8/90000", ""), (CONTESTED_RTX, "rtx/90000", f"apt={CONTESTED_VP8}"))
    watched = ((120, "VP8/90000", ""), (121, "rtx/90000", "apt=120"))
    return [
        *sections,
        OfferedSection(kind="video", direction="sendonly", codecs=contested),
        OfferedSection(kind="video", direction="recvonly", codecs=watched),
    ]


# --- from strangers -------------------------------------------------------------------------------------------------


def random_bytes(rng: random.Random) -> bytes:
    """Anything."""
    return rng.randbytes(rng.choice((0, 1, 2, 8, 12, 20, 60, rng.randrange(1500), rng.randrange(2000, 3000))))


def mutated(rng: random.Random, data: bytes) -> bytes:
    """A few of: bits flipped, a byte set, cut short, a stretch repeated, a 16-bit length replaced, a tail appended."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        if not changed:
            break
        at = rng.randrange(len(changed))
        match rng.randrange(6):
            case 0:
                changed[at] ^= 1 << rng.randrange(8)
            case 1:
                changed[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            case 2:
                del changed[at:]
            case 3:
                changed[at:at] = changed[at : at + rng.randrange(1, 40)]
            case 4:
                changed[at : at + 2] = struct.pack("!H", rng.choice((0, 1, 3, 4, 5, 0xFFFC, 0xFFFF, len(data))))
            case 5:
                changed += rng.randbytes(rng.randrange(1, 40))
    return bytes(changed)


def stun_request(rng: random.Random, username: str) -> bytes:
    """A Binding request as strangers can make it: perhaps the right username, but not the password."""
    attributes = b""
    for kind, value in (
        (0x0006, username.encode()),
        (0x0024, rng.randbytes(4)),
        (rng.choice((0x0025, 0x8022, 0x0033, 0xC057)), rng.randbytes(rng.randrange(6))),
        (0x802A, rng.randbytes(8)),
        (0x0008, rng.randbytes(20)),
    ):
        attributes += struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)
    method = rng.choice((0x0001, 0x0001, 0x0001, 0x0011, 0x0101, 0x0111, 0x0003))
    # RFC 8489 section 14.7: the length that the checksum covers counts the FINGERPRINT itself, 8 bytes.
    request = struct.pack("!HHI", method, len(attributes) + 8, MAGIC_COOKIE) + rng.randbytes(12) + attributes
    checksum = zlib.crc32(request) ^ FINGERPRINT_XOR ^ rng.choice((0, 0, 0, 1))
    return request + struct.pack("!HHI", 0x8028, 4, checksum)


def dtls_record(rng: random.Random) -> bytes:
    """One or two records of any type and epoch: hellos, alerts, garbage in the clear, what looks encrypted."""
    records = b""
    for _ in range(rng.choice((1, 1, 2))):
        content = rng.choice((20, 21, 22, 22, 22, 23, 24))
        body = rng.randbytes(rng.randrange(200))
        if content == 22:
            kind = rng.choice((1, 2, 11, 14, 16, 20))
            size = len(body).to_bytes(3, "big")
            body = bytes([kind]) + size + rng.randbytes(2) + bytes(3) + size + b"\xfe\xfd" + body
        elif content == 21:
            body = rng.choice((b"\x01\x00", b"\x02\x28", rng.randbytes(2)))
        head = struct.pack("!BHHHI", content, rng.choice((0xFEFD, 0xFEFF, 0x0303)), rng.choice((0, 0, 1, 2)), 0, 7)
        records += head + len(body).to_bytes(2, "big") + body
    return records


def from_outside(rng: random.Random, usernames: Sequence[str]) -> bytes:
    """One datagram of a stranger who may have overheard usernames; none of them is a valid check."""
    known = rng.choice(usernames)
    ufrag = known.partition(":")[0]
    username = rng.choice((known, f"{ufrag}:{rng.randbytes(4).hex()}", f"{rng.randbytes(3).hex()}:x", ufrag))
    match rng.randrange(5):
        case 0:
            return random_bytes(rng)
        case 1:
            request = stun_request(rng, username)
            return request if rng.randrange(2) == 0 else request[: rng.randrange(len(request))]
        case 2:
            return mutated(rng, stun_request(rng, username))
        case 3:
            record = dtls_record(rng)
            return record[: rng.randrange(len(record) + 1)]
        case _:
            return mutated(rng, dtls_record(rng))


# --- from a peer that was let in ------------------------------------------------------------------------------------


def one_byte_element(identifier: int, value: bytes) -> bytes:
    """RFC 8285 section 4.2."""
    return bytes([identifier << 4 | (len(value) - 1) & 0x0F]) + value


@dataclass
class HostilePeer:
    """Makes RTP and RTCP in the clear, to be sealed: whatever is wrong with it reaches the parsers."""

    rng: random.Random
    watched_ssrcs: Sequence[int] = ()
    """What the server sends to it: media, then its repair stream."""
    _sequence: dict[int, int] = field(default_factory=dict)
    _transport_sequence: int = 0

    def ssrc(self, section: int, is_repair: bool = False) -> int:
        """Its own, by section."""
        return 0x0BAD_0000 | section << 4 | is_repair

    def _next(self, ssrc: int) -> int:
        """Mostly the next number, so that packets are opened; now and then one left out or an old one."""
        step = self.rng.choice((1, 1, 1, 1, 1, 1, 1, 2, 3, 20, -5, 0))
        number = max(0, self._sequence.get(ssrc, 100) + step)
        self._sequence[ssrc] = max(number, self._sequence.get(ssrc, 100))
        return number & 0xFFFF

    def packet(
        self,
        section: int,
        payload_type: int,
        payload: bytes,
        *,
        ssrc: int | None = None,
        first: int = 0x80,
        middle: bytes = b"",
    ) -> bytes:
        """A packet; ``middle``: CSRCs and extension block, as ``first`` announces them or not."""
        chosen = self.ssrc(section) if ssrc is None else ssrc
        marker = self.rng.choice((0, 0x80))
        timestamp = self.rng.choice((self._sequence.get(chosen, 0) * 3000, self.rng.randrange(1 << 32))) & 0xFFFFFFFF
        number = self._next(chosen)
        return struct.pack("!BBHII", first, marker | payload_type, number, timestamp, chosen) + middle + payload

    def payload(self, codec: str) -> bytes:
        """A descriptor of a codec that may be cut short or lie, and what follows it."""
        rng = self.rng
        body = rng.randbytes(rng.choice((0, 1, 2, 3, 10, 100, 1000, rng.randrange(1400))))
        match codec:
            case "VP8":
                head = bytes([rng.choice((0x10, 0x90, 0x80, 0xFF)), rng.randrange(256)]) + rng.randbytes(
                    rng.randrange(5)
                )
            case "VP9":
                head = bytes([rng.choice((0x8A, 0xAA, 0xFE, 0x0A, rng.randrange(256)))]) + rng.randbytes(
                    rng.randrange(9)
                )
            case "H264":
                kind = rng.choice((1, 5, 7, 8, 24, 24, 25, 28, 28, 29, 30, 31, 0))
                head = bytes([0x60 | kind, rng.choice((0x85, 0x45, 0x05, rng.randrange(256)))])
                head += struct.pack("!H", rng.choice((0, 1, 2, 0xFFFF, rng.randrange(1000))))
            case _:
                head = bytes([rng.choice((0x10, 0x18, 0x90, 0x50, 0x30, rng.randrange(256)))])
                head += rng.choice((b"\xff" * rng.randrange(9), b"\x80" * rng.randrange(10), rng.randbytes(4)))
        whole = head + body
        return whole[: rng.randrange(len(whole) + 1)] if rng.randrange(4) == 0 else whole

    def block(self, *elements: bytes, profile: int = 0xBEDE) -> bytes:
        """An extension block with its header (RFC 8285)."""
        body = b"".join(elements)
        body += bytes(-len(body) % 4)
        return struct.pack("!HH", profile, len(body) // 4) + body

    def valid(self, section: int) -> bytes:
        """A packet with nothing wrong but, perhaps, its descriptor."""
        self._transport_sequence = (self._transport_sequence + 1) & 0xFFFF
        elements = [
            one_byte_element(MID_ID, str(section).encode()),
            one_byte_element(TRANSPORT_SEQUENCE_ID, struct.pack("!H", self._transport_sequence)),
        ]
        if section == 0:
            elements.append(one_byte_element(LEVEL_ID, self.rng.randbytes(1)))
            payload, payload_type = self.rng.randbytes(self.rng.randrange(200)), AUDIO
        else:
            codec = list(CODECS)[section - 1]
            payload, payload_type = self.payload(codec), CODECS[codec][0]
        return self.packet(section, payload_type, payload, first=0x90, middle=self.block(*elements))

    def rtp(self) -> bytes:
        """One packet, at least 12 bytes, the first two bits of which say RTP."""
        rng = self.rng
        section = rng.randrange(SECTIONS)
        kinds: tuple[Callable[[int], bytes], ...] = (
            self.valid,
            self.valid,
            self._any_header,
            self._two_byte,
            self._one_byte,
            self._csrcs,
            self._padding,
            self._unknown_ssrc,
            self._retransmission,
            self._jump,
            self._mutated,
        )
        return rng.choice(kinds)(section)

    def _any_header(self, section: int) -> bytes:
        first = 0x80 | self.rng.randrange(64)
        return self.packet(section, self.rng.randrange(128), self.rng.randbytes(self.rng.randrange(1200)), first=first)

    def _two_byte(self, section: int) -> bytes:
        rng = self.rng
        elements = []
        for _ in range(rng.randrange(8)):
            identifier = rng.choice((LEVEL_ID, LEVEL_ID, TRANSPORT_SEQUENCE_ID, MID_ID, rng.randrange(256)))
            length = rng.choice((0, 1, 2, 16, 200, 255))
            value = rng.randbytes(rng.choice((length, length, rng.randrange(40))))
            elements.append(bytes([identifier, length]) + value)
        block = self.block(*elements, profile=0x1000 | rng.randrange(16))
        payload_type = AUDIO if section == 0 else rng.choice((AUDIO, 96, 98, 102))
        return self.packet(section, payload_type, rng.randbytes(40), first=0x90, middle=block)

    def _one_byte(self, section: int) -> bytes:
        rng = self.rng
        body = rng.randbytes(4 * rng.randrange(300))
        words = rng.choice((len(body) // 4, len(body) // 4, 0xFFFF, rng.randrange(40)))
        block = struct.pack("!HH", rng.choice((0xBEDE, 0xBEDE, rng.randrange(65536))), words) + body
        return self.packet(
            section, rng.choice((AUDIO, 96, 100)), rng.randbytes(rng.randrange(40)), first=0x90, middle=block
        )

    def _csrcs(self, section: int) -> bytes:
        rng = self.rng
        count = rng.randrange(16)
        return self.packet(
            section, AUDIO, b"", first=0x80 | count, middle=rng.randbytes(rng.choice((4 * count, 2 * count, 0)))
        )

    def _padding(self, section: int) -> bytes:
        rng = self.rng
        body = rng.randbytes(rng.choice((0, 1, 4, 100))) + bytes([rng.choice((0, 1, 4, 5, 101, 255))])
        return self.packet(section, rng.choice((AUDIO, 96, 97, 102)), body, first=0xA0)

    def _unknown_ssrc(self, section: int) -> bytes:
        """Asks to be bound: by the mid that is fought for, by another's, by nobody's, by none."""
        rng = self.rng
        mid = rng.choice((str(CONTESTED), str(section), "9", "x" * 16)).encode()
        element = one_byte_element(rng.choice((MID_ID, 10, 11)), mid)
        # Mostly new ones: more a second than may wait for their binding.
        ssrc = rng.choice((0, 1, 0xFFFFFFFF)) if rng.randrange(4) == 0 else rng.randrange(1 << 32)
        payload_type = rng.choice((CONTESTED_VP8, CONTESTED_VP8, CONTESTED_RTX, 120, 127))
        return self.packet(section, payload_type, rng.randbytes(50), ssrc=ssrc, first=0x90, middle=self.block(element))

    def _retransmission(self, section: int) -> bytes:
        """RTX without a number, with one far away, with one that is there already."""
        rng = self.rng
        section = rng.randrange(1, 5)
        codec = list(CODECS)[section - 1]
        near = (self._sequence.get(self.ssrc(section), 100) - rng.randrange(100)) & 0xFFFF
        original = struct.pack("!H", rng.choice((near, near, near, rng.randrange(65536), (near + 3000) & 0xFFFF)))
        payload = (original + self.payload(codec))[: rng.choice((0, 1, 2, 3, 2000, 2000, 2000))]
        block = self.block(one_byte_element(MID_ID, str(section).encode()))
        ssrc = self.ssrc(section, is_repair=True)
        return self.packet(section, CODECS[codec][1], payload, ssrc=ssrc, first=0x90, middle=block)

    def _jump(self, section: int) -> bytes:
        """On SSRCs of their own, so that the others go on: numbers from everywhere."""
        ssrc = FIGHTING_SSRC | section
        self._sequence[ssrc] = self.rng.randrange(1 << 16)
        block = self.block(one_byte_element(MID_ID, str(CONTESTED).encode()))
        return self.packet(section, CONTESTED_VP8, self.rng.randbytes(30), ssrc=ssrc, first=0x90, middle=block)

    def _mutated(self, section: int) -> bytes:
        packet = self.valid(section)
        changed = mutated(self.rng, packet[12:])
        first = packet[0] ^ self.rng.choice((0, 0, 0x10, 0x20, 0x0F))
        return bytes([first]) + packet[1:12] + changed

    def rtcp(self) -> bytes:
        """One compound, at least 8 bytes, that begins like RTCP."""
        rng = self.rng
        compound = b"".join(self._rtcp_packet() for _ in range(rng.choice((1, 1, 2, 2, 3, 8))))[:1400]
        if rng.randrange(2):
            compound = compound[:8] + mutated(rng, compound[8:])
        if rng.randrange(4) == 0:
            # Counts and lengths are in the first four bytes; the version and the kind must stay for it to be RTCP.
            count = rng.choice((compound[0] ^ 0x20, 0x80 | rng.randrange(64)))
            length = struct.pack("!H", rng.choice((0, 1, 2, 6, 0x7FFF, 0xFFFF, rng.randrange(400))))
            compound = bytes([count, compound[1]]) + length + compound[4:]
        return compound

    def _rtcp_packet(self) -> bytes:
        rng = self.rng
        own = self.ssrc(rng.randrange(SECTIONS))
        watched = rng.choice([*self.watched_ssrcs, own, rng.randrange(1 << 32)])
        head = struct.pack("!I", own)
        both = struct.pack("!II", own, watched)
        blocks = rng.randrange(32)
        match rng.randrange(12):
            case 0:
                return rtcp_packet(blocks, 200, head + rng.randbytes(20 + 24 * blocks))
            case 1:
                report = struct.pack("!I", watched) + rng.randbytes(20)
                return rtcp_packet(1, 201, head + report)
            case 2 | 3 | 4:
                pairs = b"".join(
                    rng.choice((rng.randbytes(4), rng.randbytes(2) + b"\xff\xff")) for _ in range(rng.randrange(200))
                )
                return rtcp_packet(1, 205, both + pairs)
            case 5:
                return rtcp_packet(1, 206, both)
            case 6:
                entries = b"".join(struct.pack("!II", watched, rng.randrange(1 << 32)) for _ in range(rng.randrange(5)))
                return rtcp_packet(4, 206, both + entries + rng.randbytes(rng.choice((0, 0, 4))))
            case 7:
                return rtcp_packet(15, 205, both + rng.randbytes(4 * rng.randrange(2, 60)))
            case 8:
                return rtcp_packet(15, 206, both + b"REMB" + rng.randbytes(4 * rng.randrange(1, 10)))
            case 9:
                return rtcp_packet(rng.randrange(32), 202, head + rng.randbytes(4 * rng.randrange(30)))
            case 10:
                # It says goodbye for SSRCs that fight, and for strangers'; its good ones stay.
                fighting = FIGHTING_SSRC | rng.randrange(SECTIONS)
                ssrcs = [rng.choice((fighting, rng.randrange(1 << 32))) for _ in range(blocks)]
                return rtcp_packet(blocks, 203, b"".join(struct.pack("!I", ssrc) for ssrc in ssrcs))
            case _:
                return rtcp_packet(
                    rng.randrange(32), rng.choice((204, 207, 192, 208, 223)), rng.randbytes(4 * rng.randrange(1, 60))
                )


def rtcp_packet(count: int, kind: int, content: bytes) -> bytes:
    """With its common header (RFC 3550 section 6.4.1), whole words; at least 8 bytes."""
    content += bytes(-len(content) % 4) or (bytes(4) if not content else b"")
    return struct.pack("!BBH", 0x80 | count & 0x1F, kind, len(content) // 4) + content

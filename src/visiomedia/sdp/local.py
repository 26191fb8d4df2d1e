"""What our side brings to a description: its transport, and the streams it sends."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from visiomedia.errors import ConfigurationError
from visiomedia.sdp.attributes import Candidate, Setup, SsrcGroup
from visiomedia.sdp.description import MediaDescription, SessionDescription, TransportAttributes

DISCARD_PORT = 9
"""Stands where the address is said by candidates only (RFC 9429 section 5.2.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingStream:
    """What we send in a section. Raises ConfigurationError for a text that cannot stand in SDP."""

    ssrc: int
    rtx_ssrc: int
    """Of retransmissions; 0 is none."""
    cname: str
    stream_id: str
    """Tracks with one stream id are played together."""
    track_id: str

    def __post_init__(self) -> None:
        for setting in ("cname", "stream_id", "track_id"):
            text = getattr(self, setting)
            if not text or not text.isprintable() or " " in text:
                raise ConfigurationError(setting, text, "printable characters without space, at least one")

    def declare(self, section: MediaDescription) -> None:
        """Say it by msid (RFC 8830) and by SSRC (RFC 5576), so that no receiver has to guess."""
        section.msids = [f"{self.stream_id} {self.track_id}"]
        section.ssrcs[self.ssrc] = {"cname": self.cname, "msid": section.msids[0]}
        if self.rtx_ssrc and any(codec.is_rtx for codec in section.codecs):
            section.ssrcs[self.rtx_ssrc] = {"cname": self.cname, "msid": section.msids[0]}
            section.ssrc_groups = [SsrcGroup("FID", (self.ssrc, self.rtx_ssrc))]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTransport:
    """What our description says of ICE and DTLS, and of itself."""

    ufrag: str
    password: str
    fingerprint: str
    """Hash function and hexadecimal pairs."""
    candidates: Sequence[Candidate]
    """Best first. All that there will be, unless ``trickles``."""
    is_lite: bool = True
    trickles: bool = False
    setup: Setup | None = None
    """The DTLS role that an answer takes; None follows the offer. A role once taken stays for the association: say it
    where the offer of a later negotiation leaves it open again (RFC 8842 section 5.5)."""
    session_id: int = 1
    """The same in every description of a peer connection (RFC 9429 section 5.2.1)."""
    version: int = 1
    """One more in each."""

    def describe(self) -> SessionDescription:
        """A description without sections."""
        origin = f"- {self.session_id} {self.version} IN IP4 127.0.0.1"
        return SessionDescription(origin, is_lite=self.is_lite)

    def attributes(self, setup: Setup) -> TransportAttributes:
        """Of a section."""
        options = "trickle" if self.trickles else None
        return TransportAttributes(self.ufrag, self.password, options, [self.fingerprint], setup)

    def place(self, section: MediaDescription, *, with_candidates: bool) -> None:
        """Write where the transport is: the default destination (RFC 8839 section 4.2.1.2), and the candidates."""
        section.port = DISCARD_PORT
        for candidate in self.candidates:
            if candidate.transport.lower() == "udp" and _is_address(candidate.host):
                section.port = candidate.port
                section.connection = f"IN IP{6 if ':' in candidate.host else 4} {candidate.host}"
                break
        if with_candidates:
            section.candidates = list(self.candidates)
            section.end_of_candidates = not self.trickles


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True

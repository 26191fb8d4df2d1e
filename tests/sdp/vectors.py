"""The descriptions of tests/vectors/sdp."""

from pathlib import Path

from visiomedia.sdp import Candidate, LocalTransport, OutgoingStream, SectionPlan, SessionDescription

FOLDER = Path(__file__).parent.parent / "vectors" / "sdp"
NAMES = sorted(path.stem for path in FOLDER.glob("*.sdp"))
OFFERS = [name for name in NAMES if not name.endswith("_answer")]

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
TRANSPORT_WIDE_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
DEPENDENCY_DESCRIPTOR = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"


def read(name: str) -> str:
    """The text of a vector, its line ends as they are."""
    return (FOLDER / f"{name}.sdp").read_bytes().decode()


def parse(name: str) -> SessionDescription:
    """A vector as a model."""
    return SessionDescription.parse(read(name))


HOST = Candidate.parse("1 1 udp 2130706431 192.0.2.1 7882 typ host")
HOST_IPV6 = Candidate.parse("2 1 udp 2130706175 2001:db8::1 7882 typ host")

LOCAL = LocalTransport(
    ufrag="Zm9vYmFy",
    password="cGFzc3dvcmQgb2YgMTQ0IGJpdHM",
    fingerprint="sha-256 " + ":".join(["AB"] * 32),
    candidates=[HOST, HOST_IPV6],
    session_id=4711,
    version=3,
)

STREAM = OutgoingStream(ssrc=111, rtx_ssrc=222, cname="theirs", stream_id="stream", track_id="track")


def plan_everything(offer: SessionDescription, plan: SectionPlan | None = None) -> dict[str, SectionPlan]:
    """One plan for every section of an offer."""
    return {section.mid: plan or SectionPlan() for section in offer.media}


def minimal(*attributes: str, media: str = "video 9 UDP/TLS/RTP/SAVPF 96", session: tuple[str, ...] = ()) -> str:
    """A description of one VP8 section with further attributes."""
    head = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", *session, f"m={media}", "c=IN IP4 0.0.0.0"]
    common = ["a=mid:0", "a=rtcp-mux", "a=rtpmap:96 VP8/90000"]
    return "\r\n".join([*head, *common, *attributes]) + "\r\n"

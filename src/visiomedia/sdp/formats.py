"""When two formats are the same, and which of an offer's to use: the SDP rules of each codec's payload format.

RFC 6184 section 8.2.2 (H.264), RFC 9628 section 6 (VP9), the AV1 payload specification section 7.2, RFC 4588 section 8
(RTX).
"""

from collections.abc import Iterable, Sequence

from visiomedia.sdp.attributes import Codec

_CARRIED_BY = {
    "constrained baseline": {"baseline", "main", "extended", "high"},
    "main": {"high"},
    "constrained high": {"high"},
}


def is_same_format(one: Codec, other: Codec) -> bool:
    """Whether two formats can carry the same streams, their payload types apart."""
    if not _is_alike(one, other):
        return False
    match one.name.upper():
        case "H264":
            return _packetization_mode(one) == _packetization_mode(other) and h264_profile(one) == h264_profile(other)
        case "VP9":
            return one.parameters.get("profile-id", "0") == other.parameters.get("profile-id", "0")
        case "AV1":
            return one.parameters.get("profile", "0") == other.parameters.get("profile", "0")
    return True


def can_carry(stream: Codec, receiver: Codec) -> bool:
    """Whether a receiver of one format understands a stream of another: the same, or a wider profile of it."""
    if is_same_format(stream, receiver):
        return True
    if not _is_alike(stream, receiver) or stream.name.upper() != "H264":
        return False
    # A stream of single NAL units is one that happens to use no aggregation and no fragments.
    modes = _packetization_mode(stream), _packetization_mode(receiver)
    ours, theirs = h264_profile(stream), h264_profile(receiver)
    return modes in (("0", "0"), ("0", "1"), ("1", "1")) and (ours == theirs or theirs in _CARRIED_BY.get(ours, set()))


def _is_alike(one: Codec, other: Codec) -> bool:
    return (
        one.name != ""
        and one.name.lower() == other.name.lower()
        and one.clock_rate == other.clock_rate
        and one.channels == other.channels
    )


def _packetization_mode(codec: Codec) -> str:
    return codec.parameters.get("packetization-mode", "0")


def h264_profile(codec: Codec) -> str:
    """The profile of profile-level-id (RFC 6184 table 5), its level apart; "unknown" where it is malformed."""
    # RFC 6184 section 8.1: "If no profile-level-id is present, the Baseline profile, without additional constraints
    # at Level 1, MUST be inferred."
    value = codec.parameters.get("profile-level-id", "42000a")
    try:
        profile, constraints, _ = bytes.fromhex(value) if value.isascii() and len(value) == 6 else b""
    except ValueError:
        return "unknown"
    set_1, set_0 = constraints & 0x40, constraints & 0x80
    match profile:
        case 0x42:
            return "constrained baseline" if set_1 else "baseline"
        case 0x4D:
            return "constrained baseline" if set_0 else "main"
        case 0x58 if set_1:
            return "constrained baseline" if set_0 else "baseline"
        case 0x58:
            return "extended"
        case 0x64:
            return "constrained high" if constraints & 0x0C == 0x0C else "high"
    return f"{profile:02x}{constraints:02x}"


def is_usable_payload_type(payload_type: int) -> bool:
    """Whether RTP of it can share a port with RTCP.

    RFC 5761 section 4: payload types 64 to 95 with the marker bit look like RTCP packet types 192 to 223.
    """
    return 0 <= payload_type <= 127 and not 64 <= payload_type <= 95


def repair_format(codecs: Iterable[Codec], media: Codec) -> Codec | None:
    """The RTX format that repairs a format (RFC 4588 section 8.1)."""
    for codec in codecs:
        if (
            codec.apt == media.payload_type
            and codec.clock_rate == media.clock_rate
            and is_usable_payload_type(codec.payload_type)
        ):
            return codec
    return None


def common_formats(offered: Sequence[Codec], own: Sequence[Codec], *, prefers_own_order: bool = False) -> list[Codec]:
    """The offered media formats that are among our own, best first.

    Which codec comes first is the offerer's choice unless ``prefers_own_order``; among several profiles of one codec
    ours decides, so that a track gets the profile that most receivers know.
    """
    ranks: list[tuple[int, int, int, Codec]] = []
    first_by_name: dict[str, int] = {}
    for position, codec in enumerate(offered):
        if codec.is_rtx or not is_usable_payload_type(codec.payload_type):
            continue
        rank = next((rank for rank, mine in enumerate(own) if is_same_format(mine, codec)), None)
        if rank is not None:
            by_name = 0 if prefers_own_order else first_by_name.setdefault(codec.name.lower(), position)
            ranks.append((by_name, rank, position, codec))
    return [codec for *_, codec in sorted(ranks, key=lambda entry: entry[:3])]


def answered_parameters(offered: Codec) -> dict[str, str]:
    """The fmtp that an answer repeats of an offered format.

    Left out is what the offerer says of its own stream (``sprop-``) and of the limits of its own receiver (``max-fs``,
    ``maxplaybackrate`` and the like): said by us it would bind what it sends.
    """
    return {
        key: value
        for key, value in offered.parameters.items()
        if not key.startswith(("sprop-", "max-")) and key != "maxplaybackrate"
    }

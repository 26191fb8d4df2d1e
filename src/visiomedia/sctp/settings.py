"""What may be set of an association, and what is best left alone."""

from dataclasses import dataclass

from visiomedia.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class SctpSettings:
    """Limits and timers of one association."""

    maximum_packet: int = 1132
    """Bytes of a packet: what the worst cipher that our DTLS offers (AES128-SHA: header 13, IV 16, HMAC 20, and padding
    to blocks of 16) leaves of a datagram of 1200 bytes, 1135, in whole words."""

    maximum_message: int = 262_144
    """Bytes of a message, either way. A larger one that comes in ends the association."""

    send_buffer_bytes: int = 2 * 1024 * 1024
    """What may be queued and unacknowledged, each message with 64 bytes of overhead."""

    receive_window_bytes: int = 1024 * 1024
    """What may be held for reassembly, reordering and a slow reader, each chunk with 64 bytes of overhead."""

    maximum_channels: int = 1024
    """Channels at one time, of both sides together."""

    maximum_label_bytes: int = 1024
    """Bytes of label and protocol, each, in a channel that the peer opens."""

    rto_initial: float = 0.5
    rto_minimum: float = 0.4
    """Seconds. Departs from RFC 9260 section 16, which has 1 for both: because what is sent here is wanted soon. It
    lies above the delay of the peer's acknowledgements (0.2), as libwebrtc's does."""

    rto_maximum: float = 10.0
    """Seconds. Departs from RFC 9260 section 16, which has 60: because ICE's consent has ended a dead path by then,
    and one that lives again should not wait for a minute."""

    maximum_retransmissions: int = 10
    """Association.Max.Retrans."""

    maximum_init_retransmissions: int = 8
    """Max.Init.Retransmits."""

    heartbeat_interval: float = 30.0
    """HB.interval: seconds of silence before a heartbeat."""

    acknowledgement_delay: float = 0.2
    """Seconds until a packet that came alone is acknowledged (RFC 9260 section 6.2)."""

    cookie_lifetime: float = 60.0
    """Valid.Cookie.Life in seconds."""

    zero_checksum: bool = True
    """Offer to go without CRC32c, which DTLS makes superfluous (RFC 9653)."""

    def __post_init__(self) -> None:
        if not 512 <= self.maximum_packet <= 16_384 or self.maximum_packet % 4:
            raise ConfigurationError("maximum_packet", self.maximum_packet, "512 to 16384 bytes in whole words")
        if not 1024 <= self.maximum_message <= 1 << 30:
            raise ConfigurationError("maximum_message", self.maximum_message, "1 KiB to 1 GiB")
        for name in ("send_buffer_bytes", "receive_window_bytes"):
            # RFC 9260 section 3.3.2 asks for a window of 1500; one that cannot hold a message would never open again.
            if getattr(self, name) < 2 * self.maximum_message:
                raise ConfigurationError(name, getattr(self, name), "room for two of the largest messages")
        if not 0 < self.maximum_channels <= 65_535:
            raise ConfigurationError("maximum_channels", self.maximum_channels, "1 to 65535")
        if not 0 < self.rto_minimum <= self.rto_initial <= self.rto_maximum:
            raise ConfigurationError("rto_initial", self.rto_initial, "a time between rto_minimum and rto_maximum")
        if not 0 < self.acknowledgement_delay <= 0.5:
            # RFC 9260 section 6.2: "An implementation MUST NOT allow the maximum delay ... to be configured to be
            # more than 500 ms."
            raise ConfigurationError("acknowledgement_delay", self.acknowledgement_delay, "at most 0.5 s")

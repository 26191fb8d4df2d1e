"""Transports of peers."""

from visiomedia.transport.webrtc import DtlsIdentity, TransportState, WebRtcSettings, WebRtcTransport

__all__ = ["DtlsIdentity", "TransportState", "WebRtcSettings", "WebRtcTransport"]

"""Session descriptions and their negotiation."""

from visiomedia.sdp.attributes import Candidate, Codec, Direction, HeaderExtension, Rid, Setup, Simulcast, SsrcGroup
from visiomedia.sdp.capabilities import SERVER_CAPABILITIES, Capabilities, is_same_format
from visiomedia.sdp.description import MediaDescription, SessionDescription, TransportAttributes
from visiomedia.sdp.negotiation import (
    LocalTransport,
    NegotiatedSection,
    OfferedSection,
    OutgoingStream,
    SectionPlan,
    choose_format,
    create_answer,
    create_offer,
    negotiated,
)

__all__ = [
    "SERVER_CAPABILITIES",
    "Candidate",
    "Capabilities",
    "Codec",
    "Direction",
    "HeaderExtension",
    "LocalTransport",
    "MediaDescription",
    "NegotiatedSection",
    "OfferedSection",
    "OutgoingStream",
    "Rid",
    "SectionPlan",
    "SessionDescription",
    "Setup",
    "Simulcast",
    "SsrcGroup",
    "TransportAttributes",
    "choose_format",
    "create_answer",
    "create_offer",
    "is_same_format",
    "negotiated",
]

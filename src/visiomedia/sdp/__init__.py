"""Session descriptions (RFC 8866) and their negotiation (RFC 9429).

``SessionDescription.parse`` reads an offer, ``create_answer`` answers it, ``negotiated`` says what the two settle;
``create_offer`` and ``check_answer`` are the other way round.
"""

from visiomedia.sdp.answer import SectionPlan, answered_setup, choose_format, create_answer
from visiomedia.sdp.attributes import (
    Candidate,
    Codec,
    Direction,
    HeaderExtension,
    Rid,
    Setup,
    Simulcast,
    SsrcGroup,
)
from visiomedia.sdp.capabilities import SERVER_CAPABILITIES, Capabilities, MediaCapabilities
from visiomedia.sdp.description import MediaDescription, SessionDescription, TransportAttributes
from visiomedia.sdp.formats import can_carry, is_same_format
from visiomedia.sdp.local import LocalTransport, OutgoingStream
from visiomedia.sdp.negotiation import NegotiatedSection, negotiated, offered_setup
from visiomedia.sdp.offer import OfferedSection, check_answer, create_offer

__all__ = [
    "SERVER_CAPABILITIES",
    "Candidate",
    "Capabilities",
    "Codec",
    "Direction",
    "HeaderExtension",
    "LocalTransport",
    "MediaCapabilities",
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
    "answered_setup",
    "can_carry",
    "check_answer",
    "choose_format",
    "create_answer",
    "create_offer",
    "is_same_format",
    "negotiated",
    "offered_setup",
]

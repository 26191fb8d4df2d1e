"""The states of an association and how one leads to another (RFC 9260 section 4)."""

from enum import Enum


class AssociationState(Enum):
    """Where an association stands. CLOSED is both the beginning and the end."""

    CLOSED = "closed"
    COOKIE_WAIT = "cookie-wait"
    COOKIE_ECHOED = "cookie-echoed"
    ESTABLISHED = "established"
    SHUTDOWN_PENDING = "shutdown-pending"
    SHUTDOWN_SENT = "shutdown-sent"
    SHUTDOWN_RECEIVED = "shutdown-received"
    SHUTDOWN_ACK_SENT = "shutdown-ack-sent"


S = AssociationState

TRANSITIONS = {
    S.CLOSED: {S.COOKIE_WAIT, S.ESTABLISHED, S.CLOSED},
    S.COOKIE_WAIT: {S.COOKIE_ECHOED, S.ESTABLISHED, S.CLOSED},
    S.COOKIE_ECHOED: {S.COOKIE_WAIT, S.ESTABLISHED, S.CLOSED},
    S.ESTABLISHED: {S.SHUTDOWN_PENDING, S.SHUTDOWN_RECEIVED, S.CLOSED},
    S.SHUTDOWN_PENDING: {S.SHUTDOWN_SENT, S.SHUTDOWN_RECEIVED, S.CLOSED},
    S.SHUTDOWN_SENT: {S.SHUTDOWN_ACK_SENT, S.CLOSED},
    S.SHUTDOWN_RECEIVED: {S.SHUTDOWN_ACK_SENT, S.CLOSED},
    S.SHUTDOWN_ACK_SENT: {S.CLOSED},
}

TAKES_MESSAGES = frozenset({S.CLOSED, S.COOKIE_WAIT, S.COOKIE_ECHOED, S.ESTABLISHED})
"""In these the owner may open channels and send messages; before it is established they wait."""

SENDS_DATA = frozenset({S.ESTABLISHED, S.SHUTDOWN_PENDING, S.SHUTDOWN_RECEIVED})
"""Section 6: in these a side may send what was queued before."""

TAKES_DATA = frozenset({S.ESTABLISHED, S.SHUTDOWN_PENDING, S.SHUTDOWN_SENT})
"""Section 6: "DATA chunks MUST only be received ... in the ESTABLISHED, SHUTDOWN-PENDING, and SHUTDOWN-SENT states"."""

IS_SET_UP = frozenset(S) - {S.CLOSED, S.COOKIE_WAIT, S.COOKIE_ECHOED}

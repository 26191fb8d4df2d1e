"""ICE-lite: STUN messages, candidates, credentials, the agent, and the directory that finds it by ufrag."""

from visiomedia.ice.agent import (
    CandidatePairForgotten,
    CandidatePairNominated,
    CandidatePairValidated,
    ConsentExpired,
    CredentialsWithdrawn,
    IceEvent,
    LiteAgent,
    LiteAgentCounters,
    LiteAgentSettings,
    Restarted,
    Role,
)
from visiomedia.ice.candidate import (
    Candidate,
    CandidateType,
    candidate_foundation,
    candidate_priority,
    host_candidate,
)
from visiomedia.ice.credentials import Credentials
from visiomedia.ice.directory import UfragDirectory, username_of
from visiomedia.ice.stun import (
    AttributeType,
    ErrorCode,
    ErrorReason,
    Message,
    MessageClass,
    Method,
    TransportAddress,
)

__all__ = [
    "AttributeType",
    "Candidate",
    "CandidatePairForgotten",
    "CandidatePairNominated",
    "CandidatePairValidated",
    "CandidateType",
    "ConsentExpired",
    "Credentials",
    "CredentialsWithdrawn",
    "ErrorCode",
    "ErrorReason",
    "IceEvent",
    "LiteAgent",
    "LiteAgentCounters",
    "LiteAgentSettings",
    "Message",
    "MessageClass",
    "Method",
    "Restarted",
    "Role",
    "TransportAddress",
    "UfragDirectory",
    "candidate_foundation",
    "candidate_priority",
    "host_candidate",
    "username_of",
]

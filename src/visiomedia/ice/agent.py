"""An ICE-lite agent as an engine: RFC 8445 sections 2.5 and 7.3, restarts of section 9, consent of RFC 7675.

It answers checks and sends none. Each authenticated check proves the pair it came over; the latest check with
USE-CANDIDATE nominates. The owner sends media to ``selected`` and looks the agent up by its ``local_ufrags``.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from visiomedia.engine import Address, Datagram
from visiomedia.errors import ConfigurationError, InvalidStateError, ParseError
from visiomedia.ice.credentials import Credentials
from visiomedia.ice.stun import ErrorCode, ErrorReason, Message, MessageClass, Method, TransportAddress

_REASONS: Final = {
    ErrorCode.BAD_REQUEST: "Bad Request",
    ErrorCode.UNKNOWN_ATTRIBUTE: "Unknown Attribute",
    ErrorCode.ROLE_CONFLICT: "Role Conflict",
}


class Role(Enum):
    """Who nominates (RFC 8445 section 6.1.1)."""

    CONTROLLED = "controlled"
    CONTROLLING = "controlling"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiteAgentSettings:
    """What an owner may tune; checked when built.

    Raises:
        ConfigurationError: a value that cannot work.
    """

    consent_timeout: float = 30.0
    """Seconds a pair stays usable after its last authenticated request (RFC 7675 section 5.1)."""

    remembered_pairs: int = 16
    """Pairs kept at once; the one unheard for longest goes first, the selected one never."""

    def __post_init__(self) -> None:
        if not 0 < self.consent_timeout < float("inf"):
            raise ConfigurationError("consent_timeout", self.consent_timeout, "seconds above 0")
        if self.remembered_pairs < 2:
            raise ConfigurationError("remembered_pairs", self.remembered_pairs, "at least 2")


@dataclass(slots=True)
class CandidatePairValidated:
    """An authenticated check came from this address; ``priority`` is that of its peer-reflexive candidate."""

    address: Address
    priority: int


@dataclass(slots=True)
class CandidatePairNominated:
    """Media goes to this address from now on.

    Checks from there with this username, made with this password, change nothing any more, until the next event of the
    pair: whoever answers them in the agent's place tells ``hear`` when they came. Both are empty where the agent has to
    see each one.
    """

    address: Address
    username: str = field(default="", compare=False)
    password: str = field(default="", compare=False, repr=False)


@dataclass(slots=True)
class CandidatePairForgotten:
    """This address counts no longer: silent past its consent, pushed out by newer ones, or of an old session.

    When it was the selected one, nothing may be sent until another is nominated.
    """

    address: Address


@dataclass(slots=True)
class Restarted:
    """The first pair under the credentials of a restart was nominated; ``ufrag`` is our new one."""

    ufrag: str


@dataclass(slots=True)
class CredentialsWithdrawn:
    """Requests for this ufrag of ours are not answered any more; it may leave the directory."""

    ufrag: str


@dataclass(slots=True)
class ConsentExpired:
    """No pair was heard within the consent timeout: sending must stop; only a restart revives the agent."""


IceEvent = (
    CandidatePairValidated
    | CandidatePairNominated
    | CandidatePairForgotten
    | Restarted
    | CredentialsWithdrawn
    | ConsentExpired
)


@dataclass(slots=True)
class LiteAgentCounters:
    """How many datagrams were answered with success or an error, and why the others were dropped."""

    answered: int = 0
    bad_request: int = 0
    unknown_attribute: int = 0
    role_conflict: int = 0
    malformed: int = 0
    unsupported_method: int = 0
    indication: int = 0
    unexpected_response: int = 0
    unauthenticated: int = 0
    unknown_username: int = 0
    bad_integrity: int = 0


@dataclass(slots=True)
class _Pair:
    address: Address
    priority: int
    peer_ufrag: str
    heard: float
    nomination: int = 0


@dataclass(slots=True)
class _Generation:
    """The sessions of one pair of credentials: what a restart replaces."""

    local: Credentials
    password: bytes
    remote: Credentials | None
    pairs: dict[Address, _Pair] = field(default_factory=dict)


class LiteAgent:
    """An ICE-lite agent for one bundled, rtcp-muxed component. An ``Engine`` whose events are ``IceEvent``.

    Until the peer's credentials are known its checks are answered, and what they prove is reported by the
    ``set_remote`` that confirms the sender's ufrag (RFC 8445 section 7.3).

    ``peer_is_lite`` and ``role`` go together: a lite agent is controlled unless its peer is lite too.
    """

    def __init__(
        self,
        local: Credentials,
        remote: Credentials | None = None,
        *,
        role: Role = Role.CONTROLLED,
        peer_is_lite: bool = False,
        settings: LiteAgentSettings | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        if role is Role.CONTROLLING and not peer_is_lite:
            # RFC 8445 section 6.1.1: with a full peer "the full agent MUST take the controlling role"
            raise ConfigurationError("role", role, "controlled, as the peer is not lite")
        self.settings = settings or LiteAgentSettings()
        self.counters = LiteAgentCounters()
        self._role = role
        self._peer_is_lite = peer_is_lite
        self._tie_breaker = int.from_bytes(entropy(8), "big")
        # Oldest first: one, two while a restart has nominated nothing yet, none once consent has expired.
        self._generations = [_Generation(local, local.password.encode(), remote)]
        self._selected: _Pair | None = None
        self._restarted_at: float | None = None
        self._deadline: float | None = None
        self._nominations = 0
        self._outgoing: list[Datagram] = []
        self._events: list[IceEvent] = []

    @property
    def selected(self) -> Address | None:
        """Where media goes: the latest nominated address that still has consent."""
        return self._selected.address if self._selected else None

    @property
    def role(self) -> Role:
        """Our present role."""
        return self._role

    @property
    def local_ufrags(self) -> tuple[str, ...]:
        """Our ufrags that are answered now, oldest first; two while a restart is under way."""
        return tuple(generation.local.ufrag for generation in self._generations)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The remembered addresses whose checks are proven to be the peer's."""
        proven: dict[Address, None] = {}
        for generation in self._generations:
            if generation.remote is not None:
                proven.update(dict.fromkeys(generation.pairs))
        return tuple(proven)

    def set_remote(self, remote: Credentials) -> None:
        """Tell the peer's credentials; reports what its checks have proven. Repeating them changes nothing.

        Raises:
            InvalidStateError: others are known already, or consent has expired: that needs ``restart``.
        """
        if not self._generations:
            raise InvalidStateError("consent has expired: restart first")
        generation = self._generations[-1]
        if generation.remote is not None:
            if generation.remote != remote:
                raise InvalidStateError("the peer's credentials changed: restart first")
            return
        for pair in list(generation.pairs.values()):
            if pair.peer_ufrag != remote.ufrag:
                del generation.pairs[pair.address]
        newcomers = [pair for pair in generation.pairs.values() if not self._is_proven(pair.address)]
        generation.remote = remote
        for pair in newcomers:
            self._events.append(CandidatePairValidated(pair.address, pair.priority))
        nominated = max(generation.pairs.values(), key=lambda pair: pair.nomination, default=None)
        if nominated is not None and nominated.nomination:
            self._select(generation, nominated)

    def restart(self, local: Credentials, remote: Credentials | None, now: float) -> None:
        """Begin an ICE restart with new credentials, ours and, if known, the peer's (RFC 8445 section 9).

        The old ones stay valid, and media stays where it is, until the first nomination under the new ones. A
        restart that nothing was nominated under is replaced.

        Raises:
            InvalidStateError: the ufrag is in use.
        """
        if local.ufrag in self.local_ufrags:
            # RFC 8445 section 9: a restart changes both the ufrag and the password.
            raise InvalidStateError("a restart needs a new ufrag")
        if len(self._generations) == 2:
            self._withdraw(self._generations[-1])
        self._generations.append(_Generation(local, local.password.encode(), remote))
        self._restarted_at = now
        if self._deadline is None:
            self._deadline = now + self.settings.consent_timeout

    def receive_datagram(self, data: bytes, address: Address, now: float) -> None:
        """Take in one STUN message: answer an authenticated Binding request, count and drop any other."""
        counters = self.counters
        try:
            request = Message.parse(data)
        except ParseError:
            counters.malformed += 1
            return
        if request.method != Method.BINDING:
            counters.unsupported_method += 1
            return
        if request.message_class != MessageClass.REQUEST:
            if request.message_class == MessageClass.INDICATION:
                counters.indication += 1
            else:
                counters.unexpected_response += 1
            return
        # Departs from RFC 8489 section 9.1.3: because source addresses can be forged, no 400 or 401 goes to
        # whoever does not know our password. A true peer learns nothing from it, and repeats its checks.
        if request.username is None or not request.has_integrity:
            counters.unauthenticated += 1
            return
        local_ufrag, _, peer_ufrag = request.username.partition(":")
        generation = self._generation_of(local_ufrag, peer_ufrag)
        if generation is None:
            counters.unknown_username += 1
            return
        if not request.is_authentic(generation.password):
            counters.bad_integrity += 1
            return
        self._receive_request(request, peer_ufrag, generation, address, now)

    def _generation_of(self, local_ufrag: str, peer_ufrag: str) -> _Generation | None:
        for generation in self._generations:
            if generation.local.ufrag == local_ufrag:
                remote = generation.remote
                return generation if remote is None or remote.ufrag == peer_ufrag else None
        return None

    def _receive_request(
        self, request: Message, peer_ufrag: str, generation: _Generation, address: Address, now: float
    ) -> None:
        counters = self.counters
        if request.unknown_required:
            counters.unknown_attribute += 1
            self._reply_error(request, generation, address, ErrorCode.UNKNOWN_ATTRIBUTE)
            return
        if self._is_role_conflict(request):
            counters.role_conflict += 1
            self._reply_error(request, generation, address, ErrorCode.ROLE_CONFLICT)
            return
        pair = generation.pairs.get(address)
        if pair is None:
            if request.priority is None:
                # RFC 8445 section 7.1.1: a check includes PRIORITY. One over a known pair may do without.
                counters.bad_request += 1
                self._reply_error(request, generation, address, ErrorCode.BAD_REQUEST)
                return
            pair = self._remember(generation, _Pair(address, request.priority, peer_ufrag, now))
        else:
            pair.heard = now
            pair.peer_ufrag = peer_ufrag
        counters.answered += 1
        answer = Message(
            message_class=MessageClass.SUCCESS_RESPONSE,
            transaction_id=request.transaction_id,
            xor_mapped_address=TransportAddress(address.host, address.port),
        )
        self._outgoing.append(Datagram(answer.serialize(generation.password), address))
        # Only the controlling side nominates, so the flag means nothing to us while that is our role.
        if request.use_candidate and self._role is Role.CONTROLLED:
            self._nominations += 1
            pair.nomination = self._nominations
            if generation.remote is not None:
                self._select(generation, pair)

    def _reply_error(self, request: Message, generation: _Generation, address: Address, code: ErrorCode) -> None:
        unknown = request.unknown_required if code is ErrorCode.UNKNOWN_ATTRIBUTE else None
        answer = Message(
            message_class=MessageClass.ERROR_RESPONSE,
            transaction_id=request.transaction_id,
            error=ErrorReason(code, _REASONS[code]),
            unknown_attributes=unknown,
        )
        self._outgoing.append(Datagram(answer.serialize(generation.password), address))

    def _is_role_conflict(self, request: Message) -> bool:
        """Whether the peer must change its role; ours changes here if due (RFC 8445 section 7.3.1.1)."""
        if self._role is Role.CONTROLLING:
            if request.ice_controlling is None:
                return False
            if self._tie_breaker >= request.ice_controlling:
                return True
            self._role = Role.CONTROLLED
            return False
        if request.ice_controlled is None:
            return False
        # A lite agent sends no checks, so cannot control a full peer: it answers as by the least tie-breaker.
        if not self._peer_is_lite or self._tie_breaker < request.ice_controlled:
            return True
        self._role = Role.CONTROLLING
        return False

    def _remember(self, generation: _Generation, pair: _Pair) -> _Pair:
        if sum(len(known.pairs) for known in self._generations) >= self.settings.remembered_pairs:
            owner, oldest = min(
                ((known, old) for known, old in self._pairs() if old is not self._selected),
                key=lambda entry: entry[1].heard,
            )
            self._forget(owner, oldest)
        is_new = not self._is_proven(pair.address)
        generation.pairs[pair.address] = pair
        if generation.remote is not None and is_new:
            self._events.append(CandidatePairValidated(pair.address, pair.priority))
        if self._deadline is None:
            self._deadline = pair.heard + self.settings.consent_timeout
        return pair

    def _pairs(self) -> Iterator[tuple[_Generation, _Pair]]:
        for generation in self._generations:
            for pair in generation.pairs.values():
                yield generation, pair

    def _is_proven(self, address: Address) -> bool:
        return any(generation.remote is not None and address in generation.pairs for generation in self._generations)

    def _forget(self, generation: _Generation, pair: _Pair) -> None:
        was_proven = self._is_proven(pair.address)
        del generation.pairs[pair.address]
        if pair is self._selected:
            self._selected = None
        if was_proven and not self._is_proven(pair.address):
            self._events.append(CandidatePairForgotten(pair.address))

    def _select(self, generation: _Generation, pair: _Pair) -> None:
        if pair is self._selected:
            return
        self._selected = pair
        remote = generation.remote
        known = "" if remote is None else f"{generation.local.ufrag}:{remote.ufrag}"
        self._events.append(CandidatePairNominated(pair.address, known, generation.local.password))
        if self._restarted_at is not None and generation is self._generations[-1]:
            self._restarted_at = None
            self._events.append(Restarted(generation.local.ufrag))
            for old in self._generations[:-1]:
                self._withdraw(old)

    def _withdraw(self, generation: _Generation) -> None:
        for pair in list(generation.pairs.values()):
            self._forget(generation, pair)
        self._generations.remove(generation)
        self._events.append(CredentialsWithdrawn(generation.local.ufrag))

    def hear(self, address: Address, when: float) -> None:
        """A check of the selected pair was answered in our place (``CandidatePairNominated``)."""
        if self._selected is not None and self._selected.address == address:
            self._selected.heard = max(self._selected.heard, when)

    def handle_timeout(self, now: float) -> None:
        """Forget pairs that were silent past their consent; when none is left, consent has expired."""
        if self._deadline is None or now < self._deadline:
            return
        timeout = self.settings.consent_timeout
        for generation, pair in list(self._pairs()):
            if pair.heard + timeout <= now:
                self._forget(generation, pair)
        heard = [pair.heard for _, pair in self._pairs()]
        if not heard and self._restarted_at is not None:
            # A restart is how a peer whose path died comes back: it has as long as the path had.
            heard.append(self._restarted_at)
        if heard and min(heard) + timeout > now:
            self._deadline = min(heard) + timeout
            return
        # RFC 7675 section 5.1: "the same ICE credentials MUST NOT be used on the affected 5-tuple again"
        for generation in list(self._generations):
            self._withdraw(generation)
        self._restarted_at = None
        self._deadline = None
        self._events.append(ConsentExpired())

    def next_timeout(self) -> float | None:
        """When a pair may have been silent for too long. Checks in between do not move it, so timers rest."""
        return self._deadline

    def datagrams_to_send(self) -> list[Datagram]:
        """The answers, oldest first; the queue is empty afterwards."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def events(self) -> list[IceEvent]:
        """What happened, oldest first; the queue is empty afterwards."""
        events, self._events = self._events, []
        return events

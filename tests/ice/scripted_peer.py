"""The other side of the tests: credentials, addresses, and the checks that a full peer would send."""

from dataclasses import dataclass, field

from visiomedia.engine import Address
from visiomedia.ice import Credentials, LiteAgent, LiteAgentSettings, Message, MessageClass

LOCAL = Credentials("ourUfrag", "ourPasswordOf22Letters")
REMOTE = Credentials("peer", "peerPasswordOf22Letter")
RENEWED_LOCAL = Credentials("nextUfrag", "ourNextPasswordOf26Letters")
RENEWED_REMOTE = Credentials("next", "peerNextPasswordOf22Le")
WIFI = Address(0, "192.0.2.1", 50000)
MOBILE = Address(0, "198.51.100.7", 61000)
TRANSACTION_ID = bytes(range(12))


def counted_entropy(count: int) -> bytes:
    """Bytes that are the same in every run."""
    return bytes(range(1, count + 1))


def agent(remote: Credentials | None = REMOTE, *, remembered_pairs: int = 16) -> LiteAgent:
    """A controlled agent with the credentials of these tests."""
    settings = LiteAgentSettings(remembered_pairs=remembered_pairs)
    return LiteAgent(LOCAL, remote, settings=settings, entropy=counted_entropy)


@dataclass(slots=True)
class ScriptedPeer:
    """Builds Binding requests; every field is what the next check says."""

    local: Credentials = field(default_factory=lambda: REMOTE)
    remote: Credentials = field(default_factory=lambda: LOCAL)
    priority: int | None = 1853693695

    def check(self, *, nominate: bool = False, controlled: int | None = None) -> bytes:
        """A check as the controlling side sends it, or with ICE-CONTROLLED when that is given."""
        return self.request(nominate=nominate, controlled=controlled).serialize(self.remote.password.encode())

    def request(self, *, nominate: bool = False, controlled: int | None = None) -> Message:
        """The check before it is signed."""
        return Message(
            message_class=MessageClass.REQUEST,
            transaction_id=TRANSACTION_ID,
            username=f"{self.remote.ufrag}:{self.local.ufrag}",
            priority=self.priority,
            use_candidate=nominate,
            ice_controlling=7 if controlled is None else None,
            ice_controlled=controlled,
        )


def answer_to(engine: LiteAgent) -> Message:
    """The one datagram that the engine wants to send, parsed."""
    (datagram,) = engine.datagrams_to_send()
    return Message.parse(datagram.data)

"""Messages between clients: DataPacket on the channels ``_reliable`` and ``_lossy``."""

from collections import Counter
from collections.abc import Callable

from google.protobuf.message import DecodeError
from livekit.protocol import models

from visiomedia.conference.participant import Participant, ParticipantKind
from visiomedia.conference.refusals import RefusedError
from visiomedia.conference.room import Room
from visiomedia.errors import CapacityError
from visiomedia.livekit.peers import DataChannel, OfferingPeer

RELIABLE = "_reliable"
LOSSY = "_lossy"

KEEPS_IDENTITY = {"stream_header", "stream_chunk", "stream_trailer", "chat_message", "transcription"}
"""Agents speak for others in these: what somebody has said, written down."""

NOT_FORWARDED = {"speaker", "metrics"}
"""What clients once told each other, or tell the server only."""


class DataExchange:
    """One participant's messages: those it sends are stamped and handed to the room, those for it are sent."""

    def __init__(
        self,
        room: Room,
        participant: Participant,
        counters: Counter[str],
        *,
        max_buffered: int,
        max_lossy_buffered: int,
        after: Callable[[], None],
    ) -> None:
        self._room = room
        self._participant = participant
        self._counters = counters
        self._limits = {RELIABLE: max_buffered, LOSSY: max_lossy_buffered}
        self._after = after
        self._outgoing: dict[str, DataChannel] = {}
        self.last_sequence = 0
        """Of the reliable messages that came."""

    def open_channels(self, peer: OfferingPeer) -> None:
        """Our own channels, by which the client receives; it may send by them as well."""
        self._take(peer.create_data_channel(RELIABLE))
        self._take(peer.create_data_channel(LOSSY, ordered=False, max_retransmits=0))

    def accept_channel(self, channel: DataChannel) -> None:
        """A channel that the client has made. It receives by it only where we have none of our own."""
        if channel.label in self._limits:
            self._take(channel)

    def _take(self, channel: DataChannel) -> None:
        label = channel.label
        self._outgoing.setdefault(label, channel)
        channel.on_message = lambda data: self.receive(label, data)

    def send(self, payload: bytes, is_reliable: bool) -> None:
        """Hand the client a message. What it cannot take now is dropped and counted."""
        label = RELIABLE if is_reliable else LOSSY
        channel = self._outgoing.get(label)
        if channel is None or not channel.is_open:
            self._counters["data_without_channel"] += 1
        elif channel.buffered_amount + len(payload) > self._limits[label]:
            self._counters["data_overflow"] += 1
        else:
            try:
                channel.send(payload)
            except CapacityError:
                # All channels of the client together have more than its association keeps.
                self._counters["data_overflow"] += 1

    def receive(self, label: str, data: bytes | str) -> None:
        """A message from the client."""
        packet = models.DataPacket()
        try:
            if isinstance(data, str):
                raise DecodeError("text is no packet")
            packet.ParseFromString(data)
        except DecodeError:
            self._counters["data_malformed"] += 1
            return
        if self._participant.is_present and self._is_news(packet, label) and self._stamp(packet, label):
            try:
                self._room.send(
                    self._participant,
                    packet.SerializeToString(),
                    is_reliable=label == RELIABLE,
                    identities=packet.destination_identities,
                    sids=packet.user.destination_sids if packet.WhichOneof("value") == "user" else (),
                )
            except RefusedError:
                self._counters["data_refused"] += 1
            self._after()

    def _is_news(self, packet: models.DataPacket, label: str) -> bool:
        """After a resume clients repeat what they are not sure of."""
        if label != RELIABLE or not packet.sequence:
            return True
        if packet.sequence <= self.last_sequence:
            self._counters["data_repeated"] += 1
            return False
        self.last_sequence = packet.sequence
        return True

    def _stamp(self, packet: models.DataPacket, label: str) -> bool:
        """Write who sent it, whatever the client wrote. Returns whether it may go on."""
        what = packet.WhichOneof("value")
        is_agent = self._participant.kind is ParticipantKind.AGENT
        if what in NOT_FORWARDED or (what == "transcription" and not is_agent):
            self._counters["data_refused"] += 1
            return False
        hidden = self._participant.grants.hidden
        sid = "" if hidden else self._participant.sid
        identity = "" if hidden else self._participant.identity
        packet.kind = models.DataPacket.RELIABLE if label == RELIABLE else models.DataPacket.LOSSY
        packet.participant_sid = sid
        if not (is_agent and what in KEEPS_IDENTITY and packet.participant_identity):
            packet.participant_identity = identity
        if what == "user":
            packet.user.participant_sid = sid
            packet.user.participant_identity = identity
            # Older clients name receivers in one place, newer ones in the other; receivers read either.
            named = packet.destination_identities or packet.user.destination_identities
            names = list(named)
            del packet.destination_identities[:]
            del packet.user.destination_identities[:]
            packet.destination_identities.extend(names)
            packet.user.destination_identities.extend(names)
        return True

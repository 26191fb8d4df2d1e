"""Messages that wait for their first chunk to leave: streams take turns, message by message (RFC 8260 section 3.2)."""

from collections import deque

from visiomedia.sctp.outgoing import OutgoingMessage


class SendQueue:
    """Round robin over streams. A message that has begun is finished first: its TSNs must be consecutive.

    ``amounts``: bytes of a stream that count as buffered and have not left; ``shrunk``: streams where that fell.
    """

    __slots__ = ("_streams", "_turns", "amounts", "shrunk")

    def __init__(self) -> None:
        self._streams: dict[int, deque[OutgoingMessage]] = {}
        self._turns: deque[int] = deque()
        self.amounts: dict[int, int] = {}
        self.shrunk: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._turns)

    def has_messages(self, stream_id: int) -> bool:
        """Whether anything waits on the stream, or is half sent."""
        return stream_id in self._streams

    def append(self, message: OutgoingMessage) -> None:
        """Last in its stream."""
        waiting = self._streams.get(message.stream_id)
        if waiting is None:
            waiting = self._streams[message.stream_id] = deque()
            self._turns.append(message.stream_id)
        waiting.append(message)
        if message.is_buffered:
            self.amounts[message.stream_id] = self.amounts.get(message.stream_id, 0) + len(message.data)

    def head(self) -> OutgoingMessage:
        """Whose turn it is."""
        return self._streams[self._turns[0]][0]

    def advance(self, length: int) -> None:
        """So many bytes of the head have left; when that was its end, the next stream has its turn."""
        message = self.head()
        message.sent += length
        self._shrink(message, length)
        if message.sent == len(message.data):
            self._leave()

    def drop_head(self) -> None:
        """The head is given up."""
        message = self.head()
        self._shrink(message, len(message.data) - message.sent)
        self._leave()

    def _leave(self) -> None:
        stream_id = self._turns.popleft()
        waiting = self._streams[stream_id]
        waiting.popleft()
        if waiting:
            self._turns.append(stream_id)
        else:
            del self._streams[stream_id]

    def drop_oldest(self, stream_id: int) -> OutgoingMessage | None:
        """Give up the oldest message of a stream of which nothing has left; returns it, if there is one."""
        waiting = self._streams.get(stream_id, ())
        index = 1 if waiting and waiting[0].sent else 0
        if index >= len(waiting):
            return None
        message = waiting[index]
        del self._streams[stream_id][index]
        self._shrink(message, len(message.data))
        if not self._streams[stream_id]:
            del self._streams[stream_id]
            self._turns.remove(stream_id)
        return message

    def _shrink(self, message: OutgoingMessage, length: int) -> None:
        if message.is_buffered:
            left = self.amounts[message.stream_id] - length
            if left:
                self.amounts[message.stream_id] = left
            else:
                del self.amounts[message.stream_id]
            self.shrunk.add(message.stream_id)

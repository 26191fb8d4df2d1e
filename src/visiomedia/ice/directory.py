"""Finding the agent of a datagram from an unknown address by its USERNAME (RFC 8445 section 7.2.2)."""

import struct
from collections import OrderedDict
from typing import Final, Generic, TypeVar

from visiomedia.errors import CapacityError, ConfigurationError, InvalidStateError
from visiomedia.ice.credentials import LONGEST
from visiomedia.ice.stun import HEADER_LENGTH, MAGIC_COOKIE, AttributeType

OwnerT = TypeVar("OwnerT")

ATTRIBUTES_EXAMINED: Final = 16
"""Attributes walked in search of USERNAME. Browsers put it first; the bound keeps garbage cheap."""

_START: Final = struct.Struct("!HHI")
_ATTRIBUTE_HEADER: Final = struct.Struct("!HH")
_BINDING_REQUEST: Final = 0x0001


def username_of(data: bytes) -> str | None:
    """The receiver's ufrag in a Binding request, or None. Nothing is verified: it says only whom to ask.

    RFC 8445 section 7.2.2: a request's USERNAME is the receiver's ufrag, a colon and the sender's.
    """
    size = len(data)
    if size < HEADER_LENGTH + 8:
        return None
    message_type, body_length, cookie = _START.unpack_from(data)
    if message_type != _BINDING_REQUEST or cookie != MAGIC_COOKIE or body_length != size - HEADER_LENGTH:
        return None
    offset = HEADER_LENGTH
    for _ in range(ATTRIBUTES_EXAMINED):
        if offset + 4 > size:
            return None
        attribute_type, value_length = _ATTRIBUTE_HEADER.unpack_from(data, offset)
        offset += 4
        if attribute_type == AttributeType.USERNAME:
            end = data.find(b":", offset, min(offset + value_length, offset + LONGEST + 1, size))
            ufrag = data[offset:end]
            return ufrag.decode("ascii") if end > offset and ufrag.isascii() else None
        offset += value_length + 3 & ~3
    return None


class UfragDirectory(Generic[OwnerT]):
    """Whom each local ufrag belongs to, and who waits for which answer. One lookup costs one bounded walk over a
    datagram and one hash."""

    __slots__ = ("_asked", "_capacity", "_owners")

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ConfigurationError("capacity", capacity, "at least 1")
        self._capacity = capacity
        self._owners: dict[str, OwnerT] = {}
        self._asked: OrderedDict[bytes, OwnerT] = OrderedDict()

    def __len__(self) -> int:
        return len(self._owners)

    def __contains__(self, ufrag: str) -> bool:
        return ufrag in self._owners

    def register(self, ufrag: str, owner: OwnerT) -> None:
        """Let datagrams for ``ufrag`` find ``owner``.

        Raises:
            InvalidStateError: the ufrag is taken; the caller generates another.
            CapacityError: the directory is full.
        """
        if ufrag in self._owners:
            raise InvalidStateError("this ufrag is registered already")
        if len(self._owners) >= self._capacity:
            raise CapacityError("ufrag directory", self._capacity)
        self._owners[ufrag] = owner

    def unregister(self, ufrag: str) -> None:
        """Forget a ufrag; harmless when it is not there."""
        self._owners.pop(ufrag, None)

    def expect_answer(self, request: bytes, owner: OwnerT) -> None:
        """Lead the answers to a Binding request of ours to who sent it; harmless for any other datagram.

        As many are remembered as ufrags may be registered, the latest.
        """
        if request[:2] == _BINDING_REQUEST.to_bytes(2, "big") and len(request) >= HEADER_LENGTH:
            self._asked[request[8:HEADER_LENGTH]] = owner
            while len(self._asked) > self._capacity:
                self._asked.popitem(last=False)

    def forget_answers(self, owner: OwnerT) -> None:
        """Whoever asked is gone."""
        for transaction in [asked for asked, waiting in self._asked.items() if waiting is owner]:
            del self._asked[transaction]

    def find(self, data: bytes) -> OwnerT | None:
        """The owner a datagram names, or None: neither a Binding request for a ufrag of ours nor an answer."""
        ufrag = username_of(data)
        if ufrag is not None:
            return self._owners.get(ufrag)
        is_answer = data[:2] in (b"\x01\x01", b"\x01\x11")
        return self._asked.get(data[8:HEADER_LENGTH]) if is_answer and self._asked else None

"""What a client says of itself when it opens its websocket."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from livekit.protocol import models

from visiomedia.errors import ParseError


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Of protocol 0 (``/rtc``): two peer connections."""

    protocol: int = 0
    """Of signalling; 0 where it says none."""
    sdk: str = ""
    version: str = ""
    auto_subscribe: bool = True
    adaptive_stream: bool = False
    client_protocol: int = 0
    capabilities: tuple[int, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    is_back: bool = False
    """It wants to go on with a session whose signalling was cut."""
    sid: str = ""
    """The participant that it was."""

    @property
    def takes_subscriber_first(self) -> bool:
        """Whether the server may be the first to offer. Clients that say no protocol are too old for it."""
        return self.protocol > 0


def parse_client(query: Mapping[str, str]) -> Client:
    """Read the query of ``/rtc``. Raises ParseError."""
    return Client(
        protocol=_number(query, "protocol"),
        sdk=query.get("sdk", "")[:64],
        version=query.get("version", "")[:64],
        auto_subscribe=_flag(query, "auto_subscribe", True),
        adaptive_stream=_flag(query, "adaptive_stream", False),
        client_protocol=_number(query, "client_protocol"),
        capabilities=_capabilities(query.get("capabilities", "")),
        attributes=_attributes(query.get("attributes", "")),
        is_back=_flag(query, "reconnect", False),
        sid=query.get("sid", ""),
    )


def _flag(query: Mapping[str, str], name: str, default: bool) -> bool:
    text = query.get(name, "")
    return text.lower() in ("1", "true") if text else default


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0


def _capabilities(text: str) -> tuple[int, ...]:
    known = models.ClientInfo.Capability.items()
    return tuple(number for name, number in known if number and name in text.split(","))


def _attributes(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        decoded = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise ParseError("attributes", "they are no base64 of JSON") from error
    if not isinstance(decoded, dict) or not all(isinstance(value, str) for value in decoded.values()):
        raise ParseError("attributes", "they are no object of strings")
    return decoded

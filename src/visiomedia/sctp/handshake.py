"""The setup's messages: INIT, the answer to it with a cookie, and what either says of its sender
(RFC 9260 sections 5.1 and 5.2)."""

import struct
from collections.abc import Callable

from visiomedia.sctp.chunks import ChunkType, CookieEcho, Init
from visiomedia.sctp.cookie import StateCookie
from visiomedia.sctp.extensions import offered_extensions, read_extensions, understood
from visiomedia.sctp.failure import AssociationFailed
from visiomedia.sctp.packet import HEADER_SIZE
from visiomedia.sctp.parameters import CauseCode, Parameter, ParameterType
from visiomedia.sctp.settings import SctpSettings

STREAMS = 65_535
"""Offered each way, as libwebrtc does; what is not used costs nothing."""

MAX_REPORTED = 256
"""Bytes of an unknown chunk or of unknown parameters that are sent back."""


class Handshake:
    """Our side of a setup: our tag, our first TSN, and the secret that cookies are signed with."""

    __slots__ = ("_secret", "_settings", "initial_tsn", "tag")

    def __init__(self, settings: SctpSettings, entropy: Callable[[int], bytes]) -> None:
        self._settings = settings
        self._secret = entropy(32)
        # RFC 9260 section 5.3.1: tag 0 is nobody's.
        self.tag = int.from_bytes(entropy(4), "big") or 1
        self.initial_tsn = int.from_bytes(entropy(4), "big")

    def init(self) -> Init:
        """What begins it."""
        return self._init(ChunkType.INIT, STREAMS)

    def _init(self, kind: ChunkType, streams: int) -> Init:
        parameters = offered_extensions(zero_checksum=self._settings.zero_checksum)
        window = self._settings.receive_window_bytes
        return Init(kind, self.tag, window, streams, STREAMS, self.initial_tsn, parameters)

    def answer(self, init: Init, now: float) -> Init:
        """The INIT ACK: all that we shall need is in its cookie, and nothing is remembered."""
        known, reported = understood(init.parameters)
        cookie = self._cookie(init, known, now)
        answer = self._init(ChunkType.INIT_ACK, cookie.outbound_streams)
        answer.parameters.append(Parameter(ParameterType.STATE_COOKIE, cookie.seal(self._secret)))
        answer.parameters += [Parameter(ParameterType.UNRECOGNIZED_PARAMETER, report) for report in _fitting(reported)]
        return answer

    def open_cookie(self, echo: CookieEcho) -> StateCookie:
        """What we gave the peer to keep; raises as ``StateCookie.open`` does."""
        return StateCookie.open(echo.cookie, self._secret)

    def read_answer(self, answer: Init, now: float) -> tuple[StateCookie, CookieEcho | None, bytes]:
        """What an INIT ACK says of the peer, the echo of its cookie if it has one, and parameters to report."""
        known, reported = understood(answer.parameters)
        cookies = [value for kind, value in known if kind == ParameterType.STATE_COOKIE]
        echo = None
        if cookies and 0 < len(cookies[0]) <= self._settings.maximum_packet - HEADER_SIZE - 4:
            echo = CookieEcho(cookies[0])
        return self._cookie(answer, known, now), echo, b"".join(_fitting(reported))

    def _cookie(self, init: Init, known: list[Parameter], now: float) -> StateCookie:
        return StateCookie(
            now,
            self.tag,
            init.initiate_tag,
            self.initial_tsn,
            init.initial_tsn,
            init.advertised_receiver_window,
            min(STREAMS, init.inbound_streams),
            min(STREAMS, init.outbound_streams),
            read_extensions(known),
        )


def missing_cookie() -> AssociationFailed:
    """Why an INIT ACK without a cookie of a size that can be echoed ends it (section 3.3.10.2)."""
    info = struct.pack("!IH", 1, ParameterType.STATE_COOKIE)
    return AssociationFailed("the peer sent no cookie", CauseCode.MISSING_MANDATORY_PARAMETER, info)


def _fitting(reported: list[Parameter]) -> list[bytes]:
    """The first of them that together stay small."""
    fitting, size = [], 0
    for parameter in reported:
        report = parameter.serialize()
        size += len(report)
        if size > MAX_REPORTED:
            break
        fitting.append(report)
    return fitting

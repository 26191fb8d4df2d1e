"""A scripted WebRTC client: real ICE checks, DTLS and SRTP, and media as the script says.

It stands where a browser would, at a hundredth of its cost, so that fifty of them fit into one process and hostile
ones can be written. It offers, takes the answer of a server that is ICE-lite and DTLS-passive, and then sends and
receives RTP and RTCP in the clear: sealing happens in here.
"""

import asyncio
import contextlib
import os
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from visiomedia.engine import Address
from visiomedia.errors import AuthenticationError, InvalidStateError, ParseError
from visiomedia.ice.credentials import Credentials
from visiomedia.ice.stun import Message, MessageClass, TransportAddress
from visiomedia.srtp.certificate import Certificate, Fingerprint
from visiomedia.srtp.dtls import (
    ApplicationDataReceived,
    DtlsContext,
    DtlsEndpoint,
    DtlsRole,
    HandshakeCompleted,
    HandshakeFailed,
)
from visiomedia.srtp.profiles import PREFERENCE, ProtectionProfile
from visiomedia.srtp.session import SrtpSession

CHECK_INTERVAL = 0.05
CONSENT_INTERVAL = 2.0

EXTENSIONS = {
    1: "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    3: "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    4: "urn:ietf:params:rtp-hdrext:sdes:mid",
    10: "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    11: "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
}


@dataclass(frozen=True, kw_only=True)
class OfferedSection:
    """One m-section of a script's offer."""

    kind: str
    direction: str
    codecs: tuple[tuple[int, str, str], ...]
    """(payload type, rtpmap, fmtp)."""
    rids: tuple[str, ...] = ()
    ssrc: int | None = None
    """What it will send as, told where a server asks for it."""
    msid: str = ""


def audio_section(direction: str, *, ssrc: int | None = None, msid: str = "") -> OfferedSection:
    """Opus as 111."""
    return OfferedSection(
        kind="audio",
        direction=direction,
        codecs=((111, "opus/48000/2", "minptime=10;useinbandfec=1"),),
        ssrc=ssrc,
        msid=msid,
    )


def video_section(
    direction: str, rids: tuple[str, ...] = (), codec: str = "VP8", *, ssrc: int | None = None, msid: str = ""
) -> OfferedSection:
    """One video codec as 96, repaired by 97."""
    return OfferedSection(
        kind="video",
        direction=direction,
        codecs=((96, f"{codec}/90000", ""), (97, "rtx/90000", "apt=96")),
        rids=rids,
        ssrc=ssrc,
        msid=msid,
    )


def data_section() -> OfferedSection:
    """Data channels."""
    return OfferedSection(kind="application", direction="sendrecv", codecs=())


@dataclass
class ClientCounters:
    """What one client saw."""

    packets: int = 0
    bytes: int = 0
    rtcp: int = 0
    refused: int = 0
    sent: int = 0


@dataclass(slots=True)
class Answer:
    """What a script needs of the server's answer."""

    ufrag: str
    password: str
    fingerprint: Fingerprint
    host: str
    port: int
    is_lite: bool = False
    """Whether the server leaves nominating to us, whoever offered (RFC 8445 section 6.1.1)."""
    ssrcs: dict[str, list[int]] = field(default_factory=dict)
    """What the server will send, by mid: media first, then its repair stream."""

    @classmethod
    def parse(cls, sdp: str) -> "Answer":
        """Take an answer apart with nothing of ours, so that a fault of our own SDP shows."""

        def first(pattern: str) -> str:
            found = re.search(pattern, sdp, re.MULTILINE)
            if found is None:
                raise ValueError(f"the answer has no {pattern}:\n{sdp}")
            return found.group(1).strip()

        candidate = first(r"^a=candidate:(.*)").split()
        answer = cls(
            first(r"^a=ice-ufrag:(.*)"),
            first(r"^a=ice-pwd:(.*)"),
            Fingerprint.parse(first(r"^a=fingerprint:(.*)")),
            candidate[4],
            int(candidate[5]),
            re.search("(?m)^a=ice-lite", sdp) is not None,
        )
        for section in re.split(r"(?m)^(?=m=)", sdp)[1:]:
            mid = re.search(r"(?m)^a=mid:(\S+)", section)
            ssrcs = dict.fromkeys(int(number) for number in re.findall(r"(?m)^a=ssrc:(\d+) ", section))
            if mid is not None:
                answer.ssrcs[mid.group(1)] = list(ssrcs)
        return answer


class ScriptedClient(asyncio.DatagramProtocol):
    """One client on one UDP socket. ``offer`` it, ``accept`` the answer, wait for ``connected``."""

    certificate: Certificate | None = None

    def __init__(
        self,
        sections: list[OfferedSection],
        *,
        on_rtp: Callable[[bytes], None] | None = None,
        on_rtcp: Callable[[bytes], None] | None = None,
        on_application_data: Callable[[bytes], None] | None = None,
        opens_one_in: int = 1,
        profiles: tuple[ProtectionProfile, ...] = PREFERENCE,
    ) -> None:
        if ScriptedClient.certificate is None:
            ScriptedClient.certificate = Certificate.generate()
        self.sections = sections
        self.local = Credentials.generate()
        self.counters = ClientCounters()
        self.connected: asyncio.Future[HandshakeCompleted] = asyncio.get_running_loop().create_future()
        self.answer: Answer | None = None
        self._context = DtlsContext(DtlsRole.CLIENT, ScriptedClient.certificate, profiles=profiles)
        self._dtls: DtlsEndpoint | None = None
        self._session: SrtpSession | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._detached: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._nominated = False
        self._unanswered: list[bytes] = []
        self._has_offered = False
        self._is_controlling = True
        self._on_rtp, self._on_rtcp, self._opens_one_in = on_rtp, on_rtcp, opens_one_in
        self._on_application_data = on_application_data
        self._stands_still = False

    async def open(self, host: str = "127.0.0.1") -> None:
        """Bind the socket; ``0.0.0.0`` where the server is elsewhere than on loopback."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, 0))
        self._transport = transport
        underlying = transport.get_extra_info("socket")
        underlying.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)

    def offer(self, *, setup: str = "actpass") -> str:
        """The SDP offer of the script's sections. ``setup``: "active" where a server would rather be DTLS's client."""
        assert ScriptedClient.certificate is not None, "made with the first client"
        self._has_offered = True
        mids = " ".join(str(mid) for mid in range(len(self.sections)))
        lines = [
            "v=0",
            "o=- 1 1 IN IP4 127.0.0.1",
            "s=-",
            "t=0 0",
            f"a=group:BUNDLE {mids}",
            "a=extmap-allow-mixed",
        ]
        for mid, section in enumerate(self.sections):
            numbers = " ".join(str(codec[0]) for codec in section.codecs)
            transport = [
                "c=IN IP4 0.0.0.0",
                f"a=mid:{mid}",
                f"a=ice-ufrag:{self.local.ufrag}",
                f"a=ice-pwd:{self.local.password}",
                f"a=fingerprint:{ScriptedClient.certificate.fingerprint.serialize()}",
                f"a=setup:{setup}",
            ]
            if section.kind == "application":
                lines += ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", *transport]
                lines += ["a=sctp-port:5000", "a=max-message-size:262144"]
                continue
            lines += [
                f"m={section.kind} 9 UDP/TLS/RTP/SAVPF {numbers}",
                *transport,
                f"a={section.direction}",
                "a=rtcp-mux",
                "a=rtcp-rsize",
                *(f"a=extmap:{number} {uri}" for number, uri in EXTENSIONS.items()),
            ]
            for number, rtpmap, fmtp in section.codecs:
                lines.append(f"a=rtpmap:{number} {rtpmap}")
                if fmtp:
                    lines.append(f"a=fmtp:{number} {fmtp}")
                if section.kind == "video" and not rtpmap.startswith("rtx"):
                    lines += [f"a=rtcp-fb:{number} {kind}" for kind in ("nack", "nack pli", "transport-cc")]
            if section.msid:
                lines.append(f"a=msid:stream {section.msid}")
            if section.ssrc is not None:
                lines.append(f"a=ssrc:{section.ssrc} cname:benchmark")
            if section.rids:
                lines += [f"a=rid:{rid} send" for rid in section.rids]
                lines.append(f"a=simulcast:send {';'.join(section.rids)}")
        return "\r\n".join(lines) + "\r\n"

    def accept(self, answer: str, *, port: int | None = None) -> None:
        """Take the answer and start connecting; ``port`` leads through a relay instead."""
        self.answer = Answer.parse(answer)
        if port is not None:
            self.answer.port = port
        self._is_controlling = self._has_offered or self.answer.is_lite
        self._dtls = self._context.make_endpoint([self.answer.fingerprint])
        self._check()

    async def connect(self, exchange: Callable[[str], str], *, port: int | None = None) -> None:
        """Open, offer, accept what ``exchange`` answers, and wait for the keys."""
        await self.open()
        self.accept(exchange(self.offer()), port=port)
        await asyncio.wait_for(asyncio.shield(self.connected), 20)

    # --- media ------------------------------------------------------------------------------------------------

    def send_rtp(self, packet: bytes) -> None:
        """Seal and send one RTP packet."""
        assert self._session is not None, "connect first"
        self.send_raw(self._session.protect(packet))

    def send_rtcp(self, compound: bytes) -> None:
        """Seal and send one RTCP compound."""
        assert self._session is not None, "connect first"
        self.send_raw(self._session.protect_rtcp(compound))

    def send_application_data(self, data: bytes) -> None:
        """Encrypt and send one packet of the data channels; dropped where either side has said goodbye."""
        if self._dtls is not None and self._transport is not None:
            with contextlib.suppress(InvalidStateError):
                self._dtls.send_application_data(data)
            self._flush()

    def stand_still(self) -> None:
        """Read nothing from now on, as a program that is stopped."""
        self._stands_still = True

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        assert self.answer is not None, "connect first"
        self.counters.sent += 1
        destination = self.answer.host, self.answer.port
        if self._transport is not None:
            self._transport.sendto(data, destination)
        elif self._detached is not None:
            with contextlib.suppress(OSError):  # lost, as on any network
                self._detached.sendto(data, destination)

    def detach(self) -> socket.socket:
        """Let somebody else read the socket from now on; this client still sends, and keeps its consent fresh."""
        assert self._transport is not None and self._detached is None, "open, and not detached yet"
        self._detached = self._transport.get_extra_info("socket").dup()
        self._detached.setblocking(False)
        self._transport.close()
        self._transport = None
        return self._detached

    def seal(self, packet: bytes) -> bytes:
        """Seal one packet of media, to be sent by somebody else."""
        assert self._session is not None, "connect first"
        return self._session.protect(packet)

    @property
    def local_address(self) -> tuple[str, int]:
        """Of the socket."""
        assert self._transport is not None, "open first"
        host, port = self._transport.get_extra_info("sockname")[:2]
        return host, port

    @property
    def destination(self) -> tuple[str, int]:
        """Where the server receives."""
        assert self.answer is not None, "connect first"
        return self.answer.host, self.answer.port

    @property
    def descriptor(self) -> int:
        """Of the socket, for somebody else to send from."""
        if self._detached is not None:
            return self._detached.fileno()
        assert self._transport is not None, "open first"
        return int(self._transport.get_extra_info("socket").fileno())

    def open_packet(self, sealed: bytes) -> bytes:
        """Open one packet of media. Raises: AuthenticationError, ParseError."""
        assert self._session is not None, "connect first"
        return self._session.unprotect(sealed)

    def close(self) -> None:
        """Say goodbye and close the socket."""
        if self._timer is not None:
            self._timer.cancel()
        if self._dtls is not None and self._transport is not None:
            self._dtls.close()
            self._flush()
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        if self._detached is not None:
            self._detached.close()

    # --- inside -------------------------------------------------------------------------------------------------

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """asyncio's."""
        if self._stands_still:
            return
        first = data[0] if data else 255
        if 128 <= first <= 191:
            self._receive_media(data)
        elif first < 4:
            self._receive_stun(data, address)
        elif self._dtls is not None:
            self._unanswered.clear()
            self._dtls.receive_datagram(data, Address(0, *address[:2]), asyncio.get_running_loop().time())
            self._drain()

    def _receive_media(self, data: bytes) -> None:
        if self._session is None:
            return
        if 192 <= data[1] <= 223:
            self.counters.rtcp += 1
            if self._on_rtcp is None:
                return
            try:
                self._on_rtcp(self._session.unprotect_rtcp(data))
            except (AuthenticationError, ParseError):
                self.counters.refused += 1
            return
        self.counters.packets += 1
        self.counters.bytes += len(data)
        if self.counters.packets % self._opens_one_in:
            return
        try:
            clear = self._session.unprotect(data)
        except (AuthenticationError, ParseError):
            self.counters.refused += 1
            return
        if self._on_rtp is not None:
            self._on_rtp(clear)

    def _check(self) -> None:
        """One connectivity check that nominates (RFC 8445 section 7.2.2), again later for consent (RFC 7675)."""
        assert self.answer is not None, "there is somebody to check"
        request = Message(
            message_class=MessageClass.REQUEST,
            transaction_id=os.urandom(12),
            username=f"{self.answer.ufrag}:{self.local.ufrag}",
            priority=0x7E0000FF,
            use_candidate=self._is_controlling,
            ice_controlling=1 if self._is_controlling else None,
            ice_controlled=None if self._is_controlling else 1,
        )
        self.send_raw(request.serialize(self.answer.password.encode()))
        delay = CONSENT_INTERVAL if self._nominated else CHECK_INTERVAL
        self._timer = asyncio.get_running_loop().call_later(delay, self._tick)

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        if self._dtls is not None:
            self._dtls.handle_timeout(loop.time())
            self._drain()
        if self._nominated and not self.connected.done():
            # As browsers do: a server that has not read our answer yet drops the first flight, and OpenSSL would wait
            # for a second (RFC 6347 section 4.2.4.1).
            for data in self._unanswered:
                self.send_raw(data)
            self._timer = loop.call_later(CHECK_INTERVAL, self._tick)
        else:
            self._check()

    def _receive_stun(self, data: bytes, address: tuple[str, int]) -> None:
        try:
            message = Message.parse(data)
        except ParseError:
            return
        if message.message_class == MessageClass.REQUEST and message.is_authentic(self.local.password.encode()):
            # A server that is no lite agent checks us as well.
            response = Message(message_class=MessageClass.SUCCESS_RESPONSE, transaction_id=message.transaction_id)
            response.xor_mapped_address = TransportAddress(*address[:2])
            assert self._transport is not None, "somebody just spoke to it"
            self._transport.sendto(response.serialize(self.local.password.encode()), address)
            if message.use_candidate and not self._is_controlling:
                self._nominate()
        elif message.message_class == MessageClass.SUCCESS_RESPONSE and self._is_controlling:
            self._nominate()

    def _nominate(self) -> None:
        """The pair is chosen: DTLS begins."""
        if self._nominated:
            return
        self._nominated = True
        assert self._dtls is not None and self.answer is not None, "checks follow the answer"
        self._dtls.start(Address(0, self.answer.host, self.answer.port), asyncio.get_running_loop().time())
        self._unanswered = [data for data, _ in self._dtls.datagrams_to_send()]
        for data in self._unanswered:
            self.send_raw(data)

    def _drain(self) -> None:
        assert self._dtls is not None, "somebody just spoke to it"
        for event in self._dtls.events():
            if isinstance(event, HandshakeCompleted):
                self._session = SrtpSession(
                    event.profile, event.local_key, event.local_salt, event.remote_key, event.remote_salt
                )
                if not self.connected.done():
                    self.connected.set_result(event)
            elif isinstance(event, ApplicationDataReceived):
                if self._on_application_data is not None:
                    self._on_application_data(event.data)
            elif isinstance(event, HandshakeFailed) and not self.connected.done():
                self.connected.set_exception(ConnectionError(event.reason))
        self._flush()

    def _flush(self) -> None:
        assert self._dtls is not None, "somebody just spoke to it"
        for data, _ in self._dtls.datagrams_to_send():
            self.send_raw(data)

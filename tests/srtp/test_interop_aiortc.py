"""Our DTLS and SRTP with aiortc's RTCDtlsTransport, in one process and without a socket."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport

from tests.srtp.association import CLIENT_ADDRESS, SERVER_ADDRESS, context
from visiomedia.srtp.certificate import Fingerprint
from visiomedia.srtp.dtls import Closed, DtlsEndpoint, DtlsEvent, DtlsRole, HandshakeCompleted
from visiomedia.srtp.session import SrtpSession

RTP = bytes.fromhex("80e0000100000001deadbeef") + b"payload"


class Ice:
    """What RTCDtlsTransport wants of an ICE transport; it knows one peer, ours."""

    def __init__(self, role: str, deliver: Callable[[bytes], None]) -> None:
        self.role = role
        self.deliver = deliver
        self.queue: asyncio.Queue[bytes] = asyncio.Queue()

    async def _recv(self) -> bytes:
        return await self.queue.get()

    async def _send(self, data: bytes) -> None:
        self.deliver(data)


@pytest.mark.interop
@pytest.mark.parametrize("role", list(DtlsRole))
async def test_handshake_keys_and_close_with_aiortc(role: DtlsRole) -> None:
    events: list[DtlsEvent] = []
    from_aiortc: list[bytes] = []
    loop = asyncio.get_running_loop()

    def deliver(data: bytes) -> None:
        if data[0] < 64:
            ours.receive_datagram(data, CLIENT_ADDRESS, loop.time())
            drain()
        else:
            from_aiortc.append(data)

    def drain() -> None:
        for datagram in ours.datagrams_to_send():
            ice.queue.put_nowait(datagram.data)
        events.extend(ours.events())

    certificate = RTCCertificate.generateCertificate()
    [fingerprint] = [f for f in certificate.getFingerprints() if f.algorithm == "sha-256"]
    shared = context(role)
    ours: DtlsEndpoint = shared.make_endpoint([Fingerprint.parse(f"sha-256 {fingerprint.value}")])
    # aiortc takes its DTLS role from ICE: the controlling side is the server.
    ice = Ice("controlling" if role is DtlsRole.CLIENT else "controlled", deliver)
    theirs = RTCDtlsTransport(cast(Any, ice), [certificate])
    algorithm, value = shared.certificate.fingerprint.serialize().split()
    starting = asyncio.ensure_future(
        theirs.start(RTCDtlsParameters([RTCDtlsFingerprint(algorithm=algorithm, value=value)]))
    )
    if role is DtlsRole.CLIENT:
        ours.start(SERVER_ADDRESS, loop.time())
        drain()
    await asyncio.wait_for(starting, 10)
    assert theirs.state == "connected"

    [completed] = events
    assert isinstance(completed, HandshakeCompleted)
    session = SrtpSession(
        completed.profile,
        completed.local_key,
        completed.local_salt,
        completed.remote_key,
        completed.remote_salt,
    )
    await theirs._send_rtp(RTP)
    assert [session.unprotect(data) for data in from_aiortc] == [RTP]
    assert theirs._rx_srtp.unprotect(session.protect(RTP)) == RTP

    await theirs.stop()
    assert events[1:] == [Closed("close_notify")]

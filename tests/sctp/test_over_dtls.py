"""Associations inside our DTLS: every packet fits a record, and messages go through."""

import pytest

from tests.sctp.link import A_ADDRESS, B_ADDRESS, pair
from tests.srtp.association import Association as Dtls
from tests.srtp.association import PlainPeer, context, ecdsa_certificate
from visiomedia.sctp import Association, MessageReceived, SctpSettings
from visiomedia.srtp.dtls import ApplicationDataReceived, DtlsEndpoint, DtlsRole


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "CHACHA20-POLY1305", "AES256-GCM-SHA384", "AES128-SHA"])
def test_the_largest_packet_fits_a_record_of_every_cipher(cipher: str) -> None:
    server = context(DtlsRole.SERVER).make_endpoint([ecdsa_certificate(0).fingerprint])
    peer = PlainPeer(
        ecdsa_certificate(0),
        is_client=True,
        profiles=b"SRTP_AEAD_AES_128_GCM",
        ciphers=f"ECDHE-ECDSA-{cipher}".encode(),
    )
    peer.run(server)
    assert peer.connection.get_cipher_name() == f"ECDHE-ECDSA-{cipher}"
    assert server.maximum_application_data >= SctpSettings().maximum_packet


def test_messages_go_through() -> None:
    dtls = Dtls()
    dtls.start()
    dtls.run()
    a, b = pair()
    a.associate(B_ADDRESS, 1.0)
    b.associate(A_ADDRESS, 1.0)
    channel = a.open_channel("x", 1.0)
    message = bytes(range(256)) * 1024
    a.send(channel, message, 1.0)

    def carry(source: Association, sender: DtlsEndpoint, receiver: DtlsEndpoint, target: Association) -> bool:
        for packet in source.datagrams_to_send():
            sender.send_application_data(packet.data)
        records = sender.datagrams_to_send()
        for record in records:
            receiver.receive_datagram(record.data, record.address, 1.0)
        for event in receiver.events():
            if isinstance(event, ApplicationDataReceived):
                target.receive_datagram(event.data, B_ADDRESS, 1.0)
        return bool(records)

    while carry(a, dtls.client, dtls.server, b) | carry(b, dtls.server, dtls.client, a):
        pass
    assert b.events()[-1] == MessageReceived(channel, message, False)

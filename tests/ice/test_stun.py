"""STUN messages against RFC 5769, aioice, round trips and garbage."""

import struct
import zlib
from pathlib import Path

import aioice.stun
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiomedia.errors import ConfigurationError, ParseError
from visiomedia.ice.stun import (
    AttributeType,
    ErrorReason,
    Message,
    MessageClass,
    Method,
    TransportAddress,
)

VECTORS = Path(__file__).parent.parent / "vectors" / "stun"
PASSWORD = b"VOkJxbRl1RmTxUk/WvJxBt"
TRANSACTION_ID = bytes.fromhex("b7e7a701bc34d686fa87dfae")


def vector(name: str) -> bytes:
    return bytes.fromhex((VECTORS / f"{name}.hex").read_text())


def attribute(attribute_type: int, value: bytes) -> bytes:
    return struct.pack("!HH", attribute_type, len(value)) + value + bytes(-len(value) % 4)


def unsigned(*attributes: bytes, message_type: int = 0x0001) -> bytes:
    body = b"".join(attributes)
    return struct.pack("!HHI", message_type, len(body), 0x2112A442) + TRANSACTION_ID + body


def with_fingerprint(data: bytes) -> bytes:
    covered = data[:2] + struct.pack("!H", len(data) - 20 + 8) + data[4:]
    return covered + attribute(0x8028, struct.pack("!I", zlib.crc32(covered) ^ 0x5354554E))


def test_sample_request_of_rfc_5769_is_read_and_authentic() -> None:
    message = Message.parse(vector("rfc5769_request"))
    assert message == Message(
        message_class=MessageClass.REQUEST,
        method=Method.BINDING,
        transaction_id=TRANSACTION_ID,
        software="STUN test client",
        priority=0x6E0001FF,
        ice_controlled=0x932FF9B151263B36,
        username="evtj:h6vY",
    )
    assert message.has_fingerprint
    assert message.has_integrity
    assert message.is_authentic(PASSWORD)
    assert not message.is_authentic(PASSWORD + b"x")


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("rfc5769_ipv4_response", "192.0.2.1"),
        ("rfc5769_ipv6_response", "2001:db8:1234:5678:11:2233:4455:6677"),
    ],
)
def test_sample_responses_of_rfc_5769_are_read_and_authentic(name: str, host: str) -> None:
    message = Message.parse(vector(name))
    assert message.message_class is MessageClass.SUCCESS_RESPONSE
    assert message.software == "test vector"
    assert message.xor_mapped_address == TransportAddress(host, 32853)
    assert message.is_authentic(PASSWORD)


def test_long_term_request_of_rfc_5769_is_read_and_its_realm_and_nonce_are_unknown() -> None:
    message = Message.parse(vector("rfc5769_long_term_request"))
    assert message.username == "マトリックス"
    assert message.unknown_required == (0x0015, 0x0014)
    assert not message.has_fingerprint


def test_serialized_response_matches_the_vector_up_to_padding_and_attribute_order() -> None:
    ours = Message(
        message_class=MessageClass.SUCCESS_RESPONSE,
        transaction_id=TRANSACTION_ID,
        xor_mapped_address=TransportAddress("192.0.2.1", 32853),
    ).serialize(PASSWORD)
    assert ours[20:32] == vector("rfc5769_ipv4_response")[36:48]
    assert Message.parse(ours).is_authentic(PASSWORD)


hosts = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str).filter(lambda host: not host.startswith("::ffff:")),
)
addresses = st.builds(TransportAddress, hosts, st.integers(0, 65535))
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
messages = st.builds(
    Message,
    message_class=st.sampled_from(MessageClass),
    method=st.integers(0, 0xFFF),
    transaction_id=st.binary(min_size=12, max_size=12),
    username=st.none() | words,
    priority=st.none() | st.integers(0, 2**32 - 1),
    use_candidate=st.booleans(),
    ice_controlled=st.none() | st.integers(0, 2**64 - 1),
    ice_controlling=st.none() | st.integers(0, 2**64 - 1),
    xor_mapped_address=st.none() | addresses,
    mapped_address=st.none() | addresses,
    error=st.none() | st.builds(ErrorReason, st.integers(300, 699), words),
    unknown_attributes=st.none() | st.lists(st.integers(0, 65535), max_size=9).map(tuple),
    software=st.none() | words,
)


@given(messages, st.none() | st.binary(min_size=1, max_size=80))
def test_every_message_survives_the_wire(message: Message, password: bytes | None) -> None:
    parsed = Message.parse(message.serialize(password))
    assert parsed == message
    assert parsed.has_fingerprint
    assert parsed.has_integrity == (password is not None)
    if password is not None:
        assert parsed.is_authentic(password)
        assert not parsed.is_authentic(password + b"!")


@pytest.mark.interop
@given(messages, st.sampled_from([1, 3]))
def test_aioice_reads_what_we_write(message: Message, method: int) -> None:
    message.method = method  # aioice knows a few methods only
    theirs = aioice.stun.parse_message(message.serialize(PASSWORD))
    assert theirs.check_message_integrity(PASSWORD)
    assert theirs.attributes.get("USERNAME") == message.username
    assert theirs.attributes.get("PRIORITY") == message.priority
    assert theirs.attributes.get("ICE-CONTROLLED") == message.ice_controlled
    assert theirs.attributes.get("ICE-CONTROLLING") == message.ice_controlling
    assert theirs.attributes.get("XOR-MAPPED-ADDRESS") == message.xor_mapped_address
    assert theirs.attributes.get("MAPPED-ADDRESS") == message.mapped_address
    assert theirs.attributes.get("ERROR-CODE") == message.error
    assert theirs.attributes.get("SOFTWARE") == message.software
    assert ("USE-CANDIDATE" in theirs.attributes) == message.use_candidate


@pytest.mark.interop
@given(addresses, st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), words.filter(bool))
def test_we_read_what_aioice_writes(address: TransportAddress, tie_breaker: int, priority: int, username: str) -> None:
    theirs = aioice.stun.Message(aioice.stun.Method.BINDING, aioice.stun.Class.REQUEST, transaction_id=TRANSACTION_ID)
    theirs.attributes.update(
        {
            "USERNAME": username,
            "PRIORITY": priority,
            "ICE-CONTROLLING": tie_breaker,
            "USE-CANDIDATE": None,
            "XOR-MAPPED-ADDRESS": address,
            "ERROR-CODE": (487, "Role Conflict"),
            "SOFTWARE": "aioice",
        }
    )
    theirs.add_message_integrity(PASSWORD)
    ours = Message.parse(bytes(theirs))
    assert ours.is_authentic(PASSWORD)
    assert ours == Message(
        message_class=MessageClass.REQUEST,
        transaction_id=TRANSACTION_ID,
        username=username,
        priority=priority,
        ice_controlling=tie_breaker,
        use_candidate=True,
        xor_mapped_address=address,
        error=ErrorReason(487, "Role Conflict"),
        software="aioice",
    )


def test_optional_attributes_that_are_unknown_are_ignored() -> None:
    # GOOG-NETWORK-INFO, as Chromium puts it into each check
    message = Message.parse(unsigned(attribute(0xC057, bytes(4)), attribute(0x0024, bytes(4))))
    assert message.unknown_required == ()
    assert message.priority == 0


def test_required_attributes_that_are_unknown_are_listed() -> None:
    message = Message.parse(unsigned(attribute(0x0003, bytes(4)), attribute(0x7FFF, b"abc")))
    assert message.unknown_required == (0x0003, 0x7FFF)


def test_integrity_by_sha256_is_tolerated() -> None:
    message = Message.parse(unsigned(attribute(0x001C, bytes(32))))
    assert message.unknown_required == ()
    assert not message.has_integrity
    assert not message.is_authentic(PASSWORD)


def test_only_the_first_of_equal_attributes_counts() -> None:
    message = Message.parse(unsigned(attribute(0x0024, bytes(3) + b"\1"), attribute(0x0024, bytes(3) + b"\2")))
    assert message.priority == 1


def test_attributes_after_the_integrity_are_ignored_but_for_the_fingerprint() -> None:
    signed = Message(message_class=MessageClass.REQUEST, transaction_id=TRANSACTION_ID, username="a:b").serialize(
        PASSWORD
    )[:-8]
    smuggled = attribute(0x0025, b"") + attribute(0x0003, bytes(4)) + attribute(0x0024, bytes(4))
    data = with_fingerprint(signed + smuggled)
    message = Message.parse(data)
    assert message.is_authentic(PASSWORD)
    assert message.has_fingerprint
    assert not message.use_candidate
    assert message.priority is None
    assert message.unknown_required == ()


def test_address_of_an_ipv4_peer_on_a_dual_stack_socket_is_written_as_ipv4() -> None:
    message = Message(
        message_class=MessageClass.SUCCESS_RESPONSE,
        transaction_id=TRANSACTION_ID,
        xor_mapped_address=TransportAddress("::ffff:192.0.2.1", 9),
        mapped_address=TransportAddress("fe80::1%eth0", 9),
    )
    parsed = Message.parse(message.serialize())
    assert parsed.xor_mapped_address == TransportAddress("192.0.2.1", 9)
    assert parsed.mapped_address == TransportAddress("fe80::1", 9)


def test_host_that_is_no_address_is_refused() -> None:
    message = Message(
        message_class=MessageClass.SUCCESS_RESPONSE,
        transaction_id=TRANSACTION_ID,
        mapped_address=TransportAddress("example.org", 9),
    )
    with pytest.raises(ConfigurationError, match=r"example\.org"):
        message.serialize()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        unsigned()[:19],
        unsigned(message_type=0x4001),
        unsigned()[:4] + bytes(16),
        unsigned() + bytes(4),
        unsigned(bytes(2)),
        unsigned(bytes(3) + b"\5" + bytes(4)),
        unsigned(attribute(AttributeType.USERNAME, b"\xff")),
        unsigned(attribute(AttributeType.USERNAME, bytes(509))),
        unsigned(attribute(AttributeType.MESSAGE_INTEGRITY, bytes(16))),
        unsigned(attribute(AttributeType.PRIORITY, bytes(8))),
        unsigned(attribute(AttributeType.ICE_CONTROLLED, bytes(4))),
        unsigned(attribute(AttributeType.USE_CANDIDATE, bytes(1))),
        unsigned(attribute(AttributeType.ERROR_CODE, b"\0\0\4")),
        unsigned(attribute(AttributeType.ERROR_CODE, b"\0\0\2\0")),
        unsigned(attribute(AttributeType.ERROR_CODE, b"\0\0\4\144")),
        unsigned(attribute(AttributeType.UNKNOWN_ATTRIBUTES, b"\0\1\2")),
        unsigned(attribute(AttributeType.MAPPED_ADDRESS, b"\0\1\0")),
        unsigned(attribute(AttributeType.MAPPED_ADDRESS, b"\0\1" + bytes(18))),
        unsigned(attribute(AttributeType.MAPPED_ADDRESS, b"\0\3" + bytes(6))),
        unsigned(attribute(AttributeType.XOR_MAPPED_ADDRESS, b"\0\2" + bytes(22))),
        unsigned(attribute(AttributeType.FINGERPRINT, bytes(4))),
        unsigned(attribute(AttributeType.FINGERPRINT, bytes(3))),
        with_fingerprint(unsigned(attribute(AttributeType.FINGERPRINT, bytes(4)))),
        unsigned(attribute(0x8022, bytes(1480))),
    ],
)
def test_wrong_messages_raise_parse_error(data: bytes) -> None:
    with pytest.raises(ParseError):
        Message.parse(data)


def test_true_fingerprint_that_is_not_last_is_refused() -> None:
    header = unsigned(bytes(16))[:20]
    fingerprint = attribute(0x8028, struct.pack("!I", zlib.crc32(header) ^ 0x5354554E))
    with pytest.raises(ParseError, match="last"):
        Message.parse(header + fingerprint + attribute(0x0024, bytes(4)))


@pytest.mark.parametrize(
    "name", ["rfc5769_request", "rfc5769_ipv4_response", "rfc5769_ipv6_response", "rfc5769_long_term_request"]
)
def test_every_prefix_of_a_vector_raises_parse_error(name: str) -> None:
    data = vector(name)
    for size in range(len(data)):
        with pytest.raises(ParseError):
            Message.parse(data[:size])


@given(st.integers(0, 107), st.integers(1, 255))
def test_any_flipped_byte_is_noticed_by_the_fingerprint(position: int, flip: int) -> None:
    data = bytearray(vector("rfc5769_request"))
    data[position] ^= flip
    try:
        message = Message.parse(bytes(data))
    except ParseError:
        return
    # Only a change that turns FINGERPRINT into an unknown optional attribute gets this far.
    assert not message.has_fingerprint


@given(st.binary(max_size=200))
def test_garbage_raises_parse_error_or_is_a_message(data: bytes) -> None:
    for candidate in (data, unsigned()[:20] + data, unsigned(data + bytes(-len(data) % 4))):
        try:
            Message.parse(candidate)
        except ParseError:
            continue

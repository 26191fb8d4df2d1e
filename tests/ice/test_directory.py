"""Finding a session by the ufrag of its first datagram."""

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ice.scripted_peer import LOCAL, ScriptedPeer
from visiomedia.errors import CapacityError, ConfigurationError, InvalidStateError
from visiomedia.ice import Message, MessageClass, UfragDirectory, username_of
from visiomedia.ice.directory import ATTRIBUTES_EXAMINED

PADDING = struct.pack("!HHI", 0xC057, 4, 0)


def binding_request(*attributes: bytes) -> bytes:
    body = b"".join(attributes)
    return struct.pack("!HHI12s", 1, len(body), 0x2112A442, bytes(12)) + body


def username(value: bytes) -> bytes:
    return struct.pack("!HH", 6, len(value)) + value + bytes(-len(value) % 4)


def test_ufrag_of_a_check_is_found() -> None:
    assert username_of(ScriptedPeer().check()) == LOCAL.ufrag


def test_ufrag_behind_other_attributes_is_found_up_to_a_bound() -> None:
    behind = [PADDING] * (ATTRIBUTES_EXAMINED - 1)
    assert username_of(binding_request(*behind, username(b"abcd:efgh"))) == "abcd"
    assert username_of(binding_request(PADDING, *behind, username(b"abcd:efgh"))) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(100),
        binding_request(),
        binding_request(PADDING),
        binding_request(username(b"no colon at all")),
        binding_request(username(b":peer")),
        binding_request(username(b"\xff\xfe:peer")),
        binding_request(username(b"a" * 257 + b":peer")),
        binding_request(username(b"abcd:efgh")) + b"x",
        b"\x01\x01" + binding_request(username(b"abcd:efgh"))[2:],
        b"\x16\xfe\xfd" + bytes(40),
    ],
)
def test_other_datagrams_have_no_ufrag(data: bytes) -> None:
    assert username_of(data) is None


@given(st.binary(max_size=120))
def test_ufrag_agrees_with_the_full_parser_whatever_comes(data: bytes) -> None:
    message = replace(ScriptedPeer().request(), software=data.hex())
    whole = message.serialize()
    for size in range(0, len(whole), 7):
        assert username_of(whole[:size]) is None
    assert username_of(whole) == str(Message.parse(whole).username).partition(":")[0]
    assert username_of(binding_request(data)) is None or b":" in data


def test_directory_finds_the_owner_of_a_datagram() -> None:
    directory: UfragDirectory[str] = UfragDirectory(2)
    directory.register(LOCAL.ufrag, "session")
    directory.register("other", "another")
    check = ScriptedPeer().check()
    assert directory.find(check) == "session"
    assert directory.find(check[:-1]) is None
    directory.unregister(LOCAL.ufrag)
    directory.unregister(LOCAL.ufrag)
    assert directory.find(check) is None
    assert LOCAL.ufrag not in directory
    assert len(directory) == 1


def test_directory_refuses_a_ufrag_that_is_taken() -> None:
    directory: UfragDirectory[str] = UfragDirectory(2)
    directory.register("ufrag", "first")
    with pytest.raises(InvalidStateError):
        directory.register("ufrag", "second")


def test_directory_refuses_more_than_its_capacity() -> None:
    directory: UfragDirectory[str] = UfragDirectory(1)
    directory.register("ufrag", "first")
    with pytest.raises(CapacityError, match="1 rows"):
        directory.register("next", "second")
    with pytest.raises(ConfigurationError):
        UfragDirectory[str](0)


def test_answers_find_who_asked_until_it_is_forgotten_or_too_much_was_asked() -> None:
    directory: UfragDirectory[str] = UfragDirectory(2)
    asked = [Message(message_class=MessageClass.REQUEST, transaction_id=bytes([n]) * 12) for n in range(3)]
    answers = [
        Message(message_class=MessageClass.SUCCESS_RESPONSE, transaction_id=each.transaction_id).serialize()
        for each in asked
    ]
    for request in asked:
        directory.expect_answer(request.serialize(), "asker")
    assert [directory.find(answer) for answer in answers] == [None, "asker", "asker"]
    directory.expect_answer(answers[0], "answers are not asked")
    assert directory.find(answers[0]) is None
    directory.forget_answers("asker")
    assert [directory.find(answer) for answer in answers] == [None, None, None]

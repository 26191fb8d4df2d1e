"""Checks answered in the turn: the agent's own bytes, for the checks that change nothing, and for no others."""

import os
from collections.abc import Callable

import numpy as np
import pytest

from visiomedia.batch import ROWS_USED, append_datagram, datagram
from visiomedia.commands import COMMAND, Operation
from visiomedia.engine import Address
from visiomedia.ice.agent import CandidatePairNominated, LiteAgent
from visiomedia.ice.credentials import Credentials
from visiomedia.ice.stun import Message, MessageClass
from visiomedia.line import Capacities, Tables, make_batches, make_tables
from visiomedia.net.addresses import address_to_bytes, path_command
from visiomedia.net.kernels import add_path
from visiomedia.transport.check_kernels import BLOCK, answer_check, set_check

LOCAL = Credentials("oursxxxx", "apasswordofourslongenough")
REMOTE = Credentials("theirs", "apasswordoftheirsalsolong")
WIFI, MOBILE = Address(0, "192.0.2.7", 40_001), Address(0, "2001:db8::7", 40_002)
SMALL = Capacities(transports=4, sources=1, tracks=1, subscriptions=1, paths=4, batch_rows=4, out_rows=4, history_mb=16)


def request(**changed: object) -> Message:
    usual = {"username": f"{LOCAL.ufrag}:{REMOTE.ufrag}", "priority": 1, "use_candidate": True, "ice_controlling": 5}
    values: dict[str, object] = {"message_class": MessageClass.REQUEST, "transaction_id": os.urandom(12)}
    return Message(**(values | usual | changed))  # type: ignore[arg-type]  # fields by name


class Turn:
    """Tables with one armed and selected path, and a batch of one check."""

    def __init__(self, address: Address, *, is_armed: bool = True, is_selected: bool = True) -> None:
        self.tables: Tables = make_tables(SMALL, b"server")
        self.batch, self.out = make_batches(SMALL)
        self.address = address
        record = np.zeros(1, COMMAND)[0]
        values, body = path_command(address, 2)
        record.operation, record.row, record.generation = Operation.ADD_PATH, 1, 1
        record["values"][: len(values)] = values
        record.body[: len(body)] = np.frombuffer(body, np.uint8)
        add_path(self.tables.net, record)
        self.tables.transport.transports[2].path = 1 if is_selected else 3
        if is_armed:
            name, key = f"{LOCAL.ufrag}:{REMOTE.ufrag}".encode(), LOCAL.password.encode().ljust(BLOCK, b"\0")
            body = name + bytes(byte ^ 0x36 for byte in key) + bytes(byte ^ 0x5C for byte in key)
            record.values[0] = len(name)
            record.body[: len(body)] = np.frombuffer(body, np.uint8)
            set_check(self.tables.transport, record)

    def receive(self, data: bytes, *, arrival: int = 9) -> bytes | None:
        """What the turn answers."""
        self.batch.state[:] = 0
        host = address_to_bytes(self.address.host)
        number = append_datagram(self.batch, data, arrival=arrival, address=host, port=self.address.port)
        row = self.batch.rows[number]
        row.path, row.transport = 1, 2
        if not answer_check(row, self.batch.arena, self.tables.net, self.tables.transport, self.out):
            return None
        return datagram(self.out, int(self.out.state[ROWS_USED]) - 1)


def of_agent(data: bytes, address: Address) -> bytes:
    """What the agent answers."""
    agent = LiteAgent(LOCAL, REMOTE)
    agent.receive_datagram(data, address, 1.0)
    [nominated] = [event for event in agent.events() if isinstance(event, CandidatePairNominated)]
    assert (nominated.username, nominated.password) == (f"{LOCAL.ufrag}:{REMOTE.ufrag}", LOCAL.password)
    [answer] = agent.datagrams_to_send()
    return answer.data


@pytest.mark.parametrize("address", [WIFI, MOBILE])
@pytest.mark.parametrize("software", [None, "x", "four", "a browser"])
def test_a_check_that_repeats_what_is_known_is_answered_as_the_agent_does(address: Address, software: str) -> None:
    turn = Turn(address)
    for number in range(3):
        data = request(software=software).serialize(LOCAL.password.encode())
        turn.out.state[:] = 0
        assert turn.receive(data, arrival=100 + number) == of_agent(data, address)
        check = turn.tables.transport.checks[1]
        assert (check.heard, check.answered) == (100 + number, number + 1)
        row = turn.out.rows[0]
        assert (row.path, row.drop, row.kind) == (1, 0, 0)


def test_without_use_candidate_it_is_answered_too() -> None:
    data = request(use_candidate=False, ice_controlling=None, priority=None).serialize(LOCAL.password.encode())
    answer = Turn(WIFI).receive(data)
    assert answer is not None
    assert Message.parse(answer).is_authentic(LOCAL.password.encode())


def _with(change: Callable[[bytearray], object]) -> bytes:
    data = bytearray(request().serialize(LOCAL.password.encode()))
    change(data)
    return bytes(data)


def _cut(data: bytearray) -> None:
    del data[-8:]
    data[2:4] = (len(data) - 20).to_bytes(2, "big")


PASSWORD = LOCAL.password.encode()
OTHERS = {
    "wrong password": request().serialize(b"wrong"),
    "no integrity": request().serialize(),
    "other username": request(username=f"{LOCAL.ufrag}:other").serialize(PASSWORD),
    "longer username": request(username=f"{LOCAL.ufrag}:{REMOTE.ufrag}x").serialize(PASSWORD),
    "no username": request(username=None).serialize(PASSWORD),
    "role conflict": request(ice_controlling=None, ice_controlled=7).serialize(PASSWORD),
    "response": request(message_class=MessageClass.SUCCESS_RESPONSE).serialize(PASSWORD),
    "indication": request(message_class=MessageClass.INDICATION).serialize(PASSWORD),
    "unknown attribute": request(unknown_attributes=(1, 2)).serialize(PASSWORD),
    "wrong fingerprint": _with(lambda data: data.__setitem__(-1, data[-1] ^ 1)),
    "wrong integrity": _with(lambda data: data.__setitem__(-9, data[-9] ^ 1)),
    "wrong cookie": _with(lambda data: data.__setitem__(4, 0)),
    "wrong length": _with(lambda data: data.__setitem__(3, data[3] ^ 4)),
    "cut": request().serialize(PASSWORD)[:40],
    "empty": b"",
}


@pytest.mark.parametrize("name", OTHERS)
def test_any_other_check_is_handed_up(name: str) -> None:
    turn = Turn(WIFI)
    assert turn.receive(OTHERS[name]) is None
    assert turn.out.state[ROWS_USED] == 0
    assert turn.tables.transport.checks[1].answered == 0


def test_a_check_without_fingerprint_is_answered() -> None:
    """It is no part of what authenticates."""
    data = bytearray(request().serialize(PASSWORD))
    _cut(data)
    assert Turn(WIFI).receive(bytes(data)) is not None


def test_a_path_that_is_not_selected_or_not_armed_hands_up_and_so_does_a_full_batch() -> None:
    data = request().serialize(PASSWORD)
    assert Turn(WIFI, is_selected=False).receive(data) is None
    assert Turn(WIFI, is_armed=False).receive(data) is None
    turn = Turn(WIFI)
    assert [turn.receive(data) is not None for _ in range(5)] == [True] * 4 + [False]


def test_random_changes_are_answered_only_where_the_agent_would() -> None:
    rng = np.random.default_rng(7)
    turn = Turn(WIFI)
    answered = 0
    for _ in range(3000):
        data = bytearray(request().serialize(PASSWORD))
        for _ in range(int(rng.integers(0, 3))):
            data[int(rng.integers(len(data)))] = int(rng.integers(256))
        if rng.integers(4) == 0:
            del data[int(rng.integers(len(data))) :]
        turn.out.state[:] = 0
        answer = turn.receive(bytes(data))
        if answer is not None:
            answered += 1
            assert answer == of_agent(bytes(data), WIFI)
    assert 500 < answered < 2500

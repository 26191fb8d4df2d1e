"""The command ring keeps order and loses nothing when the turn is slow."""

from visiomedia.commands import APPLIED, WRITTEN, CommandQueue, Operation, make_command_ring


def test_commands_beyond_the_ring_are_kept_and_follow_in_order() -> None:
    ring = make_command_ring(4)
    queue = CommandQueue(ring)
    numbers = [queue.append(Operation.SELECT_PATH, row, values=(row,)) for row in range(10)]
    assert numbers == list(range(10))
    assert queue.waiting == 10
    seen = []
    while queue.waiting:
        assert ring.state[WRITTEN] > ring.state[APPLIED], "the backlog was moved into the ring"
        seen.append(int(ring.records[ring.state[APPLIED] % 4]["values"][0]))
        ring.state[APPLIED] += 1
        queue.flush()
    assert seen == list(range(10))


def test_values_and_body_of_an_earlier_command_do_not_show_through() -> None:
    ring = make_command_ring(1)
    queue = CommandQueue(ring)
    queue.append(Operation.SEND_DATAGRAM, 1, 2, (3, 4, 5), b"long body")
    ring.state[APPLIED] += 1
    queue.append(Operation.SEND_DATAGRAM, 9, 8, (7,), b"x")
    command = ring.records[0]
    assert list(command["values"][:3]) == [7, 0, 0]
    assert command.length == 1
    assert bytes(command.body[:1]) == b"x"
    assert (command.row, command.generation) == (9, 8)

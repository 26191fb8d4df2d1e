"""Sources as the session plane sees them: which are bound still, and what may repair what."""

import pytest

from visiomedia.commands import CommandQueue, make_command_ring
from visiomedia.errors import InvalidStateError
from visiomedia.routing.router import Router, Track
from visiomedia.routing.tables import make_history, make_routing_tables
from visiomedia.rows import Handle
from visiomedia.sdp.attributes import Codec


def published() -> tuple[Router, Track, CommandQueue]:
    commands = CommandQueue(make_command_ring(64))
    router = Router(commands, make_routing_tables(4, 4, 4, make_history(1, 1, 16), waiting=16))
    track = router.add_track(Handle(0, 1), format=Codec(96, "VP8", 90_000), is_audio=False, cname="somebody")
    return router, track, commands


def test_source_that_another_took_the_layer_from_is_bound_no_more() -> None:
    router, track, _ = published()
    first = router.add_source(track, 1)
    assert router.has_source(first)
    second = router.add_source(track, 2)
    assert not router.has_source(first)
    assert router.has_source(second)


def test_nothing_repairs_a_source_that_is_gone() -> None:
    # Its row is given out again, to whoever publishes next: a repair stream that names it would write into theirs.
    router, track, commands = published()
    media = router.add_source(track, 1)
    router.remove_source(track, media)
    written = commands.waiting
    with pytest.raises(InvalidStateError):
        router.add_repair_source(track, 2, media)
    assert commands.waiting == written, "no command leaves for it"

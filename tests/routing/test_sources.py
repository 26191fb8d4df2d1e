"""Sources as the session plane sees them: which are bound still."""

from visiomedia.commands import CommandQueue, make_command_ring
from visiomedia.routing.router import Router, Track
from visiomedia.routing.tables import make_history, make_routing_tables
from visiomedia.rows import Handle
from visiomedia.sdp.attributes import Codec


def published() -> tuple[Router, Track, CommandQueue]:
    commands = CommandQueue(make_command_ring(64))
    router = Router(commands, make_routing_tables(4, 4, 4, make_history(1, 1, 16)))
    track = router.add_track(Handle(0, 1), format=Codec(96, "VP8", 90_000), is_audio=False, cname="somebody")
    return router, track, commands


def test_source_that_another_took_the_layer_from_is_bound_no_more() -> None:
    router, track, _ = published()
    first = router.add_source(track, 1)
    assert router.has_source(first)
    second = router.add_source(track, 2)
    assert not router.has_source(first)
    assert router.has_source(second)

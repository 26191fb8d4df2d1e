"""Dialling out: the peer connection to a peer that takes our offer, connected by checks of ours."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from visiomedia.errors import NegotiationError
from visiomedia.peer.full_agent import FullAgent
from visiomedia.peer.peer import Peer
from visiomedia.plane import Plane
from visiomedia.routing.router import Track
from visiomedia.sdp.description import SessionDescription


@asynccontextmanager
async def dial(
    plane: Plane,
    exchange: Callable[[str], Awaitable[str]],
    *,
    send: Sequence[Track] = (),
    receive: Sequence[str] = (),
) -> AsyncIterator[Peer]:
    """A peer that was offered ``send`` and one section of each kind in ``receive``, once it is connected.

    It ends with the context.

    Args:
        exchange: carries our offer there and returns the answer.
        send: tracks of this plane.
        receive: ``audio`` or ``video``, in order; what comes is in ``peer.tracks``.

    It takes as long as the caller's ``asyncio.timeout`` lets it; a peer that never connects ends after 30 s.

    Raises:
        ParseError, NegotiationError: the answer is none, or does not fit.
        ConnectionError: the peer cannot be reached.
    """
    agent = FullAgent(plane)
    peer = Peer(plane, agent=agent)
    holding: asyncio.Task[None] | None = None
    try:
        for track in send:
            peer.add_sender(track)
        for kind in receive:
            peer.add_receiver(kind)
        answer = await exchange(peer.create_offer())
        peer.receive_answer(answer)
        holding = asyncio.create_task(_hold(agent, peer, SessionDescription.parse(answer)))
        await asyncio.wait((peer.connected, peer.closed), return_when=asyncio.FIRST_COMPLETED)
        if peer.closed.done():
            raise ConnectionError(peer.closed.result())
        yield peer
    finally:
        peer.close()
        await agent.close()
        if holding is not None:
            await holding


async def _hold(agent: FullAgent, peer: Peer, answer: SessionDescription) -> None:
    """Keep the way open; where it is lost the peer ends."""
    section = answer.transport_section
    if section is None:
        raise NegotiationError("the answer accepts nothing")
    reason = await agent.run(
        peer.owner,
        peer.remote_credentials,
        section.candidates,
        remote_is_lite=answer.is_lite,
        nominated=peer.use_address,
    )
    peer.close(reason)

"""What every test runs under: a private network, repeatable random input, a loop that nothing may block."""

import asyncio
import logging
from collections.abc import Iterator

import hypothesis
import pytest
from blockbuster import BlockBuster, blockbuster_ctx

from tests.network.namespace import NamespaceError, enter_private_network

# The same examples on every run, so that a red test stays red; `--hypothesis-profile=default` explores.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.load_profile("repeatable")

NEEDS_PRIVATE_NETWORK = ("browser", "interop", "soak")
"""Marks of the tests whose peers gather candidates from whatever interfaces there are."""

refused_network = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Leave the machine's network before any thread, socket or child process exists."""
    try:
        enter_private_network()
    except NamespaceError as refusal:
        config.stash[refused_network] = str(refusal)


def pytest_report_header(config: pytest.Config) -> str:
    refusal = config.stash.get(refused_network, None)
    return f"network: the machine's own ({refusal})" if refusal else "network: private, loopback only"


@pytest.fixture(autouse=True)
def private_network(request: pytest.FixtureRequest) -> None:
    """Fail a test that must not see the machine's network where it would."""
    refusal = request.config.stash.get(refused_network, None)
    if refusal and any(request.node.get_closest_marker(mark) for mark in NEEDS_PRIVATE_NETWORK):
        pytest.fail(f"this test needs a network namespace. {refusal}", pytrace=False)


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail an asyncio test in which anything blocks the loop: a file, a blocking socket, a lock, a sleep.

    Where another stack or a browser's driver shares the loop, only calls made by our own code count.
    """
    if request.node.get_closest_marker("asyncio") is None:
        yield
        return
    others = any(request.node.get_closest_marker(mark) for mark in NEEDS_PRIVATE_NETWORK)
    with blockbuster_ctx("visiomedia" if others else None) as blockbuster:
        _allow_loading_of_kernels(blockbuster)
        yield


def _allow_loading_of_kernels(blockbuster: BlockBuster) -> None:
    """A kernel's first call reads its code from the cache; a plane does that before it opens a socket."""
    for function in blockbuster.functions.values():
        function.can_block_in("numba/core/dispatcher.py", {"compile", "_compile_for_args"})
        function.can_block_in("visiomedia/jit.py", {"compile_for", "warm_up"})


class _LoopErrors(logging.Handler):
    """Keeps what asyncio reports as errors: exceptions in callbacks and tasks that nobody awaited."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(self.format(record))


@pytest.fixture(autouse=True)
def no_exception_reaches_the_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail an asyncio test in which a callback or a forgotten task raised, though every assertion held."""
    if request.node.get_closest_marker("asyncio") is None or request.node.get_closest_marker("interop"):
        yield
        return
    errors = _LoopErrors()
    logger = logging.getLogger(asyncio.__name__)
    logger.addHandler(errors)
    try:
        yield
    finally:
        logger.removeHandler(errors)
    if errors.messages:
        pytest.fail("an exception reached the event loop:\n" + "\n".join(errors.messages), pytrace=False)

"""The private network of the test process itself."""

import subprocess
import sys
import threading

import pytest

from tests.conftest import refused_network
from tests.network.namespace import interface_names


@pytest.fixture(autouse=True)
def in_a_private_network(request: pytest.FixtureRequest) -> None:
    if request.config.stash.get(refused_network, None):
        pytest.skip("this machine lends no network namespace to this user")


def test_only_loopback_is_there() -> None:
    assert interface_names() == ["lo"]


def test_threads_and_children_live_in_it_too() -> None:
    seen: list[list[str]] = []
    thread = threading.Thread(target=lambda: seen.append(interface_names()))
    thread.start()
    thread.join()
    program = "import socket; print(len(socket.if_nameindex()))"
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert seen == [["lo"]]
    assert child.stdout.strip() == b"1"

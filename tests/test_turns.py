"""The thread that takes turns: what it asks of the scheduler."""

import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from visiomedia.turns import PLANE_NICE, come_first


def nice() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_only_the_thread_that_carries_packets_comes_first() -> None:
    usual = nice()
    with ThreadPoolExecutor(1) as thread:
        is_allowed = thread.submit(come_first).result()
        assert thread.submit(nice).result() == (PLANE_NICE if is_allowed else usual)
    assert nice() == usual


def test_a_system_that_refuses_is_told_of(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refuse)
    with caplog.at_level(logging.INFO):
        assert not come_first()
    assert "LimitNICE=-10" in caplog.text

"""The node as an operator runs it: a process of its own, on ports that are free."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "examples.conference"]
ANYWHERE = ("--bind=127.0.0.1:0", "--media-addresses=127.0.0.1", "--media-port=0")

KEY = "APItest"
SECRET = "0123456789abcdef0123456789abcdef"
KEYS = {"VISIOMEDIA_KEYS": f"{KEY}: {SECRET}"}


def environment(changes: Mapping[str, str]) -> dict[str, str]:
    """Ours without settings of a node, but for these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VISIOMEDIA_")}
    cache = os.environ.get("VISIOMEDIA_CACHE_DIR")
    return kept | ({"VISIOMEDIA_CACHE_DIR": cache} if cache else {}) | dict(changes)


def run(*flags: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A node that ends by itself."""
    return subprocess.run(
        [*COMMAND, *flags], cwd=ROOT, env=environment(variables), capture_output=True, text=True, timeout=50
    )


class RunningNode:
    """A node that serves, until the end of the block."""

    def __init__(self, *flags: str, **variables: str) -> None:
        self._flags, self._variables = flags, variables
        self.lines: list[dict[str, Any]] = []
        """What it has logged."""
        self.started_within = 0.0
        self.processor_seconds = 0.0
        """What the start took of a core, whatever else the machine did."""

    def __enter__(self) -> Self:
        command = [*COMMAND, *ANYWHERE, "--log-format=json", *self._flags]
        started = time.monotonic()
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment(self._variables), stderr=subprocess.PIPE, text=True
        )
        try:
            while "seconds" not in (line := self._read()):
                self.lines.append(line)
        except BaseException:
            self.process.kill()
            self.process.communicate()
            raise
        self.started_within = time.monotonic() - started
        times = psutil.Process(self.process.pid).cpu_times()
        self.processor_seconds = times.user + times.system
        self.lines.append(line)
        self.address = line["http"]
        # Read on: a node whose log nobody reads would wait for somebody.
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()
        return self

    def _collect(self) -> None:
        assert self.process.stderr is not None
        for text in self.process.stderr:
            self.lines.append(json.loads(text))

    def _read(self) -> dict[str, Any]:
        assert self.process.stderr is not None
        text = self.process.stderr.readline()
        assert text, f"the node did not start: {self.lines}"
        return dict(json.loads(text))

    def ask_to_stop(self) -> None:
        """As an init system does."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Its exit status; what it has logged is in ``lines``."""
        status = self.process.wait(timeout=30)
        self._reader.join()
        return status

    @property
    def log(self) -> str:
        """Everything it has logged."""
        return "\n".join(json.dumps(line) for line in self.lines)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()

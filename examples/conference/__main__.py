"""The conferencing node: LiveKit's clients meet in rooms here.

    python -m examples.conference --dev                  on one's own machine
    python -m examples.conference --config node.yaml     anywhere else

Flags count before the environment (VISIOMEDIA_...), that before the file, that before defaults. docs/node.md has them
all.
"""

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from examples.conference import logs
from examples.conference.app import Node, PortTakenError
from examples.conference.settings import (
    DEV_KEYS,
    NodeSettings,
    SettingsRefusedError,
    every_setting,
    load,
    misspelt_variables,
)
from visiomedia import __version__
from visiomedia.cli import warmup
from visiomedia.errors import VisiomediaError
from visiomedia.jit import HAS_NUMBA, warm_up
from visiomedia.line import Capacities
from visiomedia.turns import warm_up_stages

logger = logging.getLogger("node")

BAD_SETTING = 2
CANNOT_SERVE = 1

PATIENCE = 1.0
"""Seconds of loading kernels after which somebody who watches the log is told what takes so long."""


def parser() -> argparse.ArgumentParser:
    """Flags: one a setting."""
    made = argparse.ArgumentParser(
        prog="python -m examples.conference",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--version", action="version", version=__version__)
    made.add_argument("--config", type=Path, metavar="FILE", help="settings in YAML")
    for setting in every_setting():
        description = (setting.field.description or "").replace("%", "%%")
        if setting.path == ("dev",):
            made.add_argument(setting.flag, dest=setting.name, action="store_const", const=True, help=description)
        elif setting.flag:
            made.add_argument(setting.flag, dest=setting.name, metavar="VALUE", help=description)
    return made


def flags_of(chosen: argparse.Namespace) -> dict[str, Any]:
    """What was set by flags, nested as in the file."""
    flags: dict[str, Any] = {}
    for setting in every_setting():
        value = getattr(chosen, setting.name, None)
        if value is not None:
            inner = flags
            for name in setting.path[:-1]:
                inner = inner.setdefault(name, {})
            inner[setting.path[-1]] = value
    return flags


def load_kernels() -> None:
    """Before anything listens. A progress bar in a terminal; elsewhere lines, where it takes long."""
    console = Console(stderr=True)
    if console.is_terminal:
        warmup(console)
        return
    if not HAS_NUMBA:
        logger.warning("numba is not installed: references run in place of kernels, slowly")
        return
    stages = warm_up_stages(Capacities())
    started = time.monotonic()
    for name, done in warm_up(stages):
        if time.monotonic() - started > PATIENCE and name:
            logger.info("compiling kernels, once: %s (%d of %d)", name, done + 1, len(stages))


def warn(settings: NodeSettings) -> None:
    """Of what is allowed and should be known."""
    for line in misspelt_variables():
        logger.warning("%s", line)
    if settings.dev and not settings.keys:
        key, secret = next(iter(DEV_KEYS.items()))
        logger.warning(
            "--dev: anybody who reaches this port can join any room: the API key is %r and its secret %r, "
            "known to everybody. Never do this on a server.",
            key,
            secret,
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node; returns the exit status."""
    started = time.monotonic()
    chosen = parser().parse_args(arguments)
    try:
        settings = load(flags_of(chosen), chosen.config)
        form = settings.log.format
        if form == "auto":
            form = "text" if settings.dev or sys.stderr.isatty() else "json"
        logs.set_up(settings.log.level, form)
        warn(settings)
        load_kernels()
        asyncio.run(Node(settings, started=started).run())
    except SettingsRefusedError as refusal:
        for line in refusal.lines:
            print(line, file=sys.stderr)
        return BAD_SETTING
    except PortTakenError as error:
        print(error, file=sys.stderr)
        return CANNOT_SERVE
    except VisiomediaError as error:
        print(error, file=sys.stderr)
        return BAD_SETTING
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Log records as lines: one JSON object each, or text for people. No token gets into either."""

import json
import logging
import re
import sys
import time
from datetime import UTC, datetime
from typing import Literal

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

QUIET_PATHS = ("/", "/healthz", "/metrics")
"""Asked every few seconds by machines: told of at debug level only."""

FIELDS = "fields"
"""The attribute of a record that holds what JSON lines tell beside the message."""


TOKEN = re.compile(r"(?<=access_token=)[^&\s'\"\\\\]+|eyJ[\w-]{8,}(?:\.[\w-]*)*")
"""In a query, or by its looks: JSON in base64 begins so."""


def without_tokens(text: str) -> str:
    """What we write ourselves holds none; at debug level aiohttp quotes requests that it cannot parse."""
    return TOKEN.sub("(token)", text)


class JsonFormatter(logging.Formatter):
    """One line a record, newlines in it escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """See the base class."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return without_tokens(json.dumps(line, default=str))


class TextFormatter(logging.Formatter):
    """The hour, the level where it is worth a look, and the message."""

    def format(self, record: logging.LogRecord) -> str:
        """See the base class."""
        hour = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = "" if record.levelno == logging.INFO else f"{record.levelname}: "
        text = f"{hour} {level}{record.getMessage()}"
        if record.exc_info:
            text += f"\n{self.formatException(record.exc_info)}"
        return without_tokens(text)


class AccessLogger(AbstractAccessLogger):
    """Method, path, status and time of a request: no query, no address, no header."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """See the base class."""
        level = logging.DEBUG if request.path in QUIET_PATHS else logging.INFO
        # As it came, so that nothing in it is a newline.
        path = request.rel_url.raw_path
        fields = {"method": request.method, "path": path, "status": response.status, "seconds": round(time, 3)}
        message = "%s %s answered %d after %.3f s"
        self.logger.log(level, message, request.method, path, response.status, time, extra={FIELDS: fields})


def set_up(level: str, form: Literal["json", "text"]) -> None:
    """Log to stderr from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # They compile for minutes, and tell of every step.
    logging.getLogger("numba").setLevel(logging.WARNING)

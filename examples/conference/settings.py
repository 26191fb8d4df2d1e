"""Settings of the node: flags before the environment before a file before defaults, and each error in one line."""

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from visiomedia.conference.settings import RoomSettings
from visiomedia.errors import ConfigurationError
from visiomedia.livekit.service import SECURE_SECRET
from visiomedia.livekit.settings import LiveKitSettings

PREFIX = "VISIOMEDIA_"
DELIMITER = "__"

DEV_KEYS = {"devkey": "secret"}
"""What every LiveKit tutorial uses: known to everybody, so for one's own machine only."""

LEAST_SECRET = SECURE_SECRET

NO_KEYS = (
    "at least one API key with its secret: write `keys: {MYKEY: SECRET}` into the --config file or set "
    "VISIOMEDIA_KEYS='MYKEY: SECRET' (`openssl rand -hex 32` makes a secret), or try the node out with --dev"
)

LIBRARY_VARIABLES = ("VISIOMEDIA_CACHE_DIR", "VISIOMEDIA_PLANE")
"""Of the library itself, no settings of the node."""


class SettingsRefusedError(Exception):
    """Settings that cannot work: one line for each."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = list(lines)


@dataclass(frozen=True, slots=True)
class Wants:
    """What a setting wants, as its errors and the documentation say it."""

    text: str


class Endpoint(NamedTuple):
    """Where a TCP server listens."""

    host: str
    """Empty: every address of the machine."""
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _endpoint(value: object) -> object:
    if not isinstance(value, str):
        return value
    host, separator, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if not separator or not port.isdecimal() or not port.isascii() or int(port) > 65535:
        raise ValueError("no host:port")
    if host:
        ip_address(host)
    return Endpoint(host, int(port))


def _addresses(value: object) -> object:
    """Flags and the environment write several as one text."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _address(value: str) -> str:
    return str(ip_address(value))


Bind = Annotated[Endpoint, BeforeValidator(_endpoint)]
HOST_PORT = Wants("HOST:PORT with an IP address, or :PORT for every address; port 0 takes a free one")
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False), Wants("0 or more seconds")]
SomeSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False), Wants("a positive number of seconds")]
Count = Annotated[int, Field(ge=0), Wants("a whole number, 0 for no limit")]
Flag = Annotated[bool, Wants("true or false")]


class Section(BaseModel):
    """Settings that belong together."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class MediaSection(Section):
    """Where media flow."""

    addresses: Annotated[
        tuple[Annotated[str, AfterValidator(_address)], ...],
        BeforeValidator(_addresses),
        Wants("IP addresses of this machine, a list or separated by commas"),
        Field(description="where clients reach this host by UDP; empty: every address it has"),
    ] = ()
    port: Annotated[
        int,
        Wants("a port, 0 to 65535; 0 takes a free one"),
        Field(ge=0, le=65535, description="the one UDP port of all media"),
    ] = 7882
    tcp_port: Annotated[
        int,
        Wants("a port, 1 to 65535"),
        Field(ge=1, le=65535, description="reserved for media over TCP; nothing listens there yet"),
    ] = 7881


class RoomSection(Section):
    """Limits of each room."""

    empty_timeout: Annotated[Seconds, Field(description="a room that nobody has joined ends after this")] = 300.0
    departure_timeout: Annotated[Seconds, Field(description="a room that everybody has left ends after this")] = 20.0
    max_participants: Annotated[Count, Field(description="in one room")] = 0


class LiveKitSection(Section):
    """What LiveKit's clients meet."""

    max_rooms: Annotated[int, Wants("a whole number, 1 or more"), Field(ge=1, description="at one time")] = 10_000
    auto_create: Annotated[Flag, Field(description="whether a room is made when somebody joins it")] = True
    region: Annotated[str, Wants("text"), Field(description="what clients are told of where the node is")] = ""
    join_timeout: Annotated[SomeSeconds, Field(description="how long a client's media may take to flow")] = 60.0
    resume_timeout: Annotated[
        SomeSeconds, Field(description="how long a participant whose websocket is lost is kept while its media flow")
    ] = 60.0


class LogSection(Section):
    """What is written to stderr."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value),
        Wants("debug, info, warning or error"),
        Field(description="the least that is written; only debug shows addresses of clients"),
    ] = "info"
    format: Annotated[
        Literal["auto", "json", "text"],
        Wants("auto, json or text"),
        Field(description="json: one object a line; auto: text in a terminal and with --dev, json elsewhere"),
    ] = "auto"


class NodeSettings(BaseSettings):
    """Everything that can be set. The documentation's table is made of this."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=DELIMITER, extra="forbid", frozen=True, env_ignore_empty=True
    )

    dev: Annotated[
        Flag,
        Field(description="for one's own machine: the known key devkey with secret secret, on loopback, text logs"),
    ] = False
    bind: Annotated[
        Bind | None,
        HOST_PORT,
        Field(description="where HTTP and websockets are served; unset: `:7880`, with --dev `127.0.0.1:7880`"),
    ] = None
    metrics_bind: Annotated[
        Bind | None, HOST_PORT, Field(description="where `/metrics` and `/healthz` are served; unset: with the rest")
    ] = None
    shutdown_timeout: Annotated[
        Seconds, Field(description="how long clients may take to leave when the node is stopped")
    ] = 10.0
    keys: Annotated[
        dict[str, SecretStr],
        Wants(f"API keys, each with a secret of {LEAST_SECRET} or more characters"),
        Field(description="who may sign access tokens; by file or environment only, as other users can see flags"),
    ] = {}  # pydantic copies it
    media: MediaSection = MediaSection()
    room: RoomSection = RoomSection()
    livekit: LiveKitSection = LiveKitSection()
    log: LogSection = LogSection()

    @property
    def http(self) -> Endpoint:
        """Where HTTP and websockets are served."""
        return self.bind or Endpoint("127.0.0.1" if self.dev else "", 7880)

    @property
    def secrets(self) -> dict[str, str]:
        """Secrets by API key."""
        given = {key: secret.get_secret_value() for key, secret in self.keys.items()}
        return given or (dict(DEV_KEYS) if self.dev else {})

    def service(self) -> LiveKitSettings:
        """What the LiveKit service is built with."""
        return LiveKitSettings(room=RoomSettings(**self.room.model_dump()), **self.livekit.model_dump())


class Setting(NamedTuple):
    """One value that can be set."""

    path: tuple[str, ...]
    field: FieldInfo

    @property
    def name(self) -> str:
        """As errors and the documentation write it."""
        return ".".join(self.path)

    @property
    def flag(self) -> str:
        """On the command line; empty where it has none."""
        return "" if self.path == ("keys",) else "--" + "-".join(self.path).replace("_", "-")

    @property
    def variable(self) -> str:
        """In the environment."""
        return PREFIX + DELIMITER.join(self.path).upper()

    @property
    def wants(self) -> str:
        """What it wants."""
        return next(entry.text for entry in reversed(self.field.metadata) if isinstance(entry, Wants))


@cache
def every_setting() -> tuple[Setting, ...]:
    """In the order of declaration."""
    return tuple(_settings_of(NodeSettings, ()))


def _settings_of(model: type[BaseModel], above: tuple[str, ...]) -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from _settings_of(inner, (*above, name))
        else:
            yield Setting((*above, name), field)


class Environment(EnvSettingsSource):
    """Lists and mappings are written as in the file: JSON, or shorter YAML."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """See the base class. Raises ValueError."""
        try:
            return yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ValueError("it is no YAML") from error


def load(flags: Mapping[str, Any], file: Path | None) -> NodeSettings:
    """The settings: flags (nested, as in the file) before the environment before the file before defaults.

    Raises SettingsRefusedError.
    """
    written = read(file) if file is not None else {}

    class Sourced(NodeSettings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            environment = Environment(settings_cls)
            # Keys replace keys: merged, those that an operator thinks replaced would still open every room.
            rest = {name: value for name, value in written.items() if name != "keys" or "keys" not in environment()}
            return init_settings, environment, InitSettingsSource(settings_cls, rest)

    try:
        settings = Sourced(**flags)
        settings.service()
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        raise SettingsRefusedError(
            [_line(tuple(map(str, one["loc"])), one["type"], one["input"]) for one in details]
        ) from None
    except SettingsError as error:
        raise SettingsRefusedError([_undecoded(error)]) from None
    except ConfigurationError as error:
        raise SettingsRefusedError([str(error)]) from None
    problems = list(_key_problems(settings))
    if problems:
        raise SettingsRefusedError(problems)
    return settings


def read(file: Path) -> dict[str, Any]:
    """What a YAML file says. Raises SettingsRefusedError."""
    try:
        written = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise _unreadable(file, f"a file that can be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise _unreadable(file, "a file in UTF-8") from None
    except yaml.MarkedYAMLError as error:
        # Not the line itself: it may hold a secret.
        where = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise _unreadable(file, f"YAML ({error.problem}{where})") from None
    except yaml.YAMLError:
        raise _unreadable(file, "YAML") from None
    if written is None:
        return {}
    if not isinstance(written, dict):
        raise _unreadable(file, f"a mapping of settings (it holds a {type(written).__name__})")
    return {str(name): value for name, value in written.items()}


def _unreadable(file: Path, wanted: str) -> SettingsRefusedError:
    return SettingsRefusedError([f"config: got {str(file)!r}, wants {wanted}"])


def misspelt_variables(environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Variables that look like ours and are none: a line for each.

    No errors: Kubernetes gives variables of such names to every container beside a service called visiomedia.
    """
    known = {setting.variable for setting in every_setting()}
    for name in sorted(environment):
        if name.upper().startswith(PREFIX) and name.upper() not in known and name not in LIBRARY_VARIABLES:
            near = difflib.get_close_matches(name.upper(), known, 1)
            yield f"{name} in the environment is no setting" + (f"; did you mean {near[0]}?" if near else "")


def _line(location: tuple[str, ...], kind: str, got: object) -> str:
    name = ".".join(location)
    if kind == "extra_forbidden":
        shown = "a value" if got is not None else "nothing"
        return f"{name}: got {shown}, wants no such setting: {_suggestion(location)}"
    setting = next((one for one in every_setting() if location[: len(one.path)] == one.path), None)
    if setting is None:
        return f"{name}: got {got!r}, wants a mapping of settings"
    if setting.path == ("keys",):
        # Whatever stands there may be a secret.
        return f"{name}: got what is not shown here, wants {setting.wants}"
    return f"{setting.name}: got {got!r}, wants {setting.wants}"


def _suggestion(location: tuple[str, ...]) -> str:
    depth = len(location)
    beside = sorted({one.path[depth - 1] for one in every_setting() if one.path[: depth - 1] == location[:-1]})
    elsewhere = [one.name for one in every_setting() if one.path[-1] == location[-1]]
    if elsewhere:
        return f"did you mean {elsewhere[0]}?"
    near = difflib.get_close_matches(location[-1].lower(), beside, 1)
    if near:
        return f"did you mean {'.'.join((*location[:-1], near[0]))}?"
    return f"there are {', '.join(beside)}"


def _undecoded(error: SettingsError) -> str:
    name = next((one for one in every_setting() if f'"{one.path[-1]}"' in str(error)), None)
    if name is None:
        return "environment: got what cannot be read, wants YAML or JSON"
    return f"{name.name}: got what is no YAML in {name.variable}, wants {name.wants}"


def _key_problems(settings: NodeSettings) -> Iterator[str]:
    secrets = settings.secrets
    if not secrets:
        yield f"keys: got none, wants {NO_KEYS}"
    for key, secret in secrets.items():
        if not key or not secret:
            yield f"keys: got an empty key or secret, wants {NO_KEYS}"
        elif len(secret) < LEAST_SECRET and not settings.dev:
            yield (
                f"keys.{key}: got a secret of {len(secret)} characters, wants {LEAST_SECRET} or more "
                "(`openssl rand -hex 32` makes one); shorter ones are for --dev"
            )

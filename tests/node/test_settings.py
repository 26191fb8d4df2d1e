"""Settings: what counts before what, and what each error says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from examples.conference.__main__ import flags_of, parser
from examples.conference.settings import (
    Endpoint,
    NodeSettings,
    SettingsRefusedError,
    every_setting,
    load,
    misspelt_variables,
)
from tests.node.process import KEY, KEYS, ROOT, SECRET, run

FILE_KEYS = f"keys: {{{KEY}: {SECRET}}}\n"


@pytest.fixture(autouse=True)
def no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in every_setting():
        monkeypatch.delenv(setting.variable, raising=False)


def settings_of(*flags: str, file: Path | None = None) -> NodeSettings:
    return load(flags_of(parser().parse_args(flags)), file)


def written(folder: Path, text: str) -> Path:
    path = folder / "node.yaml"
    path.write_text(text)
    return path


def refused(*flags: str, file: Path | None = None) -> list[str]:
    with pytest.raises(SettingsRefusedError) as refusal:
        settings_of(*flags, file=file)
    return refusal.value.lines


def test_flags_count_before_environment_before_file_before_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, FILE_KEYS + "media: {port: 1001}\nroom: {max_participants: 11, empty_timeout: 12}\n")
    assert settings_of(file=file).media.port == 1001
    monkeypatch.setenv("VISIOMEDIA_MEDIA__PORT", "1002")
    monkeypatch.setenv("VISIOMEDIA_ROOM__MAX_PARTICIPANTS", "22")
    assert settings_of(file=file).media.port == 1002
    settings = settings_of("--media-port", "1003", file=file)
    assert settings.media.port == 1003
    # Of one section, each value comes from where it was said.
    room = settings.service().room
    assert (room.max_participants, room.empty_timeout, room.departure_timeout) == (22, 12.0, 20.0)


def test_lists_and_mappings_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISIOMEDIA_KEYS", f"APIone: {SECRET}")
    monkeypatch.setenv("VISIOMEDIA_MEDIA__ADDRESSES", "127.0.0.1, ::1")
    settings = settings_of()
    assert settings.secrets == {"APIone": SECRET}
    assert settings.media.addresses == ("127.0.0.1", "::1")


def test_keys_of_the_environment_replace_those_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISIOMEDIA_KEYS", f"APInew: {SECRET}")
    assert set(settings_of(file=written(tmp_path, FILE_KEYS)).secrets) == {"APInew"}


def test_dev_is_for_ones_own_machine() -> None:
    settings = settings_of("--dev")
    assert settings.secrets == {"devkey": "secret"}
    assert settings.http == Endpoint("127.0.0.1", 7880)
    assert settings_of("--dev", "--bind", "[::]:80").http == Endpoint("::", 80)


def test_ports_are_those_of_livekit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISIOMEDIA_KEYS", KEYS["VISIOMEDIA_KEYS"])
    settings = settings_of()
    assert (settings.http, settings.media.tcp_port, settings.media.port) == (Endpoint("", 7880), 7881, 7882)


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    assert SECRET not in repr(settings_of(file=written(tmp_path, FILE_KEYS)))


@pytest.mark.parametrize(
    ("flags", "text", "line"),
    [
        (("--media-port=abc",), "", "media.port: got 'abc', wants a port, 0 to 65535; 0 takes a free one"),
        (("--media-port=70000",), "", "media.port: got '70000', wants a port, 0 to 65535; 0 takes a free one"),
        (("--bind=x",), "", "bind: got 'x', wants HOST:PORT"),
        (("--bind=localhost:80",), "", "bind: got 'localhost:80', wants HOST:PORT with an IP address"),
        (("--bind=:99999",), "", "bind: got ':99999', wants HOST:PORT"),
        (("--media-addresses=127.0.0.1,nowhere",), "", "media.addresses: got 'nowhere', wants IP addresses"),
        (("--log-level=loud",), "", "log.level: got 'loud', wants debug, info, warning or error"),
        (("--shutdown-timeout=-1",), "", "shutdown_timeout: got '-1', wants 0 or more seconds"),
        (("--livekit-join-timeout=0",), "", "livekit.join_timeout: got '0', wants a positive number of seconds"),
        (("--livekit-join-timeout=nan",), "", "livekit.join_timeout: got 'nan', wants a positive number of seconds"),
        ((), "media: 5", "media: got 5, wants a mapping of settings"),
        ((), "livekit: {auto_create: perhaps}", "livekit.auto_create: got 'perhaps', wants true or false"),
        ((), "media: {prot: 1}", "media.prot: got a value, wants no such setting: did you mean media.port?"),
        ((), "shutdown_timout: 1", "shutdown_timout: got a value, wants no such setting: did you mean shutdown_tim"),
        ((), "max_rooms: 1", "max_rooms: got a value, wants no such setting: did you mean livekit.max_rooms?"),
        ((), "media: {zzz: 1}", "media.zzz: got a value, wants no such setting: there are addresses, port, tcp_port"),
        ((), "keys: hunter2", "keys: got what is not shown here, wants API keys, each with a secret of 32 or more"),
        ((), "keys: {a: [hunter2]}", "keys.a: got what is not shown here, wants API keys, each with a secret"),
    ],
)
def test_each_error_names_the_setting_what_it_got_and_what_it_wants(
    tmp_path: Path, flags: tuple[str, ...], text: str, line: str
) -> None:
    lines = refused("--dev", *flags, file=written(tmp_path, text))
    assert len(lines) == 1
    assert lines[0].startswith(line)


def test_every_error_is_told_at_once() -> None:
    assert [line.split(":")[0] for line in refused("--media-port=x", "--log-level=x")] == ["media.port", "log.level"]


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"a: [1\nb: hunter2", "wants YAML ("),
        (b"- hunter2", "wants a mapping of settings (it holds a list)"),
        (b"\xff\xfe\xfa", "wants a file in UTF-8"),
    ],
)
def test_a_file_that_makes_no_sense_is_named(tmp_path: Path, content: bytes, wanted: str) -> None:
    path = tmp_path / "node.yaml"
    path.write_bytes(content)
    (line,) = refused(file=path)
    assert line.startswith(f"config: got '{path}', {wanted}")
    assert "hunter2" not in line


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "no.yaml"
    assert refused(file=path) == [f"config: got '{path}', wants a file that can be read (No such file or directory)"]


def test_a_variable_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISIOMEDIA_KEYS", "{a: hunter2")
    (line,) = refused()
    assert line.startswith("keys: got what is no YAML in VISIOMEDIA_KEYS, wants API keys")
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "keys: got none, wants at least one API key with its secret"),
        ("keys: {k: short}", "keys.k: got a secret of 5 characters, wants 32 or more"),
        ("keys: {k: ''}", "keys: got an empty key or secret, wants at least one"),
    ],
)
def test_outside_dev_there_must_be_keys_with_long_secrets(tmp_path: Path, text: str, problem: str) -> None:
    (line,) = refused(file=written(tmp_path, text))
    assert line.startswith(problem)


def test_variables_that_are_nearly_ours_are_told_of() -> None:
    environment: Mapping[str, str] = {
        "VISIOMEDIA_MEDIA_PORT": "1",
        "VISIOMEDIA_MEDIA__PORT": "1",
        "VISIOMEDIA_CACHE_DIR": "/",
        "HOME": "/",
    }
    assert list(misspelt_variables(environment)) == [
        "VISIOMEDIA_MEDIA_PORT in the environment is no setting; did you mean VISIOMEDIA_MEDIA__PORT?"
    ]


@pytest.mark.parametrize(
    ("flags", "variables", "expected"),
    [
        ((), {}, "keys: got none, wants at least one API key"),
        (("--dev",), {"VISIOMEDIA_MEDIA__PORT": "x"}, "media.port: got 'x', wants a port"),
        (("--config", "/nowhere.yaml"), {}, "config: got '/nowhere.yaml', wants a file that can be read"),
        (("--no-such-flag",), {}, "usage: "),
    ],
)
def test_a_bad_setting_ends_the_process_with_status_2(
    flags: tuple[str, ...], variables: dict[str, Any], expected: str
) -> None:
    ended = run(*flags, **variables)
    assert ended.returncode == 2
    assert ended.stderr.startswith(expected)
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def table() -> str:
    """Every setting, as docs/node.md shows it."""
    rows = ["| setting | flag | default | wants | what it is |", "| --- | --- | --- | --- | --- |"]
    for setting in every_setting():
        default = setting.field.default
        shown = "" if default in (None, (), "") or default == {} else f"`{str(default).lower()}`"
        flag = f"`{setting.flag}`" if setting.flag else ""
        rows.append(f"| `{setting.name}` | {flag} | {shown} | {setting.wants} | {setting.field.description} |")
    return "\n".join(rows)


def test_the_documentation_has_every_setting() -> None:
    page = (ROOT / "docs" / "node.md").read_text()
    assert table() in page, f"docs/node.md wants this table:\n{table()}"

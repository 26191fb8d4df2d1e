"""What clients say of themselves in the query."""

import base64

import pytest

from visiomedia.errors import ConfigurationError, ParseError
from visiomedia.livekit.client import Client, parse_client
from visiomedia.livekit.settings import LiveKitSettings


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def test_the_python_sdks_query_is_understood() -> None:
    query = {
        "sdk": "python",
        "os": "Debian",
        "protocol": "18",
        "client_protocol": "2",
        "auto_subscribe": "0",
        "adaptive_stream": "1",
        "version": "1.2.1",
        "capabilities": "CAP_PACKET_TRAILER,CAP_COMPRESSION_DEFLATE_RAW,CAP_OF_THE_FUTURE",
        "attributes": encoded('{"a": "b"}'),
    }
    assert parse_client(query) == Client(
        protocol=18,
        sdk="python",
        version="1.2.1",
        auto_subscribe=False,
        adaptive_stream=True,
        client_protocol=2,
        capabilities=(1, 2),
        attributes={"a": "b"},
    )


def test_an_empty_query_is_of_an_old_client_that_wants_everything() -> None:
    client = parse_client({})
    assert client.auto_subscribe and not client.takes_subscriber_first and not client.is_back


def test_a_client_that_comes_back_says_who_it_was() -> None:
    client = parse_client({"reconnect": "1", "sid": "PA_x", "protocol": "17"})
    assert client.is_back and client.sid == "PA_x" and client.takes_subscriber_first


@pytest.mark.parametrize("number", ["-1", "²", "9999999999", "x", "1.5"])
def test_a_protocol_that_is_no_number_is_none(number: str) -> None:
    assert parse_client({"protocol": number}).protocol == 0


@pytest.mark.parametrize(
    "attributes", ["%", encoded("nonsense"), encoded("[]"), encoded('{"a": 1}'), encoded("[" * 9999)]
)
def test_attributes_that_are_none_are_refused(attributes: str) -> None:
    with pytest.raises(ParseError):
        parse_client({"attributes": attributes})


@pytest.mark.parametrize(
    "wrong", [{"ping_interval": 0}, {"ping_timeout": 5}, {"resume_timeout": 0.0}, {"publish_codecs": ()}]
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        LiveKitSettings(**wrong)  # type: ignore[arg-type]  # a table

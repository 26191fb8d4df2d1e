"""ICE credentials."""

import pytest

from tests.ice.scripted_peer import counted_entropy
from visiomedia.errors import ConfigurationError
from visiomedia.ice import Credentials


def test_generated_credentials_are_long_enough_and_come_from_the_entropy_given() -> None:
    made = Credentials.generate(counted_entropy)
    assert made == Credentials("AQIDBAUG", "AQIDBAUGBwgJCgsMDQ4PEBES")
    assert Credentials.generate() != Credentials.generate()


def test_password_does_not_stand_in_the_repr() -> None:
    assert "secret" not in repr(Credentials("ufrag", "secretsecretsecretsecret"))


@pytest.mark.parametrize("ufrag", ["abc", "a" * 257, "ab:cd", "ab cd", "abcé", "abc\n"])
def test_wrong_ufrag_is_refused(ufrag: str) -> None:
    with pytest.raises(ConfigurationError, match="ufrag"):
        Credentials(ufrag, "p" * 22)


@pytest.mark.parametrize("password", ["p" * 21, "p" * 257, "p" * 22 + " ", "p" * 22 + "\N{BULLET}"])
def test_wrong_password_is_refused_without_being_repeated(password: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Credentials("ufrag", password)
    assert "ppp" not in str(caught.value)

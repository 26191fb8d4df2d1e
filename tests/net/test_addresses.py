"""Hosts, their bytes and their sockaddr, against the standard library's sockets."""

import ctypes
import ipaddress
import socket
import struct
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiomedia.engine import Address
from visiomedia.errors import ConfigurationError
from visiomedia.net import interface_addresses
from visiomedia.net.addresses import address_from_bytes, address_to_bytes, family_of, path_command, sockaddr
from visiomedia.net.tables import PathKind

HOSTS = st.one_of(
    st.ip_addresses(v=4),
    # A mapped address is written as the IPv4 it maps, so it does not come back as it was.
    st.ip_addresses(v=6).filter(lambda address: isinstance(address, ipaddress.IPv6Address) and not address.ipv4_mapped),
)


@given(HOSTS)
def test_sixteen_bytes_and_back(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    data = address_to_bytes(str(address))
    assert len(data) == 16
    assert ipaddress.ip_address(address_from_bytes(data)) == address


@given(st.ip_addresses(v=4))
def test_ipv4_is_mapped_as_rfc_4291_says(address: ipaddress.IPv4Address) -> None:
    mapped = ipaddress.IPv6Address(address_to_bytes(str(address)))
    assert mapped.ipv4_mapped == address


def test_text_is_as_sockets_write_it() -> None:
    assert address_from_bytes(address_to_bytes("2001:0db8:0:0::0001")) == "2001:db8::1"
    assert address_from_bytes(address_to_bytes("::ffff:192.0.2.1")) == "192.0.2.1"
    assert address_from_bytes(bytes(16)) == "::"


@pytest.mark.parametrize(
    ("host", "family"), [("192.0.2.1", 4), ("::1", 6), ("2001:db8::1", 6), ("::ffff:192.0.2.1", 6)]
)
def test_family(host: str, family: int) -> None:
    assert family_of(host) == family


@pytest.mark.parametrize("host", ["", "localhost", "192.0.2", "192.0.2.256", "2001:db8::g", "1.2.3.4:5"])
def test_what_is_no_address_is_refused_with_its_words(host: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        family_of(host)
    assert refused.value.got == host


@pytest.mark.skipif(sys.platform != "linux", reason="the layout is that of Linux")
@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_sockaddr_is_what_the_system_itself_writes(host: str, family: int) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as opened:
        opened.bind((host, 0))
        port = opened.getsockname()[1]
        name = ctypes.create_string_buffer(64)
        length = ctypes.c_uint(64)
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.getsockname(opened.fileno(), name, ctypes.byref(length)) == 0
        assert sockaddr(host, port) == name.raw[: length.value]


@pytest.mark.skipif(sys.platform != "linux", reason="the layout is that of Linux")
@given(HOSTS, st.integers(0, 65535))
def test_sockaddr_holds_family_port_and_host(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> None:
    data = sockaddr(str(address), port)
    (family,), (wire_port,) = struct.unpack_from("=H", data), struct.unpack_from("!H", data, 2)
    assert wire_port == port
    if address.version == 4:
        assert (len(data), family) == (16, socket.AF_INET)
        assert socket.inet_ntop(socket.AF_INET, data[4:8]) == str(address)
    else:
        assert (len(data), family) == (28, socket.AF_INET6)
        assert socket.inet_ntop(socket.AF_INET6, data[8:24]) == socket.inet_ntop(socket.AF_INET6, address.packed)


@pytest.mark.parametrize(("host", "length"), [("192.0.2.7", 16), ("2001:db8::7", 28)])
def test_path_command_tells_everything_of_a_path(host: str, length: int) -> None:
    values, body = path_command(Address(1, host, 5004), 42)
    assert values == (PathKind.UDP, 42, 1, 5004, length)
    assert body == address_to_bytes(host) + sockaddr(host, 5004).ljust(28, b"\0")


class Adapter:
    """As ifaddr describes a network card."""

    class Entry:
        """One of its addresses: text for IPv4, (text, flow, scope) for IPv6."""

        def __init__(self, ip: str | tuple[str, int, int]) -> None:
            self.ip = ip

    def __init__(self, *addresses: str | tuple[str, int, int]) -> None:
        self.ips = [self.Entry(address) for address in addresses]


@pytest.fixture
def with_adapters(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets what the system says of its network cards."""

    def set_adapters(*adapters: Adapter) -> None:
        monkeypatch.setattr("ifaddr.get_adapters", lambda: list(adapters))

    return set_adapters


def test_this_machine_has_its_loopback() -> None:
    assert "127.0.0.1" in interface_addresses()
    for host in interface_addresses():
        assert not ipaddress.ip_address(host).is_link_local


def test_addresses_come_in_order_and_once(with_adapters: Callable[..., None]) -> None:
    with_adapters(
        Adapter("192.0.2.9", ("2001:db8::9", 0, 0), ("fe80::1", 0, 2)),
        Adapter("127.0.0.1", ("::1", 0, 0)),
        Adapter("169.254.3.4", "192.0.2.9", "192.0.2.3"),
    )
    assert interface_addresses() == ["127.0.0.1", "::1", "192.0.2.3", "192.0.2.9", "2001:db8::9"]


def test_a_machine_without_addresses_has_its_loopback(with_adapters: Callable[..., None]) -> None:
    with_adapters()
    assert interface_addresses() == ["127.0.0.1"]

"""The C structures as record dtypes, against what ctypes lays out for the same declarations."""

import ctypes
import struct
import sys

import numpy as np
import pytest

from visiomedia.net.structures import CONTROL_BYTES, MESSAGE, NAME_BYTES, VECTOR, make_socket_tables
from visiomedia.net.tables import PATH

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the structures are those of Linux")


class Iovec(ctypes.Structure):
    """struct iovec of <sys/uio.h>."""

    _fields_ = (("iov_base", ctypes.c_void_p), ("iov_len", ctypes.c_size_t))


class Msghdr(ctypes.Structure):
    """struct msghdr of <sys/socket.h>."""

    _fields_ = (
        ("msg_name", ctypes.c_void_p),
        ("msg_namelen", ctypes.c_uint),
        ("msg_iov", ctypes.POINTER(Iovec)),
        ("msg_iovlen", ctypes.c_size_t),
        ("msg_control", ctypes.c_void_p),
        ("msg_controllen", ctypes.c_size_t),
        ("msg_flags", ctypes.c_int),
    )


class Mmsghdr(ctypes.Structure):
    """struct mmsghdr of <sys/socket.h>."""

    _fields_ = (("msg_hdr", Msghdr), ("msg_len", ctypes.c_uint))


class SockaddrIn6(ctypes.Structure):
    """struct sockaddr_in6 of <netinet/in.h>."""

    _fields_ = (
        ("sin6_family", ctypes.c_ushort),
        ("sin6_port", ctypes.c_ushort),
        ("sin6_flowinfo", ctypes.c_uint32),
        ("sin6_addr", ctypes.c_uint8 * 16),
        ("sin6_scope_id", ctypes.c_uint32),
    )


class Cmsghdr(ctypes.Structure):
    """struct cmsghdr of <sys/socket.h>."""

    _fields_ = (("cmsg_len", ctypes.c_size_t), ("cmsg_level", ctypes.c_int), ("cmsg_type", ctypes.c_int))


MESSAGE_FIELDS = {
    "name": Msghdr.msg_name.offset,
    "name_length": Msghdr.msg_namelen.offset,
    "vectors": Msghdr.msg_iov.offset,
    "vector_count": Msghdr.msg_iovlen.offset,
    "control": Msghdr.msg_control.offset,
    "control_length": Msghdr.msg_controllen.offset,
    "message_flags": Msghdr.msg_flags.offset,
    "transferred": Mmsghdr.msg_len.offset,
}


def test_iovec_has_its_size_and_offsets() -> None:
    assert VECTOR.itemsize == ctypes.sizeof(Iovec)
    assert offsets(VECTOR) == {"start": Iovec.iov_base.offset, "length": Iovec.iov_len.offset}


def test_mmsghdr_has_its_size() -> None:
    assert MESSAGE.itemsize == ctypes.sizeof(Mmsghdr)


@pytest.mark.parametrize("field", MESSAGE_FIELDS)
def test_mmsghdr_has_each_field_where_it_belongs(field: str) -> None:
    # flags and length are ints that a padded word holds: on a little-endian machine both start at one place, but
    # only where nothing else lies in the padding.
    assert offsets(MESSAGE)[field] == MESSAGE_FIELDS[field]


def test_an_int_of_mmsghdr_reads_as_its_padded_word() -> None:
    header = Mmsghdr()
    header.msg_hdr.msg_flags = 0x20
    header.msg_len = 1200
    (message,) = np.frombuffer(bytes(header), MESSAGE)
    assert (message["message_flags"], message["transferred"]) == (0x20, 1200)


def test_names_hold_the_largest_address_and_control_holds_an_arrival_time() -> None:
    assert ctypes.sizeof(SockaddrIn6) == NAME_BYTES
    assert PATH["sockaddr"].itemsize == NAME_BYTES
    timespec = struct.calcsize("qq")
    assert ctypes.sizeof(Cmsghdr) + timespec <= CONTROL_BYTES


def test_socket_tables_know_where_a_path_keeps_its_sockaddr() -> None:
    tables = make_socket_tables([(7, 4), (8, 6)])
    assert tables.state[2] == offsets(PATH)["sockaddr"]
    assert [(row.descriptor, row.family) for row in tables.sockets] == [(7, 4), (8, 6)]


def offsets(dtype: np.dtype[np.void]) -> dict[str, int]:
    """Where each field of a record starts."""
    assert dtype.fields is not None
    return {name: field[1] for name, field in dtype.fields.items()}

"""A private network for the whole test process: a fresh Linux network namespace with only loopback, up.

No packet can leave, ports are never taken, and candidates are the same on every machine. ``unshare(2)`` moves
the calling thread; called while there is only one, every later thread and child process inherits it.
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

# include/uapi/linux/sched.h
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWNET = 0x4000_0000

# include/uapi/linux/sockios.h and if.h
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1

INTERFACE_REQUEST = struct.Struct("16sH22x")
"""``struct ifreq``: the interface's name, and its flags as the union's first member."""


class NamespaceError(Exception):
    """This process may not make a network namespace. The message says why and what would allow it."""


def enter_private_network() -> None:
    """Move this process into a network namespace of its own where only 127.0.0.1 and ::1 exist.

    As root a network namespace is enough; others need a user namespace around it, in which they are root.

    Raises:
        NamespaceError: on another system than Linux, or where the kernel says no.
    """
    if sys.platform != "linux":
        raise NamespaceError(f"{sys.platform} has no network namespaces: run these tests on Linux")
    if os.geteuid() == 0:
        _unshare(CLONE_NEWNET)
    else:
        user, group = os.geteuid(), os.getegid()
        _unshare(CLONE_NEWUSER | CLONE_NEWNET)
        # user_namespaces(7): gid_map may be written without privilege only after setgroups(2) is denied.
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _bring_up("lo")


def _unshare(flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(ctypes.c_int(flags)) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise NamespaceError(
            f"unshare: {reason}. Run the tests as root, or allow user namespaces "
            "(sysctl kernel.unprivileged_userns_clone=1)"
        )


def _bring_up(interface: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        name = interface.encode()
        answer = fcntl.ioctl(any_socket, SIOCGIFFLAGS, INTERFACE_REQUEST.pack(name, 0))
        _, flags = INTERFACE_REQUEST.unpack(answer)
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, INTERFACE_REQUEST.pack(name, flags | IFF_UP))


def interface_names() -> list[str]:
    """The network interfaces that this process sees: ``["lo"]`` in a private network."""
    return [name for _, name in socket.if_nameindex()]

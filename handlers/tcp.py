"""What the kernel does for a TCP connection, and what it knows about it."""

from __future__ import annotations

import fcntl
import socket
import struct
import termios

# When the kernel gives up on a peer that has vanished without a word: seconds of silence before the first probe,
# seconds between probes, and how many of these. Some systems lack some of the options.
_KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))

# Look at what is there, and do not wait.
_PEEK = int(socket.MSG_PEEK | socket.MSG_DONTWAIT)


def host_of(address: object) -> str:
    """Return the host of a peer's address, as Tornado has it: 0.0.0.0 where that is none of TCP."""
    return str(address[0]) if isinstance(address, tuple) else "0.0.0.0"  # noqa: S104


def keep_alive(connection: socket.socket) -> None:
    """Have the kernel end the connection when its peer has vanished."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def send_queue(connection: socket.socket) -> int:
    """Return how many bytes the kernel holds that the peer has not acknowledged. Raises OSError."""
    return int(struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0" * 4))[0])


def acknowledged(connection: socket.socket) -> int:
    """Return how many bytes the peer has acknowledged in all; 0 if the system does not tell. Raises OSError."""
    if not hasattr(socket, "TCP_INFO"):
        return 0
    # `tcpi_bytes_acked` of Linux's struct tcp_info.
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 128)
    return int(struct.unpack_from("=Q", info, 120)[0]) if len(info) == 128 else 0


def peer_has_closed(connection: socket.socket) -> bool:
    """Tell whether the peer has closed its side, and nothing of what it sent before is left to read."""
    try:
        return not connection.recv(1, _PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True


def receive_queue(connection: socket.socket) -> int:
    """Return how many bytes the kernel holds that have come and have not been received. Raises OSError."""
    return int(struct.unpack("i", fcntl.ioctl(connection, termios.FIONREAD, b"\0" * 4))[0])


def expect(connection: socket.socket, size: int) -> None:
    """Have the kernel tell of a readable socket only once so many bytes have come, no more fit in, or no more will.

    It makes room for as many as it can (tcp(7), tcp_rmem). Raises OSError.
    """
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)


def limit_unsent(connection: socket.socket, size: int) -> None:
    """Have the kernel take no more for the peer while it holds so many bytes that it could not send yet.

    What is on its way is not counted, so a fast peer far away is not slowed down. Not all systems have this.
    """
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, size)

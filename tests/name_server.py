"""A name server for tests, which knows a few names and their addresses (RFC 1035, 4.1)."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence

A = 1
"""The type of an IPv4 address; of other types a name has nothing."""


def reply(query: bytes, names: Mapping[str, Sequence[str]]) -> bytes:
    """Answer a query of one question by the first label of its name."""
    label = query[13 : 13 + query[12]].decode("ascii")
    end = query.index(b"\0", 12) + 5
    (kind,) = struct.unpack(">H", query[end - 4 : end - 2])
    addresses = names.get(label, ()) if kind == A else ()
    records = b"".join(
        # The name as it stands in the question, a second to live, four bytes.
        struct.pack(">HHHIH", 0xC00C, A, 1, 1, 4) + socket.inet_aton(one)
        for one in addresses
    )
    # An answer, with recursion, without an error; one question.
    return (
        query[:2] + struct.pack(">HHHHH", 0x8180, 1, len(addresses), 0, 0) + query[12:end] + records
    )


@contextlib.contextmanager
def running_name_server(names: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Run one; give its address.

    Args:
        names: Addresses by name, in the order in which they are to be tried.
    """

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            query, sock = self.request
            sock.sendto(reply(query, names), self.client_address)

    with socketserver.UDPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.02])
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()

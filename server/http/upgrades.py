"""HTTP/1.1 that ignores offers to switch to another protocol.

Java's HTTP client offers HTTP/2 (`Upgrade: h2c`) with each first request over plain http, and
browsers offer WebSocket. A server may ignore that and answer in HTTP/1.1 (RFC 9110 7.8). httptools
takes what follows the headers of such a request for another protocol: the body would be lost, and
every further request on the connection.
"""

from __future__ import annotations

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class WithoutUpgrades(HttpToolsProtocol):
    """A connection on which every request is one of HTTP/1.1."""

    _offered = False
    """Whether the request whose headers have come offers another protocol."""

    def on_headers_complete(self) -> None:
        """Begin with the request, unless it has to be read again without its offer."""
        # CONNECT is an upgrade in itself, and refused as such.
        self._offered = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        if not self._offered:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Come to the end of a request."""
        if not self._offered:
            super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        self._unset_keepalive_if_required()
        try:
            while data:
                data = self._fed(data)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def _fed(self, data: bytes) -> bytes:
        """Parse bytes; return what is to be parsed in place of those that could not be."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as stopped:
            if not self._offered:
                raise httptools.HttpParserError from None
            version = self.parser.get_http_version().encode()
            lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
            lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            return b"\r\n".join([*lines, b"", b""]) + data[stopped.args[0] :]
        return b""

"""uvicorn's HTTP protocol with a limit on headers, and refusals of broken HTTP in the service's own shape."""

from __future__ import annotations

import asyncio

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from bayesight.service.http.errors import response

__all__ = ["HEAD_BYTES", "HeadLimitProtocol"]

HEAD_BYTES = 64 * 1024
"""Most that the address and headers of a request may take up."""
LINGER_S = 2.0
"""How long a refused sender may go on before the connection is cut; cut at once, it might not read why."""


class HeadLimitProtocol(HttpToolsProtocol):
    """uvicorn's protocol with two differences.

    Bytes that are no HTTP are answered like every other refusal. And what is not content (headers, trailers,
    the framing of chunks) may take up ``HEAD_BYTES`` and no more than the content besides: the parser itself
    would gather it without end.
    """

    _fed = 0
    _content = 0
    _head = 0
    _refused = False

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._refused:
            return
        self._fed += len(data)
        super().data_received(data)
        if self._fed - self._content > HEAD_BYTES + self._content and not self._refused:
            self._refuse(_too_long())

    def on_message_begin(self) -> None:
        """A request begins."""
        self._fed = self._content = self._head = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of the address."""
        self._head += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer of a chunked body."""
        self._head += len(name) + len(value) + 4
        if self._head > HEAD_BYTES:
            raise ValueError  # ends the parser, which calls send_400_response
        super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Content."""
        self._content += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is whole; what follows is another."""
        super().on_message_complete()
        self._fed = self._content = 0

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser could not read."""
        self._refuse(_too_long() if self._head > HEAD_BYTES else _no_http())

    def _unsupported_upgrade_warning(self) -> None:
        """Whoever asks for another protocol is answered in this one; that needs no line in the log."""

    def _refuse(self, answer: Response) -> None:
        self._refused = True
        begun = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if begun or self.pipeline:  # before or in the middle of another's answer there is no place for one
            self.transport.close()
            return
        if self.cycle is not None:
            self.cycle.disconnected = True  # what it answers is not sent any more
            self.cycle.message_event.set()
        headers = [*answer.raw_headers, (b"connection", b"close")]
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(STATUS_LINE[answer.status_code] + lines + b"\r\n" + bytes(answer.body))
        asyncio.get_running_loop().call_later(LINGER_S, self.transport.close)


def _no_http() -> Response:
    return response(400, "Refused", "this is no HTTP request, or a damaged one; expected HTTP/1.1.")


def _too_long() -> Response:
    message = f"the address and headers are larger than {HEAD_BYTES:,} bytes, the limit."
    return response(431, "TooLarge", message)

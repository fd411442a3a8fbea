"""Requests sent as fast as they are answered, on a number of kept connections, each timed."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """What came of it: seconds of each answer, how long it all took, and the server's processor."""

    elapsed_s: list[float]
    took_s: float
    processor_s: float = 0.0

    @property
    def each_ms(self) -> float:
        """Milliseconds of the server's processor an answer took."""
        return 1e3 * self.processor_s / len(self.elapsed_s)

    @property
    def per_s(self) -> float:
        return len(self.elapsed_s) / self.took_s

    def quantile(self, share: float) -> float:
        ordered = sorted(self.elapsed_s)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def post(path: str, body: bytes, kind: str, headers: str = "") -> bytes:
    """A request as it goes over the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    )
    return f"{head}{headers}\r\n".encode() + body


def fire(port: int, request: bytes, *, connections: int, seconds: float) -> Load:
    """Send one request over and over on each of several connections; every answer must be a 200."""
    return asyncio.run(_fire(port, request, connections, seconds))


async def _fire(port: int, request: bytes, connections: int, seconds: float) -> Load:
    elapsed: list[float] = []
    began = time.perf_counter()
    end = began + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < end:
            sent = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            elapsed.append(time.perf_counter() - sent)
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"{head[:200]!r} {body[:400]!r}")
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return Load(elapsed, time.perf_counter() - began)

"""Work of concurrent requests done together: one thread takes all that waits and answers each."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from bayesight.errors import StorageFailed

__all__ = ["Batcher"]

Job = TypeVar("Job")
Result = TypeVar("Result")


class Batcher(Generic[Job, Result]):
    """A thread that works on jobs of many requests at once.

    Nothing waits for company: the thread takes what has gathered while it was busy, so a lone request is
    answered at once and a crowd shares the work. It is woken when the event loop has read every request that
    had arrived, for those of a crowd arrive together and are read one after the other.

    Guarantees: jobs are taken in the order they came; every job gets its own result or its own error; after
    ``close`` those taken in are finished and no others are accepted.

    Args:
        work: given one or more jobs, returns for each its result or the error to raise; an error it raises
            itself goes to all of them.
        size: how much of ``limit`` a job takes up.
        limit: work is given jobs until they reach it.
        name: of the thread.

    Example:
        >>> async def ask() -> list[int]:
        ...     doubled = Batcher(lambda jobs: [2 * job for job in jobs], name="doubling")
        ...     answers = await asyncio.gather(*map(doubled.ask, range(4)))
        ...     doubled.close()
        ...     return answers
        >>> asyncio.run(ask())
        [0, 2, 4, 6]
    """

    def __init__(
        self,
        work: Callable[[list[Job]], Sequence[Result | Exception]],
        *,
        size: Callable[[Job], int] = lambda job: 1,
        limit: int = 64,
        name: str,
    ) -> None:
        self._work, self._size, self._limit = work, size, limit
        self._begun = False  # there is work that the thread has not taken
        self._waiting: deque[_PendingJob[Job, Result]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def ask(self, job: Job) -> Result:
        """The result of one job.

        Raises:
            StorageFailed: the service is stopping.
            Exception: whatever ``work`` answered.
        """
        asked: _PendingJob[Job, Result] = _PendingJob(job)
        with self._changed:
            if self._closed:
                raise StorageFailed("the service is stopping; ask again in a moment.")
            self._waiting.append(asked)
        asked.loop.call_soon(self._begin, asked.loop, 0)
        return await asked.future

    @property
    def waiting(self) -> int:
        """The number of jobs nobody works on yet."""
        return len(self._waiting)

    def close(self) -> None:
        """Finish what was accepted, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _begin(self, loop: asyncio.AbstractEventLoop, seen: int) -> None:
        """On the event loop: wake the thread, once a look at the network brought nobody new."""
        waiting = len(self._waiting)
        if seen < waiting < self._limit:
            loop.call_soon(self._begin, loop, waiting)
            return
        with self._changed:
            self._begun = bool(self._waiting)
            self._changed.notify()

    def _run(self) -> None:
        while taken := self._take():
            answers: Sequence[Result | Exception]
            try:
                answers = self._work([asked.job for asked in taken])
            except Exception as problem:  # noqa: BLE001 - whoever asked is told
                answers = [problem] * len(taken)
            _deliver(taken, answers)

    def _take(self) -> list[_PendingJob[Job, Result]]:
        """All that waits, up to the limit; nothing when closed and empty."""
        with self._changed:
            while not self._begun and not self._closed:
                self._changed.wait()
            taken: list[_PendingJob[Job, Result]] = []
            total = 0
            while self._waiting:
                total += self._size(self._waiting[0].job)
                if taken and total > self._limit:
                    break
                taken.append(self._waiting.popleft())
            self._begun = bool(self._waiting)
            return taken


class _PendingJob(Generic[Job, Result]):
    """A job and where its answer is waited for."""

    __slots__ = ("future", "job", "loop")

    def __init__(self, job: Job) -> None:
        self.job = job
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Result] = self.loop.create_future()


def _deliver(taken: Sequence[_PendingJob[Job, Result]], answers: Sequence[Result | Exception]) -> None:
    """Wake each event loop once, not once a job."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Result], Result | Exception]]] = {}
    for asked, answer in zip(taken, answers, strict=True):
        by_loop.setdefault(asked.loop, []).append((asked.future, answer))
    for loop, pairs in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, pairs)


def _settle(pairs: Sequence[tuple[asyncio.Future[Result], Result | Exception]]) -> None:
    for future, answer in pairs:
        if future.done():  # whoever asked has left
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)

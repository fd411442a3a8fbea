"""Work of concurrent requests done together: whoever begins takes all that waits and answers each."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from bayesight.errors import StorageFailed

__all__ = ["Batcher"]

Job = TypeVar("Job")
Result = TypeVar("Result")

BRIEF_S = 0.01
"""How long work may keep an event loop from everything else."""


class Batcher(Generic[Job, Result]):
    """Works on jobs of many requests at once, in a thread of its own or, where it is brief, on their loop.

    Nothing waits for company: what has gathered while other work was done is taken together, so that a lone
    request is answered at once and a crowd shares the work. To hand a job to a thread and its result back
    takes a good part of the time a small model does; what was brief the last time is therefore done by the
    event loop itself, when it has taken in the requests that had arrived.

    Guarantees: jobs are taken in the order they came; every job gets its own result or its own error; after
    ``close`` those taken in are finished and no others are accepted.

    Args:
        work: given one or more jobs, returns for each its result or the error to raise; an error it raises
            itself goes to all of them.
        size: how much of ``limit`` a job takes up.
        limit: work is given jobs until they reach it.
        ready: whether work would begin at once and wait for nothing; by default it is never done on a loop.
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
        ready: Callable[[], bool] = lambda: False,
        name: str,
    ) -> None:
        self._work, self._size, self._limit, self._ready = work, size, limit, ready
        self._took_s = math.inf
        self._handed = False  # to the thread, which takes all that waits
        self._passes = 0  # under way on event loops
        self._waiting: deque[_Asked[Job, Result]] = deque()
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
        asked: _Asked[Job, Result] = _Asked(job)
        with self._changed:
            if self._closed:
                raise StorageFailed("the service is stopping; ask again in a moment.")
            self._waiting.append(asked)
        asked.loop.call_soon(self._begin, asked.loop, 0)
        return await asked.future

    @property
    def waiting(self) -> int:
        """How many jobs nobody works on yet."""
        return len(self._waiting)

    def close(self) -> None:
        """Finish what was accepted, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        with self._changed:
            self._changed.wait_for(lambda: not self._passes)

    def _begin(self, loop: asyncio.AbstractEventLoop, seen: int) -> None:
        """On the event loop: work here or hand over, once a look at the network brought nobody new."""
        waiting = len(self._waiting)
        if not waiting:  # another's call took them all
            return
        if seen < waiting < self._limit:
            loop.call_soon(self._begin, loop, waiting)
            return
        brief = self._took_s < BRIEF_S and self._ready()
        with self._changed:
            if self._handed or not self._waiting:
                return
            if not brief or self._size(self._waiting[0].job) > self._limit:
                self._handed = True
                self._changed.notify()
                return
            taken = self._taken()
            self._passes += 1
        self._answer(taken)
        with self._changed:
            self._passes -= 1
            self._changed.notify_all()

    def _run(self) -> None:
        while taken := self._take():
            self._answer(taken)

    def _take(self) -> list[_Asked[Job, Result]]:
        """What the thread is to work on; nothing when closed and empty."""
        with self._changed:
            while not self._handed and not self._closed:
                self._changed.wait()
            taken = self._taken()
            self._handed = bool(self._waiting)
        return taken

    def _answer(self, taken: Sequence[_Asked[Job, Result]]) -> None:
        answers: Sequence[Result | Exception]
        began_s = time.thread_time()  # not the clock's: others may have had the processor meanwhile
        try:
            answers = self._work([asked.job for asked in taken])
        except Exception as problem:  # noqa: BLE001 - whoever asked is told
            answers = [problem] * len(taken)
        self._took_s = time.thread_time() - began_s
        _deliver(taken, answers)

    def _taken(self) -> list[_Asked[Job, Result]]:
        """All that waits, up to the limit; whoever calls holds the lock."""
        taken: list[_Asked[Job, Result]] = []
        total = 0
        while self._waiting:
            total += self._size(self._waiting[0].job)
            if taken and total > self._limit:
                break
            taken.append(self._waiting.popleft())
        return taken


class _Asked(Generic[Job, Result]):
    """A job and where its answer is waited for."""

    __slots__ = ("future", "job", "loop")

    def __init__(self, job: Job) -> None:
        self.job = job
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Result] = self.loop.create_future()


def _deliver(taken: Sequence[_Asked[Job, Result]], answers: Sequence[Result | Exception]) -> None:
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

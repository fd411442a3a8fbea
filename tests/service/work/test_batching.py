"""Work of concurrent requests, taken together by one thread, and each answered with its own."""

import asyncio
import threading

import pytest

from bayesight.errors import InvalidInput, StorageFailed
from bayesight.service.work.batching import Batcher


def test_what_waits_is_worked_on_together_and_each_gets_its_own() -> None:
    batches: list[list[int]] = []
    first = threading.Event()

    def work(jobs: list[int]) -> list:
        batches.append(jobs)
        first.wait(5)
        return [InvalidInput(f"no {job}") if job == 3 else job * job for job in jobs]

    async def ask() -> list:
        batcher: Batcher[int, int] = Batcher(work, limit=4, name="test")
        tasks = [asyncio.create_task(batcher.ask(0))]
        while not batches:
            await asyncio.sleep(0.001)
        tasks += [asyncio.create_task(batcher.ask(job)) for job in range(1, 8)]
        await asyncio.sleep(0.01)
        first.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        batcher.close()
        with pytest.raises(StorageFailed):
            await batcher.ask(9)
        return answers

    answers = asyncio.run(ask())
    assert batches == [[0], [1, 2, 3, 4], [5, 6, 7]]
    assert isinstance(answers[3], InvalidInput)
    assert [a for a in answers if not isinstance(a, Exception)] == [0, 1, 4, 16, 25, 36, 49]


def test_an_error_in_the_work_is_told_to_all_of_the_batch() -> None:
    def work(jobs: list[int]) -> list:
        raise StorageFailed("no disk")

    async def ask() -> list:
        batcher: Batcher[int, int] = Batcher(work, name="test")
        found = await asyncio.gather(*map(batcher.ask, range(3)), return_exceptions=True)
        batcher.close()
        return found

    assert all(isinstance(answer, StorageFailed) for answer in asyncio.run(ask()))


def test_those_of_a_crowd_are_taken_together_and_the_thread_works() -> None:
    batches: list[tuple[str, list[int]]] = []

    def work(jobs: list[int]) -> list[int]:
        batches.append((threading.current_thread().name, jobs))
        return [job * job for job in jobs]

    async def later(job: int, turns: int, batcher: Batcher[int, int]) -> int:
        for _ in range(turns):  # as requests are that the loop reads one after the other
            await asyncio.sleep(0)
        return await batcher.ask(job)

    async def ask() -> None:
        batcher: Batcher[int, int] = Batcher(
            work, limit=4, size=lambda job: 5 if job == 7 else 1, name="test"
        )
        assert await batcher.ask(0) == 0
        assert await asyncio.gather(*(later(job, job, batcher) for job in range(1, 4))) == [1, 4, 9]
        assert await batcher.ask(7) == 49  # more than the limit, and alone
        assert await asyncio.gather(*map(batcher.ask, range(6))) == [0, 1, 4, 9, 16, 25]
        batcher.close()

    asyncio.run(ask())
    assert batches == [("test", jobs) for jobs in ([0], [1, 2, 3], [7], [0, 1, 2, 3], [4, 5])]


def test_jobs_of_many_loops_are_each_answered_once() -> None:
    batcher: Batcher[int, int] = Batcher(lambda jobs: [-job for job in jobs], name="test")

    async def ask(first: int) -> list[int]:
        found: list[int] = []
        for at in range(first, first + 300, 3):
            found += await asyncio.gather(*map(batcher.ask, range(at, at + 3)))
        return found

    answers: dict[int, list[int]] = {}
    askers = [
        threading.Thread(target=lambda n=n: answers.update({n: asyncio.run(ask(n))}), daemon=True)
        for n in (0, 1000, 2000)
    ]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(30)
    batcher.close()
    assert answers == {n: [-job for job in range(n, n + 300)] for n in (0, 1000, 2000)}

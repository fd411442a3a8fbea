import threading

import pytest

from bayesight.cores import available_cores, spread


def test_answers_come_in_the_order_of_the_items(monkeypatch):
    monkeypatch.setattr("bayesight.cores.available_cores", lambda: 4)
    assert spread(lambda item: item * item, range(100)) == [k * k for k in range(100)]
    assert spread(str, []) == []


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (3, 3), (64, 8)])
def test_as_many_threads_as_cores_work_at_once_and_no_more_than_eight(monkeypatch, cores, threads):
    monkeypatch.setattr("bayesight.cores.available_cores", lambda: cores)
    meeting = threading.Barrier(threads, timeout=20)
    seen = set()

    def work(_):
        seen.add(threading.get_ident())
        meeting.wait()  # passes once so many have come

    spread(work, range(4 * threads))
    assert len(seen) == threads


def test_an_error_is_raised_to_the_caller(monkeypatch):
    monkeypatch.setattr("bayesight.cores.available_cores", lambda: 2)
    with pytest.raises(ZeroDivisionError):
        spread(lambda item: 1 // item, [1, 0, 2])


def test_there_is_a_core():
    assert available_cores() >= 1

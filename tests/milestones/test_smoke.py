"""What every milestone in the gallery owes: a smoke run that shows its claim, in a minute of one processor.

A file of its own, so that it runs beside the rest of the contract suite.
"""

import time

import pytest

from bayesight.milestones import Setting, find, names, run, write_card

SMOKE_LIMIT_S = 60


@pytest.mark.parametrize("name", names())
def test_its_smoke_run_reproduces_in_a_minute(name, tmp_path):
    began = time.process_time()
    outcome = run(find(name), Setting(out=tmp_path, smoke=True, threads=1))
    assert outcome.reproduced, [vars(verdict) for verdict in outcome.verdicts]
    assert time.process_time() - began <= SMOKE_LIMIT_S  # of this process, however busy the machine
    assert write_card(outcome, tmp_path).exists()

"""What every milestone in the gallery owes: a smoke run that shows its claim in about a minute.

A file of its own, so that it runs beside the rest of the contract suite.
"""

import pytest

from bayesight.milestones import Setting, find, names, run, write_card


@pytest.mark.parametrize("name", names())
def test_its_smoke_run_reproduces(name, tmp_path):
    outcome = run(find(name), Setting(out=tmp_path, smoke=True, threads=1))
    assert outcome.reproduced, [vars(verdict) for verdict in outcome.verdicts]
    assert write_card(outcome, tmp_path).exists()

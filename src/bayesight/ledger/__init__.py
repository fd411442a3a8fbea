"""The append-only ledger of a classifier in use, on SQLite or PostgreSQL.

``records`` is what can be written down (predictions, labels, updates, erasures), ``store`` the ledger that
keeps it, ``replay`` the way from a run and a ledger to the belief that follows from both, ``learning`` the
way from labels to the next update; ``amending`` withdraws labels and renames classes, ``label_history`` holds
the labels of an image, ``watch`` notices changes of the belief; ``erasure``, ``verification`` and
``exporting`` act on a whole ledger, ``discovery`` finds the ledgers of a run, and ``access`` holds the keys
to a service in front of one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayesight.lazy import door

if TYPE_CHECKING:
    from bayesight.belief.updating import LearningOptions as LearningOptions
    from bayesight.ledger.access import Token as Token
    from bayesight.ledger.access import create_token as create_token
    from bayesight.ledger.access import find_token as find_token
    from bayesight.ledger.access import revoke_token as revoke_token
    from bayesight.ledger.access import tokens as tokens
    from bayesight.ledger.amending import WithdrawalOutcome as WithdrawalOutcome
    from bayesight.ledger.amending import rename_class as rename_class
    from bayesight.ledger.amending import take_back as take_back
    from bayesight.ledger.belief import BeliefState as BeliefState
    from bayesight.ledger.belief import belief_digest as belief_digest
    from bayesight.ledger.belief import run_record as run_record
    from bayesight.ledger.erasure import ErasureOutcome as ErasureOutcome
    from bayesight.ledger.erasure import erase as erase
    from bayesight.ledger.exporting import export as export
    from bayesight.ledger.learning import LearningOutcome as LearningOutcome
    from bayesight.ledger.learning import absorb_queued as absorb_queued
    from bayesight.ledger.learning import learn as learn
    from bayesight.ledger.records import ChainHead as ChainHead
    from bayesight.ledger.records import Entry as Entry
    from bayesight.ledger.records import ErasureRecord as ErasureRecord
    from bayesight.ledger.records import LabelRecord as LabelRecord
    from bayesight.ledger.records import PredictionRecord as PredictionRecord
    from bayesight.ledger.records import PriorRecord as PriorRecord
    from bayesight.ledger.records import Receipt as Receipt
    from bayesight.ledger.records import RenameRecord as RenameRecord
    from bayesight.ledger.records import RunRecord as RunRecord
    from bayesight.ledger.records import UpdateRecord as UpdateRecord
    from bayesight.ledger.records import WithdrawalRecord as WithdrawalRecord
    from bayesight.ledger.replay import begin as begin
    from bayesight.ledger.replay import catch_up as catch_up
    from bayesight.ledger.snapshots import save_snapshot as save_snapshot
    from bayesight.ledger.store import Ledger as Ledger
    from bayesight.ledger.verification import Verification as Verification
    from bayesight.ledger.verification import verify as verify

__getattr__, __dir__, __all__ = door(__name__)

"""What a classifier in use said, learned and forgot: an append-only ledger on SQLite or PostgreSQL.

``records`` is what can be written down, ``store`` the ledger that keeps it, ``replay`` the way from a run and
a ledger to the belief that follows from both, ``amending`` changes of mind about labels and names;
``erasure``, ``verification`` and ``exporting`` act on a whole ledger, and ``access`` holds the keys to a
service in front of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayesight.lazy import door

if TYPE_CHECKING:
    from bayesight.ledger.access import Token as Token
    from bayesight.ledger.access import create_token as create_token
    from bayesight.ledger.access import find_token as find_token
    from bayesight.ledger.access import revoke_token as revoke_token
    from bayesight.ledger.access import tokens as tokens
    from bayesight.ledger.amending import TakenBack as TakenBack
    from bayesight.ledger.amending import rename_class as rename_class
    from bayesight.ledger.amending import take_back as take_back
    from bayesight.ledger.belief import Held as Held
    from bayesight.ledger.belief import belief_digest as belief_digest
    from bayesight.ledger.belief import run_record as run_record
    from bayesight.ledger.erasure import Erased as Erased
    from bayesight.ledger.erasure import erase as erase
    from bayesight.ledger.exporting import export as export
    from bayesight.ledger.records import Entry as Entry
    from bayesight.ledger.records import Erasure as Erasure
    from bayesight.ledger.records import Head as Head
    from bayesight.ledger.records import Label as Label
    from bayesight.ledger.records import Prediction as Prediction
    from bayesight.ledger.records import Prior as Prior
    from bayesight.ledger.records import Receipt as Receipt
    from bayesight.ledger.records import Rename as Rename
    from bayesight.ledger.records import RunRecord as RunRecord
    from bayesight.ledger.records import Update as Update
    from bayesight.ledger.records import Withdrawal as Withdrawal
    from bayesight.ledger.replay import Learned as Learned
    from bayesight.ledger.replay import Lesson as Lesson
    from bayesight.ledger.replay import absorb_queued as absorb_queued
    from bayesight.ledger.replay import begin as begin
    from bayesight.ledger.replay import catch_up as catch_up
    from bayesight.ledger.replay import learn as learn
    from bayesight.ledger.snapshots import save_snapshot as save_snapshot
    from bayesight.ledger.store import Ledger as Ledger
    from bayesight.ledger.verification import Verified as Verified
    from bayesight.ledger.verification import verify as verify

__getattr__, __dir__, __all__ = door(__name__)

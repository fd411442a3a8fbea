"""What a classifier in use said, learned and forgot: an append-only ledger on SQLite or PostgreSQL.

``records`` is what can be written down, ``store`` the ledger that keeps it, ``replay`` the way from a run and
a ledger to the belief that follows from both, ``amending`` changes of mind about labels and names;
``erasure``, ``verification`` and ``exporting`` act on a whole ledger, and ``access`` holds the keys to a
service in front of it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayesight.ledger.access import Token, create_token, find_token, revoke_token, tokens
    from bayesight.ledger.amending import TakenBack, rename_class, take_back
    from bayesight.ledger.belief import Held, belief_digest, run_record
    from bayesight.ledger.erasure import Erased, erase
    from bayesight.ledger.exporting import export
    from bayesight.ledger.records import (
        Entry,
        Erasure,
        Head,
        Label,
        Prediction,
        Prior,
        Receipt,
        Rename,
        RunRecord,
        Update,
        Withdrawal,
    )
    from bayesight.ledger.replay import (
        Learned,
        Lesson,
        absorb_queued,
        begin,
        catch_up,
        learn,
    )
    from bayesight.ledger.snapshots import save_snapshot
    from bayesight.ledger.store import Ledger
    from bayesight.ledger.verification import Verified, verify

_MODULE_OF = {
    "Entry": "records",
    "Erased": "erasure",
    "Erasure": "records",
    "Head": "records",
    "Held": "belief",
    "Label": "records",
    "Learned": "replay",
    "Ledger": "store",
    "Lesson": "replay",
    "Prediction": "records",
    "Prior": "records",
    "Receipt": "records",
    "Rename": "records",
    "RunRecord": "records",
    "TakenBack": "amending",
    "Token": "access",
    "Update": "records",
    "Verified": "verification",
    "Withdrawal": "records",
    "absorb_queued": "replay",
    "begin": "replay",
    "belief_digest": "belief",
    "catch_up": "replay",
    "create_token": "access",
    "erase": "erasure",
    "export": "exporting",
    "find_token": "access",
    "learn": "replay",
    "rename_class": "amending",
    "revoke_token": "access",
    "run_record": "belief",
    "save_snapshot": "snapshots",
    "take_back": "amending",
    "tokens": "access",
    "verify": "verification",
}

__all__ = [
    "Entry",
    "Erased",
    "Erasure",
    "Head",
    "Held",
    "Label",
    "Learned",
    "Ledger",
    "Lesson",
    "Prediction",
    "Prior",
    "Receipt",
    "Rename",
    "RunRecord",
    "TakenBack",
    "Token",
    "Update",
    "Verified",
    "Withdrawal",
    "absorb_queued",
    "begin",
    "belief_digest",
    "catch_up",
    "create_token",
    "erase",
    "export",
    "find_token",
    "learn",
    "rename_class",
    "revoke_token",
    "run_record",
    "save_snapshot",
    "take_back",
    "tokens",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Load the module of a public name when it is first asked for."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

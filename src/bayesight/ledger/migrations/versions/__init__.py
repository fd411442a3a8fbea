"""The steps; a step is never edited once a ledger has taken it."""

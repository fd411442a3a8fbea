"""The command ``bayesight`` as in a user's installation: everything it does is on the clock."""

from __future__ import annotations

import sys

# Lightning Fabric imports torchmetrics where it finds it. Only our tests need it, so a user need not have it.
sys.modules["torchmetrics"] = None  # type: ignore[assignment]

if __name__ == "__main__":
    from bayesight.cli import main

    main()

"""The command ``bayesight`` as in a user's installation: everything it does is on the clock."""

from __future__ import annotations

if __name__ == "__main__":
    from bayesight.cli import main

    main()

"""``python -m bayesight`` is the ``bayesight`` command."""

from bayesight.cli import main

main()

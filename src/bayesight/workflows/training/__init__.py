"""The steps of a training, which ``workflows.train`` takes.

``request`` what, and by which recipe; ``images`` read and split; ``start`` the weights it begins with;
``classify``, ``generate`` and ``texts`` the kinds of model; ``job`` what all of them share.
"""

__all__: list[str] = []

"""The steps of a training, which ``workflows.train`` takes.

``request`` what and how; ``images`` read and split; ``pretrain`` without labels; ``classify``, ``generate``
the two kinds of model; ``finish`` what is kept.
"""

__all__: list[str] = []

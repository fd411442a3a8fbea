"""Tasks on images beyond their class: ``bayesight train SOURCE --task segment``.

``base`` says what a task is, one file a task what is special about it, ``catalogue`` which there are;
``train``, ``evaluate`` and ``predict`` are the same for all.
"""

__all__: list[str] = []

"""Tasks on images beyond their class: ``bayesight train SOURCE --task segment``.

``base`` says what a task is, one file a task what is special about it, ``catalogue`` which there are;
``train`` makes runs and ``answers`` uses them, the same for all.
"""

__all__: list[str] = []

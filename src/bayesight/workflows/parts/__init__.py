"""Jobs on parts of a source that is too large for one machine: one task a part, here or on a Ray cluster."""

__all__: list[str] = []

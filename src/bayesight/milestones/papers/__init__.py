"""One file a paper: its recipe and its predecessor's in four keys, and the claim. See ``catalogue``."""

__all__: list[str] = []

"""Report sections: each is one function from a result to a heading with blocks."""

__all__: list[str] = []

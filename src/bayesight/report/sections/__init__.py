"""Report sections: each is one function from a result to a heading with blocks; their door is the report's."""

__all__: list[str] = []

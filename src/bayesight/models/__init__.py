"""To be described by its first member."""

"""A table of named things that lists, suggests and refuses duplicates."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from bayesight.errors import InvalidInput, UnknownName, nearest

__all__ = ["Registry", "option_problems"]

T = TypeVar("T", bound=Callable[..., Any])


class Registry(Generic[T]):
    """Names to factories, filled by decorator.

    Args:
        kind: what is registered, in the singular, for messages.

    Example:
        >>> losses = Registry("loss")
        >>> @losses.register("hinge")
        ... def hinge(margin: float = 1.0): return margin
        >>> losses.names(), losses["hinge"](margin=2.0)
        (('hinge',), 2.0)
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._members: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Put the decorated factory under ``name``.

        Raises:
            InvalidInput: the name is taken.
        """

        def put(member: T) -> T:
            if name in self._members:
                raise InvalidInput(f"{self.kind} {name!r} is registered already; choose another name.")
            self._members[name] = member
            return member

        return put

    def __getitem__(self, name: str) -> T:
        try:
            return self._members[name]
        except KeyError:
            raise UnknownName(self.kind, name, self._members) from None

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def names(self) -> tuple[str, ...]:
        """Every registered name, sorted."""
        return tuple(sorted(self._members))


def option_problems(
    factory: Callable[..., Any], options: Mapping[str, Any], where: str, fields: Iterable[str] = ()
) -> list[str]:
    """One sentence for each option the factory's keyword arguments do not know.

    Args:
        factory: what the options are for.
        options: as given.
        where: their place, for the message.
        fields: what else can be said in that place and may have been meant.

    Example:
        >>> def mlp(*, hidden=(512,), dropout=0.0): ...
        >>> option_problems(mlp, {"droput": 0.1}, "model.mlp")
        ["model.mlp has no option 'droput'; did you mean 'dropout'? known: dropout, hidden"]
    """
    known = [p.name for p in inspect.signature(factory).parameters.values() if p.kind is p.KEYWORD_ONLY]
    problems = []
    for name in options:
        if name not in known:
            hint = nearest(name, [*known, *fields])
            meant = f"; did you mean {hint!r}?" if hint else ";"
            problems.append(
                f"{where} has no option {name!r}{meant} known: {', '.join(sorted(known)) or 'none'}"
            )
    return problems

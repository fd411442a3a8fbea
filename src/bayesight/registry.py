"""Tables of named factories that list, suggest and refuse duplicates."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from bayesight.errors import InvalidConfig, InvalidInput, UnknownName, listed, nearest, shown
from bayesight.values import problems_of

T = TypeVar("T", bound=Callable[..., Any])


class Registry(Generic[T]):
    """Names to factories, filled by decorator.

    Args:
        kind: noun for a member, in the singular, for messages.

    Example:
        >>> losses = Registry("loss")
        >>> @losses.register("hinge")
        ... def hinge(margin: float = 1.0): return margin
        >>> losses.names(), losses.build("hinge")
        (('hinge',), 1.0)
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._members: dict[str, T] = {}
        self._families: dict[str, Callable[[str], T]] = {}

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

    def family(self, prefix: str) -> Callable[[Callable[[str], T]], Callable[[str], T]]:
        """Put every name ``PREFIX:REST`` under what the decorated function makes of ``REST``."""

        def put(made: Callable[[str], T]) -> Callable[[str], T]:
            self._families[prefix] = functools.cache(made)
            return made

        return put

    def __getitem__(self, name: str) -> T:
        prefix, colon, rest = name.partition(":")
        if colon and prefix in self._families:
            return self._families[prefix](rest)
        try:
            return self._members[name]
        except KeyError:
            raise UnknownName(self.kind, name, self._members) from None

    def build(self, name: str, /, *arguments: Any, **options: Any) -> Any:
        """Call the factory under a name with arguments and options.

        Raises:
            UnknownName: no such name; the message suggests the nearest.
            InvalidConfig: options it does not have, or values they do not take: all of them at once.
        """
        factory = self[name]
        require_options(factory, options, f"{self.kind} {name!r}")
        return factory(*arguments, **options)

    def __contains__(self, name: object) -> bool:
        return name in self._members or (
            isinstance(name, str) and ":" in name and name.partition(":")[0] in self._families
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def names(self) -> tuple[str, ...]:
        """Every registered name, sorted."""
        return tuple(sorted(self._members))


def require_options(factory: Callable[..., Any], options: Mapping[str, Any], where: str) -> None:
    """Refuse options that a factory does not have.

    Raises:
        InvalidConfig: as ``option_problems`` words it.
    """
    if problems := option_problems(factory, options, where):
        raise InvalidConfig(where, problems)


def option_problems(
    factory: Callable[..., Any],
    options: Mapping[str, Any],
    where: str,
    fields: Iterable[str] = (),
    *,
    path: str = "",
) -> list[str]:
    """One sentence for each option the factory's keyword arguments do not know, or that is not what they say.

    An option is held to its annotation, strictly; ``values`` has bounds for numbers and lists of them.

    Args:
        factory: takes the options as keyword-only arguments.
        options: as given.
        where: their place, for the message.
        fields: other names that are valid in that place and may have been meant.
        path: prefix of an option's name where its value is refused.

    Example:
        >>> from typing import Annotated
        >>> from bayesight.values import Within
        >>> def mlp(*, hidden=(512,), dropout=0.0): ...
        >>> option_problems(mlp, {"droput": 0.1}, "model.mlp")
        ["model.mlp has no option 'droput'; did you mean 'dropout'? known: dropout, hidden"]
        >>> def mlp(*, dropout: Annotated[float, Within(0, 1, below=True)] = 0.0): ...
        >>> option_problems(mlp, {"dropout": "x"}, "model.mlp", path="model")
        ["model.dropout is 'x'; expected a number from 0 to below 1"]
    """
    known = _adapters(factory)
    problems = []
    for name, value in options.items():
        if name not in known:
            hint = nearest(name, [*known, *fields])
            meant = f"; did you mean {hint!r}?" if hint else ";"
            problems.append(f"{where} has no option {shown(name)}{meant} known: {listed(sorted(known))}")
            continue
        try:
            known[name].validate_python(value)
        except ValidationError as error:
            problems += problems_of(error, f"{path}.{name}" if path else name)
    return problems


@functools.cache
def _adapters(factory: Callable[..., Any]) -> dict[str, TypeAdapter[Any]]:
    """A validator for each keyword argument of a factory, by its annotation."""
    signature = inspect.signature(factory, eval_str=True)
    kinds = {p.name: p.annotation for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY}
    strict = ConfigDict(strict=True)
    return {
        name: TypeAdapter(Any if kind is inspect.Parameter.empty else kind, config=strict)
        for name, kind in kinds.items()
    }

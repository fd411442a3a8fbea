"""Conjugate families: exact posteriors, updated, downdated and merged by adding sufficient statistics.

Each family is one module with the same functions, which `Family` states; its state keeps the prior and the
sufficient statistics apart, so that any data can be taken out again and two posteriors of one prior merged.

| family | unknown | prior |
| --- | --- | --- |
| `beta` | the rate of a yes/no outcome | Beta |
| `dirichlet` | the probabilities of K outcomes | Dirichlet |
| `normal` | mean and variance of a number | normal-inverse-gamma |
| `wishart` | mean and covariance of a vector | normal-inverse-Wishart |
| `regression` | coefficients and noise of a line or plane | normal-inverse-gamma |
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from bayesight.errors import UnknownName

if TYPE_CHECKING:
    from torch import Tensor

S = TypeVar("S")


class Family(Protocol[S]):
    """The interface of every family's module. ``data`` is one observation a row; S is the family's state."""

    def update(self, state: S, data: Tensor) -> tuple[S, Tensor]:
        """Take data in; the new state, and the log-evidence of these data given the earlier ones (nats)."""

    def downdate(self, state: S, data: Tensor) -> S:
        """Take data out; refused where it shows that they never went in."""

    def merge(self, one: S, other: S) -> S:
        """The posterior of both states' data; they must share one prior."""

    def mean(self, state: S) -> dict[str, Tensor]:
        """Posterior mean of each parameter."""

    def interval(self, state: S, level: float = 0.95) -> dict[str, tuple[Tensor, Tensor]]:
        """Equal-tailed credible interval of each parameter, exact."""

    def log_predictive(self, state: S, data: Tensor) -> Tensor:
        """Log-density (N,) of each row on its own as the next observation, nats."""

    def log_evidence(self, state: S) -> Tensor:
        """Log marginal likelihood of all data taken in so far, in their order, nats."""

    def maximum_likelihood(self, state: S) -> dict[str, Tensor]:
        """The estimate from the data alone, the prior ignored."""


FAMILIES = ("beta", "dirichlet", "normal", "regression", "wishart")
_STATES = {name.capitalize(): name for name in FAMILIES}

__all__ = ["FAMILIES", "Beta", "Dirichlet", "Family", "Normal", "Regression", "Wishart", "family"]


def family(name: str) -> Family[Any]:
    """The module of a family.

    Raises:
        UnknownName: no family is called so.

    Example:
        >>> family("beta").__name__
        'bayesight.bayes.conjugate.beta'
    """
    if name not in FAMILIES:
        raise UnknownName("conjugate family", name, FAMILIES)
    return cast("Family[Any]", import_module(f"{__name__}.{name}"))


def __getattr__(name: str) -> object:
    """Load a state class from its module on first use (PEP 562)."""
    if name not in _STATES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_STATES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return __all__

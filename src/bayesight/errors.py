"""Every error Bayesight raises on purpose.

```
BayesightError
├── InvalidInput          (ValueError)          a value breaks a stated contract
│   ├── UnknownName       (LookupError)         no such model, loss, class, column ...
│   ├── KeyReused                               an idempotency key that stands for other content
│   └── InvalidConfig                           a recipe with one or more problems
├── Impossible            (ArithmeticError)     evidence is zero: no hypothesis allows what was observed
├── SourceNotFound        (FileNotFoundError)   a path that is not there
├── SourceUnreadable      (ValueError)          an archive that is cut off, empty or not what it claims
├── StorageFailed         (OSError)             a disk that is full, a folder that cannot be written
├── DownloadFailed        (OSError)             a server that cuts off, lies or serves another file
├── RunExists             (FileExistsError)     the run folder is already there
├── RunUnreadable         (ValueError)          a run folder that is damaged, or newer than this version
├── TrainingDiverged      (ArithmeticError)     the loss became NaN, infinite or absurd
├── LedgerBroken          (ValueError)          a ledger that is damaged, tampered with or newer
├── BeliefMoved           (RuntimeError)        an update of a belief that is no longer the ledger's
├── NotAllowed            (PermissionError)     a token that does not allow what was asked
└── MissingExtra          (ImportError)         a feature needs an optional dependency
```

The command line turns each of them into one sentence on standard error and exit status 1.
A message says what came, what was expected, and how to mend it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

__all__ = [
    "BayesightError",
    "BeliefMoved",
    "DownloadFailed",
    "Impossible",
    "InvalidConfig",
    "InvalidInput",
    "KeyReused",
    "LedgerBroken",
    "MissingExtra",
    "NotAllowed",
    "RunExists",
    "RunUnreadable",
    "SourceNotFound",
    "SourceUnreadable",
    "StorageFailed",
    "TrainingDiverged",
    "UnknownName",
    "listed",
    "nearest",
    "printable",
    "shortened",
    "shown",
]

_LONGEST = 1500
"""Characters of a message; what is longer loses its middle."""
_LONGEST_WORD = 200
"""Characters without a blank, a path say; a longer one loses its middle."""
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class BayesightError(Exception):
    """The root of the tree; catching it catches all that Bayesight refuses on purpose.

    Whatever its message quotes, a name of 6,000 characters or one that would move a terminal's cursor, the
    message stays short and printable.
    """

    def __init__(self, message: str = "") -> None:
        short = re.sub(
            rf"\S{{{_LONGEST_WORD + 1},}}", lambda word: shortened(word[0], _LONGEST_WORD), message
        )
        super().__init__(shortened(printable(short), _LONGEST))


class InvalidInput(BayesightError, ValueError):
    """A value breaks a stated contract."""


class UnknownName(InvalidInput, LookupError):
    """A name that is not registered; the message suggests the nearest one that is.

    Args:
        kind: what is named, in the singular (``"model"``).
        name: what the caller wrote.
        known: every name that would have been right.

    Example:
        >>> print(UnknownName("model", "resnet-18", ["mlp", "resnet18"]))
        no model is called 'resnet-18'; did you mean 'resnet18'? known: mlp, resnet18
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        hint = nearest(name, self.known)
        meant = f"; did you mean {shown(hint)}?" if hint else ";"
        super().__init__(f"no {kind} is called {shown(name)}{meant} known: {listed(self.known)}")


class InvalidConfig(InvalidInput):
    """A configuration with one or more problems, all of them reported at once.

    Args:
        where: the file or call the configuration came from.
        problems: one sentence each.
    """

    def __init__(self, where: str, problems: Sequence[str]) -> None:
        self.where, self.problems = where, tuple(problems)
        count = f"{len(self.problems)} problem{'s' if len(self.problems) != 1 else ''}"
        told = [shortened(problem, 400) for problem in self.problems[:12]]
        more = [f"and {len(self.problems) - 12} more"] if len(self.problems) > 12 else []
        super().__init__(f"{where}: {count}: " + "; ".join([*told, *more]))


class Impossible(BayesightError, ArithmeticError):
    """The evidence is zero: what was observed cannot happen under any hypothesis with a positive prior."""


class SourceNotFound(BayesightError, FileNotFoundError):
    """A path that does not exist."""


class SourceUnreadable(BayesightError, ValueError):
    """A source of data that is truncated, empty or not of the format it claims."""


class StorageFailed(BayesightError, OSError):
    """Something could not be written: no space, no permission."""


class DownloadFailed(BayesightError, OSError):
    """A download that did not end with the expected bytes."""


class RunExists(BayesightError, FileExistsError):
    """The folder a run should be written to already holds something."""


class RunUnreadable(BayesightError, ValueError):
    """A run folder that is damaged, incomplete, or written by a newer version."""


class TrainingDiverged(BayesightError, ArithmeticError):
    """The loss or the weights became NaN, infinite or absurd; good weights of an earlier look were kept."""


class LedgerBroken(BayesightError, ValueError):
    """A ledger that is damaged, was tampered with, or was written by a newer version."""


class BeliefMoved(BayesightError, RuntimeError):
    """An update was computed from a belief that is no longer the ledger's; catch up and compute it again."""


class KeyReused(InvalidInput):
    """An idempotency key that stands for other content already."""


class NotAllowed(BayesightError, PermissionError):
    """A token that is unknown, expired, revoked, or does not allow what was asked."""


class MissingExtra(BayesightError, ImportError):
    """A feature whose optional dependency is not installed.

    Args:
        feature: what was asked for.
        extra: the name of the extra that installs it.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an optional dependency; pip install 'bayesight[{extra}]'")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like ``name``, or None when nothing is close.

    Example:
        >>> nearest("restnet", ["resnet", "mlp"])
        'resnet'
    """
    folded = {k.casefold(): k for k in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def shown(name: object, longest: int = 60) -> str:
    """A name in quotes, or another value, for a message; a long one loses its middle.

    Example:
        >>> shown("resnet"), shown("a" * 30 + "z" * 30, 13)
        ("'resnet'", "'aaaaaaaa…zzzz'")
    """
    return repr(shortened(name, longest)) if isinstance(name, str) else shortened(repr(name), longest)


def listed(names: Iterable[object], most: int = 12, *, quoted: bool = False) -> str:
    """Names for a message, the first of them where they are many, each one shortened.

    Example:
        >>> listed(["a", "b"]), listed(range(100), 3), listed([])
        ('a, b', '0, 1, 2 and 97 more', 'none')
    """
    every = list(names)
    few = [shown(name) if quoted else shortened(str(name), 60) for name in every[:most]]
    more = f" and {len(every) - most:,} more" if len(every) > most else ""
    return ", ".join(few) + more if every else "none"


def printable(text: str) -> str:
    r"""The text with characters that no terminal should be sent written out, lone surrogates among them.

    Example:
        >>> printable("a\x1b[2Jb")
        'a\\x1b[2Jb'
    """
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def shortened(text: str, longest: int) -> str:
    """The text, or where it is longer its beginning and its end around an ellipsis.

    Example:
        >>> shortened("a" * 30 + "z" * 30, 13)
        'aaaaaaaa…zzzz'
    """
    if len(text) <= longest:
        return text
    tail = (longest - 1) // 3
    return f"{text[: longest - 1 - tail]}…{text[len(text) - tail :]}"

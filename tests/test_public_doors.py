"""Every package has one public door: what it says is public is what is visible, and all of it is there."""

import importlib
import json
import pkgutil
import subprocess
import sys
import types

import pytest

import bayesight

HEAVY = ("torch", "numpy", "scipy", "PIL", "matplotlib", "lightning_fabric", "rich")
PACKAGES = [
    "bayesight",
    *(m.name for m in pkgutil.walk_packages(bayesight.__path__, "bayesight.") if m.ispkg),
]


def modules_after(code):
    """Names of the modules a fresh interpreter holds once ``code`` has run."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_walk_finds_the_packages():
    assert {"bayesight.bayes.conjugate", "bayesight.data", "bayesight.workflows"} < set(PACKAGES)


@pytest.mark.parametrize("name", PACKAGES)
def test_what_is_public_is_what_is_visible(name):
    package = importlib.import_module(name)
    values = {n: getattr(package, n) for n in dir(package) if not n.startswith("_")}
    # Modules of the package's own appear as they are imported; the future's flag is no name of ours.
    chance = {n for n, v in values.items() if isinstance(v, types.ModuleType) and n not in package.__all__}
    assert set(values) - chance - {"annotations"} == set(package.__all__)
    assert len(set(package.__all__)) == len(package.__all__)


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_resolves_and_no_other(name):
    package = importlib.import_module(name)
    for public in package.__all__:
        assert getattr(package, public) is not None, public
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = package.no_such_name


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_function_and_class_is_documented(name):
    package = importlib.import_module(name)
    for public in package.__all__:
        value = getattr(package, public)
        if isinstance(value, type | types.FunctionType | types.ModuleType):
            assert (value.__doc__ or "").strip(), f"{name}.{public}"


@pytest.mark.parametrize("name", PACKAGES)
def test_importing_every_module_first_leaves_the_door_as_it_is(name):
    """A lazy name that is also a module's name would change its meaning with the order of imports."""
    package = importlib.import_module(name)
    inner = {m.name for m in pkgutil.iter_modules(package.__path__)}
    for public in inner & set(package.__all__):
        assert isinstance(getattr(package, public), types.ModuleType), f"{name}.{public} is two things"


def test_importing_the_package_imports_nothing_heavy():
    assert not modules_after("import bayesight").intersection(HEAVY)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["train", "--help"], ["data", "inspect", "--help"]]
)
def test_help_imports_nothing_heavy(arguments):
    code = (
        f"import sys; sys.argv = {['bayesight', *arguments]!r}\n"
        "from bayesight.cli import main\n"
        "try:\n    main()\nexcept SystemExit as leave:\n    assert not leave.code, leave.code\n"
    )
    assert not modules_after(code).intersection(HEAVY)


def test_reading_images_imports_no_torch():
    loaded = modules_after("import bayesight; bayesight.open_store; from bayesight.data.audit import audit")
    assert "numpy" in loaded
    assert "torch" not in loaded


def test_the_front_door_leads_to_the_workflows(shapes_run, shapes):
    from bayesight.workflows.evaluate import evaluate
    from bayesight.workflows.train import train

    assert bayesight.train is train
    assert bayesight.evaluate is evaluate
    result = bayesight.evaluate(shapes_run, shapes, prior="uniform")
    assert result.evaluation.accuracy > 0.9
    assert bayesight.Run.open(shapes_run).classes().names == ("bar", "disc", "ring")
    with pytest.raises(bayesight.BayesightError, match="does not exist"):
        bayesight.open_store("nowhere.tar.gz")

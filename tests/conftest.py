"""Fixtures shared by the whole suite."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data; a skip with its reason on a user's machine, a failure in CI."""
    here = Path(__file__).resolve().parent.parent
    folder = Path(os.environ.get("BAYESIGHT_DATA", here.parent / "shared" / "data"))
    if not folder.is_dir():
        reason = f"no real data at {folder}; set BAYESIGHT_DATA to the folder that holds notmnist/ and mnist/"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(autouse=True, scope="session")
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep stores built by tests out of the user's cache."""
    os.environ["BAYESIGHT_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def unset_prompting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give command output a fixed width and no colour, whatever the terminal."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")

"""What the docs say is so: examples parse, links lead somewhere, the reference is what the code says now."""

import importlib.util
import re
import shlex
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from bayesight.cli.app import app

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "docs" / "guide"
PAGES = sorted(path for path in GUIDE.glob("*.md") if path.name != "README.md")
MARKDOWN = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
COMMAND_LINE = re.compile(r"(?:^(?:\$ )?|`)bayesight ([a-z][^`\n#]*)", re.MULTILINE)


def load_generator():
    """The module that writes the reference; docs/ is no package, so it is loaded by its path."""
    path = ROOT / "docs" / "reference" / "generate.py"
    spec = importlib.util.spec_from_file_location("reference_generator", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = load_generator()
COMMANDS = [(path, command) for path, command in generate.commands() if not hasattr(command, "commands")]


def resolve(line):
    """The command a command line names, and the words that follow it."""
    command, words, name = get_command(app), shlex.split(line), "bayesight"
    assert words.pop(0) == "bayesight", line
    while hasattr(command, "commands"):
        name = words.pop(0)
        assert name in command.commands, f"no command {name!r} in: {line}"
        command = command.commands[name]
    return name, command, words


def parse(line):
    """Parse a command line as the program would, running nothing."""
    name, command, words = resolve(line)
    return command.make_context(name, words)


def example_of(command):
    """The command's example, from its docstring or its epilog."""
    text = f"{command.help or ''}\n\n{command.epilog or ''}"
    found = re.search(r"^Example:\s+(.+?)\s*(?:\n\s*\n|\Z)", text, re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else None


def test_there_are_commands_and_pages_to_look_at():
    assert len(COMMANDS) >= 7
    assert len(PAGES) >= 5


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[path for path, _ in COMMANDS])
def test_every_command_has_an_example_that_parses_to_itself(path, command):
    example = example_of(command)
    assert example, f"{path} has no 'Example:' line"
    assert example.startswith(path + " "), example
    parse(example)


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[path for path, _ in COMMANDS])
def test_every_option_is_explained_and_json_is_offered(path, command):
    for parameter in command.params:
        assert parameter.help, f"{path}: {parameter.name} is not explained"
    assert "--json" in {option for parameter in command.params for option in parameter.opts}


def test_an_example_that_does_not_parse_is_noticed():
    with pytest.raises(Exception, match="No such option"):
        parse("bayesight train letters.tar.gz --out runs/x --modle mlp")
    with pytest.raises(AssertionError, match="no command 'trian'"):
        parse("bayesight trian letters.tar.gz")


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_command_lines_in_the_docs_parse(path):
    if path.parent.name == "reference":
        return  # written from the commands themselves
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in COMMAND_LINE.findall(text):
        name, command, words = resolve(f"bayesight {line}")
        if words and "..." not in words:  # else the command is only spoken of
            command.make_context(name, words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_guide_page_is_in_the_index_and_runs(page):
    assert f"({page.name})" in (GUIDE / "README.md").read_text(encoding="utf-8")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert ">>> " in text


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(path):
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target) or target.startswith("#"):
            continue
        assert (path.parent / target.partition("#")[0]).exists(), f"{path.name}: {target}"


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_code_blocks_are_closed(path):
    assert path.read_text(encoding="utf-8").count("\n```") % 2 == 0


def test_every_decision_is_in_the_index():
    index = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    decisions = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert [path.name[:4] for path in decisions] == [f"{n:04}" for n in range(1, len(decisions) + 1)]
    for path in decisions:
        assert f"({path.name})" in index


def test_contributing_names_files_that_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    source = ROOT / "src" / "bayesight"
    for name in re.findall(r"`((?:\w+/)+(?:\w+\.(?:py|md|toml))?)`", text):
        if "NAME" in name or "milestones" in name:
            continue
        assert (ROOT / name).exists() or (source / name).exists(), name


def test_the_changelog_has_the_version():
    import bayesight

    assert f"\n## {bayesight.__version__}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_reference_is_fresh():
    assert generate.stale() == [], "run 'make docs' and commit what it writes"


def test_a_stale_reference_is_named(tmp_path, capsys):
    assert generate.main([], tmp_path) == 0
    assert generate.main(["--check"], tmp_path) == 0
    text = (tmp_path / "cli.md").read_text(encoding="utf-8")
    (tmp_path / "cli.md").write_text(text.replace("--json", "--jason"), encoding="utf-8")
    capsys.readouterr()
    assert generate.main(["--check"], tmp_path) == 1
    assert capsys.readouterr().err.startswith("docs/reference/cli.md is stale")
    (tmp_path / "api.md").unlink()
    assert generate.stale(tmp_path) == ["cli.md", "api.md"]
    assert generate.main(["--chek"], tmp_path) == 2


def test_the_reference_does_not_depend_on_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    narrow = generate.cli()
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", ["elsewhere"])
    assert generate.cli() == narrow
    assert " at 0x" not in generate.api()


def test_the_reference_holds_every_public_name_of_the_front_door():
    import bayesight

    section = generate.api().split("\n## ")[1]
    for name in bayesight.__all__:
        assert f"{name}(" in section


def test_the_readme_is_short_and_its_paths_are_what_the_demonstration_leaves():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.split()) <= 700
    there = {"runs/demo", *(f"runs/demo-data/{name}.tar.gz" for name in ("letters", "test", "later"))}
    for line in COMMAND_LINE.findall(text):
        words = shlex.split(line)
        made = [words[i + 1] for i, word in enumerate(words) if word in ("--out", "--report")]
        assert {word for word in words if "/" in word} <= there | set(made), line
        there |= set(made)


def test_the_readme_in_korean_has_the_headings_and_the_commands_of_the_english_one():
    """Blocks of code are the same but for their comments; tables have as many rows."""
    shapes = []
    for name in ("README.md", "README.ko.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        blocks = re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)
        code = [
            (kind, [re.sub(r"\s*#.*", "", line) for line in block.splitlines()]) for kind, block in blocks
        ]
        prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        levels = [len(marks) for marks in re.findall(r"^(#+) ", prose, re.MULTILINE)]
        rows = [line.count("|") for line in prose.splitlines() if line.startswith("|")]
        shapes.append((levels, code, rows))
    assert shapes[0] == shapes[1]

"""Nothing that a file holds is run: no call in the package could, whatever it is given."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "torchref_kinetic_plugin"
BUILTINS = {"eval", "exec", "compile", "__import__"}
#: Module to what of it runs, or unpacks into running, what it is given.
DANGEROUS = {
    "pickle": {"load", "loads", "Unpickler"},
    "marshal": {"load", "loads"},
    "shelve": {"open"},
    "joblib": {"load"},
    "dill": {"load", "loads"},
    "yaml": {"load", "unsafe_load", "full_load", "load_all"},
    "os": {"system", "popen", "execv", "execvp", "spawnv"},
    "runpy": {"run_path", "run_module"},
    "pd": {"read_pickle", "eval"},
    "pandas": {"read_pickle", "eval"},
}


def faults(source: str) -> list[str]:
    """Calls that could run what a file holds, with their lines."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module in DANGEROUS:
            found += [f"{node.lineno}: {each.name}" for each in node.names if each.name in DANGEROUS[node.module]]
        if not isinstance(node, ast.Call):
            continue
        given = {each.arg: each.value for each in node.keywords}
        true = {name for name, value in given.items() if isinstance(value, ast.Constant) and value.value is True}
        match node.func:
            case ast.Name(id=name):
                bad = name in BUILTINS
            case ast.Attribute(value=ast.Name(id="torch"), attr="load"):
                bad = "weights_only" not in true
            case ast.Attribute(value=ast.Name(id=module), attr=name):
                bad = name in DANGEROUS.get(module, ())
            case _:
                bad = False
        if bad or "shell" in given or "allow_pickle" in true:
            found.append(f"{node.lineno}: {ast.unparse(node.func)}")
    return found


def test_no_call_runs_what_a_file_holds() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 200
    assert {str(file): found for file in files if (found := faults(file.read_text()))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "eval(text)",
        "exec(text)",
        "__import__(name)",
        "import pickle\npickle.load(file)",
        "from pickle import loads",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "yaml.load(text)",
        "os.system(text)",
        "subprocess.run(text, shell=True)",
        "np.load(path, allow_pickle=True)",
    ],
)
def test_such_calls_are_seen(source: str) -> None:
    assert faults(source)


def test_modules_are_imported_by_names_of_this_package_alone() -> None:
    """What takes a name takes no user's: a verb, a public name, TorchRef; plugins come by entry points."""
    callers = {
        file.relative_to(PACKAGE).as_posix() for file in PACKAGE.rglob("*.py") if "import_module(" in file.read_text()
    }
    assert callers == {
        "__init__.py",
        "bridge/__init__.py",
        "bridge/environment.py",
        "cli/main.py",
        "plugins/__init__.py",
        "plugins/manager.py",
    }


def test_pages_escape_whatever_they_are_given() -> None:
    from torchref_kinetic_plugin.output.report.page import _template

    assert _template().environment.autoescape is True
    for template in PACKAGE.rglob("*.html"):
        text = template.read_text()
        assert "|safe" not in text.replace(" ", ""), template
        assert "autoescape false" not in text, template

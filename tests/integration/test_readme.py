"""What the README shows runs as written."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_python_of_the_readme(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert tuple(names["occupancies"].shape) == (3, 9)
    assert {path.name for path in tmp_path.iterdir()} == {"photocycle.png", "scheme.png"}
    assert "B->C" in capsys.readouterr().out


def test_links_of_the_documentation_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"

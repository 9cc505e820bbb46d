"""Whatever is written as JSON is JSON: NaN and infinity are refused where they are written."""

import ast
from pathlib import Path

import mushroom

SOURCES = [*Path(mushroom.__file__).parent.rglob("*.py"), *Path(mushroom.__file__).parent.parent.glob("*.py")]


def json_calls(path: Path) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("dumps", "dump")
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "json"
    ]


def test_every_json_that_is_written_refuses_numbers_that_json_has_no_word_for() -> None:
    found = [(path, call) for path in SOURCES for call in json_calls(path)]
    assert len(found) > 5
    for path, call in found:
        allowed = [keyword.value for keyword in call.keywords if keyword.arg == "allow_nan"]
        assert [getattr(value, "value", None) for value in allowed] == [False], f"{path}:{call.lineno}"

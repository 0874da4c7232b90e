"""A public function of many arguments says in its docstring what most of them are."""

import ast
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
MANY = 5
ROOMS = [
    "surfora/geometry",
    "surfora/masks",
    "surfora/medial",
    "surfora/isosurface",
    "surfora/orientation",
    "surfora/meshing",
    "surfora/leaflets",
    "surfora/measures",
]
"""Folders that are held to it. Commands are not: their arguments have help texts."""


def functions_of_many_arguments(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            given = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
            names = [argument.arg for argument in given if argument.arg not in ("self", "cls")]
            if len(names) >= MANY:
                yield node.name, names, ast.get_docstring(node) or ""


@pytest.mark.parametrize("room", ROOMS)
def test_half_of_many_arguments_are_named(room):
    silent = []
    for path in sorted((SOURCE / room).rglob("*.py")):
        for name, arguments, text in functions_of_many_arguments(path):
            told = [argument for argument in arguments if re.search(rf"\b{argument}\b", text)]
            if 2 * len(told) < len(arguments):
                silent.append(f"{path.name}: {name} tells {told} of {arguments}")
    assert not silent, "\n".join(silent)

"""A public function of many arguments says in its docstring what most of them are."""

import ast
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
MANY = 5
EXEMPT = {"triton_kernels.py", "vector.py"}
"""Files of rows and blocks for one compiler; the comments there say more than lists of arguments would."""
FOLDERS = sorted(path.parent.relative_to(SOURCE) for path in SOURCE.rglob("__init__.py"))
ROOMS = [folder.as_posix() for folder in FOLDERS if folder.name != "cli"]
"""Folders that are held to it. Commands are not: their arguments have help texts."""


def functions_of_many_arguments(path):
    """Name, arguments and docstring of each."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            given = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
            names = [argument.arg for argument in given if argument.arg not in ("self", "cls")]
            if len(names) >= MANY:
                yield node.name, names, ast.get_docstring(node) or ""


@pytest.mark.parametrize("room", ROOMS)
def test_half_of_many_arguments_are_named(room):
    silent = []
    for path in sorted((SOURCE / room).glob("*.py")):
        for name, arguments, text in functions_of_many_arguments(path):
            told = [argument for argument in arguments if re.search(rf"\b{argument}\b", text)]
            if path.name not in EXEMPT and 2 * len(told) < len(arguments):
                silent.append(f"{path.name}: {name} tells {told} of {arguments}")
    assert not silent, "\n".join(silent)

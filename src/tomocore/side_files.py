"""Side files (JSON, TOML, CSV) read with limits of size and depth, and checked by their types.

Whatever stands in a file may be damaged, cut short, or made by somebody else. So what is read here is
bounded before it is parsed, and what a parser gives is validated by pydantic before anybody uses it:
a fault is an `InputError` that names the file and the remedy, never another exception.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from tomocore.contract import InputError

T = TypeVar("T")

MOST_JSON_BYTES = 256 * 2**20
MOST_TOML_BYTES = 2 * 2**20
MOST_CSV_BYTES = 2**30
DEEPEST = 64  # brackets in brackets, or parts of a dotted name; ours have fewer than eight
MOST_COLUMNS = 5000  # of a table
MOST_PROBLEMS = 4  # told of one file
LONGEST_VALUE = 60  # letters of a value that a message repeats
LONGEST_SENTENCE = 200  # letters of what pydantic says of one
# Strings and comments of TOML, which may hold any brackets and dots, and parts of dotted names.
_TOML_TEXT = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*(?:"""|$)'
    r"|'''(?:[^']|'(?!''))*(?:'''|$)"
    r'|"(?:[^"\\\n]|\\.)*"?'
    r"|'[^'\n]*'?"
    r"|\#[^\n]*",
    re.DOTALL,
)
_DOTTED = re.compile(rf"(?:[\w-]+[ \t]*\.[ \t]*){{{DEEPEST}}}")
_PARSING = (ValueError, RecursionError, OverflowError, MemoryError)


class StoredRow(BaseModel):
    """Base of what a row or a record of a side file must hold; more columns or keys are let be."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=True)


def read_text(path: Path, most_bytes: int, what: str = "a text") -> str:
    """The text of a file in UTF-8, or in UTF-16 where its mark says so, with line ends alike.

    Raises InputError where the file has more than ``most_bytes`` or is in another encoding, and OSError where
    it cannot be opened.
    """
    require_size(path, most_bytes)
    raw = path.read_bytes()
    utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = raw.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not {what} ({error}); write it again as UTF-8") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def require_size(path: Path, most_bytes: int) -> None:
    """InputError where a path leads to no file or to one of more than ``most_bytes``.

    FileNotFoundError where nothing is there.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise
    except OSError as error:  # a link that leads back to itself
        raise InputError(
            f"{path}: leads to no file ({(error.strerror or '').lower()}); check the path"
        ) from error
    if not stat.S_ISREG(status.st_mode):  # a folder, or a pipe that would be waited on for ever
        raise InputError(f"{path}: is no file; give the right path")
    size = status.st_size
    if size > most_bytes:
        raise InputError(
            f"{path}: has {size:,} bytes, a file of its kind at most {most_bytes:,}; give the right file"
        )


def read_json(path: Path, kind: Any, remedy: str = "write it again") -> Any:
    """What a JSON file holds, as ``kind`` (any type that pydantic validates).

    Raises InputError that ends in the ``remedy`` where it is no JSON or of another type, and OSError where
    it cannot be opened.
    """
    return parsed_json(read_text(path, MOST_JSON_BYTES, "JSON"), kind, str(path), remedy)


def parsed_json(text: str, kind: Any, where: str, remedy: str = "write it again") -> Any:
    """What a JSON ``text`` holds, as ``kind``; messages begin with ``where`` and end in the ``remedy``."""
    try:
        found = json.loads(text)
    except _PARSING as error:
        raise InputError(f"{where}: not JSON ({said_by(error)}); {remedy}") from error
    return checked(found, kind, where, remedy)


def checked(found: Any, kind: Any, where: str, remedy: str = "write it again") -> Any:
    """A value found in a file as ``kind``; InputError that begins with ``where`` and tells what is wrong."""
    try:
        return TypeAdapter(kind).validate_python(found)
    except ValidationError as error:
        raise InputError(f"{where}: {problems_of(error)}; {remedy}") from error
    except (RecursionError, OverflowError) as error:
        raise InputError(f"{where}: is nested too deeply or holds too large a number; {remedy}") from error


def problems_of(error: ValidationError) -> str:
    """What pydantic found wrong, in one line of a length that can be read."""
    items = error.errors(include_url=False, include_context=False)
    told = []
    for item in items[:MOST_PROBLEMS]:
        name = place_in(item["loc"])
        missing = item["type"] == "missing"
        value = "" if missing or isinstance(item["input"], dict | list) else f" = {shortened(item['input'])}"
        said = said_of(item)
        told.append(f"{name}{value}: {said[0].lower()}{said[1:]}" if name else said)
    more = f"; and {len(items) - MOST_PROBLEMS} more" if len(items) > MOST_PROBLEMS else ""
    return " ".join("; ".join(told).split()) + more


def said_of(item: Mapping[str, Any]) -> str:
    """What pydantic says of one problem, cut where it repeats a value that is too long for a message."""
    return _cut(str(item["msg"]), LONGEST_SENTENCE)


def place_in(parts: Sequence[Any]) -> str:
    """The names and numbers that lead to a value, as one with dots, each cut where it is too long."""
    return ".".join(_cut(str(part)) for part in parts[-4:])


def shortened(value: Any) -> str:
    """How a value looks in Python, cut where it is too long for a message."""
    try:
        return _cut(repr(value))
    except ValueError:  # an integer of thousands of digits
        return "a very large number"


def some_of(names: Iterable[Any], most: int = 8) -> str:
    """Names with commas between them: the first ones, each cut where it is too long for a message."""
    known = list(names)
    told = [_cut(str(name)) for name in known[:most]]
    return ", ".join([*told, f"and {len(known) - most} more"] if len(known) > most else told)


def _cut(text: str, most: int = LONGEST_VALUE) -> str:
    return text if len(text) <= most else text[:most] + "…"


def said_by(error: BaseException) -> str:
    """What an error says, on one line and not too long for a message."""
    text = " ".join(str(error).split())
    return text[:200] or type(error).__name__


def read_toml(path: Path) -> dict[str, Any]:
    """What a TOML file holds. Raises InputError where it is none, or nested more deeply than any of ours."""
    text = read_text(path, MOST_TOML_BYTES, "a TOML settings file")
    _require_shallow(path, text)
    try:
        return tomllib.loads(text)
    except _PARSING as error:
        raise InputError(f"{path}: not a TOML settings file ({said_by(error)}); mend that line") from error


def _require_shallow(path: Path, text: str) -> None:
    """InputError where brackets or dotted names nest deeply, which takes the parser time without end."""
    bare = _TOML_TEXT.sub("s", text)
    depth = deepest = 0
    for bracket in re.findall(r"[][{}]", bare):
        depth = depth + 1 if bracket in "[{" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    if deepest > DEEPEST or _DOTTED.search(bare):
        raise InputError(
            f"{path}: nests names or brackets more than {DEEPEST} deep, as no settings file does; "
            "mend that line"
        )


def read_rows(path: Path, kind: type[T], what: str, remedy: str) -> list[T]:
    """The rows of a CSV file as ``kind`` (a dataclass or a `StoredRow`), each field a column of its name.

    Raises InputError, "not {what} (why); {remedy}", where the file cannot be read, lacks a column, or holds
    something of another type, with the row counted from 1 below the heads.
    """
    names = [field.name for field in fields(kind)] if is_dataclass(kind) else list(kind.model_fields)  # type: ignore[attr-defined]
    try:
        reader = csv.DictReader(io.StringIO(read_table_text(path, what)), restkey="")
        lacking = [name for name in names if name not in (reader.fieldnames or ())]
        rows = list(reader)
    except (OSError, csv.Error) as error:
        raise InputError(f"{path}: not {what} ({said_by(error)}); {remedy}") from error
    if lacking:
        raise InputError(f"{path}: not {what}, it lacks the columns {', '.join(lacking)}; {remedy}")
    where = f"{path}: not {what}, row"
    own = [{name: row[name] for name in names} for row in rows]
    return [checked(row, kind, f"{where} {number}", remedy) for number, row in enumerate(own, 1)]


def read_table_text(path: Path, what: str = "a table of comma-separated values") -> str:
    """The text of a table, as `read_text` gives it; InputError, too, where its heading is far too long."""
    text = read_text(path, MOST_CSV_BYTES, what)
    heading = text[: text.find("\n") + 1] or text
    columns = 1 + max(heading.count(separator) for separator in ",;\t")
    if columns > MOST_COLUMNS:
        raise InputError(
            f"{path}: its first line names {columns:,} columns, which is no table; write it again"
        )
    return text


def read_frame(path: Path, read: Callable[[Any], Any], remedy: str = "write it again") -> Any:
    """The data frame that ``read`` (of pandas) makes of a table's text; InputError where that is none."""
    text = read_table_text(path)
    try:
        return read(io.StringIO(text))
    except (*_PARSING, csv.Error, TypeError, KeyError, IndexError) as error:
        raise InputError(
            f"{path}: not a table of comma-separated values ({said_by(error)}); {remedy}"
        ) from error


def numbers_of(column: Any) -> Any:
    """A column (pandas) of words as numbers: NaN where one is none, infinite where it is too large."""
    import pandas as pd  # half a second that readers of JSON need not wait for

    try:
        return pd.to_numeric(column, errors="coerce")
    except (ValueError, TypeError, OverflowError):  # integers of hundreds of digits
        return column.map(_number)


def _number(value: Any) -> float:
    try:
        return float(str(value))
    except ValueError:
        return float("nan")


def require_columns(path: Path, columns: Sequence[str], needed: Sequence[str], remedy: str) -> None:
    """InputError where a table lacks a column that is needed."""
    lacking = [name for name in needed if name not in columns]
    if lacking:
        raise InputError(f"{path}: lacks the columns {', '.join(lacking)}; {remedy}")

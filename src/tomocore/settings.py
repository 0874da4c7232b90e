"""Settings: typed, with units in their names, read from TOML; the template is written from the types."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticUndefined

from tomocore.contract import InputError
from tomocore.side_files import place_in, read_toml, said_of, shortened, some_of

MOST_LETTERS = 1000  # of the problems of one file that are told at once
MOST_KNOWN = 40  # names of settings that are told with them


class Settings(BaseModel):
    """Base of every settings type: frozen, unknown keys refused, every default stated once."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


S = TypeVar("S", bound=Settings)


def load_settings(kind: type[S], path: Path | None = None, overrides: dict[str, Any] | None = None) -> S:
    """Settings of one kind: the defaults, then a TOML file, then overrides (dotted names).

    Overrides whose value is None are left out, so that an option not given changes nothing.
    Raises InputError listing all errors at once, or the first of very many.
    """
    values = _toml_values(path) if path else {}
    return _validated(kind, values, overrides or {}, f"{path}: " if path else "settings: ")


def load_section(
    kind: type[S], section: str, sections: Sequence[str], path: Path | None = None, **overrides: Any
) -> S:
    """Settings of one section of a tool's TOML file, so that a command need not load its siblings' types.

    Raises InputError for a section that is not one of ``sections``, and for all errors in this one.
    """
    values = _toml_values(path) if path else {}
    unknown = sorted(set(values) - set(sections))
    if unknown:
        raise InputError(f"{path}: unknown section {some_of(unknown)}; known: {', '.join(sections)}")
    own = values.get(section, {})
    if not isinstance(own, dict):
        raise InputError(f"{path}: '{section}' is not a section; write [{section}] and its settings below")
    return _validated(kind, own, overrides, f"{path}: [{section}] " if path else f"{section}: ")


def settings_template(
    kind: type[Settings], section: str = "", values: Mapping[str, Any] | None = None
) -> str:
    """TOML of every setting with its default, its meaning and its range, as a whole file or one section.

    ``values`` stand in place of the defaults of the type's own settings, not of those in its sections.
    """
    head = [f"# {(kind.__doc__ or section).splitlines()[0]}", f"[{section}]"] if section else []
    return "\n".join(head + _template_lines(kind, (section,) if section else (), values or {})).strip() + "\n"


def settings_text(settings: Settings, section: str) -> str:
    """TOML of one section of a settings file that gives these settings again; unset ones are left out."""
    return "\n".join(_value_lines(settings, (section,))).strip() + "\n"


def _value_lines(settings: Settings, place: tuple[str, ...]) -> list[str]:
    values = {name: getattr(settings, name) for name in type(settings).model_fields}
    inner = {name: value for name, value in values.items() if isinstance(value, Settings)}
    plain = {name: value for name, value in values.items() if name not in inner and value is not None}
    lines = ["", f"[{'.'.join(place)}]", *(f"{name} = {_toml(value)}" for name, value in plain.items())]
    for name, value in inner.items():
        lines += _value_lines(value, (*place, name))
    return lines


def _validated(kind: type[S], values: dict[str, Any], overrides: Mapping[str, Any], where: str) -> S:
    for name, value in overrides.items():
        if value is not None:
            _put(values, name.split("."), value)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems = _problems(kind, error.errors(include_url=False))
        lengths = list(accumulate(len(problem) for problem in problems))
        told = problems[: max(1, bisect_right(lengths, MOST_LETTERS))]
        told += [f"and {len(problems) - len(told)} more"] * (len(problems) > len(told))
        raise InputError(where + "; ".join(told)) from error


def _toml_values(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such settings file; check the name given with -s") from error


def _put(values: dict[str, Any], names: list[str], value: Any) -> None:
    """Set a value by its dotted name; where the file has something else than a section, validation tells."""
    for name in names[:-1]:
        inner = values.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        values = inner
    values[names[-1]] = value


def _problems(kind: type[Settings], items: Sequence[Any]) -> list[str]:
    """A sentence a problem; what a section knows is told once, after the first unknown name in it."""
    unknown = {item["loc"][:-1]: item for item in reversed(items) if item["type"] == "extra_forbidden"}
    told = []
    for item in items:
        name = place_in(item["loc"])
        if item["type"] != "extra_forbidden":
            said = said_of(item)
            told.append(f"setting '{name}' = {shortened(item['input'])}: {said[0].lower()}{said[1:]}")
        elif unknown[item["loc"][:-1]] is item:
            known = some_of(_siblings(kind, item["loc"]), MOST_KNOWN // len(unknown))
            told.append(f"unknown setting '{name}'; known here: {known}")
        else:
            told.append(f"unknown setting '{name}'")
    return told


def _siblings(kind: type[Settings], place: tuple[Any, ...]) -> list[str]:
    for name in place[:-1]:
        field = kind.model_fields.get(name)
        if field is None or not _is_section(field.annotation):
            break
        kind = field.annotation  # type: ignore[assignment]
    return list(kind.model_fields)


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Settings)


def _template_lines(kind: type[Settings], place: tuple[str, ...], values: Mapping[str, Any]) -> list[str]:
    plain = [(n, f) for n, f in kind.model_fields.items() if not _is_section(f.annotation)]
    sections = [(n, f) for n, f in kind.model_fields.items() if _is_section(f.annotation)]
    lines = []
    for name, field in plain:
        default = values.get(name, field.get_default(call_default_factory=True))
        bounds = ", ".join(str(rule) for rule in field.metadata)
        lines.append(f"# {field.description or name}" + (f"  [{bounds}]" if bounds else ""))
        unset = default is None or default is PydanticUndefined
        lines.append(f"# {name} =" if unset else f"{name} = {_toml(default)}")
    for name, field in sections:
        inner = field.annotation
        assert isinstance(inner, type)
        lines += ["", f"# {field.description or (inner.__doc__ or name).splitlines()[0]}"]
        lines += ["[" + ".".join((*place, name)) + "]", *_template_lines(inner, (*place, name), {})]
    return lines


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | Path):
        return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + "}"
    return repr(value)

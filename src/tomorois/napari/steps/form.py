"""A form made from a settings type: fields with their units and ranges, help as tips."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QGroupBox,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from tomocore.settings import Settings

UNITS = {
    "nm3": "nm³",
    "nm2": "nm²",
    "nm": "nm",
    "gib": "GiB",
    "deg": "°",
    "seconds": "s",
    "minutes": "min",
    "voxels": "voxels",
}


class SettingsForm(QWidget):
    """Fields of a settings type; sections within it become boxes. `values` gives valid settings again.

    Of all fields those named in ``only`` are shown, or all but those in ``without`` (dotted within sections).
    """

    changed = Signal()

    def __init__(self, settings: Settings, only: tuple[str, ...] = (), without: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._kind = type(settings)
        self._start = settings
        self._readers: dict[str, Callable[[], Any]] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._fill(layout, settings, only, without)

    def values(self) -> Any:
        """The settings as the fields say. Raises InputError, through the window, where they do not fit."""
        from tomocore.contract import InputError

        given = self._start.model_dump()
        for name, read in self._readers.items():
            given[name] = read()
        try:
            return self._kind.model_validate(given)
        except ValidationError as error:
            told = "; ".join(f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors())
            raise InputError(f"settings: {told}; mend it in the form") from error

    def _fill(self, layout: Any, settings: Settings, only: tuple[str, ...], without: tuple[str, ...]) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        layout.addLayout(form)
        for name, field in type(settings).model_fields.items():
            if (only and name not in only) or name in without:
                continue
            value = getattr(settings, name)
            if isinstance(value, BaseModel):
                assert isinstance(value, Settings)
                box = QGroupBox((field.description or name).rstrip("."))
                box.setFlat(True)
                inner = SettingsForm(
                    value, without=tuple(n.removeprefix(f"{name}.") for n in without if n.startswith(name))
                )
                inner.changed.connect(self.changed)
                QVBoxLayout(box).addWidget(inner)
                layout.addWidget(box)
                self._readers[name] = inner.values
                continue
            widget, read = self._field(field, value)
            label, unit = label_of(name)
            widget.setToolTip(field.description or "")
            if unit and isinstance(widget, QSpinBox | QDoubleSpinBox):
                widget.setSuffix(f" {unit}")
            form.addRow(label, widget)
            form.labelForField(widget).setToolTip(field.description or "")
            self._readers[name] = read

    def _field(self, field: Any, value: Any) -> tuple[QWidget, Callable[[], Any]]:
        choices = choices_of(field.annotation)
        if choices is not None:
            return self._choice(choices, value)
        if isinstance(value, bool):
            box = QCheckBox()
            box.setChecked(value)
            box.toggled.connect(self.changed)
            return box, box.isChecked
        if isinstance(value, int | float):
            return self._number(field, value)
        text = QLineEdit("" if value is None else _written(value))
        text.setPlaceholderText("unset")
        text.editingFinished.connect(self.changed)
        several = isinstance(value, list | tuple)
        return text, lambda: _read(text.text(), several)

    def _choice(self, choices: list[Any], value: Any) -> tuple[QWidget, Callable[[], Any]]:
        combo = QComboBox()
        for choice in choices:
            combo.addItem("by itself" if choice is None else str(choice), choice)
        combo.setCurrentIndex(choices.index(value))
        combo.currentIndexChanged.connect(self.changed)
        return combo, combo.currentData

    def _number(self, field: Any, value: float) -> tuple[QWidget, Callable[[], Any]]:
        low, high = range_of(field.metadata)
        if isinstance(value, int) and "float" not in str(field.annotation):
            whole = QSpinBox()
            whole.setRange(int(max(low, -(2**31))), int(min(high, 2**31 - 1)))
            whole.setValue(value)
            whole.valueChanged.connect(self.changed)
            return whole, whole.value
        number = QDoubleSpinBox()
        number.setDecimals(4 if abs(value) < 0.1 and value else 3)
        number.setRange(max(low, -1e9), min(high, 1e9))
        number.setValue(float(value))
        number.valueChanged.connect(self.changed)
        return number, number.value


def label_of(name: str) -> tuple[str, str]:
    """A field's name for a person, and its unit: "opening", "nm" of ``opening_nm``."""
    for ending, unit in UNITS.items():
        if name.endswith(f"_{ending}"):
            return name.removesuffix(f"_{ending}").replace("_", " "), unit
    return name.replace("_", " "), UNITS.get(name, "")


def choices_of(annotation: Any) -> list[Any] | None:
    """What a field may be, where that is a list of words or numbers; None first where it may be unset."""
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    parts = [part for part in get_args(annotation) if part is not type(None)]
    if len(parts) == 1 and len(get_args(annotation)) == 2 and get_origin(parts[0]) is Literal:
        return [None, *get_args(parts[0])]
    return None


def range_of(metadata: list[Any]) -> tuple[float, float]:
    """Lowest and highest number of a field, of all rules on it."""
    low = [float(getattr(rule, name)) for rule in metadata for name in ("ge", "gt") if hasattr(rule, name)]
    high = [float(getattr(rule, name)) for rule in metadata for name in ("le", "lt") if hasattr(rule, name)]
    return max(low, default=-1e9), min(high, default=1e9)


def _written(value: Any) -> str:
    return ", ".join(str(part) for part in value) if isinstance(value, list | tuple) else str(value)


def _read(text: str, several: bool) -> Any:
    if several:
        return [_plain(part.strip()) for part in text.split(",") if part.strip()]
    return _plain(text.strip()) if text.strip() else None


def _plain(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text

"""Light and dark, by one palette for every widget."""

from __future__ import annotations

from typing import Any

from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QApplication

COLOURS = {
    "light": ("#f4f6f7", "#ffffff", "#20262c", "#8a949d", "#dfe5e9", "#0b6e78", "#f4f6f7"),
    "dark": ("#262c32", "#1d2227", "#e6eaee", "#8a949d", "#323a41", "#2fa3ad", "#a6b0b9"),
}
"""Window, field, text, text of what is off, button, what is chosen, and what frames are a darker shade of."""
FRAMED = (
    "QCheckBox",
    "QAbstractItemView",
    "QLineEdit",
    "QAbstractSpinBox",
    "QComboBox",
    "QPushButton",
    "QSlider",
    "QMenu",
    "QTextBrowser",
    "QProgressBar",
)
"""Widgets whose frames Fusion draws darker than the window, where a dark one hides an empty box."""


def apply_theme(theme: str) -> None:
    """Give all windows of the application a theme, "light" or "dark"."""
    app = QApplication.instance()
    if not isinstance(app, QApplication):
        return
    app.setStyle("Fusion")
    window, field, text, off, button, chosen, edge = (QColor(colour) for colour in COLOURS[theme])
    palette = QPalette()
    role = QPalette.ColorRole
    for name, colour in (
        (role.Window, window),
        (role.Base, field),
        (role.AlternateBase, window),
        (role.ToolTipBase, field),
        (role.WindowText, text),
        (role.Text, text),
        (role.ButtonText, text),
        (role.ToolTipText, text),
        (role.PlaceholderText, off),
        (role.Button, button),
        (role.Highlight, chosen),
        (role.HighlightedText, QColor("#ffffff")),
    ):
        palette.setColor(name, colour)
    for name in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, name, off)
    app.setPalette(palette)
    palette.setColor(role.Window, edge)
    set_palette: Any = app.setPalette  # which takes words, whatever the types of one binding say
    for kind in FRAMED:
        set_palette(palette, kind)

"""All keys in a window of their own."""

from __future__ import annotations

from qtpy.QtWidgets import QDialog, QTextBrowser, QVBoxLayout, QWidget

from surfora.editor.actions import key_rows


class KeysWindow(QDialog):
    """All keys, beside the editor."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys of the SurfORA editor")
        self.resize(560, 640)
        text = QTextBrowser()
        rows = "".join(
            f"<tr><td><b>{keys}</b>&nbsp;&nbsp;</td><td>{what}&nbsp;&nbsp;</td><td>{tip}</td></tr>"
            for keys, what, tip in key_rows()
        )
        text.setHtml(f"<table cellpadding=2>{rows}</table>")
        QVBoxLayout(self).addWidget(text)

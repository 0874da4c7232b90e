"""Writes the table of keys into the page of the window, from the code that binds them."""

import re
from pathlib import Path

from tomorois.napari.keys import keys_table

PAGE = Path(__file__).parents[1] / "tomorois" / "annotate.md"


def main() -> None:
    """Replaces what stands between the marks."""
    text = PAGE.read_text(encoding="utf-8")
    table = f"<!-- keys -->\n{keys_table()}\n<!-- /keys -->"
    PAGE.write_text(
        re.sub(r"<!-- keys -->.*?<!-- /keys -->", lambda _: table, text, flags=re.DOTALL), encoding="utf-8"
    )


if __name__ == "__main__":
    main()

"""Where what was painted and judged lies, and what was judged as its journal tells; no volume is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tomocore.files_of_tomograms import volume_stem
from tomorois.annotation.journal import Journal, replayed

CURATED_FOLDER = "curated"
JOURNAL_NAME = "curation.jsonl"

Status = Literal["predicted", "kept", "rejected", "unsure"]
JUDGED: tuple[Status, ...] = ("kept", "rejected", "unsure")


@dataclass(frozen=True)
class PaintingFiles:
    """Where the painting of a tomogram lies: what `train` reads, the journal, the labels there at first."""

    labels: Path
    journal: Path
    before: Path


def painting_files(tomogram: Path, folder: Path) -> PaintingFiles:
    """``<stem>__labels.mrc``, ``<stem>__strokes.jsonl`` and ``<stem>__strokes_base.npz`` in a folder."""
    stem = folder / volume_stem(tomogram)
    return PaintingFiles(
        Path(f"{stem}__labels.mrc"), Path(f"{stem}__strokes.jsonl"), Path(f"{stem}__strokes_base.npz")
    )


def judged_marks(curated: Path) -> dict[str, str]:
    """The SHA-256 of the ``.npz`` whose ROIs were judged last, by tomogram, as the journal in a folder tells.

    Empty where there is none. Raises InputError where it is damaged.
    """
    journal = Journal(curated / JOURNAL_NAME)
    with replayed(journal.path):
        return {r["stem"]: r["sha256"] for r in journal.read(mend=False) if r.get("do") == "begin"}

"""What a kind of file is to the fuzz: how a sound one is made, damaged, and read as commands read it."""

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fuzz import mutations
from fuzz.strangers import strange_content, strange_place

Damage = Callable[[bytes, random.Random], bytes]
STRANGE_SHARE, STRANGE_PLACE_SHARE, GONE_SHARE = 0.06, 0.02, 0.05


@dataclass(frozen=True)
class Format:
    """A kind of file: ``make`` writes a sound one (or a folder), ``damage`` changes its bytes.

    ``read`` reads it; ``share`` is how many of them are tried for each of the usual ones; ``parts`` chooses
    the files of a folder that are damaged (globs).
    """

    make: Callable[[Path], object]
    damage: Damage
    read: Callable[[Path], object]
    ending: str
    share: float = 1.0
    parts: str = "*"


BYTES, TEXT, JSON = mutations.damaged_bytes, mutations.damaged_words, mutations.damaged_json


def damaged(form: Format, sound: Path, target: Path, rng: random.Random) -> None:
    """Write a damaged copy of a sound file or folder."""
    if not sound.is_dir():
        _write_damaged(form.damage, sound, target, rng)
        return
    shutil.copytree(sound, target)
    files = sorted({path for glob in form.parts.split() for path in target.rglob(glob) if path.is_file()})
    one = rng.choice(files)
    if rng.random() < GONE_SHARE:
        one.unlink()
        return
    is_json = one.suffix == ".json" or one.name in (".zattrs", ".zgroup", ".zarray")
    _write_damaged(JSON if is_json else form.damage, one, one, rng)


def _write_damaged(damage: Damage, sound: Path, target: Path, rng: random.Random) -> None:
    raw = sound.read_bytes()
    what = rng.random()
    if what < STRANGE_PLACE_SHARE:
        strange_place(target, rng)
    elif what < STRANGE_PLACE_SHARE + STRANGE_SHARE:
        target.write_bytes(strange_content(raw, rng))
    else:
        target.write_bytes(_damaged(damage, raw, rng))


def _damaged(damage: Damage, raw: bytes, rng: random.Random) -> bytes:
    try:
        return damage(raw, rng)
    except (ValueError, TypeError, OverflowError, KeyError):  # what cannot be changed so is changed in bytes
        return mutations.damaged_bytes(raw, rng)


def text(content: str) -> Callable[[Path], object]:
    """What writes that text."""
    return lambda path: path.write_text(content, encoding="utf-8")


def csv(*rows: dict) -> str:
    """Rows as a table with heads."""
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    return "\n".join(lines) + "\n"


def put_beside(path: Path, name: str) -> Path:
    """A folder of its own beside a file, in which the file has the name that readers look for; the folder."""
    folder = path.parent / f"{path.stem}_folder"
    folder.mkdir(exist_ok=True)
    if not (folder / name).exists():
        os.symlink(path, folder / name)
    return folder

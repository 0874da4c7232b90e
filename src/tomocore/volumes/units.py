"""Units of length in every spelling that files of this field have, as nm."""

from __future__ import annotations

import unicodedata

_SPELLINGS = {
    1e-3: ("pm", "picometer", "picometre"),
    0.1: ("å", "a", "ang", "angstrom", "angstroem", "ångstrom", "ångström"),
    1.0: ("nm", "nanometer", "nanometre"),
    1e3: ("μm", "um", "μ", "âμm", "micron", "micrometer", "micrometre"),  # âμm: UTF-8 read as Latin-1
    1e6: ("mm", "millimeter", "millimetre"),
    1e7: ("cm", "centimeter", "centimetre"),
    2.54e7: ("in", "inch", "inches"),
    1e9: ("m", "meter", "metre"),
}
_NM = {spelling: nm for nm, spellings in _SPELLINGS.items() for spelling in spellings}
_NO_UNIT = ("", "pixel", "px", "voxel", "none", "null", "unknown", "unitless", "arbitrary", "reference frame")


def nm_per_unit(unit: object) -> float:
    """How many nm a unit of length is; 0.0 for a unit that is none (``pixel``, empty) or not known."""
    return _NM.get(_plain(unit), 0.0)


def why_no_unit(unit: object, where: str) -> str:
    """Why `nm_per_unit` gave none: ``because {where} name no unit of length``, or that it is not known."""
    if _plain(unit) in _NO_UNIT:
        return f"because {where} name no unit of length"
    return f"because the unit {str(unit).strip()!r} of {where} is not known"


def _plain(unit: object) -> str:
    """A unit in lower case and the singular, with µ, Å and what ImageJ escapes in one form each."""
    text = "" if unit is None else str(unit).strip().strip("\x00\"'")
    for escaped in ("\\u00B5", "\\u00b5", "\\u03BC", "\\u03bc"):
        text = text.replace(escaped, "μ")
    text = unicodedata.normalize("NFKC", text.replace("\\u00C5", "Å").replace("\\u00c5", "Å")).casefold()
    return text.removesuffix("s") if len(text) > 3 and text not in _NM else text

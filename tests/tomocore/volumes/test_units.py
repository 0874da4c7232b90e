"""Units of length in every spelling that people use."""

import pytest

from tomocore.volumes.units import nm_per_unit, why_no_unit

SPELLINGS = {
    0.1: (
        "angstrom",
        "Angstroms",
        "ANGSTROM",
        "Å",
        "\u212b",
        "A\u030a",
        "å",
        "A",
        "a",
        "ångström",
        "\\u00C5",
    ),
    1.0: ("nm", "NM", "nanometer", "nanometers", "nanometre", "Nanometres", " nm "),
    1e3: (
        "µm",
        "μm",
        "um",
        "\\u00B5m",
        "micron",
        "microns",
        "Microns",
        "micrometer",
        "micrometres",
        "µ",
        "Âµm",
    ),
    1e6: ("mm", "millimeter", "millimetres"),
    1e7: ("cm", "centimeter"),
    2.54e7: ("inch", "inches", "in"),
    1e9: ("m", "meter", "metres"),
    1e-3: ("pm", "picometer"),
    0.0: ("", None, "pixel", "pixels", "foo", "none", "sec"),
}


@pytest.mark.parametrize(("nm", "spelling"), [(nm, s) for nm, found in SPELLINGS.items() for s in found])
def test_every_spelling_has_its_length(nm, spelling):
    assert nm_per_unit(spelling) == nm


def test_the_reason_tells_a_missing_unit_from_an_unknown_one():
    assert why_no_unit(None, "its axes") == "because its axes name no unit of length"
    assert why_no_unit("pixels", "its axes") == "because its axes name no unit of length"
    assert why_no_unit("furlong", "its axes") == "because the unit 'furlong' of its axes is not known"

"""What a surface knows of itself comes back as it was, and garbled facts are told in one line."""

import json
import math
from pathlib import Path

import pytest

from surfora.geometry.facts import SurfaceFacts, facts_text, parsed_facts, surface_name
from tomocore.contract import InputError

WHERE = Path("/data/ts_01_13.48Apx_OMM.medial.vtp")


def test_facts_come_back():
    facts = SurfaceFacts("OMM", "medial", "Hülle", 7, "/d/ä.mrc", 4.2, 1.1, "closed", 0.93, "abc", "0f")
    assert parsed_facts(facts_text(facts), WHERE) == facts
    assert facts_text(facts).isascii()
    assert "identity" not in facts.row()
    assert facts.row()["roi"] == 7


def test_what_is_missing_takes_its_default():
    facts = parsed_facts(json.dumps({"label": "OMM", "roi": None, "later": [1]}), WHERE)
    assert (facts.name, facts.label, facts.roi) == ("ts_01_13.48Apx_OMM", "OMM", None)
    assert math.isnan(facts.thickness_nm)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[1]", "should be a valid dictionary"),
        ('{"label": 3}', "fact 'label' is 3, not of type str"),
        ('{"roi": "a"}', "fact 'roi' is 'a'"),
        ('{"roi": 1.5}', "fact 'roi' is 1.5"),
        ('{"thickness_nm": true}', "fact 'thickness_nm' is True"),
    ],
)
def test_garbled_facts_are_refused(text, said):
    with pytest.raises(InputError, match=said) as refused:
        parsed_facts(text, WHERE)
    assert str(WHERE) in str(refused.value)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("ts_01_13.48Apx_OMM.medial.vtp", "ts_01_13.48Apx_OMM"),
        ("a.b.medial.points.vtp", "a.b"),
        ("a.inner.vtp", "a"),
        ("a.other.ply", "a.other"),
        ("µ Ω.vtp", "µ Ω"),
        ("medial.vtp", "medial"),
    ],
)
def test_name_of_a_surface(file, name):
    assert surface_name(Path("x.y") / file) == name

"""Rules say what they say in Python, and nothing else can be said in them."""

import numpy as np
import pytest

from surfora.editor.rules import points_by_rule
from tomocore.contract import InputError

RNG = np.random.default_rng(0)
ARRAYS = {
    "distance_to_ER_nm": RNG.uniform(0, 60, 200),
    "boundary_distance_nm": np.where(RNG.random(200) < 0.1, np.nan, RNG.uniform(0, 20, 200)),
    "label": RNG.integers(0, 4, 200),
    "area [nm^2]": RNG.uniform(0, 1, 200),
    "k1_direction": RNG.normal(size=(200, 3)),
}
D, B, L = ARRAYS["distance_to_ER_nm"], ARRAYS["boundary_distance_nm"], ARRAYS["label"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("distance_to_ER_nm < 25 & boundary_distance_nm > 5", (D < 25) & (B > 5)),
        ("distance_to_ER_nm<25 and not label==2", (D < 25) & (L != 2)),
        ("label = 1 | label = 2 & distance_to_ER_nm >= 3e1", (L == 1) | ((L == 2) & (D >= 30))),
        ("(label = 1 | label = 2) & distance_to_ER_nm >= 30.", np.isin(L, (1, 2)) & (D >= 30)),
        ("10 <= distance_to_ER_nm < 25", (D >= 10) & (D < 25)),
        ("!(boundary_distance_nm <= 5)", ~(B <= 5)),
        ("boundary_distance_nm != boundary_distance_nm", np.zeros(200, bool)),
        ("`area [nm^2]` > .5 or label > -1", np.ones(200, bool)),
        ("~~label != 3", L != 3),
    ],
)
def test_rules_choose_what_they_say(rule, expected):
    np.testing.assert_array_equal(points_by_rule(rule, ARRAYS, 200), expected)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("", "at its beginning: a name or a number is missing"),
        ("label", "after 'label': a comparison"),
        ("label < ", "a name or a number is missing"),
        ("(label < 2", "a closing bracket is missing"),
        ("label < 2 label > 1", "after 'label < 2': 'label' was not expected"),
        ("label < 2; label", "means nothing in it: ';'"),
        ("distance_to_er_nm < 2", "did you mean distance_to_ER_nm?"),
        ("k1_direction > 0", "has 3 numbers a point"),
        ("__import__('os') == 1", "means nothing in it: '''"),
        ("(" * 200 + "label<1" + ")" * 200, "too many brackets"),
        ("label<1|" * 400, "too long"),
    ],
)
def test_what_is_no_rule_is_refused_with_the_place(rule, said):
    with pytest.raises(InputError) as refusal:
        points_by_rule(rule, ARRAYS, 200)
    assert said in str(refusal.value)

"""Both ways of a contact in one row: means and spreads over the joined area, as from the joined values."""

import numpy as np
import pandas as pd
import pytest

from surfora.reporting.contacts import contacts_of
from surfora.reporting.shown_tables import contact_table, direction_table


def way(values_nm, area_nm2, source, target, **others):
    """A row of distances.csv of a surface of equal vertex areas with these distances."""
    values = np.array(values_nm)
    near = values[values <= 30]
    row = {
        "name": f"t1__membranes_{source}_roi003",
        "kind": "medial",
        "label": source,
        "roi": 3,
        "target": f"t1__membranes_{target}_roi003",
        "target_kind": "medial",
        "target_label": target,
        "area_measured_nm2": area_nm2,
        "mean_nm": values.mean(),
        "sd_nm": values.std(),
        "min_nm": values.min(),
        "q05_nm": values.min(),
        "contact_area_nm2": area_nm2 * len(near) / len(values),
        "contact_mean_nm": near.mean() if len(near) else np.nan,
        "contact_sd_nm": near.std() if len(near) else np.nan,
    }
    return row | others


def test_both_ways_are_joined_by_area():
    there, back = np.array([10.0, 20.0, 40.0]), np.array([12.0, 15.0, 16.0, 50.0, 60.0, 29.0])
    table = pd.DataFrame([way(there, 300.0, "2", "5"), way(back, 600.0, "5", "2")])
    (row,) = contacts_of(table).to_dict("records")
    joined = np.concatenate([there, back])
    assert row["contact"] == "contact 3: membranes 2 and 5"
    assert row["mean_nm"] == pytest.approx(joined.mean())
    assert row["sd_nm"] == pytest.approx(joined.std())
    assert row["contact_mean_nm"] == pytest.approx(joined[joined <= 30].mean())
    assert row["contact_sd_nm"] == pytest.approx(joined[joined <= 30].std())
    assert row["contact_area_nm2"] == pytest.approx((200 + 400) / 2)
    assert row["min_nm"] == 10


def test_surfaces_that_never_come_close_have_no_gap_in_contact():
    table = pd.DataFrame([way([40.0, 50.0], 10.0, "2", "5"), way([45.0], 10.0, "5", "2")])
    (row,) = contacts_of(table).to_dict("records")
    assert np.isnan(row["contact_mean_nm"])
    assert contact_table(table).groups[0].rows[0][1].text == "45.0 ± 3.5"


def test_kinds_and_tomograms_are_kept_apart():
    one = [way([10.0], 1.0, "2", "5"), way([10.0], 1.0, "5", "2")]
    leaflets = [row | {"kind": "outer", "target_kind": "isosurface", "mean_nm": 8.0} for row in one]
    table = pd.DataFrame(one + leaflets)
    assert contacts_of(table)["kind"].tolist() == ["outer", "medial"]
    pooled = pd.concat([table.assign(tomogram="t1"), table.assign(tomogram="t2")], ignore_index=True)
    assert len(contacts_of(pooled)) == 4
    shown = contact_table(pooled)
    assert sorted(group.title for group in shown.groups) == ["t1", "t2"]
    assert shown.groups[0].rows[0][1].text == "outer leaflet and other membrane"


def test_rows_name_the_way_and_keep_the_full_names_on_hover():
    table = direction_table(pd.DataFrame([way([10.0, 11.5], 1.0, "5", "2")]))
    first = table.groups[0].rows[0][0]
    assert first.text == "contact 3: membrane 5 to 2"
    assert first.hover == "t1__membranes_5_roi003.medial to t1__membranes_2_roi003.medial"
    assert "5 % quantile" in [column.heading for column in table.columns]
    assert not {"kind", "label", "name", "roi", "target"} & {column.key for column in table.columns}


def test_without_distances_there_is_no_contact():
    assert contacts_of(pd.DataFrame()).empty

"""Tables of many tomograms find their tomogram, condition and grid, and say what they leave out."""

import numpy as np
import pandas as pd
import pytest
from simulated_tables import simulated_tables, write_tables

from tomocore.contract import InputError
from tomosurf.statistics.measures import (
    COUNT,
    DENSITY,
    gaps_of,
    measures_of,
    membrane_area_um2,
    membrane_pairs,
    pairs_of,
)
from tomosurf.statistics.tables import read_tables, read_tomograms, table_files


def listed(folder, text, name="tomograms.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_pooled_and_a_folder_a_tomogram_give_the_same(tmp_path):
    tables = simulated_tables(3)
    pooled = write_tables(tmp_path / "pooled", tables)
    apart = write_tables(tmp_path / "apart", tables, of_tomograms=True)
    one, other = (read_tables([folder], folder / "tomograms.csv", "condition") for folder in (pooled, apart))
    assert one.conditions == other.conditions == ["wt", "ko"]
    for kind in ("contacts", "surfaces", "contact_curve"):
        order = list(one.of(kind))
        pd.testing.assert_frame_equal(
            one.of(kind).sort_values(order, ignore_index=True),
            other.of(kind)[order].sort_values(order, ignore_index=True),
        )
    assert one.cautions == other.cautions == []


def test_names_as_other_programs_write_them(tmp_path):
    """The one rule: Warp's voxel size, IMOD's _rec, and the mask's name where no column tells."""
    names = ["ts_1_10.00Apx", "ts_2_rec", "ts_10"]
    listed(tmp_path, "name,condition\nts_1,wt\nts_2,wt\nts_10,ko\n")
    frame = pd.DataFrame({"name": [f"{n}__membranes_3" for n in names], "gap_nm": [1.0, 2.0, 3.0]})
    frame.to_csv(tmp_path / "contacts.csv", index=False)
    found = read_tables([tmp_path / "contacts.csv"], tmp_path / "tomograms.csv", "condition")
    assert found.of("contacts")["tomogram"].tolist() == ["ts_1", "ts_2", "ts_10"]
    assert found.of("contacts")["condition"].tolist() == ["wt", "wt", "ko"]


def test_names_that_look_like_numbers_or_nothing_stay_names(tmp_path):
    listed(tmp_path, "name;condition;grid\n01;1;NA\n02;2;7\n")
    pd.DataFrame({"tomogram": ["01", "02"], "gap_nm": [1.0, 2.0]}).to_csv(tmp_path / "m.csv", index=False)
    found = read_tables([tmp_path / "m.csv"], tmp_path / "tomograms.csv", "condition")
    assert found.tomograms["tomogram"].tolist() == ["01", "02"]
    assert found.tomograms["grid"].tolist() == ["NA", "7"]


def test_what_is_left_out_is_told(tmp_path, caplog):
    table = "name,condition,exclude\na,wt,\nb,,\nc,ko,bad ice\nd,ko,no\ne,wt,\nf,ko,\n"
    listed(tmp_path, table)
    frame = pd.DataFrame({"tomogram": list("abcdx"), "gap_nm": range(5)})
    frame.to_csv(tmp_path / "contacts.csv", index=False)
    found = read_tables([tmp_path], tmp_path / "tomograms.csv", "condition")
    assert found.tomograms["tomogram"].tolist() == ["a", "d"]
    lines = "\n".join(found.cautions)
    assert "1 rows of x belong to no tomogram" in lines
    assert "no condition for b" in lines
    assert "no table has a row of e, f" in lines
    assert "c left out" in lines
    assert all(caution in caplog.text for caution in found.cautions)


def test_a_tomogram_that_was_measured_and_holds_nothing_counts_as_zero(tmp_path):
    listed(tmp_path, "name,condition\na,wt\nb,wt\nc,ko\nd,ko\n")
    pd.DataFrame({"tomogram": ["a", "a", "c"], "contact_area_nm2": [1.0, 2.0, 3.0]}).to_csv(
        tmp_path / "contacts.csv", index=False
    )
    pd.DataFrame({"tomogram": list("abcd"), "name": list("abcd"), "area_nm2": [2e6] * 4}).to_csv(
        tmp_path / "surfaces.csv", index=False
    )
    found = read_tables([tmp_path], tmp_path / "tomograms.csv", "condition")
    counts = {m.key: m.rows[m.key].tolist() for m in measures_of(found, [COUNT, DENSITY])}
    assert counts == {COUNT: [2, 0, 1, 0], DENSITY: [1.0, 0, 0.5, 0]}


def test_pooled_tables_count_a_tomogram_where_a_project_found_nothing(tmp_path):
    results = tmp_path / "results"
    (results / "rois").mkdir(parents=True)
    rows = pd.DataFrame(
        {"tomogram": ["a", "a", "c"], "condition": ["wt", "wt", "ko"], "volume_nm3": [1.0, 2, 3]}
    )
    rows.to_csv(results / "rois.csv", index=False)
    for name in "acd":  # of the last there is no row
        (results / "rois" / f"{name}__rois.csv").write_text("id,volume_nm3\n")
    listed(tmp_path, "name,condition\na,wt\nc,ko\nd,ko\ne,ko\n")
    found = read_tables([results], tmp_path / "tomograms.csv", "condition")
    (count,) = measures_of(found, [COUNT])
    assert dict(zip(count.rows["tomogram"], count.rows[COUNT], strict=True)) == {"a": 2, "c": 1, "d": 0}
    assert "no table has a row of e" in "\n".join(found.cautions)
    (caution,) = read_tables([results], None, "condition").cautions
    assert caution.startswith("d: no table has a row, nor a condition; left out, also from counts")


def test_contacts_of_a_tomogram_whose_measuring_failed_are_not_none(tmp_path):
    listed(tmp_path, "name,condition\na,wt\nb,wt\nc,ko\n")
    for kind, names in (("rois", "abc"), ("surfaces", "ac"), ("contacts", "a")):
        rows = pd.DataFrame({"tomogram": list(names), "name": list(names), "status": "predicted", "roi": 1})
        rows.to_csv(tmp_path / f"{kind}.csv", index=False)
    found = read_tables([tmp_path], tmp_path / "tomograms.csv", "condition")
    counts = {
        m.kind: dict(zip(m.rows["tomogram"], m.rows[COUNT], strict=True)) for m in measures_of(found, [COUNT])
    }
    assert counts == {"contacts": {"a": 1, "c": 0}, "rois": {"a": 1, "b": 1, "c": 1}}
    assert "b: ROIs and no surface" in "\n".join(found.cautions)


def test_the_area_of_surfaces_within_rois_is_not_that_of_all_membranes(tmp_path):
    listed(tmp_path, "name,condition\na,wt\nb,ko\n")
    places = pd.DataFrame({"tomogram": ["a", "b"], "contact_area_nm2": [1.0, 2.0]})
    places.to_csv(tmp_path / "contacts.csv", index=False)
    pieces = pd.DataFrame({"tomogram": ["a", "b"], "name": ["a", "b"], "area_nm2": [2e3, 4e3], "roi": [1, 1]})
    pieces.to_csv(tmp_path / "surfaces.csv", index=False)
    found = read_tables([tmp_path], tmp_path / "tomograms.csv", "condition")
    keys = [measure.key for measure in measures_of(found)]
    assert COUNT in keys
    assert DENSITY not in keys
    with pytest.raises(InputError, match="area of all membranes is not known"):
        measures_of(found, [DENSITY])


def test_an_empty_table_in_a_tomograms_folder_says_that_it_was_measured(tmp_path):
    listed(tmp_path, "name,condition\na,wt\nb,ko\n")
    for name, text in (("a", "name,gap_mean_nm\nm,3\n"), ("b", "name\n")):
        (tmp_path / "surfaces" / name).mkdir(parents=True)
        (tmp_path / "surfaces" / name / "contacts.csv").write_text(text)
    found = read_tables([tmp_path], tmp_path / "tomograms.csv", "condition")
    (count, *_) = measures_of(found)
    assert count.rows[COUNT].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name,condition\na,wt\nb,wt\n", "one condition alone, wt"),
        ("name,grid\na,1\n", "no column condition"),
        ("stem,condition\na,wt\n", "no column name"),
        ("name,condition\na,wt\na,ko\n", "a stands there twice"),
        ("name,condition\na,wt,3\n", "line 2"),
        ("name,condition\na,\nb,\n", "none of the measured tomograms has a condition"),
        ("", "no column name"),
    ],
)
def test_lists_that_cannot_be_used(tmp_path, text, told):
    pd.DataFrame({"tomogram": ["a", "b"], "gap_nm": [1.0, 2.0]}).to_csv(
        tmp_path / "contacts.csv", index=False
    )
    with pytest.raises(InputError, match=told):
        read_tables([tmp_path], listed(tmp_path, text, "list.csv"), "condition")


def test_tables_that_cannot_be_used(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        table_files([tmp_path / "no.csv"])
    with pytest.raises(InputError, match=r"no contact_curve\.csv"):
        table_files([tmp_path])
    (tmp_path / "contacts.csv").write_text("tomogram,gap_nm\n")
    with pytest.raises(InputError, match="no table has a row"):
        read_tables([tmp_path], None, "condition")
    (tmp_path / "contacts.csv").write_text("tomogram,gap_nm\na,1,2,3\nb\nc,1,2,3,4,5\n")
    with pytest.raises(InputError, match=r"contacts\.csv: not a table"):
        read_tables([tmp_path], None, "condition")
    (tmp_path / "contacts.csv").write_text("tomogram,gap_nm\na,1\n")
    with pytest.raises(InputError, match="--tomograms"):
        read_tables([tmp_path], None, "condition")
    with pytest.raises(InputError, match="no such file"):
        read_tomograms(tmp_path / "none.csv", "condition")


def test_conditions_within_the_table_itself(tmp_path):
    frame = pd.DataFrame(
        {"tomogram": ["a", "b"], "dose": ["low", "high"], "gap_nm": [1.0, 2.0], "grid": ["g", None]}
    )
    frame.to_csv(tmp_path / "mine.csv", index=False)
    found = read_tables([tmp_path / "mine.csv"], None, "dose")
    assert found.conditions == ["low", "high"]
    (measure,) = measures_of(found)
    assert (measure.key, measure.column.unit, measure.places) == ("gap_nm", "nm", "rows")
    frame.assign(dose=["low", "high"], tomogram="a").to_csv(tmp_path / "mine.csv", index=False)
    with pytest.raises(InputError, match="several conditions"):
        read_tables([tmp_path / "mine.csv"], None, "dose")


def test_what_two_tables_tell_of_one_tomogram_is_not_counted_twice(tmp_path):
    frame = pd.DataFrame(
        {"name": ["membranes"], "kind": ["medial"], "source": ["membranes.mrc"], "area_nm2": [4.0]}
    )
    for folder, dose in (("a", "low"), ("b", "low"), ("c", "high")):
        (tmp_path / folder).mkdir()
        frame.assign(dose=dose).to_csv(tmp_path / folder / "surfaces.csv", index=False)
    folders = [tmp_path / folder for folder in "abc"]
    with pytest.raises(
        InputError, match=r"a/surfaces.csv and .*b/surfaces.csv: both tell of membranes of the"
    ):
        read_tables(folders, None, "dose")
    for folder in folders:
        own = pd.read_csv(folder / "surfaces.csv").assign(tomogram=folder.name)
        own.to_csv(folder / "surfaces.csv", index=False)
    assert len(read_tables(folders, None, "dose").of("surfaces")) == 3
    again = tmp_path / "again"
    again.mkdir()
    (again / "surfaces.csv").write_text((folders[0] / "surfaces.csv").read_text())
    with pytest.raises(InputError, match="both tell of membranes of the tomogram a"):
        read_tables([*folders, again], listed(tmp_path, "name,dose\na,low\nc,high\n"), "dose")
    assert (
        len(read_tables([*folders, again], listed(tmp_path, "name,dose\nb,low\nc,high\n"), "dose").tomograms)
        == 2
    )


@pytest.fixture
def study_tables(tmp_path):
    write_tables(tmp_path, simulated_tables(3))
    return read_tables([tmp_path], tmp_path / "tomograms.csv", "condition")


def test_measures_by_named_membranes(study_tables):
    found = [(m.key, m.where) for m in measures_of(study_tables)]
    assert found[0] == (COUNT, "")
    assert ("gap_mean_nm", "ER–OMM") in found
    assert ("mean_curvature_median_per_nm", "ER") in found
    assert ("mean_curvature_median_per_nm", "OMM") in found
    pairs = [(a.key, b.key) for a, b in pairs_of(study_tables, measures_of(study_tables))]
    assert pairs == [("mean_curvature_outside_per_nm", "mean_curvature_inside_per_nm")]
    assert {(a.where, b.where) for a, b in membrane_pairs(measures_of(study_tables))} == {("ER", "OMM")}


def test_labels_that_are_numbers_are_taken_together(study_tables):
    contacts = study_tables.of("contacts")
    study_tables.rows["contacts"] = contacts.assign(label="1", target_label="2")
    assert {m.where for m in measures_of(study_tables, ["gap_mean_nm"])} == {""}


def test_one_surface_stands_for_a_membrane(study_tables):
    surfaces = study_tables.of("surfaces")
    inner = surfaces.assign(kind="inner", bilayer_thickness_median_nm=4.0)
    study_tables.rows["surfaces"] = pd.concat([inner, surfaces], ignore_index=True)
    area = membrane_area_um2(study_tables.of("surfaces"))
    assert area["wt_01"] == pytest.approx(surfaces[surfaces["tomogram"] == "wt_01"]["area_nm2"].sum() / 1e6)
    (er, omm) = measures_of(study_tables, ["area_nm2"])
    assert len(er.rows) == len(omm.rows) == 6
    assert measures_of(study_tables, ["bilayer_thickness_median_nm"])[0].rows.iloc[:, -2].notna().all()


def test_a_wanted_measure_that_is_not_there(study_tables):
    with pytest.raises(InputError, match=r"gap: no table has such a measure; there are .*gap_mean_nm"):
        measures_of(study_tables, ["gap"])


def test_distances_stand_for_contacts_where_there_are_none(tmp_path):
    listed(tmp_path, "name,condition\na,wt\nb,ko\n")
    way = {
        "kind": "medial",
        "label": "1",
        "target_label": "2",
        "target_kind": "medial",
        "roi": 1,
        "area_measured_nm2": 10.0,
        "sd_nm": 1.0,
        "contact_mean_nm": 5.0,
        "contact_sd_nm": 1.0,
        "contact_area_nm2": 8.0,
    }
    rows = []
    for tomogram, gap in (("a", 10.0), ("b", 20.0)):
        names = (f"{tomogram}__membranes_1_roi001", f"{tomogram}__membranes_2_roi001")
        for (own, other), more in ((names, 0.0), (names[::-1], 2.0)):
            rows.append({**way, "name": own, "target": other, "min_nm": gap, "mean_nm": gap + more})
    pd.DataFrame(rows).to_csv(tmp_path / "distances.csv", index=False)
    found = read_tables([tmp_path], tmp_path / "tomograms.csv", "condition")
    by_key = {m.key: m for m in measures_of(found)}
    assert by_key["mean_nm"].rows["mean_nm"].tolist() == [11.0, 21.0]
    assert by_key[COUNT].rows[COUNT].tolist() == [1, 1]
    assert np.isfinite(gaps_of(found)["gap_sd_nm"]).all()
    contacts = pd.DataFrame(
        {"tomogram": ["a", "b"], "condition": ["wt", "ko"], "grid": "", "gap_mean_nm": 1.0}
    )
    found.rows["contacts"] = contacts
    assert {m.kind for m in measures_of(found)} == {"contacts"}


def test_surfaces_of_several_kinds_without_their_names_are_refused_with_the_file(tmp_path):
    listed(tmp_path, "name,condition\na,wt\nb,ko\n")
    table = pd.DataFrame({"tomogram": ["a", "b"], "kind": ["medial"] * 2, "area_nm2": [1.0, 2.0]})
    table.to_csv(tmp_path / "surfaces.csv", index=False)
    with pytest.raises(InputError, match=r"surfaces\.csv: no column name.*add it"):
        read_tables([tmp_path], tmp_path / "tomograms.csv", "condition")


@pytest.mark.parametrize("read", [read_tomograms, lambda path, by: read_tables([path], None, by)])
def test_a_heading_of_a_hundred_thousand_columns_is_no_table(tmp_path, read):
    path = tmp_path / "contacts.csv"
    path.write_text("name;condition;" * 50_000 + "\na;wt\n")
    with pytest.raises(InputError, match=r"contacts\.csv: its first line names 100,001 columns"):
        read(path, "condition")


def test_surfaces_of_which_none_belongs_to_a_listed_tomogram_stop_no_comparison(tmp_path):
    listed(tmp_path, "name,condition\na,wt\nb,ko\n")
    for kind, tomograms in (("surfaces", ["x", "y"]), ("contacts", ["a", "b"])):
        table = pd.DataFrame({"tomogram": tomograms, "name": "m", "kind": "medial", "area_nm2": [1.0, 2.0]})
        table.assign(contact_area_nm2=[3.0, 4.0]).to_csv(tmp_path / f"{kind}.csv", index=False)
    found = read_tables([tmp_path], tmp_path / "tomograms.csv", "condition")
    assert found.of("surfaces").empty
    assert "contacts" in {m.kind for m in measures_of(found)}

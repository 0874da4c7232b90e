"""Points in columns and in STAR files: the same places in nm however they are written."""

import numpy as np
import pandas as pd
import pytest
import starfile

from surfora.geometry.files import read_points
from tomocore.contract import InputError

PLACES_NM = np.array([[1.5, 20.0, 3.25], [4.0, 5.5, 60.0], [7.0, 8.0, 9.0]])


def lines(separator=",", factor=1.0, decimal="."):
    return "\n".join(
        separator.join(f"{value * factor:.6g}".replace(".", decimal) for value in row) for row in PLACES_NM
    )


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        ("xyz", lines(" ")),
        ("xyz", "3\nmade by hand\n" + "\n".join(f"C {row}" for row in lines(" ").splitlines())),
        ("txt", "# x y z\n" + lines("   ")),
        ("txt", "% a comment\n\n" + lines("\t")),
        ("csv", lines(",")),
        ("csv", "x,y,z\n" + lines(",")),
        ("csv", "﻿X [A],Y [A],Z [A]\n" + lines(",", 10)),
        ("csv", "x_nm,y_nm,z_nm\n" + lines(",")),
        ("csv", "pos_x (µm),pos_y (µm),pos_z (µm)\n" + lines(",", 1e-3)),
        ("csv", "x;y;z\n" + lines(";", decimal=",")),
        ("tsv", "CoordinateX\tCoordinateY\tCoordinateZ\n" + lines("\t")),
    ],
)
def test_columns_in_every_habit(tmp_path, ending, text):
    path = tmp_path / f"points.{ending}"
    path.write_text(text + "\n", encoding="utf-8")
    np.testing.assert_allclose(read_points(path).points, PLACES_NM)


def test_columns_beside_the_place(tmp_path):
    path = tmp_path / "tardis.csv"
    rows = "\n".join(
        f"{number},{row}" for number, row in zip((0, 0, 4), lines(",", 10).splitlines(), strict=True)
    )
    path.write_text("IDs,X [A],Y [A],Z [A]\n" + rows)
    cloud = read_points(path)
    np.testing.assert_allclose(cloud.points, PLACES_NM)
    np.testing.assert_array_equal(cloud.data["IDs"], [0, 0, 4])
    path.write_text("\n".join(f"{row},0,0,3" for row in lines(",").splitlines()))
    np.testing.assert_allclose(read_points(path).normals, [[0, 0, 1]] * 3)


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        (("1 {}", "1 {}", "2 {}"), "contour, x, y, z"),
        (("0 {}", "1 {}", "1 {}"), "contour, x, y, z"),
        (("1 1 {}", "1 2 {}", "2 1 {}"), "object, contour, x, y, z"),
        (("{} 0.9", "{} 0.8", "{} 0.7"), "x, y, z, column_4"),
        (("{} 1 7", "{} 1 8", "{} 2 9"), "x, y, z, column_4, column_5"),
        (("{} 255 0 12", "{} 255 0 12", "{} 0 0 200"), "x, y, z, column_4, column_5, column_6"),
    ],
)
def test_numbers_beside_places_without_names_are_no_places(tmp_path, caplog, rows, named):
    """IMOD's model2point puts object and contour first, others put scores, labels or colours last."""
    path = tmp_path / "points.txt"
    places = lines(" ").splitlines()
    path.write_text("\n".join(row.format(place) for row, place in zip(rows, places, strict=True)))
    cloud = read_points(path)
    np.testing.assert_allclose(cloud.points, PLACES_NM)
    assert cloud.normals is None
    assert f"have no names and are taken as {named}" in caplog.text


FOUR_PLACES = ("10.5 20 30.25", "11.5 21.5 31", "12 22 32.5", "13 23.5 33")


@pytest.mark.parametrize("rows", [("0 {}", "1 {}", "0 {}", "1 {}"), ("7 {}", "3 {}", "3 {}", "9 {}")])
def test_a_first_column_that_may_be_x_or_a_class_is_asked_about(tmp_path, rows):
    path = tmp_path / "points.txt"
    path.write_text("\n".join(row.format(place) for row, place in zip(rows, FOUR_PLACES, strict=True)))
    with pytest.raises(InputError, match="may be x or number contours or classes"):
        read_points(path)
    path.write_text("class x y z\n" + path.read_text())
    assert read_points(path).points[0].tolist() == [10.5, 20, 30.25]


def test_a_score_after_numbers_that_count_up_is_no_z(tmp_path):
    path = tmp_path / "points.txt"
    path.write_text("0 10.5 20.5 0.9\n0 11.5 21.5 0.8\n0 12.5 22.5 0.7\n0 13.5 23.5 0.6\n")
    with pytest.raises(InputError, match="may be x or number contours or classes"):
        read_points(path)
    path.write_text("5 20 30 0.9\n6 21 31 0.8\n5 22 32 0.7\n9 23 33 0.6\n")  # picks of whole voxels
    assert read_points(path).points[0].tolist() == [5, 20, 30]


def test_points_and_shapes_of_napari_are_z_y_x_in_voxels(tmp_path, caplog):
    path = tmp_path / "points.csv"
    rows = [",".join(f"{value:g}" for value in place[::-1]) for place in PLACES_NM]
    path.write_text("index,axis-0,axis-1,axis-2\n" + "\n".join(f"{k},{row}" for k, row in enumerate(rows)))
    np.testing.assert_allclose(read_points(path, voxel_size_nm=2.0).points, 2 * PLACES_NM)
    assert "taken as z, y, x in voxels" in caplog.text
    with pytest.raises(InputError, match="--voxel-size"):
        read_points(path)
    path.write_text(
        "index,shape-type,vertex-index,axis-0,axis-1,axis-2\n"
        + "\n".join(f"0,path,{k},{row}" for k, row in enumerate(rows))
    )
    np.testing.assert_allclose(read_points(path, voxel_size_nm=0.5).points, PLACES_NM / 2)


def test_an_asked_unit_overrides_the_header(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("X [px],Y [px],Z [px]\n" + lines(","))
    np.testing.assert_allclose(read_points(path, None, 2.0).points, 2 * PLACES_NM)
    np.testing.assert_allclose(read_points(path, "angstrom").points, PLACES_NM / 10)
    with pytest.raises(InputError, match="--voxel-size"):
        read_points(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("a,b\n1,2\n", "none named x, y, z"),
        ("1,2\n3,4\n", "2 columns"),
        ("x,y,z\n1,2,3\n1,abc,3\n", "point 2 has a coordinate that is no number"),
        ("x_nm,y_nm,z [A]\n1,2,3\n", "several units"),
        ("x,y,z\n1,2,3\n1,inf,3\n", "not numbers"),
    ],
)
def test_columns_that_are_no_points(tmp_path, text, said):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=said) as refused:
        read_points(path)
    assert str(path) in str(refused.value)


def star(path, columns, optics=None, factor=1.0):
    names = [f"rlnCoordinate{axis}" for axis in "XYZ"]
    particles = pd.DataFrame(PLACES_NM * factor, columns=names).assign(**columns)
    tables = (
        {"particles": particles}
        if optics is None
        else {"optics": pd.DataFrame(optics), "particles": particles}
    )
    starfile.write(tables, path)
    return path


def test_star_points_take_the_pixel_size_of_their_optics_group(tmp_path):
    optics = {"rlnOpticsGroup": [1, 2], "rlnTomoTiltSeriesPixelSize": [10.0, 20.0]}
    path = star(tmp_path / "a.star", {"rlnOpticsGroup": [1, 2, 1], "rlnAngleRot": [5.0, 6.0, 7.0]}, optics)
    cloud = read_points(path)
    np.testing.assert_allclose(cloud.points, PLACES_NM * [[1], [2], [1]])
    np.testing.assert_array_equal(cloud.data["rlnAngleRot"], [5, 6, 7])
    np.testing.assert_allclose(read_points(path, "voxel", 0.5).points, PLACES_NM / 2)


def test_star_files_that_do_not_tell_the_place(tmp_path):
    with pytest.raises(InputError, match="no pixel size"):
        read_points(star(tmp_path / "a.star", {}))
    several = star(tmp_path / "b.star", {"rlnTomoName": ["t1", "t2", "t1"]})
    with pytest.raises(InputError, match="several tomograms"):
        read_points(several, "nm")
    centred = pd.DataFrame(PLACES_NM, columns=[f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"])
    starfile.write({"particles": centred}, tmp_path / "c.star")
    with pytest.raises(InputError, match="tomogram's centre"):
        read_points(tmp_path / "c.star")
    (tmp_path / "d.star").write_text("hello")
    with pytest.raises(InputError, match=r"d\.star"):
        read_points(tmp_path / "d.star")

"""OME-Zarr of every version: axes, units, scales and translations at both levels, labels inside images."""

import numpy as np
import pytest
import zarr

from tomocore.contract import InputError
from tomocore.volumes.formats import inspect_volume, read_volume

DATA = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
LETTERS = ["z", "y", "x"]


def axes(unit="nanometer", names="zyx"):
    kinds = {"t": "time", "c": "channel"}
    return [
        {"name": n, "type": "space", "unit": unit} if n in "zyxZYX" else {"name": n, "type": kinds[n]}
        for n in names
    ]


def scale(*values):
    return {"type": "scale", "scale": list(values)}


def translation(*values):
    return {"type": "translation", "translation": list(values)}


def write_image(
    path, data=DATA, named=None, transforms=(), outer=(), version="0.4", group=None, zarr_format=2
):
    if group is None:
        group = zarr.open_group(str(path), mode="w", zarr_format=zarr_format)
    group.create_array("0", data=data)
    image = {"version": version, "datasets": [{"path": "0"}]}
    if named is not None:
        image["axes"] = named
    if transforms:
        image["datasets"][0]["coordinateTransformations"] = list(transforms)
    if outer:
        image["coordinateTransformations"] = list(outer)
    if version == "0.5":
        group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    else:
        group.attrs["multiscales"] = [image]
    return group


@pytest.mark.parametrize(
    ("named", "shape", "version"),
    [
        (None, (1, 1, 2, 3, 4), "0.1"),
        (None, (1, 1, 2, 3, 4), "0.2"),
        (None, (2, 3, 4), "0.2"),
        (LETTERS, (2, 3, 4), "0.3"),
        (["c", *LETTERS], (1, 2, 3, 4), "0.3"),
        (axes(), (2, 3, 4), "0.4"),
        (axes(), (2, 3, 4), "0.5"),
    ],
)
def test_every_version_without_a_scale_is_a_volume_without_a_voxel_size(tmp_path, named, shape, version):
    zarr_format = 3 if version == "0.5" else 2
    write_image(tmp_path / "a.zarr", DATA.reshape(shape), named, version=version, zarr_format=zarr_format)
    header = inspect_volume(tmp_path / "a.zarr")
    assert header.shape == (2, 3, 4)
    assert "never set, because its metadata give no scale" in header.size_problem
    for lazy in (False, True):
        volume = read_volume(tmp_path / "a.zarr", voxel_size_nm=1.5, lazy=lazy)
        np.testing.assert_array_equal(volume.data, DATA)
        np.testing.assert_array_equal(volume.data[1, :2, 3], DATA[1, :2, 3])


@pytest.mark.parametrize("names", ["zyx", "xyz", "yzx", "ZYX", "zyxc", "tczyx", "xyzc"])
@pytest.mark.parametrize("lazy", [False, True])
def test_axes_are_put_in_order(tmp_path, names, lazy):
    order = ["zyx".index(n) for n in names.lower() if n in "zyx"]
    data = DATA.transpose(order).reshape(
        [DATA.shape["zyx".index(n)] if n in "zyx" else 1 for n in names.lower()]
    )
    shift = [{"z": 3, "y": 2, "x": 1}.get(n, 0) for n in names.lower()]
    write_image(tmp_path / "a", data, axes(names=names), [scale(*[2.0] * len(names)), translation(*shift)])
    volume = read_volume(tmp_path / "a", lazy=lazy)
    np.testing.assert_array_equal(volume.data, DATA)
    np.testing.assert_array_equal(volume.data[0, 1:, ::2], DATA[0, 1:, ::2])
    np.testing.assert_array_equal([plane for plane in volume.data], DATA)
    assert volume.origin_nm == (1.0, 2.0, 3.0)


def test_transforms_of_the_level_come_before_those_of_the_image(tmp_path):
    """World = 5 (index × 0.3 + (1, 2, 3)) + (10, 20, 30), along z, y, x."""
    inner, outer = [scale(0.3, 0.3, 0.3), translation(1, 2, 3)], [scale(5, 5, 5), translation(10, 20, 30)]
    write_image(tmp_path / "a.zarr", named=axes(), transforms=inner, outer=outer)
    volume = read_volume(tmp_path / "a.zarr")
    assert volume.voxel_size_nm == pytest.approx(1.5)
    assert volume.origin_nm == pytest.approx((45.0, 30.0, 15.0))


def test_a_scale_of_the_image_alone_counts(tmp_path):
    write_image(tmp_path / "a.zarr", named=axes("angstrom"), outer=[scale(13.4, 13.4, 13.4)])
    assert read_volume(tmp_path / "a.zarr").voxel_size_nm == pytest.approx(1.34)


def test_transforms_may_be_stored_as_arrays_and_do_nothing(tmp_path):
    stored = {"type": "scale", "path": "edges"}
    group = write_image(tmp_path / "a.zarr", named=axes(), transforms=[{"type": "identity"}, stored])
    group.create_array("edges", data=np.full(3, 1.25))
    assert read_volume(tmp_path / "a.zarr").voxel_size_nm == 1.25


def test_transforms_of_other_kinds_are_refused_by_name(tmp_path):
    write_image(tmp_path / "a.zarr", named=axes(), transforms=[{"type": "affine", "affine": []}])
    with pytest.raises(InputError, match=r"a\.zarr: its transform 'affine'"):
        read_volume(tmp_path / "a.zarr")


@pytest.mark.parametrize(
    ("unit", "edge"),
    [("angstrom", 0.9), ("Å", 0.9), ("nm", 9.0), ("nanometre", 9.0), ("µm", 9e3), ("microns", 9e3)],
)
def test_units_are_known_in_every_spelling(tmp_path, unit, edge):
    write_image(tmp_path / "a.zarr", named=axes(unit), transforms=[scale(9, 9, 9)])
    assert inspect_volume(tmp_path / "a.zarr").voxel_size_nm == pytest.approx((edge,) * 3)


@pytest.mark.parametrize(
    ("unit", "reason"), [(None, "its axes name no unit"), ("foo", "unit 'foo' of its axes is not known")]
)
def test_a_missing_or_unknown_unit_is_said_and_places_follow_the_edge_given(tmp_path, unit, reason):
    write_image(tmp_path / "a.zarr", named=axes(unit), transforms=[scale(9, 9, 9), translation(18, 0, 0)])
    with pytest.raises(InputError, match=rf"{reason}.*scaled by 9 × 9 × 9.*--voxel-size"):
        read_volume(tmp_path / "a.zarr")
    assert read_volume(tmp_path / "a.zarr", voxel_size_nm=0.9).origin_nm == pytest.approx((0, 0, 1.8))


@pytest.mark.parametrize("inside", ["labels/membrane", "labels"])
@pytest.mark.parametrize("root", ["image.zarr", "image"])
def test_labels_inside_an_image_are_read(tmp_path, root, inside):
    group = write_image(tmp_path / root, DATA.astype(np.float32), axes(), [scale(1, 1, 1)])
    labels = group.create_group("labels")
    labels.attrs["labels"] = ["membrane"]
    write_image("", DATA + 1, axes(), [scale(1, 1, 1)], group=labels.create_group("membrane"))
    np.testing.assert_array_equal(read_volume(tmp_path / root / inside).data, DATA + 1)
    np.testing.assert_array_equal(read_volume(tmp_path / root).data, DATA)
    write_image("", DATA, axes(), [scale(1, 1, 1)], group=labels.create_group("er"))
    with pytest.raises(InputError, match=r"2 images \(er, membrane\); give one, for example .*er"):
        read_volume(tmp_path / root / "labels")


def test_the_only_image_in_a_wrapper_is_read(tmp_path):
    wrapper = zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=2)
    wrapper.attrs["bioformats2raw.layout"] = 3
    wrapper.create_group("OME")
    write_image("", DATA, axes(), [scale(1.5, 1.5, 1.5)], group=wrapper.create_group("0"))
    assert read_volume(tmp_path / "a.zarr").voxel_size_nm == 1.5
    assert read_volume(tmp_path / "a.zarr" / "0").voxel_size_nm == 1.5
    write_image("", DATA, axes(), [scale(1, 1, 1)], group=wrapper.create_group("1"))
    with pytest.raises(InputError, match=r"2 images \(0, 1\)"):
        read_volume(tmp_path / "a.zarr")


def test_a_level_named_outright_has_the_size_that_its_image_tells(tmp_path):
    group = write_image(tmp_path / "a.zarr", named=axes(), transforms=[scale(1, 1, 1)])
    group.create_array("1", data=DATA[:1, :2, :2])
    image = group.attrs["multiscales"][0]
    image["datasets"].append({"path": "1", "coordinateTransformations": [scale(2, 2, 2)]})
    group.attrs["multiscales"] = [image]
    assert read_volume(tmp_path / "a.zarr" / "1").voxel_size_nm == 2.0
    assert read_volume(tmp_path / "a.zarr").voxel_size_nm == 1.0


def test_a_plain_array_has_no_voxel_size(tmp_path):
    zarr.create_array(str(tmp_path / "a.zarr"), data=DATA)
    with pytest.raises(InputError, match="it is a plain Zarr array without a scale"):
        read_volume(tmp_path / "a.zarr")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.zarr", voxel_size_nm=2.0).data, DATA)


def test_channels_and_empty_groups_are_refused_in_words(tmp_path):
    write_image(tmp_path / "c.zarr", np.stack([DATA, DATA]), axes(names="czyx"), [scale(1, 1, 1, 1)])
    with pytest.raises(InputError, match=r"2 c, 2 z, 3 y, 4 x.*one channel"):
        read_volume(tmp_path / "c.zarr")
    zarr.open_group(str(tmp_path / "e.zarr"), mode="w")
    (tmp_path / "plain").mkdir()
    for name in ("e.zarr", "plain"):
        with pytest.raises(InputError, match=f"{name}: .*OME-Zarr image"):
            read_volume(tmp_path / name)


def test_axes_with_names_of_thousands_of_letters_are_told_shortly(tmp_path):
    named = [{"name": name * 3000, "type": "space"} for name in "zyx"]
    write_image(tmp_path / "a.zarr", named=named, transforms=[scale(1, 1, 1)])
    with pytest.raises(InputError, match=r"a\.zarr: ") as refusal:
        inspect_volume(tmp_path / "a.zarr")
    assert len(str(refusal.value)) < 600

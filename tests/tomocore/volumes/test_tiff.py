"""TIFF stacks: the habits of ImageJ and OME, true reasons, and headers read without their voxels."""

import logging
import tracemalloc

import numpy as np
import pytest
import tifffile

from tomocore.contract import InputError
from tomocore.volumes import tiff
from tomocore.volumes.formats import inspect_volume, read_volume
from tomocore.volumes.lazy import StoredArray

DATA = np.random.default_rng(0).integers(0, 255, (5, 30, 40), dtype=np.uint8)


def imagej(path, per_unit=1 / 1.5, data=DATA, **metadata):
    metadata = {"axes": "ZYX"} | metadata
    tifffile.imwrite(path, data, imagej=True, resolution=(per_unit, per_unit), metadata=metadata)
    return path


@pytest.mark.parametrize(
    ("unit", "edge"),
    [("microns", 0.0015), ("micron", 0.0015), ("um", 0.0015), ("\\u00B5m", 0.0015), ("nm", 1.5), ("Å", 15.0),
     ("angstrom", 15.0), ("mm", 1.5e-6)],
)  # fmt: skip
def test_imagej_units(tmp_path, unit, edge):
    escaped = unit.replace("Å", "\\u00C5")
    path = imagej(tmp_path / "a.tif", 1 / edge, unit=escaped, spacing=edge)
    assert read_volume(path).voxel_size_nm == pytest.approx(1.5, rel=1e-3)


def test_imagej_leaves_a_spacing_out_and_that_is_said(tmp_path, caplog):
    path = imagej(tmp_path / "a.tif", unit="nm")
    with caplog.at_level(logging.WARNING):
        assert read_volume(path).voxel_size_nm == pytest.approx(1.5, rel=1e-6)
    assert "no voxel size along z" in caplog.text


def test_a_negative_spacing_is_a_length(tmp_path):
    assert read_volume(imagej(tmp_path / "a.tif", unit="nm", spacing=-1.5)).voxel_size_nm == pytest.approx(
        1.5
    )


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"spacing": 1.5}, "its ImageJ metadata name no unit"),
        ({"unit": "pixel"}, "its ImageJ metadata name no unit"),
        ({"unit": "foo"}, "unit 'foo' of its ImageJ metadata is not known"),
        ({"unit": "inch", "spacing": 1.5}, "a unit is wrong"),
    ],
)
def test_the_reason_for_having_no_voxel_size_is_true(tmp_path, metadata, reason):
    path = imagej(tmp_path / "a.tif", **metadata)
    with pytest.raises(InputError, match=reason):
        read_volume(path)


@pytest.mark.parametrize("unit", [2, 3])
def test_a_resolution_per_inch_or_cm_is_no_voxel_size(tmp_path, unit):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, DATA, resolution=(300, 300), resolutionunit=unit, photometric="minisblack")
    with pytest.raises(
        InputError, match="neither OME nor ImageJ metadata, its resolution is meant for print"
    ):
        read_volume(path)


@pytest.mark.parametrize(("axes", "said"), [("ZYX", ""), ("TYX", "time points"), ("CYX", "channels")])
def test_frames_and_channels_of_a_stack_are_its_planes(tmp_path, caplog, axes, said):
    path = imagej(tmp_path / "a.tif", unit="nm", spacing=1.5, finterval=0.1, axes=axes)
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(read_volume(path).data, DATA)
    assert said in caplog.text
    assert bool(said) == bool(caplog.records)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_planes_written_one_by_one_are_a_stack_where_they_are_alike(tmp_path, compression):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        for plane in DATA:
            file.write(plane, contiguous=False, compression=compression)
    assert inspect_volume(path).shape == DATA.shape
    assert np.array_equal(read_volume(path, 1.0).data, DATA)
    with tifffile.TiffWriter(path, append=True) as file:
        file.write(DATA[0, :20])
    with pytest.raises(InputError, match=r"30 × 40 \(YX\) and 2 more; give the planes .* of one size"):
        read_volume(path, 1.0)


def test_hyperstacks_with_one_channel_and_frame_are_volumes(tmp_path):
    path = imagej(tmp_path / "a.tif", data=DATA[None, :, None], axes="TZCYX", unit="nm", spacing=1.5)
    assert read_volume(path).shape == DATA.shape


@pytest.mark.parametrize(
    ("data", "axes", "held"),
    [
        (DATA[0], "YX", "30 × 40"),
        (np.stack([DATA] * 2), "CZYX", r"CZYX|ZCYX"),
        (DATA[:, :, :3], "YXS", "YXS"),
    ],
)
def test_what_is_no_stack_of_planes_is_refused(tmp_path, data, axes, held):
    tifffile.imwrite(tmp_path / "a.tif", data, metadata={"axes": axes}, ome=axes != "YX")
    with pytest.raises(InputError, match=rf"not one stack of planes but .*{held}"):
        read_volume(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("unit", "edge"), [("nm", 1.5), ("µm", 0.0015), ("Å", 15.0), ("pm", 1500.0), (None, 0.0015)]
)
def test_ome_units_and_their_default(tmp_path, unit, edge):
    sizes = {f"PhysicalSize{axis}": edge for axis in "XYZ"}
    units = {f"PhysicalSize{axis}Unit": unit for axis in "XYZ"} if unit else {}
    tifffile.imwrite(tmp_path / "a.ome.tif", DATA, ome=True, metadata={"axes": "ZYX"} | sizes | units)
    assert read_volume(tmp_path / "a.ome.tif").voxel_size_nm == pytest.approx(1.5)


def test_ome_without_a_size_or_with_pixels_for_unit_says_so(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", DATA, ome=True, metadata={"axes": "ZYX"})
    with pytest.raises(InputError, match="its OME metadata give no physical size"):
        read_volume(tmp_path / "a.tif")
    sizes = {f"PhysicalSize{axis}": 1.0 for axis in "XYZ"} | {
        f"PhysicalSize{axis}Unit": "pixel" for axis in "XYZ"
    }
    tifffile.imwrite(tmp_path / "b.tif", DATA, ome=True, metadata={"axes": "ZYX"} | sizes)
    with pytest.raises(InputError, match="its OME metadata name no unit of length"):
        read_volume(tmp_path / "b.tif")


def test_a_missing_codec_has_the_true_remedy(tmp_path, monkeypatch):
    path = imagej(tmp_path / "a.tif", unit="nm", spacing=1.5)
    monkeypatch.setattr(tiff, "WITHOUT_IMAGECODECS", ())
    monkeypatch.setattr(tiff, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install imagecodecs, or save the file without compression"):
        read_volume(path)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_either_byte_order_packed_or_not_in_memory_or_on_disk(tmp_path, byteorder, compression):
    data = DATA.astype(np.int16) * 100
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, data, byteorder=byteorder, compression=compression, photometric="minisblack",
        ome=True, metadata={"axes": "ZYX", **{f"PhysicalSize{axis}": 0.0015 for axis in "XYZ"}},
    )  # fmt: skip
    np.testing.assert_array_equal(read_volume(path).data, data)
    lazy = read_volume(path, lazy=True).data
    np.testing.assert_array_equal(lazy, data)
    assert isinstance(lazy, StoredArray) == (compression is None)


def test_a_header_is_read_without_its_voxels(tmp_path):
    big = np.zeros((40, 500, 500), np.float32)
    tifffile.imwrite(tmp_path / "a.tif", big, compression="zlib", photometric="minisblack")
    tracemalloc.start()
    header = inspect_volume(tmp_path / "a.tif")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert header.shape == big.shape
    assert header.nbytes == big.nbytes
    assert peak < big.nbytes / 4


def test_a_codec_that_is_missed_while_decoding_has_the_true_remedy(tmp_path, monkeypatch):
    def fail(self, *args, **options):
        raise ValueError("<PREDICTOR.FLOATINGPOINT: 3> requires the 'imagecodecs' package")

    tifffile.imwrite(tmp_path / "a.tif", DATA, compression="zlib", photometric="minisblack")
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", fail)
    with pytest.raises(InputError, match="pip install imagecodecs"):
        read_volume(tmp_path / "a.tif", 1.0)

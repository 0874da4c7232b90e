"""One rule tells which file belongs to which tomogram, and nothing is left out without a line."""

import logging
from pathlib import Path

import pytest

from tomocore.contract import InputError
from tomocore.files_of_tomograms import (
    matched,
    owner_of,
    product_files,
    product_of,
    require_match,
    require_own_names,
    safe_name,
    tomogram_files,
    tomogram_stem,
    volume_stem,
)


def touched(folder, *names):
    folder.mkdir(exist_ok=True, parents=True)
    for name in names:
        (folder / name).touch()
    return [folder / name for name in names]


@pytest.mark.parametrize(
    ("name", "stem", "product"),
    [
        ("t_01__confidence.mrc", "t_01", "confidence"),
        ("t_01__rois.npz", "t_01", "rois"),
        ("t_01__membranes.mrc.gz", "t_01", "membranes"),
        ("t_01__membranes.ome.zarr", "t_01", "membranes"),
        ("t_01.mrc", "t_01", ""),
        ("t_01.MRC", "t_01", ""),
        ("grid1__ts_001.mrc", "grid1__ts_001", ""),
        ("grid1__ts_001__labels.tif", "grid1__ts_001", "labels"),
        ("ts_01_13.48Apx.mrc", "ts_01_13.48Apx", ""),
        ("ts_01_13.48Apx__roi007.mrc", "ts_01_13.48Apx", "roi007"),
        ("Zürich α.rec", "Zürich α", ""),
        ("a.b.c.st", "a.b.c", ""),
        ("cell.h5", "cell", ""),
        ("cell.h5/er", "cell_er", ""),
        ("image.ome.zarr/labels/membrane", "image_membrane", ""),
        ("ts.mrc.bz2", "ts", ""),
        ("labels.am", "labels", ""),
    ],
)
def test_stem_and_product_of_a_name(name, stem, product):
    assert tomogram_stem(Path("x.y") / name) == stem
    assert product_of(Path(name)) == product


def test_composed_and_decomposed_letters_are_one_name():
    assert volume_stem(Path("Mu\u0308ller.mrc")) == volume_stem(Path("M\u00fcller.mrc"))


def test_a_folder_gives_its_tomograms_and_tells_what_it_leaves_out(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    wanted = touched(tmp_path, "grid1__ts_001.mrc", "ts1.rec", "ts_002.mrc")
    touched(tmp_path, "ts1.ali", "ts1.st", "ts_002__labels.mrc", ".hidden.mrc", "ts1.rawtlt")
    assert tomogram_files([tmp_path]) == wanted
    told = {record.levelno: record.getMessage() for record in caplog.records}
    assert "ts1.ali, ts1.st" in told[logging.WARNING]
    assert "tilt series" in told[logging.WARNING]
    assert told[logging.INFO].endswith("ts_002__labels.mrc")


def test_a_zarr_folder_is_a_volume_whatever_it_is_called(tmp_path):
    (tmp_path / "image" / "labels" / "membrane").mkdir(parents=True)
    touched(tmp_path / "image", ".zgroup")
    touched(tmp_path / "image" / "labels" / "membrane", "zarr.json")
    assert tomogram_files([tmp_path]) == [tmp_path / "image"]
    inner = tmp_path / "image" / "labels" / "membrane"
    assert product_files([inner], "membranes") == [inner]


def test_files_named_outright_are_kept_and_tilt_series_are_told(tmp_path, caplog):
    files = touched(tmp_path, "a__labels.mrc", "a.st")
    assert tomogram_files(files) == files
    assert "a.st: a tilt series" in caplog.text


def test_patterns_are_expanded_where_the_shell_did_not(tmp_path):
    files = touched(tmp_path, "a.rec", "b.rec", "c[1].rec")
    assert tomogram_files([tmp_path / "*.rec"]) == files
    assert tomogram_files([files[2], tmp_path / "c*.rec"]) == files[2:]
    with pytest.raises(InputError, match="no file fits"):
        tomogram_files([tmp_path / "*.mrc"])


def test_a_folder_without_tomograms_is_refused(tmp_path):
    touched(tmp_path, "a__labels.mrc")
    with pytest.raises(InputError, match="holds no tomograms"):
        tomogram_files([tmp_path])


def test_products_of_a_folder_are_the_first_kind_it_has(tmp_path):
    given = touched(tmp_path / "given", "a__membranes.mrc", "a__confidence.mrc", "a.mrc")
    drawn = touched(tmp_path / "drawn", "b__confidence.mrc", "b__confidence.json")
    both = [tmp_path / "given", tmp_path / "drawn"]
    assert product_files(both, "membranes", "confidence") == [given[0], drawn[0]]
    archives = touched(tmp_path / "rois", "b__rois.npz", "a__rois.npz", "a__rois.mrc")
    assert product_files([tmp_path / "rois"], "rois.npz", "confidence") == archives[1::-1]
    foreign = touched(tmp_path / "foreign", "a_segmented.mrc", "a__labels.mrc", "a.st")
    assert product_files([tmp_path / "foreign"], "membranes", of_others=True) == foreign[:1]
    with pytest.raises(InputError, match=r"holds no <name>__membranes\.mrc files"):
        product_files([tmp_path / "foreign"], "membranes")


def test_other_volumes_of_a_folder_are_told_unless_they_are_the_tomograms(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    given = touched(tmp_path, "a__membranes.mrc", "a_10.00Apx.mrc", "b_seg.mrc", "c.st")
    assert product_files([tmp_path], "membranes", of_others=True) == given[:1]
    assert caplog.messages == [f"{tmp_path}: left out, not called <name>__membranes as others are: b_seg.mrc"]


def names_of(pairs):
    return {a.name: b.name for a, b in pairs.items()}


@pytest.mark.parametrize(
    ("tomograms", "others", "pairs"),
    [
        (["a.mrc", "b.mrc"], ["b__labels.mrc", "a__labels.mrc"], [1, 0]),
        (["grid1__t.mrc", "t.mrc"], ["t__rois.npz", "grid1__t__rois.npz"], [1, 0]),
        (["ts_1.mrc", "ts_1_2.mrc"], ["ts_1_2__labels.mrc", "ts_1__labels.mrc"], [1, 0]),
        (["ts_1.mrc", "ts_10.mrc"], ["ts_10_segmented.mrc", "ts_1_segmented.mrc"], [1, 0]),
        (["ts_01_10.00Apx.mrc"], ["ts_01__membranes.mrc"], [0]),
        (["ts_01_10.00Apx.mrc"], ["ts_01_20.00Apx__membranes.mrc"], [0]),
        (["ts_01_rec.mrc"], ["ts_01_10.00Apx_rec__membranes.mrc"], [0]),
        (["ts_01.mrc"], ["ts_01_10.00Apx_MemBrain_seg_v10_alpha.ckpt_segmented.mrc"], [0]),
        (["ts_01_10.00Apx.mrc"], ["ts_01_10.00Apx_MemBrain_seg_v10_alpha.ckpt_segmented.mrc"], [0]),
        # Masks of other programs, and what TomoROIS calls by the tomogram's name, in orders that differ.
        (["t10_seg.mrc", "t1_seg.mrc"], ["t1.mrc", "t10.mrc"], [1, 0]),
        (["t1_seg.mrc", "t10_seg.mrc"], ["t10__rois.npz", "t1__rois.npz"], [1, 0]),
        (["ts_01_10.00Apx_segmented.mrc"], ["ts_01__rois.npz"], [0]),
        (["Müller.mrc", "α β.mrc"], ["α β_seg.tif", "Mu\u0308ller_seg.tif"], [1, 0]),
    ],
)
def test_files_find_their_tomogram_by_name(tomograms, others, pairs, caplog):
    ours, theirs = [Path(n) for n in tomograms], [Path("x") / n for n in others]
    assert matched(ours, theirs, "label") == {a: theirs[b] for a, b in zip(ours, pairs, strict=True)}
    assert not caplog.records


def test_a_number_behind_the_stem_means_another_tomogram(caplog):
    pairs = matched([Path("ts_1.mrc"), Path("a.mrc")], [Path("ts_1_2_seg.mrc"), Path("a_seg.mrc")], "mask")
    assert names_of(pairs) == {"a.mrc": "a_seg.mrc"}
    assert "of none of the tomograms, not used: ts_1_2_seg.mrc" in caplog.text
    with pytest.raises(InputError, match=r"no mask file of ts_1\.mrc"):
        require_match([Path("ts_1.mrc"), Path("a.mrc")], pairs, "mask")


def test_masks_of_one_tomogram_share_its_file_and_that_is_told(caplog):
    masks = [Path("t1_OMM.mrc"), Path("t1_ER.mrc"), Path("t1_2_ER.mrc")]
    assert names_of(matched(masks, [Path("t1__rois.npz")], "ROI")) == {
        "t1_OMM.mrc": "t1__rois.npz",
        "t1_ER.mrc": "t1__rois.npz",
    }
    assert "t1__rois.npz: taken as the ROI file of t1_OMM.mrc, t1_ER.mrc" in caplog.text


def test_two_files_of_one_tomogram_are_refused():
    with pytest.raises(InputError, match=r"both seem to be the label file of a\.mrc"):
        matched([Path("a.mrc")], [Path("x/a__labels.mrc"), Path("y/a__labels.tif")], "label")


def test_files_are_paired_by_order_only_where_no_name_fits(caplog):
    tomograms = [Path("a.mrc"), Path("b.mrc")]
    assert names_of(matched(tomograms, [Path("x.mrc"), Path("y.mrc")], "label")) == {
        "a.mrc": "x.mrc",
        "b.mrc": "y.mrc",
    }
    assert "matched by their order" in caplog.text
    with pytest.raises(InputError, match="1 label files for 2 tomograms"):
        matched(tomograms, [Path("x.mrc")], "label")


def test_two_inputs_of_one_name_are_refused():
    require_own_names([Path("a/t.mrc"), Path("a/s.mrc")])
    for second in ("b/t.mrc", "a/t.rec", "a/T.mrc", "a/t__membranes.mrc"):
        with pytest.raises(InputError, match=r"a/t\.mrc and .* would be written under one name, t"):
            require_own_names([Path("a/t.mrc"), Path(second)])
    require_own_names([Path("a/t.mrc"), Path("b/t__x.mrc")], volume_stem)


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("ts_1", "ts_1"),
        ("ts_1__membranes_3_roi007", "ts_1"),
        ("ts_1__membranes.mrc", "ts_1"),
        ("ts_1_10.00Apx", "ts_1"),
        ("ts_1_OMM", "ts_1"),
        ("ts_10_rec", "ts_10"),
        ("ts_2", None),
        ("ts_1_2", None),
    ],
)
def test_many_things_belong_to_one_tomogram_by_their_names(name, owner):
    assert owner_of(name, ["ts_1", "ts_10"]) == owner


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("OMM", "OMM"),
        ("A&B", "A_B"),
        ("<script>", "_script_"),
        ("../../x", "_.._x"),
        ("..", "_"),
        ("", "_"),
        ("a/b\\c:d*e?f|g", "a_b_c_d_e_f_g"),
        ('"quoted"', "_quoted_"),
        ("two\nlines\x00", "two lines"),
        ("Ωμέγα-ß 囊泡", "Ωμέγα-ß 囊泡"),
        ("e\u0301", "é"),
        ("\u202egnp", "gnp"),
        ("con", "_con"),
        ("COM1.x", "_COM1.x"),
        ("end. ", "end"),
    ],
)
def test_typed_names_become_parts_of_file_names_on_any_system(name, safe):
    assert safe_name(name) == safe


def test_long_names_are_cut_and_still_differ():
    one, other = ("é" * 300 + end for end in "ab")
    assert safe_name(one) != safe_name(other)
    for name in (one, other):
        assert len(safe_name(name).encode()) <= 64
        assert safe_name(safe_name(name)) == safe_name(name)


def test_a_link_that_leads_to_itself_is_a_file_like_any_other_until_it_is_read(tmp_path):
    loop, (file,) = tmp_path / "loop.mrc", touched(tmp_path, "a.mrc")
    loop.symlink_to(loop.name)
    (tmp_path / "again.mrc").symlink_to(file.name)
    assert product_files([file, loop, tmp_path / "again.mrc", loop], "membranes") == [file, loop]

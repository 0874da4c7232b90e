"""What a file is, how big, what its header and values say, and what looks wrong: `tomorois info`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomocore.contract import InputError, naming
from tomocore.files_of_tomograms import volume_stem
from tomocore.roiset import RoiSet, read_rois, union_mask
from tomocore.volumes.formats import VolumeHeader, inspect_volume, inspect_voxels
from tomocore.volumes.volume import background_in_doubt
from tomorois.network.gaps import padding_of
from tomorois.network.intensity import CLEAR_SKEWNESS, intensity_skewness
from tomorois.network.settings import Polarity

SAMPLED_VOXELS = 4_000_000
MOST_LABELS = 300


@dataclass(frozen=True)
class FileReport:
    """What a file turned out to be: kind in a word or two, facts as (name, text), and what looks wrong.

    ``polarity`` is how dense matter looks in a tomogram, where its values tell.
    """

    path: Path
    kind: str
    facts: Sequence[tuple[str, str]]
    problems: Sequence[str]
    polarity: Polarity | None = None


def inspect_file(path: Path) -> FileReport:
    """The report on a volume, an ROI file or a model file. Raises InputError where it is none of them."""
    if path.suffix.lower() == ".npz":
        with naming(path):
            return _report_rois(path)
    if path.suffix.lower() == ".safetensors":
        return _report_model(path)
    header = inspect_volume(path)
    try:
        data = inspect_voxels(path)[1]
    except InputError as error:
        return FileReport(
            path, "volume that cannot be read", _header_facts(header), [_without_name(error, path)]
        )
    sample = _sample(data)
    kind, facts, problems = describe_values(sample)
    polarity = likely_polarity(intensity_skewness(sample)) if kind == "tomogram" else None
    if volume_stem(path).endswith("__uncertainty"):
        kind, problems = "uncertainty of a confidence map", []
    wrong = [f"{header.size_problem}; {header.remedy}"] if header.size_problem else []
    return FileReport(path, kind, [*_header_facts(header), *facts], [*wrong, *problems], polarity)


def likely_polarity(skewness: float) -> Polarity | None:
    """How dense matter looks by the skewness of a tomogram's values; None where it does not tell."""
    if abs(skewness) <= CLEAR_SKEWNESS:
        return None
    return "dark" if skewness < 0 else "bright"


def report_lines(report: FileReport) -> list[str]:
    """A file report as lines for the console."""
    width = max((len(name) for name, _ in report.facts), default=0)
    facts = [f"  {name:<{width}}  {text}" for name, text in report.facts]
    wrong = [f"  looks wrong: {problem}" for problem in report.problems]
    return [f"{report.path}: {report.kind}", *facts, *(wrong or ["  nothing looks wrong"])]


def describe_values(data: NDArray[Any]) -> tuple[str, list[tuple[str, str]], list[str]]:
    """Kind (mask, labels, confidence map or tomogram), facts and problems of voxel values z, y, x.

    Integers of few values, mostly zero, are labels; fractions within 0 to 1 a confidence map. Large
    volumes are judged by a regular subsample.
    """
    sample = _sample(data)
    finite = sample if sample.dtype.kind in "iub" else sample[np.isfinite(sample)]
    if finite.size == 0:
        return "volume without values", [], ["all voxels are NaN or infinite; write it again"]
    kind, facts, problems = _describe_finite(sample, finite)
    return kind, facts, [*_holes(sample, finite), *problems]


def _holes(sample: NDArray[Any], finite: NDArray[Any]) -> list[str]:
    """What is wrong with values that are no numbers."""
    share = 100 * (1 - finite.size / sample.size)
    told = f"{share:.2g} % of the voxels are NaN or infinite; training and prediction fill them"
    return [told] if share else []


def _describe_finite(
    sample: NDArray[Any], finite: NDArray[Any]
) -> tuple[str, list[tuple[str, str]], list[str]]:
    """As `describe_values`, of a sample and what is finite in it."""
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        return (
            "constant volume",
            [("values", f"all {low:g}")],
            [f"every voxel is {low:g}; nothing can be found in it"],
        )
    if finite.dtype.kind in "iub" or (finite == np.rint(finite)).all():
        labels, counts = np.unique(finite, return_counts=True)
        if len(labels) <= MOST_LABELS and counts.max() > 0.5 * finite.size:
            return _describe_labels(labels, counts)
    if finite.dtype.kind == "f" and low >= 0 and high <= 1 and np.median(finite) < 0.5:
        facts = [
            ("values", f"{low:.3g} to {high:.3g}"),
            ("above 0.5", f"{np.mean(finite > 0.5):.2%} of the voxels"),
        ]
        wrong = (
            []
            if high >= 0.5
            else ["no voxel reaches 0.5; is it a confidence map of a tomogram like those trained on?"]
        )
        return "confidence map", facts, wrong
    return _describe_tomogram(sample, finite)


def _describe_labels(
    labels: NDArray[Any], counts: NDArray[np.int64]
) -> tuple[str, list[tuple[str, str]], list[str]]:
    share = counts / counts.sum()
    used = [(int(label), part) for label, part in zip(labels, share, strict=True) if label != 0]
    listed = ", ".join(f"{label} ({part:.2%})" for label, part in used[:12])
    facts = [("labels", listed + (f", and {len(used) - 12} more" if len(used) > 12 else ""))]
    if 255 in labels or -1 in labels:
        facts.append(("ignore", "255 or -1 occurs, the usual mark for voxels that training ignores"))
    wrong = (
        [f"label {labels.min():g} is negative: unsigned bytes read as signed?"] if labels.min() < -1 else []
    )
    doubt = background_in_doubt(dict(zip(labels.tolist(), counts.tolist(), strict=True)))
    wrong += [doubt] if doubt else []
    return ("mask" if len(used) == 1 else "label volume"), facts, wrong


def _describe_tomogram(
    sample: NDArray[Any], finite: NDArray[Any]
) -> tuple[str, list[tuple[str, str]], list[str]]:
    values = finite.astype(np.float64)
    facts = [
        (
            "values",
            f"{values.min():.4g} to {values.max():.4g}, mean {values.mean():.4g}, SD {values.std():.4g}",
        )
    ]
    skewness = intensity_skewness(sample)
    polarity = likely_polarity(skewness)
    if polarity == "dark":
        facts.append(
            ("polarity", f"dense matter looks dark (skewness {skewness:.2f}), as networks here expect")
        )
    elif polarity == "bright":
        facts.append(
            (
                "polarity",
                f'dense matter looks bright (skewness {skewness:.2f}); if so, set polarity = "bright"',
            )
        )
    else:
        facts.append(("polarity", f"cannot be told from the histogram (skewness {skewness:.2f})"))
    share, value = padding_of(sample)
    told = f"{100 * share:.2g} % of the voxels are a filled border of the value {value:g}; training and "
    return "tomogram", facts, [told + "prediction fill it from what lies about it"] if share else []


def _header_facts(header: VolumeHeader) -> list[tuple[str, str]]:
    z, y, x = header.shape
    edges = header.voxel_size_nm
    same = max(edges) <= min(edges) * 1.0001
    read = f"{edges[0]:.6g}" if same else " × ".join(f"{edge:.6g}" for edge in edges)
    angstrom = f"{edges[0] * 10:.6g}" if same else " × ".join(f"{edge * 10:.6g}" for edge in edges)
    extent = " × ".join(f"{n * edge:.4g}" for n, edge in zip((x, y, z), edges, strict=True))
    facts = [
        ("format", f"{header.kind}, {header.dtype.name}, {header.nbytes / 2**20:.1f} MiB"),
        ("voxels", f"{x} × {y} × {z} (x, y, z)"),
        ("voxel size", f"{read} nm ({angstrom} Å)" if any(edges) else "not told"),
        *([("extent", f"{extent} nm")] if any(edges) else []),
    ]
    if any(header.origin_nm):
        facts.append(("origin", ", ".join(f"{value:.6g}" for value in header.origin_nm) + " nm (x, y, z)"))
    return facts + [("note", note) for note in header.notes]


def _report_rois(path: Path) -> FileReport:
    rois = read_rois(path)
    z, y, x = rois.shape
    facts = [
        ("voxels", f"{x} × {y} × {z} (x, y, z)"),
        ("voxel size", f"{rois.voxel_size_nm:.6g} nm ({rois.voxel_size_nm * 10:.6g} Å)"),
        ("ROIs", str(len(rois))),
    ]
    if len(rois) == 0:
        return FileReport(path, "ROI file", facts, ["it holds no ROI"])
    return FileReport(path, "ROI file", [*facts, *_roi_facts(rois)], [])


def _roi_facts(rois: RoiSet) -> list[tuple[str, str]]:
    volume = rois.table["volume_nm3"]
    facts = [("volume", f"{volume.min():.4g} to {volume.max():.4g} nm³, median {volume.median():.4g}")]
    confidence = rois.table["confidence_mean"].to_numpy(dtype=np.float64)
    if np.isfinite(confidence).all():
        facts.append(("confidence", f"{confidence.min():.3g} to {confidence.max():.3g} (means of the ROIs)"))
    status = rois.table["status"].value_counts()
    facts.append(("status", ", ".join(f"{count} {name}" for name, count in status.items())))
    pairs = rois.table["membranes"]
    if (pairs != "").any():
        facts.append(("membranes", ", ".join(sorted(set(pairs[pairs != ""])))))
    union_nm3 = np.count_nonzero(union_mask(rois).data) * rois.voxel_size_nm**3
    facts.append(("overlap", f"{volume.sum() - union_nm3:.4g} nm³ lie in more than one ROI"))
    return facts


def _report_model(path: Path) -> FileReport:
    try:
        from tomorois.network.checkpoint import load_model
    except ImportError as error:
        raise InputError(f"{path}: reading models needs torch; install tomorois-surfora[rois]") from error
    model, record = load_model(path)
    shape = model.config
    cycle = ", ".join(str(d) for d in shape.dilations)
    kind = "3D" if shape.slab_planes is None else f"2.5D on slabs of {shape.slab_planes} plane(s)"
    sees = "the tomogram" if shape.input_channels == 1 else "the tomogram and membranes (--membranes)"
    facts = [
        ("network", f"{shape.layers} layers, dilations {cycle}, {kind}"),
        ("sees", sees),
        ("voxel size", f"{record.voxel_size_nm:.6g} nm after binning by {record.bin_factor}"),
        ("polarity", f"membranes {record.intensity.polarity}"),
        ("threshold", f"{record.threshold:.3g}, chosen in training"),
    ]
    return FileReport(path, "model", [*facts, *_training_facts(record.training)], [])


def _training_facts(training: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Which tomograms a model learned from and which were held out, and what it reached there."""
    facts = []
    for title, held_out in (("learned from", False), ("held out", True)):
        told = [item for item in training.get("tomograms", []) if item["held_out"] is held_out]
        if told:
            names = ", ".join(item["name"] for item in told)
            facts.append((title, f"{sum(item['rois'] for item in told)} ROIs of {names}"))
    if training.get("refined_from"):
        facts.append(("refined from", training["refined_from"]))
    if "dice" in training:
        where = "held out" if training.get("validated") else "learned from (optimistic)"
        facts.append(("Dice", f"{training['dice']:.3f} of voxels of the tomograms {where}"))
    return facts


def _sample(data: NDArray[Any]) -> NDArray[Any]:
    step = 1
    while np.prod([-(-n // step) for n in data.shape]) > SAMPLED_VOXELS:
        step += 1
    return np.asarray(data[::step, ::step, ::step])


def _without_name(error: InputError, path: Path) -> str:
    return str(error).removeprefix(f"{path}: ")

"""Particles and what tells where they lie: STAR files, Dynamo tables, motive lists, optimisation sets."""

from pathlib import Path

import numpy as np
from fuzz.format import BYTES, TEXT, Format, text
from fuzz.surfaces import make_surface

SIZES = "_rlnTomoSizeX #3\n_rlnTomoSizeY #4\n_rlnTomoSizeZ #5\n"
TOMOGRAMS = (
    "data_global\n\nloop_\n_rlnTomoName #1\n_rlnTomoTiltSeriesPixelSize #2\n"
    + SIZES
    + "m 15 8 9 6\nts_2 15 8 9 6\n"
)
RELION5 = (
    "# version 50001\n\ndata_general\n\n_rlnTomoSubTomosAre2DStacks 1\n\n"
    "data_optics\n\nloop_\n_rlnOpticsGroup #1\n_rlnOpticsGroupName #2\n_rlnTomoTiltSeriesPixelSize #3\n"
    "1 opticsGroup1 2.5\n\n"
    "data_particles\n\nloop_\n_rlnTomoName #1\n_rlnCenteredCoordinateXAngst #2\n"
    "_rlnCenteredCoordinateYAngst #3\n_rlnCenteredCoordinateZAngst #4\n_rlnOriginXAngst #5\n"
    "_rlnOriginYAngst #6\n_rlnOriginZAngst #7\n_rlnTomoSubtomogramRot #8\n_rlnTomoSubtomogramTilt #9\n"
    "_rlnTomoSubtomogramPsi #10\n_rlnAngleRot #11\n_rlnAngleTilt #12\n_rlnAnglePsi #13\n_rlnOpticsGroup #14\n"
    + "".join(f"m {x}.5 {x * 2} -{x} 1.5 0 -2 {x * 30} 40 50 10 {x * 20} 5 1\n" for x in range(6))
)  # fmt: skip
WARP = (
    "data_\n\nloop_\n_rlnMicrographName #1\n_rlnCoordinateX #2\n_rlnCoordinateY #3\n_rlnCoordinateZ #4\n"
    "_rlnAngleRot #5\n_rlnAngleTilt #6\n_rlnAnglePsi #7\n_rlnDetectorPixelSize #8\n_rlnMagnification #9\n"
    "_rlnOriginX #10\n_rlnOriginY #11\n_rlnOriginZ #12\n"
    + "".join(f"m.tomostar {x} {x * 2} {x + 1} {x * 9} 20 30 5.0 10000 0.5 0 0\n" for x in range(6))
)
OPTIMISATION_SET = "data_\n\n_rlnTomoParticlesFile particles.star\n_rlnTomoTomogramsFile tomograms.star\n"


def _join(folder: Path, particles: str, catalogue: str = "") -> None:
    from surfora.export.particle_files import JoinRequest, join_particles
    from surfora.export.tomogram_places import Whereabouts

    ending = Path(particles).suffix
    places = Whereabouts() if ending == ".star" else Whereabouts((), folder / "tomograms.star", 1.5)
    names = folder / catalogue if catalogue else None
    request = JoinRequest(
        (folder / "m.medial.vtp",), folder / particles, folder / f"out{ending}", places, names
    )
    join_particles(request)


def _make_project(folder: Path) -> None:
    folder.mkdir()
    make_surface(folder / "m.medial.vtp")
    (folder / "particles.star").write_text(RELION5)
    (folder / "tomograms.star").write_text(TOMOGRAMS)
    (folder / "optimisation_set.star").write_text(OPTIMISATION_SET)


def _read_star(path: Path) -> None:
    from surfora.export.particles import TomogramSize
    from surfora.export.star import particle_block, star_blocks, star_particles, write_with_columns

    found = star_particles(path, {"m": TomogramSize((12.0, 13.5, 9.0))})
    block = particle_block(star_blocks(path), path)
    write_with_columns(path.with_name("out.star"), path, block, {"surforaSide": ["1"] * len(found)})


def _read_tomograms(path: Path) -> None:
    from surfora.export.star import sizes_of

    sizes_of(path)


def _make_dynamo(folder: Path) -> None:
    from surfora.export.dynamo import write_dynamo

    folder.mkdir()
    make_surface(folder / "m.medial.vtp")
    (folder / "tomograms.star").write_text(TOMOGRAMS)
    write_dynamo(folder / "particles.tbl", _particles(), 1.5)
    (folder / "catalogue.vll").write_text("1 tomograms/m.mrc\n2 tomograms/ts_2.mrc\n")


def _make_av3(folder: Path) -> None:
    from surfora.export.dynamo import write_av3

    folder.mkdir()
    make_surface(folder / "m.medial.vtp")
    (folder / "tomograms.star").write_text(TOMOGRAMS.partition("ts_2")[0])
    write_av3(folder / "particles.em", _particles(), 1.5)


def _make_imod(folder: Path) -> None:
    from surfora.export.imod import write_points

    folder.mkdir()
    make_surface(folder / "m.medial.vtp")
    (folder / "tomograms.star").write_text(TOMOGRAMS.partition("ts_2")[0])
    write_points(folder / "m.mod", _particles(), 1.5)


def _particles():
    from scipy.spatial.transform import Rotation

    from surfora.export.particles import Particles

    places = np.random.default_rng(2).uniform(0, 9, (5, 3))
    return Particles(places, Rotation.random(5, rng=3), ("m",) * 5)


def _read_dynamo(folder: Path) -> None:
    _join(folder, "particles.tbl", "catalogue.vll")


def _read_av3(folder: Path) -> None:
    _join(folder, "particles.em")


PARTICLES = {
    "particles of RELION": Format(text(RELION5), TEXT, _read_star, ".star"),
    "particles of Warp": Format(text(WARP), TEXT, _read_star, ".star"),
    "tomograms.star": Format(text(TOMOGRAMS), TEXT, _read_tomograms, ".star", 0.7),
    "optimisation set": Format(
        _make_project, TEXT, lambda folder: _join(folder, "optimisation_set.star"), "", 1.0, "*.star"
    ),
    "Dynamo table": Format(_make_dynamo, TEXT, _read_dynamo, "", 1.0, "*.tbl *.vll"),
    "IMOD model": Format(_make_imod, BYTES, lambda folder: _join(folder, "m.mod"), "", 0.7, "*.mod"),
    "motive list": Format(_make_av3, BYTES, _read_av3, "", 0.7, "*.em"),
}

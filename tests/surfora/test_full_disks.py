"""contacts, particles, sample and apply on a disk that fills up at their n-th write, for every n of some."""

import numpy as np
import pytest
from filling_disk import FillingDisk
from fuzz.particles import RELION5, TOMOGRAMS
from fuzz.surfaces import GRID, a_surface, make_surface

from surfora.editor.files import apply_edits, open_session
from surfora.export.particle_files import JoinRequest, join_particles
from surfora.export.sample_files import SampleRequest, sample_surface
from surfora.export.tomogram_places import Whereabouts
from surfora.geometry.facts import SurfaceFacts
from surfora.geometry.files import write_surface
from surfora.geometry.request import StageRequest
from surfora.geometry.surface import SurfaceMesh
from surfora.reporting.contact_files import ContactRequest, contacts_to_folder
from tomocore.contract import NoRoomError

MOST_ROOMS = 12


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A closed surface, one 2 nm above it, particles, tomograms, and edits of the first surface."""
    folder = tmp_path_factory.mktemp("inputs")
    make_surface(folder / "m.vtp")
    surface = a_surface()
    above = SurfaceMesh(surface.vertices + np.array([0, 0, 11.0]), surface.faces, surface.normals)
    write_surface(folder / "er.vtp", above, SurfaceFacts("er", "medial", "ER", source="m.mrc", grid=GRID))
    (folder / "particles.star").write_text(RELION5)
    (folder / "tomograms.star").write_text(TOMOGRAMS)
    session = open_session([folder / "m.vtp"])
    session.select(np.arange(session.count) == 1)
    session.flip()
    session.journal.close()
    return folder


def contacts(inputs, out):
    of = StageRequest(inputs / "m.vtp", out)
    contacts_to_folder(ContactRequest(of, (inputs / "er.vtp",), 4.0))


def particles(inputs, out):
    places = Whereabouts(tomograms=inputs / "tomograms.star")
    join_particles(JoinRequest((inputs / "m.vtp",), inputs / "particles.star", out / "p.star", places))


def sample(inputs, out):
    places = Whereabouts(tomograms=inputs / "tomograms.star")
    sample_surface(SampleRequest(inputs / "m.vtp", out / "s.tbl", 3.0, whereabouts=places))


def apply(inputs, out):
    apply_edits(inputs / "m.edits.jsonl", out)


@pytest.mark.parametrize("command", [contacts, particles, sample, apply])
def test_full_at_any_write_it_says_so_leaves_nothing_half_and_goes_on_later(
    command, inputs, tmp_path, monkeypatch
):
    whole = tmp_path / "whole"
    with monkeypatch.context() as patch:
        disk = FillingDisk(whole, patch)
        command(inputs, whole)
    expected = {path.name: path.read_bytes() for path in whole.iterdir()}
    assert disk.count >= 2
    for room in range(0, disk.count, max(disk.count // MOST_ROOMS, 1)):
        folder = tmp_path / f"room{room}"
        with monkeypatch.context() as patch:
            FillingDisk(folder, patch, room)
            with pytest.raises(NoRoomError, match=rf"{folder}/\S+: (no space left|only a part).*; free some"):
                command(inputs, folder)
        left = [path.name for path in folder.iterdir()] if folder.exists() else []
        assert not [name for name in left if name.startswith(".")], room
        command(inputs, folder)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == expected, room

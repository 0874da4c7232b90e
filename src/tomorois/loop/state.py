"""Where a loop stands: what is open, which model is in use, what it found; everything that a window shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomocore.contract import NOBODY, Batch, InputError, Watcher
from tomocore.files_of_tomograms import volume_stem
from tomocore.volumes.formats import read_volume
from tomorois.annotation.curation import Curation
from tomorois.annotation.session import AnnotationSession
from tomorois.instances.files import find_instances_in_files
from tomorois.instances.settings import InstanceSettings
from tomorois.loop.changes import TomogramChange, change_of
from tomorois.loop.folder import LoopFolder, ModelFacts, membranes_beside, model_facts
from tomorois.loop.plan import LoopPlan
from tomorois.loop.threshold_preview import ThresholdPreview, threshold_preview
from tomorois.loop.training_set import write_training_set
from tomorois.network.settings import Polarity
from tomorois.prediction.settings import PredictSettings
from tomorois.training.files import TrainRequest
from tomorois.training.settings import TrainSettings


class LoopState:
    """One loop over some tomograms: paintings, models, maps, ROIs and judgements in one folder."""

    def __init__(
        self,
        tomograms: Sequence[Path],
        folder: Path | None = None,
        voxel_size_nm: float | None = None,
        train: TrainSettings | None = None,
        predict: PredictSettings | None = None,
        instances: InstanceSettings | None = None,
        rois: Path | None = None,
    ) -> None:
        """A loop in ``folder`` (None: beside the first of the ``tomograms``); ``rois`` may lie elsewhere.

        ``voxel_size_nm`` overrules all headers; ``train``, ``predict`` and ``instances`` are what its forms
        begin with, where not given those of the last time, else the defaults.
        """
        self.session = AnnotationSession(tomograms, folder, voxel_size_nm)
        self.folder = LoopFolder(self.session.folder, rois)
        before = self.folder.remembered_settings
        told = before("train", TrainSettings)
        self.train_settings = train or told or TrainSettings()
        self.predict_settings = predict or before("predict", PredictSettings) or PredictSettings()
        self.instance_settings = instances or before("instances", InstanceSettings) or InstanceSettings()
        self.polarity_is_known = bool(train or told)
        self.remember()
        self.membranes = membranes_beside(self.session.tomograms)
        self.use_membranes = False
        self.report: Path | None = None  # of a project, on all of its results
        self.models = self.folder.model_files()
        self.model: Path | None = self.models[-1] if self.models else None
        self.previous_model: Path | None = None
        self.curation: Curation | None = None
        self._maps: dict[Path, Any] = {}
        self._previews: dict[Path, ThresholdPreview] = {}
        self._membranes: dict[Path, NDArray[Any]] = {}

    def remember(self) -> None:
        """Write tomograms and settings for the next time."""
        settings = {
            "train": self.train_settings,
            "predict": self.predict_settings,
            "instances": self.instance_settings,
        }
        self.folder.remember(self.session.tomograms, settings)

    def take_polarity(self, polarity: Polarity) -> None:
        """Take dense matter for dark or bright from now on: in training, and for the magnet."""
        intensity = self.train_settings.intensity.model_copy(update={"polarity": polarity})
        self.train_settings = self.train_settings.model_copy(update={"intensity": intensity})
        self.polarity_is_known = True

    def open_curation(self) -> Curation:
        """The judgements of this loop's ROIs. Raises InputError where no ROIs were made yet."""
        if self.curation is None:
            self.curation = Curation(self.folder.rois, self.confidence)
        return self.curation

    @property
    def has_rois(self) -> bool:
        """Whether ROIs were made."""
        return any(self.folder.rois.glob("*__rois.npz"))

    def tomogram_of(self, stem: str) -> Path | None:
        """The tomogram of a stem, or None where it is none of this loop."""
        return next((path for path in self.session.tomograms if volume_stem(path) == stem), None)

    def membranes_of(self, tomogram: Path) -> NDArray[Any] | None:
        """The membranes beside a tomogram (z, y, x), for the magnet; None where there are none."""
        if tomogram not in self.membranes:
            return None
        if tomogram not in self._membranes:
            data = read_volume(self.membranes[tomogram], self.session.voxel_size_nm, lazy=True).data
            self._membranes[tomogram] = data
        return self._membranes[tomogram]

    def facts(self) -> ModelFacts | None:
        """What the model in use says of itself."""
        return None if self.model is None else model_facts(self.model)

    def new_models(self) -> list[Path]:
        """Model files that came into the folder since the last look, from here or from another machine."""
        known, self.models = set(self.models), self.folder.model_files()
        return [path for path in self.models if path not in known]

    def use_model(self, model: Path) -> None:
        """Predict with a model from now on. Raises InputError where the file is none."""
        model_facts(model)
        if model != self.model:
            self.previous_model, self.model = self.model, model

    def training_request(
        self, minutes: float | None = None, refine: bool = False, resume: bool = False
    ) -> TrainRequest:
        """Write all that was painted and judged for a training, and say how it is called.

        With ``refine`` the model in use is trained further, with ``resume`` a stopped training goes on;
        ``minutes`` overrule the settings'. Raises InputError where there is nothing to learn from.
        """
        if refine and self.model is None:
            raise InputError("there is no model to refine yet; train one first")
        if self.curation is None and self.has_rois:
            self.open_curation()
        stopped = self.folder.stopped_training() if resume else None
        if resume and stopped is None:
            raise InputError("no training was stopped before its end; train a new one")
        self.session.write_all()
        self.remember()
        membranes = [self.membranes[t] for t in self.session.tomograms if t in self.membranes]
        files = write_training_set(
            self.session, self.curation, self.folder.training, membranes if self.use_membranes else ()
        )
        init = self.model if refine else None
        return TrainRequest(files, stopped or self.folder.next_model(), (), init, resume, minutes)

    def map_path(self, stem: str, model: Path | None = None) -> Path | None:
        """Where the map of a tomogram by a model (None: the one in use) lies, or would."""
        tomogram, by = self.tomogram_of(stem), model or self.model
        return None if tomogram is None or by is None else self.folder.map_of(tomogram, by)

    def confidence(self, stem: str, model: Path | None = None) -> Any:
        """The confidence map (z, y, x) of a tomogram, indexed as an array; None where there is none.

        It is left on the disk, and none of it is read.
        """
        path = self.map_path(stem, model)
        if path is None or not path.exists():
            return None
        if path not in self._maps:
            self._maps[path] = read_volume(path, self.session.voxel_size_nm, lazy=True).data
        return self._maps[path]

    def preview(self, stem: str) -> ThresholdPreview | None:
        """The ROIs of a tomogram's map at all thresholds; counted at the first call, None without a map."""
        path, confidence = self.map_path(stem), self.confidence(stem)
        if path is None or confidence is None:
            return None
        if path not in self._previews:
            edge = self.session.painting_of(self._known(stem)).tomogram.voxel_size_nm
            least = int(self.instance_settings.min_volume_nm3 / edge**3)
            self._previews[path] = threshold_preview(confidence, max(least, 1))
        return self._previews[path]

    def has_preview(self, stem: str) -> bool:
        """Whether the ROIs of a tomogram's map are counted, so that `preview` returns at once."""
        return self.map_path(stem) in self._previews

    def forget_maps(self) -> None:
        """Read maps anew, since they are predicted again."""
        self._maps.clear()
        self._previews.clear()

    def forget_previews(self) -> None:
        """Count ROIs anew, since the smallest volume changed."""
        self._previews.clear()

    def predicted(self) -> list[Path]:
        """The maps by the model in use that are there, in the order of the tomograms."""
        if self.model is None:
            return []
        maps = [self.folder.map_of(tomogram, self.model) for tomogram in self.session.tomograms]
        return [path for path in maps if path.exists()]

    def threshold(self) -> float:
        """The threshold in force: the one chosen, else the model's."""
        facts = self.facts()
        chosen = self.instance_settings.threshold
        return chosen if chosen is not None else facts.threshold if facts else 0.5

    def choose_threshold(self, threshold: float) -> None:
        """Take voxels from a confidence on."""
        chosen = {"threshold": float(np.clip(threshold, 0.001, 0.999))}
        self.instance_settings = self.instance_settings.model_copy(update=chosen)

    def find_rois(self, watcher: Watcher = NOBODY) -> Batch:
        """Make the ROIs of every map by the model in use; what was judged before is carried over.

        Raises InputError where nothing was predicted yet.
        """
        maps = self.predicted()
        if not maps:
            raise InputError("nothing was predicted yet; predict first")
        if self.curation is None and self.has_rois:
            self.open_curation()
        if self.curation is not None:
            self.curation.close()
            self.curation = None
        membranes = [self.membranes[t] for t in self.session.tomograms if t in self.membranes]
        uses_membranes = self.instance_settings.split == "contacts"
        batch = find_instances_in_files(
            maps,
            self.folder.rois,
            self.instance_settings.model_copy(update={"threshold": self.threshold()}),
            membranes=membranes if uses_membranes else (),
            voxel_size_nm=self.session.voxel_size_nm,
            overwrite=True,
            watcher=watcher,
        )
        return batch

    def changes(self) -> list[TomogramChange]:
        """What the model in use does better and worse than the one before, on ROIs that were judged."""
        if self.model is None or self.curation is None:
            return []
        after = model_facts(self.model).threshold
        before = model_facts(self.previous_model).threshold if self.previous_model else 0.5
        rows = []
        for stem in self.curation.stems:
            new = self.confidence(stem)
            old = self.confidence(stem, self.previous_model) if self.previous_model else None
            if new is not None:
                earlier = None if old is None else (old, before)
                rows.append(change_of(stem, self.curation.of(stem), (new, after), earlier))
        return rows

    def close(self) -> None:
        """Write everything and give the files back."""
        self.remember()
        self.session.close()
        if self.curation is not None:
            self.curation.close()

    def _known(self, stem: str) -> Path:
        tomogram = self.tomogram_of(stem)
        if tomogram is None:
            raise InputError(f"{stem}: none of the tomograms that are open")
        return tomogram


def loop_of_plan(plan: LoopPlan) -> LoopState:
    """The loop that a plan describes. Raises InputError as `LoopState` does."""
    loop = LoopState(
        plan.tomograms,
        plan.folder,
        plan.voxel_size_nm,
        train=plan.train,
        predict=plan.predict,
        instances=plan.instances,
        rois=plan.rois,
    )
    loop.membranes = dict(plan.membranes)
    loop.report = plan.report
    return loop

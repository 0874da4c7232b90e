"""The making of a round of training: from what was painted and judged to a model with its record."""

from __future__ import annotations

from tomocore.contract import NOBODY, InputError, Watcher
from tomocore.files import require_writable_folder
from tomocore.machine import use_threads
from tomocore.provenance import recorded_run
from tomorois.loop.folder import model_facts
from tomorois.network.checkpoint import checkpoint_beside
from tomorois.training.files import TrainRequest, curves_path, train_on_files
from tomorois.training.loop import log_beside
from tomosurf.project import TRAINING, Project
from tomosurf.step_records import changes_since, read_step_record, write_step_record
from tomosurf.taught import problems_of_choice, taught_plans
from tomosurf.training import DueRound, record_of_round, training_basis
from tomosurf.training_files import training_files


def train_round(project: Project, due: DueRound, threads: int = 1, watcher: Watcher = NOBODY) -> str:
    """Train a round's model, going on where the same training was broken off; what it says of itself.

    The bytes of a model follow from its files, settings and the number of ``threads``.

    Raises InputError for what cannot be learned from, and whatever a training raises.
    """
    use_threads(threads)
    for problem in problems_of_choice(project):
        raise InputError(problem)
    model, path = project.round_model(due.number), record_of_round(project, due.number)
    require_writable_folder(model.parent)
    basis, record = training_basis(project, due.init), read_step_record(path)
    goes_on = record is not None and record.state == "begun" and not changes_since(record, basis)
    if not goes_on:
        checkpoint_beside(model).unlink(missing_ok=True)
    begun = basis.begun(replaces=False)
    write_step_record(path, begun)
    plans = taught_plans(project)
    held_out = [plan.tomogram for plan in plans if plan.row.split == "validation"]
    told = f"{len(plans) - len(held_out)} tomograms" + (f", {len(held_out)} held out" if held_out else "")
    how = f"refines {due.init.name}" if due.init else "from scratch"
    watcher.say(f"{TRAINING}: round {due.number} ({due.reason}), {how}, on {told}")
    with recorded_run("tomosurf training") as run:
        files = training_files(project, project.output / TRAINING, plans, watcher)
        request = TrainRequest(files, model, held_out, due.init, resume=goes_on)
        train_on_files(request, project.settings.train, watcher)
    outputs = [
        p.relative_to(project.output).as_posix() for p in (model, log_beside(model), curves_path(model))
    ]
    done = {"state": "done", "outputs": outputs, "seconds": run.seconds, "warnings": run.warnings}
    write_step_record(path, begun.model_copy(update=done))
    return model_facts(model).line()

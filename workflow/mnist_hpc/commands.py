"""Commands for people, beside the stages. Heavy imports wait for their command."""

from pathlib import Path
from typing import Any

from mnist_hpc.errors import UserError
from mnist_hpc.stages import say


def status(config: Path, overrides: dict[str, Any], results: Path) -> None:
    """Say what is done, stale, failed and missing, and how long the rest will take; run nothing."""
    from mnist_hpc import status as module
    from mnist_hpc.specification import Study

    print(module.describe(Study(config, overrides), results))


def clean(config: Path, overrides: dict[str, Any], results: Path, *, yes: bool) -> None:
    """Show what no variant or sweep of the config claims any more, and remove it after a yes."""
    from mnist_hpc import cleaning
    from mnist_hpc.specification import Study

    paths = cleaning.unclaimed(Study(config, overrides), results)
    if not paths:
        print("Nothing to remove: every result belongs to a variant or sweep of the config.")
        return
    for path in paths:
        print(f"{cleaning.size(path) / 1e6:10.1f} MB  {path}")
    if yes or _confirm("Remove these? [y/N] "):
        cleaning.remove(paths)
        print("Removed.")
    else:
        print("Nothing was removed; answer y, or add YES=1 to the command")


def doctor(config: Path, overrides: dict[str, Any], results: Path, profile: Path, wait: int) -> None:
    """Say whether the cluster of a profile is ready for the study, line by line: ok, or what to do."""
    from mnist_hpc import doctor as module
    from mnist_hpc.specification import Study

    problems = 0
    for finding in module.examine(Study(config, overrides), profile, results, wait):
        print(finding, flush=True)
        problems += finding.problem
    if problems:
        raise UserError(f"{problems} things to mend before a run; each line above that begins with FIX says how")


def probe(require_gpu: int, answer: Path) -> None:
    """Start TensorFlow and write down what it sees; the doctor's trial job."""
    import json

    from mnist_hpc import device, storage

    found = {"device": device.prepare(threads=1, require_gpu=bool(require_gpu)), **device.versions()}
    with storage.atomic(answer) as temporary:
        temporary.write_text(json.dumps(found))


def orphans(then: str | None, *, files: bool) -> None:
    """Show the jobs that a lost main process left behind in this folder; wait for them, or cancel them."""
    from mnist_hpc import slurm

    folder = Path.cwd()
    left = slurm.jobs_of(folder)
    if files:
        print(*(f"results/{name}" for job in left for name in job.work.files))
        return
    if process := slurm.main_process(folder):
        raise UserError(f"process {process} is running the workflow of this folder; leave it, or end it with Ctrl-C")
    for job in left:
        print(job)
    if not left:
        print("No jobs of an earlier run are left in the queue.")
    elif then is None:
        raise UserError(
            f"{len(left)} jobs are left; add ORPHANS=wait (go on when they have ended), ORPHANS=cancel (they save "
            "themselves and are trained on in new jobs) or ORPHANS=adopt (run the others meanwhile)"
        )
    elif then != "adopt":
        if then == "cancel":
            slurm.ask("scancel", *(job.number for job in left))
        slurm.wait_for(folder)


def resources(config: Path, overrides: dict[str, Any], results: Path, logs: Path) -> None:
    """Write jobs.csv and resources.csv: what each job and the jobs of each variant cost, from Slurm's accounting."""
    import pandas as pd

    from mnist_hpc import accounting, tables
    from mnist_hpc.specification import Study

    study = Study(config, overrides)
    folder = results / study.dataset / "tables"
    starts = accounting.starts(study, logs)
    runs = folder / "runs.csv"
    trained = pd.read_csv(runs).groupby("variant")["train_seconds"].sum() if runs.exists() else pd.Series(dtype=float)
    table = accounting.resources(starts, trained)
    tables.write(starts, folder / "jobs.csv")
    tables.write(table, folder / "resources.csv")
    print(table.drop(columns="dataset").round(3).to_string(index=False, na_rep="–"))
    print(
        f"{table['jobs'].sum()} jobs, {table['gpu_hours'].sum():.2f} GPU-hours; written to {folder / 'resources.csv'}"
    )


def reported(config: Path, overrides: dict[str, Any], results: Path) -> None:
    """Print what the HTML report can show: the folder it belongs into, then the figures and pages that are there."""
    from mnist_hpc import figures
    from mnist_hpc.specification import Study

    study = Study(config, overrides)
    parts = {kind: list(figures.files(study, kind).values()) for kind in figures.kinds(study, results)}
    parts |= {name: [file] for name, file in figures.page_files(study).items()}
    there = {name: files for name, files in parts.items() if all((results / file).exists() for file in files)}
    if not there:
        raise UserError(
            f"{results / study.dataset}: no figures and pages are there yet; make run, or for another data set "
            'make report CONFIG="dataset=..."'
        )
    if left_out := ", ".join(sorted(set(parts) - set(there))):
        say(f"not in the report, for they are not there: {left_out}; run the workflow again to make them")
    print(*(results / file for file in (study.dataset, *(file for files in there.values() for file in files))))


def predict(model: Path, seed: int | None, picture: Path) -> None:
    """Read the digit in a picture."""
    from mnist_hpc import device, storage
    from mnist_hpc.images import read_digit

    image = read_digit(picture)
    header, _ = storage.read_models(model)
    if tuple(header["input_shape"]) != (28, 28, 1):
        raise UserError(f"{model}: a model of {header['dataset']}, which are no images; choose another")
    device.prepare(threads=1)

    from mnist_hpc import models

    network = models.load(model, seed)
    _, (outputs,) = models.predictor(network, *header["loss"])(image[None])
    ranked = sorted(enumerate(outputs.numpy()), key=lambda pair: -pair[1])
    print(f"{ranked[0][0]}  ({', '.join(f'{digit}: {value:.3f}' for digit, value in ranked[:3])})")


def export(model: Path, seed: int | None, output: Path) -> None:
    """Write a trained model as a .keras file: images (N, 28, 28, 1) from 0 to 1 in, logits out."""
    from mnist_hpc import device, storage

    if output.suffix != ".keras":
        raise UserError(f"{output}: expected a name that ends in .keras")
    device.prepare(threads=1)

    from mnist_hpc import models

    network = models.load(model, seed)
    with storage.atomic(output) as temporary:
        renamed = temporary.with_suffix(".keras")
        network.save(renamed)
        renamed.replace(temporary)


def _confirm(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False

"""The stages of a study, as the command line calls them. Heavy imports wait for their stage."""

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mnist_hpc.errors import UserError, reason

# The command line imports this first of all: what comes before takes some hundredths of a second.
BEGIN = time.monotonic()


def fetch(config: Path, overrides: dict[str, Any], dataset: str, folder: Path, timeout: float, tries: int) -> None:
    """Bring the raw files of an IDX data set into a folder, verified."""
    from mnist_hpc import download
    from mnist_hpc.specification import Study

    study = Study(config, overrides)
    if dataset not in study.entries:
        raise UserError(f"--dataset: found {dataset!r}, expected one of {', '.join(study.entries)}")
    download.fetch(dataset, study.entries[dataset], folder, study.search_path, timeout, tries)


def convert(dataset: str, entry: Any, folder: Path) -> None:
    """Write train.h5 and test.h5 of a data set."""
    from mnist_hpc import datasets

    datasets.convert(dataset, entry, folder)


def train(
    data: Path,
    variant: str,
    specification: dict[str, Any],
    choice: Path | None,
    seeds: range,
    models: Path,
    history: Path,
    state: Path | None,
    checkpoint_seconds: float,
    threads: int,
    require_gpu: int,
) -> None:
    """Train a block of seeds of one variant; go on where an earlier process was cut off."""
    from mnist_hpc import attempts, device, metrics, provenance, ranking, storage
    from mnist_hpc.checkpoint import Checkpoint

    attributes, train, validation = _read(data)
    if choice:
        specification = ranking.resolve(specification, choice)
    keys = {"dataset": str(attributes["dataset"]), "variant": variant}
    hashes = _hashes("train", specification, attributes)
    _say_fewer(variant, threads, specification["threads"])
    hardware = device.prepare(threads, require_gpu=bool(require_gpu))
    say(f"{variant}: seeds {seeds.start} to {seeds.stop - 1} on {hardware}, {threads} threads")

    from mnist_hpc import training
    from mnist_hpc.models import adapted, input_shape

    specification = specification | {"layers": adapted(specification["layers"], train)}

    def report(line: str) -> None:
        say(f"{variant}: {line}")

    origin = {
        "job": attempts.job(),
        "device": hardware,
        "threads": threads,
        "startup_seconds": time.monotonic() - BEGIN,
        "commit": provenance.commit(),
        **device.versions(),
    }
    stop = _stop_on_signals()
    trainer = None
    runs = {}
    for seed in seeds:
        identity = provenance.specification_hash(hashes)
        place = state / variant / identity / f"seed-{seed}.h5" if state else None
        checkpoint = Checkpoint(place, checkpoint_seconds) if place else None
        done = checkpoint.finished(report) if checkpoint else None
        if done:
            report(f"seed {seed}: finished by an earlier process, taken over")
        else:
            trainer = trainer or training.Trainer(specification, train, validation, threads, origin)
            done = trainer.train(seed, report, checkpoint, stop)
        runs[seed] = done
    header = {
        **specification,
        **keys,
        **hashes,
        "classes": int(attributes["classes"]),
        "input_shape": input_shape(train),
    }
    storage.write_models(models, header, {seed: model for seed, (model, _) in runs.items()})
    rows = [keys | row for _, history_rows in runs.values() for row in history_rows]
    metrics.write(history, metrics.HISTORY_COLUMNS, rows)


def evaluate(models: Path, data: Path, metrics: Path, predictions: Path, threads: int) -> None:
    """Evaluate a block of trained models on the test set."""
    from mnist_hpc import device, provenance, storage
    from mnist_hpc import metrics as table

    header, trained = storage.read_models(models)
    with storage.reading(data) as file:
        data_hash, test = str(file.attrs["data_hash"]), _labelled(storage.read_split(file), file)
    if data_hash != header["data_hash"]:
        raise UserError(
            f"{models}: trained on data {header['data_hash']}, found data {data_hash} in {data}; train it again"
        )
    device.prepare(threads)

    from mnist_hpc import evaluation

    results = evaluation.evaluate(header, trained, test, header["classes"])
    keys = {key: header[key] for key in ("dataset", "variant", "spec_hash", "data_hash")}
    with storage.writing(predictions, keys | {"classes": header["classes"]}) as file:
        evaluation.write_predictions(file, results, test)
    header["evaluation_code_hash"] = provenance.code_hash("evaluate")
    (header["loss"],) = header["loss"]
    rows = [header | run.facts | {"seed": seed} | results.get(seed, {}) for seed, run in trained.items()]
    table.write(metrics, table.RUN_COLUMNS, rows)
    for row in rows:
        say(f"{row['variant']}: seed {row['seed']}: {row['status']}, test accuracy {row.get('test_accuracy', '–')}")


def tabulate(config: Path, overrides: dict[str, Any], results: Path) -> None:
    """Aggregate the runs that are there into tables; what is missing or stale is named."""
    from mnist_hpc import attempts, checkpoint, comparisons, ensembles, provenance, tables
    from mnist_hpc.specification import Study

    begin = provenance.now()
    study = Study(config, overrides)
    runs = tables.runs(study.blocks, results, tables.identities(study, results))
    variants, confusions = tables.variants(runs), tables.confusions(runs, study.blocks, results)
    named = {
        "runs": runs,
        "variants": variants,
        "comparisons": comparisons.table(study, results, runs),
        "ensembles": ensembles.table(study, results, runs),
        "sweeps": tables.sweeps(study, results),
        "confusions": confusions,
        "classes": tables.classes(confusions),
    }
    folder = results / study.dataset / "tables"
    for name, table in named.items():
        tables.write(table, folder / f"{name}.csv")
    provenance.write(folder / "provenance.json", tables.provenance(study, results, runs) | {"started": begin})
    # Only of the seeds in these tables: with max_seeds, others of the variant may be under way.
    done = runs[runs["status"].isin(["ok", "failed"])]
    for row in done.itertuples():
        checkpoint.remove(results, row.dataset, row.variant, row.seed)
    for block in study.blocks:
        if set(block.seeds) <= set(done.loc[done["variant"] == block.variant, "seed"]):
            attempts.remove(results / block.record)
    shown = variants[["variant", "status", "n", "test_accuracy_mean", "test_accuracy_sd", "train_seconds_mean"]]
    print(shown.to_string(index=False, na_rep="–"))


def draw(config: Path, overrides: dict[str, Any], results: Path, figure: str) -> None:
    """Draw the figures of one kind."""
    from importlib import import_module

    from mnist_hpc import figures
    from mnist_hpc.specification import Study

    if figure not in figures.KINDS:
        raise UserError(f"--figure: found {figure!r}, expected one of {', '.join(figures.KINDS)}")
    study = Study(config, overrides)
    try:
        import_module(f"mnist_hpc.figures.{figures.KINDS[figure].module}").draw(study, results, figure)
    except (KeyError, ValueError) as error:  # what a table or file of another version, or one edited by hand, lacks
        sources = ", ".join(figures.KINDS[figure].inputs(study)[:2])
        raise UserError(
            f"{figure}: {reason(error)} in what it is drawn from ({sources}, ...); run the workflow"
        ) from None


def pages(config: Path, overrides: dict[str, Any], results: Path, lecture: Path | None) -> None:
    """Write the report's own pages: the lecture retold, the tables, and what the study is made of."""
    from mnist_hpc.figures import pages as module
    from mnist_hpc.specification import Study

    study = Study(config, overrides)
    if lecture:
        module.write_lecture(study, results, lecture)
    else:
        module.write(study, results)


def sweep(
    data: Path,
    name: str,
    variant: str,
    sweep: dict[str, Any],
    part: tuple[int, int],
    points: Path,
    state: Path,
    checkpoint_seconds: float,
    threads: int,
    require_gpu: int,
) -> None:
    """Train the points of a sweep, or the part of them that one of several jobs has."""
    from mnist_hpc import device, grids, metrics, provenance, ranking

    attributes, train, validation = _read(data)
    hashes = _hashes("sweep", sweep, attributes)
    _say_fewer(name, threads, sweep["specification"]["threads"])
    hardware = device.prepare(threads, require_gpu=bool(require_gpu))

    from mnist_hpc import sweep as module
    from mnist_hpc.models import adapted, input_shape

    specification = sweep["specification"] | {"layers": adapted(sweep["specification"]["layers"], train)}
    grid = dict(sweep["grid"])
    every = grids.points(specification, grid)
    found = [every[place] for place in sweep["points"]]

    units = module.units(found, sweep["seeds"], input_shape(train), sweep["pack_mb"] * 10**6)
    number, parts = part
    own = units[number - 1 :: parts]
    trained = sum(len(unit.settings) for unit in own)
    say(f"{name}: {trained} trainings in {len(own)} packs on {hardware}, {threads} threads")
    folder = state / provenance.specification_hash(hashes)
    rows = module.train(
        *(own, train, validation, folder, lambda line: say(f"{name}: {line}"), _stop_on_signals()),
        threads,
        checkpoint_seconds,
    )
    keys = {"dataset": str(attributes["dataset"]), "sweep": name, "variant": variant, **hashes}
    places = {id(point): index for index, point in enumerate(every)}
    metrics.write(
        points, ranking.columns(list(grid)), [keys | row | {"point": places[id(row.pop("of"))]} for row in rows]
    )


def rank(parts: list[Path], sweep: dict[str, Any], points: Path, best: Path, state: Path) -> None:
    """Put the parts of a sweep together, and choose the point with the lowest validation loss."""
    import shutil

    from mnist_hpc import ranking, storage

    chosen = ranking.choose(parts, points, best, dict(sweep["grid"]))
    shutil.rmtree(state, ignore_errors=True)
    storage.remove_empty(state.parent, levels=2)
    values = ", ".join(f"{key} {value}" for key, value in chosen["values"].items())
    say(f"best of {chosen['points']} points: {values}; mean validation loss {chosen['validation_loss_mean']:.4f}")
    if chosen["at_the_edge"]:
        say(f"at the edge of the grid: {', '.join(chosen['at_the_edge'])}; there may be better values beyond")


def _read(data: Path) -> tuple[dict[str, Any], Any, Any]:
    """Return the attributes of train.h5, and its training and validation examples."""
    from mnist_hpc import storage

    with storage.reading(data) as file:
        train, validation = (_labelled(storage.read_split(file[name]), file) for name in ("train", "validation"))
        return dict(file.attrs), train, validation


def _labelled(split: Any, file: Any) -> Any:
    """Return examples of a data file; raise UserError if a label is none of its classes."""
    largest, classes = int(split.labels.max()), int(file.attrs["classes"])
    if largest >= classes:
        raise UserError(f"found the label {largest}, expected 0 to {classes - 1}")
    return split


def _hashes(stage: str, specification: Any, attributes: dict[str, Any]) -> dict[str, str]:
    """Return what a result of a stage is bound to."""
    from mnist_hpc import provenance

    return {
        "spec_hash": provenance.specification_hash(specification),
        "data_hash": str(attributes["data_hash"]),
        "code_hash": provenance.code_hash(stage),
    }


def _say_fewer(name: str, threads: int, wanted: int) -> None:
    if threads < wanted:
        say(f"{name}: {threads} threads instead of {wanted}: the last bits may differ")


def _stop_on_signals() -> Callable[[], bool]:
    """Return a function that says whether a signal told this process to stop."""
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: received.append(number))
    return lambda: bool(received)


def say(line: str) -> None:
    """Write a line of progress to standard error."""
    print(line, file=sys.stderr, flush=True)

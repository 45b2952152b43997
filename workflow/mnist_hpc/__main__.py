"""The command line: one command a stage, and two to use a trained model. Heavy imports wait for their command."""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mnist_hpc.errors import Interrupted, UserError, reason


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 2 for a known error, told on one line, 75 for an interruption."""
    options = vars(_parser().parse_args(arguments))
    command = options.pop("run")
    try:
        command(**options)
    except (UserError, OSError) as error:
        text = str(error) if isinstance(error, UserError) else reason(error)
        print(f"mnist_hpc: error: {text}", file=sys.stderr)
        return 2
    except Interrupted as interruption:
        _say(f"mnist_hpc: interrupted: {interruption}")
        return 75
    except KeyboardInterrupt:
        _say("mnist_hpc: interrupted")
        return 130
    return 0


def fetch(config: Path, overrides: str, dataset: str, folder: Path, timeout: float, tries: int) -> None:
    """Bring the raw files of an IDX data set into a folder, verified."""
    from mnist_hpc import download
    from mnist_hpc.specification import Study

    study = Study(config, _json("--set", overrides))
    if dataset not in study.entries:
        raise UserError(f"--dataset: found {dataset!r}, expected one of {', '.join(study.entries)}")
    download.fetch(dataset, study.entries[dataset], folder, study.search_path, timeout, tries)


def convert(dataset: str, entry: str, folder: Path) -> None:
    """Write train.h5 and test.h5 of a data set."""
    from mnist_hpc import datasets

    datasets.convert(dataset, _json("--entry", entry), folder)


def train(
    data: Path,
    variant: str,
    specification: str,
    seeds: range,
    models: Path,
    history: Path,
    state: Path | None,
    checkpoint_seconds: float,
    threads: int,
    require_gpu: int,
) -> None:
    """Train a block of seeds of one variant; go on where an earlier process was cut off."""
    from mnist_hpc import device, metrics, provenance, storage
    from mnist_hpc.checkpoint import Checkpoint

    wanted: dict[str, Any] = _json("--specification", specification)
    with storage.reading(data) as file:
        attributes = dict(file.attrs)
        train, validation = (storage.read_split(file[part]) for part in ("train", "validation"))
    keys = {"dataset": str(attributes["dataset"]), "variant": variant}
    hashes = {
        "spec_hash": provenance.specification_hash(wanted),
        "data_hash": str(attributes["data_hash"]),
        "code_hash": provenance.code_hash("train"),
    }
    if threads < wanted["threads"]:
        _say(f"{variant}: {threads} threads instead of {wanted['threads']}: the last bits may differ")
    hardware = device.prepare(threads, bool(require_gpu))
    _say(f"{variant}: seeds {seeds.start} to {seeds.stop - 1} on {hardware}, {threads} threads")

    from mnist_hpc import training
    from mnist_hpc.models import input_shape

    def report(line: str) -> None:
        _say(f"{variant}: {line}")

    origin = {"device": hardware, "threads": threads, "commit": provenance.commit(), **device.versions()}
    stop = _stop_on_signals()
    trainer = None
    runs = {}
    for seed in seeds:
        identity = provenance.specification_hash(hashes)
        checkpoint = state and Checkpoint(state / variant / identity / f"seed-{seed}.h5", checkpoint_seconds)
        done = checkpoint and checkpoint.finished(report)
        if done:
            report(f"seed {seed}: finished by an earlier process, taken over")
        else:
            trainer = trainer or training.Trainer(wanted, train, validation, origin)
            done = trainer.train(seed, report, checkpoint, stop)
        runs[seed] = done
    header = {**wanted, **keys, **hashes, "classes": int(attributes["classes"]), "input_shape": input_shape(train)}
    storage.write_models(models, header, {seed: model for seed, (model, _) in runs.items()})
    rows = [keys | row for _, history_rows in runs.values() for row in history_rows]
    metrics.write(history, metrics.HISTORY_COLUMNS, rows)


def evaluate(models: Path, data: Path, metrics: Path, predictions: Path, threads: int) -> None:
    """Evaluate a block of trained models on the test set."""
    from mnist_hpc import device, provenance, storage
    from mnist_hpc import metrics as table

    header, trained = storage.read_models(models)
    with storage.reading(data) as file:
        data_hash, test = str(file.attrs["data_hash"]), storage.read_split(file)
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
    rows = [header | run.facts | {"seed": seed} | results.get(seed, {}) for seed, run in trained.items()]
    table.write(metrics, table.RUN_COLUMNS, rows)
    for row in rows:
        _say(f"{row['variant']}: seed {row['seed']}: {row['status']}, test accuracy {row.get('test_accuracy', '–')}")


def tabulate(config: Path, overrides: str, results: Path) -> None:
    """Aggregate the runs that are there into tables; what is missing or stale is named."""
    from mnist_hpc import checkpoint, provenance, tables
    from mnist_hpc.specification import Study

    begin = provenance.now()
    study = Study(config, _json("--set", overrides))
    runs = tables.runs(study.blocks, results, tables.identities(study, results))
    variants, confusions = tables.variants(runs), tables.confusions(runs, study.blocks, results)
    named = {"runs": runs, "variants": variants, "confusions": confusions, "classes": tables.classes(confusions)}
    folder = results / study.dataset / "tables"
    for name, table in named.items():
        tables.write(table, folder / f"{name}.csv")
    provenance.write(folder / "provenance.json", tables.provenance(study, results, runs) | {"started": begin})
    # Only of the seeds in these tables: with max_seeds, others of the variant may be under way.
    for row in runs[runs["status"].isin(["ok", "failed"])].itertuples():
        checkpoint.remove(results, row.dataset, row.variant, row.seed)
    shown = variants[["variant", "status", "n", "test_accuracy_mean", "test_accuracy_sd", "train_seconds_mean"]]
    print(shown.to_string(index=False, na_rep="–"))


def status(config: Path, overrides: str, results: Path) -> None:
    """Say what is done, stale, failed and missing, and how long the rest will take; run nothing."""
    from mnist_hpc import status as module
    from mnist_hpc.specification import Study

    print(module.describe(Study(config, _json("--set", overrides)), results))


def clean(config: Path, overrides: str, results: Path, yes: bool) -> None:
    """Show what no variant of the config claims any more, and remove it after a yes."""
    from mnist_hpc import cleaning
    from mnist_hpc.specification import Study

    paths = cleaning.unclaimed(Study(config, _json("--set", overrides)), results)
    if not paths:
        print("Nothing to remove: every result belongs to a variant of the config.")
        return
    for path in paths:
        print(f"{cleaning.size(path) / 1e6:10.1f} MB  {path}")
    if yes or _confirm("Remove these? [y/N] "):
        cleaning.remove(paths)
        print("Removed.")
    else:
        print("Nothing was removed; answer y, or say so beforehand: make clean YES=1")


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
    _, (outputs,) = models.predictor(network, header["loss"])(image[None])
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mnist_hpc", description=__doc__)
    commands = parser.add_subparsers(title="commands", required=True)

    def command(run: Any) -> argparse.ArgumentParser:
        added = commands.add_parser(run.__name__, help=run.__doc__, description=run.__doc__)
        added.set_defaults(run=run)
        return added

    def of_study(added: argparse.ArgumentParser) -> None:
        added.add_argument("--config", type=Path, default=Path("config.yaml"), help="the study's config.yaml")
        added.add_argument("--set", dest="overrides", default="{}", metavar="JSON", help="keys to change in it")

    def of_results(added: argparse.ArgumentParser) -> None:
        of_study(added)
        added.add_argument("--results", type=Path, default=Path("results"), help="the folder results")

    added = command(fetch)
    of_study(added)
    added.add_argument("--dataset", required=True, help="a data set of the config")
    added.add_argument("--folder", type=Path, required=True, help="where its files go")
    added.add_argument("--timeout", type=float, default=20.0, help="seconds a mirror may stay silent")
    added.add_argument("--tries", type=int, default=3, help="how often a mirror is asked for a file")

    added = command(convert)
    added.add_argument("--dataset", required=True, help="name of the data set")
    added.add_argument("--entry", default="null", metavar="JSON", help="its entry of the config; null: built in")
    added.add_argument("--folder", type=Path, required=True, help="where its raw files lie and the HDF5 ones go")

    added = command(train)
    added.add_argument("--data", type=Path, required=True, help="train.h5")
    added.add_argument("--variant", required=True, help="name of the variant")
    added.add_argument("--specification", required=True, metavar="JSON", help="layers, loss, optimizer, ...")
    added.add_argument("--seeds", type=_seeds, required=True, metavar="FIRST-LAST", help="as 0-4")
    added.add_argument("--models", type=Path, required=True, help="models.h5 to write")
    added.add_argument("--history", type=Path, required=True, help="history.csv to write")
    added.add_argument("--state", type=Path, help="folder for checkpoints; without it an interruption loses the run")
    added.add_argument("--checkpoint-seconds", type=float, default=60.0, help="how often to save")
    added.add_argument("--threads", type=int, default=1, help="CPU threads")
    added.add_argument("--require-gpu", type=int, choices=(0, 1), default=0, help="1: fail where no GPU is visible")

    added = command(evaluate)
    added.add_argument("--models", type=Path, required=True, help="models.h5")
    added.add_argument("--data", type=Path, required=True, help="test.h5")
    added.add_argument("--metrics", type=Path, required=True, help="metrics.csv to write")
    added.add_argument("--predictions", type=Path, required=True, help="predictions.h5 to write")
    added.add_argument("--threads", type=int, default=1, help="CPU threads")

    added = command(tabulate)
    of_results(added)
    added = command(status)
    of_results(added)
    added = command(clean)
    of_results(added)
    added.add_argument("--yes", action="store_true", help="do not ask")

    for run, argument in ((predict, "picture"), (export, "output")):
        added = command(run)
        added.add_argument("--model", type=Path, required=True, help="models.h5 of a block")
        added.add_argument("--seed", type=int, help="which of its seeds; the first by default")
        added.add_argument(argument, type=Path)
    return parser


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def _json(option: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{option}: found {text!r}, expected JSON ({error})") from None


def _confirm(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False


def _stop_on_signals() -> Callable[[], bool]:
    """Return a function that says whether a signal told this process to stop."""
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: received.append(number))
    return lambda: bool(received)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

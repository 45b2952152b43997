"""Write the report of a study, one HTML page, from the results that are there."""

import argparse
import io
from pathlib import Path
from typing import Any

from mnist_hpc import options, report
from mnist_hpc.console import say
from mnist_hpc.errors import UserError
from mnist_hpc.files.atomic import write_text
from mnist_hpc.files.code_hash import code_hash
from mnist_hpc.report import page
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import study_tables
from mnist_hpc.tables.collect import WHOLE
from mnist_hpc.tables.reading import read_table


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this stage."""
    options.add_results(parser)


def run(config: Path, overrides: dict[str, Any], results: Path) -> None:
    """Write the report, unless the one that is there was made from the same; raise UserError if there are no results.

    The report says what a study lacks because it is unfinished or failed. So the stage itself finds out what
    today's code is, whether or not Snakemake calls it.
    """
    study = Study.read(config, overrides)
    path = results / study.dataset / "report.html"
    if not any((results / file).exists() for file in study.files):
        raise UserError(
            f"{results / study.dataset}: there are no results yet; make run, or for another data set "
            'make report CONFIG="dataset=..."'
        )
    hashes = {stage: code_hash(f"stages.{stage}") for stage in ("train", "evaluate", "perturb", "sweep")}
    source = page.made_from(study, results, [*hashes.values(), code_hash("stages.report", files=report.FILES)])
    if page.is_current(path, source):
        say(f"{path}: nothing has changed since it was made")
        return
    computed = study_tables.computed(study, results, hashes["train"], hashes["evaluate"], hashes["perturb"])
    # As readers of the CSV files have them, with their types.
    files = {name: io.StringIO(table.to_csv(index=False)) for name, table in computed.items()}
    tables = {name: read_table(file) for name, file in files.items()}
    tables["runs"] = tables["runs"].astype(dict.fromkeys(WHOLE, "Int64"))
    write_text(path, page.page(study, results, tables, hashes, source))
    say(f"Report: {path}")

# The whole study. config.yaml is its config, workflow/rules has its jobs, and workflow/mnist_hpc has the logic.
import json
import sys
from functools import cache
from pathlib import Path
from shlex import quote

from mnist_hpc import figures, report
from mnist_hpc.cluster import attempts, container, times
from mnist_hpc.errors import UserError
from mnist_hpc.files.code_hash import code_hash
from mnist_hpc.study import check, layout
from mnist_hpc.study.config import changes

# No `configfile:` directive, as it silently keeps the last of duplicate keys; nor Snakemake's `config`, in which the
# numbers of nested keys are text.
CONFIG_FILE = Path(workflow.basedir) / "config.yaml"
try:
    CHANGES = changes(workflow.config_settings.configfiles, workflow.config_settings.config)
    study = check.load(CONFIG_FILE, CHANGES)
    # Python of training and evaluation: from this environment, or from a site's container.
    PYTHON = " ".join(map(quote, container.python("python")))
except UserError as error:
    print(f"mnist_hpc: error: {error}", file=sys.stderr)
    sys.exit(2)

# Options of the commands that read the config; not in `params`, so that moving the project reruns nothing.
CHANGED = " ".join(quote(f"{key}={json.dumps(value)}") for key, value in CHANGES.items())
STUDY = f"--config {quote(str(CONFIG_FILE))} --set {CHANGED}"

# Hashed when a job needs it: most commands, and every job on a cluster, plan a few rules only.
hashed = cache(code_hash)

# Jobs use the environment of Snakemake; with `exec`, signals reach the program.
shell.prefix(f"export PATH={quote(str(Path(sys.executable).parent))}:$PATH; exec ")


wildcard_constraints:
    dataset="|".join(study.datasets),
    variant="|".join(study.variants),
    sweep="|".join(study.sweeps) or "none",
    part=r"\d+",
    parts=r"\d+",
    first=r"\d+",
    last=r"\d+",


include: "workflow/rules/data.smk"
include: "workflow/rules/runs.smk"
include: "workflow/rules/sweeps.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/events.smk"


rule all:
    default_target: True
    input:
        [f"results/{file}" for file in study.files],
        rules.write_report.output,
        [file for name in FIGURES for file in getattr(rules, name).output],

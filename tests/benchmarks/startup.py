"""Whole processes, on files that are in the system's cache: what they cost before they do anything, and all in all."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from processes import bare_import, run

from mnist_hpc.study.specification import Study

ROUNDS = 5
ROOT = Path(__file__).parents[2]


def measure(data: Path, _peers: Path, threads: int) -> list[dict[str, Any]]:
    """Return one row a process, in seconds and in times a bare ``import tensorflow`` of the same round.

    Trainings of "one step" take as long as others do to get to it, and to end; that of ``cnn-fast`` is a whole seed.
    """
    package, snakemake = [sys.executable, "-m", "mnist_hpc"], Path(sys.executable).parent / "snakemake"
    variants = Study.read(ROOT / "config.yaml").variants
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:

        def stages(name: str, length: str, **steps: int) -> dict[str, list[str]]:
            kept = {key: value for key, value in variants[name].specification.items() if key not in ("steps", "epochs")}
            models = f"{folder}/{name}.h5"
            job = ["--threads", str(threads)]
            train = [*package, "train", "--data", str(data / "train.h5"), "--variant", name, "--seeds", "0"]
            train += ["--specification", json.dumps(kept | steps), "--history", f"{folder}/history.csv"]
            evaluate = [*package, "evaluate", "--data", str(data / "test.h5"), "--predictions", f"{folder}/p.h5"]
            return {
                f"train {name}, {length}": [*train, "--models", models, *job],
                f"evaluate {name}": [*evaluate, "--models", models, "--metrics", f"{folder}/metrics.csv", *job],
            }

        made = [*package, "preload", str(snakemake), "--profile", "profiles/local", "--directory", folder]
        made += ["--config", "max_seeds=1", "--", "results/mnist/runs/cnn-fast/seeds-0-0/models.h5"]
        run(made, cwd=ROOT)
        # With its checkpoint, the training would only be written again.
        again = ["sh", "-c", 'rm -r "$0"/*/runs "$0"/state && exec "$@"', f"{folder}/results"]
        commands = {
            **stages("regression", "one step", steps=1),
            **stages("cnn", "one step", steps=1),
            **stages("cnn-fast", "one seed", epochs=variants["cnn-fast"].specification["epochs"]),
            "snakemake to models.h5 of cnn-fast, one seed": [*again, *made],
            "--help": [*package, "--help"],
            "import snakemake.cli": [sys.executable, "-c", "import snakemake.cli"],
            "status": [*package, "status"],
            "make env, nothing to do": ["make", "env"],
            "clean": [*package, "clean"],
            "snakemake -n": [str(snakemake), "-n", "--profile", "profiles/local"],
        }
        for round_ in range(ROUNDS):
            imported = bare_import()
            print(f"{'import tensorflow':28} {imported:6.2f} s", flush=True)
            for name, command in commands.items():
                usage = run(command, cwd=ROOT)
                row = {"command": name, "round": round_, "seconds": usage.seconds, "imports": usage.seconds / imported}
                rows.append(row | {"megabytes": usage.megabytes})
                print(
                    f"{name:28} {usage.seconds:6.2f} s, {row['imports']:5.2f} times an import, "
                    f"{usage.megabytes:5.0f} MB",
                    flush=True,
                )
    return rows

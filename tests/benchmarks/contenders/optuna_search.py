"""Optuna's tree-structured Parzen estimator with one of its pruners: asks for trainings and reads their losses.

    python optuna_search.py <search as JSON: space, rungs, factor, pruner, seed>

Prints a line of JSON for each share of a training, ``{"point": number, "values": by key, "rung": from 1}``, and reads
the validation loss there, a number, as the answer; null if the training diverged. It goes on until its input ends.
"""

import json
import sys
from typing import Any

import optuna

PRUNERS = {
    "successive halving": lambda factor, _: optuna.pruners.SuccessiveHalvingPruner(
        min_resource=1, reduction_factor=factor
    ),
    "Hyperband": lambda factor, rungs: optuna.pruners.HyperbandPruner(
        min_resource=1, max_resource=factor ** (rungs - 1), reduction_factor=factor
    ),
}


def suggested(trial: optuna.Trial, space: dict[str, Any]) -> dict[str, Any]:
    """Return the values that a trial tries; those of a list are categories, as JSON since they may be optimisers."""
    values = {}
    for key, dimension in space.items():
        if isinstance(dimension, list):
            values[key] = json.loads(trial.suggest_categorical(key, [json.dumps(value) for value in dimension]))
        else:
            ((kind, (low, high)),) = dimension.items()
            values[key] = trial.suggest_float(key, low, high, log=kind == "log_uniform")
    return values


def main(space: dict[str, Any], rungs: int, factor: int, pruner: str, seed: int) -> None:
    """Search until nobody answers."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed), pruner=PRUNERS[pruner](factor, rungs), direction="minimize"
    )
    while True:
        trial = study.ask()
        values = suggested(trial, space)
        for rung in range(1, rungs + 1):
            print(json.dumps({"point": trial.number, "values": values, "rung": rung}), flush=True)
            if not (answer := sys.stdin.readline()):
                return
            loss = json.loads(answer)
            if loss is not None:
                trial.report(loss, factor ** (rung - 1))
            # Without a loss it ranks last; a trial that failed would be ignored.
            if loss is None or (rung < rungs and trial.should_prune()):
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, loss)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))

"""scikit-learn: SGDClassifier for the regression (one image a step, one class against the rest), MLPClassifier."""

import numpy as np
from protocol import RATES, Data, Workload, serve
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier


def prepare(workload: Workload, data: Data, threads: int):
    inputs = data.inputs.reshape(len(data.images), 784)
    validation = data.validation_inputs.reshape(len(data.validation_images), 784)
    passes = -(-workload.images // len(inputs))
    inputs, labels = inputs[: workload.images // passes], data.labels[: workload.images // passes]

    def run(seed: int):
        if workload.net == "regression":
            model = SGDClassifier(loss="log_loss", max_iter=passes, tol=None, random_state=seed, n_jobs=threads)
        else:
            model = MLPClassifier(
                (128,),
                solver="sgd",
                alpha=0,
                batch_size=workload.batch,
                learning_rate_init=RATES[workload.net],
                max_iter=passes,
                momentum=0,
                tol=0,
                n_iter_no_change=passes,
                random_state=seed,
            )
        model.fit(inputs, labels)
        return lambda: np.asarray(model.predict(validation))

    return run


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")  # it has not converged, as was asked for
    serve(prepare)

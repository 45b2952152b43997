"""This project's training loop, as a job runs it."""

from dataclasses import replace

import numpy as np
from protocol import RATES, Data, Workload, serve

from mnist_hpc.data.splits import Split
from mnist_hpc.training import device

LAYERS = {
    "regression": [{"Flatten": {}}, {"Dense": {"units": 10, "kernel_initializer": "zeros"}}],
    "hidden": [{"Flatten": {}}, {"Dense": {"units": 128}}, {"ReLU": {}}, {"Dense": {"units": 10}}],
    "cnn": [
        {"Conv2D": {"filters": 32, "kernel_size": 5, "padding": "same", "activation": "relu"}},
        {"MaxPooling2D": {}},
        {"Conv2D": {"filters": 64, "kernel_size": 5, "padding": "same", "activation": "relu"}},
        {"MaxPooling2D": {}},
        {"Flatten": {}},
        {"Dense": {"units": 1024, "activation": "relu"}},
        {"Dropout": {"rate": 0.5}},
        {"Dense": {"units": 10}},
    ],
}


def prepare(workload: Workload, data: Data, threads: int, *, tf32: bool = False, **chosen):
    if workload.net == "regression" and not chosen:
        threads = 1  # as in config.yaml: a second one does not help
    device.prepare(threads)
    import tensorflow as tf

    tf.config.experimental.enable_tensor_float_32_execution(enabled=tf32)
    from mnist_hpc.training import loop, models
    from mnist_hpc.training.engine import choose

    train = Split(data.images, data.labels)
    specification = {
        "layers": LAYERS[workload.net],
        "loss": {"CategoricalCrossentropy": {}},
        "optimizer": {"Adam" if workload.net == "cnn" else "SGD": {"learning_rate": RATES[workload.net]}},
        "batch_size": workload.batch,
        "steps": workload.steps,
    }
    if workload.net == "cnn":
        specification["dtype_policy"] = "mixed_bfloat16"
    engine = replace(choose(specification, threads), **chosen)
    compiled = None

    def run(seed: int):
        nonlocal compiled
        compiled = compiled or loop.Loop(specification, train, engine)
        compiled.start(seed)
        first = 0
        while first < workload.steps:
            last = min(workload.steps, first + (compiled.most_steps or workload.steps))
            compiled.run(first, last)
            first = last

        def predict() -> np.ndarray:
            network = models.build(specification["layers"], (28, 28, 1), seed)
            models.set_weights(network, models.weights(compiled.model))
            return network.predict(data.validation_inputs[..., None], batch_size=1000, verbose=0).argmax(axis=1)

        return predict

    return run


if __name__ == "__main__":
    serve(prepare, device.has_gpu)

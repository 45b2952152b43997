"""Keras as people write it: compile, fit, arrays in memory."""

import os

from protocol import RATES, Data, Workload, serve


def prepare(workload: Workload, data: Data, threads: int):
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    layers = keras.layers
    inputs, labels = data.inputs[..., None], data.labels
    # fit() counts passes: cut the data so that whole passes make the number of steps.
    passes = -(-workload.images // len(inputs))
    inputs, labels = inputs[: workload.images // passes], labels[: workload.images // passes]
    validation = data.validation_inputs[..., None]
    nets = {
        "regression": lambda: [layers.Flatten(), layers.Dense(10, kernel_initializer="zeros")],
        "hidden": lambda: [layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dense(10)],
        "cnn": lambda: [
            layers.Conv2D(32, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(1024, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10),
        ],
    }
    model = None

    def run(_seed: int):
        nonlocal model
        if model is None:
            model = keras.Sequential([keras.Input((28, 28, 1)), *nets[workload.net]()])
            rate = RATES[workload.net]
            model.compile(
                keras.optimizers.Adam(rate) if workload.net == "cnn" else keras.optimizers.SGD(rate),
                keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            )
        # Later calls go on with the trained weights: the work is the same.
        model.fit(inputs, labels, batch_size=workload.batch, epochs=passes, verbose=0)
        return lambda: model.predict(validation, batch_size=1000, verbose=0).argmax(axis=1)

    return run


def has_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


if __name__ == "__main__":
    serve(prepare, has_gpu)

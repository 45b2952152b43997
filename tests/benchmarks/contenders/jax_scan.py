"""JAX: the whole training as one jitted scan over the batches.

For the CNN on a processor a jitted step, which is faster there.
"""

import jax
import jax.numpy as jnp
import numpy as np
from protocol import RATES, Data, Workload, order, serve


def glorot(key, shape, inputs, outputs):
    limit = np.sqrt(6 / (inputs + outputs))
    return jax.random.uniform(key, shape, minval=-limit, maxval=limit)


def initial(net: str, seed: int):
    keys = jax.random.split(jax.random.key(seed), 4)
    if net == "regression":
        return [(jnp.zeros((784, 10)), jnp.zeros(10))]
    if net == "hidden":
        return [
            (glorot(keys[0], (784, 128), 784, 128), jnp.zeros(128)),
            (glorot(keys[1], (128, 10), 128, 10), jnp.zeros(10)),
        ]
    return [
        (glorot(keys[0], (5, 5, 1, 32), 25, 800), jnp.zeros(32)),
        (glorot(keys[1], (5, 5, 32, 64), 800, 1600), jnp.zeros(64)),
        (glorot(keys[2], (3136, 1024), 3136, 1024), jnp.zeros(1024)),
        (glorot(keys[3], (1024, 10), 1024, 10), jnp.zeros(10)),
    ]


def logits(net: str, weights, images, key=None):
    """Return float32 (batch, 10); with a key, dropout is on."""
    if net != "cnn":
        hidden = images.reshape(len(images), 784)
        for kernel, bias in weights[:-1]:
            hidden = jax.nn.relu(hidden @ kernel + bias)
        return hidden @ weights[-1][0] + weights[-1][1]
    hidden = images[..., None]
    for kernel, bias in weights[:2]:
        hidden = jax.lax.conv_general_dilated(
            hidden, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        hidden = jax.nn.relu(hidden + bias)
        hidden = jax.lax.reduce_window(hidden, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    hidden = jax.nn.relu(hidden.reshape(len(images), -1) @ weights[2][0] + weights[2][1])
    if key is not None:
        hidden = jnp.where(jax.random.bernoulli(key, 0.5, hidden.shape), hidden * 2, 0.0)
    return hidden @ weights[3][0] + weights[3][1]


def prepare(workload: Workload, data: Data, threads: int):  # noqa: ARG001  XLA takes what it gets
    inputs, labels = jnp.asarray(data.inputs), jnp.asarray(data.labels.astype(np.int32))
    net, rate = workload.net, RATES[workload.net]

    def loss(weights, images, targets, key):
        scores = jax.nn.log_softmax(logits(net, weights, images, key))
        return -jnp.mean(jnp.take_along_axis(scores, targets[:, None], axis=1))

    def step(state, batch):
        weights, first, second, count, key = state
        key, own = jax.random.split(key)
        value, gradients = jax.value_and_grad(loss)(weights, inputs[batch], labels[batch], own)
        if net == "cnn":
            count += 1
            first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradients)
            second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradients)
            scale = rate * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
            weights = jax.tree.map(lambda w, m, v: w - scale * m / (jnp.sqrt(v) + 1e-7), weights, first, second)
        else:
            weights = jax.tree.map(lambda w, g: w - rate * g, weights, gradients)
        return (weights, first, second, count, key), value

    if net == "cnn" and not has_gpu():
        jitted = jax.jit(step, donate_argnums=0)

        def train(state, batches):
            for batch in batches:
                state, _ = jitted(state, batch)
            return state
    else:
        train = jax.jit(lambda state, batches: jax.lax.scan(step, state, batches)[0])

    def run(seed: int):
        weights = initial(net, seed)
        zeros = jax.tree.map(jnp.zeros_like, weights)
        batches = jnp.asarray(order(workload, len(inputs), seed).astype(np.int32))
        others = jax.tree.map(jnp.zeros_like, weights)
        weights, *_ = train((weights, zeros, others, jnp.int32(0), jax.random.key(seed)), batches)
        weights = jax.block_until_ready(weights)
        parts = np.array_split(data.validation_inputs, 5)
        return lambda: np.concatenate([logits(net, weights, jnp.asarray(part)).argmax(axis=1) for part in parts])

    return run


def has_gpu() -> bool:
    return jax.default_backend() == "gpu"


if __name__ == "__main__":
    serve(prepare, has_gpu)

"""On a GPU a step is computed there from beginning to end: by the registry of TensorFlow with CUDA, without a GPU.

The registry's answer is in ``gpu_kernels.json``, which ``gpu_kernels.py`` makes.
"""

import keras
import numpy as np
import placement
import pytest
import tensorflow as tf

from conftest import ROOT, specification
from mnist_hpc.data.splits import Split
from mnist_hpc.study import check
from mnist_hpc.study.layers import LAYERS
from mnist_hpc.training import device

pytestmark = pytest.mark.usefixtures("tensorflow")

STUDY = check.load(ROOT / "config.yaml")
# What a step takes from the host. It does not wait for these: the host is ahead of the GPU.
TO_GPU = {
    "int32 Cast.x": "a number of values, by which a sum becomes a mean: a constant, once the graph is optimised",
    "uint64 StatelessRandomUniformV2.key": "made on the host from the step's number, 8 bytes",
    "uint64 StatelessRandomUniformV2.counter": "likewise, 16 bytes",
    "uint64 StatelessRandomNormalV2.key": "likewise",
    "uint64 StatelessRandomNormalV2.counter": "likewise",
}


def training_data(dataset, count=500):
    """Return examples of the shapes and types of a data set, and its number of classes."""
    random = np.random.default_rng(0)
    if dataset in ("circle", "spirals"):
        return Split(random.random((count, 2), np.float32), random.integers(2, size=count).astype(np.uint8))
    images = random.integers(256, size=(count, 28, 28)).astype(np.uint8)
    return Split(images, random.integers(10, size=count).astype(np.uint8))


def loop_of(wanted, split, dtype_policy="float32"):
    """Return the loop of a specification, compiled as on every GPU: one XLA program."""
    from mnist_hpc.training import models
    from mnist_hpc.training.engine import Engine
    from mnist_hpc.training.loop import Loop

    short = {key: value for key, value in wanted.items() if key != "epochs"} | {"steps": 4}
    if short["batch_size"] != "full":
        short["batch_size"] = 4
    short["layers"] = models.adapted(short["layers"], split)
    return Loop(short, split, Engine(whole=True, update=False, dtype_policy=dtype_policy))


def traced(loop):
    seeds = tf.TensorSpec([10], tf.int32)
    batch = tf.TensorSpec([3, loop.batch], tf.int64)
    return placement.of_step(loop.program.function.get_concrete_function(batch, seeds, tf.TensorSpec([], tf.int32)))


def assert_on_the_gpu(found):
    assert not found.without_kernel
    assert not found.to_host
    assert found.to_gpu <= TO_GPU.keys()


def test_the_registry_is_that_of_the_tensorflow_in_use():
    assert placement.KNOWN["tensorflow"] == tf.__version__


@pytest.mark.parametrize("name", STUDY.variants)
def test_a_step_of_every_variant_stays_on_the_gpu(name, monkeypatch):
    from mnist_hpc.training import loop

    monkeypatch.setattr(loop, "MANY_WEIGHTS", 1)
    variant = STUDY.variants[name]
    made = loop_of(variant.specification, training_data(variant.dataset))
    found = traced(made)
    assert_on_the_gpu(found)
    assert "ResourceGather" in found.operations  # it has looked into the step


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_a_step_in_half_precision_stays_on_the_gpu(policy):
    wanted = STUDY.variants["cnn-minute"].specification
    assert_on_the_gpu(traced(loop_of(wanted, training_data("mnist"), policy)))


OPTIMIZERS = [
    {"SGD": {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}},
    {"RMSprop": {"learning_rate": 0.1, "momentum": 0.9, "centered": True}},
    {"Adagrad": {"learning_rate": 0.1}},
    {"Adam": {"learning_rate": 0.1, "amsgrad": True, "use_ema": True, "clipnorm": 1.0}},
    {"AdamW": {"learning_rate": 0.1, "global_clipnorm": 1.0}},
    {"Adam": {"learning_rate": {"CosineDecay": {"initial_learning_rate": 0.1}}, "clipvalue": 1.0}},
    {"Adam": {"learning_rate": {"ExponentialDecay": {"initial_learning_rate": 0.1, "decay_rate": 0.5}}}},
]
ARGUMENTS = {
    "Normalization": {"mean": 0.1, "variance": 0.2},
    "Reshape": {"target_shape": [28, 28, 1]},
    "Dense": {"units": 5},
    "AveragePooling2D": {"pool_size": 2},
    "Conv2D": {"filters": 3, "kernel_size": 3},
    "SeparableConv2D": {"filters": 3, "kernel_size": 3},
    "DepthwiseConv2D": {"kernel_size": 3},
    "Dropout": {"rate": 0.5},
    "SpatialDropout2D": {"rate": 0.5},
    "GaussianNoise": {"stddev": 0.1},
    "Activation": {"activation": "gelu"},
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: "-".join(map(str, optimizer.items()))[:40])
def test_a_step_of_every_optimizer_stays_on_the_gpu(optimizer):
    assert_on_the_gpu(traced(loop_of(specification(optimizer=optimizer, l2=0.1), training_data("mnist"))))


@pytest.mark.parametrize("layer", [name for name, layer in LAYERS.items() if not layer.augmentation])
def test_a_step_with_every_layer_stays_on_the_gpu(layer):
    """And XLA has all operations of it: a few steps are made."""
    layers = [{layer: ARGUMENTS.get(layer, {})}]
    if "Global" in layer:
        layers = [{"Conv2D": {"filters": 3, "kernel_size": 3}}, *layers]
    elif layer != "Flatten":
        layers += [{"Flatten": {}}]
    loop = loop_of(specification(layers=[*layers, {"Dense": {"units": 10}}]), training_data("mnist"))
    assert_on_the_gpu(traced(loop))
    losses, _ = loop.run(0, 2)
    assert np.isfinite(losses).all()


@pytest.mark.parametrize("name", ["mlp-noise", "cnn-minute"])
def test_xla_has_all_operations_of_the_nets_with_everything_in_them(name):
    variant = STUDY.variants[name]
    losses, _ = loop_of(variant.specification, training_data("mnist"), device.half_precision()).run(0, 3)
    assert np.isfinite(losses).all()


def test_a_step_of_a_pack_stays_on_the_gpu():
    from mnist_hpc.training.packed_loop import PackedLoop

    noisy = [{"Flatten": {}}, {"Dense": {"units": 8}}, {"GaussianNoise": {"stddev": 0.5}}, {"ReLU": {}}]
    layers = [*noisy, {"Dropout": {"rate": 0.5}}, {"Dense": {"units": 10}}]
    for optimizer in OPTIMIZERS[:4]:
        ((name, arguments),) = optimizer.items()
        own = {key: value for key, value in arguments.items() if key not in ("use_ema", "clipnorm")}
        settings = [specification(layers=layers, optimizer={name: own}, l2=decay) for decay in (0.0, 0.1)]
        assert_on_the_gpu(traced(PackedLoop(settings, training_data("mnist"), xla=True)))


def test_what_a_run_does_between_its_steps_has_kernels():
    """Validation and prediction: their results are read by the host, so copies are no fault."""
    from mnist_hpc.training import models

    split = training_data("mnist")
    loop = loop_of(STUDY.variants["cnn-best"].specification, split)
    batch = tf.TensorSpec([100, 28, 28], tf.uint8)
    validate = loop._validate.get_concrete_function(batch, tf.TensorSpec([100], tf.uint8))
    predict = models.predictor(loop.model, "CategoricalCrossentropy").get_concrete_function(batch)
    for function in (validate, predict):
        assert not placement.of_function(function).without_kernel


def in_a_loop(step):
    @tf.function(autograph=False)
    def run():
        return tf.while_loop(lambda number, _: number < 3, lambda number, _: (number + 1, step(number)), (0, 0.0))

    return placement.of_step(run.get_concrete_function())


def test_the_faults_that_this_looks_for_are_found():
    """Bytes outside a variable, Keras' counting seeds, and a branch on what is on the GPU."""
    pixels, places = tf.constant(np.zeros((5, 3), np.uint8)), tf.constant([1, 2], tf.int64)
    gathered = in_a_loop(lambda _: tf.reduce_sum(tf.cast(tf.gather(pixels, places), tf.float32)))
    assert gathered.without_kernel == {"GatherV2"}
    assert "int64 GatherV2.indices" in gathered.to_host

    noise = keras.layers.GaussianNoise(1.0)
    drawn = in_a_loop(lambda _: tf.reduce_sum(noise(tf.zeros([2, 2]), training=True)))
    assert "int32 StatelessRandomGetKeyCounter.seed" in drawn.to_host

    counter = keras.Variable(0, dtype="int64")
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10, warmup_target=0.2, warmup_steps=2)
    assert "bool StatelessIf.cond" in in_a_loop(lambda _: schedule(counter.value)).to_host

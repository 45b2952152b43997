"""How a loop is compiled, by its layers, its threads and the device."""

import pytest

from conftest import specification
from mnist_hpc.training import device
from mnist_hpc.training.engine import choose

pytestmark = pytest.mark.usefixtures("tensorflow")

HIDDEN = [{"Flatten": {}}, {"Dense": {"units": 16}}, {"ReLU": {}}, {"Dense": {"units": 10}}]
NOISY = [{"Flatten": {}}, {"Dense": {"units": 16}}, {"Dropout": {"rate": 0.2}}, {"Dense": {"units": 10}}]
CNN = [{"Conv2D": {"filters": 4, "kernel_size": 3}}, {"ReLU": {}}, {"Flatten": {}}, {"Dense": {"units": 10}}]


@pytest.mark.parametrize(
    ("layers", "threads", "gpu", "whole", "update"),
    [
        (HIDDEN, 1, False, False, False),
        (HIDDEN, 2, False, True, False),
        (specification()["layers"], 2, False, False, False),
        (NOISY, 2, False, False, False),
        (CNN, 2, False, False, True),
        (HIDDEN, 1, True, True, False),
        (NOISY, 1, True, True, False),
        (CNN, 1, True, True, False),
    ],
)
def test_the_engine_is_the_one_that_was_measured_to_be_fastest(monkeypatch, layers, threads, gpu, whole, update):
    monkeypatch.setattr(device, "has_gpu", lambda: gpu)
    engine = choose(specification(layers=layers), threads)
    assert (engine.whole, engine.update) == (whole, update)


def test_half_precision_is_the_one_that_the_device_has(monkeypatch):
    for policy in ("mixed_bfloat16", "mixed_float16", "float32"):
        monkeypatch.setattr(device, "half_precision", lambda policy=policy: policy)
        assert choose(specification(layers=CNN, dtype_policy="mixed_bfloat16"), threads=2).dtype_policy == policy
        assert choose(specification(layers=CNN), threads=2).dtype_policy == "float32"


@pytest.mark.parametrize(
    ("capability", "policy"),
    [((6, 0), "float32"), ((7, 0), "mixed_float16"), ((7, 5), "mixed_float16"), ((8, 0), "mixed_bfloat16")],
    ids=["P100", "V100", "T4", "A100"],
)
def test_a_gpu_computes_in_the_half_precision_of_its_tensor_cores(monkeypatch, capability, policy):
    """See NVIDIA's table of compute capabilities: float16 from 7.0 on, bfloat16 from 8.0 on."""
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    details = {"device_name": "a card", "compute_capability": capability}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda _: details)
    assert device.half_precision() == policy

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
        (NOISY, 1, True, False, False),
        (CNN, 1, True, False, True),
    ],
)
def test_the_engine_is_the_one_that_was_measured_to_be_fastest(monkeypatch, layers, threads, gpu, whole, update):
    monkeypatch.setattr(device, "has_gpu", lambda: gpu)
    engine = choose(specification(layers=layers), threads)
    assert (engine.whole, engine.update) == (whole, update)


def test_bfloat16_holds_where_the_device_has_it(monkeypatch):
    wanted = specification(layers=CNN, dtype_policy="mixed_bfloat16")
    for there, policy in ((True, "mixed_bfloat16"), (False, "float32")):
        monkeypatch.setattr(device, "computes_in_bfloat16", lambda there=there: there)
        assert choose(wanted, threads=2).dtype_policy == policy
    assert choose(specification(layers=CNN), threads=2).dtype_policy == "float32"

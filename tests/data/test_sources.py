"""The data sets: what a source loads is what the config check believes, and what the lecture needs."""

from importlib import import_module

import numpy as np
import pytest

from mnist_hpc.study.datasets import BUILT_IN


def loaded(name, folder):
    splits, _ = import_module(f"mnist_hpc.data.sources.{name}").load(BUILT_IN[name], folder)
    return splits


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_data_set_is_what_the_config_check_believes(name, tmp_path):
    facts, splits = BUILT_IN[name], loaded(name, tmp_path)
    assert len(splits["train"].labels) == facts["train_examples"]
    assert set(splits["train"].labels) == set(range(facts["classes"]))
    assert list(splits["train"].inputs.shape[1:]) == facts["input_shape"][:2]
    again = loaded(name, tmp_path)
    assert all(np.array_equal(splits[part].inputs, again[part].inputs) for part in splits)


def test_digits_look_like_mnist(tmp_path):
    images = np.concatenate([split.inputs for split in loaded("digits", tmp_path).values()])
    assert images.shape == (1797, 28, 28)
    assert images.max() == 255
    border = np.ones((28, 28), bool)
    border[4:24, 4:24] = False
    assert not images[:, border].any()


def test_interpolated_digits_keep_their_brightness(tmp_path):
    from sklearn.datasets import load_digits

    splits = loaded("digits", tmp_path)
    images = np.concatenate([splits[part].inputs for part in ("validation", "train", "test")])
    # Interior pixels are spread evenly by the interpolation, so the mean over the box stays the same but at the rim.
    ours, theirs = images[:, 4:24, 4:24].mean() / 255, load_digits().images.mean() / 16
    assert ours == pytest.approx(theirs, rel=0.03)


def test_no_line_parts_the_circle_and_the_classes_do_not_touch(tmp_path):
    split = loaded("circle", tmp_path)["train"]
    radius = np.hypot(*split.inputs.T)
    assert radius[split.labels == 0].max() <= 1
    assert radius[split.labels == 1].min() >= 1.6 - 1e-6


def test_the_spirals_are_one_turned_by_half_a_circle(tmp_path):
    split = loaded("spirals", tmp_path)["train"]
    radius, angle = np.hypot(*split.inputs.T), np.arctan2(*split.inputs.T[::-1])
    # On the spiral of class 0 a radius r has the angle 3π r / 2; noise of 0.03 in the radius turns it by 0.14.
    turned = np.angle(np.exp(1j * (angle - 1.5 * np.pi * radius - np.pi * split.labels)))
    assert np.abs(turned).mean() == pytest.approx(0.14 * np.sqrt(2 / np.pi), rel=0.1)

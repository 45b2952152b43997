"""The start of TensorFlow: quiet, and with settings that are recorded."""

import subprocess
import sys

import pytest

from mnist_hpc.training import device


def python(program, **options):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, **options)


def test_the_start_of_tensorflow_writes_nothing():
    program = "from mnist_hpc.training import device; device.prepare(1); import tensorflow as tf; tf.eye(2) @ tf.eye(2)"
    result = python(program)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize("end", ["os.abort()", "os._exit(3)", "sys.exit(3)", "raise RuntimeError"])
def test_what_is_said_before_a_crash_is_not_lost(end):
    program = f"""
import os, sys
from mnist_hpc.training.device import _without_log_lines
with _without_log_lines():
    os.write(2, b"I0000 00:00:1795611452.772923    7951 port.cc:153] oneDNN custom operations are on.\\n")
    os.write(2, b"F0000 cpu_feature_guard.cc:35] compiled to use AVX512F, but these aren't available\\n")
    {end}
"""
    result = python(program)
    assert result.returncode
    assert "these aren't available" in result.stderr
    assert "oneDNN" not in result.stderr


@pytest.mark.usefixtures("tensorflow")
def test_a_variable_that_changes_the_last_bits_is_recorded_and_makes_another_kind_of_device(monkeypatch):
    for name in device.SETTINGS:
        monkeypatch.delenv(name, raising=False)
    plain = device.kind(1, "float32")
    assert device.versions()["settings"] == ""
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    assert device.versions()["settings"] == "XLA_FLAGS=--xla_cpu_enable_fast_math=true"
    assert device.kind(1, "float32").startswith(plain + "_settings-")
    one = device.kind(1, "float32")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert device.kind(1, "float32") not in (plain, one)

"""Versions of driver, CUDA and cuDNN, from what they say of themselves."""

import pytest

from mnist_hpc.training import gpu_facts

OPEN = """NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.172.08  Release Build  (dvs-builder@U22)
GCC version:  gcc version 11.4.0 (Ubuntu 11.4.0-1ubuntu1~22.04)
"""
CLOSED = """NVRM version: NVIDIA UNIX x86_64 Kernel Module  525.60.13  Wed Nov 30 06:39:21 UTC 2022
GCC version:  gcc version 8.5.0 20210514 (Red Hat 8.5.0-18) (GCC)
"""


@pytest.mark.parametrize(("text", "version"), [(OPEN, "570.172.08"), (CLOSED, "525.60.13"), ("?", "")])
def test_the_driver_is_the_one_that_the_kernel_has_loaded(tmp_path, monkeypatch, text, version):
    monkeypatch.setattr(gpu_facts, "DRIVER", tmp_path / "version")
    (tmp_path / "version").write_text(text)
    assert gpu_facts.versions()["driver"] == version


@pytest.mark.parametrize(("number", "version"), [(12050, "12.5"), (12090, "12.9"), (13000, "13.0")])
def test_cuda_numbers_are_those_of_its_headers(number, version):
    assert gpu_facts.of_cuda(number) == version


@pytest.mark.parametrize(("number", "version"), [(91002, "9.10.2"), (90300, "9.3.0")])
def test_cudnn_numbers_are_those_of_its_headers(number, version):
    assert gpu_facts.of_cudnn(number) == version

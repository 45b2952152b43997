"""Parts of the doctor that need no cluster."""

import pytest

from mnist_hpc.cluster import doctor
from mnist_hpc.cluster.findings import Finding, Level


@pytest.mark.parametrize(
    ("found", "old"),
    [
        (("glibc", "2.17"), True),
        (("glibc", "2.28"), False),
        (("glibc", "2.36"), False),
        (("", ""), False),  # another C library, of which nothing is known
    ],
)
def test_a_c_library_that_is_too_old_for_tensorflow_is_found(found, old):
    assert bool(doctor.old_glibc(found)) == old


def test_a_finding_begins_with_how_it_matters():
    assert [str(Finding("a", "b", level)) for level in Level] == ["ok   a: b", "note a: b", "FIX  a: b"]

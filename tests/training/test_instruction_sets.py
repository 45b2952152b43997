"""Instruction sets: those of known processors, and never more than the user allows."""

import pytest

from mnist_hpc.training.instruction_sets import highest

# Flags as Linux lists them, those that matter.
HASWELL = "sse4_1 avx fma avx2".split()
ALDER_LAKE = [*HASWELL, "avx_vnni"]
SKYLAKE = [*HASWELL, *"avx512f avx512dq avx512cd avx512bw avx512vl".split()]
CASCADE_LAKE = [*SKYLAKE, "avx512_vnni"]
ZEN_4 = [*CASCADE_LAKE, "avx512_bf16"]
SAPPHIRE_RAPIDS = [*ZEN_4, *"avx_vnni avx512_fp16 amx_bf16 amx_tile amx_int8".split()]
GRACE = "fp asimd sve sve2 i8mm bf16".split()


@pytest.mark.parametrize(
    ("flags", "limit", "found"),
    [
        (["sse4_1"], "", "SSE41"),
        (HASWELL, "", "AVX2"),
        (ALDER_LAKE, "", "AVX2_VNNI"),
        (SKYLAKE, "", "AVX512_CORE"),
        (CASCADE_LAKE, "", "AVX512_CORE_VNNI"),
        (ZEN_4, "", "AVX512_CORE_BF16"),
        (SAPPHIRE_RAPIDS, "", "AVX512_CORE_AMX"),
        (SAPPHIRE_RAPIDS, "ALL", "AVX512_CORE_AMX"),
        (SAPPHIRE_RAPIDS, "AVX512_CORE_BF16", "AVX512_CORE_BF16"),
        (ZEN_4, "AVX2_VNNI", "AVX2"),
        (HASWELL, "AVX512_CORE", "AVX2"),
        (GRACE, "", "SVE2_BF16"),
        ([], "", ""),
    ],
)
def test_the_set_is_the_one_that_onednn_dispatches_on(flags, limit, found):
    """See its table of CPU dispatcher controls: https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html."""
    assert highest(flags, limit) == found

"""The instruction sets of processors between which a training's arithmetic differs, by oneDNN's names for them."""

from collections.abc import Collection

# Flags of /proc/cpuinfo that each needs, in ascending order: TensorFlow's libraries use the highest that they find.
AVX512 = frozenset({"avx512f", "avx512bw", "avx512vl", "avx512dq"})
SETS: dict[str, frozenset[str]] = {
    "SSE41": frozenset({"sse4_1"}),
    "AVX": frozenset({"avx"}),
    "AVX2": frozenset({"avx2", "fma"}),
    "AVX2_VNNI": frozenset({"avx2", "fma", "avx_vnni"}),
    "AVX512_CORE": AVX512,
    "AVX512_CORE_VNNI": AVX512 | {"avx512_vnni"},
    "AVX512_CORE_BF16": AVX512 | {"avx512_vnni", "avx512_bf16"},
    "AVX512_CORE_FP16": AVX512 | {"avx512_vnni", "avx512_bf16", "avx512_fp16"},
    "AVX512_CORE_AMX": AVX512 | {"avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16"},
    "AVX512_CORE_AMX_FP16": AVX512 | {"avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16", "amx_fp16"},
    "ASIMD": frozenset({"asimd"}),
    "SVE": frozenset({"asimd", "sve"}),
    "SVE2": frozenset({"asimd", "sve2"}),
    "SVE2_BF16": frozenset({"asimd", "sve2", "bf16"}),
}


def highest(flags: Collection[str], limit: str = "") -> str:
    """Return the highest set that a processor with these flags has, at most ``limit`` if that is one; empty if none."""
    names = list(SETS)
    allowed = names[: names.index(limit) + 1] if limit in SETS else names
    return next((name for name in reversed(allowed) if SETS[name] <= set(flags)), "")

"""Where the time of a step on a GPU goes: TensorFlow's profiler around calls of the compiled loop, summed by kernel.

python gpu_profile.py <variant> <batch> <folder of train.h5> <threads> <rehearsal: 0 or 1> <profile to write>
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
CALLS = 3
LARGEST = 20


def main(variant: str, batch: int, data: Path, threads: int, kept: Path, *, rehearsal: bool) -> None:
    """Print what ``shares`` returns for a variant as JSON, and keep the profile; batch 0 is that of the variant."""
    from mnist_hpc.data.splits import read_training
    from mnist_hpc.study import check
    from mnist_hpc.training import device

    specification = check.load(ROOT / "config.yaml").variants[variant].specification
    device.prepare(threads)
    import tensorflow as tf

    from mnist_hpc.training.engine import Engine, choose
    from mnist_hpc.training.loop import Loop
    from mnist_hpc.training.models import adapted

    _, train, _ = read_training(data / "train.h5")
    specification |= {"layers": adapted(specification["layers"], train)} | ({"batch_size": batch} if batch else {})
    engine = choose(specification, threads)
    loop = Loop(specification, train, Engine(whole=True, update=False, dtype_policy="float32") if rehearsal else engine)
    steps = 2 if rehearsal else loop.most_steps or 100
    loop.start(0)

    def calls() -> float:
        begin = time.perf_counter()
        for call in range(CALLS):
            loop.run(call * steps, (call + 1) * steps)
        return (time.perf_counter() - begin) / CALLS / steps * 1e6

    calls()  # compiles
    undisturbed = calls()
    with tempfile.TemporaryDirectory() as folder:
        # On a GPU, noting what the host does would take time from it.
        options = tf.profiler.experimental.ProfilerOptions(
            host_tracer_level=2 if rehearsal else 0, python_tracer_level=0, device_tracer_level=1
        )
        tf.profiler.experimental.start(folder, options)
        calls()
        tf.profiler.experimental.stop()
        (path,) = Path(folder).glob("**/*.xplane.pb")
        shutil.copy(path, kept)
    events = read(kept, "/host:CPU" if rehearsal else "/device:GPU:")
    if not events:
        raise SystemExit(f"{kept}: no kernels of a GPU in it; CUPTI may be missing, or not be allowed to trace")
    step = {"kernel": "(step, without the profiler)", "calls": "", "microseconds_a_step": undisturbed, "share": ""}
    print(json.dumps([step, *shares(events, CALLS * steps)]))


def read(path: Path, plane: str) -> list[tuple[str, float, float]]:
    """Return name, begin and end (µs) of what ran on a device, from a profile as TensorFlow's profiler writes it.

    Args:
        path: The profile.
        plane: What the name of the device begins with in it.
    """
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace.FromString(path.read_bytes())
    events = []
    for found in (found for found in space.planes if found.name.startswith(plane)):
        for line in found.lines:
            # On a GPU other lines sum up those of the streams; on the host there are the functions of threads instead.
            if plane.startswith("/device:") and not line.name.startswith("Stream"):
                continue
            for event in line.events:
                begin = line.timestamp_ns / 1e3 + event.offset_ps / 1e6
                name = found.event_metadata[event.metadata_id].name
                events.append((name, begin, begin + event.duration_ps / 1e6))
    return events


def shares(events: Iterable[tuple[str, float, float]], steps: int) -> list[dict[str, Any]]:
    """Return the largest kernels, the sum of the others, and the time in which none ran; µs a step and shares of all.

    "All" is the time from the first kernel to the end of the last one. If kernels overlap, shares sum to more than 1.
    """
    events = sorted(events, key=lambda event: event[1])
    begins, ends = (np.array([event[place] for event in events]) for place in (1, 2))
    latest = np.maximum.accumulate(ends)
    whole = latest[-1] - begins[0]
    idle = np.maximum(0, begins[1:] - latest[:-1]).sum()
    kernels: dict[str, list[float]] = {}
    for name, begin, end in events:
        kernels.setdefault(name, []).append(end - begin)
    ordered = sorted(kernels, key=lambda name: -sum(kernels[name]))
    others = [value for name in ordered[LARGEST:] for value in kernels[name]]
    sums = [(name, len(kernels[name]), sum(kernels[name])) for name in ordered[:LARGEST]]
    sums += [("(others)", len(others), sum(others)), ("(idle between kernels)", 0, idle)]
    return [
        {"kernel": name, "calls": calls, "microseconds_a_step": float(time / steps), "share": float(time / whole)}
        for name, calls, time in sums
    ]


if __name__ == "__main__":
    name, size, folder, count, cut, profile = sys.argv[1:]
    main(name, int(size), Path(folder), int(count), Path(profile), rehearsal=bool(int(cut)))

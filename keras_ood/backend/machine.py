"""What machine this is, for the record."""

import importlib
import os
import platform
from pathlib import Path

import keras

from keras_ood.backend.devices import gpu_name


def usable_cores() -> int:
    """Return the number of cores on which this process may run."""
    count = getattr(os, "process_cpu_count", None)  # of Python 3.13
    if count is None and hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return (count or os.cpu_count)() or 1


def describe_machine() -> str:
    """Return processor, cores, the GPU where one computes, backend and its version, in a line."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        processor = models[0] if models else processor
    backend = keras.backend.backend()
    version = importlib.import_module(backend).__version__
    parts = [f"{os.cpu_count()} cores of {processor}", gpu_name(), platform.system(), f"{backend} {version}"]
    return ", ".join(part for part in [*parts, f"Keras {keras.__version__}"] if part)

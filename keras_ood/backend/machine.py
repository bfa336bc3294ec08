"""What machine this is, for the record."""

import importlib
import os
import platform
from pathlib import Path

import keras

from keras_ood.backend.devices import compute_capability, gpu_name

_BFLOAT16_FLAGS = frozenset({"amx_bf16", "avx512_bf16", "bf16"})


def usable_cores() -> int:
    """Return the number of cores on which this process may run."""
    count = getattr(os, "process_cpu_count", None)  # of Python 3.13
    if count is None and hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return (count or os.cpu_count)() or 1


def fast_bfloat16() -> bool:
    """Return whether the active backend computes much faster in bfloat16 than in float32 on this machine's device.

    So do TensorFlow on processors with instructions for it (AMX, AVX-512 BF16, Arm's BF16) and GPUs of compute capability 8 on;
    XLA on a CPU does not.
    """
    capability = compute_capability()
    if capability is not None:
        return capability >= (8, 0)
    return keras.backend.backend() == "tensorflow" and not _BFLOAT16_FLAGS.isdisjoint(_processor_flags())


def _processor_flags() -> set[str]:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return {flag for line in lines if line.lower().startswith(("flags", "features")) for flag in line.split(":")[1].split()}


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

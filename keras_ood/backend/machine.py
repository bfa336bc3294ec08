"""What machine this is, for the record."""

import importlib
import os
import platform
from pathlib import Path

import keras


def describe_machine() -> str:
    """Return processor, cores, backend and its version, in a line."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        processor = models[0] if models else processor
    backend = keras.backend.backend()
    version = importlib.import_module(backend).__version__
    return f"{os.cpu_count()} cores of {processor}, {platform.system()}, {backend} {version}, Keras {keras.__version__}"

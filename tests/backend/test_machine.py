"""What machine this is."""

import keras
import pytest

from keras_ood.backend import machine

TENSORFLOW = keras.backend.backend() == "tensorflow"
MACHINES = {  # compute capability, flags of the processor, whether bfloat16 is fast
    "a processor without": (None, "sse avx512f", False),
    "AMX": (None, "sse amx_bf16 amx_tile", TENSORFLOW),
    "AVX-512": (None, "avx512_bf16", TENSORFLOW),
    "an old GPU beside AMX": ((7, 5), "amx_bf16", False),
    "a GPU": ((8, 0), "", True),
}


@pytest.mark.parametrize(("capability", "flags", "fast"), MACHINES.values(), ids=MACHINES)
def test_fast_bfloat16_is_that_of_the_device(monkeypatch, capability, flags, fast):
    """A GPU decides where one computes; else the processor, and TensorFlow alone gains by it."""
    monkeypatch.setattr(machine, "compute_capability", lambda: capability)
    monkeypatch.setattr(machine, "_processor_flags", lambda: set(flags.split()))
    assert machine.fast_bfloat16() is fast

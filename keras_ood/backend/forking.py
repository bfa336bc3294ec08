"""What a forked process cannot do: the backend's threads are not in it, and whatever waits for one waits for ever."""

import os

_started = False
_forked_after_start = False


def require_backend() -> None:
    """Note that the backend is about to compute in this process, or refuse.

    Raises:
        RuntimeError: The process was forked from one in which it has computed already.
    """
    global _started
    if _forked_after_start:
        raise RuntimeError(
            "TensorFlow and JAX do not work in a process that was forked after they had started: they would wait for ever for "
            'threads that the fork left behind. Start processes anew, `multiprocessing.get_context("spawn")`, or fork before '
            f"anything is loaded or computed. Received: a detector at work in process {os.getpid()}, a fork of {os.getppid()}"
        )
    _started = True


def _after_fork() -> None:
    global _forked_after_start
    _forked_after_start = _started


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

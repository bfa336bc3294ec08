"""Names that presets once had and that none has now."""

_UNGATED = ", whose `.ungated()` is the flow alone"

RENAMED = {
    "flow-cifar10": f"'inflow-cifar10-pixels'{_UNGATED}",
    "flow-cifar10-pixels": f"'inflow-cifar10-pixels'{_UNGATED}",
    "flow-fashion-mnist": f"'inflow-fashion-mnist-pixels'{_UNGATED}",
    "flow-fashion-mnist-pixels": f"'inflow-fashion-mnist-pixels'{_UNGATED}",
    "gaussian-vae-cifar10": "'gaussian-vae-cifar10-pixels'",
    "gaussian-vae-fashion-mnist": "'gaussian-vae-fashion-mnist-pixels'",
    "gaussian-vae-gtsrb": "'gaussian-vae-gtsrb-pixels'",
    "gaussian-vae-mnist": "'gaussian-vae-mnist-pixels'",
}
"""What to write now, by the old name.

Names that another detector has now (`tilted-vae-cifar10`, ...) are in the migration notes alone.
"""


def refuse(name: str) -> None:
    """Refuse an old name: no other weights are loaded in silence.

    Raises:
        ValueError: It names what to write now.
    """
    if name in RENAMED:
        raise ValueError(f"No preset has that name any more: write {RENAMED[name]}. Received: {name!r}")

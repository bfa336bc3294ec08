"""What was measured of an export."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MeasuredExport:
    """A row of `benchmark/exports.csv`.

    Attributes:
        preset: Name of the preset.
        format: Name of the format.
        precision: Arithmetic of the networks.
        bytes: Size of its files; None where the export was refused.
        relative_rate: Images a second, divided by those of the same format's float32 export in the same run; None likewise.
        out_of_distribution: Name of the OOD set.
        images: Number of images of either set.
        auroc: AUROC of the exported score against that set; None likewise.
        agreement: Rank correlation with the detector's scores on the in-distribution images; None likewise.
    """

    preset: str
    format: str
    precision: str
    bytes: int | None
    relative_rate: float | None
    out_of_distribution: str
    images: int
    auroc: float | None
    agreement: float | None

"""The figures of `scale.csv`, and what follows from them for a billion images, Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keras_ood.tables.markdown import markdown_table
from keras_ood.tables.records import typed_rows

PICTURE, PHOTO = "picture", "photo"
PIXELS, OVER_ENCODER = "tilted-vae-cifar10-pixels", "tilted-vae-cifar10"
IMAGES = 10**9
GETS_A_SECOND = 64 / 0.050  # of a node: 64 in flight, 50 ms each
DOLLARS_A_MILLION_GETS, DOLLARS_A_CORE_HOUR, DOLLARS_A_GPU_HOUR = 0.4, 0.04, 3.0
FLOP_OF_EMBEDDING = 0.27e9  # EfficientNet-Lite0 at 128 x 128: 0.407e9 products at 224 x 224, two operations each
FLOP_OF_GPU = 494e12 / 100  # TF32, a hundredth of it reached: depthwise convolutions wait for memory


@dataclass(frozen=True)
class Row:
    """What was measured of a stage."""

    files: str
    bytes: int
    preset: str
    stage: str
    images: int
    seconds: float
    machine: str

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.images / self.seconds


def report(records: Sequence[Mapping[str, str]]) -> str:
    """Return both tables."""
    rows = typed_rows(records, Row)
    machines = "; ".join(dict.fromkeys(row.machine for row in rows))
    return f"\n\n{_measured(rows)}\n\nMeasured on {machines}.\n\n### A billion images, on paper\n\n{_plan(rows)}\n\n"


def _measured(rows: Sequence[Row]) -> str:
    header = ["files", "preset", "decode, a core", "score, a core", "one process", "two nodes", "to one process", "start"]
    lines = []
    for files, preset in dict.fromkeys((row.files, row.preset) for row in rows):
        of = {row.stage: row for row in rows if (row.files, row.preset) == (files, preset)}
        rates = [f"{_rounded(of[stage].rate)}/s" for stage in ("decode", "score", "one process", "two nodes")]
        ratio = of["two nodes"].rate / of["one process"].rate
        lines.append([_kind(of["decode"]), f"`{preset}`", *rates, f"{ratio:.2f}", f"{of['start'].seconds:.0f} s"])
    return markdown_table(header, lines)


def _plan(rows: Sequence[Row]) -> str:
    """The stages of both kinds of files through the encoder, and of pictures as pixels."""
    found = {(row.files, row.preset, row.stage): row for row in rows}
    kinds = [found[kind, OVER_ENCODER, "decode"] for kind in (PICTURE, PHOTO)]
    pixels, encoder = (found[PICTURE, preset, "score"] for preset in (PIXELS, OVER_ENCODER))
    gpu = FLOP_OF_GPU / FLOP_OF_EMBEDDING
    lines = [
        ["storage read", "measured size of the files", *(f"{row.bytes * IMAGES / 1e12:,.0f} TB" for row in kinds)],
        ["object requests", "assumed: 1 GET an image, $0.4 a million", *[f"${IMAGES / 1e6 * DOLLARS_A_MILLION_GETS:,.0f}"] * 2],
        [
            "object latency",
            "assumed: 50 ms a GET, 64 in flight on a node",
            *[f"{_hours(GETS_A_SECOND)} node hours"] * 2,
        ],
        ["decode and shrink", "measured, a core", *(f"{_hours(row.rate)} core hours" for row in kinds)],
        ["score, pixels", f"measured, a core: {_rounded(pixels.rate)}/s", *[f"{_hours(pixels.rate)} core hours"] * 2],
        [
            "embed and score",
            f"measured, a core, float32: {_rounded(encoder.rate)}/s",
            *[f"{_hours(encoder.rate)} core hours"] * 2,
        ],
        [
            "embed on a GPU",
            f"assumed, not measured: 0.27 GFLOP an image, a hundredth of 494 TFLOP/s (TF32) reached: {_rounded(gpu)}/s",
            *[f"{_hours(gpu)} GPU hours"] * 2,
        ],
        ["output", "assumed: path 60 B, numbers 25 B, before compression", *[f"{85 * IMAGES / 1e9:,.0f} GB"] * 2],
        ["cost, pixels on cores", "assumed: $0.04 a core hour", *(_dollars(row, pixels) for row in kinds)],
        ["cost, encoder on cores", "assumed: $0.04 a core hour", *(_dollars(row, encoder) for row in kinds)],
        [
            "cost, encoder on a GPU",
            "assumed: $0.04 a core hour, $3 a GPU hour",
            *(f"${_cores(row) + IMAGES / gpu / 3600 * DOLLARS_A_GPU_HOUR:,.0f}" for row in kinds),
        ],
    ]
    return markdown_table(["stage", "source", *(_kind(row) for row in kinds)], lines)


def _kind(row: Row) -> str:
    return f"{row.files}, {row.bytes / 1e3:,.0f} kB"


def _rounded(rate: float) -> str:
    return f"{rate:,.1f}" if rate < 100 else f"{rate:,.0f}"


def _hours(rate: float) -> str:
    return f"{IMAGES / rate / 3600:,.0f}"


def _cores(row: Row) -> float:
    return IMAGES / row.rate / 3600 * DOLLARS_A_CORE_HOUR


def _dollars(decode: Row, score: Row) -> str:
    return f"${_cores(decode) + _cores(score):,.0f}"

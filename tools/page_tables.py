"""Tables of the README and of `docs/zoo.md`, Markdown, from what was measured: what to take, and every preset."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

from compare_peers import OURS, average, by_pair, ranked
from peer_detectors import PEERS

from keras_ood import datasets
from keras_ood.cards.card import RESULTS, WEAK
from keras_ood.cards.tables import auroc
from keras_ood.datasets import DEFECTS
from keras_ood.evaluation.result import Result
from keras_ood.hub import handles, preset
from keras_ood.hub.content import Content, looks_at
from keras_ood.tables.markdown import markdown_table, mean_cell
from keras_ood.tables.records import read_records, read_rows

Rows = Sequence[Mapping[str, str]]

OVER_ENCODER = {
    "things and animals, as in CIFAR-10": "tilted-vae-cifar10",
    "traffic signs": "tilted-vae-gtsrb",
    "clothes, as in Fashion-MNIST": "tilted-vae-fashion-mnist",
    "handwritten digits": "tilted-vae-mnist",
}
"""The preset over an encoder for each kind of images; with `-pixels` behind its name the one over pixels."""

_SETS = {name: datasets.get(name).title for name in ("mnist", "fashion_mnist", "cifar10", "cifar100", "gtsrb")}
_SETS |= {name: name for name in ("constant", "blurred")}
_SCORES = ("nll", "mahalanobis", "knn")  # beside the default score, where a preset has them
_WEIGHTS = ("trained", "untrained")
_FEW, _LEAST = "100", "30"  # images that a detector is made of


def presets() -> str:
    """Return the table of the zoo: AUROC by score, mean and sd over the seeds, untrained in brackets.

    What looks through an encoder comes first.
    """
    rows = []
    contents = {name: _read(name) for name in handles.list_models()}
    for name in sorted(contents, key=lambda name: "encoder" not in contents[name][0]):
        content, results = contents[name]
        measured = {row.method for row in results}
        for score in dict.fromkeys((content["default_score"], *(name for name in _SCORES if name in measured))):
            cells = [mean_cell(*(auroc(results, weights, out, score) for weights in _WEIGHTS)) for out in _SETS]
            looks = looks_at(content.get("encoder"))
            rows.append([_linked(name, "../zoo"), looks, f"{content['parameters']:,}", f"`{score}`", *cells])
    return markdown_table(["preset", "looks at", "parameters", "score", *(f"→ {title}" for title in _SETS.values())], rows)


def choices(benchmark: Path) -> str:
    """Return the table of what to take for which question, with what was measured and what is missed.

    Args:
        benchmark: Folder of what was measured beside the presets.
    """
    zoo = [[question, _linked(name, "zoo"), *_of_presets([name])] for question, name in OVER_ENCODER.items()]
    pixels = _of_presets([f"{name}-pixels" for name in OVER_ENCODER.values()])
    rows = [
        [
            "your own, 30 or more",
            "[`keras-ood finetune`](docs/fine-tuning.md)",
            *_few(read_records(benchmark / "few-images.csv")),
        ],
        *zoo,
        ["these four, no labels of other images allowed", "[`tilted-vae-...-pixels`](docs/zoo.md)", *pixels],
        [
            "where is an image odd?",
            f"[`heat_map`](docs/localisation.md) of any detector; {_linked('inflow-grain', 'zoo')}",
            *_maps(read_records(benchmark / "localisation.csv")),
        ],
        [
            "has a stream changed?",
            "[`Monitor`](docs/monitoring.md), `keras-ood monitor`",
            *_streams(read_records(benchmark / "monitoring.csv")),
        ],
        [
            "without Keras, on small machines",
            "[`keras-ood export`](docs/exports.md)",
            *_exports(read_records(benchmark / "exports.csv")),
        ],
        [
            "beside other libraries",
            "[the same features and splits](docs/peers.md)",
            *_peers(read_records(benchmark / "peers.csv")),
        ],
    ]
    return markdown_table(["your images, or question", "take", "measured", "what it misses"], rows)


def _read(name: str) -> tuple[Content, list[Result]]:
    folder = handles.resolve(name)
    return preset.read(folder), read_rows(folder / RESULTS, Result)


def _linked(name: str, zoo: str) -> str:
    return f"[`{name}`]({zoo}/{name}/README.md)"


def _of_presets(names: Sequence[str]) -> list[str]:
    """The mean AUROC over all sets, and what is told worst, at least one set; of several presets in their order."""
    means, worst = [], []
    for name in names:
        content, results = _read(name)
        sets = sorted(content["auroc"], key=content["auroc"].__getitem__)
        weak = [out for out in sets if content["auroc"][out] < WEAK] if len(names) == 1 else []
        means.append(_average(content, results, sets))
        worst += [f"{out} {_average(content, results, [out])}" for out in weak or sets[:1]]
    return [f"AUROC {', '.join(means)}", ", ".join(worst)]


def _average(content: Content, results: Sequence[Result], outs: Sequence[str]) -> str:
    """The mean AUROC of the shipped weights and the default score over sets, in brackets that of the same network untrained."""
    own = [row for row in results if (row.seed, row.method) == (content["training"]["seed"], content["default_score"])]
    trained, untrained = (
        mean(row.auroc for row in own if row.weights == weights and row.out_of_distribution in outs) for weights in _WEIGHTS
    )
    return f"{trained:.4f} ({untrained:.4f})"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _few(rows: Rows) -> list[str]:
    """The AUROC of detectors of few images, and the most false alarms that one of the fewest had."""
    measured = []
    for name in ("cifar10", "gtsrb"):
        own: dict[str, list[float]] = {}
        for row in rows:
            if (row["in_distribution"], row["images"]) == (name, _FEW):
                own.setdefault(row["ood"], []).append(float(row["auroc"]))
        against = ", ".join(datasets.get(out).title for out in own)
        measured.append(
            f"of {_FEW} images of {datasets.get(name).title} AUROC {mean(map(mean, own.values())):.4f} (against {against})"
        )
    least = [row for row in rows if row["images"] == _LEAST]
    most = max(float(row["fpr_of_the_split"]) for row in least)
    asked = float(least[0]["nominal_fpr"])
    return [
        f"{', '.join(measured)}: the encoder alone, nothing is trained",
        f"of {_LEAST} images, {_percent(asked)} false alarms asked for: up to {_percent(most)}",
    ]


def _maps(rows: Rows) -> list[str]:
    """The flow's pixel AUROC, mean over the materials, beside the untrained flow and PatchCore; the defect found worst."""

    def of(method: str, column: str) -> float:
        return mean(float(row[column]) for row in rows if (row["method"], row["map"]) == (method, "standardised"))

    def beside(column: str) -> str:
        return f"{of(trained, column):.3f} ({of('flow, untrained', column):.3f})"

    trained = "flow with attention"
    worst = min(DEFECTS, key=lambda defect: of(trained, defect))
    materials = len({row["in_distribution"] for row in rows})
    return [
        f"pixel AUROC {beside('pixel_auroc')}, PatchCore {of('PatchCore', 'pixel_auroc'):.3f}: {materials} sets",
        f"{worst}: image AUROC {beside(worst)}",
    ]


def _streams(rows: Rows) -> list[str]:
    """The false alarms of the monitor, and the change that it notices soonest and least often."""
    own = [row for row in rows if row["method"] == "martingale" and row["every"] == "1"]
    false = [float(row["false_alarms"]) for row in own if row["stream"] == "exchangeable"]
    changes = [row for row in own if (row["preset"], row["stream"]) == ("inflow-cifar10", "change")]
    soon = min(changes, key=lambda row: float(row["median_delay"] or "inf"))
    missed = min(changes, key=lambda row: float(row["noticed"]))
    share, noticed = _percent(float(missed["share"])), _percent(float(missed["noticed"]))
    return [
        f"false alarms in at most {_percent(max(false))} of streams, {_percent(float(own[0]['alpha']))} promised; "
        f"CIFAR-10 turns into {soon['other']}: noticed after {float(soon['median_delay']):.0f} images",
        f"{share} {missed['other']} among CIFAR-10: noticed in {noticed} of streams",
    ]


def _exports(rows: Rows) -> list[str]:
    """The size of int8 and how far it moves the AUROC, and the rate of float16, all beside float32."""
    exact = {(row["preset"], row["format"]): row for row in rows if row["precision"] == "float32"}
    int8, float16 = ([row for row in rows if row["precision"] == kind and row["bytes"]] for kind in ("int8", "float16"))

    def pairs(column: str) -> list[tuple[float, float]]:
        return [(float(row[column]), float(exact[row["preset"], row["format"]][column])) for row in int8]

    sizes = [own / whole for own, whole in pairs("bytes")]
    moved = max(abs(own - whole) for own, whole in pairs("auroc"))
    rates = [float(row["relative_rate"]) for row in float16]
    return [
        f"int8: {min(sizes):.2f} to {max(sizes):.2f} of float32's size, AUROC at most {moved:.3f} away",
        f"float16 on a CPU: {min(rates):.2f} to {max(rates):.2f} of float32's rate",
    ]


def _peers(rows: Rows) -> list[str]:
    """Our mean AUROC and that of the best of the other libraries; the pair on which one that takes labels is most ahead."""
    others = [name for name in ranked(rows) if PEERS[name].library != PEERS[OURS].library]
    unlabelled, labelled = (next(name for name in others if PEERS[name].labels == labels) for labels in (False, True))

    ours, theirs = by_pair(rows, OURS), by_pair(rows, labelled)
    worst = min(theirs, key=lambda pair: ours[pair] - theirs[pair])
    return [
        f"AUROC {average(rows, OURS):.4f}, the best other without labels {average(rows, unlabelled):.4f} ({unlabelled})",
        f"with labels {average(rows, labelled):.4f} ({labelled}); "
        f"{' / '.join(datasets.get(name).title for name in worst)}: {ours[worst]:.3f} against {theirs[worst]:.3f}",
    ]

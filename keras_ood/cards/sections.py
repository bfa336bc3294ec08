"""The parts of a model card that depend on the family of the detector."""

from pathlib import Path
from typing import Any

from keras_ood.evaluation.studies import adversarial, sample_quality, set_level, sweep
from keras_ood.tables.records import read_records

_QUALITY = ("sharpness", "frechet")

SOURCES = {
    "TiltedVAE": """Floto, Kremer, Nica: "The Tilted Variational Autoencoder: Improving Out-of-Distribution Detection", ICLR 2023, arXiv
2111.15646. These are weights of our own code and recipe; no figure of the paper is claimed as reproduced.

```bibtex
@inproceedings{floto2023tilted,
  title = {The Tilted Variational Autoencoder: Improving Out-of-Distribution Detection},
  author = {Floto, Griffin and Kremer, Stefan and Nica, Mihai},
  booktitle = {International Conference on Learning Representations},
  year = {2023},
}
```""",
    "InFlow": """Kumar, Hanfeld, Hecht, Bussmann, Gumhold, Hoffmann: "InFlow: Robust outlier detection utilizing Normalizing Flows",
arXiv 2106.12894; the steps of the flow after Kingma, Dhariwal: "Glow", NeurIPS 2018. The attention for each image is ours. These
are weights of our own code and recipe; no figure of the paper is claimed as reproduced.

```bibtex
@article{kumar2021inflow,
  title = {InFlow: Robust outlier detection utilizing Normalizing Flows},
  author = {Kumar, Nishant and Hanfeld, Pia and Hecht, Michael and Bussmann, Michael and Gumhold, Stefan and Hoffmann, Nico},
  journal = {arXiv:2106.12894},
  year = {2021},
}
```""",
}


def extra(folder: Path, content: dict[str, Any]) -> str:
    """Return what a family reports beside its scores, Markdown; empty for families that report no more."""
    parts = _flow(folder, content) if content["family"] == "InFlow" else _vae(folder, content)
    return "".join(f"\n\n{part}" for part in parts)


def _vae(folder: Path, content: dict[str, Any]) -> list[str]:
    parts = []
    if "background" in content:
        background = content["background"]
        parts.append(
            f"**Background model**, for `likelihood_ratio`: the same model, trained for {background['epochs']} epochs on images "
            f"with {background['perturbed']:.0%} of their pixels replaced by noise ({background['seconds']:,.0f} s)."
        )
    if "sample_quality" in content:
        parts.append(_sample_quality(content["sample_quality"]))
    if (folder / sweep.CSV).exists():
        parts.append(_sweep(folder))
    return parts


def _sample_quality(quality: dict[str, Any]) -> str:
    rows = [
        ("real images", "-", quality["sharpness_real"], quality["frechet_real"]),
        ("reconstructions", f"{quality['squared_error']:.5f}", *(quality[f"{name}_reconstructions"] for name in _QUALITY)),
        ("samples", "-", quality["sharpness_samples"], quality["frechet"]),
    ]
    lines = [f"| {name} | {error} | {edges:.5f} | {distance:.2f} |" for name, error, edges, distance in rows]
    return (
        f"### Samples\n\n![Samples from the prior]({sample_quality.PICTURE})\n\nOf {quality['images']:,} images each, in-distribution "
        "test images being the real ones. Sharpness is the variance of the luminance's Laplacian, real images' value the aim; the "
        "squared Frechet distance from real test images is in the features of a small classifier of this data set (real: "
        "training images, the floor), so that it compares between presets of one data set alone.\n\n"
        "| images | mean squared error | sharpness | Frechet distance |\n|---|---|---|---|\n" + "\n".join(lines)
    )


def _sweep(folder: Path) -> str:
    columns = ("architecture", "latent_dim", "tilt", "steps", "nll", "squared_error", "sharpness_samples", "frechet")
    records = sorted(read_records(folder / sweep.CSV), key=lambda record: float(record["nll"]))
    lines = ["| " + " | ".join(record[name] for name in columns) + " |" for record in records]
    header = "| " + " | ".join(name.replace("_", " ") for name in columns) + " |\n" + "|---" * len(columns) + "|"
    return (
        f"### Choice of tilt and latent size\n\nEach setting trained for {float(records[0]['processor_seconds']):g} s of processor time, "
        "one seed, measured on the held-out training images (which calibrate too); no test image and no out-of-distribution image was "
        "looked at. Of the tilted settings of this architecture the one with the least nll (a bound, z drawn, committed rate "
        "included) was taken. Tilt 0 is the Gaussian VAE.\n\n" + header + "\n" + "\n".join(lines)
    )


def _flow(folder: Path, content: dict[str, Any]) -> list[str]:
    parts = [
        f"**Density.** {content['bits_per_dimension']:.3f} bits per dimension on the in-distribution test images (8-bit, uniform "
        "dequantisation, the plain flow)."
    ]
    if "gate" in content:
        gate = content["gate"]
        parts.append(
            f"**The gate.** Features of the encoder of `{content['attention']['encoder']}`; it alarms on "
            f"{gate['false_alarm_rate']:.2%} of the {gate['images']:,} in-distribution test images, {gate['alpha']:.0%} promised "
            f"({_binomial(gate)} the binomial 99 % interval of that, {gate['binomial'][0]:.2%} to {gate['binomial'][1]:.2%}; with "
            f"the chance of the held-out images counted in: {gate['beta_binomial'][0]:.2%} to {gate['beta_binomial'][1]:.2%}). The "
            "score `mahalanobis` is the gate alone; one gate serves all seeds, so that their spread is the flow's. Untrained: the "
            "flow as it starts, the identity (its nll is the image's brightness), behind such a gate with an encoder of random "
            "weights. The gate's level is also that of `detect(fpr=0.05)`, whose flags are therefore mostly the gate's."
        )
    if "set_level" in content:
        parts.append(_set_level(folder, content))
    if "adversarial" in content:
        parts.append(_adversarial(folder, content))
    return parts


def _binomial(gate: dict[str, Any]) -> str:
    low, high = gate["binomial"]
    return "inside" if low <= gate["false_alarm_rate"] <= high else "outside"


def _set_level(folder: Path, content: dict[str, Any]) -> str:
    records = read_records(folder / set_level.CSV)
    sizes = list(dict.fromkeys(record["size"] for record in records))
    lines = ["| sets of | " + " | ".join(f"{size} images" for size in sizes) + " |", "|---|" + "---|" * len(sizes)]
    rows: dict[str, dict[str, str]] = {}
    for record in records:
        share = float(record["ratio"])
        kind = f"in-distribution, {record['drawn']}" if share == 0 else f"{record['images']}, {share:.0%} of the images"
        rows.setdefault(kind, {})[record["size"]] = f"{float(record['rejected']):.2f}"
    lines += [f"| {kind} | " + " | ".join(cells.get(size, "-") for size in sizes) + " |" for kind, cells in rows.items()]
    keys = ("published", "published_against_itself", "set_level", "per_image", "plain_flow")
    protocol = [
        "| AUROC over images | " + " | ".join(key.replace("_", " ") for key in keys) + " |",
        "|---|" + "---|" * len(keys),
    ]
    for row in content["set_level"]["protocol"]:
        protocol.append(f"| {row['images']} | " + " | ".join(f"{row[key]:.4f}" for key in keys) + " |")
    return (
        "### Sets of images (not comparable with anything per image)\n\n"
        f"Share of {records[0]['sets']} sets that the set-level gate rejects at 5 %: the MMD test in the features of the trained "
        "encoder. Class-pure in-distribution sets are rejected although each of their images is familiar.\n\n"
        + "\n".join(lines)
        + "\n\nThe published protocol, run again: batches of 250 of one kind, the published random encoder, 5,000 reference images, "
        "in-distribution images at c = 1 without a test; the flow and the score, free of the released code's errors, are this "
        "preset's. *Against itself*: the in-distribution test images, class by class, as if they were out-of-distribution. *Set "
        f"level*: in-distribution batches are tested too. {set_level.WHY}\n\n" + "\n".join(protocol)
    )


def _adversarial(folder: Path, content: dict[str, Any]) -> str:
    study = content["adversarial"]
    lines = [
        "| attack | strength | fooled | mean change | plain flow | per image | gate alone | set level |",
        "|---|---|---|---|---|---|---|---|",
    ]
    records = read_records(folder / adversarial.CSV)
    for record in records:
        strength = f"{record['strength']}/255" if record["strength"] else "minimal norm"
        numbers = [f"{float(record[key]):.3f}" for key in ("change", "plain_flow", "per_image", "gate_alone", "set_level")]
        lines.append(f"| {record['attack']} | {strength} | {float(record['fooled']):.0%} | " + " | ".join(numbers) + " |")
    return (
        "### Adversarial images\n\n"
        f"{records[0]['images']} test images changed to fool a small classifier ({study['classifier_accuracy']:.1%} accurate), rounded to "
        "256 grey levels, against as many clean ones; AUROC, attacked positive. *Set level*: sets of "
        f"{study['set_size']} images of one kind ({int(records[0]['images']) // study['set_size']} sets) share an attention, not a "
        "per-image number. *Adaptive PGD* aims at the per-image score: it differentiates through the gate and the flow, with one "
        "weight and no restart, so that stronger ones may exist; the other columns say how it carries over.\n\n"
        + "\n".join(lines)
    )

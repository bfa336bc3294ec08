"""The report of the benchmark: leaderboard, tables, and the page whose numbers a reader can filter."""

import csv
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from statistics import mean, stdev

import pytest

from keras_ood import benchmark
from keras_ood.benchmark import page, report
from keras_ood.benchmark.measurement import Measurement
from keras_ood.benchmark.questions import KINDS_OF_PICTURE, question
from keras_ood.datasets import DATASETS
from keras_ood.tables.records import read_records, read_rows, write_records

pytestmark = pytest.mark.once

KEPT = Path(__file__).parents[2] / "benchmark"
HOSTILE = '</script><script>alert("1")</script> & "quoted"'
AUROCS = {"cifar100": (0.6, 0.7), "mnist": (0.9, 0.9), "noise": (1.0, 1.0), "jpeg-1": (0.5, 0.5), "jpeg-5": (0.8, 0.8)}


def _rows(preset, looks_at, plus=0.0):
    """Rows of two seeds and two scores, as cells write them; the second score is no default."""
    known = {"preset": preset, "looks_at": looks_at, "default_score": "typicality", "in_distribution": "cifar10"}
    rest = {"in_images": 100, "tag": "per-image", "cost": "1 pass", "machine": "a machine"}
    return [
        known
        | {"weights": weights, "seed": seed, "out_of_distribution": out, "method": method}
        | {"auroc": (values[seed] + plus) / 2 ** (method == "nll") / (1 + (weights == "untrained"))}
        | rest
        for weights in ("trained", "untrained")
        for seed in (0, 1)
        for method in ("typicality", "nll")
        for out, values in AUROCS.items()
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The report of two presets, one of which looks at what has a hostile name, with rates, maps and the spectrum."""
    folder = tmp_path_factory.mktemp("report")
    rows = _rows("tilted-vae-cifar10-pixels", "pixels") + _rows("inflow-cifar10", HOSTILE, plus=-0.05)
    write_records(folder / "results.csv", rows)
    rates = ("tilted-vae-cifar10-pixels", "pixels", 200.0), ("inflow-cifar10", HOSTILE, 50.0)
    columns = ("preset", "looks_at", "images_per_second")
    rest = {"in_distribution": "cifar10", "method": "typicality", "machine": "a machine"}
    write_records(folder / "rates.csv", [dict(zip(columns, row, strict=True)) | rest for row in rates])
    for name in ("localisation.csv", "spectrum.csv"):
        write_records(folder / name, read_records(KEPT / name))
    benchmark.write_report(folder)
    return folder


def test_every_data_set_is_of_a_kind():
    """A pair of data sets is near or far, whichever it is; pictures of the same kind are near."""
    assert set(KINDS_OF_PICTURE) == set(DATASETS)
    asked = {out: question("cifar10", out) for out in ("cifar100", "mnist", "noise", "jpeg-1")}
    assert asked == {"cifar100": "near", "mnist": "far", "noise": "synthetic", "jpeg-1": "corrupted"}


def test_the_leaderboard_comes_first_and_has_every_question(folder):
    """Best first, the default score alone: mean and deviation over the seeds, the untrained networks in brackets."""
    markdown = (folder / "README.md").read_text()
    assert re.findall("^###? (.*)$", markdown, re.M)[:8] == [
        *("Leaderboard", "Near", "Far", "Corrupted", "Where it is odd", "Speed"),
        *("The default score", "Every score's mean"),
    ]
    near, far, corrupted, _, speed = markdown.split("\n### ")[1:6]
    first, second = near.strip().splitlines()[-2:]
    assert first == "| cifar10 | tilted-vae-cifar10-pixels | pixels | typicality | 0.6500 ± 0.0707 (0.3250) | cifar100 0.650 |"
    assert second.startswith("| cifar10 | inflow-cifar10 | ")
    assert "| 0.9000 ± 0.0000 (0.4500) | mnist 0.900 |" in far
    assert "| 0.8000 ± 0.0000 (0.4000) | 0.5000 ± 0.0000 (0.2500) |" in corrupted
    assert speed.index("| 200 | 1.000 |") < speed.index("| 50 | 0.250 |")


def test_the_tables_of_spectrum_and_maps_are_there(folder, tmp_path):
    """Each has its main table; a folder without the files has no such section."""
    markdown = (folder / "README.md").read_text()
    assert "→" in markdown.split("## Full spectrum")[1].split("##")[0]
    assert "| PatchCore | EfficientNet-Lite0, trained on ImageNet with labels | raw |" in markdown.split("## Localisation")[1]
    shutil.copy(folder / "results.csv", tmp_path)
    benchmark.write_report(tmp_path)
    left = (tmp_path / "README.md").read_text()
    assert not any(title in left for title in ("## Full spectrum", "## Localisation", "### Where it is odd", "### Speed"))


def test_the_page_has_the_numbers_of_the_rows(folder):
    """Every mean of the page is that of `results.csv`, with its deviation, seeds and names; none is missing."""
    assert _numbers((folder / "index.html").read_text()) == _means(folder / "results.csv")


def test_names_cannot_leave_their_place(folder):
    """What a preset is called and looks at is text, in the tables and in the numbers; nothing is loaded from elsewhere."""
    text = (folder / "index.html").read_text()
    assert HOSTILE not in text
    found = _Page(text)
    assert found.scripts == ["application/json", None]
    assert HOSTILE in found.cells
    assert {known["looks_at"] for known in json.loads(found.data)["presets"]} == {"pixels", HOSTILE}
    assert not [address for address in found.addresses if not address.startswith(("#", "data:image/png"))]


def test_a_reader_filters_and_sorts(folder, chromium):
    """At first the default scores of near pairs; a choice narrows the others; a head sorts; no error, no other file."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.select import Select

    def choose(name, value):
        Select(chromium.find_element(By.NAME, name)).select_by_value(value)

    def column(number, table="#found"):
        return [cell.text for cell in chromium.find_elements(By.CSS_SELECTOR, f"{table} tbody td:nth-child({number})")]

    chromium.get((folder / "index.html").as_uri())
    chromium.get_log("browser")  # of the pages before
    chromium.refresh()
    assert (column(3), column(6), column(7)) == (["cifar100"] * 2, ["typicality"] * 2, ["0.6500", "0.6000"])
    choose("question", "")
    assert set(column(3)) == set(AUROCS)
    choose("looks at", HOSTILE)
    choose("weights", "")
    assert set(column(4)) == {"inflow-cifar10"}
    offered = [option.text for option in Select(chromium.find_element(By.NAME, "preset")).options]
    assert offered == ["every", "inflow-cifar10"]
    choose("score", "")
    assert chromium.find_element(By.ID, "count").text == f"{len(column(1))} of 40 numbers"
    assert len(column(1)) == 20
    for descending in (False, True):
        chromium.find_element(By.CSS_SELECTOR, "#found th:nth-child(7) button").click()
        assert column(7) == sorted(column(7), reverse=descending)
    chromium.find_element(By.CSS_SELECTOR, "#near th:nth-child(5) button").click()
    chromium.find_element(By.CSS_SELECTOR, "#near th:nth-child(5) button").click()
    assert column(2, "#near") == ["inflow-cifar10", "tilted-vae-cifar10-pixels"]
    assert chromium.get_log("browser") == []


def test_the_pages_of_the_results_are_their_reports():
    """`benchmark/README.md` and the numbers of `index.html` are those of `benchmark/results.csv`; the page is small."""
    rows = read_rows(KEPT / "results.csv", Measurement)
    leaderboard, sections, introduction = report.contents(KEPT, rows)
    assert (KEPT / "README.md").read_text(encoding="utf-8") == report.markdown(introduction, leaderboard, sections)
    text = (KEPT / "index.html").read_text(encoding="utf-8")
    assert json.loads(_Page(text).data) == json.loads(json.dumps(page.numbers(rows)))
    assert len(text) < 2_000_000


class _Page(HTMLParser):
    """What a browser makes of the page."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.cells, self.addresses, self.data = [], [], [], ""
        self._within = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self._within = given.get("id") if tag == "script" else tag
        self.addresses += [given[name] for name in ("src", "href") if name in given]
        if tag == "script":
            self.scripts.append(given.get("type"))

    def handle_endtag(self, tag):
        self._within = None

    def handle_data(self, data):
        if self._within == "td":
            self.cells.append(data)
        elif self._within == "data":
            self.data += data


def _numbers(text):
    data = json.loads(_Page(text).data)
    found = {}
    for row in data["rows"]:
        values = dict(zip(data["columns"], row, strict=True))
        preset, score = data["presets"][values["preset"]], data["scores"][values["score"]]
        key = (preset["name"], preset["looks_at"], score, data["sets"][values["set"]], values["trained"])
        assert key not in found
        found[key] = values["auroc"], values["deviation"], values["seeds"], values["images"]
        assert data["questions"][values["question"]] == question(preset["inside"], data["sets"][values["set"]])
    return found


def _means(path):
    groups = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            key = (row["preset"], row["looks_at"], row["method"], row["out_of_distribution"], int(row["weights"] == "trained"))
            groups.setdefault(key, []).append(float(row["auroc"]))
    return {key: (round(mean(values), 4), round(stdev(values), 4), len(values), 100) for key, values in groups.items()}

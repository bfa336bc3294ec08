"""Exports: every runtime gives the detector's scores and p-values, or nothing is written."""

import dataclasses
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops
from typer.testing import CliRunner

import keras_ood
from keras_ood import NotCalibratedError
from keras_ood.attention import PerImageGate
from keras_ood.calibration.conformal import Calibration
from keras_ood.cli.main import app
from keras_ood.encoders import FeatureSpace, MapEncoder, MapSpace
from keras_ood.export.calibrated_pass import CalibratedPass
from keras_ood.export.export import exportable
from keras_ood.export.formats import FORMATS
from keras_ood.export.precision import Precision
from keras_ood.export.verify import verify, verify_order
from keras_ood.images import ImageWarning
from keras_ood.images.preprocessing import Preprocessing
from keras_ood.models import Ensemble, InFlow, TiltedVAE
from keras_ood.scores import get

BACKEND = keras.backend.backend()
HERE = "onnx" if BACKEND == "tensorflow" else "tf_saved_model"
"""The format of tests that say nothing of the format."""


def noise(shape, count=60, seed=0):
    """Images of noise of any brightness, no contrast below a fifth: that of a grey area is made of rounding."""
    generator = np.random.default_rng(seed)
    contrast, level = 0.2 + 0.8 * generator.random((count, 1, 1, 1)), generator.random((count, 1, 1, 1))
    return (255 * (contrast * generator.random((count, *shape)) + (1 - contrast) * level)).astype(np.uint8)


def calibrated(detector):
    """The detector, with weights that no longer are the identity, and a calibration."""
    generator = np.random.default_rng(1)
    for weight in detector.flow.weights if isinstance(detector, InFlow) else ():
        weight.assign(weight.numpy() + 0.05 * generator.standard_normal(weight.shape))
    detector.calibrate(noise(detector.image_shape), progress=False)
    return detector


def gate():
    """A gate that looks at images of another size than the flow's: it resizes inside."""
    encoder = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3, 2), keras.layers.Flatten()])
    return PerImageGate.from_images(encoder, noise((8, 4, 1), 90), noise((8, 4, 1), 40, seed=2), components=4)


def vae(tilt=6.0, shape=(8, 8, 1), **settings):
    return TiltedVAE(shape, latent_dim=3, tilt=tilt, **settings)


def over_an_encoder():
    """A tilted VAE over a network of one's own, which takes images of another size than the detector's."""
    inputs = keras.Input((12, 12, 3))
    first = keras.layers.Conv2D(4, 3, 2, activation="relu", data_format="channels_last")(inputs)
    second = keras.layers.Conv2D(6, 3, 2, activation="relu", data_format="channels_last")(first)
    space = FeatureSpace(keras.Model(inputs, [first, second]), memory=5)
    detector = vae(encoder=space, default_score="fusion")
    space.fit(detector.entrance.embed(noise((8, 8, 1), 90)))
    return calibrated(detector)


def over_maps():
    """A flow over the maps of such a network, with calibrated heat maps and an attention at positions."""
    inputs = keras.Input((16, 16, 3))
    first = keras.layers.Conv2D(4, 3, 2, activation="relu", data_format="channels_last")(inputs)
    second = keras.layers.Conv2D(6, 3, 2, activation="relu", data_format="channels_last")(first)
    space = MapSpace(MapEncoder(keras.Model(inputs, [first, second])), memory=4)
    detector = InFlow((12, 12, 3), "feature_maps", encoder=space)
    embeddings = detector.entrance.embed(noise((12, 12, 3), 60))
    features = space.fit(embeddings).gate_features(embeddings, embeddings, positions=True)
    detector = detector.remade(attention=PerImageGate.from_features(*features, components=4), gate_positions=True)
    detector = calibrated(detector)
    detector.calibrate_maps(noise((12, 12, 3), 60, seed=2), progress=False)
    return detector


DETECTORS = {
    "preset": lambda: keras_ood.from_pretrained("tilted-vae-digits"),
    "flow with a gate": lambda: calibrated(
        InFlow((8, 4, 1), depth=1, attention=gate(), default_score="density_of_states"),
    ),
    "paper's flow": lambda: calibrated(InFlow((8, 8, 3), "paper", depth=1)),
    "Gaussian, colour": lambda: calibrated(vae(0.0, (8, 16, 3), default_score="ensemble")),
    "ensemble": lambda: calibrated(Ensemble([vae(), vae()])),
    "cropped": lambda: calibrated(vae(aspect="crop")),
    "padded": lambda: calibrated(vae(aspect="pad")),
    "over an encoder": over_an_encoder,
    "over maps": over_maps,
}


@pytest.fixture(scope="module")
def detectors():
    """Detectors by name, each made once."""
    made = {}

    def make(name):
        if name not in made:
            keras.utils.set_random_seed(0)
            made[name] = DETECTORS[name]()
        return made[name]

    return make


def run_as_told(format, path, images, fpr):
    """Outputs of the line of code that users are given, run on its own."""
    names = {"images": images, "fpr": np.array(fpr, np.float32)}
    exec(FORMATS[format].usage.format(path=str(path)), names)
    outputs = names.get("outputs", names)
    return [np.asarray(outputs[name]) for name in ("score", "p_value", "flag")]


def check(detector, path, format, images, method=None):
    """At uneven batch sizes: `(batch,)` outputs, scores to 1e-4, the p-values of these scores, the flags of these p-values."""
    for count, fpr in ((1, 0.05), (3, 0.7), (17, 0.3)):
        batch = images[:count]
        score, p_value, flag = run_as_told(format, path, batch, fpr)
        expected = detector.score(batch, method)
        assert score.dtype == p_value.dtype == np.float32
        assert flag.dtype == bool
        assert score.shape == p_value.shape == flag.shape == (count,)
        np.testing.assert_array_equal(flag, p_value <= np.float32(fpr))
        np.testing.assert_allclose(score, expected, rtol=0, atol=1e-4 * max(1, np.abs(expected).max()))
        np.testing.assert_allclose(p_value, detector.calibration(method).p_values(score), rtol=1e-6)


CASES = [
    *((name, format) for name in ("preset", "flow with a gate") for format in FORMATS),
    ("paper's flow", "litert"),
    ("Gaussian, colour", "onnx"),
    ("ensemble", "tf_saved_model"),
    *((name, format) for name in ("over an encoder", "over maps") for format in FORMATS),
]


@pytest.mark.parametrize(("name", "format"), [case for case in CASES if BACKEND in FORMATS[case[1]].backends])
def test_runtimes_give_the_detectors_scores(name, format, detectors, digits, tmp_path):
    """Each runtime, running the line that users are told, on real images for the preset, which resizes them inside."""
    detector = detectors(name)
    images = digits[1] if name == "preset" else noise(detector.image_shape, 20, seed=3)
    path = detector.export(tmp_path / f"model{FORMATS[format].suffix}", image_shape=images.shape[1:])
    assert path == tmp_path / f"model{FORMATS[format].suffix}"
    assert {file.stem for file in tmp_path.iterdir()} == {"model"}
    check(detector, path, format, images)
    if detector.calibrated.has_maps:
        outputs = FORMATS[format].load(path)(images, 0.05)
        assert outputs["heat_map"].dtype == np.float32
        differing = np.abs(outputs["heat_map"] - detector.heat_map(images)) > 1e-6
        assert outputs["heat_map"].shape == (len(images), *detector.image_shape[:2])
        assert differing.mean() < 0.01  # one rank, where rounding moves a score across one
    else:
        assert set(FORMATS[format].load(path)(images, 0.05)) == {"score", "p_value", "flag"}


ANY_SIZE = [("cropped", "onnx"), ("padded", "litert"), ("cropped", "openvino"), ("padded", "tf_saved_model")]


@pytest.mark.once
@pytest.mark.parametrize(("name", "format"), ANY_SIZE)
def test_one_export_takes_images_of_any_size(name, format, detectors, tmp_path):
    """Of several sizes, grey and in colour, it gives what the detector gives of an array of them, by the detector's rule."""
    detector = detectors(name)
    path = detector.export(tmp_path / f"model{FORMATS[format].suffix}", image_shape=(None, None, 3))
    run = FORMATS[format].load(path)
    for height, width, channels in ((40, 31, 3), (8, 4, 3), (7, 60, 1), (3, 2, 3)):
        images = np.repeat(noise((8, 4, channels), 6, seed=5), -(-height // 8), 1)[:, :height]
        images = np.repeat(images, -(-width // 4), 2)[:, :, :width]
        expected = detector.score(images)
        found = run(np.broadcast_to(images, (6, height, width, 3)).copy(), 0.05)["score"]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * max(1, np.abs(expected).max()))


@pytest.mark.once
@pytest.mark.parametrize(("format", "precision"), [("onnx", "int8"), ("openvino", "float16")])
def test_reduced_precision_has_p_values_of_its_own(format, precision, pretrained, digits, tmp_path):
    """It ranks images nearly as the detector does, or is refused; the p-values are those of its own calibration scores."""
    import onnx

    path = tmp_path / f"model{FORMATS[format].suffix}"
    images = pretrained.preprocessing(digits[1]).numpy()
    images = np.rint(255 * images).astype(np.uint8)
    held_out, others = images[:120], images[120:200]
    pretrained.export(path, method="nll", precision=precision, calibration=held_out)
    run = FORMATS[format].load(path)
    own = Calibration(run(held_out, 0.05)["score"])
    found = run(others, 0.3)
    np.testing.assert_allclose(found["p_value"], own.p_values(found["score"]), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found["flag"], found["p_value"] <= np.float32(0.3))
    assert found["score"].dtype == np.float32
    assert np.any(found["score"] != pretrained.score(others, "nll"))
    if format == "onnx":
        kinds = {weights.data_type for weights in onnx.load(path).graph.initializer}
        assert kinds >= {onnx.TensorProto.FLOAT, onnx.TensorProto.INT8}


@pytest.mark.once
@pytest.mark.slow
def test_a_flow_of_the_zoo(tmp_path):
    """A published InFlow with its gate, another score than the default one, colour images that become grey inside."""
    detector = keras_ood.from_pretrained("inflow-mnist-pixels")
    path = detector.export(tmp_path / f"model{FORMATS[HERE].suffix}", method="nll", image_shape=(28, 28, 3))
    check(detector, path, HERE, noise((28, 28, 3), 17), "nll")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ("preset", "flow with a gate") else pytest.mark.once)
        for name in DETECTORS
        if name not in ("cropped", "padded")
    ],
)
def test_every_score_of_one_pass_has_a_graph(name, detectors):
    """Scores and p-values as tensors are those of the host, for every score that is a function of the pass."""
    detector = detectors(name)
    images = noise(detector.image_shape, 20, seed=4)
    assert detector.default_score in exportable(detector)
    for method in exportable(detector):
        inputs = {"images": ops.convert_to_tensor(images), "fpr": ops.convert_to_tensor(0.1)}
        found = CalibratedPass(detector, get(method), detector._calibrated)(inputs)
        score, expected = ops.convert_to_numpy(found["score"]), detector.score(images, method)
        np.testing.assert_allclose(score, expected, rtol=0, atol=1e-4 * max(1, np.abs(expected).max()), err_msg=method)
        p_values = detector.calibration(method).p_values(score)
        np.testing.assert_allclose(ops.convert_to_numpy(found["p_value"]), p_values, rtol=1e-6, err_msg=method)
        np.testing.assert_array_equal(ops.convert_to_numpy(found["flag"]), p_values <= 0.1, err_msg=method)


def test_another_order_is_refused():
    """Scores of reduced precision that rank in-distribution images otherwise are refused, with the agreement."""
    scores = np.arange(50.0)
    verify_order(2 * scores + 1, scores)
    with pytest.raises(RuntimeError, match=r"nothing was written. .* at least. Received: -1\.000$"):
        verify_order(-scores, scores)


@pytest.mark.once
def test_reduced_precision_is_exported_in_float32(pretrained, digits, tmp_path):
    """The networks' arithmetic in an export is float32, whatever the detector's."""
    half = pretrained.inference_copy("mixed_bfloat16")
    path = half.export(tmp_path / f"model{FORMATS[HERE].suffix}", method="nll", image_shape=digits[1].shape[1:])
    check(pretrained, path, HERE, digits[1], "nll")


@pytest.mark.once
def test_earlier_exports_are_replaced(fresh, tmp_path):
    """A second export to the same path leaves the second one whole, and nothing of the first."""
    detector, other = calibrated(fresh()), calibrated(fresh())
    path = detector.export(tmp_path / "model")
    (path / "left.txt").write_text("")
    other.export(path)
    assert list(tmp_path.iterdir()) == [path]
    assert not (path / "left.txt").exists()
    check(other, path, "tf_saved_model", noise((8, 8, 1), 17))


@pytest.mark.once
def test_onnx_says_what_it_is(pretrained, tmp_path):
    """Inputs and outputs have names, the batch is free, and the metadata name score and calibrations."""
    import onnx

    detector = pretrained.inference_copy()
    detector.calibrate_maps(noise((16, 16, 1), 60), progress=False)
    content = onnx.load(detector.export(tmp_path / "model.onnx"))
    names = [[value.name for value in part] for part in (content.graph.input, content.graph.output)]
    assert [sorted(names[0]), names[1]] == [["fpr", "images"], ["score", "p_value", "flag", "heat_map"]]
    inputs = {value.name: value.type.tensor_type.shape.dim for value in content.graph.input}
    assert len(inputs["fpr"]) == 0
    assert inputs["images"][0].dim_param == "batch"
    assert content.graph.output[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert [size.dim_value for size in content.graph.output[3].type.tensor_type.shape.dim[1:]] == [16, 16]
    metadata = {item.key: item.value for item in content.metadata_props}
    assert metadata["score"] == pretrained.default_score
    assert metadata["calibration_size"] == str(len(pretrained.calibration()))
    assert metadata["map_calibration_size"] == "30"


@pytest.fixture
def writers(monkeypatch):
    """A function that replaces parts of the format that tests use."""

    def replace(**parts):
        monkeypatch.setitem(FORMATS, HERE, dataclasses.replace(FORMATS[HERE], **parts))

    return replace


def half_written(model, image_shape, path, metadata, precision):
    """A writer whose disk is full."""
    path.write_bytes(b"half")
    raise OSError("No space left on device")


def nothing_written(model, image_shape, path, metadata, precision):
    """A writer of an empty file."""
    path.touch()


def another_score(path):
    """A runtime that disagrees."""

    def run(images, fpr):
        ones = np.ones(len(images), np.float32)
        return {"score": 0 * ones, "p_value": ones, "flag": ones <= fpr}

    return run


FAILURES = {
    "disk full": ({"write": half_written}, OSError, "No space left"),
    "other scores": (
        {"write": nothing_written, "load": another_score},
        RuntimeError,
        r"detector's score in .*nothing was written\. Expected: .* to .*\. Received: 0$",
    ),
    "no package": ({"packages": ("keras", "no_such_package")}, RuntimeError, r"no_such_package: .*'keras-ood\[export\]'$"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failures_leave_nothing_behind(name, writers, fresh, tmp_path):
    """Written whole or not at all: after a failure the folder is as it was, an earlier export too."""
    parts, error, message = FAILURES[name]
    earlier = tmp_path / f"earlier{FORMATS[HERE].suffix}"
    if HERE == "tf_saved_model":
        earlier.mkdir()
    (earlier / "saved_model.pb" if HERE == "tf_saved_model" else earlier).write_bytes(b"earlier")
    writers(**parts)
    for path in (tmp_path / f"new{FORMATS[HERE].suffix}", earlier):
        with pytest.raises(error, match=message):
            calibrated(fresh()).export(path)
    assert list(tmp_path.iterdir()) == [earlier]
    assert (earlier / "saved_model.pb" if HERE == "tf_saved_model" else earlier).read_bytes() == b"earlier"


def test_heat_maps_are_compared(fresh):
    """Of a detector's own graph they pass; with one pixel that is another they do not, and the message names them."""
    detector, images = calibrated(fresh()), noise((8, 8, 1), 5, seed=3)
    detector.calibrate_maps(noise((8, 8, 1), 60, seed=2), progress=False)
    graph = CalibratedPass(detector, get("nll"), detector.calibrated)
    found = graph({"images": images, "fpr": ops.convert_to_tensor(0.05)})
    outputs = {name: np.array(ops.convert_to_numpy(values)) for name, values in found.items()}
    expected = detector.score(images, "nll"), detector.fine_map(images)
    verify(outputs, *expected, graph)
    outputs["heat_map"][2, 3, 4] += 0.5
    with pytest.raises(RuntimeError, match=r"the detector's heat_map in .* Expected: .* to .*\. Received: "):
        verify(outputs, *expected, graph)


REFUSED = {
    "suffix": ("model.pb", {}, ValueError, r"\.onnx \(onnx\), .*none \(tf_saved_model\).*Received: '.*model\.pb'$"),
    "format": ("model", {"format": "torch"}, ValueError, r"one of \['onnx', 'litert', .*Received: 'torch'$"),
    "costly score": ("model", {"method": "iwae"}, ValueError, r"of this TiltedVAE: \['nll', .*\]. Received: 'iwae'$"),
    "transductive score": ("model", {"method": "will_it_move"}, ValueError, r"Received: 'will_it_move'$"),
    "score it lacks": ("model", {"method": "mahalanobis"}, ValueError, r"Received: 'mahalanobis'$"),
    "unknown score": ("model", {"method": "nlll"}, ValueError, r"Did you mean 'nll'\? Received: 'nlll'$"),
    "image shape": ("model", {"image_shape": (8, 8, 2)}, ValueError, r"Received: \(8, 8, 2\)$"),
    "half a size": ("model", {"image_shape": (None, 8, 3)}, ValueError, r"any size. Received: \(None, 8, 3\)$"),
    "precision": (
        "model",
        {"precision": "int8"},
        ValueError,
        r"'tf_saved_model' must be one of \['float32'\]. Received: 'int8'$",
    ),
    "images for float32": ("model", {"calibration": np.zeros((40, 8, 8, 1), np.uint8)}, ValueError, r"'float32' with images$"),
    "no folder": ("no/model", {}, FileNotFoundError, r"a folder that exists. Received: .*no/model$"),
    "folder in the way": ("folder", {}, FileExistsError, r"if it is a SavedModel, .*Received: .*folder$"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_say_what_is_accepted(name, pretrained, tmp_path):
    """What cannot be exported is refused before anything is written, with what can and what was received."""
    path, options, error, message = REFUSED[name]
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.txt").write_text("mine")
    with pytest.raises(error, match=message):
        pretrained.export(tmp_path / path, **options)
    assert [file.name for file in tmp_path.rglob("*")] == ["folder", "mine.txt"]


@pytest.mark.once
def test_files_have_their_names(pretrained, tmp_path):
    """A folder with a file's suffix is not replaced by a file; OpenVINO's files keep their suffixes."""
    (tmp_path / "model.onnx").mkdir()
    with pytest.raises(IsADirectoryError, match=r"Received: .*model\.onnx$"):
        pretrained.export(tmp_path / "model.onnx")
    with pytest.raises(ValueError, match=r"a \.xml file.*Received: '.*model\.ir'$"):
        pretrained.export(tmp_path / "model.ir", "openvino")


def test_exports_carry_a_calibration(fresh, tmp_path):
    """Without a calibration there is no p-value to export."""
    with pytest.raises(NotCalibratedError, match="calibrate"):
        fresh().export(tmp_path / "model")


def test_other_backends_name_the_way_out(writers, pretrained, tmp_path):
    """What a backend does not write is refused with what it writes, and with the backend that writes all."""
    writers(backends=("another",))
    with pytest.raises(
        ValueError, match=rf"On the {BACKEND} backend .* one of \[.*\]; with KERAS_BACKEND=tensorflow, .*Received: '{HERE}'$"
    ):
        pretrained.export(tmp_path / f"model{FORMATS[HERE].suffix}")


@pytest.mark.once
def test_command(tmp_path, monkeypatch):
    """`keras-ood export` writes the file and ends with how to run it; a missing folder is one line and exit code 1."""
    monkeypatch.chdir(tmp_path)
    path = f"model{FORMATS[HERE].suffix}"
    result = CliRunner().invoke(app, ["export", "tilted-vae-digits", path, "--method", "nll"])
    assert result.exit_code == 0, result.output
    inputs = "uint8 images (batch, 16, 16, 1) and a float32 fpr, such as 0.05,"
    assert result.stdout == f"Wrote {path}: {inputs} to score, p_value and flag\n"
    assert result.output.splitlines()[-1] == f"Next: {FORMATS[HERE].usage.format(path=path)}"
    check(keras_ood.from_pretrained("tilted-vae-digits"), path, HERE, noise((16, 16, 1), 17), "nll")
    result = CliRunner().invoke(app, ["export", "tilted-vae-digits", f"no/{path}"])
    assert result.exit_code == 1
    assert re.search(rf"^Error: .*Received: no/{re.escape(path)}$", result.output, re.MULTILINE)
    assert "Example: keras-ood export" in CliRunner().invoke(app, ["export", "--help"]).output


_TWO_RUNTIMES = """
import os, signal, sys
import openvino
from openvino import opset13 as operations
from keras_ood.export.formats import FORMATS
from keras_ood.export.precision import Precision
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell ignores it
images = operations.parameter([1, 2], name="images")
openvino.save_model(openvino.Model([operations.relu(images)], [images]), sys.argv[1])
first, second = (FORMATS["openvino"].load(sys.argv[1]) for _ in range(2))
del first, second
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.once
def test_ctrl_c_outlives_runtimes_of_openvino(tmp_path):
    """Runtimes that end in the order of their beginning leave a stack on which signals can be handled."""
    command = [sys.executable, "-c", _TWO_RUNTIMES, str(tmp_path / "model.xml")]
    assert subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-1] == "interrupted"


def test_frames_of_a_video_are_told():
    """As `calibrate` does: of arrays of uint8, of more than one size."""
    scenes = np.random.default_rng(0).integers(0, 246, (20, 1, 1, 1), np.uint8) + np.zeros((20, 10, 6, 6), np.uint8)
    scenes[:, :, ::2] //= 2
    frames = (scenes + np.arange(10, dtype=np.uint8)[:, None, None] // 5).reshape(-1, 6, 6, 1)
    frames[:, 0, 0, 0] = np.arange(len(frames)) % 256  # no exact duplicates
    larger = noise((16, 16, 1), 4)
    with pytest.warns(ImageWarning, match="nearly equal"):
        settled = Precision.of("float16", iter([frames, larger]), (None, None, 1), Preprocessing((8, 8, 1)))
    assert len(settled.first) == len(frames) + len(larger)

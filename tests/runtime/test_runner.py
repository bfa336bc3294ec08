"""The runner of exports without Keras; that it needs nothing else is checked by `tools/check_runtime.py`."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def runtime():
    """The package, from its folder."""
    folder = str(Path(__file__).parents[2] / "runtime")
    sys.path.insert(0, folder)
    try:
        import keras_ood_runtime

        yield keras_ood_runtime
    finally:
        sys.path.remove(folder)


@pytest.fixture(scope="module")
def exports(pretrained, tmp_path_factory):
    """Exports of the digits' preset: of images of any size, and of its own, with heat maps."""
    folder = tmp_path_factory.mktemp("exports")
    located = pretrained.inference_copy()
    located.calibrate_maps(np.random.default_rng(0).integers(0, 256, (60, 16, 16, 1), np.uint8), progress=False)
    any_size = pretrained.export(folder / "any.onnx", image_shape=(None, None, 3))
    return {"any": any_size, "own": located.export(folder / "own.onnx"), "detector": located}


@pytest.fixture
def photos(tmp_path):
    """A folder of images of several sizes and kinds."""
    generator = np.random.default_rng(1)
    for name, shape in {"a.png": (16, 16, 3), "b.png": (40, 25), "c.png": (24, 24, 4), "d.png": (20, 16, 3)}.items():
        image = Image.fromarray(generator.integers(0, 256, shape, np.uint8))
        (image.resize((500, 600)) if name == "d.png" else image).save(tmp_path / name)
    return tmp_path


def opened(path):
    """An image in memory, its file closed."""
    with Image.open(path) as image:
        return image.copy()


def sources(photos):
    """The same images, as files, and as what can be made of them."""
    paths = sorted(photos.iterdir())
    return {
        "folder": photos,
        "list of paths": paths,
        "PIL images": [opened(path) for path in paths],
    }


def test_scores_are_the_detectors(runtime, exports, photos):
    """Of files of any size, however they are given: score, p-value and flag as the detector has them."""
    runner, detector = runtime.Runner(exports["any"]), exports["detector"]
    expected = detector.score(str(photos))
    for name, source in sources(photos).items():
        tolerance = 1e-4 * max(1, np.abs(expected).max())
        np.testing.assert_allclose(runner.score(source), expected, rtol=0, atol=tolerance, err_msg=name)
    p_values = runner.p_values(photos)
    np.testing.assert_allclose(p_values, detector.p_values(str(photos)), rtol=0, atol=2 / len(detector.calibration()))
    np.testing.assert_array_equal(runner.detect(photos, fpr=0.3), p_values <= np.float32(0.3))
    with pytest.raises(ValueError, match=r"the least that the calibration bears.*Received: 1e-06"):
        runner.detect(photos, fpr=1e-6)


def test_heat_maps(runtime, exports):
    """As the detector's, of arrays; an export without says so."""
    images = np.random.default_rng(2).integers(0, 256, (3, 16, 16, 1), np.uint8)
    found = runtime.Runner(exports["own"]).heat_map(images, batch_size=2)
    assert np.mean(np.abs(found - exports["detector"].heat_map(images)) > 1e-6) < 0.01
    with pytest.raises(ValueError, match=r"calibrate_maps.*Received: \['heat_map'\], of an export in float32$"):
        runtime.Runner(exports["any"]).heat_map(images)


def test_more_than_8_bits_are_rounded(runtime, exports, tmp_path):
    """With a warning: an export takes uint8."""
    values = np.random.default_rng(3).integers(0, 256, (16, 16), np.uint16)
    Image.fromarray(257 * values).save(tmp_path / "deep.png")
    runner = runtime.Runner(exports["any"])
    with pytest.warns(runtime.ImageWarning, match="rounded to 8"):
        found = runner.score(tmp_path / "deep.png")
    np.testing.assert_array_equal(found, runner.score(values.astype(np.uint8)[None, :, :, None]))


REFUSED = {
    "another size": (
        "own",
        np.zeros((1, 20, 20, 1), np.uint8),
        r"takes images of \(16, 16, 1\).*Received: an image of \(20, 20, 1\)$",
    ),
    "colour for grey": ("own", np.zeros((1, 16, 16, 3), np.uint8), r"Received: an image of \(16, 16, 3\)$"),
    "integers": ("any", np.zeros((1, 16, 16, 3), int), r"Expected images .*dtype int64, ndarray$"),
    "one image": ("any", np.zeros((16, 16, 3), np.uint8), r"Received: an image of shape \(16, 3\)"),
    "none": ("any", [], r"Received: no image$"),
    "no row": ("any", np.zeros((1, 0, 5, 3), np.uint8), r"Received: an image of shape \(0, 5, 3\)"),
    "floats of 0..255": ("any", np.full((1, 16, 16, 3), 2, np.float32), r"Received: floats from 2.0 to 2.0$"),
    "NaN": ("any", np.full((1, 16, 16, 3), np.nan, np.float32), r"Received: floats from nan to nan$"),
    "a number": ("any", 3, r"Received: int$"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_say_what_is_accepted(name, runtime, exports):
    """What is no accepted image is refused with what is."""
    which, images, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        runtime.Runner(exports[which]).score(images)


def test_files_that_are_no_exports(runtime, photos):
    """One that is not there, and one of something else."""
    with pytest.raises(FileNotFoundError, match=r"Received: .*no\.onnx, no file$"):
        runtime.Runner(photos / "no.onnx")
    with pytest.raises(ValueError, match=r"Expected an ONNX file that keras-ood exported\. Received: .*a\.png"):
        runtime.Runner(photos / "a.png")


def test_files_of_another_program(runtime, exports, tmp_path):
    """An ONNX file without what exports have, and one that cannot run: refused in the runner's words."""
    import onnx

    model = onnx.load(exports["any"])
    del model.graph.output[1:]
    onnx.save(model, tmp_path / "one.onnx")
    with pytest.raises(ValueError, match=r"Expected an ONNX file that keras-ood exported\. Received: .* to \['score'\]"):
        runtime.Runner(tmp_path / "one.onnx")
    info = onnx.helper.make_tensor_value_info
    images = info("images", onnx.TensorProto.UINT8, ["n", None, None, 3])
    outputs = [info(name, onnx.TensorProto.FLOAT, None) for name in ("score", "p_value", "flag")]
    target = onnx.helper.make_tensor("target", onnx.TensorProto.INT64, [1], [7])
    nodes = [onnx.helper.make_node("Reshape", ["images", "target"], ["seven"])]
    nodes += [onnx.helper.make_node("Cast", ["seven"], [output.name], to=onnx.TensorProto.FLOAT) for output in outputs]
    graph = onnx.helper.make_graph(nodes, "odd", [images, info("fpr", onnx.TensorProto.FLOAT, [])], outputs, [target])
    odd = onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 17)])
    onnx.helper.set_model_props(odd, {"score": "nll", "precision": "float32", "calibration_size": "100"})
    onnx.save(odd, tmp_path / "odd.onnx")
    with pytest.raises(ValueError, match=r"could not run the export\. Received: "):
        runtime.Runner(tmp_path / "odd.onnx").score([np.zeros((8, 8, 3), np.uint8)])


def test_command(runtime, exports, photos, capsys, monkeypatch):
    """A CSV table with a line for each image; an error is one line and exit code 1."""
    from keras_ood_runtime.__main__ import main

    monkeypatch.setattr(sys, "argv", ["keras_ood_runtime", str(exports["any"]), str(photos), "--fpr", "0.1"])
    main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "path,score,p_value,ood"
    assert [Path(line.split(",")[0]).name for line in lines[1:]] == ["a.png", "b.png", "c.png", "d.png"]
    monkeypatch.setattr(sys, "argv", ["keras_ood_runtime", str(exports["any"]), str(photos), "--fpr", "1e-6"])
    with pytest.raises(SystemExit, match="1"):
        main()
    assert "the least that the calibration bears" in capsys.readouterr().err
    pages = [Image.fromarray(np.full((9, 9), value, np.float32)) for value in (100, 200)]
    pages[0].save(photos / "e.tif", save_all=True, append_images=pages[1:])
    options = ["--value-range", "0", "300", "--frames", "all"]
    monkeypatch.setattr(sys, "argv", ["keras_ood_runtime", str(exports["any"]), str(photos / "e.tif"), *options])
    with pytest.warns(runtime.ImageWarning, match="rounded to 8"):
        main()
    assert [Path(line.split(",")[0]).name for line in capsys.readouterr().out.splitlines()[1:]] == ["e.tif[0]", "e.tif[1]"]
    monkeypatch.setattr(sys, "argv", ["keras_ood_runtime", str(exports["any"]), str(photos / "no")])
    with pytest.raises(SystemExit, match="1"):
        main()
    assert capsys.readouterr().err.startswith("Error: Expected a folder")

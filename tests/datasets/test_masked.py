"""Images with masks in the folders of MVTec AD and VisA."""

import numpy as np
import pytest
from PIL import Image

from keras_ood.datasets import masked_images
from keras_ood.images.preprocessing import Preprocessing

pytestmark = pytest.mark.once

SIZE = (24, 16)  # width and height, as Pillow has them


def picture(path, mask=None):
    """Write an image file, or a mask file of an array."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (Image.new("RGB", SIZE, 100) if mask is None else Image.fromarray(mask)).save(path)


def block(value=255, size=SIZE):
    """A mask whose upper left quarter is a defect."""
    mask = np.zeros(size[::-1], np.uint8)
    mask[: size[1] // 2, : size[0] // 2] = value
    return mask


@pytest.fixture
def mvtec(tmp_path):
    """A category of MVTec AD: two clean training images, two clean test images, two kinds of defects."""
    folder = tmp_path / "bottle"
    for name in ("train/good/000.png", "train/good/001.png", "test/good/000.png", "test/good/001.png"):
        picture(folder / name)
    for kind, count in (("crack", 2), ("a_hole", 1)):
        for number in range(count):
            picture(folder / f"test/{kind}/{number:03}.png")
            picture(folder / f"ground_truth/{kind}/{number:03}_mask.png", block())
    return folder


@pytest.fixture
def visa(tmp_path):
    """A category of VisA as downloaded, three clean images and two with defects; one clean image is there to train on."""
    folder = tmp_path / "candle"
    lines = ["image,label,mask"]
    for number in range(3):
        picture(folder / f"Data/Images/Normal/{number:04}.JPG")
        lines.append(f"candle/Data/Images/Normal/{number:04}.JPG,normal,")
    for number, kind in enumerate(("bent", '"bent,melt"')):
        picture(folder / f"Data/Images/Anomaly/{number:03}.JPG")
        picture(folder / f"Data/Masks/Anomaly/{number:03}.png", block(number + 1))
        lines.append(f"candle/Data/Images/Anomaly/{number:03}.JPG,{kind},candle/Data/Masks/Anomaly/{number:03}.png")
    (folder / "image_anno.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "split_csv").mkdir()
    (tmp_path / "split_csv" / "1cls.csv").write_text(
        "object,split,label,image,mask\n"
        "candle,train,normal,candle/Data/Images/Normal/0001.JPG,\n"
        "pcb1,train,normal,pcb1/Data/Images/Normal/0000.JPG,\n"
    )
    return folder


def names(folder, paths):
    return [path.relative_to(folder).as_posix() for path in paths]


def test_mvtec(mvtec):
    """Kinds in sorted order, the masks by the image's name, none for what is good."""
    (mvtec / "test" / ".hidden").mkdir()
    made = masked_images(str(mvtec))
    assert names(mvtec, made.train) == ["train/good/000.png", "train/good/001.png"]
    test = ["test/a_hole/000.png", "test/crack/000.png", "test/crack/001.png", "test/good/000.png", "test/good/001.png"]
    assert names(mvtec, made.test) == test
    assert made.kinds == ["a_hole", "crack", "crack", "good", "good"]
    assert names(mvtec, made.mask_files[:3]) == [
        "ground_truth/a_hole/000_mask.png",
        "ground_truth/crack/000_mask.png",
        "ground_truth/crack/001_mask.png",
    ]
    assert made.mask_files[3:] == [None, None]


def test_visa_as_its_script_prepares_it(mvtec):
    """MVTec's folders, the masks called as their images, which are JPEG files."""
    picture(mvtec / "test/bad/007.JPG")
    picture(mvtec / "ground_truth/bad/007.png", block())
    made = masked_images(mvtec)
    assert names(mvtec, [made.mask_files[made.kinds.index("bad")]]) == ["ground_truth/bad/007.png"]


def test_visa_as_downloaded(visa):
    """The list says what is in each image, the split file one folder up which ones to train on."""
    made = masked_images(visa)
    assert names(visa, made.train) == ["Data/Images/Normal/0001.JPG"]
    test = ["Normal/0000.JPG", "Normal/0002.JPG", "Anomaly/000.JPG", "Anomaly/001.JPG"]
    assert names(visa / "Data/Images", made.test) == test
    assert made.kinds == ["good", "good", "bent", "bent,melt"]
    assert made.mask_files[:2] == [None, None]
    assert names(visa, made.mask_files[2:]) == ["Data/Masks/Anomaly/000.png", "Data/Masks/Anomaly/001.png"]
    np.testing.assert_array_equal(made.masks(SIZE[::-1])[2:], [block() > 0] * 2)  # values of 1 and 2 count


def test_visa_without_a_split_has_test_images_alone(visa):
    """Nothing is drawn by chance: all five are test images."""
    (visa.parent / "split_csv" / "1cls.csv").unlink()
    made = masked_images(visa)
    assert made.train == []
    assert len(made.test) == len(made.kinds) == len(made.mask_files) == 5


@pytest.mark.parametrize("shape", [(16, 24), (8, 8), (4, 30)], ids=str)
def test_masks_take_the_shape_asked_for(mvtec, shape):
    """A quarter stays a quarter; a clean image's mask is empty."""
    masks = masked_images(mvtec).masks(shape)
    expected = np.zeros((5, *shape), bool)
    expected[:3, : shape[0] // 2, : shape[1] // 2] = True
    np.testing.assert_array_equal(masks, expected)
    assert masks.dtype == bool


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16"])
def test_masks_of_all_modes(mvtec, mode):
    """A pixel counts above 0, whatever the file's mode; an alpha channel and the colours of a palette do not count."""
    mask = block()
    if mode == "P":
        image = Image.fromarray(mask // 255).convert("P")
        image.putpalette([0, 0, 0, 0, 0, 0])
    elif mode == "I;16":
        image = Image.fromarray(mask.astype(np.uint16) * 100)
    else:
        image = Image.fromarray(mask).convert(mode)
    image.save(mvtec / "ground_truth/a_hole/000_mask.png")
    with Image.open(mvtec / "ground_truth/a_hole/000_mask.png") as opened:
        assert opened.mode == mode
    np.testing.assert_array_equal(masked_images(mvtec).masks(SIZE[::-1])[0], mask > 0)


def test_masks_are_placed_as_images_are(mvtec):
    """By each rule a mask lies where an image of the same pixels does; what "crop" leaves nothing of is refused."""
    rows = masked_images(mvtec)
    number = rows.kinds.index("crack")
    for aspect in ("stretch", "crop", "pad"):
        seen = Preprocessing((16, 16, 1), aspect)(block()[None, ..., None])[0, ..., 0]
        np.testing.assert_array_equal(rows.masks((16, 16), aspect)[number], np.asarray(seen) > 0.7, err_msg=aspect)
    far = np.zeros(SIZE[::-1], np.uint8)
    far[:, :3] = 255
    picture(rows.mask_files[number], far)
    with pytest.raises(ValueError, match=r"in what 'crop' leaves of its image. Received: .*crack"):
        rows.masks((16, 16), "crop")
    with pytest.raises(ValueError, match="`aspect` must be one of"):
        rows.masks((16, 16), "crup")


def test_a_defect_smaller_than_a_pixel_keeps_one(mvtec):
    """An image with a defect does not become a clean one, however small its mask is asked for."""
    mask = np.zeros(SIZE[::-1], np.uint8)
    mask[9, 17] = 1
    picture(mvtec / "ground_truth/a_hole/000_mask.png", mask)
    small = masked_images(mvtec).masks((2, 3))[0]
    np.testing.assert_array_equal(np.argwhere(small), [[1, 2]])


def remove_all(folder):
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


BROKEN = {
    "no folder": ("mvtec", lambda folder: folder.rename(folder.parent / "elsewhere"), FileNotFoundError, r"bottle$"),
    "empty folder": ("mvtec", remove_all, ValueError, r"bottle with \[\]$"),
    "no test": ("mvtec", lambda folder: remove_all(folder / "test") or (folder / "test").rmdir(), ValueError, "'train'"),
    "no images": ("mvtec", lambda folder: remove_all(folder / "train/good"), ValueError, r"train.good$"),
    "no mask": (
        "mvtec",
        lambda folder: (folder / "ground_truth/crack/001_mask.png").unlink(),
        FileNotFoundError,
        r"001\.png without one$",
    ),
    "no listed mask": (
        "visa",
        lambda folder: (folder / "Data/Masks/Anomaly/001.png").unlink(),
        FileNotFoundError,
        r"001\.JPG without one$",
    ),
    "no columns": ("visa", lambda folder: (folder / "image_anno.csv").write_text("image,mask\n"), ValueError, "'mask'"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_errors_of_folders(case, request):
    """What a folder lacks, named."""
    fixture, break_it, error, received = BROKEN[case]
    folder = request.getfixturevalue(fixture)
    break_it(folder)
    with pytest.raises(error, match=rf"Received: .*{received}"):
        masked_images(folder)


WRONG_MASKS = {
    "another size": (block(size=(20, 16)), "20x16 with 80 such pixels"),
    "turned": (block().T.copy(), "16x24 with 96 such pixels"),
    "empty": (block(0), "24x16 with 0 such pixels"),
}


@pytest.mark.parametrize("case", WRONG_MASKS)
def test_errors_of_masks(mvtec, case):
    """A mask of another size than its image, and one without a defect, are named when they are read."""
    mask, received = WRONG_MASKS[case]
    picture(mvtec / "ground_truth/crack/000_mask.png", mask)
    with pytest.raises(ValueError, match=rf"24x16.*Received: .*000_mask\.png, {received}$"):
        masked_images(mvtec).masks((8, 8))


@pytest.mark.parametrize("shape", [(0, 8), (8,), (8, 8, 3), (8.0, 8)], ids=str)
def test_errors_of_shapes(mvtec, shape):
    """A shape is a height and a width in pixels."""
    with pytest.raises(ValueError, match=r"Received: \("):
        masked_images(mvtec).masks(shape)

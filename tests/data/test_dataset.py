"""Tensors and images both ways, Datasets under the stock DataLoader, and the gather of whole batches."""

import io
import os
import pickle
import shutil
import tarfile
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from torch.utils.data import DataLoader, Subset

from bayesight.data.dataset import ImageDataset, NotMNIST, gather, to_image, to_tensor
from bayesight.data.decode import decode
from bayesight.data.store import open_store
from bayesight.errors import InvalidInput, SourceNotFound, SourceUnreadable, UnknownName
from bayesight.frame import Frame


def write_folder(folder, *, mode="L", side=6, per_class=5):
    random = np.random.default_rng(0)
    for class_ in ("cat", "dog"):
        (folder / class_).mkdir(parents=True)
        for number in range(per_class):
            shape = (side, side) if mode == "L" else (side, side, 3)
            pixels = random.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / class_ / f"{number}.png")
    return folder


@pytest.fixture
def grey(tmp_path):
    return write_folder(tmp_path / "grey")


@pytest.fixture
def colour(tmp_path):
    return write_folder(tmp_path / "colour", mode="RGB")


def inverted(image):
    return 1 - to_tensor(image)


def one_hot(label):
    return torch.nn.functional.one_hot(torch.tensor(label), 2)


shapes = st.one_of(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)),
)


@settings(deadline=None, max_examples=60)
@given(pixels=shapes.flatmap(lambda shape: arrays(np.uint8, shape)))
def test_image_to_tensor_and_back_is_exact(pixels):
    image = Image.fromarray(pixels)
    tensor = to_tensor(image)
    assert tensor.dtype == torch.float32
    assert tensor.shape == (1 if pixels.ndim == 2 else 3, *pixels.shape[:2])
    assert tensor.is_contiguous()
    back = to_image(tensor)
    assert back.mode == image.mode
    assert back.tobytes() == image.tobytes()
    assert torch.equal(to_tensor(pixels), tensor)
    assert np.array_equal(to_image((tensor * 255).round().to(torch.uint8)), pixels)


def test_every_grey_level_is_its_share_of_white():
    levels = np.arange(256, dtype=np.uint8)[None]
    assert np.allclose(to_tensor(levels)[0, 0].double().numpy(), np.arange(256) / 255, atol=1e-7)
    deep = np.arange(0, 65536, 17, dtype=np.uint16)[None]
    assert np.allclose(to_tensor(deep)[0, 0].double().numpy(), deep[0] / 65535, atol=1e-7)
    assert torch.equal(to_tensor(Image.fromarray(deep)), to_tensor(deep))
    assert torch.equal(to_tensor(Image.fromarray(deep.astype(np.int32))), to_tensor(deep))


def encoded_images():
    random = np.random.default_rng(1)
    rgb = Image.fromarray(random.integers(0, 256, (5, 7, 3), dtype=np.uint8))
    alpha = Image.fromarray(random.integers(0, 256, (5, 7), dtype=np.uint8))
    grey = rgb.convert("L")
    paletted = grey.copy()
    paletted.putpalette([level for i in range(256) for level in (255 - i,) * 3], "RGB")
    rgba, la, keyed = rgb.copy(), grey.copy(), rgb.quantize(16)
    rgba.putalpha(alpha)
    la.putalpha(alpha)
    yield from (rgb, grey, rgba, la, grey.convert("1"), rgb.quantize(16), paletted)
    stream = io.BytesIO()
    keyed.save(stream, "PNG", transparency=3)
    yield Image.open(stream)


@pytest.mark.parametrize("image", list(encoded_images()), ids=lambda i: i.mode + (" keyed" if i.info else ""))
def test_every_mode_follows_the_rules_of_the_store(image):
    stream = io.BytesIO()
    image.save(stream, "PNG", **({"transparency": 3} if "transparency" in image.info else {}))
    tensor = to_tensor(image)
    frame = Frame(5, 7, "L" if tensor.shape[0] == 1 else "RGB")
    (decoded,) = decode([stream.getvalue()], frame).images
    assert np.array_equal(np.asarray(to_image(tensor)), decoded)


@pytest.mark.parametrize(("mode", "multiplied"), [("LA", "La"), ("RGBA", "RGBa")])
def test_colours_multiplied_by_opacity_are_laid_over_white(mode, multiplied):
    image = next(image for image in encoded_images() if image.mode == mode)
    plain, found = to_tensor(image), to_tensor(image.convert(multiplied))
    assert found.shape == plain.shape
    assert (found - plain).abs().max() < 2 / 255  # what a byte rounds


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (np.zeros((3, 3)), "float64"),
        (np.zeros((3, 3, 4), np.uint8), r"\(3, 3, 4\)"),
        (np.zeros(3, np.uint8), r"\(3,\)"),
        (Image.new("F", (3, 3)), "'F'"),
        (Image.fromarray(np.full((2, 2), 70000, np.int32)), "70000"),
    ],
)
def test_to_tensor_refuses_what_has_no_stated_range(bad, said):
    with pytest.raises(InvalidInput, match=said):
        to_tensor(bad)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (torch.zeros(2, 1, 3, 3), "one image of it"),
        (torch.zeros(2, 3, 3), r"\(2, 3, 3\)"),
        (torch.full((3, 3), 1.5), "1.5"),
        (torch.full((3, 3), -0.1), "normalisation"),
        (torch.full((3, 3), float("nan")), "nan"),
        (torch.zeros(3, 3, dtype=torch.int64), "int64"),
    ],
)
def test_to_image_refuses_what_is_no_image(bad, said):
    with pytest.raises(InvalidInput, match=said):
        to_image(bad)


def test_to_image_takes_tensors_that_are_being_learned():
    assert to_image(torch.full((2, 2), 0.5, requires_grad=True)).getpixel((0, 0)) == 128
    assert to_image(torch.full((2, 2), 0.5, dtype=torch.bfloat16)).getpixel((0, 0)) == 128


@pytest.mark.parametrize("source", ["grey", "colour"])
def test_a_dataset_gives_the_pixels_of_the_files(source, request):
    folder = request.getfixturevalue(source)
    dataset = ImageDataset(folder)
    assert len(dataset) == 10
    assert dataset.classes == ("cat", "dog")
    assert dataset.class_to_idx == {"cat": 0, "dog": 1}
    assert dataset.targets.tolist() == [0] * 5 + [1] * 5
    found = {to_image(image).tobytes(): dataset.classes[label] for image, label in dataset}
    assert type(dataset[0][1]) is int
    wanted = {Image.open(path).tobytes(): path.parent.name for path in folder.rglob("*.png")}
    assert found == wanted


def test_transforms_receive_the_image_and_the_label(grey):
    dataset = ImageDataset(
        grey, transform=lambda image: image.size, target_transform=lambda label: label + 10
    )
    assert dataset[9] == ((6, 6), 11)
    modes = ImageDataset(grey, transform=lambda image: image.mode, mode="RGB", size=(4, 3))
    assert modes[0][0] == "RGB"
    assert ImageDataset(grey, mode="RGB", size=(4, 3))[0][0].shape == (3, 4, 3)


def test_a_transform_may_write_into_its_image(grey):
    dataset = ImageDataset(grey, transform=lambda image: image.putpixel((0, 0), 0) or to_tensor(image))
    before = dataset.images.copy()
    assert all(image[0, 0, 0] == 0 for image, _ in dataset)
    assert np.array_equal(dataset.images, before)
    assert before[:, 0, 0].any()


def test_indices_are_single_numbers_in_range(grey):
    dataset = ImageDataset(grey)
    assert torch.equal(dataset[-1][0], dataset[9][0])
    assert dataset[np.int64(2)][1] == dataset[torch.tensor(2)][1] == 0
    for bad in (slice(0, 2), [1], "1", 1.0):
        with pytest.raises(InvalidInput, match="one whole number"):
            dataset[bad]
    for far in (10, -11):
        with pytest.raises(IndexError, match="expected an index in"):
            dataset[far]
    with pytest.raises(InvalidInput, match="size"):
        ImageDataset(open_store(grey), size=3)
    with pytest.raises(InvalidInput, match="an open Store and labelled"):
        ImageDataset(open_store(grey), labelled=False)
    assert len(ImageDataset(open_store(grey, labelled=False), labelled=False)) == 10
    assert len(ImageDataset(open_store(grey))) == 10
    assert ImageDataset(grey, labelled=False).targets.tolist() == [-1] * 10


@pytest.mark.parametrize(("workers", "context"), [(0, None), (2, "fork"), (2, "spawn")])
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_the_stock_loader_takes_it_with_any_kind_of_worker(colour, workers, context):
    dataset = ImageDataset(
        colour, transform=to_tensor, target_transform=float
    )  # what a spawned worker can find
    loader = DataLoader(
        dataset,
        batch_size=4,
        shuffle=True,
        num_workers=workers,
        multiprocessing_context=context,
        generator=torch.Generator().manual_seed(0),
    )
    images, labels = map(torch.cat, zip(*loader, strict=True))
    assert images.shape == (10, 3, 6, 6)
    assert labels.dtype == torch.float64
    found = {image.numpy().tobytes(): label for image, label in zip(images, labels.tolist(), strict=True)}
    assert found == {image.numpy().tobytes(): label for image, label in dataset}
    assert len(found) == 10
    assert not torch.equal(labels, labels.sort().values)
    assert len(Subset(dataset, [3, 1])) == 2


def test_only_the_name_of_the_memory_map_is_pickled(tmp_path):
    dataset = ImageDataset(write_folder(tmp_path / "many", side=40, per_class=40))
    packed = pickle.dumps(dataset)
    assert len(packed) < 5000 < dataset.images.nbytes
    again = pickle.loads(packed)
    assert isinstance(again.images, np.memmap)
    assert np.array_equal(again.images, dataset.images)
    assert torch.equal(again[3][0], dataset[3][0])


@settings(deadline=None, max_examples=40)
@given(
    images=st.one_of(
        arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(1, 5))),
        arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(1, 5), st.just(3))),
    ),
    data=st.data(),
)
def test_gather_is_one_image_after_the_other(images, data):
    index = st.integers(-len(images), len(images) - 1)
    indices = np.array(data.draw(st.lists(index, max_size=12)), dtype=np.int64)
    batch = gather(images, indices)
    assert batch.dtype == torch.uint8
    assert batch.shape == (len(indices), 3 if images.ndim == 4 else 1, *images.shape[1:3])
    for place, image in zip(indices, batch, strict=True):
        assert torch.equal(image.float() / 255, to_tensor(images[place]))


def test_gather_from_a_memory_map_warns_of_nothing_and_cannot_write_to_it(colour):
    store = open_store(colour)
    assert not store.images.flags.writeable
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batch = gather(store.images, np.array([1, 3]))
    assert batch.is_contiguous(memory_format=torch.channels_last)
    before = store.images[1].copy()
    batch.zero_()
    assert np.array_equal(store.images[1], before)
    with pytest.raises(IndexError):
        gather(store.images, np.array([10]))


def notmnist_archive(root, subset="small"):
    folder = write_folder(root / f"notMNIST_{subset}")
    (folder / "cat").rename(folder / "A")
    (folder / "dog").rename(folder / "B")
    (folder / "A" / "RGVtb2NyYXRpY2FCb2xkT2xkc3R5bGUgQm9sZC50dGY=.png").write_bytes(b"")
    with tarfile.open(root / f"notMNIST_{subset}.tar.gz", "w:gz") as archive:
        archive.add(folder, folder.name)
    return folder


def test_notmnist_takes_the_archive_or_the_folder_it_unpacks_to(tmp_path):
    folder = notmnist_archive(tmp_path)
    from_archive = NotMNIST(tmp_path, verify=False)
    (tmp_path / "notMNIST_small.tar.gz").unlink()
    from_folder = NotMNIST(str(tmp_path), transform=inverted, target_transform=one_hot)
    assert len(from_archive) == len(from_folder) == 10
    assert from_archive.classes == ("A", "B")
    assert torch.allclose(from_folder[3][0], 1 - from_archive[3][0])
    assert from_folder[9][1].tolist() == [0, 1]
    shutil.rmtree(folder)


def test_notmnist_refuses_another_archive_and_names_both_sums(tmp_path):
    notmnist_archive(tmp_path)
    with pytest.raises(
        SourceUnreadable, match=r"MD5 is \w{32}; expected c9890a473a9769fda4bdf314aaf500dd.*verify=False"
    ):
        NotMNIST(tmp_path)


def test_notmnist_says_where_it_looked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceNotFound) as caught:
        NotMNIST("drive/MyDrive", "large")
    for part in (
        str(tmp_path / "drive" / "MyDrive" / "notMNIST_large.tar.gz"),
        f"working directory being {tmp_path}",
        "download=True",
    ):
        assert part in str(caught.value)
    with pytest.raises(UnknownName, match="did you mean 'small'"):
        NotMNIST(".", "smal")


def test_notmnist_downloads_when_asked(tmp_path, monkeypatch):
    notmnist_archive(tmp_path)
    elsewhere = tmp_path / "elsewhere"

    def fetch(name, root):
        assert (name, root) == ("notmnist-small", elsewhere)
        elsewhere.mkdir()
        return shutil.copy(tmp_path / "notMNIST_small.tar.gz", elsewhere)

    monkeypatch.setattr("bayesight.data.download.fetch", fetch)
    assert len(NotMNIST(elsewhere, download=True)) == 10


def test_the_real_letters_come_through(real_data):
    dataset = ImageDataset(real_data / "notmnist" / "notMNIST_real8k.tar.gz")
    assert len(dataset) == 8000
    assert "".join(dataset.classes) == "ABCDEFGHIJ"
    assert np.bincount(dataset.targets).tolist() == [800] * 10
    image, label = dataset[7999]
    assert image.shape == (1, 28, 28)
    assert label == 9
    assert os.environ["BAYESIGHT_CACHE"] in str(dataset.images.filename)

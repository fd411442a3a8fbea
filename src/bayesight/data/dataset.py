"""Images for torch: single tensors both ways, standard Datasets, and the fast gather of whole batches."""

from __future__ import annotations

import os
from collections.abc import Callable
from operator import index as as_index
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from bayesight.checks import check
from bayesight.errors import InvalidInput, SourceNotFound, SourceUnreadable, UnknownName
from bayesight.types import ImageArray, IntArray, Progress

if TYPE_CHECKING:
    from bayesight.data.store import Store

Transform: TypeAlias = Callable[[Any], Any]

_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")


def to_tensor(image: Image.Image | NDArray[Any]) -> Tensor:
    """An image as a float32 tensor (C, H, W) in [0, 1].

    Grey gives one channel, colour three, by the rules of the store: palettes are resolved (a grey one gives
    one channel), transparency is laid over white, black-and-white is grey. 8-bit values are divided by 255,
    so that ``to_image`` gives back the very bytes, 16-bit grey by 65535.

    Args:
        image: a PIL image, or a uint8 or uint16 array (H, W), (H, W, 1) or (H, W, 3).

    Raises:
        InvalidInput: another dtype or shape, or a PIL mode without a stated range ("F").

    Example:
        >>> to_tensor(np.array([[0, 51, 255]], dtype=np.uint8))
        tensor([[[0.0000, 0.2000, 1.0000]]])
    """
    pixels = _pixels_of(image) if isinstance(image, Image.Image) else np.asarray(image)
    check(
        pixels.dtype in (np.uint8, np.uint16),
        "to_tensor",
        f"values of type {pixels.dtype}",
        "uint8 in [0, 255] or uint16 in [0, 65535]",
        "torch.from_numpy takes arrays that are scaled already.",
    )
    shaped = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3))
    check(
        shaped, "to_tensor", f"shape {pixels.shape}", "(H, W), (H, W, 1) or (H, W, 3)", "Channels come last."
    )
    channels_first = np.atleast_3d(pixels).transpose(2, 0, 1)
    highest = np.float32(np.iinfo(pixels.dtype).max)
    return torch.from_numpy(np.divide(channels_first, highest, dtype=np.float32, order="C"))


def to_image(tensor: Tensor) -> Image.Image:
    """A tensor as an 8-bit PIL image, grey or RGB: the inverse of ``to_tensor``.

    Args:
        tensor: (H, W), (1, H, W) or (3, H, W); floating in [0, 1], or uint8.

    Raises:
        InvalidInput: another shape or dtype, or values outside [0, 1], NaN among them.

    Example:
        >>> image = Image.new("RGB", (2, 1), (1, 128, 255))
        >>> to_image(to_tensor(image)).tobytes() == image.tobytes()
        True
    """
    shaped = tensor.ndim == 2 or (tensor.ndim == 3 and tensor.shape[0] in (1, 3))
    mend = "For a batch, take one image of it." if tensor.ndim == 4 else "Channels come first."
    check(shaped, "to_image", f"shape {tuple(tensor.shape)}", "(H, W), (1, H, W) or (3, H, W)", mend)
    values = tensor.detach().cpu()
    if values.is_floating_point():
        values = values.float()
        inside = values.numel() == 0 or bool(((values >= 0) & (values <= 1)).all())
        came = f"values from {values.min():g} to {values.max():g}" if not inside else ""
        check(inside, "to_image", came, "values in [0, 1]", "Undo the normalisation, or divide by 255.")
        values = (values * 255).round().to(torch.uint8)
    check(values.dtype == torch.uint8, "to_image", f"{tensor.dtype}", "a floating tensor in [0, 1], or uint8")
    pixels = values.numpy()
    if pixels.ndim == 3:
        pixels = pixels[0] if pixels.shape[0] == 1 else pixels.transpose(1, 2, 0)
    return Image.fromarray(np.ascontiguousarray(pixels))


def gather(images: ImageArray, indices: IntArray) -> Tensor:
    """The images at ``indices`` as one uint8 tensor (B, C, H, W), or texts as int32 (B, T), fast.

    The rows are copied once, so the tensor is writable and does not hold on to a memory map. RGB rows keep
    their order in memory, so the tensor is in torch's channels-last format, the one convolutions like best.

    Args:
        images: (N, H, W) or (N, H, W, 3) uint8; the symbols of texts (N, T) int32.
        indices: (B,) integers in [-N, N).

    Raises:
        IndexError: an index out of range.

    Example:
        >>> gather(np.arange(24, dtype=np.uint8).reshape(4, 2, 3), np.array([3, 0])).shape
        torch.Size([2, 1, 2, 3])
    """
    rows = torch.from_numpy(np.asarray(images).take(indices, axis=0))
    if rows.ndim == 2:
        return rows
    return rows.unsqueeze(1) if rows.ndim == 3 else rows.permute(0, 3, 1, 2)


def as_input(rows: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Stored rows as a network takes them: uint8 images as pixels in [0, 1], symbols as they are."""
    return rows.to(dtype).div_(255) if rows.dtype == torch.uint8 else rows


class ImageDataset(Dataset[tuple[Any, Any]]):
    """Labelled images of a source, one at a time, for the stock ``DataLoader``.

    ``dataset[i]`` is ``(image, label)``: by default a float32 tensor (C, H, W) in [0, 1] and an int. A
    ``transform`` is given the PIL image (grey or RGB, 8-bit), as torchvision's transforms expect, and what it
    returns takes the tensor's place; end it with ``to_tensor`` if it gives back an image.

    The pixels stay in a memory map, which every worker of a ``DataLoader`` opens for itself.

    Args:
        source: a folder, archive or IDX file, or a ``Store`` that is open already.
        transform: called with the PIL image; None is ``to_tensor``.
        target_transform: called with the int label.
        size: side, or (height, width), that every image is brought to; None keeps what they have.
        mode: "L" or "RGB"; None keeps what they have.
        labels: the file of labels of an IDX source, when it does not lie beside the images.
        labelled: False for images without classes; every label is then -1.
        progress: called with (done, total) while the source is read for the first time.

    Raises:
        SourceNotFound, SourceUnreadable: as ``open_store``.
        InvalidInput: reading options given together with a ``Store``.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name, grey in (("night", 0), ("night", 9), ("day", 250)):
        ...     (folder / name).mkdir(exist_ok=True)
        ...     Image.new("L", (4, 4), grey).save(folder / name / f"{grey}.png")
        >>> dataset = ImageDataset(folder)
        >>> len(dataset), dataset.classes, dataset[0][0].shape, dataset[0][1]
        (3, ('day', 'night'), torch.Size([1, 4, 4]), 0)
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | Store,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        *,
        size: int | tuple[int, int] | None = None,
        mode: str | None = None,
        labels: str | os.PathLike[str] | None = None,
        labelled: bool = True,
        progress: Progress | None = None,
    ) -> None:
        from bayesight.data.store import Store, open_store

        if not isinstance(source, Store):
            store = open_store(
                source, size=size, mode=mode, labels=labels, labelled=labelled, progress=progress
            )
        else:
            store, unlabelled = source, False if source.classes and not labelled else None
            options = {"size": size, "mode": mode, "labels": labels, "labelled": unlabelled}
            given = ", ".join(name for name, value in options.items() if value is not None)
            came = f"an open Store and {given}"
            check(not given, "ImageDataset", came, "one of them", "Give them to open_store instead.")
        self.transform, self.target_transform = transform, target_transform
        # Images without a class (a folder unlabelled/, masks) come first, for rows are sorted by label.
        self._first = int(np.searchsorted(store.labels, 0)) if store.classes else 0
        self.images: ImageArray = store.images[self._first :]
        self.targets: IntArray = store.labels[self._first :]
        self.classes: tuple[str, ...] = store.manifest.classes

    @property
    def class_to_idx(self) -> dict[str, int]:
        """Class names to labels."""
        return {name: label for label, name in enumerate(self.classes)}

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """Image and label at ``index``; a negative index counts from the end.

        Raises:
            InvalidInput: no single integer.
            IndexError: out of range.
        """
        row, label = self._pixels_at(index)
        image = to_tensor(row) if self.transform is None else self.transform(Image.fromarray(row))
        return image, label if self.target_transform is None else self.target_transform(label)

    def _pixels_at(self, index: int) -> tuple[ImageArray, int]:
        """The bytes of one image and its label."""
        try:
            place = as_index(index)
        except TypeError:
            mend = "torch.utils.data.Subset takes a list of indices, gather a whole batch."
            raise InvalidInput(f"dataset[{index!r}]: expected one whole number. {mend}") from None
        if not -len(self) <= place < len(self):
            raise IndexError(f"dataset[{place}]: expected an index in [{-len(self)}, {len(self)})")
        return np.array(self.images[place]), int(self.targets[place])

    def __getstate__(self) -> dict[str, Any]:
        """The memory map travels to a worker as the name of its file, never as its bytes."""
        state = dict(self.__dict__)
        if isinstance(self.images, np.memmap):
            mapped = self.images
            before = self._first * mapped[:1].nbytes
            state["images"] = (mapped.filename, mapped.offset + before, mapped.shape)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open the memory map again."""
        self.__dict__.update(state)
        if isinstance(state["images"], tuple):
            path, offset, shape = state["images"]
            self.images = np.memmap(path, dtype=np.uint8, mode="r", offset=offset, shape=shape)
            self._first = 0


class NotMNIST(ImageDataset):
    """notMNIST (Bulatov 2011): the letters A to J in thousands of fonts, 28x28, white ink on black.

    Looks for ``root/notMNIST_{subset}.tar.gz``, or else for the folder ``root/notMNIST_{subset}`` that comes
    of unpacking it. Broken files in it (both subsets hold some) are left out.

    Args:
        root: the folder that holds the archive; a relative one is taken from the working directory.
        subset: "small" (about 19,000 images, cleaned by hand) or "large" (about 529,000, 6.5 % mislabelled).
        download: fetch the archive when it is not there.
        transform: called with the PIL image; None is ``to_tensor``.
        target_transform: called with the int label, 0 for A to 9 for J.
        verify: refuse an archive whose MD5 is not the published one; turn it off for an archive of your own.

    Raises:
        UnknownName: another subset.
        SourceNotFound: nothing there; the absolute path and the working directory are named.
        SourceUnreadable: the archive is not the published one.
        DownloadFailed, StorageFailed: as ``fetch``.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        subset: str = "small",
        download: bool = False,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        verify: bool = True,
    ) -> None:
        if subset not in ("small", "large"):
            raise UnknownName("notMNIST subset", subset, ("small", "large"))
        source = _find_notmnist(Path(root), subset, download=download, verify=verify)
        super().__init__(source, transform, target_transform)


def _find_notmnist(root: Path, subset: str, *, download: bool, verify: bool) -> Path:
    """The archive, the folder it unpacks to, or the archive fetched."""
    from bayesight.data.download import CATALOGUE, fetch, md5_of

    published = CATALOGUE[f"notmnist-{subset}"].files[0]
    folder = Path(os.path.normpath(Path.cwd() / root.expanduser()))
    archive = folder / published.name
    unpacked = folder / f"notMNIST_{subset}"
    if archive.is_file():
        found = md5_of(archive) if verify else published.md5
        if found != published.md5:
            raise SourceUnreadable(
                f"{archive}: its MD5 is {found}; expected {published.md5}, that of the published file. "
                "Delete it and pass download=True, or pass verify=False if it is an archive of your own."
            )
        return archive
    if unpacked.is_dir():
        return unpacked
    if download:
        return fetch(f"notmnist-{subset}", folder)
    raise SourceNotFound(
        f"{archive} does not exist, nor does the folder {unpacked.name} beside it (root {str(root)!r}, the "
        f"working directory being {Path.cwd()}). Pass download=True to fetch it, or the root that holds it: "
        "on Colab, a folder of the mounted Drive."
    )


def _pixels_of(image: Image.Image) -> NDArray[Any]:
    """The pixels of a PIL image as uint8 or uint16."""
    from bayesight.data.rasters import flattened, is_grey

    if image.mode in _SIXTEEN_BIT:
        return np.asarray(image).astype(np.uint16)
    if image.mode == "I":
        pixels = np.asarray(image)
        low, high = int(pixels.min()), int(pixels.max())
        came = f"32-bit values from {low} to {high}"
        check(
            low >= 0 and high <= 65535, "to_tensor", came, "16-bit values in [0, 65535]", "Scale them first."
        )
        return pixels.astype(np.uint16)
    mend = "Scale it and convert it to mode 'L' first."
    check(image.mode != "F", "to_tensor", "a PIL image of mode 'F'", "a mode with a stated range", mend)
    return np.asarray(flattened(image, grey=is_grey(image))[0])

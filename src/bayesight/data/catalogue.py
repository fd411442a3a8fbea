"""Known sets of images: where they are, what their files must be, and fetching them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from bayesight.data.download import Patience, download
from bayesight.errors import UnknownName
from bayesight.progress import reporter
from bayesight.types import ShownProgress

__all__ = ["CATALOGUE", "KnownSet", "RemoteFile", "fetch"]


@dataclass(frozen=True)
class RemoteFile:
    """A file of a set: its name on the server and here, and its MD5."""

    name: str
    md5: str


@dataclass(frozen=True)
class KnownSet:
    """A published set of images.

    Args:
        about: one sentence.
        base_url: the address its files are under.
        files: what is fetched; the first one is the source to train on.
    """

    about: str
    base_url: str
    files: tuple[RemoteFile, ...]


CATALOGUE: Mapping[str, KnownSet] = MappingProxyType(
    {
        "notmnist-small": KnownSet(
            "Letters A to J in many fonts, about 19,000, cleaned by hand (Bulatov 2011).",
            "http://yaroslavvb.com/upload/notMNIST",
            (RemoteFile("notMNIST_small.tar.gz", "c9890a473a9769fda4bdf314aaf500dd"),),
        ),
        "notmnist-large": KnownSet(
            "Letters A to J in many fonts, about 529,000, some 6.5 % of them mislabelled (Bulatov 2011).",
            "http://yaroslavvb.com/upload/notMNIST",
            (RemoteFile("notMNIST_large.tar.gz", "70a95b805ecfb6592c48e196df7c1499"),),
        ),
        "mnist": KnownSet(
            "Handwritten digits, 60,000 to train on and 10,000 to test on (LeCun, Cortes and Burges 1998).",
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            (
                RemoteFile("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
                RemoteFile("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
                RemoteFile("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
                RemoteFile("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
            ),
        ),
    }
)


def fetch(
    name: str,
    root: str | os.PathLike[str] = "data",
    *,
    base_url: str | None = None,
    patience: Patience | None = None,
    progress: ShownProgress = None,
) -> Path:
    """The files of a known set, downloaded into ``root`` unless they are there already.

    An interrupted download goes on where it stopped. A file that is there with the right MD5 is accepted
    without touching the network; one with another MD5 is refused and left alone.

    Args:
        name: a key of ``CATALOGUE``.
        root: the folder the files belong in, made if need be; a relative one is taken from the working
            directory.
        base_url: a mirror that holds the same file names.
        patience: retries and waits; None for the defaults.
        progress: called with (bytes received, bytes in all or None), file by file.

    Returns:
        The absolute path of the set's first file, which is what ``open_store`` and ``bayesight train`` take;
        for MNIST that is the images to train on, with the labels and the test images beside it.

    Raises:
        UnknownName: no such set; the message suggests the nearest.
        DownloadFailed: the server refuses, keeps failing, or serves another file.
        StorageFailed: no space, or no permission to write.
    """
    progress = reporter(progress, "fetching", "bytes")
    if name not in CATALOGUE:
        raise UnknownName("known data set", name, CATALOGUE)
    chosen = CATALOGUE[name]
    folder = Path(os.path.normpath(Path.cwd() / Path(root).expanduser()))
    address = (base_url or chosen.base_url).rstrip("/")
    for file in chosen.files:
        download(f"{address}/{file.name}", folder / file.name, file.md5, patience=patience, progress=progress)
    return folder / chosen.files[0].name

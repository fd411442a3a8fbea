"""What a classifier learns from: archives of labelled images, read once into a memory-mapped store.

The way of an image: ``archives`` (one pass, nothing unpacked) → ``decode`` → ``store`` → ``audit`` →
``splits`` → ``dataset``. Names are loaded when first used, so that ``import bayesight.data`` costs nothing;
the function that audits a store is ``bayesight.data.audit.audit``, for the package attribute of that name is
the module.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayesight.data.audit import Audit
    from bayesight.data.augment import Augment, augmentation
    from bayesight.data.catalogue import fetch
    from bayesight.data.dataset import ImageDataset, NotMNIST, gather, to_image, to_tensor
    from bayesight.data.glyphs import RenderOptions, render, render_arrays
    from bayesight.data.splits import split
    from bayesight.data.store import Manifest, Quarantined, Store, open_store, require_classes

__all__ = [
    "Audit",
    "Augment",
    "ImageDataset",
    "Manifest",
    "NotMNIST",
    "Quarantined",
    "RenderOptions",
    "Store",
    "augmentation",
    "fetch",
    "gather",
    "open_store",
    "render",
    "render_arrays",
    "require_classes",
    "split",
    "to_image",
    "to_tensor",
]

_MODULE_OF = {
    "Audit": "audit",
    "Augment": "augment",
    "ImageDataset": "dataset",
    "Manifest": "store",
    "NotMNIST": "dataset",
    "Quarantined": "store",
    "RenderOptions": "glyphs",
    "Store": "store",
    "augmentation": "augment",
    "fetch": "catalogue",
    "gather": "dataset",
    "open_store": "store",
    "render": "glyphs",
    "render_arrays": "glyphs",
    "require_classes": "store",
    "split": "splits",
    "to_image": "dataset",
    "to_tensor": "dataset",
}


def __getattr__(name: str) -> Any:
    """Load the module of a public name when it is first asked for."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

"""Archives of labelled images, from which a classifier learns: read once into a memory-mapped store.

The way of an image: ``sources`` (folder, tar, zip or IDX) → ``archives`` (one pass over its ``members``,
nothing unpacked) → ``decode`` → ``layout`` (which folders are classes) → ``build`` → ``store`` (the arrays
and their ``manifest``) → ``audit`` → ``splits`` → ``dataset``. Names are loaded when first used, so that
``import bayesight.data`` costs nothing; the function that audits a store is ``bayesight.data.audit.audit``,
for the package attribute of that name is the module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayesight.lazy import door

if TYPE_CHECKING:
    from bayesight.data.audit import Audit as Audit
    from bayesight.data.augment import Augment as Augment
    from bayesight.data.augment import augmentation as augmentation
    from bayesight.data.dataset import ImageDataset as ImageDataset
    from bayesight.data.dataset import NotMNIST as NotMNIST
    from bayesight.data.dataset import gather as gather
    from bayesight.data.dataset import to_image as to_image
    from bayesight.data.dataset import to_tensor as to_tensor
    from bayesight.data.download import fetch as fetch
    from bayesight.data.manifest import Manifest as Manifest
    from bayesight.data.members import Quarantined as Quarantined
    from bayesight.data.splits import split as split
    from bayesight.data.store import Store as Store
    from bayesight.data.store import open_store as open_store
    from bayesight.data.store import require_classes as require_classes

__getattr__, __dir__, __all__ = door(__name__)

"""From photographs to arrays and to a first answer: against a DataLoader with Pillow and two workers.

    python benchmarks/photograph_ingest.py [--photographs 292] [--large 24] [--first-answer 500] [--repeats 3]

Photographs of 640x480 are those of BCCD ($BAYESIGHT_DATA or ../shared/data), of 12 megapixels the same
enlarged. Ours is the whole path from a tar archive with a cold cache: walking, decoding to 160x160, digests,
writing and forcing everything to the disk. The other reads the unpacked files as a careful user does:
`Image.open`, convert, crop and resize in a `DataLoader` with two workers, batch 64. Both take turns.

The first answer is that of `predict` after `train` with the packaged recipe `lite0`, from an archive of 500
photographs of 12 megapixels; peak memory is that of a process of its own. Rows go to
results/photograph_ingest.csv; the goals are ratios of 1.3 and 2.5, 60 s and 1.5 GiB. 0 leaves a question out.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from ingest import highest, timed
from PIL import Image, ImageOps
from support.record import append, facts, spread
from torch.utils.data import DataLoader, Dataset

from bayesight import Recipe, TrainRequest, open_store, predict, train

BCCD = Path(os.environ.get("BAYESIGHT_DATA", "../shared/data")) / "bccd"
SIDE = 160


def photographs(many: int) -> list[bytes]:
    """The JPEG files of BCCD."""
    found: list[bytes] = []
    for name in ("bccd-train.tar.gz", "bccd-val.tar.gz"):
        with tarfile.open(BCCD / name) as archive:
            found += [archive.extractfile(m).read() for m in archive if m.name.endswith(".jpg")]
    return found[:many]


def large_photographs(many: int) -> list[bytes]:
    """Photographs of 4000x3000 pixels, with noise as cameras have it; every second one is darker."""
    found = []
    for seed, blob in enumerate(photographs(many)):
        image = Image.open(io.BytesIO(blob)).resize((4000, 3000), Image.Resampling.BICUBIC)
        noise = np.random.default_rng(seed).integers(0, 20, (500, 4000, 3), dtype=np.uint8)
        pixels = np.minimum(np.asarray(image), 235) // (1 + seed % 2) + np.tile(noise, (6, 1, 1))
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=88)
        found.append(buffer.getvalue())
    return found


def varied(blob: bytes, k: int) -> bytes:
    """The same photograph with another strength of one of its lowest frequencies, not encoded again."""
    changed = bytearray(blob)
    place = blob.index(b"\xff\xdb") + 5 + 1 + k // 8 % 5
    changed[place] += k % 8
    return bytes(changed)


def pack(path: Path, blobs: list[bytes]) -> Path:
    """An archive of two classes, by turns."""
    with tarfile.open(path, "w") as archive:
        for k, blob in enumerate(blobs):
            info = tarfile.TarInfo(f"class{k % 2}/{k:05d}.jpg")
            info.size = len(blob)
            archive.addfile(info, io.BytesIO(blob))
    return path


class Files(Dataset):
    """What a careful user writes."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.rglob("*.jpg"))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        image = ImageOps.fit(
            Image.open(self.paths[index]).convert("RGB"), (SIDE, SIDE), Image.Resampling.BILINEAR
        )
        return torch.from_numpy(np.array(image))


def used() -> float:
    """Seconds of processor time of this process and of the workers that have ended."""
    return sum(os.times()[:4])


def usual(folder: Path) -> int:
    return sum(len(batch) for batch in DataLoader(Files(folder), batch_size=64, num_workers=2))


def compare(label: str, blobs: list[bytes], repeats: int, scratch: Path) -> dict[str, object]:
    """One row: images a second of both, and their ratio turn by turn."""
    archive = pack(scratch / "photographs.tar", blobs)
    with tarfile.open(archive) as packed:
        packed.extractall(scratch / "files", filter="data")
    seconds: dict[str, list[float]] = {"usual": [], "ours": []}
    processor = {"usual": 0.0, "ours": 0.0}
    for turn in range(repeats):
        for name, work, at in (
            ("usual", usual, scratch / "files"),
            (
                "ours",
                lambda path, turn=turn: open_store(path, size=SIDE, cache=scratch / f"cache-{turn}"),
                archive,
            ),
        ):
            before = used()
            seconds[name].append(timed(work, at)[0])
            processor[name] += used() - before
    ratios = [u / o for u, o in zip(seconds["usual"], seconds["ours"], strict=True)]
    return {
        "question": f"ingest, {label}", "images": len(blobs), "repeats": repeats, "ratio": spread(ratios, 3),
        "ratio_of_processor_time": round(processor["usual"] / processor["ours"], 2),
        **{f"{name}_images_per_s": spread([len(blobs) / s for s in each]) for name, each in seconds.items()},
    }  # fmt: skip


def first_answer(archive: Path, scratch: Path) -> None:
    """The body of the process whose memory is measured: prints seconds of each step and MiB."""
    began = time.perf_counter()
    open_store(archive, size=SIDE)
    read = time.perf_counter()
    recipe = Recipe.default("lite0").changed({"data.size": SIDE})
    run = train(TrainRequest(archive, scratch / "run", recipe, threads=1)).run
    trained = time.perf_counter()
    with tarfile.open(archive) as packed:
        picture = scratch / "picture.jpg"
        picture.write_bytes(packed.extractfile(packed.next()).read())
    predict(run.folder, [picture])
    print(read - began, trained - read, time.perf_counter() - began, highest())


def measured_first_answer(many: int, scratch: Path) -> dict[str, object]:
    blobs = large_photographs(min(24, many))
    archive = pack(
        scratch / "large.tar", [varied(blobs[k % len(blobs)], k // len(blobs)) for k in range(many)]
    )
    command = [sys.executable, __file__, "--only", str(archive), "--scratch", str(scratch)]
    environment = os.environ | {"BAYESIGHT_CACHE": str(scratch / "cache")}
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.split()
    reading, training, whole, memory = map(float, said[-4:])
    return {
        "question": "first answer, 12 megapixels", "images": many,
        "archive_MB": round(archive.stat().st_size / 1e6),
        "reading_s": round(reading, 1), "training_s": round(training, 1), "first_answer_s": round(whole, 1),
        "peak_MiB": round(memory),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photographs", type=int, default=292)
    parser.add_argument("--large", type=int, default=24)
    parser.add_argument("--first-answer", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        first_answer(options.only, options.scratch)
        return
    small, large, first = options.photographs, options.large, options.first_answer
    questions = (
        (small, lambda at: compare("640x480", photographs(small), options.repeats, at)),
        (large, lambda at: compare("12 megapixels", large_photographs(large), options.repeats, at)),
        (first, lambda at: measured_first_answer(first, at)),
    )
    for question in (question for many, question in questions if many):
        with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
            row = question(Path(folder))
        print(row, flush=True)
        append("photograph_ingest.csv", [facts() | row])


if __name__ == "__main__":
    main()

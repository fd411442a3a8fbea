"""From an archive of small PNGs to a finished store, against tarfile and Pillow.

    python benchmarks/ingest.py [ARCHIVE] [--images 100000] [--memory-images 500000] [--repeats 5]

Ours is the whole path with a cold cache: inflating, walking, decoding, digests, sorting, writing and forcing
everything to the disk. The other is what a careful user writes: tarfile, `Image.open`, `np.asarray`, append.
Both take turns on the same archive, so that a busy machine disturbs both. Peak memory is that of a process of
its own. Rows go to results/ingest.csv; the goals are a ratio of 5 and 600 MiB for 500,000 images.

Without ARCHIVE the real letters are taken ($BAYESIGHT_DATA or ../shared/data). The larger archives are made
of its members, each repetition with one pixel changed, in a temporary folder.
"""

import argparse
import io
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from support.record import append, facts, spread

from bayesight.data import open_store

HERE = Path(__file__).resolve().parents[1]
REAL = (
    Path(os.environ.get("BAYESIGHT_DATA", HERE.parent / "shared" / "data"))
    / "notmnist/notMNIST_real8k.tar.gz"
)


def usual(path):
    """Names and arrays of every image, as a user would read them."""
    names, images = [], []
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile() and (data := archive.extractfile(member).read()):
                names.append(member.name)
                images.append(np.asarray(Image.open(io.BytesIO(data))))
    return names, images


def enlarge(path, out, count):
    """An archive of ``count`` images: the members of ``path`` in turn, a pixel of each repetition changed."""
    with tarfile.open(path) as archive:
        files = [(m.name, archive.extractfile(m).read()) for m in archive if m.isfile()]
    files = [(name, data) for name, data in files if data]
    arrays = [np.asarray(Image.open(io.BytesIO(data))) for _, data in files]
    generator = np.random.default_rng(0)
    with tarfile.open(out, "w:gz", compresslevel=6) as archive:
        for k in range(count):
            name, data = files[k % len(files)]
            if k >= len(files):
                pixels = arrays[k % len(files)].copy()
                y, x = (int(generator.integers(n)) for n in pixels.shape[:2])
                pixels[y, x] ^= np.uint8(1 + k % 255)
                buffer = io.BytesIO()
                Image.fromarray(pixels).save(buffer, "PNG")
                data = buffer.getvalue()
            info = tarfile.TarInfo(f"{name.removesuffix('.png')}-{k:07d}.png")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out


def timed(work, *arguments):
    """(wall-clock seconds, processor seconds) of a call whose answer is dropped."""
    wall, processor = time.perf_counter(), time.process_time()
    answer = work(*arguments)
    taken = time.perf_counter() - wall, time.process_time() - processor
    del answer
    return taken


def pixel_exact(store, names, images):
    """How many images differ from Pillow's; the two must hold the same ones."""
    row_of = {store.path_of(i): i for i in range(len(store))}
    assert set(row_of) == set(names)
    return sum(
        not np.array_equal(store.images[row_of[n]], image) for n, image in zip(names, images, strict=True)
    )


def compare(label, path, repeats, scratch):
    """One row: medians of both, their ratio and the differing pixels."""
    seconds = {"usual": [], "ours": []}
    processor = {"usual": [], "ours": []}
    cache = scratch / "cache"
    store = open_store(path, cache=cache)  # the first turn warms up, and compares every pixel
    differ, count = pixel_exact(store, *usual(path)), len(store)
    del store
    for _ in range(repeats):
        shutil.rmtree(cache)
        for name, work in (("usual", usual), ("ours", lambda path: open_store(path, cache=cache))):
            wall, cpu = timed(work, path)
            seconds[name].append(wall)
            processor[name].append(cpu)
    rates = {name: [count / s for s in taken] for name, taken in seconds.items()}
    ratios = [u / o for u, o in zip(seconds["usual"], seconds["ours"], strict=True)]
    row = {
        "question": "ingest",
        "archive": label,
        "images": count,
        "ours_images_per_s": spread(rates["ours"], 6),
        "usual_images_per_s": spread(rates["usual"], 6),
        "ratio": spread(ratios, 3),
        "ratio_of_processor_time": round(sum(processor["usual"]) / sum(processor["ours"]), 2),
        "images_that_differ": differ,
        "repeats": repeats,
    }
    print(f"{label}: {statistics.median(ratios):.2f} times the images a second, {differ} differ", flush=True)
    return row


def peak(way, path, scratch):
    """Peak memory in MiB of a process that reads the archive, and of one that only imports."""
    command = [sys.executable, __file__, str(path), "--only", way, "--scratch", str(scratch)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(said[-2]), float(said[-1])


def only(way, path, scratch):
    """The body of that process."""
    before = highest()
    if way == "usual":
        usual(path)
    else:
        open_store(path, cache=scratch / "peak")
    print(round(before, 1), round(highest(), 1))


def highest():
    """The most memory this process has held, MiB; getrusage would count what its parent held before it."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main():
    """Measure, print and record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archive", type=Path, nargs="?", default=REAL)
    parser.add_argument("--images", type=int, default=100_000, help="of the larger archive; 0 leaves it out")
    parser.add_argument("--memory-images", type=int, default=500_000, help="0 leaves it out")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", choices=["usual", "ours"], help=argparse.SUPPRESS)
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        only(args.only, args.archive, args.scratch)
        return
    if not args.archive.is_file():
        parser.error(f"{args.archive} is not there; name an archive, or set BAYESIGHT_DATA")
    machine, rows = facts(), []
    with tempfile.TemporaryDirectory(dir=args.scratch) as folder:
        scratch = Path(folder)
        rows.append(compare(args.archive.name, args.archive, args.repeats, scratch))
        if args.images:
            large = enlarge(args.archive, scratch / "large.tar.gz", args.images)
            rows.append(compare("its members repeated with noise", large, max(2, args.repeats // 2), scratch))
        if args.memory_images:
            huge = enlarge(args.archive, scratch / "huge.tar.gz", args.memory_images)
            row = {"question": "peak memory", "archive": "its members repeated with noise"}
            row["images"] = args.memory_images
            for way in ("ours", "usual"):
                before, after = peak(way, huge, scratch)
                row |= {f"{way}_peak_MiB": after, f"{way}_of_it_imports_MiB": before}
            print(f"peak memory for {args.memory_images:,} images: {row['ours_peak_MiB']} MiB", flush=True)
            rows.append(row)
    print(append("ingest.csv", [{**row, **machine} for row in rows]))


if __name__ == "__main__":
    main()

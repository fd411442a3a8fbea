"""Recognise a file by its first bytes: an image that can be read, a format known by name only, or neither.

Only the formats listed here are ever handed to Pillow, each to its own reader: none of them runs a program
(as EPS does), and a file is never tried with one reader after the other. A format known by name only is
called by it, with the way to convert it, so that a photograph nobody can read is not taken for a damaged one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

from bayesight.language import marked

IMAGE_SUFFIXES = frozenset(
    b"png apng jpg jpeg jpe jfif mpo bmp dib gif tif tiff webp ppm pgm pbm pnm pfm avif avifs jp2 j2k jpc "
    b"jpf jpx j2c ico cur qoi dds pcx sgi rgb bw ras tga xbm".split()
)
"""Names that end so promise an image: one that is none is quarantined, not passed over."""

_HEAD = 4096
_TO_PNG = marked("convert it to PNG or JPEG first")
_TO_FLOAT = marked("convert it to a floating-point TIFF or to PNG first")
_FRAMES = marked("take single frames out of it, as with 'ffmpeg -i FILE frame-%05d.png'")
_UNPACK = marked("unpack it first")


@dataclass(frozen=True)
class KnownFormat:
    """A format that is known by name and not read.

    Args:
        name: of the format.
        mend: how to make an image of it.
        magics: what its files may begin with.
        suffixes: of their names, parted by blanks.
        is_large: whether such files are so large that they are not read to learn what their name says.
    """

    name: str
    mend: str
    magics: tuple[bytes, ...] = ()
    suffixes: bytes = b""
    is_large: bool = False

    @property
    def reason(self) -> str:
        """Why such a file is left out."""
        return marked(f"{self.name}, which is not read: {self.mend}")


_HEIF = KnownFormat(
    "HEIC/HEIF",
    marked(
        "install its reader, pip install 'bayesight[heif]', or convert it first, as with "
        "'heif-convert FILE.heic FILE.jpg'"
    ),
    suffixes=b"heic heif hif",
)
_RAW = KnownFormat(
    marked("a camera's raw file"),
    marked("develop it to JPEG, PNG or TIFF first, as with 'darktable-cli' or 'dcraw'"),
    (b"FUJIFILMCCD-RAW", b"FOVb", b"IIRO", b"IIU\0"),
    b"dng nef nrw cr2 cr3 crw arw srf sr2 orf rw2 raf pef srw 3fr iiq erf kdc dcr mos mrw x3f raw",
)
_DICOM = KnownFormat(
    "DICOM", marked("convert it to PNG first, as with 'dcmj2pnm' or pydicom"), (), b"dcm dicom"
)
_SVG = KnownFormat("SVG", marked("render it to PNG first, as with 'rsvg-convert'"), (), b"svg svgz")
_NIFTI = KnownFormat(
    "NIfTI", marked("save its slices as PNG or TIFF first, as with nibabel"), suffixes=b"nii"
)
_VIDEO = KnownFormat(
    marked("a video"),
    _FRAMES,
    (
        *(b"\x1a\x45\xdf\xa3", b"\0\0\x01\xba", b"\0\0\x01\xb3", b"FLV\x01"),
        b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
    ),
    b"mp4 m4v mov avi mkv webm mpg mpeg wmv flv mts m2ts 3gp",
    is_large=True,
)
_PAGE = KnownFormat(marked("a web page"), marked("the download probably failed, fetch the image again"))
_TAR = KnownFormat(marked("a tar archive"), _UNPACK)

_FORMATS = (
    *(_HEIF, _RAW, _DICOM, _SVG, _NIFTI, _VIDEO),
    KnownFormat("PDF", marked("render its pages to PNG first, as with 'pdftoppm -png'"), (b"%PDF",), b"pdf"),
    KnownFormat(
        "PostScript",
        marked("render it to PNG first, as with 'gs -sDEVICE=png16m'"),
        (b"%!PS", b"\xc5\xd0\xd3\xc6"),
        b"eps",
    ),
    KnownFormat(marked("Photoshop's PSD"), marked("export it to PNG first"), (b"8BPS",), b"psd"),
    KnownFormat(
        marked("a NumPy array"),
        marked("save each image as PNG or TIFF first, as with PIL.Image.fromarray"),
        (b"\x93NUMPY",),
        b"npy npz",
    ),
    KnownFormat(
        "JPEG XL",
        marked("convert it to PNG or JPEG first, as with 'djxl FILE.jxl FILE.png'"),
        (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"),
        b"jxl",
    ),
    KnownFormat("JPEG XR", _TO_PNG, (b"II\xbc",)),
    KnownFormat("OpenEXR", _TO_FLOAT, (b"\x76\x2f\x31\x01",)),
    KnownFormat("Radiance HDR", _TO_FLOAT, (b"#?RADIANCE",)),
    KnownFormat("FITS", marked("save each image as PNG or TIFF first, as with astropy"), (b"SIMPLE  =",)),
    KnownFormat(
        "HDF5", marked("save each image in it as PNG or TIFF first, as with h5py"), (b"\x89HDF\r\n\x1a\n",)
    ),
    KnownFormat(
        marked("a MATLAB file"),
        marked("save each image in it as PNG first, with 'imwrite'"),
        (b"MATLAB 5.0",),
    ),
    KnownFormat(marked("Apple's ICNS, a set of icons"), _TO_PNG, (b"icns",)),
    KnownFormat("GIMP's XCF", marked("export it to PNG first"), (b"gimp xcf",)),
    KnownFormat("DjVu", marked("convert it to PNG or JPEG first, as with 'ddjvu'"), (b"AT&TFORM",)),
    KnownFormat("Zeiss CZI", marked("export it to TIFF first, as with Bio-Formats"), (b"ZISRAWFILE",)),
    KnownFormat("Windows Metafile", marked("render it to PNG first"), (b"\xd7\xcd\xc6\x9a",)),
    KnownFormat(marked("Ogg, sound or video"), _FRAMES, (b"OggS",)),
    KnownFormat(marked("packed with gzip"), marked("unpack it first, as with 'gunzip'"), (b"\x1f\x8b",)),
    KnownFormat(marked("packed with bzip2"), marked("unpack it first, as with 'bunzip2'"), (b"BZh",)),
    KnownFormat(marked("packed with xz"), marked("unpack it first, as with 'unxz'"), (b"\xfd7zXZ\0",)),
    KnownFormat(
        marked("packed with Zstandard"), marked("unpack it first, as with 'unzstd'"), (b"\x28\xb5\x2f\xfd",)
    ),
    KnownFormat(marked("a zip archive"), _UNPACK, (b"PK\3\4",)),
    KnownFormat(marked("a 7-Zip archive"), _UNPACK, (b"7z\xbc\xaf\x27\x1c",)),
    KnownFormat(marked("a RAR archive"), _UNPACK, (b"Rar!\x1a\x07",)),
    KnownFormat(
        marked("a Git LFS pointer in place of the file"),
        marked("fetch the files with 'git lfs pull'"),
        (b"version https://git-lfs",),
    ),
)
_MAGIC = [(magic, known) for known in _FORMATS for magic in known.magics]
_NAMED = {suffix: known for known in _FORMATS for suffix in known.suffixes.split()}
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"mif2", b"msf1")
_BRANDS = (
    (_HEIF_BRANDS, _HEIF),
    ((b"crx ",), _RAW),
    ((b"isom", b"iso", b"mp4", b"M4V", b"qt  ", b"avc1", b"3gp", b"3g2", b"mmp4", b"dash", b"f4v"), _VIDEO),
)
_SIMPLE: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"qoif", "QOI"),
    (b"DDS ", "DDS"),
    (b"\x59\xa6\x6a\x95", "SUN"),
)
_SVG_START = re.compile(rb"\s*(<\?xml[^>]*>\s*|<!--.*?-->\s*|<!DOCTYPE svg[^>]*>\s*)*<svg[\s>]", re.S | re.I)
_PAGE_START = re.compile(rb"\s*<(!doctype html|html|head|body)[\s>]", re.I)
_NETPBM = re.compile(rb"(P[1-6]\s*(#[^\n]*\n\s*)*\d|P[Ff]\s+\d)")
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)


def suffix_of(name: bytes) -> bytes:
    """The part of a file's name behind its last dot, in small letters; empty where there is none.

    Example:
        >>> suffix_of(b"cats/Tom.JPG"), suffix_of(b"cats/tom"), suffix_of(b"a.b/.hidden")
        (b'jpg', b'', b'')
    """
    base, dot, suffix = name[name.rfind(b"/") + 1 :].rpartition(b".")
    return suffix.lower() if dot and base else b""


def promises_image(name: str) -> bool:
    """True for a file whose name ends as those of images do.

    Example:
        >>> promises_image("cats/Tom.JPG"), promises_image("cats/tom.txt")
        (True, False)
    """
    return suffix_of(name.encode(errors="replace")) in IMAGE_SUFFIXES


def known_by_name(name: bytes) -> KnownFormat | None:
    """The format that a file's suffix names, where it is one that is not read.

    Example:
        >>> known_by_name(b"IMG_0001.HEIC").name
        'HEIC/HEIF'
    """
    if name.lower().endswith(b".nii.gz"):
        return _NIFTI
    return _NAMED.get(suffix_of(name))


def recognise(blob: bytes, name: bytes = b"") -> str | KnownFormat | None:
    r"""Say what a file holds.

    Args:
        blob: its content, or at least its first 4 KiB.
        name: of the file; decides where the content alone cannot (raw files that are a kind of TIFF).

    Returns:
        Pillow's name of a format that is read; a format that is known only; None for anything else.

    Example:
        >>> recognise(b"\xff\xd8\xff\xe0 ..."), recognise(b"%PDF-1.7").name, recognise(b"Dear Sir")
        ('JPEG', 'PDF', None)
    """
    named = known_by_name(name)
    if named is _RAW and blob[:4] in (b"II*\0", b"MM\0*"):
        return _RAW
    found = reader_of(blob)
    if found is not None and (found != "TGA" or blob.endswith(_TGA_END) or suffix_of(name) in IMAGE_SUFFIXES):
        return found
    if named is _HEIF and reads_heif():  # whose reader says why it cannot be read
        return "HEIF"
    known = _known(blob[:_HEAD])
    packed = known is not None and known.mend.startswith(_UNPACK)  # .nii.gz, .svgz, .npz
    return named if packed and named is not None else known or named


@cache
def reads_heif() -> bool:
    """True where the reader of HEIC and HEIF is installed (the extra "heif")."""
    return find_spec("pillow_heif") is not None


def reader_of(blob: bytes) -> str | None:
    """Pillow's name of the format a file is read as, by its content alone; None when it is not read."""
    for magic, form in _SIMPLE:
        if blob.startswith(magic):
            return None if form == "TIFF" and blob[8:10] == b"CR" else form
    for form, holds in _TESTS.items():
        if holds(blob):
            return form
    return None


def _known(head: bytes) -> KnownFormat | None:
    """A format that is known only, by its first bytes."""
    for magic, known in _MAGIC:
        if head.startswith(magic):
            return known
    if head[4:8] == b"ftyp":
        for names, known in _BRANDS:
            if _has_brand(head, names):
                return known
        return _VIDEO
    if head[:4] == b"RIFF":
        return _VIDEO if head[8:12] == b"AVI " else None
    if head[:4] in (b"II*\0", b"MM\0*") and head[8:10] == b"CR":
        return _RAW
    if head[128:132] == b"DICM":
        return _DICOM
    if head[257:262] == b"ustar":
        return _TAR
    if head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] in (b"n+2\0", b"ni2\0"):
        return _NIFTI
    if _SVG_START.match(head):
        return _SVG
    return _PAGE if _PAGE_START.match(head) else None


def _has_brand(blob: bytes, names: tuple[bytes, ...]) -> bool:
    """True for an ISO media file whose major brand, or one it is compatible with, is among those named."""
    end = min(int.from_bytes(blob[:4], "big"), len(blob), _HEAD)
    brands = [blob[8:12], *(blob[at : at + 4] for at in range(16, end - 3, 4))]
    return blob[4:8] == b"ftyp" and any(brand.startswith(names) for brand in brands)


def _is_bmp(blob: bytes) -> bool:
    return blob[:2] == b"BM" and (len(blob) < 18 or int.from_bytes(blob[14:18], "little") in _BMP_HEADERS)


def _is_icon(blob: bytes) -> bool:
    return blob[:4] in (b"\0\0\1\0", b"\0\0\2\0") and 0 < int.from_bytes(blob[4:6], "little") < 256


def _is_dib(blob: bytes) -> bool:
    return (
        blob[:4] == b"\x28\0\0\0"
        and blob[12:14] == b"\1\0"
        and blob[14:16] in _DIB_BITS
        and blob[15:16] == b"\0"
    )


def _is_tga(blob: bytes) -> bool:
    """True where 18 bytes can be a Targa header: the format has no mark of its own at its beginning."""
    if len(blob) < 18 or blob[1] > 1 or blob[2] not in (1, 2, 3, 9, 10, 11):
        return False
    sized = any(blob[12:14]) and any(blob[14:16])
    return sized and blob[16] in (1, 8, 15, 16, 24, 32) and (blob[1] == 1) == (blob[2] in (1, 9))


_PCX = re.compile(rb"\x0a[\x00\x02-\x05]\x01[\x01\x02\x04\x08].{60}\x00[\x01\x03\x04]", re.S)
_XBM = re.compile(rb"\s*#define\s+\S+_width\s+\d+\s+#define\s+\S+_height\s+\d+\s")
_DIB_BITS = tuple(bytes((bits, 0)) for bits in (1, 4, 8, 16, 24, 32))
_TESTS: dict[str, Callable[[bytes], bool]] = {
    "WEBP": lambda blob: blob[:4] == b"RIFF" and blob[8:12] == b"WEBP",
    "AVIF": lambda blob: _has_brand(blob, (b"avif", b"avis")),
    "HEIF": lambda blob: _has_brand(blob, _HEIF_BRANDS) and reads_heif(),
    "BMP": _is_bmp,
    "PPM": lambda blob: _NETPBM.match(blob[:_HEAD]) is not None,
    "ICO": lambda blob: _is_icon(blob) and blob[2] == 1,
    "CUR": lambda blob: _is_icon(blob) and blob[2] == 2,
    "SGI": lambda blob: (
        blob[:2] == b"\x01\xda" and blob[2:3] in (b"\0", b"\1") and blob[3:4] in (b"\1", b"\2")
    ),
    "PCX": lambda blob: _PCX.match(blob) is not None,
    "XBM": lambda blob: _XBM.match(blob[:_HEAD]) is not None,
    "DIB": _is_dib,
    "TGA": _is_tga,
}
_TGA_END = b"TRUEVISION-XFILE.\0"
"""Targa files of 1989 and later end so; older ones bear no mark and are read under an image's suffix only."""

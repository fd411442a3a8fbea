"""Remarks on the container of a source: members superseded, archives joined, bytes that are not read."""

from __future__ import annotations

from dataclasses import dataclass

from bayesight.data.formats import KnownFormat, recognise

__all__ = ["Remarks"]


@dataclass
class Remarks:
    """Collected while a container is read.

    Args:
        superseded: members that a later one of the same name replaces, as when unpacking.
        linked: members read under a further name, for a link leads to them.
        archives: how many archives are joined in the file.
        unmarked: whether the last tar archive ends without its end marker.
        before: bytes in front of the first archive of a zip file.
        after: bytes after the end, zeros alone not counted.
        after_kind: what those look like; may be empty.
        undecoded: names that are not UTF-8, nor in the encoding that was stated.
        encoding: the one that was stated; may be empty.
    """

    superseded: int = 0
    linked: int = 0
    archives: int = 1
    unmarked: bool = False
    before: int = 0
    after: int = 0
    after_kind: str = ""
    undecoded: int = 0
    encoding: str = ""

    def set_after(self, count: int, start: bytes) -> None:
        """Take note of bytes after the end, and of what the first of them look like."""
        found = recognise(start)
        self.after += count
        self.after_kind = found.name.removeprefix("packed with ") if isinstance(found, KnownFormat) else ""

    def sentences(self) -> tuple[str, ...]:
        """Each of them for people, where it needs saying."""
        many = self.superseded
        told = [
            (
                many,
                f"{many:,} {'member is' if many == 1 else 'members are'} superseded by a later one of the "
                "same name, which counts, as when unpacking",
            ),
            (
                self.linked,
                f"{self.linked:,} {'link is' if self.linked == 1 else 'links are'} read as the "
                f"{'file it leads' if self.linked == 1 else 'files they lead'} to",
            ),
            (self.archives > 1, f"{self.archives:,} archives are joined in this file; all of them are read"),
            (
                self.unmarked,
                "the tar archive ends between two members without its end marker; all that is there is read, "
                "but if images are missing it was cut off: fetch it again",
            ),
            (
                self.before,
                f"{self.before:,} bytes in front of the zip archive are not read, as those of a program that "
                "unpacks itself",
            ),
            (self.after, f"{self.after:,} bytes after the end of the archive are not read{self._looks}"),
            (
                self.undecoded,
                f"{self.undecoded:,} {'name is' if self.undecoded == 1 else 'names are'} not UTF-8"
                f"{f' nor {self.encoding}' if self.encoding else ''} and written with \\x.. for each foreign "
                "byte; --names ENCODING reads them, as --names cp437, cp949, shift_jis, gbk or latin-1",
            ),
        ]
        return tuple(sentence for holds, sentence in told if holds)

    @property
    def _looks(self) -> str:
        if not self.after_kind:
            return ""
        return f": they look like {self.after_kind}; split it off and name it apart"

"""The code of a lesson, run as it stands, with the pictures it draws."""

from __future__ import annotations

import contextlib
import doctest
import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bayesight.language import speaking
from bayesight.lessons.lesson import Lesson

_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.REPORT_NDIFF


@dataclass(frozen=True)
class LessonRun:
    """Everything a lesson's code made.

    Attributes:
        figures: SVG documents by the index of the block that drew them.
        differences: by the index of a block, in doctest's words, how its output differs from the lesson's.
    """

    figures: dict[int, tuple[bytes, ...]] = field(default_factory=dict)
    differences: dict[int, str] = field(default_factory=dict)


def run(lesson: Lesson, progress: Callable[[int, int], None] | None = None) -> LessonRun:
    """Run a lesson's code from its first block to its last, in a folder of its own that is gone afterwards.

    Args:
        lesson: in any language.
        progress: told how many blocks are done, of how many.
    """
    made, names = LessonRun(), {"__name__": "__main__"}
    place = tempfile.TemporaryDirectory()
    with place as folder, contextlib.chdir(folder), speaking("en"), _figures() as drawn:
        for index, block in enumerate(lesson.blocks):
            if block.runs:
                names, difference = _examples(block.text, names, f"{lesson.name}, block {index}")
                if difference:
                    made.differences[index] = difference
                if figures := drawn():
                    made.figures[index] = figures
            if progress is not None:
                progress(index + 1, len(lesson.blocks))
    return made


def _examples(text: str, names: dict[str, Any], title: str) -> tuple[dict[str, Any], str]:
    """The names after the examples have run, and in words where they print something else."""
    test = doctest.DocTestParser().get_doctest(text, names, title, None, 0)
    said = io.StringIO()
    with contextlib.redirect_stderr(io.StringIO()):  # bars of the lesson's own
        doctest.DocTestRunner(verbose=False, optionflags=_FLAGS).run(test, out=said.write, clear_globs=False)
    return test.globs, said.getvalue()


@contextlib.contextmanager
def _figures() -> Any:
    """Draw without a window; yields a function that takes the figures drawn since it was last called."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    def drawn() -> tuple[bytes, ...]:
        made = []
        for number in plt.get_fignums():
            stream = io.BytesIO()
            plt.figure(number).savefig(stream, format="svg", bbox_inches="tight", metadata={"Date": None})
            plt.close(number)
            made.append(stream.getvalue())
        return tuple(made)

    before = mpl.get_backend()
    plt.switch_backend("agg")
    try:
        with mpl.rc_context({"svg.hashsalt": "bayesight", "figure.figsize": (6.4, 3.4)}):
            yield drawn
    finally:
        plt.close("all")
        plt.switch_backend(before)

"""A lesson as a notebook for Jupyter and Colab."""

from __future__ import annotations

import itertools
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from bayesight.language import speaking, tr
from bayesight.lessons.lesson import Lesson, LessonBlock

_SET_UP = {
    "en": """\
# Run this cell first. It installs Bayesight where it is missing (Colab, a fresh machine).
# SOURCE may also be the path of a wheel, e.g. "/content/drive/MyDrive/bayesight-0.1.0-py3-none-any.whl".
# To read and keep files on Google Drive, take the mark of a comment from the next two lines.
# from google.colab import drive
# drive.mount("/content/drive")    # then your files are below /content/drive/MyDrive
""",
    "ko": """\
# 이 셀을 먼저 실행하십시오. Bayesight가 없으면 설치합니다(Colab, 새 컴퓨터).
# SOURCE에는 휠 파일의 경로도 쓸 수 있습니다. 예: "/content/drive/MyDrive/bayesight-0.1.0-py3-none-any.whl"
# Google Drive의 파일을 쓰려면 다음 두 줄의 주석 표시를 지우십시오.
# from google.colab import drive
# drive.mount("/content/drive")    # 이제 파일은 /content/drive/MyDrive 아래에 있습니다
""",
}
_INSTALL = """\
import importlib.util
SOURCE = "bayesight"
if importlib.util.find_spec("bayesight") is None:
    %pip install --quiet "{SOURCE}\""""


def as_notebook(lesson: Lesson) -> str:
    """The lesson as a notebook document (nbformat 4) without outputs; the same lesson gives the same text."""
    number = itertools.count(1)
    cells = [
        new_markdown_cell(f"# {lesson.number}. {lesson.title}", id=f"cell-{next(number)}"),
        new_code_cell(_SET_UP[lesson.language] + _INSTALL, id=f"cell-{next(number)}"),
    ]
    for block in lesson.blocks:
        if block.runs:
            with speaking(lesson.language):
                code = _code(block)
            cells += [new_code_cell(**cell, id=f"cell-{next(number)}") for cell in code]
        else:
            cells.append(new_markdown_cell(block.text.strip(), id=f"cell-{next(number)}"))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    made = new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})
    nbformat.validate(made)
    return str(nbformat.writes(made)) + "\n"


def _code(block: LessonBlock) -> list[dict[str, Any]]:
    """Sources and metadata of a block's cells; the cells of an answer are folded."""
    cells = []
    for cell in block.cells():
        source, metadata = cell.code, dict[str, Any]()
        if cell.raises:
            metadata["tags"] = ["raises-exception"]
        if block.answers:
            source = f"#@title {tr('Answer')}\n{source}"
            metadata |= {"cellView": "form", "jupyter": {"source_hidden": True}}
        cells.append({"source": source, "metadata": metadata})
    return cells

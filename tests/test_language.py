"""The catalogue: no visible string without a message, no message without its Korean."""

import ast
import contextvars
import importlib.util
import re
from pathlib import Path

import jinja2
import numpy as np
import pytest
from jinja2 import nodes

from bayesight import report
from bayesight.evaluation import reliability
from bayesight.language import LANGUAGES, accepted, catalogue, current, of_system, retold, speaking, tr
from bayesight.report import Estimate, Report, render
from bayesight.report.words import joined, plural

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src/bayesight"
ROOMS = (
    "cli",
    "lessons/templates",
    "report",
    "service/page",
    "data/notes.py",
    "workflows/reporting.py",
    "workflows/causal/answer.py",
    "workflows/causal/report.py",
    "workflows/parts/absorbing.py",
    "workflows/parts/answering.py",
    "workflows/parts/jobs.py",
    "workflows/parts/update.py",
    "workflows/tasks",
    "workflows/train.py",
    "workflows/training/classify.py",
    "workflows/training/images.py",
    "workflows/training/job.py",
    "workflows/training/request.py",
    "workflows/training/texts.py",
)
"""Files and folders whose sentences people read."""

NOT_SHOWN = {
    "tr", "marked", "plural", "check", "node", "stroke", "numpy_generator", "getattr", "info", "warning",
    "startswith", "Option", "Argument", "Typer", "command", "refuse_texts", "refuse_given",
    "_refuse_options_of_images", "allowed_values", "check_choice", "make_folder", "share_option",
}  # fmt: skip
"""Calls whose strings are messages already, no words, or help and refusals, which stay English."""

NO_SENTENCE = {
    "has it",
    "does not",
    "value = 1",
    "--unknown: 1",
    "bayesight 1",
    "bayesight: 1",
    "1  1  1 min  1",
    "1 (1 to 1)",
    "IoU 1 (1 to 1)",
    "  1  1 of 1",
    "1 of 1",
    "mean IoU",
    "average precision at an overlap of .5",
    "1 on 1",
    "--also 1: 1",
    "--init-from 1",
    "model 1",
    ", 1 failed",
    "1 images, 1/s1",
}
"""Names, figures, progress, and lines that are put together from others."""
TWO_WORDS = re.compile(r"[A-Za-z]{2,}[,;:.]? +[A-Za-z]{2,}")
STYLE = re.compile(r"(fill|stroke|font|rotate|translate)[\w-]*[:(]|var\(|<svg|^bayesight |'(self|none)'|-H '")


@pytest.fixture(scope="module")
def messages():
    spec = importlib.util.spec_from_file_location("messages", ROOT / "docs/reference/messages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_every_message_has_a_translation_with_the_same_values(messages, language):
    assert messages.problems(language) == []


def test_a_catalogue_is_read_as_babel_reads_it(messages):
    from babel.messages.pofile import read_po

    with messages.CATALOGUES["ko"].open("rb") as file:
        by_babel = {entry.id: entry.string for entry in read_po(file, locale="ko") if entry.id}
    assert catalogue("ko") == by_babel


def files(suffix):
    for room in ROOMS:
        place = SOURCE / room
        assert place.exists(), f"{room} has moved"
        yield from ([place] if place.suffix == suffix else sorted(place.rglob(f"*{suffix}")))


@pytest.mark.parametrize("path", list(files(".py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_sentence_is_shown_but_through_the_catalogue(path):
    assert list(loose(path.read_text("utf-8"))) == []


def test_the_search_for_sentences_finds_them():
    assert list(loose('def f(n):\n    return f"{n} of all images"')) == ["1 of all images"]
    assert list(loose('def f():\n    """Of two words."""\n    return tr("of all images")')) == []
    assert list(visible('<p aria-label="of all">{{ tr("of all") }}</p><b>An image</b>')) == [
        "of all",
        "An image",
    ]


@pytest.mark.parametrize("path", list(files(".j2")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_template_shows_words_but_through_the_catalogue(path):
    assert list(visible(path.read_text("utf-8"))) == []


def loose(text):
    """Sentences of a Python file outside ``tr`` and the like; a value of an f-string is 1."""
    tree = ast.parse(text)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            words = "".join(part.value if isinstance(part, ast.Constant) else "1" for part in node.values)
            found = re.search(r"[a-z]{2,}", words) and (" " in words)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            words, found = node.value, TWO_WORDS.search(node.value)
        else:
            continue
        if found and words not in NO_SENTENCE and not STYLE.search(words) and not hidden(node, parents):
            yield words


def hidden(node, parents):
    """Whether a string is a docstring, part of a refusal, or an argument of a call that shows nothing new."""
    if isinstance(parents[node], ast.Expr | ast.JoinedStr | ast.FormattedValue):
        return True
    while node in parents and not isinstance(node, ast.stmt):
        parent = parents[node]
        refusal = isinstance(parent, ast.Assign) and ast.unparse(parent.targets[0]) in (
            "came",
            "expected",
            "moved",
            "mend",
            "model",
            "where",
        )
        identity = isinstance(parent, ast.keyword) and parent.arg == "key"
        if isinstance(parent, ast.Raise) or refusal or identity:
            return True
        if isinstance(parent, ast.Call) and node is not parent.func:
            name = getattr(parent.func, "id", None) or getattr(parent.func, "attr", "")
            if name in NOT_SHOWN:
                return True
        node = parent
    return False


def visible(text):
    """Words of a template between tags, or in attributes that are read."""
    text = re.sub(r"(?s)<(style|script).*?</\1>", "", text)
    tree = jinja2.Environment().parse(text)
    written = "".join(
        part.data if isinstance(part, nodes.TemplateData) else "\0"
        for output in tree.find_all(nodes.Output)
        for part in output.nodes
    )
    for attribute in re.findall(r'(?:aria-label|title|alt|placeholder)="([^"]*)"', written):
        if re.search(r"[A-Za-z]{3,}", attribute) and not STYLE.search(attribute) and "=" not in attribute:
            yield attribute
    for words in re.findall(r">([^<>]*)<", re.sub(r'"[^"]*"', '""', written)):
        if re.search(r"[A-Za-z]{3,}", words) and not re.search("Bayesight|API", words, re.IGNORECASE):
            yield words.strip(" \n\0")


def test_two_languages_are_spoken_side_by_side():
    def korean():
        with speaking("ko"):
            return tr("precision")

    assert contextvars.copy_context().run(korean) == "정밀도"
    assert (tr("precision"), current()) == ("precision", "en")
    with speaking("xx"):
        assert tr("precision") == "precision"


def test_the_language_is_that_of_the_system_or_of_the_browser():
    assert of_system({}) == of_system({"LANG": "C.UTF-8"}) == "en"
    assert of_system({"LANG": "en_US.UTF-8", "LC_ALL": "ko_KR"}) == "ko"
    assert accepted("en;q=0, ko;q=0.2") == "ko"
    assert accepted("ko; q=0.1, en") == "en"
    assert accepted("", otherwise="ko") == accepted("ko;q=x, fr", otherwise="ko") == "ko"


def test_english_made_elsewhere_is_told_again_but_for_names_in_it():
    with speaking("ko"):
        assert retold("new classes: positive") == "새 클래스: positive"
        assert (
            retold("  one.png: unknown\nStored in /tmp/prior") == "  one.png: unknown\n저장한 곳: /tmp/prior"
        )
        assert retold("1 file that is no image was passed over: 1 .csv (first: a.csv).") == (
            "이미지가 아닌 파일 1개를 건너뛰었습니다: 1 .csv (첫째: a.csv)."
        )
        assert retold("a sentence that no code of ours makes") == "a sentence that no code of ours makes"
    assert retold("new classes: positive") == "new classes: positive"


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        (
            "model lite0: chosen for colour images of 32x32; --model takes another",
            "모델 lite0: 다음에 맞추어 골랐습니다: 32x32 컬러 이미지. --model로 다른 모델을 쓸 수 있습니다",
        ),
        (
            "out: 1,000 images answered, 2 not read; 3 of 4 parts in 1.0 s, 2 of them kept from before; "
            "100 images a second",
            "out: 이미지 1,000장에 답함, 2개는 읽지 못함; 부분 4개 중 3개를 1.0초에 마침, "
            "그중 2개는 전에 해 둔 것; 초당 이미지 100장",
        ),
        (
            "absorbed 9 images: 3 of 4 parts in 1.0 s",
            "이미지 9장을 받아들였습니다: 부분 4개 중 3개를 1.0초에 마침",
        ),
        (
            "no image held out has A, which images learned from have",
            "이미지 중 배운 것에는 A가 있으나 떼어 둔 것에는 없습니다",
        ),
        (
            "a.png: 3 boxes with a probability of 50 % or more, car 3",
            "a.png: 3개의 상자, 확률 50 % 이상, car 3",
        ),
        ("  cat   not in these images", "  cat   이 이미지들에 없음"),
        (
            "of these 90 images 81 trained the run and 9 chose its weights: the figures flatter it",
            "이 이미지 90개 중 81개는 학습에, 9개는 가중치를 고르는 데 쓰였습니다: "
            "수치가 실제보다 좋게 나옵니다",
        ),
        ("absorbed 1 text in 1.20 s (features 0.30 s)", "글 1개를 1.20초에 받아들였습니다 (특징 0.30초)"),
        (
            "unlike anything seen: novelty 1.5, where at most 33 % of texts of known kinds are above 0.7",
            "본 적 없는 것과 같음: 새로움 1.5. 아는 종류의 글 중 0.7보다 높은 것은 많아야 33 %입니다",
        ),
    ],
)
def test_lines_of_several_messages_are_told_whole(sentence, told):
    with speaking("ko"):
        assert retold(sentence) == told


def test_why_a_model_was_chosen_is_told_in_korean():
    from bayesight.workflows.training.request import Images, choose_recipe

    images = Images(400, 500, "L", 20, mixed=True)
    why = choose_recipe(images, {"loss.name": "cross_entropy", "pretrain": {"name": "simclr"}})[1]
    assert why == "chosen for grey photographs of about 500x400 and of other shapes; --model takes another"
    with speaking("ko"):
        assert retold(why) == (
            "다음에 맞추어 골랐습니다: 흑백 사진, 크기 약 500x400, 모양이 여러 가지. "
            "--model로 다른 모델을 쓸 수 있습니다"
        )


def test_one_of_a_thing_is_in_the_singular():
    assert retold("a.csv: 1 images answered, 0 of them unlike anything seen") == (
        "a.csv: 1 image answered, 0 of them unlike anything seen"
    )
    assert tr("{n:,} texts have no label", n=1) == "1 text has no label"
    assert tr("{n:,} texts have no label", n=1001) == "1,001 texts have no label"
    with speaking("ko"):
        assert retold("absorbed 1 images in 2.00 s (features 1.00 s)").startswith("이미지 1장을")


def test_counts_and_lists_follow_the_language():
    with speaking("ko"):
        assert plural(1, "image") == "이미지 1장"
        assert plural(2000, "class", "classes") == "클래스 2,000개"
        assert joined(["A", "B"]) == "A 및 B"
        assert retold("new classes: a, b and 1,203 more") == "새 클래스: a, b 외 1,203개"
        assert retold("new classes: a and more") == "새 클래스: a and more"


def test_a_report_in_korean_has_no_english_sentence():
    sure = Estimate(0.9, 0.85, 0.94)
    names = (
        "sensitivity",
        "false_alarm",
        "precision",
        "likelihood_ratio_positive",
        "likelihood_ratio_negative",
    )
    ends = {name: [0.85, 0.94] for name in names}
    reading = {"support": 40, **dict.fromkeys(names, 0.9), "undefined": {}, "intervals": ends}
    both, told = {"A": reading, "B": reading}, {"log_loss": 0.3, "calibration_error": 0.02, "bins": 15}
    generator = np.random.default_rng(0)
    p = generator.dirichlet([1, 1, 1], 90)
    labels = generator.integers(0, 3, 90)
    with speaking("ko"):
        sections = (
            report.summary(sure, 90, readings=both, **told),
            report.confusion_table([[8, 2], [1, 9]], ("A", "B")),
            report.per_class(both),
            report.reliability_diagram(reliability(np.log(p), labels)),
            report.class_counts({"A": 5, "B": 9}),
            report.quarantine([("x.png", "")], ignored=2),
            report.duplicates(1, 2, ()),
            report.counted_people(0.1, 0.99, 0.1),
            report.posterior_by_prevalence([0.1, 0.5], [0.2, 0.6], here=0.3),
            report.novelty(p[:, 0], p[:, 1], threshold=0.5, level=0.05, auroc=0.9, fpr95=0.1, source="ㄱ"),
            report.update_change(
                ("A", "B"),
                [0.8, 0.7],
                [0.9, 0.6],
                5,
                elapsed_s=1.2,
                new_classes=("B",),
                measures={"ㄱ": (0.8, 0.9)},
            ),
            report.learning_curves({"ㄱ": [0.5, 0.3]}, [0.5, 0.8], best_epoch=2),
        )
        page = render(Report("A", sections))
    assert '<html lang="ko">' in page
    words = re.sub(r"(?s)<style>.*?</style>|<[^>]*>", " ", page) + " ".join(
        re.findall(r'label="([^"]*)"', page)
    )
    left = set(re.findall(r"[A-Za-z]{3,}", words))
    assert left <= {"nats", "AUROC", "FPR", "Bayesight", "png"}
    assert not re.search(r"[은이을과]\([는가를와]\)", words)

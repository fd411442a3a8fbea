"""Questions about images: trained, measured, answered, moved by base rates, and what is refused."""

import io
import json
import math
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from bayesight.data.annotated import open_annotated
from bayesight.data.framing import ImageSpec
from bayesight.data.readers import QuestionReader
from bayesight.errors import InvalidInput, SourceUnreadable
from bayesight.run import Run
from bayesight.workflows.scenes import write_scenes
from bayesight.workflows.tasks.answers import answer_images, evaluate_task, opened_task
from bayesight.workflows.tasks.ask import AskTask, QuestionFile
from bayesight.workflows.tasks.base import Trained
from bayesight.workflows.train import TrainRequest, train

SMALL = {
    "data.size": 16,
    "data.batch": 8,
    "data.validation": 0.25,
    "model.widths": [8, 8],
    "model.width": 16,
    "optimization.epochs": 12,
    "optimization.lr": 0.02,
}
COLOURS = {"red": (220, 30, 30), "blue": (30, 30, 220)}


def picture(colour, *, left, shade=0):
    """Half of it in a colour, half black, as PNG."""
    page = np.full((16, 16, 3), shade, np.uint8)
    page[:, :8] = COLOURS[colour] if left else page[:, :8]
    page[:, 8:] = page[:, 8:] if left else COLOURS[colour]
    file = io.BytesIO()
    Image.fromarray(page).save(file, "PNG")
    return file.getvalue()


def line(image, question, answer=None, kind=None):
    known = {"image": image, "question": question, "answer": answer, "kind": kind}
    return json.dumps({name: value for name, value in known.items() if value is not None})


def source(path, count=48, more=(), lines=()):
    """Pictures with questions on their colour and side, further files and further lines."""
    asked = []
    with zipfile.ZipFile(path, "w") as file:
        for number in range(count):
            name, colour, left = f"{number:02}.png", ("red", "blue")[number % 2], number % 4 < 2
            file.writestr(f"images/{name}", picture(colour, left=left, shade=number))
            asked.append(line(name, "Which colour is it?", colour, "colour"))
            asked.append(line(name, f"Is the {colour} half on the left?", "yes" if left else "no", "side"))
        for name, content in more:
            file.writestr(name, content)
        file.writestr("questions.jsonl", "\n".join([*asked, *lines]))
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("asked")
    shapes = source(folder / "halves.zip")
    request = TrainRequest(shapes, folder / "run", task="ask", model="cnn-mlp", changes=SMALL, threads=1)
    return folder, train(request)


@pytest.fixture
def blue(tmp_path):
    (tmp_path / "blue.png").write_bytes(picture("blue", left=True))
    return tmp_path / "blue.png"


def test_a_run_holds_all_that_its_answers_depend_on(made):
    folder, result = made
    run = Run.open(folder / "run")
    assert run.kind == "questions"
    assert result.metrics["classes"] == ["blue", "no", "red", "yes"]
    assert result.metrics["notes"][1].startswith("learns from 72 questions (colour 36, side 36) of 11 words")
    found = result.metrics["validation"]
    assert found["questions"] == 24
    assert found["accuracy"] > 0.9
    assert {name: one["questions"] for name, one in found["per_kind"].items()} == {"colour": 12, "side": 12}
    facts = run.task(QuestionFile)
    assert facts.shares == pytest.approx([0.25] * 4, abs=0.1)
    assert facts.temperature == pytest.approx(found["temperature"])
    report = (folder / "run" / "report.html").read_text(encoding="utf-8")
    for words in ("Best, typical and worst", "Accuracy of each kind", "Do its probabilities come true?"):
        assert words in report


def test_an_answer_names_its_probabilities_and_words_it_has_never_seen(made, blue, tmp_path):
    folder, _ = made
    run = Run.open(folder / "run")
    asked = "WHICH colour, pray, is it?"
    (row,) = answer_images(run, [blue], question=asked, overlay=tmp_path / "o.png").as_list()
    assert row["answer"] == "blue"
    assert next(iter(row["answers"])) == "blue"
    assert sum(row["answers"].values()) == pytest.approx(1)
    assert row["probability"] == max(row["answers"].values()) > 0.5
    assert row["unseen_words"] == [",", "pray"]
    with Image.open(row["overlay"]) as drawn:
        assert drawn.width == 320
        assert drawn.height > 320
    told = answer_images(run, [blue], question=asked).text
    assert "never seen in training, and left out: ',', 'pray'" in told
    with pytest.raises(InvalidInput, match="of whose words none was seen in training; expected some of"):
        answer_images(run, [blue], question="Quelle couleur")
    with pytest.raises(InvalidInput, match="--question: no question; expected one"):
        answer_images(run, [blue])
    with pytest.raises(InvalidInput, match="--box: given to a run of questions; expected none"):
        answer_images(run, [blue], question=asked, boxes=[(0, 0, 8, 8)])


def test_stated_base_rates_move_the_posterior_by_the_theorem(made, blue):
    folder, _ = made
    run = Run.open(folder / "run")
    shares = dict(zip(run.classes().names, run.task(QuestionFile).shares, strict=True))
    own, moved = (
        answer_images(run, [blue], question="Which colour is it?", prior=prior).answers[0][1].row["answers"]
        for prior in (None, "blue=0.02,red=0.48")
    )
    shift = math.log(0.02 / shares["blue"]) - math.log(0.48 / shares["red"])
    odds = [math.log(p["blue"] / p["red"]) for p in (own, moved)]
    assert odds[1] - odds[0] == pytest.approx(shift, abs=1e-6)


class Fixed(nn.Module):
    """Logits by the shade of a picture's last pixel, whatever is asked."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, images, questions):
        shade = (images[:, 0, -1, -1] * 255).round().long()
        return self.logits[shade][:, None].expand(-1, questions.shape[1], -1)


@pytest.fixture
def judged(made, tmp_path):
    """Twenty pictures, all seven questions of which are answered alike: right about the first fifteen."""
    folder, _ = made
    _, trained = opened_task(Run.open(folder / "run"))
    lines = [line(f"{n:02}.png", f"Which {word}?", "red", "one") for n in range(20) for word in "abcde"]
    lines += [line(f"{n:02}.png", "Whose is it?", "yes" if n < 15 else "no", "two") for n in range(20)]
    lines += [line(f"{n:02}.png", "Is it?", "perhaps", "two") for n in range(20)]
    with zipfile.ZipFile(tmp_path / "fixed.zip", "w") as file:
        for n in range(20):
            file.writestr(f"{n:02}.png", picture("red", left=True, shade=n))
        file.writestr("q.jsonl", "\n".join(lines))
    spec = ImageSpec((16, 16), "RGB")
    images = open_annotated(tmp_path / "fixed.zip", QuestionReader(), spec)
    logits = torch.full((20, 4), 0.0)
    logits[:15, 2], logits[15:, 0] = 3.0, 3.0  # red about the first fifteen, blue about the others
    facts = trained.facts.model_copy(update={"temperature": 2.0, "shares": [0.25] * 4})
    return Trained(Fixed(logits), trained.classes, facts), images


def test_figures_are_those_of_a_count(judged):
    trained, images = judged
    found = AskTask().judge(trained, images, None)
    figures = found.figures
    assert figures["questions"] == 140
    assert figures["accuracy"] == pytest.approx(75 / 140)
    assert figures["per_kind"]["one"]["accuracy"] == 0.75
    assert figures["per_kind"]["two"]["accuracy"] == 0
    low, high = figures["per_kind"]["one"]["interval"]
    # twenty pictures, not a hundred questions: the deviation is that of 20 draws
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(0.75 * 0.25 / 20), abs=0.06)
    p = math.exp(1.5) / (math.exp(1.5) + 3)
    assert figures["ece"] == pytest.approx(abs(75 / 120 - p), abs=1e-6)
    assert figures["ece_before_temperature"] > figures["ece"]
    assert figures["unseen_answers"] == {"perhaps": 20}
    assert "20 questions have answers never learned, 'perhaps'; they count as wrong" in found.text
    assert set(figures["unseen_words"]) == {"a", "b", "c", "d", "e", "whose"}


def test_figures_at_stated_base_rates_weigh_the_answers(judged):
    """Red 10 %, yes 20 %, no 70 %: of the first three quarters are right, of the others none."""
    trained, images = judged
    prior = torch.tensor([0.0, 0.7, 0.1, 0.2])
    found = AskTask().judge(trained, images, prior).figures
    # with p(blue) = 0 and no more likely, what was red or blue by 1.5 nats is no by log 7
    assert found["accuracy"] == pytest.approx(0.7)
    assert found["prior"] == pytest.approx({"blue": 0, "no": 0.7, "red": 0.1, "yes": 0.2})


def test_what_takes_no_part_is_named_and_counted(made, tmp_path):
    lines = [
        line("99.png", "Which colour is it?", "red"),
        line("00.png", "Is it warm?"),
        '{"image": "01.png", "question": "Which col',
        line("03.png", "Is it green?", "by no means"),
        line("04.png", "Is it blue?", "NA"),
    ]
    more = [("images/alone.png", picture("red", left=True, shade=200)), ("images/bad.png", b"no picture")]
    path = source(tmp_path / "spoiled.zip", more=more, lines=lines)
    found = evaluate_task(Run.open(made[0] / "run"), path)
    told = " ".join(found.notes)
    for words in (
        "images/alone.png: no questions",
        "questions.jsonl: no image 99.png",
        "no answer to 'Is it warm?' about 00.png",
        "no answer to 'Is it blue?' about 04.png",
        "line 99: not JSON",
    ):
        assert words in told
    assert len(found.images) == 48
    assert found.as_dict()["questions"] == 97
    assert found.as_dict()["unseen_answers"] == {"by no means": 1}
    assert "1 question has an answer never learned, 'by no means'; it counts as wrong" in found.judgement.text


def test_sources_nothing_can_be_learned_from(tmp_path):
    def refused(path, **changes):
        return train(TrainRequest(path, tmp_path / "none", task="ask", changes=SMALL | changes, threads=1))

    def only(answer):
        path = tmp_path / "only.zip"
        with zipfile.ZipFile(path, "w") as file:
            for n in range(8):
                file.writestr(f"{n}.png", picture("red", left=True, shade=n))
            file.writestr("q.jsonl", "\n".join(line(f"{n}.png", "Is it?", answer) for n in range(8)))
        return path

    with pytest.raises(InvalidInput, match="one answer, yes; expected at least two answers"):
        refused(only("yes"))
    with pytest.raises(SourceUnreadable, match="8 questions without an answer"):
        refused(only(None))
    with pytest.raises(InvalidInput, match="'scene', which moves what a question may be about"):
        refused(source(tmp_path / "halves.zip"), **{"data.augment": {"name": "scene"}})


def test_scenes_are_pictures_of_shapes_with_twenty_questions(tmp_path):
    made = write_scenes(tmp_path / "shapes.zip", "ask", count=3, test=2, seed=5)
    assert made.glyphs == "none"
    found = open_annotated(tmp_path / "shapes.zip", QuestionReader(), ImageSpec())
    assert found.faults == ()
    assert found.parts == ("train",) * 3 + ("test",) * 2
    assert found.image_shape == (3, 75, 75)
    assert [len(asked) for asked in found.annotations] == [20] * 5
    assert len({one.tobytes() for one in found.pixels}) == 5


def test_a_batch_asks_as_many_questions_of_every_picture(made):
    folder, _ = made
    _, trained = opened_task(Run.open(folder / "run"))
    found = open_annotated(folder / "halves.zip", QuestionReader(), ImageSpec((16, 16), "RGB"))
    annotations = [found.annotations[0], found.annotations[1][:1]]
    generator = torch.Generator().manual_seed(1)
    _, words, answers = AskTask().batch(found.tensor([0, 1]), annotations, trained.facts, None, generator)
    assert words.shape[:2] == answers.shape == (2, 2)
    assert set(answers[0].tolist()) == {2, 3}
    assert answers[1].tolist() == [0, 0]
    assert torch.equal(words[1, 0], words[1, 1])

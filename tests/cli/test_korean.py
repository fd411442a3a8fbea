"""Every command answers in Korean: no English sentence is left beside names, units and options."""

import io
import re
import tarfile

import pytest

NAMES = {
    "nats", "AUROC", "FPR", "bayesight", "Bayesight", "softmax", "IoU", "RGB", "CSV", "RUN", "SOURCE", "MLP",
    "PARTS", "bar", "Bar", "disc", "Disc", "ring", "Ring", "shapes", "spoiled", "top", "png", "txt", "tar",
    "html", "mlp", "onnx", "hello", "BMJ", "train", "test",
}  # fmt: skip
"""Names of the things these tests are about, units, and words that are the same in both languages."""
CODE = re.compile(
    r"\$ .*|^step \d.*|bayesight [a-z][^\n가-힣.]*|--[a-z-]+|[\w.-]*/[\w./-]+|\b\w+=\S+|\b\w*_\w+\b"
    r"|\b[\w.-]+\.(?:png|gz|html|csv|onnx|json)\b|\b[A-Z][a-z]+(?:, [A-Z][\w\' ]+)*,? \d{4}"
    r"|(?:float|uint)\d+",
    re.MULTILINE,
)
"""Command lines, progress, options, paths, settings, papers and names in code, which are in no language."""


def english_in(name, text):
    """Words of three letters and more that are no names."""
    return set(re.findall(r"[A-Za-z]{3,}", CODE.sub(" ", text))) - NAMES - {*OWN.get(name, "").split()}


@pytest.fixture(scope="module")
def spoiled(shapes, tmp_path_factory):
    """Thirty of the drawings in folders of parts, beside a broken one, an empty one and a text."""
    path = tmp_path_factory.mktemp("spoiled") / "spoiled.tar.gz"
    with tarfile.open(shapes) as whole, tarfile.open(path, "w:gz") as out:
        for at, member in enumerate(whole.getmembers()):
            if at % 8 == 0:
                content = whole.extractfile(member)
                member.name = member.name.replace("top/", "train/" if at % 16 else "test/")
                out.addfile(member, content)
        for name, content in (("broken.png", b"hello"), ("empty.png", b""), ("notes.txt", b"a text")):
            member = tarfile.TarInfo(f"train/bar/{name}")
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))
    return path


OWN = {
    "kidney-stones": "size treatment success yes Charig Webb Payne Wickham Julious Mullee",
    "berkeley": "sex department admitted yes female male Bickel Hammel Connell Science Freedman "
    "Pisani Purves Statistics",
    "ice-cream": "temperature drownings",
    "birth-weight": "smoking light death yes ndez Hern Schisterman American Journal Epidemiology",
    "learn": "bayes screening confusion matrix yesterdays posterior frequentist causal tensors "
    "datasets four keys graphs service why conditional teachers Dataset DataLoader",
    "milestones-run": "linear regression gradient descent posterior averages slope intercept seed",
    "export": "images prior posterior novelty",
}
"""Names of columns, values, lessons, arms and tensors of one command, and of those it cites."""

COMMANDS = {
    "bayes": "bayes --prior 0.1 --sensitivity 0.99 --false-alarm 0.1 --result + --result -",
    "bayes-hypotheses": "bayes --hypotheses A=0.2,B=0.8 --likelihood A=.9,B=.1",
    "diagnose": "diagnose --counts 99 1 90 810 --prevalence 0.01",
    "diagnose-rates": "diagnose --prevalence 0.1 --sensitivity 0.99 --false-alarm 0.1",
    "estimate": "estimate coin 1 1 0 1 1 0 1 1 --prior a=2,b=2",
    "estimate-normal": "estimate normal 1 2.5 3 4",
    "cache": "cache",
    "milestones-run": "milestones run linear-regression --smoke --out {tmp}/cards",
    "learn": "learn",
    "kidney-stones": "causal effect example:kidney-stones --refute --bayes",
    "berkeley": "causal effect example:berkeley --direct",
    "ice-cream": "causal effect example:ice-cream",
    "birth-weight": "causal effect example:birth-weight --adjust light",
    "paths": "causal paths Z->T,Z->Y,T->Y,T->C,Y->C --treatment T --outcome Y --given C",
    "paths-unknown": "causal paths U->T,U->Y,T->Y --treatment T --outcome Y",
    "simulate": "causal simulate Z->T,Z->Y,T->Y --rows 200 --out {tmp}/t.csv --treatment T --outcome Y",
    "inspect": "data inspect {source} --near",
    "inspect-labels": "data inspect {more} --wrong-labels --run {run}",
    "render": "data render {tmp}/letters.tar.gz --characters AB --per-class 5",
    "parts": "data parts {more} --out {tmp}/PARTS.json",
    "train": "train {source} --out {tmp}/new --model mlp --set model.hidden=[8] --set optimization.epochs=2",
    "evaluate": "evaluate {run} {source} --by-name --report {tmp}/report.html",
    "evaluate-prior": "evaluate {run} {more} --prior bar=0.6 --unknown {source}",
    "predict": "predict {run} {picture} --prior bar=0.01 --set-coverage 0.9 --costs zero-one --hand-over 0.1",
    "predict-many": "predict {run} {source} --to {tmp}/answers.csv",
    "update": "update {copy} {more}",
    "prior": "prior {run} {source} --level 0.9",
    "export": "export {run} --out {tmp}/m.onnx",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_english_sentence_is_left(
    name, program, shapes_run, run_copy, spoiled, more_shapes, pictures, tmp_path
):
    places = {"run": shapes_run, "copy": run_copy, "source": spoiled, "more": more_shapes, "tmp": tmp_path}
    words = COMMANDS[name].format(**places, picture=pictures[0]).split()
    status, out, err = program(*words, "--lang", "ko")
    assert status in (0, 1), err
    assert english_in(name, out + err) == set(), out + err
    for page in tmp_path.glob("*.html"):
        shown = re.sub(r"(?s)<code>.*?</code>|<(style|script).*?</\1>", " ", page.read_text("utf-8"))
        said = " ".join(re.findall(r'(?:aria-label|alt|title)="([^"]*)"', shown))
        assert english_in(name, re.sub("<[^>]*>", " ", shown) + said) == set(), page


def test_why_a_part_is_missing_is_told_in_korean(program, run_copy, make_archive, tmp_path):
    parts = [make_archive(f"{seed}.tar.gz", {"bar": 3, "ring": 3}, seed=seed) for seed in (11, 12)]
    manifest = tmp_path / "PARTS.json"
    program("data", "parts", *parts, "--out", manifest)
    parts[0].unlink()
    status, out, err = program("update", run_copy, "--parts", manifest, "--lang", "ko")
    assert status == 1
    assert "이(가) 없습니다. " in out
    assert english_in("parts", out + err) == set(), out + err

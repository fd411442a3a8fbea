"""Schemas of the API's requests and answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    StringConstraints,
    Tag,
    WithJsonSchema,
)

from bayesight.errors import InvalidInput
from bayesight.names import NAME_LIMIT
from bayesight.service.work.images import Upload, from_base64
from bayesight.workflows.predict import Readings

__all__ = [
    "TINY_PNG",
    "BeliefAnswer",
    "ClassBelief",
    "CorrectionItem",
    "EncodedImage",
    "InferOptions",
    "InferRequest",
    "InferredAnswer",
    "LabelAnswer",
    "LabelItem",
    "LabelOptions",
    "LabelRequest",
    "OnePrediction",
    "PredictionAnswer",
    "PredictionOptions",
    "PredictionRequest",
    "PriorAnswer",
    "PriorRequest",
    "Problem",
    "QueueAnswer",
    "QueueItem",
    "ReceiptAnswer",
    "RenameAnswer",
    "RenameRequest",
    "RunAnswer",
    "RunsAnswer",
    "StatusAnswer",
    "TakeBackAnswer",
    "TakeBackRequest",
    "UnknownAnswer",
]

Share: TypeAlias = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Name: TypeAlias = Annotated[str, StringConstraints(max_length=200)]
ClassName: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=NAME_LIMIT)]
Digest: TypeAlias = Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]
Probability: TypeAlias = Annotated[
    Any,
    WithJsonSchema(
        {
            "anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "string"}],
            "examples": [0.1, "10%"],
        }
    ),
]
"""A fraction or a percentage, which ``complete_prior`` reads and refuses as it does everywhere."""
Shares: TypeAlias = Annotated[dict[ClassName, Probability], Field(min_length=1, max_length=10_000)]
_BY_CLASS = Tag("by class")
_OR_WORD = Discriminator(lambda value: "word" if isinstance(value, str) else "by class")

TINY_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAABwAAAAcCAAAAABXZoBIAAAAV0lEQVR42sWSOQ7AMAgEB5T/f3ld5JChQIjCoQNrdjEA58NC"
    "pljwivQEogl5O2riWTwKLOo2yWcAOzpvyPbp5GpLVnk7AFfl0JENW/6+2iDTebyo/3C3CxgEESYDiEb3AAAAAElFTkSuQmCC"
)
"""The letter A, 28 by 28 pixels, base64."""


class _ApiModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Problem(_ApiModel):
    """Why a request was refused."""

    error: str = Field(description="kind of problem", examples=["InvalidInput"])
    message: str = Field(
        description="what came, what was expected, and how to mend it",
        examples=["level: got 5; expected a probability strictly between 0 and 1."],
    )


class EncodedImage(_ApiModel):
    """An image file in a JSON body."""

    data: str = Field(description="the file in base64, bare or as a data URL", examples=[TINY_PNG])
    name: Name = Field("", description="what to call it in the answer", examples=["scan 17"])

    def upload(self) -> Upload:
        """The file.

        Raises:
            InvalidInput: no base64.
        """
        expected = "the bytes of an image file in base64, alone or as a data URL (data:image/png;base64,...)"
        try:
            content = from_base64(self.data)
        except ValueError as problem:
            raise InvalidInput(f"image data: {problem}; expected {expected}.") from problem
        return Upload(self.name, content)


class PredictionOptions(_ApiModel):
    """Options of a prediction."""

    prior: Annotated[
        Annotated[Shares, _BY_CLASS] | Annotated[Literal["uniform", "training", "stated"], Tag("word")],
        _OR_WORD,
    ] = Field(
        "stated",
        description="base rates: by class (those left out share the rest), uniform, as absorbed so far, or "
        "as stated for this place",
        examples=["stated", {"A": 0.01}],
    )
    same_subject: bool = Field(False, description="the images are readings of one subject")
    dependence: Share = Field(0.0, description="correlation of such readings given the class")
    level: float = Field(0.05, gt=0, lt=1, description="share of known images that may be called unknown")
    abstain: bool = Field(False, description="answer 'unknown' where an image is like nothing seen")

    def readings(self) -> Readings:
        """The same for ``judge``."""
        prior = None if self.prior == "stated" else self.prior
        return Readings(prior, self.same_subject, self.dependence, self.level, self.abstain)


class PredictionRequest(PredictionOptions):
    """Images and how to read them."""

    images: list[EncodedImage] = Field(min_length=1, max_length=10_000, description="image files in base64")


class OnePrediction(_ApiModel):
    """The four terms for one image."""

    image: Digest = Field(description="digest of the image; a label may name it")
    name: str = Field(description="what its sender called it")
    prediction: str = Field(description="the class with the highest posterior, or 'unknown'")
    prior: dict[str, float] = Field(description="probability of each class before the image was seen")
    log_likelihood: dict[str, float] = Field(description="log p(image | class), nats")
    log_evidence: float = Field(description="log p(image), nats")
    posterior: dict[str, float] = Field(description="probability of each class now")
    novelty: float = Field(description="standard deviations of known images; larger is stranger")
    p_value: float = Field(description="share of known images at least as strange")
    known: bool = Field(description="whether the image is of a kind that was seen")
    reason: str = Field(description="why not; empty when known")


class PredictionAnswer(_ApiModel):
    """One prediction an image, and which belief made them."""

    belief: str = Field(description="digest of the belief")
    position: int = Field(description="entry of the ledger it is at")
    predictions: list[OnePrediction]


class LabelItem(_ApiModel):
    """A label for one image: an image predicted earlier, or one that comes along."""

    label: ClassName = Field(examples=["A"])
    image: Digest | None = Field(None, description="digest of an image predicted earlier")
    data: str | None = Field(None, description="an image file in base64", examples=[TINY_PNG])


class _LabelRequestOptions(_ApiModel):
    new_classes: bool = Field(False, description="names that are no class yet are new classes")
    second_reading: bool = Field(
        False,
        description="second, independent readings: they count beside what the same person said before; "
        "otherwise a label replaces that person's earlier one of the image, and the run's own",
    )
    wait: bool = Field(True, description="absorb the labels before the answer; else queue them")


class LabelOptions(_LabelRequestOptions):
    """The ``options`` of a multipart request of labels."""

    labels: list[ClassName] = Field(min_length=1, max_length=10_000, description="one a file, or one for all")


class LabelRequest(_LabelRequestOptions):
    """Labels to learn."""

    labels: list[LabelItem] = Field(
        min_length=1, max_length=10_000, description="each a name with an image, or with the digest of one"
    )


class ReceiptAnswer(_ApiModel):
    """Proof that labels are in the ledger."""

    first: int = Field(description="number of the first entry")
    last: int = Field(description="number of the last entry")
    at: str = Field(description="UTC")
    digest: str = Field(description="of the last entry and, through the chain, of all before it")


class CorrectionItem(_ApiModel):
    """An image that was called something else before."""

    image: Digest
    was: str = Field(description="the class before")
    now: str = Field(description="the class it has now")


class LabelAnswer(_ApiModel):
    """The receipt of labels, and their effect on the belief."""

    receipt: ReceiptAnswer
    labels: int
    images: list[Digest]
    repeated: bool = Field(
        description="nothing new was learned: the same request had been answered before, or its images had "
        "these labels already"
    )
    unchanged: int = Field(description="labels that said what the same person, or the run, had said already")
    corrected: list[CorrectionItem] = Field(
        description="images that the same person, or the run, had called something else"
    )
    said: str = Field(description="the same in words", examples=["was cross, is ring"])
    absorbed: bool = Field(description="whether the belief has learned them")
    update: int | None = Field(description="entry of the update that did")
    belief: str = Field(description="digest of the belief now")


class TakeBackRequest(_ApiModel):
    """A label that is not meant any more."""

    image: Digest = Field(description="the image whose last label of the same token is taken back")


class TakeBackAnswer(_ApiModel):
    """The label that stands now that one was taken back."""

    receipt: ReceiptAnswer
    image: Digest
    was: str | None = Field(description="the class taken back; null for a request repeated with its key")
    now: str | None = Field(description="the class the same person, or the run, had given it before")
    gone_classes: list[str] = Field(description="classes that lost their last image")
    repeated: bool = Field(description="the same request had been answered before; nothing new was written")
    belief: str = Field(description="digest of the belief now")


class RenameRequest(_ApiModel):
    """Another name for a class."""

    name: ClassName = Field(description="the class", examples=["A"])
    to: ClassName = Field(description="what it is to be called", examples=["alpha"])


class RenameAnswer(_ApiModel):
    """The classes as they are called now."""

    receipt: ReceiptAnswer
    classes: list[str]
    repeated: bool = Field(description="the same request had been answered before; nothing new was written")
    belief: str = Field(description="digest of the belief now")


class ClassBelief(_ApiModel):
    """The belief about one class."""

    images: float = Field(description="images absorbed, as they count now")
    prior: float = Field(description="base rate here")
    training: float = Field(description="share absorbed so far")


class BeliefAnswer(_ApiModel):
    """The belief now."""

    run: str
    belief: str = Field(description="its digest")
    position: int = Field(description="entry of the ledger it is at")
    exact: bool = Field(description="every digest recorded on the way was met bit for bit")
    classes: dict[str, ClassBelief]
    images: float = Field(description="images absorbed, as they count now")
    temperature: float
    prior_source: Literal["training", "stated", "inferred"]
    queued: int = Field(description="labels waiting to be absorbed")


class PriorRequest(_ApiModel):
    """Base rates of the place where the service is used."""

    prior: Annotated[
        Annotated[Shares, _BY_CLASS] | Annotated[Literal["uniform", "training"], Tag("word")], _OR_WORD
    ] = Field(
        description="by class (those left out share the rest), uniform, or back to what was absorbed",
        examples=[{"A": 0.01}, "uniform", "training"],
    )


class PriorAnswer(_ApiModel):
    """The base rates now in force."""

    prior: dict[str, float]
    source: Literal["training", "stated", "inferred"]
    entry: int = Field(description="entry of the ledger that says so; 0 for none")


class InferOptions(_ApiModel):
    """Options of an inference of base rates."""

    level: float = Field(0.9, gt=0, lt=1, description="share of the posterior inside each interval")
    seed: int = Field(0, ge=0, lt=2**31)
    adopt: bool = Field(False, description="go by them from now on; needs the scope 'admin'")


class InferRequest(InferOptions):
    """Unlabelled images, or the latest predicted ones."""

    images: list[EncodedImage] | None = Field(
        None, min_length=2, max_length=10_000, description="image files in base64; by default recent ones"
    )
    recent: int = Field(500, ge=2, le=5000, description="without images: how many of the latest predictions")


class UnknownAnswer(_ApiModel):
    """The share of images of no known class, which the base rates leave out."""

    share: float
    interval: Annotated[list[float], Field(min_length=2, max_length=2)]
    probability: float = Field(description="that more than 2 % are")


class InferredAnswer(_ApiModel):
    """Base rates that unlabelled images speak for."""

    prior: dict[str, float]
    interval: dict[str, Annotated[list[float], Field(min_length=2, max_length=2)]]
    level: float
    method: str
    second_opinion: dict[str, float]
    images: int
    training_weight: float = Field(description="images that the training shares count for, inferred")
    unknown: UnknownAnswer | None
    prior_shift: dict[str, Any]
    warning: str | None
    adopted: bool
    entry: int = Field(description="entry of the ledger that says so; 0 for none")


class QueueItem(_ApiModel):
    """An image a label of which would teach much, and what the belief says of it now."""

    image: Digest
    prediction: str
    posterior: dict[str, float]
    information_bits: FiniteFloat = Field(description="what its label is expected to tell about the classes")
    novelty: float
    known: bool
    at: str = Field(description="when it was predicted, UTC")


class QueueAnswer(_ApiModel):
    """Images in the order in which labels would teach most."""

    considered: int = Field(description="unlabelled images among the latest predictions")
    images: list[QueueItem]


class RunAnswer(_ApiModel):
    """A run the ledger knows."""

    run: str
    model: str
    classes: list[str]
    began: str = Field(description="UTC")
    served: bool


class RunsAnswer(_ApiModel):
    """Every run the ledger knows."""

    runs: list[RunAnswer]


class StatusAnswer(_ApiModel):
    """The status of the service."""

    status: Literal["ok"]

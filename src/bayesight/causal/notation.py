"""Graphs written down: arrows in a line of text, DOT, and dagitty's dialect of it.

Reading gives edges as they were written, a two-headed arrow included; what they mean is the graph's affair.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bayesight.errors import InvalidInput

_ARROWS = {"->": "->", "→": "->", "<-": "<-", "←": "<-", "<->": "<->", "↔": "<->"}
_ARROW = r"<->|->|<-|[↔→←]"
_LINE = re.compile(
    rf'"(?P<quoted>[^"]*)"|(?P<arrow>{_ARROW})|(?P<end>[,;\n])|(?P<name>(?:(?!{_ARROW})[^,;\n"])+)'
)
_NO_ARROW = re.compile(r"--|=>|<=|[<>=]|\s-\s")

_DOT_HEAD = re.compile(r"\s*(?:strict\s+)?(digraph|dag|graph)\b[^{]*\{", re.IGNORECASE)
_DOT_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|^\s*#[^\n]*", re.DOTALL | re.MULTILINE)
_DOT_TOKEN = re.compile(
    rf'\s+|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<arrow>{_ARROW}|--)|(?P<attributes>\[(?:[^\]"]|"[^"]*")*\])'
    r'|(?P<mark>[{};,=])|(?P<name>(?:[^\s\[\]{};,=<>"\-]|-(?![->]))+)'
)
_DOT_LATENT = re.compile(r"\b(latent|unobserved)\b", re.IGNORECASE)
_DOT_BOTH = re.compile(r'\bdir\s*=\s*"?both', re.IGNORECASE)


@dataclass(frozen=True)
class GraphText:
    """A graph as it is written.

    Attributes:
        nodes: names in the order they came.
        edges: (from, to).
        two_headed: pairs joined by a two-headed arrow.
        latent: names marked as unobserved.
    """

    nodes: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    two_headed: tuple[tuple[str, str], ...] = ()
    latent: tuple[str, ...] = ()


def read_arrows(text: str) -> GraphText:
    """Chains of arrows, separated by commas, semicolons or lines.

    Raises:
        InvalidInput: an arrow without a name beside it, or something that is no arrow.

    Example:
        >>> read_arrows("Z -> T -> Y, Z -> Y").edges
        (('Z', 'T'), ('T', 'Y'), ('Z', 'Y'))
    """
    found, chain = _Collector(), _Chain()
    for match in _LINE.finditer(text):
        if match["end"]:
            found.take(chain.done(text))
            chain = _Chain()
        elif match["arrow"]:
            chain.arrow(match["arrow"], text)
        elif match["quoted"] is not None or match["name"].strip():
            name = match["quoted"] if match["quoted"] is not None else match["name"].strip()
            if match["quoted"] is None and _NO_ARROW.search(name):
                raise InvalidInput(f"graph: {name!r} holds no arrow; expected A -> B, A <- B or A <-> B.")
            chain.group((name,), text)
    found.take(chain.done(text))
    return found.written()


def is_dot(text: str) -> bool:
    """True of a text that begins as DOT or dagitty does."""
    return _DOT_HEAD.match(text) is not None


def read_dot(text: str) -> GraphText:
    """A ``digraph`` of DOT, or a ``dag`` as dagitty writes it; ``[latent]`` marks the unobserved.

    Raises:
        InvalidInput: an undirected graph or edge, or something that is no DOT.

    Example:
        >>> read_dot('digraph { U [latent]; U -> {T Y}; T -> Y; }').edges
        (('U', 'T'), ('U', 'Y'), ('T', 'Y'))
    """
    head = _DOT_HEAD.match(text)
    if head is None or head[1].lower() == "graph":
        raise InvalidInput("graph: an undirected 'graph'; expected 'digraph', whose edges are arrows.")
    tokens = _dot_tokens(_DOT_COMMENT.sub(" ", text[head.end() :]), text)
    found, chain, at = _Collector(), _Chain(), 0
    while at < len(tokens):
        kind, value = tokens[at]
        after = tokens[at + 1] if at + 1 < len(tokens) else ("", "")
        at += 1
        if kind == "attributes":
            found.mark(chain, value)
        elif kind == "arrow":
            chain.arrow(value, text)
        elif value == "{" and kind == "mark":
            end = next((i for i in range(at, len(tokens)) if tokens[i] == ("mark", "}")), len(tokens))
            names = tuple(v for k, v in tokens[at:end] if k == "name")
            chain = found.next(chain, text)
            chain.group(names, text)
            at = end + 1
        elif kind == "mark":
            found.take(chain.done(text))
            chain = _Chain()
        elif after == ("mark", "="):  # a setting of the drawing, such as rankdir=LR
            at += 2
        elif not (value.lower() in ("node", "edge", "graph") and after[0] == "attributes"):
            chain = found.next(chain, text)
            chain.group((value,), text)
        else:
            at += 1
    found.take(chain.done(text))
    return found.written()


class _Chain:
    """One statement while it is read: groups of names with arrows between them."""

    def __init__(self) -> None:
        self.groups: list[tuple[str, ...]] = []
        self.arrows: list[str] = []

    @property
    def waiting(self) -> bool:
        """True while an arrow waits for the name it points to."""
        return bool(self.groups) and len(self.arrows) == len(self.groups)

    def arrow(self, sign: str, text: str) -> None:
        if sign not in _ARROWS:
            raise InvalidInput(f"graph: {sign!r} has no direction; expected ->, <- or <->.")
        if len(self.groups) != len(self.arrows) + 1:
            raise InvalidInput(
                f"graph: an arrow without a name before it in {_short(text)}; expected A -> B."
            )
        self.arrows.append(_ARROWS[sign])

    def group(self, names: tuple[str, ...], text: str) -> None:
        if self.groups and not self.waiting:
            raise InvalidInput(
                f"graph: two names without an arrow or comma in {_short(text)}; expected A -> B."
            )
        if not all(names):
            raise InvalidInput(f"graph: an empty name in {_short(text)}; expected a name.")
        self.groups.append(names)

    def done(self, text: str) -> _Chain:
        if self.waiting:
            raise InvalidInput(f"graph: an arrow without a name after it in {_short(text)}; expected A -> B.")
        return self


class _Collector:
    """Names and edges that were read so far."""

    def __init__(self) -> None:
        self.nodes: dict[str, None] = {}
        self.edges: dict[tuple[str, str], None] = {}
        self.two_headed: dict[tuple[str, str], None] = {}
        self.latent: dict[str, None] = {}

    def take(self, chain: _Chain) -> None:
        for names in chain.groups:
            self.nodes.update(dict.fromkeys(names))
        for i, sign in enumerate(chain.arrows):
            for a in chain.groups[i]:
                for b in chain.groups[i + 1]:
                    if sign == "<->":
                        self.two_headed[(a, b)] = None
                    else:
                        self.edges[(a, b) if sign == "->" else (b, a)] = None

    def next(self, chain: _Chain, text: str) -> _Chain:
        """The chain to go on with: in DOT a name after a name begins a new statement."""
        if chain.waiting or not chain.groups:
            return chain
        self.take(chain.done(text))
        return _Chain()

    def mark(self, chain: _Chain, attributes: str) -> None:
        if len(chain.groups) == 1 and _DOT_LATENT.search(attributes):
            self.latent.update(dict.fromkeys(chain.groups[0]))
        if chain.arrows and _DOT_BOTH.search(attributes):
            chain.arrows[:] = ["<->"] * len(chain.arrows)

    def written(self) -> GraphText:
        return GraphText(tuple(self.nodes), tuple(self.edges), tuple(self.two_headed), tuple(self.latent))


def _dot_tokens(body: str, text: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    while at < len(body):
        match = _DOT_TOKEN.match(body, at)
        if match is None:
            raise InvalidInput(f"graph: {body[at : at + 20]!r} is no DOT; expected digraph {{ A -> B; }}.")
        at = match.end()
        if match.lastgroup == "quoted":
            tokens.append(("name", match["quoted"]))
        elif match.lastgroup is not None:
            tokens.append((match.lastgroup, match[match.lastgroup]))
    if ("mark", "}") not in tokens:
        raise InvalidInput(f"graph: no closing brace in {_short(text)}; expected digraph {{ A -> B; }}.")
    return tokens


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")

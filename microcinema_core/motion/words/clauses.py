"""A prompt's words in their clauses, with where they stand; it knows no camera. Linear in time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# A word with its apostrophes, a number, a mark that ends a clause, or a sign that counts as a word. Hyphens are spaces.
TOKEN = re.compile(
    r"(?P<word>[^\W\d_]+(?:['\u2019\u02bc][^\W\d_]+)*)"
    r"|(?P<number>[0-9]{1,9}(?:[.,][0-9]{1,9})?)"
    r"|(?P<dash>(?<=\s)[-\u2010](?=\s)|--+)"
    r"|(?P<stop>[.!?;:,\n()\[\]{}<>|/\"\u201c\u201d\u00ab\u00bb\u2012-\u2015\u2026\u3001\u3002\uff0c])"
    r"|(?P<sign>[%\u00b0\u00d7&])"
)
SENTENCE_ENDS = frozenset(".!?;\u2026\u3002")
# What opens a new clause within a sentence. "that" and "to" do not: what follows them belongs to what stands before.
CONJUNCTIONS = frozenset(
    [
        "and",
        "&",
        "then",
        "while",
        "whilst",
        "as",
        "but",
        "before",
        "after",
        "until",
        "till",
        "with",
        "when",
        "or",
        "nor",
        "plus",
        "though",
    ]
)
CONTRACTED = {"n't": " not", "'re": " are", "'ll": " will", "'ve": " have", "'d": " would", "'s": ""}
EXPANDED = {"can't": "can not", "cannot": "can not", "won't": "will not", "shan't": "will not"}


@dataclass(frozen=True, slots=True)
class Token:
    """One word or number. word: in lower case, with a plain apostrophe and no genitive; start, end: in the text."""

    word: str
    start: int
    end: int
    number: float | None = None


@dataclass(frozen=True, slots=True)
class Clause:
    """Words between two marks or conjunctions. joint: what stands before it: `.`, `:`, `,` or a conjunction.

    opener: the conjunction just before it, also where a sentence begins with it.
    """

    tokens: tuple[Token, ...]
    joint: str
    opener: str = ""


def tokens_of(text: str) -> Iterator[Token | str]:
    """Words and numbers, and between them the marks that end a clause: `.`, `:` or `,`."""
    for found in TOKEN.finditer(text):
        start, end = found.span()
        match found.lastgroup:
            case "word":
                yield from _words(found[0], start, end)
            case "number":
                yield Token(found[0], start, end, float(found[0].replace(",", ".")))
            case "sign":
                yield Token(found[0], start, end)
            case "dash":
                yield ","
            case _:
                yield "." if found[0] in SENTENCE_ENDS else ":" if found[0] == ":" else ","


def clauses_of(text: str) -> Iterator[Clause]:
    """The text's clauses in their order; none is empty."""
    joint, opener, held = ".", "", list[Token]()
    for token in tokens_of(text):
        mark = token if isinstance(token, str) else token.word
        if isinstance(token, Token) and mark not in CONJUNCTIONS:
            held.append(token)
            continue
        if held:
            yield Clause(tuple(held), joint, opener)
            joint, held = mark, []
        elif joint not in (".", ":"):
            joint = joint if mark == "," else mark
        opener = mark if isinstance(token, Token) else ""
    if held:
        yield Clause(tuple(held), joint, opener)


def _words(text: str, start: int, end: int) -> Iterator[Token]:
    """One token, or two where a negation is contracted: both then have the whole word's place."""
    word = text.casefold().replace("\u2019", "'").replace("\u02bc", "'")
    word = EXPANDED.get(word, word)
    for suffix, whole in CONTRACTED.items():
        word = word.removesuffix(suffix) + whole if word.endswith(suffix) else word
    for part in word.split(" "):
        yield Token(part, start, end)

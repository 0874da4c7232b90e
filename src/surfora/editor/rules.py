"""Rules that choose points by their numbers, such as ``distance_to_ER_nm < 25 & boundary_distance_nm > 5``.

A small language of its own, read by recursive descent; nothing of it is ever run as Python.

    rule  = term { ("|" | "or") term }
    term  = part { ("&" | "and") part }
    part  = ("~" | "not") part | "(" rule ")" | comparison
    comparison = value ("<" | "<=" | ">" | ">=" | "==" | "!=") value { another such pair }
    value = number | name of an array, in `backticks` where it has other signs than letters, digits and _
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surfora.geometry.arrays import Mask
from tomocore.contract import InputError

LONGEST = 2000
"""Signs that a rule may have."""
DEEPEST = 50
"""Brackets within brackets."""
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "=": operator.eq,
    "!=": operator.ne,
}
TOKEN = re.compile(
    r"\s*(?:(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
    r"|(?P<name>[^\W\d]\w*)|`(?P<quoted>[^`]+)`|(?P<sign><=|>=|==|!=|&&|\|\||[<>=&|~!()]))"
)
WORDS = {"and": "&", "or": "|", "not": "~", "&&": "&", "||": "|", "!": "~"}

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


def points_by_rule(rule: str, arrays: Arrays, count: int) -> Mask:
    """Which of ``count`` points a rule holds for; where a value is NaN, no comparison does.

    arrays: one number a point (n,) by name. Raises InputError, with the place, for what is no rule, and for
    names that there are not, with those that come nearest.
    """
    return _Rule(rule, arrays, count).points()


class _Rule:
    """A rule being read, token by token, against the arrays that it speaks of."""

    def __init__(self, text: str, arrays: Arrays, count: int) -> None:
        if len(text) > LONGEST:
            raise InputError(f"a rule of {len(text)} signs is too long; {LONGEST} are allowed")
        self.text, self.arrays, self.count = text, arrays, count
        self.tokens = _tokens(text)
        self.next, self.depth = 0, 0

    def points(self) -> Mask:
        """The points that the whole rule holds for."""
        found = self._any()
        if self._peek().kind != "end":
            raise self._error(f"'{self._peek().text}' was not expected here")
        return found

    def _any(self) -> Mask:
        found = self._all()
        while self._taken("|"):
            found = found | self._all()
        return found

    def _all(self) -> Mask:
        found = self._part()
        while self._taken("&"):
            found = found & self._part()
        return found

    def _part(self) -> Mask:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self._error("too many brackets within brackets")
        if self._taken("~"):
            found = ~self._part()
        elif self._taken("("):
            found = self._any()
            if not self._taken(")"):
                raise self._error("a closing bracket is missing")
        else:
            found = self._comparison()
        self.depth -= 1
        return found

    def _comparison(self) -> Mask:
        left = self._value()
        if self._peek().text not in COMPARISONS:
            raise self._error("a comparison (<, <=, >, >=, ==, !=) is missing")
        found = np.ones(self.count, dtype=bool)
        while self._peek().text in COMPARISONS:
            compare = COMPARISONS[self._take().text]
            right = self._value()
            found &= compare(left, right) & np.isfinite(left) & np.isfinite(right)
            left = right
        return found

    def _value(self) -> Any:
        token = self._take()
        if token.kind == "number":
            return float(token.text)
        if token.kind != "name":
            raise self._error("a name or a number is missing", token.at)
        if token.text not in self.arrays:
            raise InputError(self._unknown(token.text))
        values = self.arrays[token.text]
        if values.ndim != 1:
            raise InputError(
                f"{token.text} has {values.shape[1]} numbers a point; a rule compares single ones"
            )
        return values.astype(np.float64) if values.dtype.kind in "biu" else values

    def _unknown(self, name: str) -> str:
        close = difflib.get_close_matches(name, self.arrays, n=3)
        known = ", ".join(close or sorted(self.arrays)[:12])
        return f"there is no array '{name}'; " + (f"did you mean {known}?" if close else f"there are {known}")

    def _peek(self) -> _Token:
        return self.tokens[self.next]

    def _take(self) -> _Token:
        token = self.tokens[self.next]
        self.next = min(self.next + 1, len(self.tokens) - 1)
        return token

    def _taken(self, text: str) -> bool:
        if self._peek().kind == "sign" and self._peek().text == text:
            self.next += 1
            return True
        return False

    def _error(self, what: str, at: int | None = None) -> InputError:
        place = self._peek().at if at is None else at
        where = f"after '{self.text[:place].rstrip()}'" if self.text[:place].strip() else "at its beginning"
        return InputError(
            f"the rule cannot be read {where}: {what}; write as in distance_to_ER_nm < 25 & x_nm > 5"
        )


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    body = text.rstrip()
    while at < len(body):
        match = TOKEN.match(body, at)
        if match is None:
            raise InputError(
                f"the rule has a sign that means nothing in it: '{body[at:].strip()[:1]}'; mend it"
            )
        kind, word = next((k, v) for k, v in match.groupdict().items() if v is not None)
        if kind == "name" and word.lower() in ("and", "or", "not"):
            kind, word = "sign", word.lower()
        kind = "name" if kind == "quoted" else kind
        found.append(_Token(kind, WORDS.get(word, word) if kind == "sign" else word, match.start()))
        at = match.end()
    return [*found, _Token("end", "", len(body))]

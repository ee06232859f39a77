"""`$filter`: a parser, the limits of contract section 3, and a search that uses the indexes."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from app.sandbox.erp.errors import Refusal, bad_request
from app.sandbox.erp.ledger import Row, Table
from app.sandbox.erp.schema import Entity, Property
from app.sandbox.erp.values import parse_datetime

NODE_LIMIT = 100
_DEPTH_LIMIT = 50

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<enum>[A-Za-z_][\w.]*'(?:[^']|'')*')
  | (?P<string>'(?:[^']|'')*')
  | (?P<datetime>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)?)
  | (?P<guid>[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})
  | (?P<date>\d{4}-\d\d-\d\d(?![\w-]))
  | (?P<number>-?\d+(?:\.\d+)?(?![\w.]))
  | (?P<name>[A-Za-z_][\w.]*(?:/\w+)*)
  | (?P<mark>[(),:])
    )""",
    re.VERBOSE,
)

Operator = Literal["eq", "ne", "gt", "ge", "lt", "le", "contains", "startswith", "endswith"]
_COMPARISONS = ("eq", "ne", "gt", "ge", "lt", "le")
_SEARCHES = ("contains", "startswith", "endswith")
_FOLDS = ("tolower", "toupper")
_LITERALS = ("enum", "string", "datetime", "guid", "date", "number")
_EDM = {
    "guid": "Edm.Guid", "text": "Edm.String", "code": "Edm.String", "enum": "Edm.String",
    "decimal": "Edm.Decimal", "integer": "Edm.Int32", "boolean": "Edm.Boolean", "date": "Edm.Date",
    "datetime": "Edm.DateTimeOffset",
}  # fmt: skip
_LITERAL_EDM = {
    "string": "Edm.String", "datetime": "Edm.DateTimeOffset", "guid": "Edm.Guid", "date": "Edm.Date",
    "number": "Edm.Decimal", "boolean": "Edm.Boolean", "null": "null",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Compare:
    """A field, perhaps folded, against a literal."""

    field: str
    fold: str
    operator: Operator
    value: Any


@dataclass(frozen=True, slots=True)
class Both:
    """`and`."""

    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Either:
    """`or`."""

    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Everything:
    """No condition: an empty filter, or a lambda, which is ignored and not refused (section 3)."""


Node = Compare | Both | Either | Everything


@dataclass(frozen=True, slots=True)
class FilterRules:
    """What this server allows beyond the contract, or refuses beyond it."""

    or_across_fields: bool = False
    code_length_checked: bool = False


class _Parser:
    def __init__(self, text: str, entity: Entity, rules: FilterRules) -> None:
        self._text = text
        self._entity = entity
        self._rules = rules
        self._tokens = _tokens(text)
        self._at = 0
        self._nodes = 0
        self._depth = 0

    def parse(self) -> Node:
        node = self._either()
        if self._at < len(self._tokens):
            raise self._syntax()
        return node

    def _either(self) -> Node:
        node = self._both()
        while self._takes("or"):
            self._count(1)
            node = Either(node, self._both())
            if len(_fields(node)) > 1 and not self._rules.or_across_fields:
                raise bad_request("The 'OR' operator is not supported on distinct fields on an OData filter.")
        return node

    def _both(self) -> Node:
        node = self._condition()
        while self._takes("and"):
            self._count(1)
            node = Both(node, self._condition())
        return node

    def _condition(self) -> Node:
        if self._takes("("):
            self._depth += 1
            if self._depth > _DEPTH_LIMIT:
                raise bad_request("The filter is nested too deeply.")
            node = self._either()
            self._expect(")")
            self._depth -= 1
            return node
        kind, word = self._peek()
        if kind != "name":
            raise self._syntax()
        if word.endswith(("/any", "/all")):
            return self._lambda()
        if word in _SEARCHES:
            return self._search()
        return self._comparison()

    def _lambda(self) -> Node:
        self._at += 1
        self._expect("(")
        depth = 1
        while depth:
            kind, word = self._next()
            if kind == "mark":
                depth += {"(": 1, ")": -1}.get(word, 0)
        return Everything()

    def _search(self) -> Node:
        word = self._next()[1]
        self._count(1)
        self._expect("(")
        prop, fold = self._operand()
        self._expect(",")
        value = self._literal(prop, fold)
        self._expect(")")
        if prop.kind not in {"text", "code"}:
            raise bad_request(f"The function '{word}' needs a text, '{prop.name}' is none.")
        if self._takes("eq") and self._next()[1] != "true":
            raise self._syntax()
        return Compare(prop.name, fold, word, value)  # type: ignore[arg-type]

    def _comparison(self) -> Node:
        prop, fold = self._operand()
        word = self._next()[1]
        if word == "in":
            raise bad_request("The 'in' operator is only supported with $schemaversion=2.1.")
        if word not in _COMPARISONS:
            raise self._syntax()
        self._count(1)
        return Compare(prop.name, fold, word, self._literal(prop, fold))  # type: ignore[arg-type]

    def _operand(self) -> tuple[Property, str]:
        kind, word = self._next()
        fold = ""
        if word in _FOLDS:
            fold = word
            self._count(1)
            self._expect("(")
            kind, word = self._next()
            self._expect(")")
        if kind != "name":
            raise self._syntax()
        prop = self._entity.properties.get(word)
        if prop is None:
            raise bad_request(
                f"Could not find a property named '{word}' on type 'Microsoft.NAV.{self._entity.type_name}'.",
                code="BadRequest_NotFound",
            )
        if fold and prop.kind not in {"text", "code"}:
            raise bad_request(f"The function '{fold}' needs a text, '{word}' is none.")
        # A property is two nodes: itself, and the row it is read from (section 3, "how many or").
        self._count(2)
        return prop, fold

    def _literal(self, prop: Property, fold: str) -> Any:
        self._count(1)
        kind, word = self._next()
        if kind == "name" and word in {"true", "false", "null"}:
            kind = "null" if word == "null" else "boolean"
        elif kind not in _LITERALS:
            raise self._syntax()
        if kind == "enum":
            kind, word = "string", word[word.index("'") :]
        if kind == "null":
            return None
        return self._typed(prop, fold, kind, word)

    def _typed(self, prop: Property, fold: str, kind: str, word: str) -> Any:
        match kind, prop.kind:
            case "string", "text" | "code" | "enum":
                return self._text_literal(prop, fold, word[1:-1].replace("''", "'"))
            case "number", "decimal" | "integer":
                if "." not in word and prop.kind == "decimal":
                    self._count(1)
                return Decimal(word)
            case "guid", "guid":
                return word.lower()
            case "boolean", "boolean":
                return word == "true"
            case "date", "date":
                return word
            case "datetime" | "date", "datetime":
                try:
                    return parse_datetime(word)
                except ValueError as error:
                    raise self._syntax() from error
        raise bad_request(
            "A binary operator with incompatible types was detected. Found operand types "
            f"'{_EDM[prop.kind]}' and '{_LITERAL_EDM[kind]}' for the property '{prop.name}'."
        )

    def _text_literal(self, prop: Property, fold: str, text: str) -> str:
        if prop.kind == "enum":
            if text not in prop.spellings:
                raise bad_request(f"The string '{text}' is not valid for enumeration '{prop.name}'.")
            return prop.spellings[text]
        if prop.kind == "code" and self._rules.code_length_checked and len(text) > prop.limit:
            raise Refusal(
                400,
                "Application_FilterErrorException",
                f"The filter \"='{text}'\" is not valid for the {prop.name} field on the "
                f"{self._entity.table} table. The length of the string is {len(text)}, but it must be less "
                f"than or equal to {prop.limit} characters. Value: {text}",
            )
        # Code fields are stored upper-case and compared upper-case (section 2, items).
        return text.upper() if prop.kind == "code" and not fold else text

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > NODE_LIMIT:
            raise bad_request(
                f"The node count limit of '{NODE_LIMIT}' has been exceeded. To increase the limit, set the "
                "'MaxNodeCount' property on EnableQueryAttribute or ODataValidationSettings."
            )

    def _peek(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise self._syntax()
        return self._tokens[self._at]

    def _next(self) -> tuple[str, str]:
        token = self._peek()
        self._at += 1
        return token

    def _takes(self, word: str) -> bool:
        found = self._at < len(self._tokens) and self._tokens[self._at] in {("name", word), ("mark", word)}
        self._at += found
        return found

    def _expect(self, word: str) -> None:
        if not self._takes(word):
            raise self._syntax()

    def _syntax(self) -> Refusal:
        return bad_request(
            f"Bad Request - Error in query syntax: '{self._text}'.", code="BadRequest_NotFound"
        )


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    at = 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise bad_request(
                f"Bad Request - Error in query syntax at position {at} in '{text}'.",
                code="BadRequest_NotFound",
            )
        tokens.append((match.lastgroup, match.group(match.lastgroup)))
        at = match.end()
    return tokens


def _fields(node: Node) -> set[str]:
    match node:
        case Compare():
            return {node.field}
        case Both() | Either():
            return _fields(node.left) | _fields(node.right)
        case Everything():
            return set()


def parse_filter(text: str, entity: Entity, rules: FilterRules) -> Node:
    """Parse a `$filter`, or refuse it as section 3 says."""
    return _Parser(text, entity, rules).parse() if text.strip() else Everything()


_TESTS: Mapping[Operator, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
    "contains": lambda found, value: value in found,
    "startswith": lambda found, value: bool(found.startswith(value)),
    "endswith": lambda found, value: bool(found.endswith(value)),
}


def _test(node: Compare) -> Callable[[Any], bool]:
    value = node.value
    if value is None:
        return lambda _: node.operator == "ne"
    test = _TESTS[node.operator]
    return lambda found: test(found, value)


def _predicate(node: Node) -> Callable[[dict[str, Any]], bool]:
    match node:
        case Compare():
            test, name = _test(node), node.field
            if node.fold == "tolower":
                return lambda values: test(values[name].lower())
            if node.fold == "toupper":
                return lambda values: test(values[name].upper())
            return lambda values: test(values[name])
        case Both():
            left, right = _predicate(node.left), _predicate(node.right)
            return lambda values: left(values) and right(values)
        case Either():
            left, right = _predicate(node.left), _predicate(node.right)
            return lambda values: left(values) or right(values)
        case Everything():
            return lambda _: True


def _lookups(node: Node, table: Table) -> list[tuple[str, Any]] | None:
    match node:
        case Compare() if node.operator == "eq" and node.value is not None:
            name = f"{node.fold}({node.field})" if node.fold else node.field
            return [(name, node.value)] if table.is_indexed(name) else None
        case Both():
            left, right = _lookups(node.left, table), _lookups(node.right, table)
            return right if left is None else left
        case Either():
            left, right = _lookups(node.left, table), _lookups(node.right, table)
            return None if left is None or right is None else left + right
        case _:
            return None


def search(node: Node, table: Table) -> list[Row]:
    """The rows that meet the filter, oldest first; `eq` and `or` on an indexed field read no other row."""
    lookups = _lookups(node, table)
    if lookups is None:
        rows = table.rows()
    else:
        found = {row.id: row for name, value in lookups for row in table.find(name, value)}
        rows = sorted(found.values(), key=lambda row: row.serial)
    keep = _predicate(node)
    return [row for row in rows if keep(row.values)]

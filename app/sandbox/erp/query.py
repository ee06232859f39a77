"""The query string, read raw and strictly (contract section 3, "text")."""

from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from app.sandbox.erp.errors import bad_request

_KNOWN = (
    "$filter", "$top", "$skip", "$orderby", "$select", "$expand", "$count", "$skiptoken", "$schemaversion"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Expansion:
    """One name in `$expand`, with the properties chosen inside its parentheses."""

    name: str
    select: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """The options of one request. `company` is the custom parameter of section 1."""

    filter: str = ""
    top: int | None = None
    skip: int = 0
    orderby: tuple[tuple[str, bool], ...] = ()
    select: tuple[str, ...] = ()
    expand: tuple[Expansion, ...] = ()
    count: bool = False
    skiptoken: str = ""
    company: str = ""
    options: dict[str, str] = field(default_factory=dict)

    def with_page(self, *, skiptoken: str, top: int | None) -> str:
        """This query's string again for the next page, percent-encoded (section 3, "paging")."""
        kept = {k: v for k, v in self.options.items() if k not in {"$skip", "$top", "$skiptoken"}}
        if top is not None:
            kept["$top"] = str(top)
        kept["$skiptoken"] = skiptoken
        return "&".join(f"{quote(k, safe='$')}={quote(v, safe='')}" for k, v in kept.items())


def _options(raw: str, *, strict: bool) -> dict[str, str]:
    if "+" in raw:
        if strict:
            raise bad_request(
                "The query string holds a '+', which is no blank in OData; write '%20', or '%2B' for a plus.",
                code="BadRequest_InvalidRequestUrl",
            )
        raw = raw.replace("+", "%20")
    options: dict[str, str] = {}
    for part in filter(None, raw.split("&")):
        name, _, value = part.partition("=")
        try:
            name, value = unquote(name, errors="strict"), unquote(value, errors="strict")
        except UnicodeDecodeError as error:
            raise bad_request(
                "The query string is not UTF-8.", code="BadRequest_InvalidRequestUrl"
            ) from error
        if name.startswith("$") and name not in _KNOWN:
            raise bad_request(f"The query parameter '{name}' is not supported.", code="BadRequest_NotFound")
        if name in options:
            raise bad_request(f"Query option '{name}' was specified more than once.")
        options[name] = value
    return options


def _number(options: dict[str, str], name: str) -> int | None:
    text = options.get(name)
    if text is None:
        return None
    if not text.isdigit():
        raise bad_request(f"Invalid value '{text}' for {name} query option found.")
    return int(text)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _orderby(text: str) -> tuple[tuple[str, bool], ...]:
    orders: list[tuple[str, bool]] = []
    for part in _names(text):
        name, *direction = part.split()
        if direction not in ([], ["asc"], ["desc"]):
            raise bad_request(f"Syntax error in $orderby near '{part}'.", code="BadRequest_NotFound")
        orders.append((name, direction == ["desc"]))
    return tuple(orders)


def _expand(text: str) -> tuple[Expansion, ...]:
    parts: list[str] = [""]
    depth = 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    expansions: list[Expansion] = []
    for part in filter(None, (p.strip() for p in parts)):
        name, opening, inner = part.partition("(")
        inner = inner.removesuffix(")")
        if opening and not inner.startswith("$select="):
            raise bad_request(f"The option '{inner}' inside $expand is not supported.")
        expansions.append(Expansion(name, _names(inner.removeprefix("$select="))))
    return tuple(expansions)


def parse_query(raw: str, *, strict: bool) -> Query:
    """Read a raw query string. `strict` refuses a literal `+`, as a strict server does."""
    options = _options(raw, strict=strict)
    return Query(
        filter=options.get("$filter", ""),
        top=_number(options, "$top"),
        skip=_number(options, "$skip") or 0,
        orderby=_orderby(options.get("$orderby", "")),
        select=_names(options.get("$select", "")),
        expand=_expand(options.get("$expand", "")),
        count=options.get("$count", "false").lower() == "true",
        skiptoken=options.get("$skiptoken", ""),
        company=options.get("company", ""),
        options=options,
    )

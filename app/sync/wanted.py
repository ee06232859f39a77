"""What a person wants of a site or an ERP that is connected already, put together with what is stored of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.errors import Misconfigured
from app.ports.connector import Connector
from app.ports.store import ErpRow, Site
from app.sync import systems
from app.sync.parts import Parts
from app.sync.setting_texts import retyped


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person typed to change a site or an ERP; what is None or not in a mapping stays as it is.

    An empty credential is taken away, an empty setting set back to its default. `moved`: the new address is the same
    system's, so that what was read from it, or written to it, counts there too.
    """

    url: str | None = None
    allow_private: bool | None = None
    credentials: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    moved: bool = False

    @property
    def anything(self) -> bool:
        """Whether there is anything to change."""
        return bool(
            self.url is not None or self.allow_private is not None or self.credentials or self.settings
        )


class Change:
    """What a person wants, put together with what is stored; checked as if it were added."""

    def __init__(self, parts: Parts, row: Site | ErpRow, connector: Connector, wanted: Wanted) -> None:
        self.wanted = wanted
        self.url = row.url if wanted.url is None else wanted.url.rstrip("/")
        self._parts = parts
        self._row = row
        self._connector = connector
        systems.check_credentials(connector, wanted.credentials)
        self._allow_private = row.allow_private if wanted.allow_private is None else wanted.allow_private
        self._stored: dict[str, str] = {}
        self._credentials: dict[str, str] = {}
        if wanted.url is not None or wanted.allow_private is not None or wanted.credentials:
            self._stored = self._opened()
            merged = {**self._stored, **wanted.credentials}
            self._credentials = {key: value for key, value in merged.items() if value}
            systems.check_addresses(parts, self.url, self._credentials, allow_private=self._allow_private)
        self.is_elsewhere = systems.place(self.url) != systems.place(row.url)

    def _opened(self) -> dict[str, str]:
        """The stored credentials; nothing where every one is named anew, so that a lost key can be got over."""
        if set(self.wanted.credentials) == set(self._connector.credentials):
            return {}
        try:
            return self._parts.peers.decrypt(self._row.credentials, name=self._row.name)
        except Misconfigured as error:
            names = " ".join(f"--credential {name}=..." for name in self._connector.credentials)
            raise Misconfigured(
                f"{error.reason} Or name all of them anew, empty where there is none: {names}"
            ) from None

    def encrypted(self) -> str | None:
        """The credentials as they are stored, where any is named."""
        return self._parts.peers.encrypt(self._credentials) if self.wanted.credentials else None

    def typed_settings(self, *, defaults: Mapping[str, Any]) -> dict[str, str]:
        """All settings as a person would type them after the change."""
        stored, changes = self._row.settings, self.wanted.settings
        return retyped(stored, changes, defaults=defaults, platform=self._connector.setting_text)

    def what(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """What differs from before, in words that name no secret. A setting of a later version is first stored now as it was."""
        asked = self.wanted.settings
        before = {
            **{key: None if key in asked else value for key, value in settings.items()},
            **self._row.settings,
        }
        return (
            *(["url"] if self.url != self._row.url else []),
            *(["allow-private"] if self._allow_private != self._row.allow_private else []),
            *(
                f"credential {name}"
                for name in sorted(self.wanted.credentials)
                if self.wanted.credentials[name] != self._stored.get(name, "")
            ),
            *(key for key in sorted(before) if before[key] != settings.get(key)),
        )

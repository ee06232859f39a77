"""The use-cases of people's doors: accounts, what was done by whom, and what people look at and look for."""

from app.sync.panel.parts import Panel

__all__ = ["Panel"]

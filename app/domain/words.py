"""Numbers in sentences."""


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 kit, 2 kits."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

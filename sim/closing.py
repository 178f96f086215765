"""What is closed by hand, or at the end of a block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

_Own = TypeVar("_Own")


class Closing(ABC):
    """Something that holds a server, a file, a window: `with` closes it."""

    @abstractmethod
    def close(self) -> None:
        """Give back what it holds. Closing twice is fine."""

    def __enter__(self: _Own) -> _Own:
        """The thing itself."""
        return self

    def __exit__(self, *details: object) -> None:
        """Close it."""
        self.close()

"""`Record`: named values, declared as a dataclass declares them.

Python compiles the methods of a dataclass or of a named tuple when its module is imported. For the classes with many fields that
every start of pytest needs (the settings) that was a tenth of what this plugin adds to a start, and for the table of APIs a third
of what the first call of a run imports. Where that does not matter, a dataclass is the better choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self, dataclass_transform

__all__ = ["Record"]


@dataclass_transform(frozen_default=True)
class Record:
    """The fields are the annotations of the class; what they are set to there is their default.

    Records of one class are equal if their fields are. A field cannot be set again.
    """

    field_names: ClassVar[tuple[str, ...]]
    _defaults: ClassVar[Mapping[str, Any]]

    def __init_subclass__(cls) -> None:
        cls.field_names = tuple(cls.__annotations__)
        cls._defaults = {name: vars(cls)[name] for name in cls.field_names if name in vars(cls)}

    def __init__(self, *args: Any, **values: Any) -> None:
        """Take the fields in their order, or by name.

        Raises:
            TypeError: A field without a default is missing, or there is no such field.
        """
        names = self.field_names
        if len(args) > len(names):
            raise TypeError(f"{type(self).__name__} takes {len(names)} values, not {len(args)}")
        vars(self).update({**self._defaults, **dict(zip(names, args, strict=False)), **values})
        if vars(self).keys() != set(names):
            wrong = sorted(vars(self).keys() ^ set(names))
            raise TypeError(f"{type(self).__name__}: missing or not a field: {', '.join(wrong)}")

    def replace(self, **values: Any) -> Self:
        """The same with other values in some fields."""
        return type(self)(**{**self._values(), **values})

    def _values(self) -> dict[str, Any]:
        # Not all of `vars`: a cached property keeps its value there too.
        return {name: vars(self)[name] for name in self.field_names}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and type(self) is type(other) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), *self._values().values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._values().items())})"

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be set")

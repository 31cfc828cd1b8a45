"""How many associations there may be at once: over all, from one address, with one AE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, Protocol

from ulproxy.policy.model import ApplicationEntity, Limits

Key = tuple[str, str]  # what kind of limit, and whose
ALL: Final[Key] = "all", ""


class Counts(Protocol):
    """What is counted, over all processes of a relay; the shell implements it in memory that they share."""

    def enter(self, bounds: Mapping[Key, int | None]) -> Key | None:
        """Counts one more of each; or nothing where one has reached its bound, and says which."""

    def leave(self, keys: Iterable[Key]) -> None:
        """Counts one less of each."""


class MemoryCounts:
    """The counts of a process that is alone."""

    def __init__(self) -> None:
        self._count: dict[Key, int] = {}

    def enter(self, bounds: Mapping[Key, int | None]) -> Key | None:
        """See `Counts`."""
        for key, bound in bounds.items():
            if bound is not None and self._count.get(key, 0) >= bound:
                return key
        for key in bounds:
            self._count[key] = self._count.get(key, 0) + 1
        return None

    def leave(self, keys: Iterable[Key]) -> None:
        """See `Counts`."""
        for key in keys:
            self._count[key] -= 1
            if not self._count[key]:
                del self._count[key]


class Admitted(NamedTuple):
    """What one association counts for, to be given back when it ends."""

    keys: tuple[Key, ...]


class Admission:
    """The associations that are open now. `total`: those of this process."""

    def __init__(self, counts: Counts | None = None) -> None:
        """`counts` None = there is no other process."""
        self._counts = MemoryCounts() if counts is None else counts
        self.total = 0

    def enter(
        self,
        limits: Limits,
        source: str,
        caller: ApplicationEntity,
        callee: ApplicationEntity | None,
    ) -> Admitted | str:
        """Counts one more, or says which limit is reached; `callee` None = the relay itself."""
        bounds: dict[Key, int | None] = {
            ALL: limits.associations,
            ("source", source): limits.associations_per_source,
            ("from", caller.name): caller.associations,
        }
        if callee is not None:
            bounds["to", callee.name] = callee.associations
        return self._enter(bounds)

    def enter_leg(self, callee: ApplicationEntity) -> Admitted | str:
        """The same for one of several AEs that an association goes on to."""
        return self._enter({("to", callee.name): callee.associations})

    def _enter(self, bounds: dict[Key, int | None]) -> Admitted | str:
        reached = self._counts.enter(bounds)
        if reached is not None:
            bound, where = bounds[reached], " ".join(reached).rstrip()
            if bound is None:
                return f"there are too many associations to count ({where})"
            return f"limit of {bound} associations reached ({where})"
        self.total += ALL in bounds
        return Admitted(tuple(bounds))

    def leave(self, admitted: Admitted) -> None:
        """Counts one less."""
        self._counts.leave(admitted.keys)
        self.total -= ALL in admitted.keys

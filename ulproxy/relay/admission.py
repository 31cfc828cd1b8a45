"""How many associations there may be at once: over all, from one address, with one AE."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from ulproxy.policy.model import ApplicationEntity, Limits


class Admitted(NamedTuple):
    """What one association counts for, to be given back when it ends."""

    keys: tuple[tuple[str, str], ...]


class Admission:
    """The associations that are open now."""

    def __init__(self) -> None:
        self._count: Counter[tuple[str, str]] = Counter()

    def enter(
        self,
        limits: Limits,
        source: str,
        caller: ApplicationEntity,
        callee: ApplicationEntity | None,
    ) -> Admitted | str:
        """Counts one more, or says which limit is reached; `callee` None = the relay itself."""
        bounds: dict[tuple[str, str], int | None] = {
            ("all", ""): limits.associations,
            ("source", source): limits.associations_per_source,
            ("from", caller.name): caller.associations,
        }
        if callee is not None:
            bounds["to", callee.name] = callee.associations
        return self._enter(bounds)

    def enter_leg(self, callee: ApplicationEntity) -> Admitted | str:
        """The same for one of several AEs that an association goes on to."""
        return self._enter({("to", callee.name): callee.associations})

    def _enter(self, bounds: dict[tuple[str, str], int | None]) -> Admitted | str:
        for (kind, name), bound in bounds.items():
            if bound is not None and self._count[kind, name] >= bound:
                where = f"{kind} {name}".rstrip()
                return f"limit of {bound} associations reached ({where})"
        self._count.update(bounds.keys())
        return Admitted(tuple(bounds))

    def leave(self, admitted: Admitted) -> None:
        """Counts one less."""
        for key in admitted.keys:
            self._count[key] -= 1
            if not self._count[key]:
                del self._count[key]

    @property
    def total(self) -> int:
        """The associations that are open now."""
        return self._count["all", ""]

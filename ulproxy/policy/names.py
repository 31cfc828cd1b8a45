"""Who is called what, on which network (the contract's "What each side sees").

On its own network an AE is known by its title; on every other one by its alias or, without one, by
the relay's own title.
"""

from __future__ import annotations

from ulproxy.policy.model import ApplicationEntity, Config, Group


class RelayItself:
    """What a title stands for that nobody but the relay answers to."""


RELAY_ITSELF = RelayItself()


class Names:
    """The titles of a configuration, each found in one look-up."""

    def __init__(self, config: Config) -> None:
        self.relay_title = config.relay.title
        self._titles = {(ae.network, ae.title): ae for ae in config.aes}
        self._aliases = {ae.alias: ae for ae in config.aes if ae.alias is not None}
        self._groups = {group.title: group for group in config.groups}

    def caller(self, title: str, network: str) -> ApplicationEntity | None:
        """The AE that calls itself `title` on its own network."""
        return self._titles.get((network, title))

    def called(self, title: str, network: str) -> ApplicationEntity | Group | RelayItself | None:
        """Whom `title` means when said on `network`: titles there, aliases of others, groups, the relay."""
        if (own := self._titles.get((network, title))) is not None:
            return own
        other = self._aliases.get(title)
        if other is not None and other.network != network:
            return other
        if (group := self._groups.get(title)) is not None:
            return group
        return RELAY_ITSELF if title == self.relay_title else None

    def shown(self, ae: ApplicationEntity, network: str) -> str:
        """The title by which `network` knows `ae`."""
        return ae.title if ae.network == network else ae.alias or self.relay_title

    def is_hidden(self, ae: ApplicationEntity, network: str) -> bool:
        """Whether `network` knows `ae` by the relay's own title alone."""
        return ae.network != network and ae.alias in (None, self.relay_title)

    def translated(self, title: str, sender: ApplicationEntity, receiver: ApplicationEntity) -> str:
        """What `receiver` calls the AE that `sender` calls `title`.

        One that is not in the file is called as the sender is, since it is the sender that speaks of it. A
        title that several share means the receiver, if it is one of them.
        """
        ae = self.called(title, sender.network)
        if ae is None or isinstance(ae, ApplicationEntity):
            return self.shown(sender if ae is None else ae, receiver.network)
        is_member = isinstance(ae, Group) and receiver.name in ae.members
        is_behind = title == self.relay_title and self.is_hidden(receiver, sender.network)
        return receiver.title if is_member or is_behind else title

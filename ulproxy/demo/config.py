"""The two relays' configuration files, written for people who see one for the first time."""

import re
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

HOST: Final = "127.0.0.1"


@dataclass(frozen=True)
class Ports:
    """The six places where somebody listens."""

    station: int
    pacs: int
    a_inside: int
    a_outside: int
    b_inside: int
    b_outside: int


# The ports of a demonstration that has the machine for itself.
USUAL: Final = Ports(11120, 11220, 11112, 11114, 11212, 11214)

_A: Final = Template("""\
# Relay of hospital A. It stands between the network "inside", where the workstation is, and the network
# "outside", where hospital B is. Whatever no rule allows is refused.
#
# `ulproxy check FILE` validates it, `ulproxy explain FILE ...` says what it decides about an association.
# After an edit, kill -HUP the relay; a file that does not validate changes nothing.

[relay]
title = "HOSP_A"                     # the relay's own AE title; it answers a C-ECHO to it itself

# One listener a network. A caller is on the network whose listener it connects to.
[[listener]]
network = "inside"
bind = "$host:$a_inside"             # the hospital's own devices call here

[[listener]]
network = "outside"
bind = "$host:$a_outside"            # hospital B's relay calls here

# The workstation: one application entity of the inside.
[[ae]]
title = "WS1"                        # its AE title on its own network
network = "inside"
address = "$host:$station"           # where the relay calls it, when the PACS sends something
alias = "HA_WS1"                     # what other networks call it: they never see WS1
# sources = ["$host/32"]           where it may call from; left out = the host of its address

# The PACS of hospital B, as this hospital knows it: by hospital B's public name for it, at hospital B's
# relay. What it is called over there, and where it is, this file does not know.
[[ae]]
title = "HB_PACS"                    # what hospital B's relay calls it on the outside
network = "outside"
address = "$host:$b_outside"         # hospital B's relay
alias = "HB_PACS"                    # what our devices call it

# What is allowed: the workstation may do all this with the PACS.
[[rule]]
from = ["WS1"]
to = ["HB_PACS"]
services = ["echo", "store", "find", "move", "get"]
# destinations = ["WS1"]             where a move may send to; left out = the caller itself, nobody else
""")

_B: Final = Template("""\
# Relay of hospital B. The network "inside" has the PACS, the network "outside" has hospital A.
# It is the mirror image of relay A's file; the comments there say what each key means.

[relay]
title = "HOSP_B"

[[listener]]
network = "inside"
bind = "$host:$b_inside"             # the PACS calls here to send what a C-MOVE asked for

[[listener]]
network = "outside"
bind = "$host:$b_outside"            # hospital A's relay calls here

[[ae]]
title = "PACS_MAIN"                  # only this hospital knows this title
network = "inside"
address = "$host:$pacs"
alias = "HB_PACS"                    # what hospital A calls it
name = "PACS"                        # its name in this file's rules, in logs and metrics

# Hospital A's workstation, as this hospital knows it. The PACS has it in its list of peers as HA_WS1,
# at this relay's inside listener.
[[ae]]
title = "HA_WS1"
network = "outside"
address = "$host:$a_outside"         # hospital A's relay
alias = "HA_WS1"

# A `move` also allows the C-STORE sub-operations that it causes, on the association that the PACS opens
# for them; there is no rule from the PACS to the workstation, so it can send nothing else.
[[rule]]
from = ["HA_WS1"]
to = ["PACS"]
services = ["echo", "store", "find", "move", "get"]
""")


def write(folder: Path, ports: Ports) -> tuple[Path, Path]:
    """Write hospital A's and hospital B's file."""
    a, b = folder / "relay-a.toml", folder / "relay-b.toml"
    for path, template in ((a, _A), (b, _B)):
        path.write_text(_aligned(template.substitute(vars(ports), host=HOST)))
    return a, b


def _aligned(text: str) -> str:
    """The text with the comments behind values in one column again."""
    return re.sub(r"(?m)^([^#\s][^#\n]*?) +#", lambda found: f"{found[1]:<36} #", text)

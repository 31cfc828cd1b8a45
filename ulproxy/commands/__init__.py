"""The commands that show and edit the configuration file, in groups: `ulproxy ae`, `ulproxy rule`.

ae.py and rule.py have the calls, change.py the file, relations.py what the rules mean for one AE.
"""

from ulproxy.commands.ae import ae
from ulproxy.commands.rule import rule

GROUPS = (ae, rule)

"""The commands in groups: `ulproxy ae` and `ulproxy rule` for the configuration file, `ulproxy cert` for TLS.

ae.py, rule.py and cert.py have the calls, change.py the file, relations.py what the rules mean for one AE,
authority.py the CA.
"""

from ulproxy.commands.ae import ae
from ulproxy.commands.cert import cert
from ulproxy.commands.rule import rule

GROUPS = (ae, rule, cert)

"""Commands in modules of their own: `ulproxy ae` and `rule` for the file, `cert` for TLS, `conform`.

ae.py, rule.py, cert.py and conform.py have the calls, change.py the file, relations.py what the rules mean
for one AE, authority.py the CA, titles.py what several calls are given.
"""

from ulproxy.commands.ae import ae
from ulproxy.commands.cert import cert
from ulproxy.commands.conform import conform
from ulproxy.commands.rule import rule

COMMANDS = (ae, rule, cert, conform)

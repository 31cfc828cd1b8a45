"""`python -m ulproxy`."""

from ulproxy.cli import main

main(prog_name="ulproxy")

"""Which service a message belongs to, against what PS3.4 says of each SOP class."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom._uid_dict import UID_dictionary

from ulproxy.dimse.command import CommandField
from ulproxy.dimse.services import UNKNOWN, Service, names_aes, possible_services, service_of

COMMANDS = {
    "C-STORE": 0x0001,
    "C-GET": 0x0010,
    "C-FIND": 0x0020,
    "C-MOVE": 0x0021,
    "C-ECHO": 0x0030,
    "N-EVENT-REPORT": 0x0100,
    "N-GET": 0x0110,
    "N-SET": 0x0120,
    "N-ACTION": 0x0130,
    "N-CREATE": 0x0140,
    "N-DELETE": 0x0150,
}
# The abstract syntax, its annex of PS3.4, the service, and the commands that the annex gives it.
TABLE = """
1.2.840.10008.1.1               A   echo        C-ECHO
1.2.840.10008.5.1.4.1.1.1       B   store       C-STORE   # CR
1.2.840.10008.5.1.4.1.1.2       B   store       C-STORE   # CT
1.2.840.10008.5.1.4.1.1.2.1     B   store       C-STORE   # enhanced CT
1.2.840.10008.5.1.4.1.1.4       B   store       C-STORE   # MR
1.2.840.10008.5.1.4.1.1.6.1     B   store       C-STORE   # US
1.2.840.10008.5.1.4.1.1.7       B   store       C-STORE   # secondary capture
1.2.840.10008.5.1.4.1.1.9.1.1   B   store       C-STORE   # 12-lead ECG
1.2.840.10008.5.1.4.1.1.11.1    B   store       C-STORE   # presentation state
1.2.840.10008.5.1.4.1.1.66      B   store       C-STORE   # raw data
1.2.840.10008.5.1.4.1.1.77.1.6  B   store       C-STORE   # whole slide
1.2.840.10008.5.1.4.1.1.88.22   B   store       C-STORE   # SR
1.2.840.10008.5.1.4.1.1.88.67   B   store       C-STORE   # dose SR
1.2.840.10008.5.1.4.1.1.104.1   B   store       C-STORE   # PDF
1.2.840.10008.5.1.4.1.1.128     B   store       C-STORE   # PET
1.2.840.10008.5.1.4.1.1.200.1   B   store       C-STORE   # CT defined procedure protocol
1.2.840.10008.5.1.4.1.1.201.1   B   store       C-STORE   # inventory
1.2.840.10008.5.1.4.1.1.481.3   B   store       C-STORE   # RT structure set
1.2.840.10008.5.1.4.1.1.5       B   store       C-STORE   # NM, retired
1.2.840.10008.5.1.4.34.7        B   store       C-STORE   # RT beams delivery, among the UPS numbers
1.2.840.10008.5.1.1.27          B   store       C-STORE   # stored print, among the print numbers
1.2.840.10008.5.1.1.29          B   store       C-STORE   # hardcopy image, retired
1.2.840.10008.5.1.4.38.1        GG  store       C-STORE   # hanging protocol
1.2.840.10008.5.1.4.39.1        GG  store       C-STORE   # color palette
1.2.840.10008.5.1.4.43.1        GG  store       C-STORE   # implant template
1.2.840.10008.5.1.4.1.2.1.1     C   find        C-FIND    # patient root
1.2.840.10008.5.1.4.1.2.1.2     C   move        C-MOVE
1.2.840.10008.5.1.4.1.2.1.3     C   get         C-GET
1.2.840.10008.5.1.4.1.2.2.1     C   find        C-FIND    # study root
1.2.840.10008.5.1.4.1.2.2.2     C   move        C-MOVE
1.2.840.10008.5.1.4.1.2.2.3     C   get         C-GET
1.2.840.10008.5.1.4.1.2.3.1     C   find        C-FIND    # patient/study only, retired
1.2.840.10008.5.1.4.1.2.3.2     C   move        C-MOVE
1.2.840.10008.5.1.4.1.2.3.3     C   get         C-GET
1.2.840.10008.5.1.4.1.2.4.2     Y   move        C-MOVE    # composite instance root
1.2.840.10008.5.1.4.1.2.4.3     Y   get         C-GET
1.2.840.10008.5.1.4.1.2.5.3     Z   get         C-GET     # without bulk data
1.2.840.10008.5.1.4.38.2        U   find        C-FIND    # hanging protocol
1.2.840.10008.5.1.4.38.3        U   move        C-MOVE
1.2.840.10008.5.1.4.38.4        U   get         C-GET
1.2.840.10008.5.1.4.39.2        X   find        C-FIND    # color palette
1.2.840.10008.5.1.4.39.3        X   move        C-MOVE
1.2.840.10008.5.1.4.39.4        X   get         C-GET
1.2.840.10008.5.1.4.43.2        BB  find        C-FIND    # implant template
1.2.840.10008.5.1.4.20.1        HH  find        C-FIND    # defined procedure protocol
1.2.840.10008.5.1.4.20.2        HH  move        C-MOVE
1.2.840.10008.5.1.4.20.3        HH  get         C-GET
1.2.840.10008.5.1.4.1.1.200.4   II  find        C-FIND    # protocol approval
1.2.840.10008.5.1.4.1.1.201.2   KK  find        C-FIND    # inventory
1.2.840.10008.5.1.4.1.1.201.6   KK  find        C-FIND    # repository query
1.2.840.10008.5.1.4.37.1        Q   find        C-FIND    # relevant patient information
1.2.840.10008.5.1.4.37.3        Q   find        C-FIND
1.2.840.10008.5.1.4.41          V   find        C-FIND    # product characteristics
1.2.840.10008.5.1.4.42          W   find        C-FIND    # substance approval
1.2.840.10008.5.1.4.31          K   worklist    C-FIND    # modality worklist
1.2.840.10008.5.1.4.32.1        K   worklist    C-FIND    # general purpose, retired
1.2.840.10008.3.1.2.3.3         F   mpps        N-CREATE N-SET
1.2.840.10008.3.1.2.3.4         F   mpps        N-GET     # retrieve
1.2.840.10008.3.1.2.3.5         F   mpps        N-EVENT-REPORT  # notification
1.2.840.10008.1.20.1            J   commitment  N-ACTION N-EVENT-REPORT
1.2.840.10008.1.20.2            J   commitment  N-ACTION N-EVENT-REPORT  # pull, retired
1.2.840.10008.5.1.1.1           H   print       N-CREATE N-SET N-DELETE N-ACTION  # film session
1.2.840.10008.5.1.1.2           H   print       N-CREATE N-SET N-DELETE N-ACTION  # film box
1.2.840.10008.5.1.1.4           H   print       N-SET     # grayscale image box
1.2.840.10008.5.1.1.4.1         H   print       N-SET     # color image box
1.2.840.10008.5.1.1.9           H   print       N-CREATE N-SET N-GET N-ACTION N-DELETE N-EVENT-REPORT
1.2.840.10008.5.1.1.18          H   print       N-CREATE N-SET N-GET N-ACTION N-DELETE N-EVENT-REPORT
1.2.840.10008.5.1.1.14          H   print       N-EVENT-REPORT N-GET  # print job
1.2.840.10008.5.1.1.15          H   print       N-SET     # annotation box
1.2.840.10008.5.1.1.16          H   print       N-EVENT-REPORT N-GET  # printer
1.2.840.10008.5.1.1.16.376      H   print       N-GET     # printer configuration
1.2.840.10008.5.1.1.22          H   print       N-CREATE N-SET N-DELETE  # VOI LUT box
1.2.840.10008.5.1.1.23          H   print       N-CREATE N-DELETE  # presentation LUT
1.2.840.10008.5.1.4.34.6.1      CC  ups         N-CREATE N-GET N-ACTION  # push
1.2.840.10008.5.1.4.34.6.2      CC  ups         N-GET N-ACTION N-EVENT-REPORT  # watch
1.2.840.10008.5.1.4.34.6.3      CC  ups         C-FIND N-GET N-SET N-ACTION  # pull
1.2.840.10008.5.1.4.34.6.4      CC  ups         N-EVENT-REPORT  # event
1.2.840.10008.5.1.4.34.6.5      CC  ups         C-FIND    # query
1.2.840.10008.5.1.4.34.4.1      CC  ups         N-CREATE N-GET N-ACTION  # push, trial
1.2.840.10008.5.1.4.33          R   other       N-CREATE  # instance availability
1.2.840.10008.5.1.1.33          S   other       N-CREATE N-ACTION N-GET  # media creation
1.2.840.10008.5.1.1.40          EE  other       N-GET     # display system
1.2.840.10008.1.40              P   other       N-ACTION  # procedural event log
1.2.840.10008.1.42              P   other       N-ACTION  # substance administration log
1.2.840.10008.5.1.4.34.8        DD  other       N-CREATE N-GET N-SET N-ACTION N-DELETE N-EVENT-REPORT
1.2.840.10008.5.1.4.34.9        DD  other       N-CREATE N-GET N-SET N-ACTION N-DELETE N-EVENT-REPORT
1.2.840.10008.5.1.4.1.1.201.5   KK  other       N-ACTION N-EVENT-REPORT N-GET  # inventory creation
1.2.840.10008.1.9               -   other       N-EVENT-REPORT  # study contents, retired
1.2.840.10008.3.1.2.3.1         -   other       N-CREATE N-SET N-GET N-DELETE  # study, retired
1.2.840.10008.3.1.2.1.1         -   other       N-GET     # patient, retired
1.2.840.10008.5.1.4.32.2        -   other       N-ACTION N-GET  # general purpose step, retired
"""
ROWS = [line.partition("#")[0].split() for line in TABLE.strip().splitlines()]
CASES = [
    (abstract_syntax, command, service)
    for abstract_syntax, _, service, *commands in ROWS
    for command in commands
]


def test_the_table_is_long_enough():
    assert len({abstract_syntax for abstract_syntax, *_ in ROWS}) == len(ROWS) >= 60
    assert {service for _, _, service, *_ in ROWS} == set(Service)
    assert {command for _, command, _ in CASES} == set(COMMANDS)


@pytest.mark.parametrize(("abstract_syntax", "command", "service"), CASES)
def test_the_service_of_a_message(abstract_syntax, command, service):
    assert service_of(abstract_syntax, COMMANDS[command]) == service


@pytest.mark.parametrize(("abstract_syntax", "_annex", "service"), [row[:3] for row in ROWS])
def test_what_a_context_can_be_used_for(abstract_syntax, _annex, service):
    """Offered onward if, and only if, something can be asked on it that a rule allows."""
    assert possible_services(abstract_syntax) == {service}


# Commands that PS3.4 does not have for the SOP class: never the service of another one, so that no rule
# lets more through by it.
ODD = [
    ("1.2.840.10008.5.1.4.1.1.2", "C-FIND", "other"),
    ("1.2.840.10008.5.1.4.1.1.2", "C-MOVE", "other"),
    ("1.2.840.10008.5.1.4.1.1.2", "C-GET", "other"),
    ("1.2.840.10008.5.1.4.1.1.2", "N-ACTION", "other"),
    ("1.2.840.10008.5.1.4.1.1.2", "N-EVENT-REPORT", "other"),
    ("1.2.840.10008.5.1.4.1.1.2", "C-ECHO", "echo"),
    ("1.2.840.10008.1.1", "C-STORE", "store"),
    ("1.2.840.10008.1.1", "C-FIND", "other"),
    ("1.2.840.10008.1.1", "C-MOVE", "other"),
    ("1.2.840.10008.1.1", "N-CREATE", "other"),
    ("1.2.840.10008.5.1.4.1.2.2.1", "C-MOVE", "move"),
    ("1.2.840.10008.5.1.4.1.2.2.1", "C-GET", "get"),
    ("1.2.840.10008.5.1.4.1.2.2.2", "C-FIND", "find"),
    ("1.2.840.10008.5.1.4.1.2.2.3", "C-MOVE", "move"),
    ("1.2.840.10008.5.1.4.1.2.2.1", "C-STORE", "store"),
    ("1.2.840.10008.5.1.4.1.2.2.2", "N-SET", "other"),
    ("1.2.840.10008.5.1.4.31", "C-MOVE", "other"),
    ("1.2.840.10008.5.1.4.31", "C-GET", "other"),
    ("1.2.840.10008.5.1.4.31", "C-STORE", "store"),
    ("1.2.840.10008.5.1.4.31", "N-SET", "other"),
    ("1.2.840.10008.3.1.2.3.3", "C-FIND", "other"),
    ("1.2.840.10008.3.1.2.3.3", "N-DELETE", "mpps"),
    ("1.2.840.10008.1.20.1", "C-FIND", "other"),
    ("1.2.840.10008.1.20.1", "C-STORE", "store"),
    ("1.2.840.10008.1.20.1", "C-ECHO", "echo"),
    ("1.2.840.10008.5.1.1.9", "C-MOVE", "other"),
    ("1.2.840.10008.5.1.4.34.6.3", "C-MOVE", "other"),
    ("1.2.840.10008.1.3.10", "C-STORE", "store"),
    ("1.2.840.10008.1.3.10", "N-GET", "other"),
]


@pytest.mark.parametrize(("abstract_syntax", "command", "service"), ODD)
def test_commands_that_the_sop_class_does_not_have(abstract_syntax, command, service):
    assert service_of(abstract_syntax, COMMANDS[command]) == service


def test_media_storage_directory_is_never_stored_over_a_network():
    assert possible_services("1.2.840.10008.1.3.10") == {Service.OTHER}


@pytest.mark.parametrize(("abstract_syntax", "_annex", "service"), [row[:3] for row in ROWS])
def test_whose_data_sets_name_aes(abstract_syntax, _annex, service):
    """Identifiers, worklists and steps, reports: not what is stored or printed."""
    naming = {"find", "worklist", "mpps", "commitment", "ups"}
    assert names_aes(abstract_syntax) is (service in naming)


UNHEARD_OF = [
    "1.2.826.0.1.3680043.9.9999.1",  # of a manufacturer
    "1.3.12.2.1107.5.9.1",  # CSA non-image, which its manufacturer stores and finds
    "1.2.840.10008.5.1.4.1.1.99999",  # of a later edition
    "1.2.840.10008.5.1.4.1.1.40",  # in the dictionary without a name
    "1.2.840.10008.1.2",  # a transfer syntax
    "1.2.840.10008.4.2",  # a service class
    "1.2.840.10008.1.20.1.1",  # a well-known instance
    "1.2.840.10008.5.1.1.99",  # among the print numbers
    "9",
    "",
    "Storage",
    "no UID - FIND",
]


@pytest.mark.parametrize("abstract_syntax", UNHEARD_OF)
def test_an_abstract_syntax_that_nobody_knows(abstract_syntax):
    """The contract: `store` for C-STORE, `other` for the rest, offered onward for either."""
    assert possible_services(abstract_syntax) == {Service.STORE, Service.OTHER} == UNKNOWN
    assert not names_aes(abstract_syntax)
    for command, field in COMMANDS.items():
        expected = {"C-STORE": "store", "C-ECHO": "echo"}.get(command, "other")
        assert service_of(abstract_syntax, field) == expected


def test_the_whole_dictionary():
    """Every SOP class is something, and only those without a name count as unknown."""
    for uid, (name, kind, _, _, keyword) in UID_dictionary.items():
        services = possible_services(uid)
        if "SOP Class" in kind and name:
            assert len(services) == 1, uid
            assert ("Storage" in keyword and "Commitment" not in keyword) is (
                services == {Service.STORE}
            ) or uid == "1.2.840.10008.1.3.10", uid
        else:
            assert services == UNKNOWN, uid


@given(
    st.sampled_from(sorted(UID_dictionary)) | st.from_regex(r"[0-9.]{0,64}", fullmatch=True),
    st.sampled_from(sorted(CommandField)) | st.integers(0, 0x7FFF),
)
def test_what_passes_was_offered(abstract_syntax, field):
    """But for C-STORE and C-ECHO, which have one meaning, a message is what its context is for, or other."""
    service = service_of(abstract_syntax, field)
    assert service is service_of(abstract_syntax, field)
    retrieve = {Service.FIND, Service.MOVE, Service.GET}
    possible = possible_services(abstract_syntax)
    assert (
        service in possible
        or service is Service.OTHER
        or (service is Service.STORE and field == CommandField.C_STORE_RQ)
        or (service is Service.ECHO and field == CommandField.C_ECHO_RQ)
        or (service in retrieve and possible & retrieve)
    )

"""`ulproxy conform`: black-box cases for any DICOM Upper Layer that accepts associations, by clause of PS3.8.

A case says what must hold and is a short script: what is sent, what is expected. It runs on a connection
of its own, and afterwards a fresh C-ECHO shows that the acceptor lives. Nothing here is used by the relay,
and A-ASSOCIATE-ACs are read without the relay's decoder, which is under test as well.

    suite.py         all clauses in the order of PS3.8, what is chosen of them
    clause_*.py      the cases, a table for each clause
    steps.py         what the tables are written in
    rq.py, wire.py   what is sent: legal from pdu/, illegal byte by byte
    answer.py, words.py   what came: an A-ASSOCIATE-AC taken apart, PDUs in words
    conversation.py  a connection, with its transcript and its time
    main.py          what the command does
    run.py           runs cases, one after the other or several at a time
    report.py, files.py   what is printed; JSON and JUnit files
"""

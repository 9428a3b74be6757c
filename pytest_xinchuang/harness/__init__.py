"""Harnesses: processes that answer requests in JSON lines, and the one client that every conformance package asks them by.

- ``protocol``: what a harness says first (a model of each package's own), and the ways to break it, as an enumeration.
- ``ends``: how a reply came about and how a harness ended, as enumerations: verdicts depend on these and on no text.
- ``connection``: one running harness: hello, ids, replies, its end.
- ``client``: many requests in flight, over as many connections as it takes: restarted when it dies or hangs.
"""

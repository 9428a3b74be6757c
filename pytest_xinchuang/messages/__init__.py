"""Texts for users: written once in English where they arise, carried as an id with parameters, put into words at the very end.

``_("{program} needs {library}", program=..., library=...)`` makes a :class:`Message`. The English template is its id; the
catalogues ``locale/zh.po`` of the rooms hold the Chinese. See CONTRIBUTING.md, "Add a message".
"""

from pytest_xinchuang.messages.catalogues import LANGUAGES, add_catalogue, can_show, choose_language, displayed
from pytest_xinchuang.messages.message import NOTHING, Message, _, both, joined, n_, render, told, verbatim
from pytest_xinchuang.messages.system import system_cause, system_error

__all__ = [
    "LANGUAGES",
    "NOTHING",
    "Message",
    "_",
    "add_catalogue",
    "both",
    "can_show",
    "choose_language",
    "displayed",
    "joined",
    "n_",
    "render",
    "system_cause",
    "system_error",
    "told",
    "verbatim",
]

"""The operating system's own texts for errors, in the user's language."""

from __future__ import annotations

import os

from pytest_xinchuang.messages.message import Message, _, verbatim

# strerror(3) of glibc and musl; who meets another one reads it in English.
_KNOWN = (
    _("Operation not permitted"),
    _("No such file or directory"),
    _("No such process"),
    _("Interrupted system call"),
    _("Input/output error"),
    _("No such device or address"),
    _("Argument list too long"),
    _("Exec format error"),
    _("Bad file descriptor"),
    _("Resource temporarily unavailable"),
    _("Cannot allocate memory"),
    _("Permission denied"),
    _("Device or resource busy"),
    _("File exists"),
    _("Invalid cross-device link"),
    _("No such device"),
    _("Not a directory"),
    _("Is a directory"),
    _("Invalid argument"),
    _("Too many open files in system"),
    _("Too many open files"),
    _("Text file busy"),
    _("File too large"),
    _("No space left on device"),
    _("Read-only file system"),
    _("Broken pipe"),
    _("File name too long"),
    _("Function not implemented"),
    _("Directory not empty"),
    _("Too many levels of symbolic links"),
    _("Disk quota exceeded"),
    _("Operation not supported"),
    _("Address already in use"),
    _("Cannot assign requested address"),
    _("Network is unreachable"),
    _("Connection reset by peer"),
    _("Connection timed out"),
    _("Connection refused"),
    _("No route to host"),
)


def system_error(error: OSError | int) -> Message:
    """The text of an error or of its number: a message of ours if it was raised with one."""
    if isinstance(error, int):
        return Message.of(os.strerror(error))
    text = error.strerror
    if not text:
        return verbatim(str(error))
    return Message.of(text) if error.errno is not None and text == os.strerror(error.errno) else verbatim(text)

"""What the system says of a call that failed, in both languages: ``os.strerror`` speaks the C library's English."""

from __future__ import annotations

import errno
import os

from pytest_xinchuang.messages.message import Message, _, verbatim


def system_error(error: OSError | int) -> Message:
    """The system's words for an error, or for its number: ``No such file or directory``."""
    if isinstance(error, OSError):
        if error.errno is None or error.strerror != os.strerror(error.errno):
            return verbatim(error.strerror or str(error))
        error = error.errno
    said = os.strerror(error)
    known = _known().get(error)
    return known if known is not None and str(known) == said else verbatim(said)


def _known() -> dict[int, Message]:
    return {
        errno.EACCES: _("Permission denied"),
        errno.EADDRINUSE: _("Address already in use"),
        errno.EAGAIN: _("Resource temporarily unavailable"),
        errno.EBADF: _("Bad file descriptor"),
        errno.EBUSY: _("Device or resource busy"),
        errno.ECHILD: _("No child processes"),
        errno.ECONNREFUSED: _("Connection refused"),
        errno.ECONNRESET: _("Connection reset by peer"),
        errno.EEXIST: _("File exists"),
        errno.EFAULT: _("Bad address"),
        errno.EFBIG: _("File too large"),
        errno.EHOSTUNREACH: _("No route to host"),
        errno.EINTR: _("Interrupted system call"),
        errno.EINVAL: _("Invalid argument"),
        errno.EIO: _("Input/output error"),
        errno.EISDIR: _("Is a directory"),
        errno.ELOOP: _("Too many levels of symbolic links"),
        errno.EMFILE: _("Too many open files"),
        errno.ENAMETOOLONG: _("File name too long"),
        errno.ENETUNREACH: _("Network is unreachable"),
        errno.ENFILE: _("Too many open files in system"),
        errno.ENODEV: _("No such device"),
        errno.ENOENT: _("No such file or directory"),
        errno.ENOEXEC: _("Exec format error"),
        errno.ENOMEM: _("Cannot allocate memory"),
        errno.ENOSPC: _("No space left on device"),
        errno.ENOSYS: _("Function not implemented"),
        errno.ENOTCONN: _("Transport endpoint is not connected"),
        errno.ENOTDIR: _("Not a directory"),
        errno.ENOTEMPTY: _("Directory not empty"),
        errno.ENXIO: _("No such device or address"),
        errno.EOPNOTSUPP: _("Operation not supported"),
        errno.EPERM: _("Operation not permitted"),
        errno.EPIPE: _("Broken pipe"),
        errno.EROFS: _("Read-only file system"),
        errno.ETIMEDOUT: _("Connection timed out"),
        errno.ETXTBSY: _("Text file busy"),
        errno.EXDEV: _("Invalid cross-device link"),
    }

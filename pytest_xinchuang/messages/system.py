"""What the system says of a call that failed: ``os.strerror`` speaks the C library's English, and these have their Chinese."""

from __future__ import annotations

import errno


def N_(template: str) -> str:  # noqa: N802 - gettext's own name for it
    """Mark a template for the catalogues: ``message`` makes the messages."""
    return template


_KNOWN = {
    errno.EACCES: N_("Permission denied"),
    errno.EADDRINUSE: N_("Address already in use"),
    errno.EAGAIN: N_("Resource temporarily unavailable"),
    errno.EBADF: N_("Bad file descriptor"),
    errno.EBUSY: N_("Device or resource busy"),
    errno.ECHILD: N_("No child processes"),
    errno.ECONNREFUSED: N_("Connection refused"),
    errno.ECONNRESET: N_("Connection reset by peer"),
    errno.EEXIST: N_("File exists"),
    errno.EFAULT: N_("Bad address"),
    errno.EFBIG: N_("File too large"),
    errno.EHOSTUNREACH: N_("No route to host"),
    errno.EINTR: N_("Interrupted system call"),
    errno.EINVAL: N_("Invalid argument"),
    errno.EIO: N_("Input/output error"),
    errno.EISDIR: N_("Is a directory"),
    errno.ELOOP: N_("Too many levels of symbolic links"),
    errno.EMFILE: N_("Too many open files"),
    errno.ENAMETOOLONG: N_("File name too long"),
    errno.ENETUNREACH: N_("Network is unreachable"),
    errno.ENFILE: N_("Too many open files in system"),
    errno.ENODEV: N_("No such device"),
    errno.ENOENT: N_("No such file or directory"),
    errno.ENOEXEC: N_("Exec format error"),
    errno.ENOMEM: N_("Cannot allocate memory"),
    errno.ENOSPC: N_("No space left on device"),
    errno.ENOSYS: N_("Function not implemented"),
    errno.ENOTCONN: N_("Transport endpoint is not connected"),
    errno.ENOTDIR: N_("Not a directory"),
    errno.ENOTEMPTY: N_("Directory not empty"),
    errno.ENXIO: N_("No such device or address"),
    errno.EOPNOTSUPP: N_("Operation not supported"),
    errno.EPERM: N_("Operation not permitted"),
    errno.EPIPE: N_("Broken pipe"),
    errno.EROFS: N_("Read-only file system"),
    errno.ETIMEDOUT: N_("Connection timed out"),
    errno.ETXTBSY: N_("Text file busy"),
    errno.EXDEV: N_("Invalid cross-device link"),
}


def template_of(number: int, said: str) -> str | None:
    """The template for an error's number, where it is what the system says itself."""
    known = _KNOWN.get(number)
    return known if known == said else None

"""What the system and the standard library say of what failed, in both languages; their own words are English."""

from __future__ import annotations

import errno
import os

from pytest_xinchuang.messages.message import Message, _, knows_errors, told, verbatim


def system_error(error: OSError | int) -> Message:
    """The system's words for an error, or for its number: ``No such file or directory``."""
    if isinstance(error, OSError):
        if known_kind := _kind_of(error):
            return known_kind
        if error.errno is None or error.strerror != os.strerror(error.errno):
            return verbatim(error.strerror or str(error))
        error = error.errno
    said = os.strerror(error)
    known = _known().get(error)
    return known if known is not None and str(known) == said else verbatim(said)


def system_cause(error: BaseException) -> OSError | None:
    """The call of the system that failed behind an error of a library, which wraps it or has it among its arguments."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop(0)
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, OSError) and isinstance(each.errno, int) and each.strerror:
            return each
        waiting += [*each.args, getattr(each, "reason", None), each.__cause__, each.__context__]
    return None


@knows_errors
def _library_error(error: BaseException) -> Message | None:
    """What is wrong, where the error's kind says it: errors of the system, and of the readers of the standard library."""
    match error:
        case OSError():
            problem = system_error(error)
            path = error.filename
            return _("{path}: {problem}", path=os.fsdecode(path), problem=problem) if _is_path(path) else problem
        case UnicodeDecodeError(start=start):
            return _("not UTF-8 at byte {start}", start=start)
        case KeyError(args=(name, *_rest)):
            return _("there is no {name}", name=verbatim(str(name)))
        case RecursionError():
            return _("nested too deeply")
    if type(error).__name__ == "JSONDecodeError":  # json itself is imported by who has such an error
        line, column = getattr(error, "lineno", 1), getattr(error, "colno", 1)
        return _("not JSON at line {line}, column {column}", line=line, column=column)
    return None


def _is_path(name: object) -> bool:
    return isinstance(name, str | bytes | os.PathLike)


def _kind_of(error: OSError) -> Message | None:
    """The words for what has no number of the system: a name that is not resolved, a time-out, what a library wrapped."""
    if type(error).__name__ == "gaierror":
        return _unresolved(error)
    if isinstance(error, TimeoutError) and error.errno is None:
        return _("timed out")
    reason = getattr(error, "reason", None)  # urllib.error.URLError
    return told(reason) if isinstance(reason, BaseException) else None


def _unresolved(error: OSError) -> Message | None:
    import socket

    # The words of glibc (getaddrinfo(3)).
    return {
        socket.EAI_AGAIN: _("Temporary failure in name resolution"),
        socket.EAI_FAIL: _("Non-recoverable failure in name resolution"),
        socket.EAI_FAMILY: _("ai_family not supported"),
        socket.EAI_NODATA: _("No address associated with hostname"),
        socket.EAI_NONAME: _("Name or service not known"),
        socket.EAI_SERVICE: _("Servname not supported for ai_socktype"),
    }.get(error.errno or 0)


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

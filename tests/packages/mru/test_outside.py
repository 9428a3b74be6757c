"""What calls touch outside a unit's own place."""

from __future__ import annotations

import pytest

from pytest_xinchuang.packages.mru.outside import touched_outside
from pytest_xinchuang.sandbox.call_log import CallLog
from pytest_xinchuang.sandbox.strace import Call


def call(name: str, arguments: str, answer: str | None = "0", thread: int = 7) -> Call:
    return Call(thread, name, arguments + ")", answer)


ETC = call("openat", 'AT_FDCWD,"/etc",O_DIRECTORY', "3")


@pytest.mark.parametrize(
    ("calls", "found"),
    [
        ([call("openat", 'AT_FDCWD,"/etc/x",O_WRONLY|O_CREAT,0666', "3")], ("/etc/x",)),
        ([call("openat", 'AT_FDCWD,"/etc/x",O_RDONLY', "3")], ()),
        ([call("openat", 'AT_FDCWD,"/etc/x",O_WRONLY|O_CREAT', "-1 errno=13 (Permission denied)")], ()),
        ([call("unlinkat", 'AT_FDCWD,"../../etc/x",0')], ("/etc/x",)),
        ([call("unlinkat", 'AT_FDCWD,"x",0')], ()),
        ([call("mkdirat", 'AT_FDCWD,"/xc/../etc/d",0777')], ("/etc/d",)),
        ([call("chdir", '"/etc"'), call("mkdir", '"d",0777')], ("/etc/d",)),
        ([call("chdir", '"/etc"'), call("clone", "0x11", "9"), call("rmdir", '"d"', thread=9)], ("/etc/d",)),
        ([call("openat", 'AT_FDCWD,"/etc",O_DIRECTORY', "3"), call("unlinkat", '3,"x",0')], ("/etc/x",)),
        ([call("openat", 'AT_FDCWD,"/etc",O_DIRECTORY', "3"), call("fchdir", "3"), call("unlink", '"x"')], ("/etc/x",)),
        ([call("symlinkat", '"/etc/passwd",AT_FDCWD,"/xc/u/link"')], ()),
        ([call("linkat", 'AT_FDCWD,"/etc/passwd",AT_FDCWD,"/xc/u/link",0')], ("/etc/passwd",)),
        ([call("renameat2", 'AT_FDCWD,"/xc/u/a",AT_FDCWD,"/etc/b",0')], ("/etc/b",)),
        ([call("fchmodat", 'AT_FDCWD,"/etc",0777')], ("/etc",)),
        ([call("openat", f'AT_FDCWD,"{p}",O_RDWR|O_CREAT', "3") for p in ("/tmp/a", "/var/tmp/b", "/dev/shm/c")], ()),
        ([call("openat", 'AT_FDCWD,"/proc/self/fd/2",O_WRONLY|O_TRUNC', "3")], ()),
        ([call("unlinkat", 'AT_FDCWD,"../x",0')], ()),
        ([ETC, call("clone", "CLONE_VM|CLONE_FS|CLONE_FILES", "9"), call("unlinkat", '3,"x",0', thread=9)], ("/etc/x",)),
        ([call("clone", "0xd0f00", "9"), ETC, call("unlinkat", '0x3,"x",0', thread=9)], ("/etc/x",)),
        ([ETC, call("clone", "0x11", "9"), call("unlinkat", '3,"x",0', thread=9)], ("/etc/x",)),
        ([call("clone", "0x11", "9"), ETC, call("unlinkat", '3,"x",0', thread=9)], ()),
        ([ETC, call("dup", "3", "4"), call("close", "3"), call("unlinkat", '4,"x",0')], ("/etc/x",)),
        ([ETC, call("fcntl", "3,F_DUPFD_CLOEXEC,0", "4"), call("unlinkat", '4,"x",0')], ("/etc/x",)),
        ([ETC, call("fcntl", "3,F_GETFD", "1"), call("unlinkat", '1,"x",0')], ()),
        ([ETC, call("close", "3"), call("fchmod", "3,0777")], ()),
        ([ETC, call("fchmod", "3,0777")], ("/etc",)),
        ([call("openat", 'AT_FDCWD,"/xc/u/x",O_RDONLY', "3"), call("fchmod", "3,0777")], ()),
        ([ETC, call("utimensat", "3,NULL,0x40,0")], ("/etc",)),
        ([call("openat", 'AT_FDCWD,"/etc",O_WRONLY|O_TMPFILE,0600', "3")], ("/etc",)),
        ([call("openat", 'AT_FDCWD,"/tmp/",O_WRONLY|O_TMPFILE,0600', "3")], ()),
        ([call("unlink", '"/proc/self/root/etc/x"')], ("/etc/x",)),
        ([call("chdir", '"/etc"'), call("unlink", '"/proc/thread-self/cwd/x"')], ("/etc/x",)),
        ([call("unlink", '"/proc/self/cwd/x"')], ()),
        ([ETC, call("unlink", '"/proc/self/fd/3/x"')], ("/etc/x",)),
        ([ETC, call("mkdir", '"/dev/fd/3/x",0700')], ("/etc/x",)),
        ([call("symlinkat", '"/etc",AT_FDCWD,"l"'), call("unlink", '"l/x"')], ("/etc/x",)),
        ([call("symlinkat", '"/etc/ssl",AT_FDCWD,"l"'), call("unlink", '"l/../x"')], ("/etc/x",)),
        ([call("symlink", '"../../etc","l"'), call("symlink", '"l","m"'), call("unlink", '"m/x"')], ("/etc/x",)),
        ([call("symlink", '"/etc","l"'), call("unlink", '"l"')], ()),
        ([call("symlink", '"d","l"'), call("unlink", '"l/x"')], ()),
        ([call("symlink", '"l","l"'), call("openat", 'AT_FDCWD,"l/x",O_CREAT', "3")], ()),
    ],
)  # fmt: skip
def test_touched_outside(calls: list[Call], found: tuple[str, ...]) -> None:
    assert touched_outside(CallLog(tuple(calls))) == found

/* Attempts to get out of a sandbox, each in a process of its own; prints "NAME ANSWER" for each: the name of an error, "ok" if
 * the attempt worked, or what was found. Built for a platform and for x86-64; calls that a target has not are left out. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char text[4096];

static const char *name_of(int number) {
#define NAME(e) if (number == e) return #e;
    NAME(EPERM) NAME(EACCES) NAME(ENOSYS) NAME(ENOENT) NAME(EROFS) NAME(EAFNOSUPPORT) NAME(ENOSPC) NAME(EINVAL) NAME(ENODATA)
    NAME(ENETUNREACH) NAME(ECONNREFUSED) NAME(EPROTONOSUPPORT) NAME(EBADF) NAME(EFAULT) NAME(ENOTSUP) NAME(ENODEV) NAME(EIO)
    NAME(ESRCH) NAME(ENOTDIR) NAME(ENXIO) NAME(ENOTTY) NAME(ENOKEY)
    return "?";
}

static long opened(const char *path, int flags) { return open(path, flags); }

/* How many bytes a file shows; an error where it cannot be read. */
static long shows(const char *path) {
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    if (fd < 0) return -1;
    ssize_t n = read(fd, text, sizeof text - 1);
    if (n < 0) return -1;
    text[n] = 0;
    errno = ENODATA;
    return n == 0 ? -1 : 0;
}

/* Whether a file holds a word. */
static long holds(const char *path, const char *word) {
    FILE *file = fopen(path, "r");
    char line[4096];
    if (!file) return -1;
    while (fgets(line, sizeof line, file))
        if (strstr(line, word)) return snprintf(text, sizeof text, "%s", line), 0;
    errno = ENODATA;
    return -1;
}

/* By the attribute of the process, or because the root file system gives no rights (ST_NOSUID). */
static int no_new_privileges(void) {
    struct statvfs root;
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 || (!statvfs("/", &root) && root.f_flag & ST_NOSUID);
}

static long connects(int family, const char *where) {
    int fd = socket(family, SOCK_STREAM, 0);
    if (fd < 0) return -1;
    if (family == AF_UNIX) {
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        strcpy(to.sun_path + (*where == '@'), where + (*where == '@'));
        return connect(fd, (void *)&to, sizeof(sa_family_t) + strlen(where) + (*where != '@'));
    }
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(53)};
    inet_pton(AF_INET, where, &to.sin_addr);
    return connect(fd, (void *)&to, sizeof to);
}

static long cloned(unsigned long flags) {
    long pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) _exit(0);
    return pid;
}

static long cloned3(unsigned long flags) {
    unsigned long long arguments[11] = {flags, 0, 0, 0, SIGCHLD};
    long pid = syscall(435, arguments, 64);
    if (pid == 0) _exit(0);
    return pid;
}

static long keyring(void) {
    char buffer[256];
    long key = syscall(SYS_request_key, "user", "xc-escape", 0, -3);
    if (key < 0) return -1;
    return syscall(SYS_keyctl, 11, key, buffer, sizeof buffer);
}

static long reads_parent(void) {
    long here = 0;
    struct { void *base; size_t length; } ours = {&here, sizeof here}, theirs = {&here, sizeof here};
    return syscall(SYS_process_vm_readv, getppid(), &ours, 1, &theirs, 1, 0);
}

/* The handle of a file by number: what lets a container out of its root (open_by_handle_at, "shocker"). */
static long by_handle(void) {
    struct { unsigned bytes; int type; unsigned char data[8]; } handle = {8, 1, {2}};
    return syscall(SYS_open_by_handle_at, open("/", O_RDONLY), &handle, O_RDONLY);
}

static long climbs(void) {
    int root = open("/", O_RDONLY | O_DIRECTORY);
    mkdir("/tmp/xc-jail", 0755);
    if (chroot("/tmp/xc-jail") < 0) return -1;
    fchdir(root);
    for (int n = 0; n < 32; n++) chdir("..");
    return chroot(".");
}

static long device(const char *name, unsigned type) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/xc-%s", name);
    unlink(path);
    return mknod(path, type | 0666, (1 << 8) | 1);
}

static long writes(const char *path, const char *what) {
    int fd = open(path, O_WRONLY | O_NONBLOCK);
    return fd < 0 ? -1 : write(fd, what, strlen(what));
}

#ifdef __x86_64__
static long call32(void) {
    long answer;
    __asm__ volatile("int $0x80" : "=a"(answer) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
    if (answer < 0) { errno = -(int)answer; return -1; }
    return answer;
}
#endif

/* By its raw number where headers may not have it: the same everywhere since Linux 5.1. */
enum { IO_URING_SETUP = 425, PIDFD_GETFD = 438, OPEN_TREE = 428, MOVE_MOUNT = 429, FSOPEN = 430, SETATTR = 442 };

static long attempt(const char *name, const char *host) {
#define PROBE(id, expression) if (!strcmp(name, id)) return (long)(expression);
    PROBE("socket-vsock", socket(40, SOCK_STREAM, 0))
    PROBE("socket-alg", socket(38, SOCK_SEQPACKET, 0))
    PROBE("socket-packet", socket(AF_PACKET, SOCK_RAW, htons(3)))
    PROBE("socket-raw", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP))
    PROBE("socket-audit", socket(AF_NETLINK, SOCK_RAW, 9))
    PROBE("socket-netfilter", socket(AF_NETLINK, SOCK_RAW, 12))
    PROBE("socket-bluetooth", socket(31, SOCK_RAW, 1))
    PROBE("socket-tipc-pair", socketpair(30, SOCK_STREAM, 0, (int[2]){0}))
    PROBE("socket-rds", socket(21, SOCK_SEQPACKET, 0))
    PROBE("network-out", connects(AF_INET, "1.1.1.1"))
    PROBE("network-host", connects(AF_INET, "127.0.0.1"))
    PROBE("unix-docker", connects(AF_UNIX, "/var/run/docker.sock"))
    PROBE("unix-abstract", connects(AF_UNIX, "@xc-escape"))
    PROBE("keyctl-join", syscall(SYS_keyctl, 1, "xc"))
    PROBE("keyctl-secret", keyring())
    PROBE("add-key", syscall(SYS_add_key, "user", "x", "y", 1L, -3))
    PROBE("bpf", syscall(SYS_bpf, 0, text, 48))
    PROBE("perf", syscall(SYS_perf_event_open, text, 0, -1, -1, 0))
    PROBE("io-uring", syscall(IO_URING_SETUP, 4, text))
    PROBE("userfaultfd", syscall(SYS_userfaultfd, 1))
    PROBE("kexec", syscall(SYS_kexec_load, 0, 0, 0, 0))
    PROBE("init-module", syscall(SYS_init_module, text, 16, ""))
    PROBE("finit-module", syscall(SYS_finit_module, 0, "", 0))
    PROBE("delete-module", syscall(SYS_delete_module, "loop", 0))
    PROBE("mount", mount("none", "/tmp", "tmpfs", 0, ""))
    PROBE("mount-proc", mount("proc", "/tmp", "proc", 0, ""))
    PROBE("mount-binfmt", mount("binfmt_misc", "/tmp", "binfmt_misc", 0, ""))
    PROBE("umount", umount2("/proc/sys", MNT_DETACH))
    PROBE("remount", mount(0, "/proc/sys", 0, MS_REMOUNT | MS_BIND, 0))
    PROBE("pivot-root", syscall(SYS_pivot_root, ".", "."))
    PROBE("chroot", climbs())
    PROBE("fsopen", syscall(FSOPEN, "tmpfs", 0))
    PROBE("open-tree", syscall(OPEN_TREE, -100, "/", 1))
    PROBE("move-mount", syscall(MOVE_MOUNT, -100, "/proc", -100, "/tmp", 0))
    PROBE("mount-setattr", syscall(SETATTR, -100, "/proc/sys", 0, text, 32))
    PROBE("setns", setns(open("/proc/self/ns/user", O_RDONLY), 0))
    PROBE("setns-1", setns(open("/proc/1/ns/mnt", O_RDONLY), 0))
    PROBE("unshare-user", unshare(CLONE_NEWUSER))
    PROBE("unshare-mount", unshare(CLONE_NEWNS))
    PROBE("unshare-net", unshare(CLONE_NEWNET))
    PROBE("clone-user", cloned(CLONE_NEWUSER))
    PROBE("clone-net", cloned(CLONE_NEWNET))
    PROBE("clone3-user", cloned3(CLONE_NEWUSER))
    PROBE("ptrace-1", ptrace(PTRACE_SEIZE, 1, 0, 0))
    PROBE("ptrace-parent", ptrace(PTRACE_SEIZE, getppid(), 0, 0))
    PROBE("read-parent", reads_parent())
    PROBE("by-handle", by_handle())
    PROBE("quotactl", syscall(SYS_quotactl, 0x80000100, 0, 0, 0))
    PROBE("swapon", syscall(SYS_swapon, "/tmp/x", 0))
    PROBE("reboot", syscall(SYS_reboot, 0xfee1dead, 672274793, 0, 0))
    PROBE("hostname", syscall(SYS_sethostname, "x", 1))
    PROBE("set-time", syscall(SYS_clock_settime, 0, (long[2]){1, 1}))
    PROBE("kernel-log", syscall(SYS_syslog, 3, text, sizeof text))
    PROBE("vhangup", syscall(SYS_vhangup))
    PROBE("acct", syscall(SYS_acct, 0))
    PROBE("type-into-terminal", ioctl(0, TIOCSTI, "x"))
    PROBE("read-implies-exec", personality(0x400000))
    PROBE("setuid-0", setuid(0))
    PROBE("setgroups", syscall(SYS_setgroups, 1, (int[1]){0}))
    /* The first process of a namespace is deaf to what is sent from within: nobody is left to answer if it is not. */
    PROBE("kill-1", (kill(1, SIGKILL), usleep(100000), errno = EPERM, -1))
    PROBE("pidfd-1", syscall(PIDFD_GETFD, syscall(434, 1, 0), 1, 0))
    PROBE("proc-1-mem", opened("/proc/1/mem", O_RDWR))
    PROBE("proc-1-environ", shows("/proc/1/environ"))
    PROBE("proc-1-fd", opened("/proc/1/fd", O_RDONLY | O_DIRECTORY))
    PROBE("proc-1-stdout", writes("/proc/1/fd/1", "forged"))
    PROBE("proc-1-root", opened("/proc/1/root/etc", O_RDONLY))
    PROBE("proc-1-cwd", opened("/proc/1/cwd/etc", O_RDONLY))
    PROBE("proc-1-exe", opened("/proc/1/exe", O_RDONLY))
    PROBE("proc-kallsyms", shows("/proc/kallsyms"))
    PROBE("proc-kcore", shows("/proc/kcore"))
    PROBE("proc-keys", shows("/proc/keys"))
    PROBE("proc-cmdline", shows("/proc/cmdline"))
    PROBE("proc-kmsg", shows("/proc/kmsg"))
    PROBE("proc-timers", shows("/proc/timer_list"))
    PROBE("proc-slabs", shows("/proc/slabinfo"))
    PROBE("proc-sysrq", writes("/proc/sysrq-trigger", "h"))
    PROBE("proc-core-pattern", writes("/proc/sys/kernel/core_pattern", "|/xc/x"))
    PROBE("proc-sys-printk", writes("/proc/sys/kernel/printk", "7"))
    PROBE("proc-ns-limit", writes("/proc/sys/user/max_user_namespaces", "9"))
    PROBE("mounts-tell-the-host", holds("/proc/self/mountinfo", host))
    PROBE("mounts-tell-the-emulator", holds("/proc/self/mountinfo", "qemu"))
    PROBE("capabilities", holds("/proc/self/status", "CapEff:\t0000000000000000") ? 0 : (errno = EPERM, -1))
    PROBE("new-privileges", no_new_privileges() ? (errno = EPERM, -1) : 0)
    PROBE("unfiltered", holds("/proc/self/status", "Seccomp:\t2") ? 0 : (errno = EPERM, -1))
    PROBE("dev-mem", opened("/dev/mem", O_RDONLY))
    PROBE("dev-kvm", opened("/dev/kvm", O_RDWR))
    PROBE("dev-disk", opened("/dev/vda", O_RDONLY))
    PROBE("dev-fuse", opened("/dev/fuse", O_RDWR))
    PROBE("mknod-char", device("char", S_IFCHR))
    PROBE("mknod-block", device("block", S_IFBLK))
    PROBE("see-lower", opened("/lower", O_RDONLY))
    PROBE("see-helpers", opened("/helpers", O_RDONLY))
    PROBE("see-binfmt", opened("/binfmt", O_RDONLY))
    PROBE("see-host-cache", opened(host, O_RDONLY))
    PROBE("write-host-cgroup", opened("/sys/fs/cgroup/cgroup.procs", O_WRONLY))
#ifdef __x86_64__
    PROBE("iopl", syscall(SYS_iopl, 3))
    PROBE("modify-ldt", syscall(SYS_modify_ldt, 0, text, 16))
    PROBE("call-32", call32())
    PROBE("call-x32", syscall(0x40000000 + 39))
#endif
    errno = ENOTSUP;
    return -1;
}

int main(int count, char **words) {
    for (int n = 2; n < count; n++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            alarm(5);
            long answer = attempt(words[n], words[1]);
            int number = errno;
            *strchrnul(text, '\n') = 0;
            if (answer >= 0) printf("%s ok %s\n", words[n], text);
            else printf("%s %s\n", words[n], name_of(number));
            exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        if (!WIFEXITED(status)) printf("%s signal-%d\n", words[n], WTERMSIG(status));
    }
}

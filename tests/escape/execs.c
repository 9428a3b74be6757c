/* Attempts to start a program of the host past the tracer of exec, made natively: this stands in the emulator's place, as code
 * that has taken it over. Prints "NAME ANSWER": the name of an error, exit-N, signal-N, or ESCAPED, which the program of the host
 * says. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOST "/xc/host"
#define OWN "/bin/true"
enum { ESCAPED = 42, FAILED = 100 };

static char *host[] = {"host", 0}, *own[] = {"own", 0}, *none[] = {0};
extern char **environ;

static int filtered(unsigned flags, unsigned action, unsigned call) {
    struct sock_filter rows[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, action),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {4, rows};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

/* Only what is in memory by this call is changed by another thread; a process is enough for each try. */
static volatile char *racing;
static void *flips(void *nothing) {
    for (;;) {
        memcpy((char *)racing, HOST, sizeof HOST);
        memcpy((char *)racing, OWN, sizeof OWN);
    }
}

static volatile char *low, *high;
static void *hunts(void *nothing) {
    for (;;)
        for (volatile char *at = low; at < high; at++)
            if (at[0] == '/' && at[1] == 'p' && at[2] == 'r' && at[3] == 'o' && at[6] == 's')
                memcpy((char *)at, HOST, sizeof HOST);
}

static void *executes(void *path) { execve(path, host, environ); _exit(FAILED + errno); }

static int runs(void *path) { execve(path, host, environ); _exit(FAILED + errno); }

static int attempt(const char *name) {
    static char stack[1 << 16] __attribute__((aligned(16)));
#define PROBE(id) if (!strcmp(name, id))
    PROBE("direct") execve(HOST, host, environ);
    PROBE("no-words") execve(HOST, none, none);
    PROBE("null-words") execve(HOST, 0, 0);
    PROBE("relative") { chdir("/xc"); execve("./../xc//host", host, environ); }
    PROBE("link") { unlink("/xc/link"); symlink(HOST, "/xc/link"); execve("/xc/link", host, environ); }
    PROBE("script") execve("/xc/script", host, environ);
    PROBE("script-of-script") execve("/xc/script2", host, environ);
    PROBE("descriptor") syscall(SYS_execveat, open(HOST, O_PATH), "", host, environ, AT_EMPTY_PATH);
    PROBE("closed-descriptor") syscall(SYS_execveat, open(HOST, O_PATH | O_CLOEXEC), "", host, environ, AT_EMPTY_PATH);
    PROBE("directory") syscall(SYS_execveat, open("/xc", O_PATH), "host", host, environ, 0);
    PROBE("by-proc") { char path[64]; sprintf(path, "/proc/self/fd/%d", open(HOST, O_PATH)); execve(path, host, environ); }
    PROBE("by-dev") { char path[64]; sprintf(path, "/dev/fd/%d", open(HOST, O_PATH)); execve(path, host, environ); }
    PROBE("memory") {
        int from = open(HOST, O_RDONLY), to = memfd_create("x", 0);
        char data[65536];
        for (ssize_t n; (n = read(from, data, sizeof data)) > 0;) write(to, data, n);
        syscall(SYS_execveat, to, "", host, environ, AT_EMPTY_PATH);
    }
    PROBE("supervisor") execve("/proc/1/exe", host, environ);
    PROBE("emulator") execve("/proc/self/exe", (char *[]){"x", "-cpu", "max", HOST, 0}, environ);
    PROBE("thread") { pthread_t id; pthread_create(&id, 0, executes, HOST); for (;;) pause(); }
    PROBE("no-stack") {
        long answer;
        __asm__ volatile("mov %%rsp, %%r12; xor %%esp, %%esp; syscall; mov %%r12, %%rsp"
                         : "=a"(answer) : "a"(SYS_execve), "D"(OWN), "S"(own), "d"(environ) : "memory", "rcx", "r11", "r12");
        errno = -(int)answer;
    }
    PROBE("no-words-there") syscall(SYS_execve, OWN, -8L, environ);
    PROBE("no-path") syscall(SYS_execve, -1L, own, environ);
    PROBE("vfork") { pid_t child = vfork(); if (!child) runs(HOST); int s; waitpid(child, &s, 0); _exit(WEXITSTATUS(s)); }
    PROBE("spawn") { pid_t child; int s; posix_spawn(&child, HOST, 0, 0, host, environ); waitpid(child, &s, 0); _exit(WEXITSTATUS(s)); }
    PROBE("untraced") {
        int s, child = clone(runs, stack + sizeof stack, CLONE_UNTRACED | SIGCHLD, HOST);
        waitpid(child, &s, 0);
        _exit(WEXITSTATUS(s));
    }
    PROBE("untraced-thread") {
        int s, child = clone(runs, stack + sizeof stack, CLONE_UNTRACED | CLONE_VM | SIGCHLD, HOST);
        waitpid(child, &s, 0);
        _exit(WEXITSTATUS(s));
    }
    PROBE("untraced-own") {
        int s, child = clone(runs, stack + sizeof stack, CLONE_UNTRACED | SIGCHLD, OWN);
        waitpid(child, &s, 0);
        _exit(WEXITSTATUS(s));
    }
    PROBE("traced-by-itself") { if (ptrace(PTRACE_TRACEME, 0, 0, 0) == 0) execve(HOST, host, environ); }
    PROBE("listener") { if (filtered(SECCOMP_FILTER_FLAG_NEW_LISTENER, SECCOMP_RET_USER_NOTIF, SYS_execve) >= 0) _exit(ESCAPED); }
    PROBE("filter") { filtered(0, SECCOMP_RET_ALLOW, SYS_execve); execve(HOST, host, environ); }
    PROBE("filter-of-another-call") { filtered(0, SECCOMP_RET_TRACE | 7, SYS_getppid); getppid(); execve(HOST, host, environ); }
    PROBE("filter-that-logs") { filtered(0, SECCOMP_RET_LOG, SYS_execve); execve(HOST, host, environ); }
    PROBE("call-32") {
        char *low32 = mmap((void *)0x10000000, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        strcpy(low32, HOST);
        long answer;
        __asm__ volatile("int $0x80" : "=a"(answer) : "a"(11L), "b"(low32), "c"(0), "d"(0) : "memory", "r8", "r9", "r10", "r11");
        errno = -(int)answer;
    }
    PROBE("call-x32") syscall(0x40000000 + 520, HOST, host, environ);
    PROBE("stopped") { /* a process that is stopped and goes on while it starts */
        pid_t child = fork();
        if (!child) { raise(SIGSTOP); runs(HOST); }
        int s;
        waitpid(child, &s, WUNTRACED);
        kill(child, SIGCONT);
        waitpid(child, &s, 0);
        _exit(WEXITSTATUS(s));
    }
    PROBE("race-path") {
        racing = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        strcpy((char *)racing, OWN);
        pthread_t id;
        pthread_create(&id, 0, flips, 0);
        for (int n = 0; n < 300; n++) {
            pid_t child = fork();
            if (!child) { execve((char *)racing, host, environ); _exit(0); }
            int s;
            waitpid(child, &s, 0);
            if (WIFEXITED(s) && WEXITSTATUS(s) == ESCAPED) _exit(ESCAPED);
        }
        _exit(0);
    }
    PROBE("race-memory") { /* a thread of the same memory writes into what the tracer has left for the kernel */
        int escaped = 0;
        for (int n = 0; n < 100 && !escaped; n++) {
            pid_t child = fork();
            if (!child) {
                __asm__("mov %%rsp, %0" : "=r"(high));
                low = high - 6144;
                pthread_t id;
                pthread_create(&id, 0, hunts, 0);
                usleep(3000);
                execve(OWN, own, environ);
                _exit(0);
            }
            int s;
            waitpid(child, &s, 0);
            escaped = WIFEXITED(s) && WEXITSTATUS(s) == ESCAPED;
        }
        _exit(escaped ? ESCAPED : 0);
    }
    PROBE("race-file") {
        pid_t swapper = fork();
        if (!swapper)
            for (;;) { unlink("/xc/swap"); link(OWN, "/xc/swap"); symlink(OWN, "/xc/swap"); unlink("/xc/swap"); link(HOST, "/xc/swap"); }
        for (int n = 0; n < 200; n++) {
            pid_t child = fork();
            if (!child) { execve("/xc/swap", host, environ); _exit(0); }
            int s;
            waitpid(child, &s, 0);
            if (WIFEXITED(s) && WEXITSTATUS(s) == ESCAPED) { kill(swapper, SIGKILL); _exit(ESCAPED); }
        }
        kill(swapper, SIGKILL);
        _exit(0);
    }
    return FAILED + errno;
}

static const char *name_of(int number) {
#define NAME(e) if (number == e) return #e;
    NAME(EPERM) NAME(EACCES) NAME(ENOSYS) NAME(ENOENT) NAME(EINVAL) NAME(ENOEXEC) NAME(EFAULT) NAME(EBADF) NAME(ELOOP) NAME(E2BIG)
    return "?";
}

int main(int count, char **words) {
    /* As the emulator is called: options, -0, argv[0], the program, its arguments. */
    int at = 1;
    while (at < count && strcmp(words[at], "-0")) at++;
    if (at + 2 >= count || !strstr(words[at + 2], "attempts")) return puts("4.19.90 aarch64") < 0;
    for (int n = at + 3; n < count; n++) {
        fflush(stdout);
        pid_t child = fork();
        if (!child) {
            alarm(20);
            close(2);
            open("/dev/null", O_WRONLY);
            _exit(attempt(words[n]));
        }
        int status = 0;
        waitpid(child, &status, 0);
        int code = WEXITSTATUS(status);
        if (!WIFEXITED(status)) printf("%s signal-%d\n", words[n], WTERMSIG(status));
        else if (code == ESCAPED) printf("%s ESCAPED\n", words[n]);
        else if (code > FAILED && code != 126) printf("%s %s\n", words[n], name_of(code - FAILED));
        else printf("%s exit-%d\n", words[n], code);
    }
}

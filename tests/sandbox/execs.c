/* Starts programs in every way that there is and prints how each went: "CASE errno N", or the end of the process. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static const char *self;
static char *words[] = {"shown", "show", "one", "", "two", 0};

static void file(const char *path, const char *text, int size, int mode) {
    unlink(path);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    write(fd, text, size ? size : (int)strlen(text));
    fchmod(fd, mode);
    close(fd);
}

static int show(int count, char **given) {
    char name[16] = "", comm[32] = "";
    prctl(PR_GET_NAME, name);
    int fd = open("/proc/self/comm", O_RDONLY);
    read(fd, comm, 31);
    close(fd);
    *strchrnul(comm, '\n') = 0;
    printf("%s %s pid=%s", name, comm, getenv("PARENT") && atoi(getenv("PARENT")) == getpid() ? "same" : "other");
    for (int n = 0; n < count && n < 9; n++) printf(" [%.40s]", given[n]);
    printf(" %d\n", count);
    return 7;
}

static void *executes(void *path) { execv(path, words); _exit(200); }
static volatile sig_atomic_t taken;
static void take(int number) { taken = number; }

static const char *current;
static int tries(void) {
#define CASE(id) if (!strcmp(current, id))
    char path[64];
    CASE("missing") execv("/xc/none", words);
    CASE("empty-path") execv("", words);
    CASE("directory") execv("/xc", words);
    CASE("not-executable") execv("/etc/passwd", words);
    CASE("below-a-file") execv("/etc/passwd/x", words);
    CASE("loop") { symlink("/xc/loop", "/xc/loop"); execv("/xc/loop", words); }
    CASE("locked-directory") { mkdir("/xc/locked", 0755); file("/xc/locked/x", "#!/bin/sh\n", 0, 0755); chmod("/xc/locked", 0); execv("/xc/locked/x", words); }
    CASE("long-path") { static char p[5000]; memset(p, 'x', 4999); execv(p, words); }
    CASE("empty-file") { file("/xc/empty", "", 0, 0755); execv("/xc/empty", words); }
    CASE("text") { file("/xc/text", "echo\n", 0, 0755); execv("/xc/text", words); }
    CASE("mips") { file("/xc/mips", "\177ELF\1\1\1\0\0\0\0\0\0\0\0\0\2\0\10\0", 52, 0755); execv("/xc/mips", words); }
    CASE("torn") { file("/xc/torn", "\177ELF", 4, 0755); execv("/xc/torn", words); }
    CASE("unreadable") { file("/xc/unreadable", "#!/bin/sh\n", 0, 0111); execv("/xc/unreadable", words); }
    CASE("plain") execv(self, words);
    CASE("relative") { chdir("/xc"); execv("./p", words); }
    CASE("dots") execv("/xc/../xc/.//p", words);
    CASE("link") { symlink(self, "/xc/a-link-with-a-long-name"); execv("/xc/a-link-with-a-long-name", words); }
    CASE("no-words") execve(self, (char *[]){0}, (char *[]){"SHOW=1", 0});
    CASE("script") { file("/xc/s1", "#!/xc/p show a  b \t\nx", 0, 0755); execv("/xc/s1", words); }
    CASE("script-tabs") { file("/xc/s2", "#! \t/xc/p\tshow\n", 0, 0755); execv("/xc/s2", words); }
    CASE("script-relative") { file("/xc/s3", "#!p show\n", 0, 0755); chdir("/xc"); execv("s3", words); }
    CASE("script-unended") { file("/xc/s4", "#!/xc/p show", 0, 0755); execv("/xc/s4", words); }
    CASE("script-nothing") { file("/xc/s5", "#!\n", 0, 0755); execv("/xc/s5", words); }
    CASE("script-blank") { file("/xc/s6", "#!   ", 0, 0755); execv("/xc/s6", words); }
    CASE("script-bare") { file("/xc/s7", "#!", 0, 0755); execv("/xc/s7", words); }
    CASE("script-no-interpreter") { file("/xc/s8", "#!/xc/none\n", 0, 0755); execv("/xc/s8", words); }
    CASE("script-bad-interpreter") { file("/xc/s9", "#!/etc/passwd\n", 0, 0755); execv("/xc/s9", words); }
    CASE("script-carriage-return") { file("/xc/s10", "#!/xc/p\r\n", 0, 0755); execv("/xc/s10", words); }
    CASE("script-zero") { file("/xc/s11", "#!/xc/p show\0y z\n", 17, 0755); execv("/xc/s11", words); }
    CASE("script-cut") { static char t[400] = "#!/"; memset(t + 3, 'a', 390); file("/xc/s12", t, 0, 0755); execv("/xc/s12", words); }
    CASE("script-cut-argument") { static char t[400] = "#!/xc/p show "; memset(t + 13, 'a', 380); file("/xc/s13", t, 0, 0755); execv("/xc/s13", words); }
    CASE("script-chain") {
        file("/xc/c1", "#!/xc/p show\n", 0, 0755);
        for (int n = 2; n < 9; n++) {
            char name[16], text[32];
            sprintf(name, "/xc/c%d", n);
            sprintf(text, "#!/xc/c%d %d\n", n - 1, n);
            file(name, text, 0, 0755);
        }
        for (int n = 8; n > 1; n--) { sprintf(path, "/xc/c%d", n); execv(path, words); dprintf(1, "%d:%d ", n, errno); }
    }
    CASE("descriptor") syscall(SYS_execveat, open(self, O_RDONLY), "", words, environ, AT_EMPTY_PATH);
    CASE("descriptor-closed") syscall(SYS_execveat, open(self, O_RDONLY | O_CLOEXEC), "", words, environ, AT_EMPTY_PATH);
    CASE("descriptor-not-open") syscall(SYS_execveat, 99, "", words, environ, AT_EMPTY_PATH);
    CASE("descriptor-no-flag") syscall(SYS_execveat, open(self, O_RDONLY), "", words, environ, 0);
    CASE("descriptor-flags") syscall(SYS_execveat, -100, self, words, environ, 0x40);
    CASE("descriptor-script") { file("/xc/d1", "#!/xc/p show\n", 0, 0755); syscall(SYS_execveat, open("/xc/d1", O_RDONLY), "", words, environ, AT_EMPTY_PATH); }
    CASE("at") syscall(SYS_execveat, open("/xc", O_RDONLY), "p", words, environ, 0);
    CASE("at-script") { file("/xc/d2", "#!/xc/p show\n", 0, 0755); syscall(SYS_execveat, open("/xc", O_RDONLY), "d2", words, environ, 0); }
    CASE("at-closed") syscall(SYS_execveat, open("/xc", O_RDONLY | O_CLOEXEC), "p", words, environ, 0);
    CASE("at-absolute") syscall(SYS_execveat, 99, self, words, environ, 0);
    CASE("at-cwd") { chdir("/xc"); syscall(SYS_execveat, -100, "p", words, environ, 0); }
    CASE("at-no-directory") syscall(SYS_execveat, open(self, O_RDONLY), "p", words, environ, 0);
    CASE("at-no-link") { symlink(self, "/xc/nolink"); syscall(SYS_execveat, -100, "/xc/nolink", words, environ, AT_SYMLINK_NOFOLLOW); }
    CASE("by-dev") { sprintf(path, "/dev/fd/%d", open(self, O_RDONLY)); execv(path, words); }
    CASE("by-proc") { sprintf(path, "/proc/self/fd/%d", open(self, O_RDONLY)); execv(path, words); }
    CASE("by-own-exe") execv("/proc/self/exe", words);
    CASE("memory") {
        int from = open(self, O_RDONLY), to = memfd_create("x", 0);
        static char data[1 << 16];
        for (ssize_t n; (n = read(from, data, sizeof data)) > 0;) write(to, data, n);
        syscall(SYS_execveat, to, "", words, environ, AT_EMPTY_PATH);
    }
    CASE("not-to-be-looked-at") { if (prctl(PR_SET_DUMPABLE, 0)) return 1; execv(self, words); }
    CASE("thread") { pthread_t id; pthread_create(&id, 0, executes, (void *)self); for (;;) pause(); }
    CASE("thread-fails") { pthread_t id; pthread_create(&id, 0, executes, "/xc/none"); for (;;) pause(); }
    CASE("vfork") { pid_t c = vfork(); if (!c) { execv(self, words); _exit(201); } int s; waitpid(c, &s, 0); return WEXITSTATUS(s); }
    CASE("vfork-fails") { pid_t c = vfork(); if (!c) { execv("/xc/none", words); _exit(errno); } int s; waitpid(c, &s, 0); return WEXITSTATUS(s); }
    CASE("spawn") { pid_t c; int s; posix_spawn(&c, self, 0, 0, words, environ); waitpid(c, &s, 0); return WEXITSTATUS(s); }
    CASE("spawn-fails") { pid_t c; return 100 + posix_spawn(&c, "/xc/none", 0, 0, words, environ); }
    CASE("fails-then-works") { for (int n = 0; n < 50; n++) execv("/xc/none", words); execv(self, words); }
    CASE("many-words") {
        int count = 20000;
        char **many = calloc(count + 1, sizeof *many);
        for (int n = 0; n < count; n++) many[n] = n == 1 ? "show" : "w";
        execv(self, many);
    }
    CASE("too-long-word") { char *big = malloc(200000); memset(big, 'x', 199999); big[199999] = 0; execv(self, (char *[]){"s", "show", big, 0}); }
    CASE("stopped") {
        pid_t c = fork();
        if (!c) { raise(SIGSTOP); execv(self, words); }
        int s, said = 0;
        waitpid(c, &s, WUNTRACED); said += WIFSTOPPED(s) && WSTOPSIG(s) == SIGSTOP;
        usleep(50000); said += 2 * (waitpid(c, &s, WNOHANG) == 0);
        kill(c, SIGCONT); waitpid(c, &s, WCONTINUED); said += 4 * WIFCONTINUED(s);
        waitpid(c, &s, 0); return 100 + said + WEXITSTATUS(s);
    }
    CASE("stopped-by-terminal") {
        pid_t c = fork();
        if (!c) { signal(SIGTSTP, SIG_DFL); setpgid(0, 0); kill(getpid(), SIGTSTP); _exit(5); }
        int s, said;
        waitpid(c, &s, WUNTRACED); said = WIFSTOPPED(s) ? WSTOPSIG(s) : 0;
        kill(c, SIGKILL); waitpid(c, &s, 0); return 100 + said + WTERMSIG(s);
    }
    CASE("trap") { signal(SIGTRAP, take); raise(SIGTRAP); return taken; }
    CASE("trap-kills") { signal(SIGTRAP, SIG_DFL); raise(SIGTRAP); }
    CASE("signals") { signal(SIGUSR1, take); for (int n = 0; n < 500; n++) raise(SIGUSR1); return taken; }
    CASE("blocked-signal-stays") {
        sigset_t set; sigemptyset(&set); sigaddset(&set, SIGUSR1); sigprocmask(SIG_BLOCK, &set, 0);
        raise(SIGUSR1); signal(SIGUSR2, SIG_IGN);
        execv(self, (char *[]){"p", "pending", 0});
    }
    CASE("killed-while-others-start") {
        for (int n = 0; n < 20; n++) { pid_t c = fork(); if (!c) for (;;) { pid_t d = fork(); if (!d) execv("/bin/true", words); waitpid(d, 0, 0); } usleep(2000); kill(c, SIGKILL); waitpid(c, 0, 0); }
        return 3;
    }
    CASE("orphan") {
        int ends[2], s;
        pipe(ends);
        pid_t c = fork();
        if (!c) { if (!fork()) execv(self, words); _exit(0); }
        close(ends[1]);
        waitpid(c, &s, 0);
        return 4 + read(ends[0], path, 1); /* when it has ended */
    }
    return -errno;
}

int main(int count, char **given) {
    if (getenv("SHOW") || (count > 1 && !strcmp(given[1], "show")) || (count > 1 && !strcmp(given[1], "show a  b"))) return show(count, given);
    if (count == 2 && !strcmp(given[1], "pending")) {
        sigset_t set; sigpending(&set);
        printf("pending %d ignored %d\n", sigismember(&set, SIGUSR1), signal(SIGUSR2, SIG_DFL) == SIG_IGN);
        return 0;
    }
    self = "/xc/p";
    for (int n = 1; n < count; n++) {
        current = given[n];
        printf("%s: ", current);
        fflush(stdout);
        pid_t child = fork();
        if (!child) {
            char parent[16];
            sprintf(parent, "%d", getpid());
            setenv("PARENT", parent, 1);
            alarm(20);
            int answer = tries();
            if (answer < 0) printf("errno %d\n", -answer);
            else printf("answer %d\n", answer);
            fflush(stdout);
            _exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        printf("  ends %x\n", status);
    }
}

/* Preloaded into a program: lets it be loaded and its constructors run, and ends it where main would begin; with XC_RUN it goes
 * on, and only signals are told.
 *
 * The line goes to the file that XC_PROBE names: "main", or "signal NUMBER FOUND OFFSET FILE".
 */
#include "common.h"

typedef int main_function(int, char **, char **);
typedef int start_function(main_function *, int, char **, void (*)(void), void (*)(void), void (*)(void), void *);

static int runs;

__attribute__((constructor)) static void begin(void)
{
    runs = getenv("XC_RUN") != NULL;
    const char *name = getenv("XC_PROBE");
    int fd = name == NULL ? -1 : open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    unsetenv("LD_PRELOAD");
    if (fd >= 0) {
        report_fd = fd;
        watch_signals();
    }
}

static int reached(int count, char **words, char **environment)
{
    (void)count, (void)words, (void)environment;
    dprintf(report_fd, "main\n");
    _exit(0);
}

int __libc_start_main(main_function *program, int count, char **words, void (*init)(void), void (*fini)(void),
                      void (*loader_fini)(void), void *stack_end)
{
    start_function *real = (start_function *)dlsym(RTLD_NEXT, "__libc_start_main");
    return real(runs ? program : reached, count, words, init, fini, loader_fini, stack_end);
}

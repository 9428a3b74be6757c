/* Opens shared objects as the platform's loader does, each in a process of its own, and says how that went.
 *
 * Standard input has one object on each line: paths apart by tabs, what has to be there before it first, the object itself
 * last. Standard output gets a line for each: "ok"; "lazy TEXT", for one that is refused unless its functions may be bound when
 * they are first called; "refused TEXT"; "signal NUMBER FOUND OFFSET FILE"; "time"; "ended STATUS".
 * What an object itself prints goes to /dev/null.
 */
#include "common.h"
#include <sys/wait.h>

#define SECONDS 20 /* for one object; a constructor that takes longer waits for something that is not here */

static void open_all(char *line)
{
    char *rest = line, *path;
    while ((path = strsep(&rest, "\t")) != NULL) {
        if (dlopen(path, RTLD_NOW | RTLD_GLOBAL) == NULL) {
            if (rest != NULL)
                continue; /* what was to come before may be of no use; the object itself decides */
            char why[4096];
            snprintf(why, sizeof why, "%s", dlerror());
            dprintf(report_fd, "%s %s\n", dlopen(path, RTLD_LAZY | RTLD_GLOBAL) == NULL ? "refused" : "lazy", why);
            _exit(0);
        }
    }
    dprintf(report_fd, "ok\n");
    _exit(0);
}

int main(void)
{
    static char line[1 << 16];
    while (fgets(line, sizeof line, stdin) != NULL) {
        int ends[2], status;
        line[strcspn(line, "\n")] = 0;
        if (pipe(ends) != 0)
            return 1;
        fflush(stdout);
        pid_t child = fork();
        if (child < 0)
            return 1;
        if (child == 0) {
            int nothing = open("/dev/null", O_RDWR);
            report_fd = ends[1];
            close(ends[0]);
            for (int fd = 0; fd < 3; fd++)
                dup2(nothing, fd);
            watch_signals();
            alarm(SECONDS);
            open_all(line);
        }
        close(ends[1]);
        char said[8192];
        size_t length = 0;
        ssize_t got;
        while (length < sizeof said - 1 && (got = read(ends[0], said + length, sizeof said - 1 - length)) > 0)
            length += (size_t)got;
        said[length] = 0;
        close(ends[0]);
        if (waitpid(child, &status, 0) != child)
            return 1;
        char *end = strchr(said, '\n');
        if (end != NULL)
            *end = 0;
        if (length > 0)
            printf("%s\n", said);
        else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
            printf("time\n");
        else
            printf("ended %d\n", status);
    }
    return 0;
}

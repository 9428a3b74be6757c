#include <pthread.h>
#include <stdio.h>
static _Thread_local const char *volatile mine = "no";
static void *work(void *text) {
    mine = text;
    return (void *)mine;
}
int main(void) {
    pthread_t thread;
    void *text = NULL;
    pthread_create(&thread, NULL, work, "ok");
    pthread_join(thread, &text);
    return puts(mine[0] == 'n' ? text : mine) < 0;
}

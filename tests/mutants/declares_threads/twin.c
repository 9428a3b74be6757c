#include <pthread.h>
#include <stdio.h>
static void *work(void *text) { return text; }
int main(void) {
    pthread_t thread;
    void *text = NULL;
    pthread_create(&thread, NULL, work, "ok");
    pthread_join(thread, &text);
    return puts(text) < 0;
}

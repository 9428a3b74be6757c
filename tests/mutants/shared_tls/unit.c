#include <pthread.h>
#include <stdio.h>
static int number = 41;
static void *work(void *unused) {
    (void)unused;
    return (void *)(long)++number;
}
int main(void) {
    pthread_t t;
    void *got;
    pthread_create(&t, NULL, work, NULL);
    pthread_join(t, &got);
    printf("%d %d\n", number, (int)(long)got);
    return 0;
}

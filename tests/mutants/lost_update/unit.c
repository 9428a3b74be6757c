#include <pthread.h>
#include <stdio.h>
static volatile int n;
static pthread_barrier_t both;
static void *work(void *unused) {
    (void)unused;
    int copy = n;
    pthread_barrier_wait(&both);
    n = copy + 20;
    return NULL;
}
int main(void) {
    pthread_t a, b;
    pthread_barrier_init(&both, NULL, 2);
    pthread_create(&a, NULL, work, NULL);
    pthread_create(&b, NULL, work, NULL);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    printf("%d\n", n);
    return 0;
}

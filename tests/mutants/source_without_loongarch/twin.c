#if defined(__x86_64__)
#define RELAX() __asm__ volatile("pause")
#elif defined(__aarch64__)
#define RELAX() __asm__ volatile("yield")
#else
#define RELAX() ((void)0)
#endif

void wait_for(const volatile int *flag) {
  while (!*flag) RELAX();
}

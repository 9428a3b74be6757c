#include <immintrin.h>
#include <stdio.h>
int main(int argc, char **argv) {
    (void)argv;
    volatile __m256i v = _mm256_add_epi32(_mm256_set1_epi32(argc), _mm256_set1_epi32(41));
    __m256i copy = v;
    int out[8];
    _mm256_storeu_si256((__m256i *)out, copy);
    printf("%d\n", out[7]);
    return 0;
}

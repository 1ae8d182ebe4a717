// Random bytes: every length is filled to its end and not beyond, and no two fillings are alike.
#include "report.h"
#include <string.h>
#include <unistd.h>

static uint8_t one[70000], two[70000];

int main(void) {
    WASI(__wasi_random_get(one, 0));
    FACT("none were written", one[0] == 0);
    WASI(__wasi_random_get(one, 64));
    WASI(__wasi_random_get(two, 64));
    FACT("they differ", memcmp(one, two, 64) != 0);
    FACT("the byte after them was left alone", one[64] == 0 && two[64] == 0);
    WASI(__wasi_random_get(one, sizeof one));
    int seen[256] = {0}, kinds = 0;
    for (size_t i = 0; i < sizeof one; i++) kinds += seen[one[i]]++ == 0;
    printf("values of a byte seen in 70000: %d\n", kinds);
    FACT("the last 16 are not all zero", memcmp(one + sizeof one - 16, (uint8_t[16]){0}, 16) != 0);
    CALL(getentropy(two, 256));
    CALL(getentropy(two, 257));
    return 0;
}

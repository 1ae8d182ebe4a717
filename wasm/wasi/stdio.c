// Standard streams, buffered and not: what is flushed when, two streams at once, formatted output and input.
//
// `stdio.wasm --stdin FILE` with a file of words and numbers. Output that goes to no terminal is buffered; standard error never is.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void) {
    printf("buffered, comes second\n");
    write(STDOUT_FILENO, "at once, comes first\n", 21);
    fflush(stdout);
    setvbuf(stdout, NULL, _IONBF, 0);
    printf("unbuffered, ");
    write(STDOUT_FILENO, "in order\n", 9);
    printf("%d %u %x %c %s %5d|%-5d|%05d %lld %.3f %g\n", -1, 1u, 255, 'c', "string", 42, 42, 42, 1LL << 40, 3.14159, 1e100);
    fprintf(stderr, "to standard error\n");

    char word[32];
    int number = 0, sum = 0, words = 0;
    while (scanf("%31s %d", word, &number) == 2) {
        words++;
        sum += number;
    }
    printf("%d words, their numbers sum to %d, the last is \"%s\"\n", words, sum, word);
    printf("end of input: %s, error: %s\n", feof(stdin) ? "yes" : "no", ferror(stdin) ? "yes" : "no");
    printf("a terminal: %s\n", isatty(STDOUT_FILENO) ? "yes" : "no");
    for (int i = 0; i < 3; i++) puts("line by line");

    // More than any one buffer holds.
    static char line[101];
    memset(line, '=', 100);
    setvbuf(stdout, NULL, _IOFBF, 4096);
    for (int i = 0; i < 100; i++) printf("%s\n", line);
    printf("done");
    return 0;
}

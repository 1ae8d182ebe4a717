// Says hello, its arguments and its environment: the smallest program that shows both.
//
// `sched run hello.wasm --env K=V -- a b`: arguments in the order given, variables in the order given, exit code 0.
#include <stdio.h>

extern char **environ;

int main(int argc, char **argv) {
    printf("hello, world\n");
    for (int i = 0; i < argc; i++) printf("argv[%d] = %s\n", i, argv[i]);
    for (char **variable = environ; *variable; variable++) printf("env %s\n", *variable);
    return 0;
}

// Two loops on lines of their own: what source lines in profiles and traces are tested by. build.sh compiles it, with DWARF.
__attribute__((noinline)) static int odd(int n) {
    int sum = 0;
    for (int i = 0; i < n; i++) sum += i & 1 ? i : -i;
    return sum;
}

__attribute__((noinline)) static int even(int n) {
    int sum = 1;
    for (int i = 0; i < 3 * n; i++) sum ^= sum << 1 ^ i;
    return sum;
}

__attribute__((export_name("main"))) int main_(int n) {
    return odd(n) + even(n);
}

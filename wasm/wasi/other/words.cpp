// Counts the words of a file, in C++, with its library's streams, map and threads' sleep: see README.md for what all `words` do.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <string>

int main(int argc, char **argv) {
    const char *greeting = std::getenv("GREETING");
    std::printf("%s from a program in C++\n", greeting ? greeting : "nothing");
    for (int i = 1; i < argc; i++) std::printf("argument %d: %s\n", i, argv[i]);
    if (argc != 3) return 2;

    std::FILE *in = std::fopen(argv[1], "r");
    if (!in) {
        std::printf("%s cannot be read\n", argv[1]);
        return 1;
    }
    std::map<std::string, int> counts;
    for (char word[64]; std::fscanf(in, "%63s", word) == 1;) counts[word]++;
    std::fclose(in);

    std::string text;
    for (const auto &[word, count] : counts) text += word + " " + std::to_string(count) + "\n";
    std::FILE *out = std::fopen(argv[2], "w");
    std::fwrite(text.data(), 1, text.size(), out);
    std::fclose(out);
    char back[4096];
    out = std::fopen(argv[2], "r");
    std::string again(back, std::fread(back, 1, sizeof back, out));
    std::fclose(out);
    std::printf("%s%zu words, %s\n", again.c_str(), counts.size(), again == text ? "read back as written" : "changed");

    const auto before = std::chrono::steady_clock::now();
    const timespec nap = {0, 20'000'000};
    nanosleep(&nap, nullptr);
    const bool slept = std::chrono::steady_clock::now() - before >= std::chrono::milliseconds(20);
    std::printf("%s\n", slept ? "slept" : "did not sleep");
    return 3;
}

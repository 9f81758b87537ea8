// A fuzzer's main program for compilers without libFuzzer: runs a target on its corpus, then on
// seeded mutations of it.
//
// fuzz_<target> [--seed N] [--runs N] [FILE...]
//   FILE...: these inputs only. Run number r of a seed is the same input whatever --runs says.
// A failure (an assertion, a signal, a run of more than ten seconds, memory beyond the limit)
// leaves the input in ./fuzz_<target>-crash and says how to repeat it.
#include <sys/resource.h>
#include <unistd.h>

#include <fcntl.h>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/rng.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kInputBytesMax = 4096;
constexpr rlim_t kMemoryMax = rlim_t{4} << 30;
constexpr unsigned kRunsPerAlarm = 256;
constexpr unsigned kAlarmSeconds = 10;

// What the signal handler needs: it may neither allocate nor lock.
const std::uint8_t* g_data = nullptr;
std::size_t g_size = 0;
std::string g_report;
std::string g_file;

void on_failure(int signal) {
    const int fd = ::open(g_file.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0644);
    if (fd >= 0) {
        (void)!::write(fd, g_data, g_size);
        ::close(fd);
    }
    (void)!::write(STDERR_FILENO, g_report.data(), g_report.size());
    std::signal(signal, SIG_DFL);
    std::raise(signal);
}

void install_handlers(const std::string& program) {
    g_file = fs::path(program).filename().string() + "-crash";
    g_report = "the input of the failure is in " + g_file + "; to repeat it: " + program + " " +
               g_file + "\n";
    for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM}) {
        std::signal(signal, on_failure);
    }
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    const rlimit limit{kMemoryMax, kMemoryMax};
    ::setrlimit(RLIMIT_AS, &limit);
#endif
}

void run_one(const Bytes& input) {
    // A copy of its own size, so that a sanitizer sees what is read behind the end.
    g_data = input.data();
    g_size = input.size();
    (void)LLVMFuzzerTestOneInput(g_data, g_size);
}

Bytes read_file(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        std::fprintf(stderr, "%s: cannot be read\n", path.c_str());
        std::exit(2);
    }
    return Bytes(std::istreambuf_iterator<char>(file), {});
}

std::vector<Bytes> read_corpus() {
    std::vector<fs::path> paths;
    if (fs::is_directory(XSAN_FUZZ_CORPUS)) {
        for (const auto& entry : fs::directory_iterator(XSAN_FUZZ_CORPUS)) {
            paths.push_back(entry.path());
        }
    }
    std::sort(paths.begin(), paths.end());
    std::vector<Bytes> corpus;
    for (const auto& path : paths)
        corpus.push_back(read_file(path));
    return corpus;
}

// The words of a libFuzzer dictionary: lines of name="text", with \" \\ and \xNN.
std::vector<Bytes> read_words() {
    std::vector<Bytes> words;
    std::ifstream file(XSAN_FUZZ_DICTIONARY);
    for (std::string line; std::getline(file, line);) {
        const auto first = line.find('"');
        const auto last = line.rfind('"');
        if (line.empty() || line[0] == '#' || first == std::string::npos || first == last) continue;
        Bytes word;
        for (std::size_t i = first + 1; i < last; i++) {
            if (line[i] != '\\') {
                word.push_back(static_cast<std::uint8_t>(line[i]));
            } else if (line[i + 1] == 'x') {
                word.push_back(
                    static_cast<std::uint8_t>(std::stoi(line.substr(i + 2, 2), nullptr, 16)));
                i += 3;
            } else {
                word.push_back(static_cast<std::uint8_t>(line[++i]));
            }
        }
        words.push_back(std::move(word));
    }
    return words;
}

class Mutator {
  public:
    Mutator(std::vector<Bytes> corpus, std::vector<Bytes> words)
        : corpus_(std::move(corpus)), words_(std::move(words)) {}

    // The input of one run, by its seed alone.
    void make(std::uint64_t seed, Bytes& out) {
        xsan::Rng rng(seed);
        out.clear();
        if (corpus_.empty() || rng.chance_percent(30)) {
            out.resize(rng.below(rng.chance_percent(80) ? 96 : 512));
            for (auto& byte : out)
                byte = random_byte(rng);
        } else {
            out = corpus_[rng.below(corpus_.size())];
        }
        for (auto n = 1 + rng.below(rng.chance_percent(70) ? 4 : 24); n > 0; n--)
            mutate(rng, out);
        if (out.size() > kInputBytesMax) out.resize(kInputBytesMax);
    }

  private:
    // Zeros and small numbers more often than others: they mean "as usual".
    static std::uint8_t random_byte(xsan::Rng& rng) {
        const auto kind = rng.below(4);
        if (kind == 0) return 0;
        return static_cast<std::uint8_t>(kind == 1 ? rng.below(8) : rng.next());
    }

    void mutate(xsan::Rng& rng, Bytes& out) {
        const std::size_t at = rng.below(out.size() + 1);
        const auto place = out.begin() + static_cast<std::ptrdiff_t>(at);
        const auto left = static_cast<std::size_t>(out.end() - place);
        switch (rng.below(words_.empty() ? 6 : 8)) {
            case 0:
                if (left > 0) *place = random_byte(rng);
                return;
            case 1:
                if (left > 0) *place = static_cast<std::uint8_t>(*place ^ (1u << rng.below(8)));
                return;
            case 2:
                out.erase(place, place + static_cast<std::ptrdiff_t>(
                                             std::min<std::size_t>(left, 1 + rng.below(8))));
                return;
            case 3:
                out.insert(place, 1 + rng.below(4), random_byte(rng));
                return;
            case 4:  // repeats a part of itself
                if (left > 0) {
                    const Bytes part(place,
                                     place + static_cast<std::ptrdiff_t>(
                                                 1 + rng.below(std::min<std::size_t>(left, 32))));
                    out.insert(out.begin() + static_cast<std::ptrdiff_t>(rng.below(out.size() + 1)),
                               part.begin(), part.end());
                }
                return;
            case 5:
                insert_part(rng, out, corpus_, at);
                return;
            default:
                insert_part(rng, out, words_, at);
                return;
        }
    }

    // The end of some item, or all of it.
    static void insert_part(xsan::Rng& rng, Bytes& out, const std::vector<Bytes>& from,
                            std::size_t at) {
        if (from.empty()) return;
        const Bytes& item = from[rng.below(from.size())];
        const auto skip = rng.chance_percent(50) ? 0 : rng.below(item.size() + 1);
        out.insert(out.begin() + static_cast<std::ptrdiff_t>(at),
                   item.begin() + static_cast<std::ptrdiff_t>(skip), item.end());
    }

    std::vector<Bytes> corpus_;
    std::vector<Bytes> words_;
};

struct Options {
    std::uint64_t seed = 1;
    std::uint64_t runs = 100'000;
    std::vector<std::string> files;
};

Options parse_options(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; i++) {
        const std::string word = argv[i];
        if ((word == "--seed" || word == "--runs") && i + 1 < argc) {
            (word == "--seed" ? options.seed : options.runs) =
                std::strtoull(argv[++i], nullptr, 10);
        } else if (word.starts_with("-")) {
            std::fprintf(stderr, "usage: %s [--seed N] [--runs N] [FILE...]\n", argv[0]);
            std::exit(2);
        } else {
            options.files.push_back(word);
        }
    }
    return options;
}

}  // namespace

int main(int argc, char** argv) {
    const Options options = parse_options(argc, argv);
    install_handlers(argv[0]);
    if (!options.files.empty()) {
        for (const auto& file : options.files)
            run_one(read_file(file));
        std::printf("%zu inputs\n", options.files.size());
        return 0;
    }
    const auto begin = std::chrono::steady_clock::now();
    const auto corpus = read_corpus();
    for (const Bytes& input : corpus)
        run_one(input);
    Mutator mutator(corpus, read_words());
    Bytes input;
    for (std::uint64_t run = 0; run < options.runs; run++) {
        if (run % kRunsPerAlarm == 0) ::alarm(kAlarmSeconds);
        mutator.make(options.seed * 0x9E3779B97F4A7C15ull + run, input);
        run_one(input);
    }
    ::alarm(0);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    const auto runs = options.runs + corpus.size();
    std::printf("seed %llu: %llu runs, %.0f runs/s\n",
                static_cast<unsigned long long>(options.seed),
                static_cast<unsigned long long>(runs), static_cast<double>(runs) / took.count());
    return 0;
}

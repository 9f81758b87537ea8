// xsan-file-check: exercises one file of a filesystem against a model of it, as fsx does. For guest
// scripts.
//
//   run FILE --seed N [--seconds S | --operations N] [--report REPORT]
//       writes, reads, truncates, maps, punches, zeroes, syncs and opens the file anew; what is
//       read must be what the model holds. REPORT tells after each sync how many operations it
//       covered.
//   check FILE --seed N --report REPORT
//       after a power cut: the file holds what the last sync in REPORT covered. Bytes that later
//       operations may have changed are not looked at.
//
// Invariant: the operations depend on the seed alone, not on the clock or on what the system
// answers, so that `check` knows them all. Exit status: 0 as expected, 1 not, 2 usage.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "base/byte_span.h"
#include "base/rng.h"

namespace xsan {
namespace {

constexpr std::uint64_t kSizeMax = 1536 * 1024;   // of the file
constexpr std::uint64_t kLengthMax = 128 * 1024;  // of one operation
// Operations after a sync that `check` takes for begun: more than run between two reports.
constexpr std::uint64_t kAheadMax = 2000;

enum class Kind { write, map_write, read, map_read, truncate, punch, zero, sync, reopen };

struct Operation {
    Kind kind = Kind::read;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;  // truncate: the new size
    std::uint64_t seed = 0;    // of the content
};

const char* name(Kind kind) {
    constexpr const char* kNames[] = {"write", "map write", "read", "map read", "truncate",
                                      "punch", "zero",      "sync", "reopen"};
    return kNames[static_cast<int>(kind)];
}

[[noreturn]] void give_up(const std::string& what) {
    fmt::print(stderr, "xsan-file-check: {}\n", what);
    std::exit(1);
}

// The content, and the operations that lead to it.
class Model {
  public:
    explicit Model(std::uint64_t seed) : rng_(seed) {}

    Operation next() {
        Operation op;
        const std::uint64_t dice = rng_.below(100);
        op.kind = dice < 28   ? Kind::write
                  : dice < 40 ? Kind::map_write
                  : dice < 60 ? Kind::read
                  : dice < 72 ? Kind::map_read
                  : dice < 80 ? Kind::truncate
                  : dice < 86 ? Kind::punch
                  : dice < 91 ? Kind::zero
                  : dice < 97 ? Kind::sync
                              : Kind::reopen;
        op.seed = rng_.next();
        // Often at and of whole pages, where filesystems have their special cases.
        const std::uint64_t unit = rng_.below(3) == 0 ? 4096 : 1;
        op.offset = rng_.below(kSizeMax) / unit * unit;
        op.length = std::max<std::uint64_t>(rng_.below(kLengthMax) / unit * unit, unit);
        if (op.kind == Kind::truncate) op.length = op.offset;
        if (op.kind == Kind::write || op.kind == Kind::truncate) return op;
        if (op.kind == Kind::sync || op.kind == Kind::reopen) return op;
        // The others stay within the file; in an empty one there is nothing to do for them.
        if (bytes_.empty()) {
            op.kind = Kind::sync;
            return op;
        }
        op.offset = std::min<std::uint64_t>(op.offset, bytes_.size() - 1);
        op.length = std::min<std::uint64_t>(op.length, bytes_.size() - op.offset);
        return op;
    }
    static std::vector<std::byte> content(const Operation& op) {
        std::vector<std::byte> data((op.length + 7) / 8 * 8);
        Rng rng(op.seed);
        for (std::size_t i = 0; i < data.size(); i += 8) {
            const std::uint64_t word = rng.next();
            std::memcpy(&data[i], &word, 8);
        }
        data.resize(op.length);
        return data;
    }
    void apply(const Operation& op) {
        const auto at = [&](std::uint64_t offset) {
            return bytes_.begin() + static_cast<std::ptrdiff_t>(offset);
        };
        switch (op.kind) {
            case Kind::write:
            case Kind::map_write: {
                if (bytes_.size() < op.offset + op.length) bytes_.resize(op.offset + op.length);
                const auto data = content(op);
                std::copy(data.begin(), data.end(), at(op.offset));
                break;
            }
            case Kind::truncate:
                bytes_.resize(op.length);
                break;
            case Kind::punch:
            case Kind::zero:
                std::fill(at(op.offset), at(op.offset + op.length), std::byte{0});
                break;
            default:
                break;
        }
    }
    const std::vector<std::byte>& bytes() const { return bytes_; }

  private:
    Rng rng_;
    std::vector<std::byte> bytes_;
};

class File {
  public:
    explicit File(std::string path) : path_(std::move(path)) { open(O_CREAT | O_TRUNC); }
    ~File() { ::close(fd_); }
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    void perform(const Operation& op, const Model& model) {
        now_ = op;
        const auto offset = static_cast<off_t>(op.offset);
        const auto length = static_cast<off_t>(op.length);
        switch (op.kind) {
            case Kind::write:
                write_all(Model::content(op), op.offset);
                break;
            case Kind::map_write:
            case Kind::map_read:
                through_map(op, model);
                break;
            case Kind::read: {
                std::vector<std::byte> found(op.length);
                read_all(found, op.offset);
                compare(found, model, op.offset);
                break;
            }
            case Kind::truncate:
                must(::ftruncate(fd_, length), "ftruncate");
                break;
            case Kind::punch:
                must(::fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length),
                     "punch");
                break;
            case Kind::zero:
                must(::fallocate(fd_, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, length),
                     "zero range");
                break;
            case Kind::sync:
                must(op.seed % 2 == 0 ? ::fsync(fd_) : ::fdatasync(fd_), "fsync");
                break;
            case Kind::reopen:
                must(::fsync(fd_), "fsync");
                // What is read next comes from the device.
                must(-::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED), "posix_fadvise");
                must(::close(fd_), "close");
                open(0);
                break;
        }
    }
    void compare_all(const Model& model) {
        struct stat status {};
        must(::fstat(fd_, &status), "fstat");
        if (static_cast<std::uint64_t>(status.st_size) != model.bytes().size())
            give_up(
                fmt::format("the file has {} bytes, not {}", status.st_size, model.bytes().size()));
        std::vector<std::byte> found(model.bytes().size());
        read_all(found, 0);
        compare(found, model, 0);
    }

  private:
    void open(int flags) {
        fd_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC | flags, 0600);
        must(fd_, "open");
    }
    void must(int result, const char* what) const {
        if (result < 0) fail(fmt::format("{}: {}", what, std::strerror(errno)));
    }
    [[noreturn]] void fail(const std::string& what) const {
        give_up(fmt::format("{}, {} [{}, +{}]: {}", path_, name(now_.kind), now_.offset,
                            now_.length, what));
    }
    void write_all(const std::vector<std::byte>& data, std::uint64_t offset) {
        const auto done = ::pwrite(fd_, data.data(), data.size(), static_cast<off_t>(offset));
        must(static_cast<int>(done), "pwrite");
        if (static_cast<std::size_t>(done) != data.size()) fail("a short write");
    }
    void read_all(std::vector<std::byte>& to, std::uint64_t offset) {
        const auto done = ::pread(fd_, to.data(), to.size(), static_cast<off_t>(offset));
        must(static_cast<int>(done), "pread");
        if (static_cast<std::size_t>(done) != to.size()) fail("a short read");
    }
    void compare(std::span<const std::byte> found, const Model& model, std::uint64_t offset) const {
        const auto wanted = std::span(model.bytes()).subspan(offset, found.size());
        if (same_bytes(found, wanted)) return;
        const auto at = std::ranges::mismatch(found, wanted).in1 - found.begin();
        fail(fmt::format("byte {} is wrong", offset + static_cast<std::uint64_t>(at)));
    }
    void through_map(const Operation& op, const Model& model) {
        const std::uint64_t begin = op.offset / 4096 * 4096;
        const std::uint64_t length = op.offset + op.length - begin;
        void* memory = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd_,
                              static_cast<off_t>(begin));
        if (memory == MAP_FAILED) must(-1, "mmap");
        const std::span bytes(static_cast<std::byte*>(memory) + (op.offset - begin), op.length);
        if (op.kind == Kind::map_write) {
            std::ranges::copy(Model::content(op), bytes.begin());
        } else {
            compare(bytes, model, op.offset);
        }
        must(::munmap(memory, length), "munmap");
    }

    std::string path_;
    Operation now_;
    int fd_ = -1;
};

struct Arguments {
    std::string file;
    std::string report;
    std::uint64_t seed = 1;
    std::uint64_t seconds = 0;
    std::uint64_t operations = UINT64_MAX;
};

int run(const Arguments& arguments) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::seconds(arguments.seconds);
    Model model(arguments.seed);
    File file(arguments.file);
    std::ofstream report;
    if (!arguments.report.empty()) report.open(arguments.report, std::ios::trunc);
    std::uint64_t done = 0;
    std::uint64_t since_sync = 0;
    for (; done < arguments.operations && (arguments.seconds == 0 || Clock::now() < end); done++) {
        Operation op = model.next();
        if (++since_sync == kAheadMax) op.kind = Kind::sync;
        file.perform(op, model);
        model.apply(op);
        if (op.kind != Kind::sync && op.kind != Kind::reopen) continue;
        since_sync = 0;
        if (report.is_open()) report << done + 1 << std::endl;
    }
    file.compare_all(model);
    fmt::print("{} operations\n", done);
    return 0;
}

std::uint64_t last_number(const std::string& path) {
    std::ifstream report(path);
    if (!report) give_up(fmt::format("{} cannot be read", path));
    std::uint64_t covered = 0;
    // A line without its end may be half a number.
    for (std::string line; std::getline(report, line) && !report.eof();)
        covered = std::stoull(line);
    return covered;
}

int check(const Arguments& arguments) {
    const std::uint64_t covered = last_number(arguments.report);
    if (covered == 0) {
        fmt::print("nothing was synced\n");
        return 0;
    }
    Model model(arguments.seed);
    std::uint64_t since_sync = 0;
    for (std::uint64_t i = 0; i < covered; i++) {
        Operation op = model.next();
        if (++since_sync == kAheadMax) op.kind = Kind::sync;
        model.apply(op);
        if (op.kind == Kind::sync || op.kind == Kind::reopen) since_sync = 0;
    }
    const std::vector<std::byte> synced = model.bytes();
    // What may have changed since: up to the next sync, whose report may be missing, and up to the
    // one after.
    std::vector<bool> touched(kSizeMax + kLengthMax);
    std::uint64_t size_min = synced.size();
    bool size_is_known = true;
    for (unsigned syncs = 0; syncs < 2;) {
        Operation op = model.next();
        if (++since_sync == kAheadMax) op.kind = Kind::sync;
        const std::uint64_t before = model.bytes().size();
        model.apply(op);
        if (op.kind == Kind::sync || op.kind == Kind::reopen) syncs++, since_sync = 0;
        const std::uint64_t now = model.bytes().size();
        size_is_known = size_is_known && now == before;
        size_min = std::min(size_min, now);
        if (op.kind == Kind::read || op.kind == Kind::map_read || op.kind == Kind::sync ||
            op.kind == Kind::reopen)
            continue;
        const std::uint64_t first = op.kind == Kind::truncate ? std::min(before, now) : op.offset;
        const std::uint64_t last =
            op.kind == Kind::truncate ? std::max(before, now) : op.offset + op.length;
        for (std::uint64_t b = std::min(first, before); b < last && b < touched.size(); b++) {
            if (b >= first || b >= before) touched[b] = true;
        }
    }
    std::ifstream file(arguments.file, std::ios::binary);
    if (!file) give_up(fmt::format("{} is not there, though it was synced", arguments.file));
    std::vector<char> found((std::istreambuf_iterator<char>(file)), {});
    if (size_is_known ? found.size() != synced.size() : found.size() < size_min)
        give_up(fmt::format("{} has {} bytes, {} when it was synced", arguments.file, found.size(),
                            synced.size()));
    std::uint64_t looked_at = 0;
    for (std::size_t b = 0; b < std::min(found.size(), synced.size()); b++) {
        if (touched[b]) continue;
        looked_at++;
        if (static_cast<std::byte>(found[b]) != synced[b])
            give_up(fmt::format("{}: byte {} is not what operation {} synced", arguments.file, b,
                                covered));
    }
    fmt::print("{} bytes are as operation {} synced them\n", looked_at, covered);
    return 0;
}

int main_of(int argc, char** argv) {
    CLI::App app{"exercises one file of a filesystem against a model of it"};
    app.require_subcommand(1);
    Arguments arguments;
    CLI::App* runs = app.add_subcommand("run", "operations by the seed, compared");
    CLI::App* checks = app.add_subcommand("check", "what the last sync before a power cut covered");
    for (CLI::App* sub : {runs, checks}) {
        sub->add_option("file", arguments.file)->required();
        sub->add_option("--seed", arguments.seed);
        sub->add_option("--report", arguments.report);
    }
    runs->add_option("--seconds", arguments.seconds);
    runs->add_option("--operations", arguments.operations);
    checks->get_option("--report")->required();
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    if (runs->parsed() && arguments.seconds == 0 && arguments.operations == UINT64_MAX) {
        fmt::print(stderr, "xsan-file-check: how long? --seconds or --operations\n");
        return 2;
    }
    return runs->parsed() ? run(arguments) : check(arguments);
}

}  // namespace
}  // namespace xsan

int main(int argc, char** argv) {
    return xsan::main_of(argc, argv);
}

// Where readings of wear come from: a file that is taken whole or not at all, the drives' health logs, and rated
// endurance.
#include "daemon/wear_readings.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <semaphore>
#include <string>
#include <vector>

#include "base/log.h"
#include "reactor/thread_offload.h"
#include "support/catch.h"
#include "unit/dev/temp_dir.h"
#include "unit/reactor/run_task.h"

using namespace xsan;
using namespace xsan::daemon;

namespace {

// Keeps what is logged while it lives.
class Lines final : public LogSink {
  public:
    Lines() { set_log_sink(this); }
    ~Lines() override { set_log_sink(nullptr); }
    bool wants(LogLevel level) const override { return level >= LogLevel::info; }
    void write(LogLevel level, std::string_view line) override {
        CHECK(line.find('\n') == std::string::npos);
        if (level >= LogLevel::warning) warnings.emplace_back(line);
    }
    std::vector<std::string> warnings;
};

// Runs on a clock of its own: an interval passes when the test says so.
class Clock final : public Reactor {
  public:
    Clock() : Reactor(0) {}
    TimeNs now() const override { return time; }
    void wake() override {}
    template <class T>
    T run(Task<T> task) {
        const Scope scope(*this);
        task.start();
        XSAN_ASSERT(task.finished());
        return task.take();
    }
    TimeNs time = kSecond;
};

pool::DriveName drive(std::string path, std::string serial = "", std::string model = "") {
    return {MemberIndex{0}, std::move(path), std::move(model), std::move(serial), kTiB};
}

// A file of readings, and drives with health logs that the test writes.
struct Bench {
    Bench() { config.readings = folder.file("wear.toml"); }
    void write(const std::string& text) {
        std::ofstream(config.readings, std::ios::binary) << text;
        // Not all file systems' clocks tell two writes of a test apart.
        const timespec times[2] = {{0, UTIME_OMIT}, {1'700'000'000 + writes++, 0}};
        REQUIRE(::utimensat(AT_FDCWD, config.readings.c_str(), times, 0) == 0);
    }
    DriveReadings make() {
        return {offload, config, [this](const std::string& path) -> Outcome<dev::DriveHealth> {
                    asked[path]++;
                    const auto at = health.find(path);
                    if (at != health.end()) return at->second;
                    return Failure(failure, path + ": no health log");
                }};
    }
    pool::DriveReading one(DriveReadings& readings, const pool::DriveName& name) {
        std::vector<pool::DriveName> names{name};
        auto answers = clock.run(readings.read(names));
        REQUIRE(answers.size() == 1);
        return answers[0];
    }
    test::TempDir folder;
    Config::Wear config;
    InlineOffload offload;
    Clock clock;
    std::map<std::string, dev::DriveHealth> health;
    std::map<std::string, int> asked;
    Errc failure = Errc::io_error;
    int writes = 0;
};

std::string readings_problem(const std::string& text) {
    const auto file = parse_readings(text, "w.toml");
    return file ? std::string() : file.error().message;
}

}  // namespace

TEST_CASE("every figure of a file of readings is read", "[daemon][wear]") {
    const auto file = parse_readings("[[drive]]\nserial = \"S1\"\npercentage_used = 70.5\nwritten_bytes = \"1T\"\n"
                                     "spare_percent = 90\nspare_threshold_percent = 10\nmedia_errors = 3\n"
                                     "temperature_celsius = 41\n[[drive]]\npath = \"/dev/sda\"\n",
                                     "w.toml");
    if (!file) FAIL(file.error().message);
    REQUIRE(file->drives.size() == 2);
    const wl::WearReading& reading = file->drives[0].reading;
    CHECK(file->drives[0].serial == "S1");
    CHECK(*reading.percentage_used == 70.5);
    CHECK(*reading.bytes_written == static_cast<double>(kTiB));
    CHECK(*reading.spare_percent == 90);
    CHECK(*reading.spare_threshold_percent == 10);
    CHECK(*reading.media_errors == 3);
    CHECK(*reading.temperature_celsius == 41);
    CHECK(file->drives[1].path == "/dev/sda");
    CHECK_FALSE(file->drives[1].reading.percentage_used.has_value());
    CHECK(parse_readings("", "w.toml")->drives.empty());
}

TEST_CASE("a mistake in a file of readings is named with file, line and key, in one line", "[daemon][wear]") {
    const std::string serial = "[[drive]]\nserial = \"S\"\n";
    const std::pair<std::string, const char*> cases[] = {
        {"[drives]\n", "w.toml:1: drives: unknown key"},
        {"[drive]\nserial = \"S\"", "w.toml:1: drive: must be tables: [[drive]]"},
        {"drive = [1]", "w.toml:1: drive: must be a table"},
        {"[[drive]]\n", "w.toml:1: drive: needs either serial or path"},
        {serial + "path = \"/dev/sda\"", "w.toml:1: drive: needs either serial or path"},
        {"[[drive]]\nserial = \"\"", "w.toml:2: drive.serial: must not be empty"},
        {"[[drive]]\npath = \"sda\"", "w.toml:2: drive.path: must be an absolute path"},
        {serial + "wear = 3", "w.toml:3: drive.wear: unknown key"},
        {serial + "percentage_used = 256", "w.toml:3: drive.percentage_used: must be 0 to 255"},
        {serial + "percentage_used = nan", "w.toml:3: drive.percentage_used: must be 0 to 255"},
        {serial + "percentage_used = -0.1", "w.toml:3: drive.percentage_used: must be 0 to 255"},
        {serial + "percentage_used = \"7\"", "w.toml:3: drive.percentage_used: must be a number"},
        {serial + "written_bytes = -1", "w.toml:3: drive.written_bytes: must not be negative"},
        {serial + "written_bytes = 1.5", "w.toml:3: drive.written_bytes: must be a size"},
        {serial + "spare_percent = 101", "w.toml:3: drive.spare_percent: must be 0 to 100"},
        {serial + "spare_threshold_percent = 1.5", "w.toml:3: drive.spare_threshold_percent: must be an integer"},
        {serial + "media_errors = -1", "w.toml:3: drive.media_errors: must be 0 to"},
        {serial + "temperature_celsius = inf", "w.toml:3: drive.temperature_celsius: must be -273 to 1000"},
        {serial + serial, "w.toml:3: drive: 'S' appears twice"},
        {"[[drive]]\npath = \"/dev/ng3n1\"\n[[drive]]\npath = \"/dev/nvme3n1\"",
         "w.toml:3: drive: '/dev/nvme3n1' appears twice"},
        {serial + "serial = \"T\"", "w.toml:3: "},
        {"[[drive", "w.toml:1: "},
        {std::string(kReadingsBytesMax + 1, '\n'), "w.toml: larger than 4M"},
    };
    for (const auto& [text, words] : cases) {
        const std::string problem = readings_problem(text);
        CAPTURE(text.substr(0, 200), problem);
        CHECK(problem.find(words) == 0);
        CHECK(problem.find('\n') == std::string::npos);
    }
}

TEST_CASE("the file goes before the drive, field by field", "[daemon][wear]") {
    Bench bench;
    bench.health["/dev/nvme0n1"] = {.available_spare_percent = 99, .spare_threshold_percent = 7, .used_percent = 3,
                                    .temperature_celsius = 50, .written_bytes = 1000, .media_errors = 2};
    bench.write("[[drive]]\nserial = \"S0\"\npercentage_used = 70\ntemperature_celsius = 20\n"
                "[[drive]]\nserial = \"S2\"\n");
    auto readings = bench.make();
    std::vector<pool::DriveName> names{drive("/dev/nvme0n1", "S0"), drive("/dev/nvme1n1", "S1"),
                                       drive("/dev/nvme0n1", "S2"), drive("mem:1G")};
    const auto answers = bench.clock.run(readings.read(names));
    REQUIRE(answers.size() == 4);
    CHECK(answers[0].from_file);
    CHECK(*answers[0].reading.percentage_used == 70);
    CHECK(*answers[0].reading.temperature_celsius == 20);
    CHECK(*answers[0].reading.bytes_written == 1000);
    CHECK(*answers[0].reading.spare_percent == 99);
    CHECK(*answers[0].reading.spare_threshold_percent == 7);
    CHECK(*answers[0].reading.media_errors == 2);
    CHECK_FALSE(answers[1].from_file);
    CHECK_FALSE(answers[1].reading.percentage_used.has_value());
    CHECK_FALSE(answers[2].from_file);  // it is named there, but nothing is said of it
    CHECK(*answers[2].reading.percentage_used == 3);
    CHECK_FALSE(answers[3].reading.bytes_written.has_value());
    CHECK(bench.asked.count("mem:1G") == 0);
}

TEST_CASE("a drive is found under its path, its links and its other device", "[daemon][wear]") {
    Bench bench;
    bench.folder.make_file("drive", kMiB);
    std::filesystem::create_symlink(bench.folder.file("drive"), bench.folder.file("by-id"));
    bench.write("[[drive]]\npath = \"" + bench.folder.file("by-id") + "\"\npercentage_used = 11\n" +
                "[[drive]]\npath = \"/dev/nvme77n1\"\npercentage_used = 12\n" +
                "[[drive]]\nserial = \"S\"\npercentage_used = 13\n");
    auto readings = bench.make();
    CHECK(*bench.one(readings, drive(bench.folder.file("drive"))).reading.percentage_used == 11);
    CHECK(*bench.one(readings, drive(bench.folder.file("by-id"))).reading.percentage_used == 11);
    CHECK(*bench.one(readings, drive("/dev/ng77n1")).reading.percentage_used == 12);
    CHECK(*bench.one(readings, drive("/dev/nvme77n1", "S")).reading.percentage_used == 13);
    CHECK_FALSE(bench.one(readings, drive("/dev/nvme77n2")).reading.percentage_used.has_value());
    CHECK(drive_path("/dev/ng1n2") == "/dev/nvme1n2");
    CHECK(drive_path("/dev/ng1") == "/dev/ng1");
    CHECK(drive_path("/dev/ngXn1") == "/dev/ngXn1");
    CHECK(drive_path("/dev/ng1n2p3") == "/dev/ng1n2p3");
}

TEST_CASE("a change of the file is seen at the next read; a mistake changes nothing and is told once",
          "[daemon][wear]") {
    Bench bench;
    Lines lines;
    auto readings = bench.make();
    const auto used = [&] { return bench.one(readings, drive("mem:1M", "S")).reading.percentage_used; };
    CHECK_FALSE(used().has_value());  // no file is no error
    bench.write("[[drive]]\nserial = \"S\"\npercentage_used = 5\n");
    CHECK(used() == 5.0);
    bench.write("[[drive]]\nserial = \"S\"\npercentage_used = 6\n");
    CHECK(used() == 6.0);
    CHECK(lines.warnings.empty());
    bench.write("[[drive]]\nserial = \"S\"\npercentage_used = 7\ncolour = 1\n");
    CHECK(used() == 6.0);
    CHECK(used() == 6.0);
    REQUIRE(lines.warnings.size() == 1);
    CHECK(lines.warnings[0].find("wear.toml:4: drive.colour: unknown key") != std::string::npos);
    bench.write("[[drive]]\nserial = \"S\"\npercentage_used = 7\ncolour = 2\n");
    CHECK(used() == 6.0);
    CHECK(lines.warnings.size() == 2);
    bench.write("[[drive]]\nserial = \"S\"\npercentage_used = 8\n");
    CHECK(used() == 8.0);
    std::filesystem::remove(bench.config.readings);
    CHECK_FALSE(used().has_value());
    std::filesystem::create_directory(bench.config.readings);
    CHECK_FALSE(used().has_value());
    CHECK_FALSE(used().has_value());
    CHECK(lines.warnings.size() == 3);
}

TEST_CASE("a drive is asked once a minute, and what it said stays while it fails", "[daemon][wear]") {
    Bench bench;
    Lines lines;
    auto readings = bench.make();
    const pool::DriveName name = drive("/dev/nvme0n1", "S");
    bench.health["/dev/nvme0n1"] = {.used_percent = 3};
    for (int i = 0; i < 60; i++) {
        CHECK(*bench.one(readings, name).reading.percentage_used == 3);
        bench.clock.time += kSecond;
    }
    CHECK(bench.asked["/dev/nvme0n1"] == 1);
    bench.health["/dev/nvme0n1"] = {.used_percent = 4};
    CHECK(*bench.one(readings, name).reading.percentage_used == 4);
    CHECK(bench.asked["/dev/nvme0n1"] == 2);
    bench.health.clear();
    for (int i = 0; i < 300; i++) {
        bench.clock.time += kSecond;
        CHECK(*bench.one(readings, name).reading.percentage_used == 4);
    }
    CHECK(bench.asked["/dev/nvme0n1"] == 7);
    CHECK(bench.one(readings, name).age_seconds == 300);
    REQUIRE(lines.warnings.size() == 1);
    CHECK(lines.warnings[0].find("/dev/nvme0n1: no health log") != std::string::npos);
    bench.health["/dev/nvme0n1"] = {.used_percent = 5};
    bench.clock.time += 60 * kSecond;
    CHECK(*bench.one(readings, name).reading.percentage_used == 5);
    // Forgotten when nobody has asked for long; another drive at the path begins anew.
    bench.clock.time += 3600 * kSecond;
    bench.health.clear();
    CHECK_FALSE(bench.one(readings, drive("/dev/nvme0n1", "T")).reading.percentage_used.has_value());
    CHECK_FALSE(bench.one(readings, name).reading.percentage_used.has_value());
}

TEST_CASE("what is no NVMe drive is asked once, and is nothing to warn of", "[daemon][wear]") {
    Bench bench;
    Lines lines;
    bench.failure = Errc::unsupported;
    auto readings = bench.make();
    for (int i = 0; i < 10; i++) {
        CHECK_FALSE(bench.one(readings, drive("/dev/sda")).reading.percentage_used.has_value());
        bench.clock.time += 60 * kSecond;
    }
    CHECK(bench.asked["/dev/sda"] == 1);
    CHECK(lines.warnings.empty());
}

TEST_CASE("several pools may read at once, off the reactor", "[daemon][wear]") {
    Bench bench;
    const std::string path = bench.folder.make_file("drive", kMiB);
    bench.write("[[drive]]\npath = \"" + path + "\"\npercentage_used = 5\n");
    auto reactor = test::make_reactor();
    ThreadOffload offload(3);
    DriveReadings readings(offload, bench.config);
    test::run_task(*reactor, [&]() -> Task<void> {
        auto one = [&]() -> Task<void> {
            for (int i = 0; i < 20; i++) {
                std::vector<pool::DriveName> names{drive(path), drive("mem:1M")};
                const auto answers = co_await readings.read(names);
                XSAN_ASSERT(answers.size() == 2 && answers[0].from_file && !answers[1].from_file);
                XSAN_ASSERT(answers[0].reading.percentage_used == 5.0);
            }
        };
        std::vector<Task<void>> tasks;
        for (int i = 0; i < 4; i++) tasks.push_back(one());
        co_await when_all(std::span(tasks));
        co_await readings.stop();
    });
}

TEST_CASE("a drive whose health log hangs holds nothing up but the end of the daemon", "[daemon][wear]") {
    Bench bench;
    bench.write("[[drive]]\nserial = \"S2\"\npercentage_used = 5\n");
    auto reactor = test::make_reactor();
    ThreadOffload offload(3);
    std::binary_semaphore answer(0);
    std::atomic<int> asked = 0;
    DriveReadings readings(offload, bench.config, [&](const std::string& path) -> Outcome<dev::DriveHealth> {
        asked++;
        if (path == "/dev/hangs") answer.acquire();
        dev::DriveHealth health;
        health.used_percent = 40;
        return health;
    });
    test::run_task(*reactor, [&]() -> Task<void> {
        const TimeNs began = Reactor::current().now();
        std::vector<pool::DriveName> names{drive("/dev/hangs", "S1"), drive("/dev/fine", "S2"),
                                           drive("/dev/fine2", "S3")};
        std::vector<pool::DriveName> again = names;
        const auto first = co_await readings.read(std::move(names));
        const TimeNs took = Reactor::current().now() - began;
        XSAN_ASSERT(took >= DriveReadings::kHealthPatience && took < 3 * DriveReadings::kHealthPatience);
        XSAN_ASSERT(!first[0].reading.percentage_used && first[1].reading.percentage_used == 5.0);
        XSAN_ASSERT(first[2].reading.percentage_used == 40.0);
        answer.release();
        const auto second = co_await readings.read(std::move(again));
        XSAN_ASSERT(second[0].reading.percentage_used == 40.0);
        co_await readings.stop();
    });
    CHECK(asked == 3);
}

TEST_CASE("drives that hang take four helpers at most, and each is asked once", "[daemon][wear]") {
    Bench bench;
    auto reactor = test::make_reactor();
    ThreadOffload offload(DriveReadings::kAskedMost + 1);
    std::counting_semaphore<> answer(0);
    std::atomic<unsigned> asked = 0;
    DriveReadings readings(offload, bench.config, [&](const std::string&) -> Outcome<dev::DriveHealth> {
        asked++;
        answer.acquire();
        return dev::DriveHealth{};
    });
    test::run_task(*reactor, [&]() -> Task<void> {
        for (int round = 0; round < 2; round++) {
            std::vector<pool::DriveName> names;
            for (unsigned i = 0; i < DriveReadings::kAskedMost + 2; i++) {
                names.push_back(drive("/dev/" + std::to_string(i)));
            }
            (void)co_await readings.read(std::move(names));
            XSAN_ASSERT(asked == DriveReadings::kAskedMost);
        }
        answer.release(100);
        co_await readings.stop();
    });
    CHECK(asked == DriveReadings::kAskedMost);  // those that waited were called off
}

TEST_CASE("rated endurance goes by serial, then by the first model that fits", "[daemon][wear]") {
    Bench bench;
    bench.config.endurance = {{"", "ACME X*", 5000, 0}, {"", "ACME *", 0, 600}, {"S1", "", 0, 2.5}, {"S2", "", 7, 0}};
    auto readings = bench.make();
    const auto tib = static_cast<double>(kTiB);
    CHECK(readings.endurance_bytes(drive("/dev/a", "S9", "ACME X1")) == 5000);
    CHECK(readings.endurance_bytes(drive("/dev/a", "S9", "ACME Y1")) == 600 * tib);
    CHECK(readings.endurance_bytes(drive("/dev/a", "S1", "ACME X1")) == 2.5 * tib);
    CHECK(readings.endurance_bytes(drive("/dev/a", "S2", "")) == 7);
    CHECK(readings.endurance_bytes(drive("/dev/a", "", "OTHER")) == 0);
    CHECK(readings.endurance_bytes(drive("/dev/a")) == 0);
    auto unsized = drive("/dev/a", "S1");
    unsized.size_bytes = 0;
    CHECK(readings.endurance_bytes(unsized) == 0);
}

// Properties of the configuration: defaults, what is refused and where, and no input that breaks
// it.
#include "daemon/config.h"

#include <fstream>
#include <sstream>
#include <string>

#include "base/rng.h"
#include "support/catch.h"

using namespace xsan;
using namespace xsan::daemon;

namespace {

std::string problem_of(const std::string& text) {
    const auto config = parse_config(text, "x.toml");
    return config ? std::string() : config.error().message;
}

std::string read_source(const std::string& name) {
    std::ifstream file(std::string(XSAN_SOURCE_DIR) + "/" + name);
    REQUIRE(file.good());
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

}  // namespace

TEST_CASE("an empty file gives the defaults of the design", "[daemon][config]") {
    const auto config = parse_config("", "x.toml");
    REQUIRE(config);
    CHECK(config->control.socket == "/run/xsan/xsand.sock");
    CHECK(config->control.group == "xsan");
    CHECK(config->ublk.queue_depth == 128);
    CHECK(config->ublk.request_bytes_max == kMiB);
    CHECK(config->create.consistency == "log");
    CHECK(config->log.level == LogLevel::info);
    CHECK(config->wear.enabled);
    CHECK(config->wear.policy == "round_robin");
    CHECK(config->wear.readings.empty());
    CHECK(config->wear.endurance.empty());
    CHECK(!config->metrics.listen);
}

TEST_CASE("every key is read", "[daemon][config]") {
    const auto config = parse_config(R"(
[control]
socket = "/tmp/s"
group = ""
[reactors]
count = 2
cpus = [2, 3]
[log]
level = "debug"
target = "/var/log/xsan.log"
[create]
strip = "128K"
block = 512
extent = "8M"
consistency = "none"
[ublk]
queues = 3
queue_depth = 64
request_max = "512K"
[rebuild]
rate_max = "200M"
[scrub]
rate_max = "50M"
[wear]
enabled = false
policy = "adaptive"
readings = "/etc/xsan/wear.toml"
[[wear.endurance]]
model = "ACME *"
drive_writes = 1825.5
[[wear.endurance]]
serial = "S1"
bytes = "1400T"
[metrics]
listen = "127.0.0.1:9750"
)",
                                     "x.toml");
    if (!config) FAIL(config.error().message);
    CHECK(config->control.socket == "/tmp/s");
    CHECK(config->control.group.empty());
    CHECK(config->reactors.count == 2);
    CHECK(config->reactors.cpus == std::vector<int>{2, 3});
    CHECK(config->log.level == LogLevel::debug);
    CHECK(config->log.target == Config::Log::Target::file);
    CHECK(config->log.file == "/var/log/xsan.log");
    CHECK(config->create.strip_bytes == 128 * kKiB);
    CHECK(config->create.block_bytes == 512);
    CHECK(config->create.extent_bytes == 8 * kMiB);
    CHECK(config->create.consistency == "none");
    CHECK(config->ublk.queues == 3);
    CHECK(config->ublk.queue_depth == 64);
    CHECK(config->ublk.request_bytes_max == 512 * kKiB);
    CHECK(config->rebuild.rate_max_bytes == 200 * kMiB);
    CHECK(config->scrub.rate_max_bytes == 50 * kMiB);
    CHECK_FALSE(config->wear.enabled);
    CHECK(config->wear.policy == "adaptive");
    CHECK(config->wear.readings == "/etc/xsan/wear.toml");
    REQUIRE(config->wear.endurance.size() == 2);
    CHECK(config->wear.endurance[0].model == "ACME *");
    CHECK(config->wear.endurance[0].drive_writes == 1825.5);
    CHECK(config->wear.endurance[1].serial == "S1");
    CHECK(config->wear.endurance[1].bytes == 1400 * kTiB);
    REQUIRE(config->metrics.listen);
    CHECK(config->metrics.listen->text() == "127.0.0.1:9750");
}

TEST_CASE("a mistake is named with file, line and key, in one line", "[daemon][config]") {
    const struct {
        const char* text;
        const char* words;
    } cases[] = {
        {"\n[reactor]\ncount = 1", "x.toml:2: reactor: unknown key"},
        {"[reactors]\n\ncuont = 1", "x.toml:3: reactors.cuont: unknown key"},
        {"reactors = 1", "x.toml:1: reactors: must be a table"},
        {"[reactors]\ncount = \"1\"", "x.toml:2: reactors.count: must be an integer"},
        {"[reactors]\ncount = 65", "x.toml:2: reactors.count: must be 0 to 64"},
        {"[reactors]\ncpus = [1, 1]", "x.toml:2: reactors.cpus: CPU 1 appears twice"},
        {"[reactors]\ncpus = [1, \"a\"]", "x.toml:2: reactors.cpus: must be an integer"},
        {"[reactors]\ncount = 2\ncpus = [1]", "x.toml: reactors.cpus has 1 CPUs for 2 reactors"},
        {"[log]\nlevel = \"loud\"", "x.toml:2: log.level: 'loud' must be one of debug"},
        {"[log]\ntarget = \"here\"", "x.toml:2: log.target: must be"},
        {"[control]\nsocket = \"s\"", "x.toml:2: control.socket: must be an absolute path"},
        {"[create]\nstrip = \"100K\"", "x.toml:2: create.strip: must be a power of two"},
        {"[create]\nstrip = \"1Q\"", "x.toml:2: create.strip: '1Q' is not a size"},
        {"[create]\nstrip = 64.0", "x.toml:2: create.strip: must be a size"},
        {"[create]\nblock = 1024", "x.toml:2: create.block: must be 512 or 4096"},
        {"[rebuild]\nrate_max = -1", "x.toml:2: rebuild.rate_max: must not be negative"},
        {"[wear]\nenabled = 1", "x.toml:2: wear.enabled: must be true or false"},
        {"[wear]\npolicy = \"mine\"", "x.toml:2: wear.policy: 'mine' must be one of adaptive, least_worn, "},
        {"[wear]\nreadings = \"wear.toml\"", "x.toml:2: wear.readings: must be an absolute path"},
        {"[wear]\nendurance = 1", "x.toml:2: wear.endurance: must be tables: [[wear.endurance]]"},
        {"[wear]\nendurance = [1]", "x.toml:2: wear.endurance: must be a table"},
        {"[[wear.endurance]]\nmodel = \"A\"", "x.toml:1: wear.endurance: needs either bytes or drive_writes"},
        {"[[wear.endurance]]\nbytes = 1", "x.toml:1: wear.endurance: needs either serial or model"},
        {"[[wear.endurance]]\nbytes = 1\nmodel = \"A\"\nserial = \"1\"",
         "x.toml:1: wear.endurance: needs either serial or model"},
        {"[[wear.endurance]]\nmodel = \"\"", "x.toml:2: wear.endurance.model: must not be empty"},
        {"[[wear.endurance]]\nmodle = \"A\"", "x.toml:2: wear.endurance.modle: unknown key"},
        {"[[wear.endurance]]\nbytes = 0", "x.toml:2: wear.endurance.bytes: must be 1 to 1048576T"},
        {"[[wear.endurance]]\ndrive_writes = nan", "x.toml:2: wear.endurance.drive_writes: must be 0.001 to"},
        {"[[wear.endurance]]\ndrive_writes = \"1\"", "x.toml:2: wear.endurance.drive_writes: must be a number"},
        {"[[wear.endurance]]\nmodel = \"A\"\nbytes = 1\n[[wear.endurance]]\nmodel = \"A\"\nbytes = 2",
         "x.toml:4: wear.endurance: 'A' appears twice"},
        {"[metrics]\nlisten = 9750", "x.toml:2: metrics.listen: must be a string"},
        {"[metrics]\nlisten = \"0.0.0.0:9750\"", "x.toml:2: metrics.listen: '0.0.0.0:9750' is not an address of this"},
        {"[metrics]\nlisten = \"127.0.0.1\"", "x.toml:2: metrics.listen: '127.0.0.1' must be \"127.0.0.1:PORT\""},
        {"[metrics]\nlisten = \"[::1]:0\"", "x.toml:2: metrics.listen: '[::1]:0' has no port of 1 to 65535"},
        {"[metrics]\nport = 9750", "x.toml:2: metrics.port: unknown key"},
        {"[log\n", "x.toml:1: "},
        {"[log]\nlevel = \"info\"\nlevel = \"info\"", "x.toml:3: "},
    };
    for (const auto& c : cases) {
        const std::string problem = problem_of(c.text);
        CAPTURE(c.text, problem);
        CHECK(problem.find(c.words) == 0);
        CHECK(problem.find('\n') == std::string::npos);
    }
}

TEST_CASE("metrics are served on loopback addresses alone", "[daemon][config]") {
    const auto text_of = [](const std::string& given) {
        const auto config = parse_config("[metrics]\nlisten = '" + given + "'", "x.toml");
        return config && config->metrics.listen ? config->metrics.listen->text() : std::string();
    };
    CHECK(text_of("127.0.0.1:1") == "127.0.0.1:1");
    CHECK(text_of("127.255.3.4:65535") == "127.255.3.4:65535");
    CHECK(text_of("localhost:9750") == "127.0.0.1:9750");
    CHECK(text_of("[::1]:9750") == "[::1]:9750");
    CHECK(text_of("[0:0:0:0:0:0:0:1]:9750") == "[::1]:9750");
    for (const char* given : {
            "", ":", "9750", ":9750", "*:9750", "0.0.0.0:9750", "128.0.0.1:9750", "10.0.0.1:9750",
            "[::]:9750", "::1:9750", "[::1]", "[::ffff:127.0.0.1]:9750", "[fe80::1]:9750", "127.1:9750",
            "0177.0.0.1:9750", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:+1",
            "127.0.0.1:9750s", "127.0.0.1:97 50", " 127.0.0.1:9750", "127.0.0.1:9750,8080",
            "127.0.0.1,0.0.0.0:9750", "localhost.example.org:9750", "example.org:9750",
            "http://127.0.0.1:9750", "[]:1"}) {
        CAPTURE(given);
        CHECK(text_of(given).empty());
        const std::string problem = problem_of(std::string("[metrics]\nlisten = '") + given + "'");
        CHECK(problem.find("x.toml:2: metrics.listen: ") == 0);
        CHECK(problem.find('\n') == std::string::npos);
    }
}

TEST_CASE("an absent file gives the defaults unless it was asked for", "[daemon][config]") {
    CHECK(load_config("/nonexistent/xsan.toml", false));
    const auto asked = load_config("/nonexistent/xsan.toml", true);
    REQUIRE(!asked);
    CHECK(asked.error().code == Errc::not_found);
    CHECK(!load_config("/", false));
    CHECK(!load_config("/dev/zero", false));
    CHECK(!problem_of(std::string(kConfigBytesMax + 1, '\n')).empty());
}

TEST_CASE("the example file is valid and says the defaults", "[daemon][config]") {
    const std::string text = read_source("systemd/xsan.toml");
    CHECK(problem_of(text).empty());
    // With every commented key switched on it is still valid.
    std::string enabled;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const bool is_key = line.starts_with("#") && line.find(" = ") != std::string::npos &&
                            line.size() > 1 && line[1] != ' ';
        enabled += (is_key ? line.substr(1) : line) + "\n";
    }
    CHECK(enabled != text);
    const auto config = parse_config(enabled, "xsan.toml");
    if (!config) FAIL(config.error().message);
    const Config defaults;
    CHECK(config->create.strip_bytes == defaults.create.strip_bytes);
    CHECK(config->ublk.queue_depth == defaults.ublk.queue_depth);
}

TEST_CASE("the manual page has every key of the example file", "[daemon][config]") {
    const std::string page = read_source("man/xsan.toml.5");
    std::istringstream lines(read_source("systemd/xsan.toml"));
    int keys = 0;
    for (std::string line; std::getline(lines, line);) {
        const auto equals = line.find(" = ");
        if (!line.starts_with("#") || equals == std::string::npos || line[1] == ' ') continue;
        CAPTURE(line);
        CHECK(page.find("\n.B " + line.substr(1, equals - 1) + "\n") != std::string::npos);
        keys++;
    }
    CHECK(keys == 19);
}

TEST_CASE("mutilated configurations are read or refused, never worse", "[daemon][config][fuzz]") {
    const std::string source = "[control]\nsocket = \"/s\"\n[reactors]\ncount = 2\ncpus = [0, 1]\n"
                               "[create]\nstrip = \"64K\"\n[rebuild]\nrate_max = 1_000\n"
                               "[wear]\nenabled = true\n[[wear.endurance]]\nmodel = \"A*\"\ndrive_writes = 1.5\n"
                               "[metrics]\nlisten = \"127.0.0.1:9750\"\n";
    constexpr std::uint64_t kSeed = 20261120;
    Rng rng(kSeed);
    int refused = 0;
    constexpr int kRounds = 100'000;
    for (int round = 0; round < kRounds; round++) {
        std::string text = source;
        for (auto n = 1 + rng.below(4); n > 0 && !text.empty(); n--) {
            const std::size_t at = rng.below(text.size());
            switch (rng.below(4)) {
                case 0: text[at] = static_cast<char>(rng.next()); break;
                case 1: text.erase(at, 1 + rng.below(8)); break;
                case 2: text.insert(at, 1, "[]{}=\"'.,\n#0-_"[rng.below(14)]); break;
                default: text.insert(at, text.substr(rng.below(text.size()), rng.below(24))); break;
            }
        }
        const std::string problem = problem_of(text);
        refused += problem.empty() ? 0 : 1;
        if (problem.find('\n') == std::string::npos) continue;
        CAPTURE(kSeed, round, text, problem);
        REQUIRE(problem.find('\n') == std::string::npos);
    }
    CHECK(refused > kRounds / 2);
    CHECK(refused < kRounds);
}

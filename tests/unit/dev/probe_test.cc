// Properties of device names: what is accepted, what is refused and in which words; NVMe encodings.
#include <sys/wait.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <vector>

#include "base/units.h"
#include "dev/device_probe.h"
#include "dev/drive_health.h"
#include "dev/nvme_command.h"
#include "dev/open.h"
#include "support/catch.h"
#include "unit/dev/temp_dir.h"

using namespace xsan;
using namespace xsan::dev;
using test::TempDir;

TEST_CASE("memory and null devices parse with a size and a failure domain", "[probe]") {
    const auto mem = parse_device("mem:64M");
    REQUIRE(mem.has_value());
    CHECK(mem->kind == DeviceKind::mem);
    CHECK(mem->size_bytes == 64 * kMiB);
    CHECK(mem->domain.empty());
    const auto null = parse_device("null:1.5G@rack-2.b");
    REQUIRE(null.has_value());
    CHECK(null->kind == DeviceKind::null);
    CHECK(null->size_bytes == kGiB + kGiB / 2);
    CHECK(null->domain == "rack-2.b");
    CHECK(identify(*mem)->unique_id != identify(*mem)->unique_id);
}

TEST_CASE("what is no device is refused in one line that names it", "[probe]") {
    TempDir dir;
    const std::string file = dir.make_file("member", kMiB);
    const std::vector<std::string> refused = {
        "",
        "mem:",
        "mem:0",
        "mem:1000",
        "mem:1X",
        "null:-4K",
        "nvme0n1",
        "member",
        "./member",
        "@domain",
        "/dev/null",
        "/dev/does-not-exist",
        "/tmp",
        file + "@",
        file + "@-x",
        file + "@a b",
        file + "@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "mem:1M@",
        "/dev/zero@domain",
    };
    for (const std::string& text : refused) {
        INFO(text);
        const auto spec = parse_device(text);
        REQUIRE_FALSE(spec.has_value());
        CHECK_FALSE(spec.error().message.empty());
        CHECK(spec.error().message.find('\n') == std::string::npos);
        INFO(spec.error().message);
        CHECK(spec.error().code != Errc::ok);
    }
    CHECK(parse_device("/dev/does-not-exist").error().code == Errc::not_found);
}

TEST_CASE("a file is one device under all its names", "[probe]") {
    TempDir dir;
    const std::string path = dir.make_file("member", kMiB);
    REQUIRE(::symlink(path.c_str(), dir.file("link").c_str()) == 0);
    REQUIRE(::link(path.c_str(), dir.file("hard").c_str()) == 0);
    const auto spec = parse_device(path + "@left");
    REQUIRE(spec.has_value());
    CHECK(spec->path == path);
    CHECK(spec->domain == "left");
    const auto identity = identify(*spec);
    REQUIRE(identity.has_value());
    CHECK(identity->kind == "file");
    for (const char* name : {"link", "hard"}) {
        const auto other = identify(*parse_device(dir.file(name)));
        REQUIRE(other.has_value());
        CHECK(other->unique_id == identity->unique_id);
    }
    const auto stranger = identify(*parse_device(dir.make_file("other", kMiB)));
    CHECK(stranger->unique_id != identity->unique_id);
}

TEST_CASE("a path with an @ in it is taken as it is when it exists", "[probe]") {
    TempDir dir;
    const std::string path = dir.make_file("member@home", kMiB);
    CHECK(parse_device(path)->domain.empty());
    CHECK(parse_device(path + "@left")->domain == "left");
}

TEST_CASE("an empty file cannot be opened and says why", "[probe]") {
    TempDir dir;
    const auto device = open_device(*parse_device(dir.make_file("empty", 0)));
    REQUIRE_FALSE(device.has_value());
    CHECK(device.error().message.find("empty") != std::string::npos);
}

TEST_CASE("signatures are found and named", "[probe]") {
    TempDir dir;
    const std::string path = dir.make_file("member", 16 * kMiB);
    const auto spec = parse_device(path);
    const auto nothing = find_signature(*spec);
    REQUIRE(nothing.has_value());
    CHECK_FALSE(nothing->has_value());
    {
        // A classic partition table: one Linux partition from sector 8, and the magic 55 AA.
        std::array<unsigned char, 512> sector{};
        const unsigned char entry[16] = {0, 0, 0, 0, 0x83, 0, 0, 0, 8, 0, 0, 0, 0, 16, 0, 0};
        std::memcpy(sector.data() + 446, entry, sizeof(entry));
        sector[510] = 0x55;
        sector[511] = 0xAA;
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.write(reinterpret_cast<const char*>(sector.data()), 512);
    }
    auto found = find_signature(*spec);
    REQUIRE(found.has_value());
    REQUIRE(found->has_value());
    CHECK(found->value() == "a partition table (dos)");
    const std::string make =
        "PATH=$PATH:/usr/sbin:/sbin mkswap -L spare " + path + " >/dev/null 2>&1";
    if (std::system(make.c_str()) == 0) {
        found = find_signature(*spec);
        REQUIRE(found.has_value());
        CHECK(found->value().find("swap space labelled 'spare'") != std::string::npos);
    }
    CHECK(find_signature(*parse_device("mem:1M")).has_value());
}

TEST_CASE("a device that has no health log says so", "[probe]") {
    TempDir dir;
    const auto health = read_health(dir.make_file("member", kMiB));
    REQUIRE_FALSE(health.has_value());
    CHECK(health.error().code == Errc::unsupported);
}

TEST_CASE("NVMe commands carry range, count and flags where the specification has them", "[nvme]") {
    const auto write = nvme_write(3, {0x123456789A, 65536}, true);
    CHECK(write.opcode == 1);
    CHECK(write.nsid == 3);
    CHECK(write.cdw10 == 0x3456789A);
    CHECK(write.cdw11 == 0x12);
    CHECK(write.cdw12 == (0xFFFFu | 1u << 30));
    CHECK(nvme_read(1, {0, 1}).opcode == 2);
    CHECK(nvme_read(1, {0, 1}).cdw12 == 0);
    CHECK(nvme_flush(1).opcode == 0);
    CHECK(nvme_write_zeroes(1, {8, 8}, false, true).opcode == 8);
    CHECK(nvme_write_zeroes(1, {8, 8}, false, true).cdw12 == (7u | 1u << 25));
    DatasetRange range{};
    const auto trim = nvme_deallocate(1, &range, 1);
    CHECK(trim.opcode == 9);
    CHECK(trim.cdw10 == 0);
    CHECK(trim.cdw11 == 4);
    CHECK(trim.data_len == 16);
}

TEST_CASE("NVMe statuses become the errors that the engine acts on", "[nvme]") {
    CHECK(error_from_nvme_status(0).is_ok());
    CHECK(error_from_nvme_status(0x4000).is_ok());
    CHECK(error_from_nvme_status(0x281).code == Errc::media_error);
    CHECK(error_from_nvme_status(0x4281).code == Errc::media_error);
    CHECK(error_from_nvme_status(0x4281).detail == 0x4281);
    CHECK(error_from_nvme_status(0x280).code == Errc::io_error);
    CHECK(error_from_nvme_status(0x00B).code == Errc::device_gone);
    CHECK(error_from_nvme_status(0x020).code == Errc::read_only);
    CHECK(error_from_nvme_status(0x083).code == Errc::permission);
    CHECK(error_from_nvme_status(0x370).code == Errc::device_gone);
    CHECK(error_from_nvme_status(0x4001).code == Errc::unsupported);
    CHECK(error_from_nvme_status(0x006).code == Errc::io_error);
    CHECK(is_retryable_nvme_status(0x082));
    CHECK_FALSE(is_retryable_nvme_status(0x4082));
    CHECK_FALSE(is_retryable_nvme_status(0x281));
    CHECK(is_retryable_nvme_status(0x371));
}

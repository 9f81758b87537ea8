// Properties of the foundation: checksums, sizes, identifiers, byte order, results.
#include <array>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/result.h"
#include "base/rng.h"
#include "base/text.h"
#include "base/units.h"
#include "base/uuid.h"
#include "support/catch.h"

using namespace xsan;

TEST_CASE("CRC32C gives the check value of RFC 3720 and continues from a seed", "[base]") {
    const std::string text = "123456789";
    const auto bytes = std::as_bytes(std::span(text));
    CHECK(crc32c(bytes) == 0xE3069283u);
    CHECK(crc32c(bytes.subspan(4), crc32c(bytes.first(4))) == 0xE3069283u);
    CHECK(crc32c({}) == 0);
    // In one piece, and byte by byte.
    std::vector<std::byte> many(10'000);
    for (std::size_t i = 0; i < many.size(); i++) many[i] = static_cast<std::byte>(i * i >> 3);
    for (const std::size_t begin : {0u, 1u, 7u}) {
        std::uint32_t crc = 0;
        for (std::size_t n = 1; begin + n <= many.size(); n++) {
            crc = crc32c(std::span(many).subspan(begin + n - 1, 1), crc);
            if (n % 512 > 2 && n % 997 != 0) continue;
            REQUIRE(crc32c(std::span(many).subspan(begin, n)) == crc);
        }
    }
}

TEST_CASE("sizes parse in binary units and refuse everything else", "[base]") {
    CHECK(*parse_size("64K") == 65536);
    CHECK(*parse_size("1.5G") == kGiB + kGiB / 2);
    CHECK(*parse_size("4096") == 4096);
    CHECK(*parse_size("2TiB") == 2 * kTiB);
    CHECK(*parse_size("7m") == 7 * kMiB);
    for (const char* bad : {"", "K", "-1", "1.5", "1X", "64KB", "1e9", "99999999999999999999", "9000000T",
                            " 1K", "1K ", "0x10", "1..5K"}) {
        INFO(bad);
        CHECK_FALSE(parse_size(bad).has_value());
    }
    CHECK(format_size(65536) == "64K");
    CHECK(format_size(kGiB + kGiB / 2) == "1.5G");
    CHECK(format_size(512) == "512");
}

TEST_CASE("identifiers survive the way through text", "[base]") {
    Rng rng(1);
    const Uuid a = Uuid::random(rng);
    CHECK(a != Uuid::random(rng));
    CHECK(Uuid::parse(a.to_string()) == a);
    CHECK_FALSE(Uuid::parse("not-a-uuid").has_value());
    std::string broken = a.to_string();
    broken[9] = 'g';
    CHECK_FALSE(Uuid::parse(broken).has_value());
}

TEST_CASE("on-disk integers are little-endian bytes", "[base]") {
    const Le32 value = 0x01020304u;
    std::array<std::uint8_t, 4> raw{};
    std::memcpy(raw.data(), &value, 4);
    CHECK(raw == std::array<std::uint8_t, 4>{4, 3, 2, 1});
    CHECK(value.get() == 0x01020304u);
}

namespace {
Result<int> half(int x) {
    if (x % 2 != 0) return Error{Errc::invalid_argument};
    return x / 2;
}
Result<int> quarter(int x) {
    XSAN_TRY(const int h, half(x));
    return half(h);
}
}  // namespace

TEST_CASE("XSAN_TRY passes values on and errors out", "[base]") {
    CHECK(*quarter(8) == 2);
    CHECK(quarter(6).error().code == Errc::invalid_argument);
    CHECK(quarter(5).error().code == Errc::invalid_argument);
}

TEST_CASE("text that is quoted has no control characters and an end") {
    CHECK(quotable("/dev/nvme0n1") == "/dev/nvme0n1");
    CHECK(quotable(std::string("a\nb\x1b[2J\x7f") + '\0') == "a?b?[2J??");
    CHECK(quotable(std::string(1000, 'x')).size() == 64);
}

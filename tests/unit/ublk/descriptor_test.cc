// What the kernel's words mean. Layouts that the compiler checks are asserted in ublk/uapi.h.
#include "ublk/descriptor.h"
#include "support/catch.h"
#include "ublk/uapi.h"

using namespace xsan::ublk;

namespace {
uapi::RawDescriptor raw(std::uint32_t op_flags, std::uint32_t sectors = 8,
                        std::uint64_t start = 0) {
    return {op_flags, sectors, start, 0};
}
}  // namespace

TEST_CASE("FUA is bit 13 of op_flags itself") {
    CHECK(decode(raw(1u | 1u << 13)).fua);
    CHECK_FALSE(decode(raw(1u)).fua);
    // What a shift by 8 before the test would take for FUA.
    CHECK_FALSE(decode(raw(1u | 1u << 21)).fua);
}

TEST_CASE("no other flag of a request is taken for FUA or NOUNMAP") {
    for (unsigned bit = 8; bit < 32; bit++) {
        const IoDescriptor d = decode(raw(5u | 1u << bit));
        CHECK(d.op == IoOp::write_zeroes);
        CHECK(d.fua == (bit == 13));
        CHECK(d.nounmap == (bit == 15));
    }
}

TEST_CASE("the operation is the low byte") {
    CHECK(decode(raw(0)).op == IoOp::read);
    CHECK(decode(raw(1)).op == IoOp::write);
    CHECK(decode(raw(2)).op == IoOp::flush);
    CHECK(decode(raw(3)).op == IoOp::discard);
    CHECK(decode(raw(5)).op == IoOp::write_zeroes);
    CHECK(decode(raw(0xffffff00u)).op == IoOp::read);
}

TEST_CASE("offsets and lengths count sectors of 512 bytes, without overflow") {
    const IoDescriptor d = decode(raw(1, 0xffffffffu, 1ull << 40));
    CHECK(d.offset == 1ull << 49);
    CHECK(d.length == 0xffffffffull * 512);
}

TEST_CASE("commands have the numbers that the kernel checks") {
    CHECK(uapi::kGetDeviceInfo == 0x80207502u);
    CHECK(uapi::kAddDevice == 0xc0207504u);
    CHECK(uapi::kGetFeatures == 0x80207513u);
    CHECK(uapi::kFetch == 0xc0107520u);
    CHECK(uapi::kCommitAndFetch == 0xc0107521u);
}

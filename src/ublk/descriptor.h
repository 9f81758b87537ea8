// IoDescriptor: one request of the kernel's, decoded.
// Operation and flags are bits of the same word, at the places that the flags' own values say: FUA
// is bit 13 of op_flags. Servers that shift the word by 8 first and then test bit 13 lose every
// FUA.
#pragma once

#include <cstdint>

#include "ublk/uapi.h"

namespace xsan::ublk {

enum class IoOp : std::uint8_t {
    read = 0,
    write = 1,
    flush = 2,
    discard = 3,
    write_zeroes = 5,
};

struct IoDescriptor {
    IoOp op = IoOp::read;  // may be a value that is none of the above: answer it with EOPNOTSUPP
    bool fua = false;      // durable at completion
    bool nounmap = false;  // write_zeroes: the blocks are to stay allocated
    std::uint64_t offset = 0;  // bytes
    std::uint64_t length = 0;  // bytes
};

inline IoDescriptor decode(const uapi::RawDescriptor& raw) {
    constexpr std::uint32_t kOpMask = 0xff;
    constexpr std::uint32_t kFua = 1u << 13;
    constexpr std::uint32_t kNoUnmap = 1u << 15;
    IoDescriptor d;
    d.op = static_cast<IoOp>(raw.op_flags & kOpMask);
    d.fua = (raw.op_flags & kFua) != 0;
    d.nounmap = (raw.op_flags & kNoUnmap) != 0;
    d.offset = raw.start_sector * uapi::kSectorBytes;
    d.length = std::uint64_t{raw.sectors} * uapi::kSectorBytes;
    return d;
}

}  // namespace xsan::ublk

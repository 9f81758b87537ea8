// Memory-backed and null devices.
#include "dev/mem_device.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <atomic>
#include <bit>
#include <cstring>

#include "base/assert.h"
#include "base/units.h"
#include "dev/request_check.h"

namespace xsan::dev {
namespace {

constexpr std::uint64_t kMemoryPage = 4096;

DeviceIdentity make_identity(const char* kind, std::uint64_t size_bytes) {
    // Two devices of one size are two devices: numbered, since they have no name of their own.
    static std::atomic<unsigned> count{0};
    DeviceIdentity identity;
    identity.kind = kind;
    identity.path = fmt::format("{}:{}", kind, format_size(size_bytes));
    identity.unique_id = fmt::format("{}:{}", kind, count.fetch_add(1));
    return identity;
}

DeviceLimits make_limits(std::uint64_t size_bytes, std::uint32_t logical_block_bytes) {
    XSAN_ASSERT(std::has_single_bit(logical_block_bytes) && size_bytes % logical_block_bytes == 0);
    DeviceLimits limits;
    limits.size_bytes = size_bytes;
    limits.logical_block_bytes = logical_block_bytes;
    limits.physical_block_bytes = logical_block_bytes;
    limits.atomic_write_bytes = logical_block_bytes;
    limits.transfer_bytes_max = 1u << 30;
    limits.buffer_alignment = 1;
    limits.iov_count_max = 1024;
    limits.discard = true;
    limits.discard_zeroes = true;
    limits.discard_granularity_bytes = logical_block_bytes;
    return limits;
}

// Null where the system refuses.
std::byte* map_memory(std::uint64_t size_bytes) {
    if (size_bytes == 0) return nullptr;
    void* memory = ::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? nullptr : static_cast<std::byte*>(memory);
}

}  // namespace

MemDevice::MemDevice(std::uint64_t size_bytes, std::uint32_t logical_block_bytes)
    : MemDevice(size_bytes, logical_block_bytes, map_memory(size_bytes)) {
    XSAN_ASSERT(data_ != nullptr || size_bytes == 0);
}

MemDevice::MemDevice(std::uint64_t size_bytes, std::uint32_t logical_block_bytes, std::byte* memory)
    : identity_(make_identity("mem", size_bytes)),
      limits_(make_limits(size_bytes, logical_block_bytes)),
      data_(memory) {}

Outcome<std::unique_ptr<BlockDevice>> MemDevice::create(std::uint64_t size_bytes,
                                                        std::uint32_t logical_block_bytes) {
    std::byte* const memory = map_memory(size_bytes);
    if (memory == nullptr && size_bytes > 0) {
        return Failure(Errc::no_space, fmt::format("mem:{}: no memory", format_size(size_bytes)));
    }
    return std::unique_ptr<BlockDevice>(new MemDevice(size_bytes, logical_block_bytes, memory));
}

MemDevice::~MemDevice() {
    if (data_ != nullptr) ::munmap(data_, limits_.size_bytes);
}

void MemDevice::act(const IoRequest& request) {
    std::byte* position = data_ + request.offset;
    if (request.kind == IoKind::read || request.kind == IoKind::write) {
        for (std::uint32_t i = 0; i < request.iov_count; i++) {
            const iovec& piece = request.iov[i];
            if (request.kind == IoKind::read) {
                std::memcpy(piece.iov_base, position, piece.iov_len);
            } else {
                std::memcpy(position, piece.iov_base, piece.iov_len);
            }
            position += piece.iov_len;
        }
        return;
    }
    if (request.kind == IoKind::flush) return;
    // Zeroes: whole pages go back to the system, the rest is cleared.
    const std::uint64_t end = request.offset + request.length;
    const std::uint64_t pages_begin = round_up(request.offset, kMemoryPage);
    const std::uint64_t pages_end = round_down(end, kMemoryPage);
    if (request.length >= 16 * kMemoryPage &&
        ::madvise(data_ + pages_begin, pages_end - pages_begin, MADV_DONTNEED) == 0) {
        std::memset(position, 0, pages_begin - request.offset);
        std::memset(data_ + pages_end, 0, end - pages_end);
    } else {
        std::memset(position, 0, request.length);
    }
}

void MemDevice::submit(IoRequest& request) {
    const Error error = check_request(limits_, request);
    if (error.is_ok()) act(request);
    OwnCount& count = in_flight_.local([] { return std::make_unique<OwnCount>(); });
    count.up();
    request.error = error;
    request.device_word = reinterpret_cast<std::uintptr_t>(&count);
    Reactor::current().make_ready(Work{[](void* argument) {
                                           auto& done = *static_cast<IoRequest*>(argument);
                                           reinterpret_cast<OwnCount*>(done.device_word)->down();
                                           done.done(done);
                                       },
                                       &request});
}

unsigned MemDevice::in_flight() const {
    unsigned sum = 0;
    in_flight_.for_each([&](const OwnCount& count) { sum += count.get(); });
    return sum;
}

NullDevice::NullDevice(std::uint64_t size_bytes, std::uint32_t logical_block_bytes)
    : identity_(make_identity("null", size_bytes)),
      limits_(make_limits(size_bytes, logical_block_bytes)) {}

void NullDevice::submit(IoRequest& request) {
    complete_later(request, check_request(limits_, request));
}

}  // namespace xsan::dev

// Allocation of I/O memory.
#include "dev/aligned_buffer.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/assert.h"
#include "base/units.h"

namespace xsan::dev {
namespace {

// Small blocks that were given back are kept for the next: aligned allocations are slow. The address
// sanitizer wants to see each of them, in its own size.
#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t kKeptBytesMax = 0;
#else
constexpr std::size_t kKeptBytesMax = 64 * 1024;
#endif
constexpr std::size_t kKeptMax = 64;  // of a class, by each thread

struct Kept {
    std::array<std::vector<std::byte*>, 5> blocks;  // of 4, 8, 16, 32, 64 KiB
    bool is_alive = true;
    ~Kept() {
        is_alive = false;
        for (const auto& all : blocks) {
            for (std::byte* block : all) std::free(block);
        }
    }
};
thread_local Kept t_kept;

std::size_t kept_class(std::size_t bytes) {
    return static_cast<std::size_t>(std::bit_width((std::max<std::size_t>(bytes, 1) - 1) / kBufferAlignment));
}

// nullptr: there is not so much memory.
std::byte* try_aligned(std::size_t bytes) {
    if (bytes <= kKeptBytesMax) {
        // Of its class's size also where nothing is kept here: another thread may keep it.
        bytes = std::bit_ceil(std::max(bytes, kBufferAlignment));
        if (t_kept.is_alive && !t_kept.blocks[kept_class(bytes)].empty()) {
            std::byte* memory = t_kept.blocks[kept_class(bytes)].back();
            t_kept.blocks[kept_class(bytes)].pop_back();
            return memory;
        }
    }
    return static_cast<std::byte*>(std::aligned_alloc(kBufferAlignment, round_up(bytes, kBufferAlignment)));
}

std::byte* allocate_aligned(std::size_t bytes) {
    std::byte* memory = try_aligned(bytes);
    XSAN_ASSERT(memory != nullptr);
    return memory;
}

void free_aligned(std::byte* memory, std::size_t bytes) {
    if (memory != nullptr && bytes <= kKeptBytesMax && t_kept.is_alive) {
        auto& kept = t_kept.blocks[kept_class(bytes)];
        if (kept.size() < kKeptMax) {
            kept.push_back(memory);
            return;
        }
    }
    std::free(memory);
}

}  // namespace

AlignedBuffer::AlignedBuffer(std::size_t bytes) : size_(bytes) {
    if (bytes == 0) return;
    data_ = allocate_aligned(bytes);
    std::memset(data_, 0, bytes);
}

std::optional<AlignedBuffer> AlignedBuffer::try_allocate(std::size_t bytes) {
    AlignedBuffer buffer;
    buffer.data_ = try_aligned(bytes);
    if (buffer.data_ == nullptr) return std::nullopt;
    buffer.size_ = bytes;
    std::memset(buffer.data_, 0, bytes);
    return buffer;
}

AlignedBuffer& AlignedBuffer::operator=(AlignedBuffer&& o) noexcept {
    if (this != &o) {
        free_aligned(data_, size_);
        data_ = std::exchange(o.data_, nullptr);
        size_ = std::exchange(o.size_, 0);
    }
    return *this;
}

AlignedBuffer::~AlignedBuffer() {
    free_aligned(data_, size_);
}

BufferPool::BufferPool(const Options& options) {
    for (std::size_t c = 0; c < kClasses; c++)
        arena_bytes_ += (kSmallest << c) * options.counts[c];
    if (arena_bytes_ == 0) return;
    // One mapping, largest class first, so that large buffers lie on large pages where there are
    // any.
    void* memory =
        ::mmap(nullptr, arena_bytes_, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | (options.prefault ? MAP_POPULATE : 0), -1, 0);
    XSAN_ASSERT(memory != MAP_FAILED);
    (void)::madvise(memory, arena_bytes_, MADV_HUGEPAGE);  // a wish
    arena_ = static_cast<std::byte*>(memory);
    std::byte* next = arena_;
    for (std::size_t c = kClasses; c-- > 0;) {
        free_[c].reserve(options.counts[c]);
        for (std::uint32_t i = 0; i < options.counts[c]; i++, next += kSmallest << c) {
            free_[c].push_back(next);
        }
    }
}

BufferPool::~BufferPool() {
    XSAN_ASSERT(in_use_ == 0);
    if (arena_ != nullptr) ::munmap(arena_, arena_bytes_);
}

PoolBuffer BufferPool::acquire(std::size_t bytes) {
    XSAN_ASSERT(bytes > 0);
    PoolBuffer buffer;
    buffer.pool_ = this;
    buffer.size_ = bytes;
    in_use_++;
    if (bytes <= kLargest) {
        const auto c = static_cast<std::size_t>(std::bit_width((bytes - 1) / kSmallest));
        if (!free_[c].empty()) {
            buffer.data_ = free_[c].back();
            free_[c].pop_back();
            buffer.size_class_ = static_cast<std::uint8_t>(c);
            return buffer;
        }
    }
    fallbacks_++;
    buffer.data_ = allocate_aligned(bytes);
    buffer.size_class_ = kAllocated;
    return buffer;
}

void BufferPool::give_back(std::byte* data, std::size_t bytes, std::uint8_t size_class) {
    in_use_--;
    if (size_class == kAllocated) {
        free_aligned(data, bytes);
    } else {
        free_[size_class].push_back(data);
    }
}

}  // namespace xsan::dev

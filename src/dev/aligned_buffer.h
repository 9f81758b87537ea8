// Memory for I/O: one aligned buffer, and a reactor's pool of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace xsan::dev {

inline constexpr std::size_t kBufferAlignment = 4096;  // what any drive and O_DIRECT accept

// A zeroed block of memory at a 4096-byte boundary. For control paths: it allocates.
class AlignedBuffer {
  public:
    AlignedBuffer() = default;
    explicit AlignedBuffer(std::size_t bytes);
    // nullopt where there is not so much memory: for sizes that come from a drive.
    static std::optional<AlignedBuffer> try_allocate(std::size_t bytes);
    AlignedBuffer(AlignedBuffer&& o) noexcept
        : data_(std::exchange(o.data_, nullptr)), size_(std::exchange(o.size_, 0)) {}
    AlignedBuffer& operator=(AlignedBuffer&& o) noexcept;
    ~AlignedBuffer();

    std::byte* data() { return data_; }
    const std::byte* data() const { return data_; }
    std::size_t size() const { return size_; }
    std::span<std::byte> span() { return {data_, size_}; }
    std::span<const std::byte> span() const { return {data_, size_}; }

  private:
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

class BufferPool;

// Owns one buffer of a pool until it is destroyed, on the pool's reactor. The contents are
// undefined.
class PoolBuffer {
  public:
    PoolBuffer() = default;
    PoolBuffer(PoolBuffer&& o) noexcept
        : pool_(std::exchange(o.pool_, nullptr)),
          data_(std::exchange(o.data_, nullptr)),
          size_(std::exchange(o.size_, 0)),
          size_class_(o.size_class_) {}
    PoolBuffer& operator=(PoolBuffer&& o) noexcept {
        if (this != &o) {
            release();
            pool_ = std::exchange(o.pool_, nullptr);
            data_ = std::exchange(o.data_, nullptr);
            size_ = std::exchange(o.size_, 0);
            size_class_ = o.size_class_;
        }
        return *this;
    }
    ~PoolBuffer() { release(); }

    std::byte* data() { return data_; }
    const std::byte* data() const { return data_; }
    std::size_t size() const { return size_; }  // as asked for
    std::span<std::byte> span() { return {data_, size_}; }
    explicit operator bool() const { return data_ != nullptr; }
    void release();

  private:
    friend class BufferPool;
    BufferPool* pool_ = nullptr;
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
    std::uint8_t size_class_ = 0;
};

// Buffers in power-of-two classes from 4 KiB to 2 MiB, reserved at start. Belongs to one reactor
// and outlives its buffers. When a class is empty (or the size is larger than the largest)
// acquire() allocates instead of failing, and counts that: a count that grows says that the pool is
// too small.
class BufferPool {
  public:
    static constexpr std::size_t kSmallest = 4096;
    static constexpr std::size_t kClasses = 10;
    static constexpr std::size_t kLargest = kSmallest << (kClasses - 1);

    struct Options {
        std::array<std::uint32_t, kClasses> counts{};  // buffers of 4 KiB, 8 KiB, ... 2 MiB
        bool prefault = false;                         // touch every page at start
    };

    explicit BufferPool(const Options& options);
    BufferPool(const BufferPool&) = delete;
    BufferPool& operator=(const BufferPool&) = delete;
    ~BufferPool();

    PoolBuffer acquire(std::size_t bytes);

    std::uint64_t fallback_allocations() const { return fallbacks_; }
    std::size_t in_use() const { return in_use_; }

  private:
    friend class PoolBuffer;
    static constexpr std::uint8_t kAllocated = 0xFF;
    void give_back(std::byte* data, std::size_t bytes, std::uint8_t size_class);

    std::array<std::vector<std::byte*>, kClasses> free_;
    std::byte* arena_ = nullptr;
    std::size_t arena_bytes_ = 0;
    std::uint64_t fallbacks_ = 0;
    std::size_t in_use_ = 0;
};

inline void PoolBuffer::release() {
    if (data_ == nullptr) return;
    pool_->give_back(std::exchange(data_, nullptr), size_, size_class_);
    size_ = 0;
}

}  // namespace xsan::dev

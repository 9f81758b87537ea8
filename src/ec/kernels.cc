// Calls into ISA-L. It declares its inputs as pointers to non-const; it does not write to them.
#include "ec/kernels.h"

#include <isa-l.h>

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/assert.h"
#include "ec/scheme.h"

namespace xsan::ec {
namespace {

constexpr std::size_t kGrain = 32;  // what xor_gen and pq_gen want of addresses and lengths

// Pointers gathered for one call, sources before outputs, as ISA-L takes them.
class Vectors {
  public:
    void add(const std::byte* p, std::size_t offset = 0) {
        XSAN_ASSERT(p != nullptr && count_ < at_.size());
        at_[count_] = const_cast<std::byte*>(p) + offset;
        address_bits_ |= reinterpret_cast<std::uintptr_t>(p) + offset;
        ++count_;
    }
    template <class Pointers>
    void add_all(const Pointers& pointers, std::size_t offset = 0) {
        for (const std::byte* p : pointers)
            add(p, offset);
    }
    bool aligned() const { return address_bits_ % kGrain == 0; }
    int count() const { return static_cast<int>(count_); }
    void** data() { return at_.data(); }

  private:
    std::array<void*, kDataStripsMax + kParityStripsMax> at_;
    unsigned count_ = 0;
    std::uintptr_t address_bits_ = 0;
};

// The same for the routines that take bytes.
class ByteVectors {
  public:
    template <class Pointers>
    ByteVectors(const Pointers& pointers, std::size_t offset) {
        XSAN_ASSERT(pointers.size() <= at_.size());
        unsigned i = 0;
        for (const std::byte* p : pointers) {
            XSAN_ASSERT(p != nullptr);
            at_[i++] = reinterpret_cast<unsigned char*>(const_cast<std::byte*>(p) + offset);
        }
    }
    unsigned char** data() { return at_.data(); }

  private:
    std::array<unsigned char*, kDataStripsMax> at_;
};

int length(std::size_t bytes) {
    XSAN_ASSERT(bytes <= kKernelBytesMax);
    return static_cast<int>(bytes);
}

// Non-temporal stores pass later ordinary ones, so that another thread that is told "ready" could
// read what was there before. Free when there are none.
void fence_streaming_stores() {
#if defined(__x86_64__)
    _mm_sfence();
#endif
}

void multiply_from(const unsigned char* tables, SourceSpan sources, OutputSpan outputs,
                   std::size_t offset, std::size_t bytes) {
    if (offset == bytes) return;
    ByteVectors in(sources, offset), out(outputs, offset);
    ec_encode_data(length(bytes - offset), static_cast<int>(sources.size()),
                   static_cast<int>(outputs.size()), const_cast<unsigned char*>(tables), in.data(),
                   out.data());
}

}  // namespace

void xor_blocks(std::byte* out, const std::byte* a, const std::byte* b, std::size_t bytes) {
    if (bytes == 0) return;
    const std::array sources = {a, b};
    Vectors v;
    v.add_all(sources);
    v.add(out);
    if (v.aligned()) {
        const int refused = xor_gen(v.count(), length(bytes), v.data());
        XSAN_ASSERT(refused == 0);
        fence_streaming_stores();
        return;
    }
    std::size_t i = 0;
    for (; i + sizeof(std::uint64_t) <= bytes; i += sizeof(std::uint64_t)) {
        std::uint64_t x = 0, y = 0;
        std::memcpy(&x, a + i, sizeof x);
        std::memcpy(&y, b + i, sizeof y);
        x ^= y;
        std::memcpy(out + i, &x, sizeof x);
    }
    for (; i < bytes; ++i)
        out[i] = a[i] ^ b[i];
}

void xor_many(SourceSpan sources, std::byte* out, std::size_t bytes) {
    XSAN_ASSERT(!sources.empty() && sources.size() <= kDataStripsMax);
    if (bytes == 0) return;
    if (sources.size() == 1) {
        std::memcpy(out, sources[0], bytes);
        return;
    }
    Vectors v;
    v.add_all(sources);
    v.add(out);
    if (v.aligned()) {
        const int refused = xor_gen(v.count(), length(bytes), v.data());
        XSAN_ASSERT(refused == 0);
        fence_streaming_stores();
        return;
    }
    const auto count = static_cast<unsigned>(sources.size());
    std::array<std::uint8_t, kDataStripsMax> ones;
    ones.fill(1);
    std::array<unsigned char, kTableBytes * kDataStripsMax> tables;
    expand_tables(std::span(ones).first(count), count, 1, tables.data());
    const std::array outputs = {out};
    multiply(tables.data(), sources, outputs, bytes);
}

void expand_tables(std::span<const std::uint8_t> coefficients, unsigned sources, unsigned outputs,
                   unsigned char* tables) {
    XSAN_ASSERT(coefficients.size() == std::size_t{sources} * outputs);
    ec_init_tables(static_cast<int>(sources), static_cast<int>(outputs),
                   const_cast<std::uint8_t*>(coefficients.data()), tables);
}

void multiply(const unsigned char* tables, SourceSpan sources, OutputSpan outputs,
              std::size_t bytes) {
    multiply_from(tables, sources, outputs, 0, bytes);
}

void multiply_add(const unsigned char* tables, const std::byte* source, OutputSpan outputs,
                  std::size_t bytes) {
    if (bytes == 0) return;
    const std::array sources = {source};
    ByteVectors in(sources, 0), out(outputs, 0);
    ec_encode_data_update(length(bytes), 1, static_cast<int>(outputs.size()), 0,
                          const_cast<unsigned char*>(tables), in.data()[0], out.data());
}

void multiply_pq(const unsigned char* tables, SourceSpan sources, OutputSpan outputs,
                 std::size_t bytes) {
    XSAN_ASSERT(outputs.size() == 2);
    Vectors v;
    v.add_all(sources);
    v.add_all(outputs);
    std::size_t done = 0;
    if (v.aligned() && sources.size() >= 2 && bytes >= kGrain) {
        done = bytes / kGrain * kGrain;
        const int refused = pq_gen(v.count(), length(done), v.data());
        XSAN_ASSERT(refused == 0);
        fence_streaming_stores();
    }
    multiply_from(tables, sources, outputs, done, bytes);
}

}  // namespace xsan::ec

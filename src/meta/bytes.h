// ByteWriter and ByteReader: fields of a record, little-endian, one after the other. Both have the
// same operator(), so that one list of fields serves both directions. A reader that ran out of
// bytes, or met a value that cannot be, stays failed and gives zeros: callers check ok() once, at
// the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/endian.h"
#include "base/result.h"
#include "base/strong.h"
#include "base/uuid.h"

namespace xsan::meta {

// What a decoder says of bytes that cannot be.
inline Failure broken(std::string what) {
    return Failure(Errc::corrupt, std::move(what));
}

class ByteWriter {
  public:
    static constexpr bool kReads = false;
    explicit ByteWriter(std::vector<std::byte>& out) : out_(out) {}

    template <std::unsigned_integral T>
    void operator()(const T& value) {
        const Le<T> raw(value);
        append(&raw, sizeof raw);
    }
    void operator()(const bool& value) { (*this)(static_cast<std::uint8_t>(value)); }
    void operator()(const std::int32_t& value) { (*this)(static_cast<std::uint32_t>(value)); }
    void operator()(const Uuid& value) { append(value.bytes.data(), value.bytes.size()); }
    void operator()(const std::string& value) {
        (*this)(static_cast<std::uint16_t>(value.size()));
        append(value.data(), value.size());
    }
    template <class Tag, class Rep>
    void operator()(const Strong<Tag, Rep>& value) {
        (*this)(value.get());
    }
    template <class E>
    requires std::is_enum_v<E>
    void operator()(const E& value) { (*this)(static_cast<std::underlying_type_t<E>>(value)); }
    void append(const void* data, std::size_t bytes) {
        const auto* first = static_cast<const std::byte*>(data);
        out_.insert(out_.end(), first, first + bytes);
    }
    std::vector<std::byte>& out() { return out_; }

  private:
    std::vector<std::byte>& out_;
};

class ByteReader {
  public:
    static constexpr bool kReads = true;
    explicit ByteReader(std::span<const std::byte> in) : in_(in) {}

    template <std::unsigned_integral T>
    void operator()(T& value) {
        Le<T> raw;
        if (!take(&raw, sizeof raw)) raw = T{0};
        value = raw.get();
    }
    void operator()(bool& value) {
        std::uint8_t raw = 0;
        (*this)(raw);
        if (raw > 1) fail();
        value = raw == 1;
    }
    void operator()(std::int32_t& value) {
        std::uint32_t raw = 0;
        (*this)(raw);
        value = static_cast<std::int32_t>(raw);
    }
    void operator()(Uuid& value) { take(value.bytes.data(), value.bytes.size()); }
    void operator()(std::string& value) {
        std::uint16_t bytes = 0;
        (*this)(bytes);
        if (bytes > in_.size()) return fail();
        value.assign(reinterpret_cast<const char*>(in_.data()), bytes);
        in_ = in_.subspan(bytes);
    }
    template <class Tag, class Rep>
    void operator()(Strong<Tag, Rep>& value) {
        Rep raw = 0;
        (*this)(raw);
        value = Strong<Tag, Rep>(raw);
    }
    template <class E>
    requires std::is_enum_v<E>
    void operator()(E& value) {
        std::underlying_type_t<E> raw{};
        (*this)(raw);
        value = static_cast<E>(raw);
    }
    std::span<const std::byte> take_span(std::size_t bytes) {
        if (bytes > in_.size()) {
            fail();
            return {};
        }
        const auto taken = in_.first(bytes);
        in_ = in_.subspan(bytes);
        return taken;
    }

    void fail() {
        ok_ = false;
        in_ = {};
    }
    bool ok() const { return ok_; }
    std::size_t left() const { return in_.size(); }
    bool at_end() const { return ok_ && in_.empty(); }

  private:
    bool take(void* to, std::size_t bytes) {
        if (bytes > in_.size()) {
            fail();
            return false;
        }
        std::memcpy(to, in_.data(), bytes);
        in_ = in_.subspan(bytes);
        return true;
    }
    std::span<const std::byte> in_;
    bool ok_ = true;
};

}  // namespace xsan::meta

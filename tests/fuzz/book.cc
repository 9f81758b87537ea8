// Fuzz target: the book of a member, its frame and what a pool keeps in it.
// What is accepted can be used by arithmetic and written again; what is not is as if it were not there.
#include <cstring>
#include <vector>

#include "base/assert.h"
#include "base/crc32c.h"
#include "fuzz/input.h"
#include "meta/book.h"
#include "pool/wear_book.h"

using namespace xsan;

namespace {

constexpr std::size_t kCrcOffset = 8;
constexpr std::size_t kCrcEnd = 12;

meta::BookOwner owner() {
    meta::BookOwner owner;
    owner.pool.bytes.fill(1);
    owner.member.bytes.fill(2);
    return owner;
}

void check_payload(std::span<const std::byte> payload) {
    const wl::Endurance rated{1e12, wl::EnduranceOrigin::assumed};
    const auto book = pool::decode_wear_book(payload, rated);
    if (!book) return;
    const auto again = pool::decode_wear_book(pool::encode_wear_book(*book, meta::kBookPayloadMax), rated);
    XSAN_ASSERT(again && again->settings == book->settings && again->heat.size() == book->heat.size());
    // There is room for all events where moves are no more than half of it.
    const bool has_room = payload.size() + 64 < meta::kBookPayloadMax / 2;
    XSAN_ASSERT(again->events.size() == book->events.size() || !has_room);
    if (!book->account) return;
    wl::Account account = *book->account;
    account.read(std::nullopt, account.origin, 0);
    XSAN_ASSERT(account.level() >= 0 && account.level() <= 100);
    account.history.add({4e9, account.level()});
    (void)wl::trend_of(account);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = std::as_bytes(std::span(data, size));
    check_payload(bytes);
    // The same as the payload of a whole book, and as a frame whose checksum is made right.
    if (bytes.size() <= meta::kBookPayloadMax) {
        meta::Book book{7, {bytes.begin(), bytes.end()}};
        const auto raw = meta::encode_book(book, owner(), 1);
        const auto back = meta::decode_book(raw, owner(), 1);
        XSAN_ASSERT(back && back->payload == book.payload);
    }
    std::vector<std::byte> frame(bytes.begin(), bytes.end());
    if (frame.size() < sizeof(meta::BookHeader)) return 0;
    meta::BookHeader header;
    std::memcpy(&header, frame.data(), sizeof header);
    const std::size_t payload = std::min<std::size_t>(header.payload_bytes.get(), frame.size() - sizeof header);
    const Le32 crc(crc32c(std::span<const std::byte>(frame).subspan(kCrcEnd, sizeof header + payload - kCrcEnd)));
    std::memcpy(frame.data() + kCrcOffset, &crc, sizeof crc);
    const auto found = meta::decode_book(frame, owner(), 0);
    XSAN_ASSERT(!found || found->payload.size() == payload);
    return 0;
}

// Fuzz target: the pages of a checkpoint.
//
// An input takes the checkpoint of some state and changes, drops, repeats, swaps or adds pages,
// whose CRCs are made right again or not. What decodes is a state without contradictions, and its
// own checkpoint gives it back.
#include <algorithm>
#include <cstddef>
#include <vector>

#include "base/crc32c.h"
#include "base/rng.h"
#include "base/units.h"
#include "fuzz/record_maker.h"
#include "fuzz/state_check.h"
#include "meta/checkpoint.h"

using namespace xsan;
using namespace xsan::fuzz;
using namespace xsan::meta;

namespace {

using Page = std::vector<std::byte>;

constexpr std::size_t kSeeds = 8;
constexpr std::size_t kPagesMax = 24;

CheckpointIdentity identity() {
    return {uuid_of(1), 40};
}

// A checkpoint in its pages.
std::vector<Page> pages_of(std::span<const std::byte> image) {
    std::vector<Page> pages;
    while (!image.empty()) {
        PageHeader h;
        std::memcpy(&h, image.data(), sizeof h);
        pages.emplace_back(image.begin(), image.begin() + h.length.get());
        image = image.subspan(h.length);
    }
    return pages;
}

// States of some hundred records; the last one has a map and rows on several pages.
std::vector<std::vector<Page>> make_seeds() {
    std::vector<std::vector<Page>> seeds;
    for (std::size_t i = 0; i < kSeeds; i++) {
        State state;
        for (const auto& record : initial_records())
            XSAN_ASSERT(state.apply(record).has_value());
        Rng rng(i);
        std::vector<std::byte> choices(i * 400);
        for (auto& byte : choices)
            byte = static_cast<std::byte>(rng.next());
        Input in(choices);
        RecordMaker maker(in);
        while (!in.at_end()) {
            const Record record = maker.next();
            const bool is_small = record.group.get() < 1024 && record.volume.size_bytes < kGiB;
            if (is_small) (void)state.apply(record);
        }
        const auto image = encode_checkpoint(state, identity());
        seeds.push_back(pages_of(image.buffer.span()));
    }
    return seeds;
}

void seal_page(Page& page) {
    const std::size_t from = offsetof(PageHeader, length);
    store_at(std::span(page), offsetof(PageHeader, crc), crc32c(std::span(page).subspan(from)));
}

// A page of any type whose payload is the input's.
Page raw_page(Input& in) {
    Page page(kPageBytesMin);
    PageHeader h{};
    h.magic = kPageMagic;
    h.length = static_cast<std::uint32_t>(kPageBytesMin);
    h.type = 1 + in.u8() % 8;
    h.version = kPageVersion;
    h.sequence = identity().sequence;
    h.pool_uuid = identity().pool_uuid.bytes;
    h.item_count = in.u8() % 8;
    const auto payload = in.bytes(in.u8());
    h.used_bytes = static_cast<std::uint32_t>(payload.size());
    std::memcpy(page.data(), &h, sizeof h);
    std::copy(payload.begin(), payload.end(), page.begin() + sizeof h);
    return page;
}

// One change of the list of pages; some break the seal of one.
void change(Input& in, std::vector<Page>& pages, bool& is_sealed) {
    if (pages.empty()) return pages.push_back(raw_page(in));
    const std::size_t at = in.u8() % pages.size();
    const auto place = pages.begin() + static_cast<std::ptrdiff_t>(at);
    switch (in.u8() % 12) {
        case 0:
            pages.erase(place);
            break;
        case 1:
            pages.push_back(pages[at]);
            break;
        case 2:
            std::swap(pages[at], pages[in.u8() % pages.size()]);
            break;
        case 3:
            pages.insert(place, raw_page(in));
            break;
        case 4:
            patch(in, std::span(pages[at]).first(sizeof(PageHeader)));
            break;
        case 5: {  // a payload of its own behind what the page says of itself
            const auto raw = in.bytes(in.u8());
            std::copy(raw.begin(), raw.end(), pages[at].begin() + sizeof(PageHeader));
            break;
        }
        case 6:
            pages[at].resize(pages[at].size() + in.u8());
            break;
        case 7:
            is_sealed = false;
            break;
        case 8: {
            const std::size_t item_count = offsetof(PageHeader, item_count);
            store_at(std::span(pages[at]), item_count, static_cast<std::uint32_t>(in.number()));
            break;
        }
        default:
            patch(in, std::span(pages[at]).subspan(sizeof(PageHeader)));
            break;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const auto seeds = make_seeds();
    Input in(data, size);
    std::vector<Page> pages = seeds[in.u8() % kSeeds];
    bool is_sealed = true;
    const bool is_numbered = !in.one_in(8);
    for (unsigned n = in.u8() % 12; n > 0 && pages.size() < kPagesMax; n--) {
        change(in, pages, is_sealed);
    }
    std::vector<std::byte> image;
    std::uint32_t crc = 0;
    for (std::size_t i = 0; i < pages.size(); i++) {
        const std::size_t index = offsetof(PageHeader, index);
        if (is_numbered) store_at(std::span(pages[i]), index, static_cast<std::uint32_t>(i));
        if (is_sealed) seal_page(pages[i]);
        crc = crc32c(std::span(pages[i]).subspan(offsetof(PageHeader, crc), sizeof(Le32)), crc);
        image.insert(image.end(), pages[i].begin(), pages[i].end());
    }
    if (in.one_in(16)) crc ^= 1;
    const auto state = decode_checkpoint(image, crc, identity());
    if (!state) {
        XSAN_ASSERT(!state.error().message.empty());
        return 0;
    }
    check_state(*state);
    (void)check_places(*state);
    check_checkpoint(*state);
    return 0;
}

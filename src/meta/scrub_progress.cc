// One list of fields serves both directions, as for records.
#include "meta/scrub_progress.h"

#include <span>

#include "base/assert.h"
#include "meta/bytes.h"

namespace xsan::meta {
namespace {

constexpr std::uint16_t kProgressVersion = 1;

template <class A, class P>
void fields(A& a, P& p) {
    a(p.number), a(p.phase), a(p.repairs), a(p.rate_max), a(p.next_group), a(p.next_stripe);
    a(p.stripes_total), a(p.stripes_checked), a(p.mismatches), a(p.incomplete), a(p.errors);
    a(p.repaired), a(p.untold);
    auto count = static_cast<std::uint16_t>(p.wrong.size());
    a(count);
    if constexpr (A::kReads) {
        if (count > kScrubWrongMax) return a.fail();
        p.wrong.resize(count);
    }
    for (auto& wrong : p.wrong)
        a(wrong.member), a(wrong.bytes);
}

bool is_sane(const ScrubProgress& p) {
    using Phase = ScrubProgress::Phase;
    for (const auto& wrong : p.wrong) {
        if (wrong.member.get() >= kMembersMax) return false;
    }
    return p.phase >= Phase::running && p.phase <= Phase::done &&
           p.stripes_checked <= p.stripes_total && p.number < kSequenceEnd &&
           p.next_group.get() <= kExtentsMax;
}

}  // namespace

std::string encode_scrub_progress(const ScrubProgress& progress) {
    XSAN_ASSERT(progress.wrong.size() <= kScrubWrongMax && is_sane(progress));
    std::vector<std::byte> bytes;
    ByteWriter writer(bytes);
    writer(kProgressVersion);
    fields(writer, progress);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::optional<ScrubProgress> decode_scrub_progress(const std::string& value) {
    ByteReader reader(std::as_bytes(std::span(value)));
    std::uint16_t version = 0;
    reader(version);
    if (version != kProgressVersion) return std::nullopt;
    ScrubProgress progress;
    fields(reader, progress);
    if (!reader.at_end() || !is_sane(progress)) return std::nullopt;
    return progress;
}

}  // namespace xsan::meta

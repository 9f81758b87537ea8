// Fuzz target: the short texts that people give: sizes, schemes, UUIDs, names of pools and volumes;
// and schemes as the disk records them.
//
// What is read is printed and read again as the same; the two layers that check names agree.
#include <string>

#include "base/units.h"
#include "base/uuid.h"
#include "ec/scheme.h"
#include "fuzz/input.h"
#include "meta/state.h"
#include "rpc/schema.h"

using namespace xsan;
using namespace xsan::fuzz;

namespace {

void check_size(std::string_view text) {
    const auto size = parse_size(text);
    if (!size) return XSAN_ASSERT(!size.error().message.empty());
    XSAN_ASSERT(*size <= INT64_MAX);
    XSAN_ASSERT(*parse_size(std::to_string(*size)) == *size);
    // At most one decimal is printed: exact for whole numbers of units, within a twentieth else.
    const std::string printed = format_size(*size);
    if (printed.find('.') == std::string::npos) return XSAN_ASSERT(*parse_size(printed) == *size);
    const std::string digits = printed.substr(0, printed.size() - 1);
    const std::string unit = "1" + printed.substr(printed.size() - 1);
    const double again = std::stod(digits) * static_cast<double>(*parse_size(unit));
    const double exact = static_cast<double>(*size);
    XSAN_ASSERT(again > exact * 0.94 && again < exact * 1.06);
}

void check_valid(const ec::Scheme& scheme) {
    XSAN_ASSERT(ec::validate(scheme).has_value());
    XSAN_ASSERT(scheme.data_strips >= 1 && scheme.data_strips <= ec::kDataStripsMax);
    XSAN_ASSERT(scheme.total_strips() <= ec::kStripsMax);
    XSAN_ASSERT((scheme.data_mask() ^ scheme.parity_mask()) == scheme.all_mask());
    XSAN_ASSERT(scheme.losses_promised() <= scheme.parity_strips);
    const auto again = ec::parse_scheme(scheme.name(), scheme.members_min(), scheme.strip_bytes);
    XSAN_ASSERT(again.has_value() && *again == scheme);
    XSAN_ASSERT(ec::parse_scheme(scheme.shape(), scheme.members_min(), scheme.strip_bytes) ||
                scheme.parity_strips > ec::kParityStripsMax);
}

void check_scheme(std::string_view text, unsigned members, std::uint32_t strip_bytes) {
    const auto scheme = ec::parse_scheme(text, members, strip_bytes);
    if (!scheme) return XSAN_ASSERT(!scheme.error().message.empty());
    XSAN_ASSERT(scheme->members_min() <= members && scheme->strip_bytes == strip_bytes);
    check_valid(*scheme);
}

// A scheme as a record on disk may have it, canonical or not.
void check_recorded(Input& in) {
    ec::Scheme s;
    s.kind = static_cast<ec::CodeKind>(in.u8() % 8);
    s.level = static_cast<ec::Level>(in.u8() % 10);
    s.data_strips = static_cast<std::uint8_t>(in.number());
    s.parity_strips = static_cast<std::uint8_t>(in.number());
    s.matrix = static_cast<ec::MatrixId>(in.u8() % 5);
    s.layout = static_cast<ec::Layout>(in.u8() % 5);
    s.strip_bytes = in.one_in(8) ? in.u32() : 4096u << in.u8() % 9;
    const auto valid = ec::validate(s);
    if (valid) return check_valid(s);
    XSAN_ASSERT(!valid.error().message.empty());
}

void check_uuid(std::string_view text) {
    // One that is made: of version 4, and the next one is another.
    Rng rng(text.size());
    const Uuid made = Uuid::random(rng);
    XSAN_ASSERT(Uuid::parse(made.to_string()) == made && made.to_string()[14] == '4');
    XSAN_ASSERT(made.low_bits() != Uuid::random(rng).low_bits());
    const auto uuid = Uuid::parse(text);
    if (!uuid) return;
    const std::string printed = uuid->to_string();
    XSAN_ASSERT(printed.size() == text.size() && Uuid::parse(printed) == uuid);
    XSAN_ASSERT(uuid->is_nil() == (printed.find_first_not_of("0-") == std::string::npos));
}

void check_name(std::string_view text) {
    meta::State state;
    meta::Record record;
    record.pool.uuid.bytes.fill(1);
    record.pool.extent_bytes = kMiB;
    record.pool.name = text;
    XSAN_ASSERT(state.apply(record).has_value() == rpc::is_valid_name(text));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input in(data, size);
    const std::uint8_t what = in.u8() % 5;
    if (what == 4) {
        check_recorded(in);
        return 0;
    }
    const unsigned members = what == 1 ? in.u8() % 72u : 0;
    const std::uint32_t strip_bytes = what == 1 && in.one_in(8) ? in.u32() : 65536;
    const auto rest = in.rest();
    const std::string_view text(reinterpret_cast<const char*>(rest.data()), rest.size());
    switch (what) {
        case 0:
            check_size(text);
            break;
        case 1:
            check_scheme(text, members, strip_bytes);
            break;
        case 2:
            check_uuid(text);
            break;
        default:
            check_name(text);
            break;
    }
    return 0;
}

// The level table of design.md section 3, forwards (text to scheme) and backwards (is this one of
// them).
#include "ec/scheme.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "base/units.h"

namespace xsan::ec {
namespace {

struct LevelRow {
    Level level;
    std::string_view text;
    unsigned members_min;
};

constexpr std::array kLevels = {
    LevelRow{Level::linear, "linear", 1}, LevelRow{Level::raid0, "raid0", 2},
    LevelRow{Level::raid1, "raid1", 2},   LevelRow{Level::raid4, "raid4", 3},
    LevelRow{Level::raid5, "raid5", 3},   LevelRow{Level::raid6, "raid6", 4},
    LevelRow{Level::raid10, "raid10", 4},
};

struct Shape {
    unsigned data;
    unsigned parity;
};

Failure refuse(std::string message) {
    return {Errc::invalid_argument, std::move(message)};
}

// One number of "K+P": digits only, no leading zero. Nine digits are more than any limit.
std::optional<unsigned> parse_count(std::string_view text) {
    if (text.empty() || text.size() > 9 || (text.size() > 1 && text[0] == '0')) return {};
    if (!std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
        return {};
    }
    unsigned value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

std::optional<Shape> parse_shape(std::string_view text) {
    const std::size_t plus = text.find('+');
    if (plus == std::string_view::npos) return {};
    const auto data = parse_count(text.substr(0, plus));
    const auto parity = parse_count(text.substr(plus + 1));
    if (!data || !parity) return {};
    return Shape{*data, *parity};
}

Shape shape_of_level(Level level, unsigned members) {
    switch (level) {
        case Level::linear:
            return {1, 0};
        case Level::raid0:
            return {members, 0};
        case Level::raid1:
            return {1, members - 1};
        case Level::raid10:
            return {members / 2, members / 2};
        case Level::raid4:
        case Level::raid5:
            return {members - 1, 1};
        case Level::raid6:
            return {members - 2, 2};
        case Level::k_plus_p:
            break;
    }
    XSAN_UNREACHABLE("K+P takes its shape from its text");
}

// Is the shape one that the level can have? (The limits are check_limits' business.)
bool fits_level(Level level, Shape shape) {
    switch (level) {
        case Level::k_plus_p:
            return shape.data >= 1;
        case Level::linear:
            return shape.data == 1 && shape.parity == 0;
        case Level::raid0:
            return shape.data >= 2 && shape.parity == 0;
        case Level::raid1:
            return shape.data == 1 && shape.parity >= 1;
        case Level::raid10:
            return shape.data >= 2 && shape.parity == shape.data;
        case Level::raid4:
        case Level::raid5:
            return shape.data >= 2 && shape.parity == 1;
        case Level::raid6:
            return shape.data >= 2 && shape.parity == 2;
    }
    return false;
}

Outcome<void> check_limits(Level level, Shape shape, std::string_view name) {
    if (shape.data == 0) return refuse(fmt::format("{} has no data strip; K is at least 1", name));
    if (shape.data > kDataStripsMax) {
        return refuse(
            fmt::format("{} would have {} data strips in a stripe, at most {} are possible; a "
                        "smaller K+P such as "
                        "8+2 also spreads over all members",
                        name, shape.data, kDataStripsMax));
    }
    const bool copies = level == Level::raid1 || level == Level::raid10;
    const unsigned parity_max = copies ? kCopyStripsMax : kParityStripsMax;
    if (shape.parity > parity_max) {
        return refuse(fmt::format("{} would have {} {} strips in a stripe, at most {} are possible",
                                  name, shape.parity, copies ? "copy" : "parity", parity_max));
    }
    return {};
}

Outcome<void> check_strip_size(std::uint32_t bytes) {
    if (!std::has_single_bit(bytes)) {
        return refuse(fmt::format("strip size {} is not a power of two", format_size(bytes)));
    }
    if (bytes < kStripBytesMin || bytes > kStripBytesMax) {
        return refuse(fmt::format("strip size {} is out of range: {} to {}", format_size(bytes),
                                  format_size(kStripBytesMin), format_size(kStripBytesMax)));
    }
    return {};
}

CodeKind kind_of(Level level, Shape shape) {
    if (level == Level::linear) return CodeKind::linear;
    if (level == Level::raid10) return CodeKind::mirror_pairs;
    if (shape.parity == 0) return CodeKind::striping;
    return shape.data == 1 ? CodeKind::mirror : CodeKind::parity;
}

MatrixId matrix_of(CodeKind kind, Shape shape) {
    if (kind != CodeKind::parity) return MatrixId::none;
    if (shape.parity == 1) return MatrixId::ones;
    return shape.parity == 2 ? MatrixId::ones_and_powers : MatrixId::scaled_cauchy;
}

Layout layout_of(Level level, CodeKind kind) {
    if (kind == CodeKind::mirror_pairs) return Layout::swapped_pairs;
    const bool rotates = kind == CodeKind::mirror || kind == CodeKind::parity;
    return rotates && level != Level::raid4 ? Layout::rotating : Layout::fixed;
}

// The only Scheme with this level, shape and strip size. The shape is within the limits.
Scheme canonical(Level level, Shape shape, std::uint32_t strip_bytes) {
    const CodeKind kind = kind_of(level, shape);
    Scheme scheme;
    scheme.kind = kind;
    scheme.level = level;
    scheme.data_strips = static_cast<std::uint8_t>(shape.data);
    scheme.parity_strips = static_cast<std::uint8_t>(shape.parity);
    scheme.matrix = matrix_of(kind, shape);
    scheme.layout = layout_of(level, kind);
    scheme.strip_bytes = strip_bytes;
    return scheme;
}

Outcome<void> check_members(std::string_view name, unsigned members_min, unsigned member_count) {
    if (member_count < members_min) {
        return refuse(fmt::format("{} needs at least {} member{}, there {} {}", name, members_min,
                                  members_min == 1 ? "" : "s", member_count == 1 ? "is" : "are",
                                  member_count));
    }
    return {};
}

// Numbers beyond those of this file may be a newer version's; everything else is checked elsewhere.
Outcome<void> check_known(const Scheme& s) {
    const auto unknown = [](std::string_view field, unsigned value) {
        return Failure(
            Errc::unsupported,
            fmt::format("the scheme's {} {} is not known to this version", field, value));
    };
    const auto number = [](auto value) { return static_cast<unsigned>(value); };
    if (number(s.kind) == 0 || s.kind > CodeKind::linear)
        return unknown("code kind", number(s.kind));
    if (number(s.level) == 0 || s.level > Level::raid10) return unknown("level", number(s.level));
    if (s.matrix > MatrixId::scaled_cauchy) return unknown("matrix", number(s.matrix));
    if (number(s.layout) == 0 || s.layout > Layout::swapped_pairs) {
        return unknown("layout", number(s.layout));
    }
    return {};
}

}  // namespace

unsigned Scheme::losses_promised() const {
    return kind == CodeKind::mirror_pairs ? 1 : parity_strips;
}

std::string Scheme::shape() const {
    return fmt::format("{}+{}", data_strips, parity_strips);
}

std::string Scheme::name() const {
    const auto* row = std::find_if(kLevels.begin(), kLevels.end(),
                                   [this](const LevelRow& r) { return r.level == level; });
    return row == kLevels.end() ? shape() : std::string(row->text);
}

Outcome<Scheme> parse_scheme(std::string_view text, unsigned member_count,
                             std::uint32_t strip_bytes) {
    XSAN_TRY_VOID(check_strip_size(strip_bytes));
    if (const auto shape = parse_shape(text)) {
        XSAN_TRY_VOID(check_limits(Level::k_plus_p, *shape, text));
        XSAN_TRY_VOID(check_members(text, shape->data + shape->parity, member_count));
        return canonical(Level::k_plus_p, *shape, strip_bytes);
    }
    for (const LevelRow& row : kLevels) {
        if (row.text != text) continue;
        XSAN_TRY_VOID(check_members(text, row.members_min, member_count));
        if (row.level == Level::raid10 && member_count % 2 != 0) {
            return refuse(
                fmt::format("raid10 needs an even number of members, there are {}", member_count));
        }
        const Shape shape = shape_of_level(row.level, member_count);
        XSAN_TRY_VOID(
            check_limits(row.level, shape, fmt::format("{} on {} members", text, member_count)));
        return canonical(row.level, shape, strip_bytes);
    }
    return refuse(
        fmt::format("unknown scheme \"{}\"; there are linear, raid0, raid1, raid4, raid5, "
                    "raid6, raid10 and K+P such as 4+2",
                    text));
}

Outcome<void> validate(const Scheme& scheme) {
    XSAN_TRY_VOID(check_known(scheme));
    const auto contradiction = [&scheme](std::string_view why) {
        return Failure(Errc::corrupt, fmt::format("the recorded scheme {} ({}) is not valid: {}",
                                                  scheme.name(), scheme.shape(), why));
    };
    const Shape shape{scheme.data_strips, scheme.parity_strips};
    for (const auto& check :
         {check_limits(scheme.level, shape, scheme.name()), check_strip_size(scheme.strip_bytes)}) {
        if (!check) return contradiction(check.error().message);
    }
    if (!fits_level(scheme.level, shape)) return contradiction("the level has no such shape");
    if (scheme != canonical(scheme.level, shape, scheme.strip_bytes)) {
        return contradiction("code kind, matrix or layout contradicts the level and shape");
    }
    return {};
}

}  // namespace xsan::ec

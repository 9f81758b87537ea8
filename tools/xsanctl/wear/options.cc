// Parsing and checking what is compared.
#include "xsanctl/wear/options.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <numeric>

#include "base/text.h"

namespace xsan::ctl::wear {
namespace {

// A whole text as one finite number.
bool parse_number(const std::string& text, double& value) {
    char* end = nullptr;
    value = std::strtod(text.c_str(), &end);
    return !text.empty() && end == text.c_str() + text.size() && std::isfinite(value);
}

// A whole number that fits, written without a sign.
bool parse_count(const std::string& text, unsigned& value) {
    double number = 0;
    if (!parse_number(text, number) || number < 0 || number > 1e6) return false;
    value = static_cast<unsigned>(number);
    return number == value;
}

constexpr double kUnequalFixed[] = {0, 5, 10, 20, 30, 40, 50, 60};

}  // namespace

Failure bad_compare(std::string message) {
    return {Errc::invalid_argument, "wear compare: " + std::move(message)};
}

Outcome<void> parse_workload(const std::string& text, CompareOptions& options) {
    const std::string kind = text.substr(0, text.find(':'));
    const bool has_theta = kind.size() < text.size();
    if (has_theta && !parse_number(text.substr(kind.size() + 1), options.theta)) {
        return bad_compare(fmt::format("'{}' has no number behind the colon", quotable(text)));
    }
    if (kind == "zipf" || kind == "mixed") {
        options.workload = kind == "zipf" ? WorkloadKind::zipf : WorkloadKind::mixed;
        return {};
    }
    if (!has_theta && (kind == "uniform" || kind == "sequential")) {
        options.workload = kind == "uniform" ? WorkloadKind::uniform : WorkloadKind::sequential;
        return {};
    }
    return bad_compare(fmt::format(
        "workload '{}' is not uniform, zipf:THETA, sequential or mixed:THETA", quotable(text)));
}

Outcome<std::vector<double>> parse_numbers(const std::string& text, const std::string& what) {
    std::vector<double> numbers;
    std::size_t from = 0;
    while (from <= text.size()) {
        const std::size_t comma = std::min(text.find(',', from), text.size());
        double number = 0;
        if (!parse_number(text.substr(from, comma - from), number)) {
            return bad_compare(
                fmt::format("{} '{}' is not a list of numbers", what, quotable(text)));
        }
        numbers.push_back(number);
        from = comma + 1;
    }
    return numbers;
}

Outcome<std::vector<double>> parse_ages(const std::string& text, unsigned members) {
    if (text == "equal") return std::vector<double>(members == 0 ? 8 : members, 0.0);
    if (text == "unequal") {
        const unsigned count = members == 0 ? 8 : members;
        std::vector<double> ages(kUnequalFixed, kUnequalFixed + 8);
        if (count == 8) return ages;
        ages.assign(count, 0);
        for (unsigned i = 0; i < count; i++)
            ages[i] = count > 1 ? 60.0 * i / (count - 1) : 0;
        return ages;
    }
    XSAN_TRY(auto ages, parse_numbers(text, "ages"));
    if (members != 0 && ages.size() != members) {
        return bad_compare(fmt::format("{} ages are given for {} members", ages.size(), members));
    }
    return ages;
}

Outcome<Replacement> parse_replacement(const std::string& text) {
    const std::size_t at = std::min(text.find('@'), text.size());
    Replacement replacement;
    const bool has_both = at < text.size();
    if (!has_both || !parse_count(text.substr(0, at), replacement.member) ||
        !parse_count(text.substr(at + 1), replacement.month)) {
        return bad_compare(fmt::format("replacement '{}' is not MEMBER@MONTH", quotable(text)));
    }
    return replacement;
}

Outcome<void> parse_scheme(const std::string& text, CompareOptions& options) {
    const std::size_t at = std::min(text.find('+'), text.size());
    const bool has_both = at < text.size();
    if (!has_both || !parse_count(text.substr(0, at), options.data_strips) ||
        !parse_count(text.substr(at + 1), options.parity_strips)) {
        return bad_compare(fmt::format("scheme '{}' is not K+P, such as 2+1", quotable(text)));
    }
    return {};
}

Outcome<void> check_options(const CompareOptions& o) {
    const auto range = [](const char* name, double value, double low,
                          double high) -> Outcome<void> {
        if (value >= low && value <= high) return {};
        return bad_compare(fmt::format("{} must be from {} to {}, not {}", name, low, high, value));
    };
    XSAN_TRY_VOID(range("data strips", o.data_strips, 1, 32));
    XSAN_TRY_VOID(range("parity strips", o.parity_strips, 0, 8));
    const unsigned strips = o.data_strips + o.parity_strips;
    if (o.ages.size() < strips || o.ages.size() > 256) {
        return bad_compare(fmt::format("scheme {}+{} needs {} to 256 members, not {}",
                                       o.data_strips, o.parity_strips, strips, o.ages.size()));
    }
    if (o.sizes.size() != o.ages.size()) {
        return bad_compare(
            fmt::format("{} sizes are given for {} members", o.sizes.size(), o.ages.size()));
    }
    for (const double age : o.ages)
        XSAN_TRY_VOID(range("an age", age, 0, 100));
    for (const double size : o.sizes)
        XSAN_TRY_VOID(range("a size", size, 0.01, 100));
    XSAN_TRY_VOID(range("extents", o.extents, 100, 100000));
    XSAN_TRY_VOID(range("clusters of a group", o.clusters_per_group, 1, 1024));
    XSAN_TRY_VOID(range("fill in percent", 100 * o.fill, 1, 95));
    XSAN_TRY_VOID(range("zipf's theta", o.theta, 0, 5));
    XSAN_TRY_VOID(range("days of a hot set", o.hot_days, 1, 36500));
    XSAN_TRY_VOID(range("growth", o.growth, 0.1, 1000));
    XSAN_TRY_VOID(range("rated writes", o.rated_writes, 1, 1e6));
    XSAN_TRY_VOID(range("writes per day", o.writes_per_day, 0.001, 1000));
    XSAN_TRY_VOID(range("churn in percent", 100 * o.churn, 0, 100));
    const double days = o.growth / 100 * o.rated_writes / o.writes_per_day;
    if (days > 36500) {
        return bad_compare(
            fmt::format("this growth takes {:.0f} years of {} drive writes a day: at most "
                        "100 are simulated",
                        days / 365, o.writes_per_day));
    }
    const double extents = std::accumulate(o.sizes.begin(), o.sizes.end(), 0.0) * o.extents;
    if (extents > 1e6)
        return bad_compare("more than a million extents in all: give fewer --extents");
    for (const Replacement& r : o.replacements) {
        if (r.member >= o.ages.size() || r.month == 0) {
            return bad_compare(
                fmt::format("replacement {}@{}: members are 0 to {}, months begin at 1", r.member,
                            r.month, o.ages.size() - 1));
        }
    }
    return {};
}

std::string workload_name(const CompareOptions& options) {
    switch (options.workload) {
        case WorkloadKind::uniform:
            return "uniform";
        case WorkloadKind::zipf:
            return fmt::format("zipf:{}", options.theta);
        case WorkloadKind::sequential:
            return "sequential";
        case WorkloadKind::mixed:
            return fmt::format("mixed:{}", options.theta);
        case WorkloadKind::trace:
            return "trace";
    }
    return "?";
}

}  // namespace xsan::ctl::wear

// Endurance by model, and levels between a drive's steps.
#include "wl/wear.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/assert.h"
#include "wl/placement.h"

namespace xsan::wl {
namespace {

// Ratings as their makers publish them: drive writes per day over a warranty of five years, or
// terabytes written per terabyte.
struct ModelRating {
    std::string_view pattern;
    double drive_writes;
};
constexpr double kOnePerDay = 5 * 365;
constexpr std::array kRatings = {
    ModelRating{"SAMSUNG MZQL2*", kOnePerDay},   // PM9A3
    ModelRating{"INTEL SSDPF2KX*", kOnePerDay},  // P5510
    ModelRating{"KCD6XLUL*", kOnePerDay},        // CD6-R
    ModelRating{"KCD6XVUL*", 3 * kOnePerDay},    // CD6-V
    ModelRating{"Samsung SSD 980 PRO*", 600},   ModelRating{"Samsung SSD 990 PRO*", 600},
};

constexpr double kBelowStep = 0.99;

}  // namespace

bool matches_model(std::string_view pattern, std::string_view model) {
    // Where a '*' led astray, it is tried one character longer.
    std::size_t p = 0;
    std::size_t m = 0;
    std::size_t star = std::string_view::npos;
    std::size_t star_end = 0;
    while (m < model.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            star_end = m;
        } else if (p < pattern.size() && pattern[p] == model[m]) {
            p++;
            m++;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            m = ++star_end;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*')
        p++;
    return p == pattern.size();
}

Endurance endurance_of(std::string_view model, std::uint64_t capacity_bytes,
                       double configured_bytes) {
    if (configured_bytes > 0) return {configured_bytes, EnduranceOrigin::configured};
    const double capacity = static_cast<double>(capacity_bytes);
    for (const ModelRating& rating : kRatings) {
        if (matches_model(rating.pattern, model)) {
            return {rating.drive_writes * capacity, EnduranceOrigin::model};
        }
    }
    return {kDriveWritesAssumed * capacity, EnduranceOrigin::assumed};
}

WearMeter::WearMeter(double endurance_bytes, double own_bytes)
    : endurance_bytes_(endurance_bytes),
      bytes_(own_bytes),
      bytes_per_point_(endurance_bytes / kWearMax) {
    XSAN_ASSERT(endurance_bytes > 0);
}

WearMeter::State WearMeter::state() const {
    return {bytes_, bytes_per_point_, percent_, bytes_at_percent_, has_seen_step_};
}

bool WearMeter::restore(const State& state) {
    const auto is_amount = [](double value) { return std::isfinite(value) && value >= 0; };
    if (!is_amount(state.bytes) || !is_amount(state.bytes_at_percent) || !is_amount(state.bytes_per_point) ||
        state.bytes_per_point == 0 || (state.percent && !is_amount(*state.percent))) {
        return false;
    }
    bytes_ = state.bytes;
    percent_ = state.percent;
    bytes_at_percent_ = state.bytes_at_percent;
    has_seen_step_ = state.has_seen_step;
    // Otherwise it follows from the rating, which may be another one by now.
    if (has_seen_step_) bytes_per_point_ = state.bytes_per_point;
    return true;
}

void WearMeter::set_endurance(double endurance_bytes) {
    XSAN_ASSERT(endurance_bytes > 0);
    const bool is_by_rating = bytes_per_point_ == endurance_bytes_ / kWearMax;
    endurance_bytes_ = endurance_bytes;
    if (is_by_rating) bytes_per_point_ = endurance_bytes / kWearMax;
}

void WearMeter::update(const WearReading& reading, double own_bytes) {
    bytes_ = reading.bytes_written.value_or(own_bytes);
    if (!reading.percentage_used) return;
    const double percent = *reading.percentage_used;
    if (percent_ && percent == *percent_) return;
    const bool is_other_drive = percent_ && percent < *percent_;
    if (is_other_drive) bytes_per_point_ = endurance_bytes_ / kWearMax;
    const bool is_step = percent_ && !is_other_drive;
    if (is_step && has_seen_step_ && bytes_ > bytes_at_percent_) {
        bytes_per_point_ = (bytes_ - bytes_at_percent_) / (percent - *percent_);
    }
    has_seen_step_ = is_step;
    percent_ = percent;
    bytes_at_percent_ = bytes_;
}

double WearMeter::level() const {
    if (!percent_) return std::clamp(kWearMax * bytes_ / endurance_bytes_, 0.0, kWearMax);
    const double since = std::max(0.0, bytes_ - bytes_at_percent_) / bytes_per_point_;
    return std::clamp(*percent_ + std::min(kBelowStep, since), 0.0, kWearMax);
}

double write_amplification(double device_bytes, double user_bytes) {
    return user_bytes > 0 ? device_bytes / user_bytes : 1;
}

}  // namespace xsan::wl

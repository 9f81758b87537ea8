// Trends of wear.
#include "wl/prediction.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/assert.h"
#include "wl/placement.h"

namespace xsan::wl {
namespace {

// Student's t, two-sided 95 %, by degrees of freedom from 1; beyond, 1.96 (1 + 1.2 / n) is within
// 0.2 %.
constexpr std::array kStudent = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365,
                                 2.306,  2.262, 2.228, 2.201, 2.179, 2.160, 2.145,
                                 2.131,  2.120, 2.110, 2.101, 2.093, 2.086};

double student_95(std::size_t degrees) {
    if (degrees <= kStudent.size()) return kStudent[degrees - 1];
    return 1.96 * (1 + 1.2 / static_cast<double>(degrees));
}

constexpr double kOtherDrive = 1;  // points
constexpr double kTimeMost = 1e11;  // Unix seconds: the year 5138

}  // namespace

WearHistory::WearHistory(std::size_t points_max) : points_max_(points_max) {
    XSAN_ASSERT(points_max >= 4);
}

void WearHistory::add(const WearPoint& point) {
    if (!points_.empty()) {
        if (point.time_seconds < points_.back().time_seconds) return;
        if (point.wear < points_.back().wear - kOtherDrive) clear();
    }
    if (last_is_provisional_) points_.pop_back();
    if (points_.size() == points_max_) {
        std::size_t kept = 0;
        for (std::size_t i = 0; i < points_.size(); i += 2)
            points_[kept++] = points_[i];
        points_.resize(kept);
        interval_seconds_ = (points_.back().time_seconds - points_.front().time_seconds) /
                            static_cast<double>(kept - 1);
    }
    last_is_provisional_ =
        !points_.empty() && point.time_seconds - points_.back().time_seconds < interval_seconds_;
    points_.push_back(point);
}

void WearHistory::clear() {
    points_.clear();
    interval_seconds_ = 0;
    last_is_provisional_ = false;
}

bool WearHistory::restore(State state) {
    if (state.points.size() > points_max_ || !std::isfinite(state.interval_seconds) || state.interval_seconds < 0)
        return false;
    double before = 0;
    for (const WearPoint& p : state.points) {
        const bool is_possible = p.time_seconds >= before && p.time_seconds <= kTimeMost && p.wear >= 0 &&
                                 p.wear <= kWearMax;
        if (!is_possible) return false;
        before = p.time_seconds;
    }
    points_ = std::move(state.points);
    interval_seconds_ = state.interval_seconds;
    last_is_provisional_ = state.last_is_provisional && !points_.empty();
    return true;
}

std::optional<WearTrend> wear_trend(std::span<const WearPoint> points, double window_seconds,
                                    double resolution) {
    if (points.empty()) return std::nullopt;
    const double newest = points.back().time_seconds;
    const auto first =
        std::lower_bound(points.begin(), points.end(), newest - window_seconds,
                         [](const WearPoint& p, double time) { return p.time_seconds < time; });
    const std::span<const WearPoint> used(first, points.end());
    if (used.size() < 3) return std::nullopt;
    const double n = static_cast<double>(used.size());
    double mean_time = 0;  // relative to the newest, so that large times lose no digits
    double mean_wear = 0;
    for (const WearPoint& p : used) {
        mean_time += (p.time_seconds - newest) / n;
        mean_wear += p.wear / n;
    }
    double time_squares = 0;
    double products = 0;
    for (const WearPoint& p : used) {
        const double time = p.time_seconds - newest - mean_time;
        time_squares += time * time;
        products += time * (p.wear - mean_wear);
    }
    if (time_squares <= 0) return std::nullopt;
    WearTrend trend;
    trend.time_seconds = newest;
    trend.rate = products / time_squares;
    trend.wear = mean_wear - trend.rate * mean_time;
    double error_squares = 0;
    for (const WearPoint& p : used) {
        const double error = p.wear - trend.wear - trend.rate * (p.time_seconds - newest);
        error_squares += error * error;
    }
    // Rounding to a multiple of r has a variance of r^2 / 12.
    const double variance = std::max(error_squares / (n - 2), resolution * resolution / 12);
    const double margin = student_95(used.size() - 2) * std::sqrt(variance / time_squares);
    trend.rate_low = trend.rate - margin;
    trend.rate_high = trend.rate + margin;
    return trend;
}

std::optional<TimeToWear> time_to_wear(const WearTrend& trend, double threshold) {
    const double left = threshold - trend.wear;
    if (left <= 0) return TimeToWear{0, 0, 0.0};
    if (trend.rate <= 0) return std::nullopt;
    TimeToWear time;
    time.expected_seconds = left / trend.rate;
    time.earliest_seconds = left / trend.rate_high;
    if (trend.rate_low > 0) time.latest_seconds = left / trend.rate_low;
    return time;
}

std::optional<double> threshold_crossed(std::span<const double> thresholds, double before,
                                        double now) {
    std::optional<double> highest;
    for (const double threshold : thresholds) {
        if (before >= threshold || now < threshold) continue;
        highest = std::max(highest.value_or(threshold), threshold);
    }
    return highest;
}

}  // namespace xsan::wl

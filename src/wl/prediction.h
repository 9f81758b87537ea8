// Prediction: when a member will reach a wear threshold, from the history of its wear.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace xsan::wl {

struct WearPoint {
    double time_seconds = 0;
    double wear = 0;  // points
};

// A bounded history of a member's whole life. When it is full every second point is dropped and
// points are from then on taken at twice the interval: the newest point is always there, and the
// older ones never lie further apart than the time they span divided by a quarter of the capacity.
class WearHistory {
  public:
    static constexpr std::size_t kPointsMax = 256;

    explicit WearHistory(std::size_t points_max = kPointsMax);  // >= 4

    // Times must not go back; such a point is ignored. Wear that falls by more than a point means
    // another drive, and begins a new history.
    void add(const WearPoint& point);
    std::span<const WearPoint> points() const { return points_; }
    void clear();

    // What is kept of a history.
    struct State {
        double interval_seconds = 0;
        bool last_is_provisional = false;
        std::vector<WearPoint> points;
    };
    State state() const { return {interval_seconds_, last_is_provisional_, points_}; }
    // False, and nothing has changed, where that is no history: too many points, times that go back.
    bool restore(State state);

  private:
    std::size_t points_max_;
    double interval_seconds_ = 0;
    bool last_is_provisional_ =
        false;  // closer to its neighbour than the interval: the next replaces it
    std::vector<WearPoint> points_;
};

// A straight line through the points by least squares, with the 95 % confidence interval of its
// slope (Student's t with n - 2 degrees of freedom).
struct WearTrend {
    double time_seconds = 0;  // of the newest point
    double wear = 0;          // the line's value there
    double rate = 0;          // points per second
    double rate_low = 0;
    double rate_high = 0;
};

// From the points of the last `window_seconds`; nullopt with fewer than three, or none apart in
// time. resolution: of the readings, in points (1 for a drive's percentage): their rounding error
// is in the interval even where by chance all points lie on a line.
std::optional<WearTrend> wear_trend(std::span<const WearPoint> points, double window_seconds,
                                    double resolution);

struct TimeToWear {
    double expected_seconds = 0;
    double earliest_seconds = 0;
    std::optional<double> latest_seconds;  // nullopt: never, as far as the trend can tell
};

// From the newest point on; 0 for what is reached already, nullopt when the trend does not rise.
std::optional<TimeToWear> time_to_wear(const WearTrend& trend, double threshold);

inline constexpr double kWarnAt[] = {80, 90};  // default thresholds, points

// The highest of `thresholds` that wear has crossed going up from `before` to `now`; nullopt for
// none.
std::optional<double> threshold_crossed(std::span<const double> thresholds, double before,
                                        double now);

}  // namespace xsan::wl

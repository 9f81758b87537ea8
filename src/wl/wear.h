// The wear of one drive: what it says of itself, what we wrote to it, and the level 0..100 that
// follows. Value types and arithmetic; those who read drives (or a user's file of readings) fill in
// a WearReading.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace xsan::wl {

// What a source of readings says of a drive at one moment. nullopt: it does not say. NVMe's health
// log (log page 02h) has all of these; an emulated drive reports none, and then a file or
// configuration may.
struct WearReading {
    std::optional<double> percentage_used;  // of its endurance as the drive counts it; may pass 100
    std::optional<double> bytes_written;    // by hosts in its whole life (data units x 512,000)
    std::optional<unsigned> spare_percent;  // blocks in reserve, 0..100
    std::optional<unsigned> spare_threshold_percent;
    std::optional<std::uint64_t> media_errors;
    std::optional<double> temperature_celsius;
};

// Where readings come from. Implemented by those who may do I/O or read files, not here; called now
// and then, off the data path. `model` and `serial` as the drive reports them.
class WearSource {
  public:
    virtual ~WearSource() = default;
    // The latest reading of that drive; all fields empty when there is none.
    virtual WearReading latest(std::string_view model, std::string_view serial) const = 0;
};

// Where a rated endurance was taken from, best first.
enum class EnduranceOrigin : std::uint8_t { configured, model, assumed };
struct Endurance {
    double bytes = 0;
    EnduranceOrigin origin = EnduranceOrigin::assumed;
};

// Full writes of a drive in its life where nothing is known of it: what consumer drives are
// commonly rated.
inline constexpr double kDriveWritesAssumed = 600;

// Rated endurance in bytes: `configured_bytes` where it is above 0, else by the table of models
// (drive writes in the warranty times capacity), else kDriveWritesAssumed times capacity. The same
// writes wear a larger drive less: that is all that capacity has to do with wear.
Endurance endurance_of(std::string_view model, std::uint64_t capacity_bytes,
                       double configured_bytes);

// '*' matches any text, everything else itself.
bool matches_model(std::string_view pattern, std::string_view model);

// Follows one drive's level from reading to reading. A drive's percentage has steps of one point,
// but policies need fractions: between two steps the level goes on by bytes written, at the rate of
// the last whole step seen (by rated endurance before that), and never reaches the next step by
// itself.
//
//   with percentage_used p:  level = p + min(0.99, bytes since p was reached / bytes per point)
//   without:                 level = 100 (bytes written) / (rated endurance)
//   bytes written:           what the drive reports, or ours since the meter began where it reports
//   none both                     limited to 0..100
class WearMeter {
  public:
    // own_bytes: written to the drive by us before, as far as that was kept.
    explicit WearMeter(double endurance_bytes, double own_bytes = 0);  // endurance_bytes > 0

    // What a meter knows, to be kept and given to another one.
    struct State {
        double bytes = 0;
        double bytes_per_point = 0;
        std::optional<double> percent;
        double bytes_at_percent = 0;
        bool has_seen_step = false;
    };
    State state() const;
    // Goes on from what another meter knew. False, and nothing has changed, where no meter can know that.
    bool restore(const State& state);

    // own_bytes as above, now. A percentage that falls means another drive: the meter begins anew.
    void update(const WearReading& reading, double own_bytes);
    // Another rating: what the drive itself has shown is kept. > 0
    void set_endurance(double endurance_bytes);
    double level() const;  // points, 0..100
    // Bytes that wear the drive by one point, as far as is known: > 0. Shows wear inside the drive:
    // below a hundredth of the rated endurance it writes more than it is told to.
    double bytes_per_point() const { return bytes_per_point_; }

  private:
    double endurance_bytes_;
    double bytes_ = 0;  // written in all
    double bytes_per_point_;
    std::optional<double> percent_;
    double bytes_at_percent_ = 0;  // when percent_ was first seen
    bool has_seen_step_ = false;   // the moment at which percent_ was reached is known
};

// Device bytes written over user bytes; 1 where users wrote nothing.
double write_amplification(double device_bytes, double user_bytes);

}  // namespace xsan::wl

// WearReader: where figures about drives come from. The pool asks; the daemon implements it, with the drives themselves
// and a file of readings (src/daemon/wear_readings.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/strong.h"
#include "reactor/task.h"
#include "wl/wear.h"

namespace xsan::pool {

struct DriveName {
    MemberIndex member;
    std::string path;
    std::string model;
    std::string serial;
    std::uint64_t size_bytes = 0;
};
struct DriveReading {
    wl::WearReading reading;  // empty: nothing is known
    bool from_file = false;
};

class WearReader {
  public:
    virtual ~WearReader() = default;
    // On the control reactor; may take long. One answer for each drive, in order.
    virtual Task<std::vector<DriveReading>> read(std::vector<DriveName> drives) = 0;
    // Rated endurance as configured for this drive, bytes; 0: not configured.
    virtual double endurance_bytes(const DriveName& drive) const = 0;
};

}  // namespace xsan::pool

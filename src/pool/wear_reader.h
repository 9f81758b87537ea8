// WearReader: whom the pool asks what its drives say of their own wear. The pool knows no files and no drives'
// logs; whoever assembles it implements this (daemon/wear_readings.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/strong.h"
#include "reactor/task.h"
#include "wl/wear.h"

namespace xsan::pool {

// A member's drive, by all that a reading or a rated endurance may be found under.
struct DriveName {
    MemberIndex member;
    std::string path;    // as opened
    std::string model;   // empty where unknown
    std::string serial;  //
    std::uint64_t size_bytes = 0;  // 0: unknown; then drive writes give no endurance
};

// An empty reading: nothing is known of the drive now.
struct DriveReading {
    wl::WearReading reading;
    bool from_file = false;  // a user's file gave at least one of its figures
    std::int64_t age_seconds = 0;  // since the drive said so; 0 for a file, which holds while it is there
};

class WearReader {
  public:
    virtual ~WearReader() = default;
    // On the control reactor; waits off the reactor, some seconds at most, since a pool's stop waits for it. One answer
    // for each drive, in order. Never fails: what cannot be read, or not yet, is missing from the answer.
    virtual Task<std::vector<DriveReading>> read(std::vector<DriveName> drives) = 0;
    // Rated endurance as configured for this drive, in bytes written; 0: not configured. Does not wait.
    virtual double endurance_bytes(const DriveName& drive) const = 0;
};

}  // namespace xsan::pool

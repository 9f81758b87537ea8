// Who uses a block device: asked before it is taken away.
#pragma once

#include <string>

#include "base/result.h"

namespace xsan::ublk {

// Holds an exclusive claim on a block device, which makes mounting it fail.
class ExclusiveClaim {
  public:
    explicit ExclusiveClaim(int fd) : fd_(fd) {}
    ExclusiveClaim(ExclusiveClaim&& other) noexcept;
    ExclusiveClaim& operator=(ExclusiveClaim&&) = delete;
    ~ExclusiveClaim() { release(); }
    void release();

  private:
    int fd_;
};

// Claims /dev/ublkbN and writes its cached data back, or says in one line who uses it or a
// partition of it: Errc::busy. Users that claim nothing (a virtual machine, a running dd) are
// looked for in /proc and get a moment to end, because udev opens each new device for a short time.
// Blocks for up to two seconds and as long as the write-back takes.
Outcome<ExclusiveClaim> claim_unused(unsigned number);

}  // namespace xsan::ublk

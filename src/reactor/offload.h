// Offload: where blocking calls go (opening drives, libnvme, probing signatures, ublk control commands).
// A reactor thread never blocks; it awaits run(), whose function executes elsewhere.
#pragma once

#include <functional>

#include "reactor/task.h"

namespace xsan {

class Offload {
  public:
    virtual ~Offload() = default;
    // Runs `function` on a helper thread and resumes the caller on its own reactor when it has returned.
    // The function may refer to the caller's frame: the caller waits.
    virtual Task<void> run(std::function<void()> function) = 0;
};

// Runs the function in place: for the simulator and for programs without a loop to keep alive.
class InlineOffload final : public Offload {
  public:
    Task<void> run(std::function<void()> function) override {
        function();
        co_return;
    }
};

}  // namespace xsan

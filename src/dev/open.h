// Opening a device for use, with the claim that keeps everyone else off it.
// Blocks: run it through Offload.
#pragma once

#include <memory>

#include "base/result.h"
#include "dev/block_device.h"
#include "dev/device_probe.h"

namespace xsan::dev {

struct OpenOptions {
    // No claim, no writes: for tools that look at a device which may be in use.
    bool read_only = false;
    // The reactors' rings have large entries (UringFeatures::large_entries): passthrough needs
    // them.
    bool large_entries = true;
};

// busy with a sentence when someone else has claimed the device. The reactors that use it must be
// UringReactors (mem and null: any).
Outcome<std::unique_ptr<BlockDevice>> open_device(const DeviceSpec& spec,
                                                  const OpenOptions& options = {});

}  // namespace xsan::dev

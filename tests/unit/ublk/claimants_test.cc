// Which of the kernel's devices is a volume's.
#include <algorithm>

#include "support/catch.h"
#include "ublk/devices.h"

using namespace xsan;
using namespace xsan::ublk;

namespace {

DeviceInfo device(unsigned number, DeviceState state, std::uint64_t bits) {
    DeviceInfo info;
    info.number = number;
    info.state = state;
    info.server_flags = bits;
    return info;
}

}  // namespace

TEST_CASE("a dead device does not hide the one that waits, in whatever order they come") {
    std::vector<DeviceInfo> devices = {device(0, DeviceState::quiesced, 7), device(1, DeviceState::dead, 7),
                                       device(2, DeviceState::dead, 8), device(3, DeviceState::live, 7)};
    for (int turn = 0; turn < 2; turn++) {
        const Claimants found = claimants(devices, 7);
        CHECK(found.alive == 0u);
        CHECK(found.dead == std::vector<unsigned>{1});
        std::reverse(devices.begin(), devices.end());
    }
    CHECK(claimants(devices, 8).alive == std::nullopt);
    CHECK(claimants(devices, 8).dead == std::vector<unsigned>{2});
    CHECK(claimants(devices, 9).dead.empty());
}

TEST_CASE("a device that is still served is a volume's where none waits") {
    const std::vector<DeviceInfo> devices = {device(4, DeviceState::live, 7), device(5, DeviceState::dead, 7)};
    CHECK(claimants(devices, 7).alive == 4u);
}

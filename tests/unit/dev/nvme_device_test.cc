// Properties of passthrough that need no drive: /dev/null answers every command with success.
#include <fcntl.h>

#include <algorithm>

#include "base/units.h"
#include "dev/nvme_device.h"
#include "support/catch.h"
#include "unit/reactor/run_task.h"

using namespace xsan;
using namespace xsan::dev;
using test::make_reactor;
using test::run_task;

namespace {

UniqueFd open_null() {
    return UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC));
}

NvmeDevice make_device(std::uint64_t zeroes_bytes_max) {
    DeviceLimits limits;
    limits.size_bytes = 1 * kGiB;
    limits.discard = true;
    NvmeRules rules;
    rules.nsid = 1;
    rules.write_zeroes_bytes_max = zeroes_bytes_max;
    rules.discard_bytes_max = 128 * kKiB;
    return {open_null(), open_null(), DeviceIdentity{}, limits, rules};
}

}  // namespace

TEST_CASE("a range of thousands of commands keeps few of them in flight, and ends") {
    auto reactor = make_reactor();
    run_task(*reactor, []() -> Task<void> {
        for (const std::uint64_t zeroes_bytes_max : {std::uint64_t{0}, 64 * kKiB}) {
            NvmeDevice device = make_device(zeroes_bytes_max);
            for (const IoKind kind : {IoKind::write_zeroes, IoKind::discard}) {
                for (const std::uint64_t length : {64 * kKiB, 3 * kMiB + 512, 512 * kMiB}) {
                    IoRequest request;
                    request.kind = kind;
                    request.offset = 512;
                    request.length = length;
                    IoBatch batch;
                    batch.submit(device, request);
                    CHECK(UringReactor::current().in_flight() <= 17);
                    co_await batch.wait();
                    CHECK(request.error.code == Errc::ok);
                    CHECK(request.device_word == 0);
                }
            }
            co_await device.close();
        }
    });
}

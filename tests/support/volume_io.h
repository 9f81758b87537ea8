// What tests that drive a pool share: drives that outlive the pool, and one request as a task.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "dev/block_device.h"
#include "reactor/task.h"

namespace xsan::test {

// What the pool owns; the drive behind it is the test's.
class Plug final : public dev::BlockDevice {
  public:
    explicit Plug(dev::BlockDevice& drive) : drive_(drive) {}
    const dev::DeviceIdentity& identity() const override { return drive_.identity(); }
    const dev::DeviceLimits& limits() const override { return drive_.limits(); }
    void submit(dev::IoRequest& request) override { drive_.submit(request); }
    unsigned in_flight() const override { return drive_.in_flight(); }

  private:
    dev::BlockDevice& drive_;
};

// One request, to its end. With data `length` is not used; data and device outlive the task.
inline Task<Errc> request(dev::BlockDevice& device, dev::IoKind kind, std::uint64_t offset,
                          std::span<std::byte> data, std::uint64_t length, bool fua = false) {
    dev::IoAwaiter awaiter(device, kind, offset);
    if (data.empty()) {
        awaiter.request().length = length;
    } else {
        awaiter.request().set_buffer(data.data(), data.size());
    }
    awaiter.request().fua = fua;
    const Result<void> done = co_await awaiter;
    co_return done.error().code;
}

}  // namespace xsan::test

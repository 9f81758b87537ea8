// Sequences of control commands, with their waits and with what a person is told when they fail.
#include "ublk/setup.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>

#include "base/log.h"
#include "base/units.h"
#include "ublk/devices.h"
#include "ublk/in_use.h"

namespace xsan::ublk {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kNodeWait = 5s;        // udev and devtmpfs make a node
constexpr auto kOldServerWait = 30s;  // a killed process closes its last file
constexpr auto kPoll = 20ms;
constexpr auto kOpenersWait = 2s;
// With an I/O scheduler the kernel gives repeated requests new tags, and others may pass them.
constexpr TimeNs kRepetitionWindow = 10 * kSecond;
constexpr unsigned kQuiesceMs = 5'000;

Failure explain(Error error, std::string what) {
    if (error.code == Errc::timed_out) {
        what += ": the kernel did not answer in time; its log (dmesg) may say why";
    } else {
        what += fmt::format(": {}", std::strerror(error.os_errno));
    }
    return {error.code, std::move(what)};
}

Outcome<CharDevice> open_char(unsigned number) {
    const std::string path = char_path(number);
    const auto deadline = Clock::now() + kNodeWait;
    for (;;) {
        const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
        if (fd >= 0) return CharDevice(fd);
        const int error = errno;
        if ((error != ENOENT && error != EBUSY) || Clock::now() > deadline) {
            return explain(error_from_errno(error), "cannot open " + path);
        }
        std::this_thread::sleep_for(kPoll);
    }
}

Outcome<void> wait_until_openable(unsigned number) {
    const std::string path = block_path(number);
    const auto deadline = Clock::now() + kNodeWait;
    for (;;) {
        const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            ::close(fd);
            return {};
        }
        const int error = errno;
        if (Clock::now() > deadline) return explain(error_from_errno(error), "cannot open " + path);
        std::this_thread::sleep_for(kPoll);
    }
}

std::string queue_attribute(unsigned number, const char* name) {
    return fmt::format("/sys/block/ublkb{}/queue/{}", number, name);
}

bool has_scheduler(unsigned number) {
    std::ifstream file(queue_attribute(number, "scheduler"));
    std::string line;
    std::getline(file, line);
    return line.find("[none]") == std::string::npos;
}

// No scheduler: flash needs no sorting, and a request keeps its tag when it is repeated.
// A short request timeout: when a server dies while all tags of a queue are with it, Linux 6.12
// does not notice before a request of that queue times out (30 s by default), and users hang that
// long. While the server lives, the driver answers a timeout by starting the timer again.
void tune_queue(unsigned number) {
    std::ofstream(queue_attribute(number, "scheduler")) << "none\n";
    std::ofstream(queue_attribute(number, "io_timeout")) << "1000\n";
}

Result<DeviceInfo> add_with_preference(const Control& control, AddRequest request) {
    auto added = control.add_device(request);
    const bool taken = !added.has_value() && added.error().code == Errc::exists;
    if (request.number < 0 || !taken) return added;
    request.number = -1;
    return control.add_device(request);
}

// Waits until the kernel gives the device to this process.
Outcome<void> start_recovery(const Control& control, unsigned number) {
    const auto deadline = Clock::now() + kOldServerWait;
    for (;;) {
        const auto started = control.start_user_recovery(number);
        if (started.has_value()) return {};
        if (started.error().code == Errc::invalid_argument) {
            return Failure(
                Errc::unsupported,
                fmt::format("the kernel cannot recover {}: a server died while it recovered "
                            "it; end its users and delete it",
                            block_path(number)));
        }
        if (started.error().code != Errc::busy) {
            return explain(started.error(), "cannot recover " + block_path(number));
        }
        if (Clock::now() > deadline) {
            const auto info = control.device_info(number);
            return Failure(Errc::busy, fmt::format("{} still belongs to process {}; end that first",
                                                   block_path(number),
                                                   info.has_value() ? info->server_pid : -1));
        }
        std::this_thread::sleep_for(kPoll);
    }
}

// That the device which waits in the kernel is the volume that shall serve it.
Outcome<std::uint64_t> check_same(const Control& control, const DeviceInfo& info,
                                  const dev::DeviceLimits& limits, const TargetOptions& options) {
    const std::string path = block_path(info.number);
    if (info.server_flags != options.volume.low_bits()) {
        return Failure(Errc::invalid_argument, path + " belongs to another volume");
    }
    if (info.state == DeviceState::dead || (info.flags & uapi::kFeatureUserRecoveryReissue) == 0) {
        return Failure(Errc::unsupported, path + " cannot be recovered; delete it");
    }
    const auto params = control.get_params(info.number);
    if (!params.has_value()) return explain(params.error(), "cannot look at " + path);
    const std::uint64_t size_bytes = params->basic.device_sectors * uapi::kSectorBytes;
    const std::uint32_t block_bytes = 1u << params->basic.logical_block_shift;
    if (size_bytes > limits.size_bytes || block_bytes != limits.logical_block_bytes) {
        return Failure(
            Errc::invalid_argument,
            fmt::format("{} has {} bytes in blocks of {}, its volume {} in blocks of {}", path,
                        size_bytes, block_bytes, limits.size_bytes, limits.logical_block_bytes));
    }
    return size_bytes;
}

}  // namespace

void CharDevice::close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Outcome<ReadyDevice> add_device(const dev::DeviceLimits& limits, const TargetOptions& options) {
    XSAN_TRY(const uapi::Params params, compute_params(limits, options));
    XSAN_TRY_VOID(check_kernel());
    XSAN_TRY(const Control control, open_control());
    const auto features = control.features();
    if (!features.has_value()) return explain(features.error(), "cannot ask ublk for its features");

    constexpr std::uint64_t kWanted =
        uapi::kFeatureUserRecovery | uapi::kFeatureUserRecoveryReissue |
        uapi::kFeatureIoctlEncoding | uapi::kFeatureUpdateSize | uapi::kFeatureQuiesce;
    AddRequest request;
    request.number = options.preferred_number;
    request.queues = options.queues;
    request.depth = options.depth;
    request.io_bytes_max = options.io_bytes_max;
    request.flags = *features & kWanted;
    request.server_flags = options.volume.low_bits();
    const auto added = add_with_preference(control, request);
    if (!added.has_value()) return explain(added.error(), "cannot add a ublk device");

    const auto discard = [&control, &added](Failure why) {
        (void)control.delete_device(added->number);
        return why;
    };
    ReadyDevice ready;
    ready.info = *added;
    ready.size_bytes = limits.size_bytes;
    if (const auto set = control.set_params(added->number, params); !set.has_value()) {
        return discard(explain(set.error(), "ublk refuses the parameters of the device"));
    }
    auto file = open_char(added->number);
    if (!file.has_value()) return discard(file.error());
    ready.file = std::move(file).value();
    return ready;
}

Outcome<void> start_device(unsigned number) {
    XSAN_TRY(const Control control, open_control());
    if (const auto started = control.start_device(number, ::getpid()); !started.has_value()) {
        return explain(started.error(), "cannot start " + block_path(number));
    }
    tune_queue(number);
    return wait_until_openable(number);
}

Outcome<ReadyDevice> take_over(unsigned number, const dev::DeviceLimits& limits,
                               const TargetOptions& options) {
    XSAN_TRY_VOID(check_kernel());
    XSAN_TRY(const Control control, open_control());
    const auto info = control.device_info(number);
    if (!info.has_value()) return explain(info.error(), "cannot recover " + block_path(number));
    ReadyDevice ready;
    XSAN_TRY(ready.size_bytes, check_same(control, *info, limits, options));
    XSAN_TRY_VOID(start_recovery(control, number));
    ready.info = *info;
    if (has_scheduler(number)) ready.repetition_window_ns = kRepetitionWindow;
    XSAN_TRY(ready.file, open_char(number));
    return ready;
}

Outcome<void> finish_take_over(unsigned number) {
    XSAN_TRY(const Control control, open_control());
    if (const auto ended = control.end_user_recovery(number, ::getpid()); !ended.has_value()) {
        return explain(ended.error(), "cannot end the recovery of " + block_path(number));
    }
    return {};
}

Outcome<void> stop_unused(unsigned number) {
    XSAN_TRY(const Control control, open_control());
    const auto info = control.device_info(number);
    const bool gone = !info.has_value() && info.error().code == Errc::device_gone;
    if (gone || (info.has_value() && info->state == DeviceState::dead))
        return {};  // somebody else did

    XSAN_TRY(ExclusiveClaim claim, claim_unused(number));
    const bool safe = info.has_value() && (info->flags & uapi::kFeatureSafeStop) != 0;
    // Where the kernel looks for users itself, it counts our claim too; elsewhere the claim keeps
    // others from mounting the device while it stops.
    if (safe) claim.release();
    const auto deadline = Clock::now() + kOpenersWait;
    for (;;) {
        const auto stopped = safe ? control.try_stop_device(number) : control.stop_device(number);
        if (stopped.has_value()) return {};
        if (stopped.error().code != Errc::busy) {
            return explain(stopped.error(), "cannot stop " + block_path(number));
        }
        if (Clock::now() > deadline) {
            return Failure(Errc::busy,
                           block_path(number) + " is open in a program; end that use first");
        }
        std::this_thread::sleep_for(kPoll);
    }
}

Outcome<void> stop_failed(unsigned number) {
    XSAN_TRY(const Control control, open_control());
    if (const auto stopped = control.stop_device(number); !stopped.has_value()) {
        return explain(stopped.error(), "cannot stop " + block_path(number));
    }
    return {};
}

void forget(unsigned number) {
    const auto control = open_control();
    if (!control.has_value()) return;
    const auto deleted = control->delete_device(number);
    if (deleted.has_value() || deleted.error().code == Errc::device_gone) return;
    log(LogLevel::warning, "ublk: {} is stopped, but its number is not free yet: {}",
        block_path(number), std::strerror(deleted.error().os_errno));
}

bool give_back(const DeviceInfo& info) {
    if ((info.flags & uapi::kFeatureQuiesce) == 0) return false;
    const auto control = open_control();
    return control.has_value() && control->quiesce_device(info.number, kQuiesceMs).has_value();
}

Outcome<void> set_device_size(const DeviceInfo& info, std::uint64_t bytes) {
    if ((info.flags & uapi::kFeatureUpdateSize) == 0) {
        return Failure(
            Errc::unsupported,
            fmt::format("this kernel cannot resize {} while it is attached; the new size takes "
                        "effect when it is attached again",
                        block_path(info.number)));
    }
    XSAN_TRY(const Control control, open_control());
    if (const auto set = control.update_size(info.number, bytes); !set.has_value()) {
        return explain(set.error(), "cannot resize " + block_path(info.number));
    }
    return {};
}

}  // namespace xsan::ublk

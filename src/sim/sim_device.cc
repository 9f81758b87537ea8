// A simulated drive: the life of its requests.
#include "sim/sim_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/byte_span.h"
#include "base/units.h"

namespace xsan::sim {
namespace {

using dev::IoKind;
using dev::IoRequest;

constexpr std::byte kReadFailedFill{
    0xDB};  // a failed read leaves garbage, never old data that looks right

bool moves_data(IoKind kind) {
    return kind == IoKind::read || kind == IoKind::write;
}
bool changes_data(IoKind kind) {
    return kind != IoKind::read && kind != IoKind::flush;
}

std::vector<std::byte> gather(const IoRequest& request) {
    std::vector<std::byte> data;
    data.reserve(request.length);
    for (std::uint32_t i = 0; i < request.iov_count; i++) {
        const auto* from = static_cast<const std::byte*>(request.iov[i].iov_base);
        data.insert(data.end(), from, from + request.iov[i].iov_len);
    }
    return data;
}

template <class F>
void each_piece(const IoRequest& request, F f) {
    std::uint64_t offset = 0;
    for (std::uint32_t i = 0; i < request.iov_count; i++) {
        f(offset,
          std::span(static_cast<std::byte*>(request.iov[i].iov_base), request.iov[i].iov_len));
        offset += request.iov[i].iov_len;
    }
}

std::uint32_t atomic_bytes(const SimDeviceOptions& o) {
    return o.atomic_bytes == 0 ? o.block_bytes : o.atomic_bytes;
}

}  // namespace

SimDevice::SimDevice(World& world, const SimDeviceOptions& options)
    : world_(world),
      options_(options),
      media_(options.block_bytes, atomic_bytes(options), options.volatile_cache),
      channels_(options.latency.channels) {
    XSAN_ASSERT(options.size_bytes % options.block_bytes == 0);
    identity_.kind = "sim";
    identity_.serial =
        options.serial.empty() ? fmt::format("sim{}", options.instance) : options.serial;
    identity_.path = "sim:" + identity_.serial;
    identity_.unique_id = identity_.path;
    identity_.model = "xsan simulated drive";
    limits_.size_bytes = options.size_bytes;
    limits_.logical_block_bytes = options.block_bytes;
    limits_.physical_block_bytes = options.block_bytes;
    limits_.atomic_write_bytes = atomic_bytes(options);
    limits_.transfer_bytes_max = options.transfer_bytes_max;
    limits_.buffer_alignment = 1;
    limits_.iov_count_max = 128;
    limits_.volatile_cache = options.volatile_cache;
    limits_.discard = options.discard;
    limits_.discard_zeroes = options.discard && options.discard_zeroes;
    limits_.discard_granularity_bytes = options.discard ? options.block_bytes : 0;
}

SimDevice::~SimDevice() {
    XSAN_ASSERT(active_.empty());
}

void SimDevice::check_contract(const IoRequest& r) const {
    XSAN_ASSERT(r.done != nullptr);
    if (r.kind == IoKind::flush) return;
    XSAN_ASSERT(r.length > 0);
    XSAN_ASSERT(r.offset % options_.block_bytes == 0 && r.length % options_.block_bytes == 0);
    XSAN_ASSERT(r.offset <= options_.size_bytes && r.length <= options_.size_bytes - r.offset);
    if (!moves_data(r.kind)) return;
    XSAN_ASSERT(r.length <= options_.transfer_bytes_max && r.iov_count <= limits_.iov_count_max);
    std::uint64_t bytes = 0;
    for (std::uint32_t i = 0; i < r.iov_count; i++)
        bytes += r.iov[i].iov_len;
    XSAN_ASSERT(bytes == r.length);
}

void SimDevice::count(const IoRequest& request) {
    IoCount& kind = counters_.kinds[static_cast<std::size_t>(request.kind)];
    kind.count++;
    kind.bytes += request.length;
    if (request.fua && changes_data(request.kind)) counters_.fua_writes++;
    counters_.outstanding_max =
        std::max<std::uint64_t>(counters_.outstanding_max, active_.size() + 1);
}

void SimDevice::submit(IoRequest& request) {
    check_contract(request);
    if (on_io) on_io(request.kind, request.offset, request.length);
    count(request);
    world_.trace((std::uint64_t{options_.instance} << 32) |
                 static_cast<std::uint64_t>(request.kind));
    world_.trace(request.offset);
    world_.trace(request.length);
    Op& op = take_op();
    op.request = &request;
    op.reactor = Reactor::current().index();
    start(op);
}

void SimDevice::start(Op& op) {
    const IoRequest& request = *op.request;
    if (!gone_) op.fault = faults_.match(request, world_.choices(), label(Subsystem::fault));
    if (op.fault.has_value() && on_fault) on_fault(op.fault->kind, request);
    if (op.fault.has_value() && op.fault->kind == FaultKind::vanish) {
        vanish();  // takes this request with it
        return;
    }
    if (gone_) {
        op.forced = Errc::device_gone;
    } else if (request.kind == IoKind::discard && !limits_.discard) {
        op.forced = Errc::unsupported;
    } else if (request.kind == IoKind::flush) {
        op.flush_mark = media_.mark();
    } else if (changes_data(request.kind)) {
        begin_write(op);
    }
    TimeNs due = completion_time(request);
    if (op.fault.has_value() && op.fault->kind == FaultKind::slow) due += op.fault->delay;
    if (op.fault.has_value() && op.fault->kind == FaultKind::hold && op.forced == Errc::ok) {
        held_.push_back(&op);
        return;
    }
    op.lane = options_.reorder ? nullptr : this;
    world_.schedule(op, due);
}

void SimDevice::begin_write(Op& op) {
    const IoRequest& request = *op.request;
    // A discard that promises nothing decides at its end what it did.
    if (request.kind == IoKind::discard && !limits_.discard_zeroes) return;
    const bool astray = op.fault.has_value() && op.fault->kind == FaultKind::misdirected;
    std::vector<std::byte> data;
    if (request.kind == IoKind::write) data = gather(request);
    op.write = media_.begin(astray ? op.fault->target_offset : request.offset, request.length,
                            std::move(data));
}

TimeNs SimDevice::completion_time(const IoRequest& request) {
    const LatencyModel& model = options_.latency;
    const ChoiceLabel by = label(Subsystem::device);
    TimeNs service = model.base + model.per_kib * (request.length / kKiB);
    service += world_.choices().below_wide(model.spread + 1, by);
    if (world_.choices().chance(model.tail_percent, by)) service += model.tail;
    TimeNs begin = world_.now();
    TimeNs due = begin + service;
    if (!channels_.empty()) {
        TimeNs& channel = *std::min_element(channels_.begin(), channels_.end());
        begin = std::max(begin, channel);
        due = channel = begin + service;
    }
    if (!options_.reorder) due = last_due_ = std::max(due, last_due_ + 1);
    return due;
}

void SimDevice::finish(Op& op) {
    const Errc code = perform(op);
    IoRequest& request = *op.request;
    world_.trace((std::uint64_t{options_.instance} << 32) | static_cast<std::uint64_t>(code));
    if (code != Errc::ok) counters_.errors++;
    release(op);
    request.complete(Error(code));
}

// Carries the request out, at the moment of its completion.
Errc SimDevice::perform(Op& op) {
    if (op.forced != Errc::ok) {
        if (op.write != nullptr) media_.abandon(op.write);
        return op.forced;
    }
    if (op.fault.has_value() && op.fault->kind == FaultKind::error) return fail(op);
    switch (op.request->kind) {
        case IoKind::read:
            return perform_read(op);
        case IoKind::flush:
            media_.flush(op.flush_mark);
            return Errc::ok;
        case IoKind::discard:
            if (op.write == nullptr) {
                discard_unpromised(*op.request);
                return Errc::ok;
            }
            return end_write(op);
        case IoKind::write:
        case IoKind::write_zeroes:
            return end_write(op);
    }
    XSAN_UNREACHABLE("an IoKind that does not exist");
}

Errc SimDevice::perform_read(const Op& op) {
    const IoRequest& request = *op.request;
    const bool astray = op.fault.has_value() && op.fault->kind == FaultKind::misdirected;
    const std::uint64_t offset = astray ? op.fault->target_offset : request.offset;
    const bool unreadable = touches_latent(offset, request.length);
    if (unreadable && on_fault) on_fault(FaultKind::error, request);
    each_piece(request, [&](std::uint64_t at, std::span<std::byte> to) {
        if (unreadable) {
            std::fill(to.begin(), to.end(), kReadFailedFill);
        } else {
            media_.visible().read(offset + at, to);
        }
    });
    return unreadable ? Errc::media_error : Errc::ok;
}

Errc SimDevice::end_write(Op& op) {
    const IoRequest& request = *op.request;
    if (request.kind == IoKind::write && request.stable_buffer) {
        // Who promised a stable buffer and changed it would have parity that does not fit the data.
        each_piece(request, [&](std::uint64_t at, std::span<const std::byte> now) {
            const auto then = op.write->data().subspan(at, now.size());
            XSAN_ASSERT(same_bytes(now, then));
        });
    }
    if (op.fault.has_value() && op.fault->kind == FaultKind::lost) {
        media_.abandon(op.write);
        return Errc::ok;
    }
    heal_latent(op.write->offset(), request.length);
    media_.complete(op.write, request.fua);
    return Errc::ok;
}

Errc SimDevice::fail(Op& op) {
    const IoRequest& request = *op.request;
    const FaultRule& rule = *op.fault;
    const Errc usual = request.kind == IoKind::read ? Errc::media_error : Errc::io_error;
    if (request.kind == IoKind::read) {
        each_piece(request, [](std::uint64_t, std::span<std::byte> to) {
            std::fill(to.begin(), to.end(), kReadFailedFill);
        });
    }
    if (op.write != nullptr) {
        switch (rule.effect) {
            case FailedEffect::nothing:
                media_.abandon(op.write);
                break;
            case FailedEffect::everything:
                media_.complete(op.write, false);
                break;
            case FailedEffect::torn:
                media_.complete_torn(op.write, world_.choices(), label(Subsystem::fault));
                break;
        }
    }
    return rule.code == Errc::ok ? usual : rule.code;
}

// Deallocated without a promise: each block may read as zeros or as before. What it reads as then
// stays.
void SimDevice::discard_unpromised(const IoRequest& request) {
    const std::uint32_t what = world_.choices().below(3, label(Subsystem::device));
    if (what == 0) return;
    const std::uint64_t step = what == 1 ? request.length : 2 * std::uint64_t{options_.block_bytes};
    for (std::uint64_t at = 0; at < request.length; at += step) {
        const std::uint64_t bytes = what == 1 ? request.length : options_.block_bytes;
        media_.complete(media_.begin(request.offset + at, bytes, {}), request.fua);
    }
}

SimDevice::Op& SimDevice::take_op() {
    if (free_.empty()) {
        ops_.push_back(std::make_unique<Op>());
        free_.push_back(ops_.back().get());
    }
    Op& op = *free_.back();
    free_.pop_back();
    op = Op{};
    op.device = this;
    op.run = [](World::Event& event) {
        Op& self = static_cast<Op&>(event);
        self.device->finish(self);
    };
    op.position = active_.size();
    active_.push_back(&op);
    return op;
}

void SimDevice::release(Op& op) {
    active_[op.position] = active_.back();
    active_[op.position]->position = op.position;
    active_.pop_back();
    free_.push_back(&op);
}

}  // namespace xsan::sim

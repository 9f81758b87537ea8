// A simulated drive, as tests and workloads handle it: faults, power, snapshots.
#include <utility>

#include "base/assert.h"
#include "sim/sim_device.h"

namespace xsan::sim {

void SimDevice::add_latent_error(std::uint64_t offset, std::uint64_t length) {
    XSAN_ASSERT(offset % options_.block_bytes == 0 && length % options_.block_bytes == 0);
    for (std::uint64_t at = offset; at < offset + length; at += options_.block_bytes) {
        latent_.insert(at / options_.block_bytes);
    }
}

bool SimDevice::touches_latent(std::uint64_t offset, std::uint64_t length) const {
    const auto first = latent_.lower_bound(offset / options_.block_bytes);
    return first != latent_.end() && *first * options_.block_bytes < offset + length;
}

void SimDevice::heal_latent(std::uint64_t offset, std::uint64_t length) {
    latent_.erase(latent_.lower_bound(offset / options_.block_bytes),
                  latent_.lower_bound((offset + length) / options_.block_bytes));
}

void SimDevice::release_held() {
    for (Op* op : std::exchange(held_, {}))
        world_.schedule(*op, world_.now());
}

void SimDevice::vanish(const CutOptions& options) {
    power_cut(options, Outstanding::fail);
    gone_ = true;
}

SparseImage SimDevice::cut_image(ChoiceStream& choices, const CutOptions& options) const {
    return media_.cut_image(choices, label(Subsystem::crash), options);
}

void SimDevice::power_cut(const CutOptions& options, Outstanding outstanding) {
    media_.restore(cut_image(world_.choices(), options));
    held_.clear();
    last_due_ = 0;
    for (TimeNs& channel : channels_)
        channel = 0;
    const std::vector<Op*> cut = active_;
    for (Op* op : cut) {
        world_.cancel(*op);
        op->write = nullptr;  // died with the media's list of writes in flight
        if (outstanding == Outstanding::drop) {
            release(*op);
        } else {
            op->forced = Errc::device_gone;
            op->lane = nullptr;
            world_.schedule(*op, world_.now());
        }
    }
}

void SimDevice::restore(SparseImage image) {
    XSAN_ASSERT(active_.empty());
    media_.restore(std::move(image));
}

void SimDevice::peek(std::uint64_t offset, std::span<std::byte> out) const {
    media_.visible().read(offset, out);
}

void SimDevice::poke(std::uint64_t offset, std::span<const std::byte> data) {
    media_.complete(media_.begin(offset, data.size(), {data.begin(), data.end()}), true);
}

}  // namespace xsan::sim

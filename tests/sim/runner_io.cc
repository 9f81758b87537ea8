// Requests of users, and what the model learns from them.
#include <fmt/format.h>

#include <cstring>

#include "base/units.h"
#include "sim/runner.h"
#include "support/volume_io.h"

namespace xsan::simtest {

// Everything happens in two zones of a volume: at its beginning and across the boundary of its first
// two clusters. So requests meet, and what must be read back stays little.
Runner::Target Runner::choose_target(const Op& op) {
    std::vector<std::pair<pool::Volume*, VolumeModel*>> volumes;
    for (auto& [name, model] : model_) {
        if (model.existence != VolumeModel::Existence::present || model.deleting) continue;
        if (pool::Volume* v = bed_->pool->find_volume(name)) volumes.emplace_back(v, &model);
    }
    if (volumes.empty()) return {};
    Target t;
    std::tie(t.volume, t.model) = volumes[op.d % volumes.size()];
    const std::uint64_t size = t.model->size_bytes();
    const std::uint64_t block = t.volume->limits().logical_block_bytes;
    const std::uint64_t stripe = t.volume->scheme().stripe_data_bytes();
    const std::uint64_t strip = t.volume->scheme().strip_bytes;
    const std::uint64_t cluster = t.volume->cluster_bytes();
    if (op.kind == OpKind::discard) {
        const std::uint64_t clusters = std::max<std::uint64_t>(size / cluster, 1);
        t.offset = op.a % clusters * cluster;
        t.length = std::min(cluster, size - t.offset);
        return t;
    }
    const bool second = op.b % 3 == 0 && size >= cluster + stripe;
    const std::uint64_t zone = second ? cluster - std::min(cluster, stripe) : 0;
    const std::uint64_t zone_bytes = std::min(2 * stripe, size - zone);
    switch (op.c % 8) {
        case 3: t.length = (2 + op.b % 3) * block; break;
        case 4: t.length = strip; break;
        case 5: t.length = strip + block; break;
        case 6: t.length = stripe; break;
        case 7: t.length = (1 + op.b % (2 * stripe / block)) * block; break;
        default: t.length = block;
    }
    t.length = std::min(t.length, zone_bytes);
    const std::uint64_t places = (zone_bytes - t.length) / block + 1;
    t.offset = zone + op.a % places * block;
    if (op.c % 8 == 6) t.offset = zone + op.a % (zone_bytes / t.length) * t.length;
    return t;
}

void Runner::start_request(const Op& op) {
    if (bed_->pool == nullptr) return;
    const Target target = choose_target(op);
    if (target.volume == nullptr) return;
    say(op, fmt::format("{} [{}, +{}]{}", target.volume->info().name, target.offset, target.length,
                        op.kind == OpKind::write && op.c % 11 == 0 ? " fua" : ""));
    outstanding_++;
    bed_->world.spawn(request(op, target), op.a % plan_.config.reactors);
}

bool Runner::may_fail(Errc code) const {
    return power_is_off_ || beyond() || code == Errc::no_space;
}

Task<void> Runner::request(Op op, Target target) {
    Errc code = Errc::ok;
    if (op.kind == OpKind::write) code = co_await write(op, target);
    if (op.kind == OpKind::write_zeroes || op.kind == OpKind::discard)
        code = co_await zero(op, target);
    if (op.kind == OpKind::read) code = co_await read(op, target);
    if (op.kind == OpKind::flush) code = co_await flush(target);
    // Given up when a cut and a loss met, and not written since.
    const bool given_up = op.kind == OpKind::read && target.model->is_unreadable(target.range());
    if (code != Errc::ok && !may_fail(code) && !given_up) {
        note("io-error", fmt::format("operation {} ({}): {}", op.id, op_name(op.kind),
                                     errc_name(code)));
    }
    outstanding_--;
}

Task<Errc> Runner::write(const Op& op, Target target) {
    const Range range = target.range();
    const std::uint64_t version = ++versions_made_;
    const std::uint32_t granule = target.model->granule_bytes();
    std::vector<std::byte> data(target.length);
    for (std::uint64_t at = 0; at < data.size(); at += 8) {
        const std::uint64_t word = VolumeModel::word(version, range.first + at / granule);
        std::memcpy(&data[at], &word, 8);
    }
    const bool fua = op.c % 11 == 0;
    const Tick start = target.model->begin_write(range, version);
    const Errc code =
        co_await test::request(*target.volume, dev::IoKind::write, target.offset, data, 0, fua);
    target.model->end_write(range, start, code == Errc::ok, fua);
    co_return code;
}

// A discard takes whole clusters, write-zeroes every byte.
Task<Errc> Runner::zero(const Op& op, Target target) {
    Range range = target.range();
    const bool discards = op.kind == OpKind::discard;
    const std::uint64_t cluster = target.volume->cluster_bytes() / target.model->granule_bytes();
    if (discards && range.count < cluster) range.count = 0;
    const Tick start =
        discards ? target.model->begin_zero(range) : target.model->begin_write(range, 0);
    const auto kind = discards ? dev::IoKind::discard : dev::IoKind::write_zeroes;
    const Errc code =
        co_await test::request(*target.volume, kind, target.offset, {}, target.length, false);
    target.model->end_write(range, start, code == Errc::ok, false);
    co_return code;
}

Task<Errc> Runner::read(const Op&, Target target) {
    const Range range = target.range();
    const std::uint32_t granule = target.model->granule_bytes();
    std::vector<std::byte> data(target.length, std::byte{0xEE});
    const Tick start = target.model->begin_read();
    const Errc code =
        co_await test::request(*target.volume, dev::IoKind::read, target.offset, data, 0);
    for (std::uint64_t i = 0; i < range.count && code == Errc::ok; i++) {
        std::uint64_t word = 0;
        std::memcpy(&word, &data[i * granule], 8);
        // A write in flight may be seen in part, by sectors; after its answer no longer.
        if (!target.model->allows(range.first + i, word, start)) {
            note("read-your-writes", target.model->describe(range.first + i, word));
            break;
        }
    }
    target.model->end_read(start);
    co_return code;
}

Task<Errc> Runner::flush(Target target) {
    const Tick start = target.model->begin_flush();
    const Errc code = co_await test::request(*target.volume, dev::IoKind::flush, 0, {}, 0);
    if (code == Errc::ok) target.model->end_flush(start);
    co_return code;
}

}  // namespace xsan::simtest

// Making a pool: sizes, members, first metadata.
#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "base/units.h"
#include "meta/layout.h"
#include "pool/pool.h"
#include "pool/volume.h"
#include "wl/registry.h"

namespace xsan::pool {
namespace {

constexpr std::uint64_t kExtentMin = kMiB;
constexpr std::uint64_t kGroupDataMax = kGiB;
constexpr std::uint64_t kGrowth = 4;

// The smallest power of two from 1 MiB up with at most the default number of extents in the pool, but never
// so large that a group holds over 1 GiB of data.
std::uint64_t choose_extent_bytes(std::span<const NewDevice> devices, const ec::Scheme& scheme) {
    std::uint64_t total = 0;
    for (const NewDevice& d : devices) total += d.device->limits().size_bytes;
    const std::uint64_t wanted =
        std::bit_ceil(std::max(divide_up(total, meta::kExtentsDefault), kExtentMin));
    const std::uint64_t most = std::bit_floor(kGroupDataMax / scheme.data_strips);
    return std::max<std::uint64_t>(std::min(wanted, most), scheme.strip_bytes);
}

// The growth limit, which is fixed and sizes the metadata of every member: four times what there is.
std::uint32_t choose_extents_max(std::uint64_t extents) {
    const std::uint64_t wanted = std::bit_ceil(extents * kGrowth);
    return static_cast<std::uint32_t>(
        std::clamp<std::uint64_t>(wanted, meta::kExtentsDefault, meta::kExtentsMax));
}

Outcome<void> check_options(const CreateOptions& options, std::span<const NewDevice> devices) {
    const std::uint64_t extent = options.extent_bytes;
    if (extent != 0 && (!std::has_single_bit(extent) || extent < kExtentMin || extent > kGroupDataMax)) {
        return Failure(Errc::invalid_argument,
                       fmt::format("an extent of {} is not a power of two from 1M to 1G", format_size(extent)));
    }
    if (extent * options.scheme.data_strips > kGroupDataMax && extent > kExtentMin) {
        return Failure(Errc::invalid_argument,
                       fmt::format("with extents of {} a group of {} would hold more than 1G of data: choose "
                                   "a smaller --extent",
                                   format_size(extent), options.scheme.name()));
    }
    const auto holding =
        std::count_if(devices.begin(), devices.end(), [](const NewDevice& d) { return !d.spare; });
    if (holding < static_cast<long>(options.scheme.members_min())) {
        return Failure(Errc::invalid_argument,
                       fmt::format("scheme {} needs at least {} drives, {} given", options.scheme.name(),
                                   options.scheme.members_min(), holding));
    }
    if (devices.size() > kMembersMax) {
        return Failure(Errc::invalid_argument, fmt::format("a pool has at most {} drives", kMembersMax));
    }
    return {};
}

// They are fixed for ever: room to grow, and no more than the tables can have.
Outcome<std::uint32_t> choose_limit(const CreateOptions& options, std::span<const NewDevice> devices) {
    std::uint64_t extents = 0;
    for (const NewDevice& d : devices) extents += d.device->limits().size_bytes / options.extent_bytes;
    if (extents > meta::kExtentsMax) {
        return Failure(Errc::invalid_argument,
                       fmt::format("with extents of {} these drives would have {} of them, at most {} are "
                                   "possible: choose a larger --extent",
                                   format_size(options.extent_bytes), extents, meta::kExtentsMax));
    }
    if (options.extents_max == 0) return choose_extents_max(extents);
    if (options.extents_max >= extents && options.extents_max <= meta::kExtentsMax) {
        return options.extents_max;
    }
    return Failure(Errc::invalid_argument,
                   fmt::format("a growth limit of {} extents is not possible: these drives have {}, and at most "
                               "{} are possible",
                               options.extents_max, extents, meta::kExtentsMax));
}

}  // namespace

// The member record of a device that joins; the device is named when it is too small.
Outcome<meta::Member> make_member(const NewDevice& device, meta::LayoutInput sizes, Rng& rng) {
    const auto& limits = device.device->limits();
    const auto& identity = device.device->identity();
    sizes.device_bytes = limits.size_bytes;
    auto layout = meta::member_layout(sizes);
    if (!layout) {
        return Failure(layout.error().code, fmt::format("{}: {}", identity.path, layout.error().message));
    }
    for (const auto* text : {&identity.path, &identity.model, &identity.serial, &device.domain}) {
        if (text->size() <= meta::kTextBytesMax) continue;
        return Failure(Errc::invalid_argument, fmt::format("{}: '{}' is longer than {} bytes", identity.path, *text,
                                                           meta::kTextBytesMax));
    }
    meta::Member member;
    member.uuid = Uuid::random(rng);
    member.spare = device.spare;
    member.layout = *layout;
    member.path = identity.path;
    member.model = identity.model;
    member.serial = identity.serial;
    member.domain = device.domain;
    return member;
}

Pool::Pool(Environment environment) : environment_(std::move(environment)), rng_(environment_.seed) {}

Task<Outcome<std::unique_ptr<Pool>>> Pool::create(Environment environment, CreateOptions options,
                                                  std::vector<NewDevice>& devices) {
    XSAN_CO_CHECK_VOID(check_options(options, devices));
    if (options.extent_bytes == 0) options.extent_bytes = choose_extent_bytes(devices, options.scheme);
    auto pool = std::unique_ptr<Pool>(new Pool(std::move(environment)));

    meta::Record first;
    first.kind = meta::RecordKind::pool_set;
    first.pool.uuid = Uuid::random(pool->rng_);
    first.pool.name = options.name;
    first.pool.consistency = options.consistency;
    first.pool.extent_bytes = options.extent_bytes;
    XSAN_CO_CHECK(first.pool.extents_max, choose_limit(options, devices));
    const meta::LayoutInput sizes{0, options.extent_bytes, first.pool.extents_max,
                                  options.metadata_log_bytes, options.stripe_log_bytes};

    std::vector<meta::Record> records;
    records.push_back(std::move(first));
    std::vector<meta::Store::NewMember> members;
    for (std::size_t i = 0; i < devices.size(); i++) {
        meta::Record record;
        record.kind = meta::RecordKind::member_set;
        record.member_index = MemberIndex{static_cast<std::uint16_t>(i)};
        XSAN_CO_CHECK(record.member, make_member(devices[i], sizes, pool->rng_));
        members.push_back({record.member_index, devices[i].device.get()});
        records.push_back(std::move(record));
    }
    if (options.volume) {
        std::vector<const meta::Member*> table;
        for (const meta::Record& record : records) {
            if (record.kind == meta::RecordKind::member_set) table.push_back(&record.member);
        }
        XSAN_CO_CHECK_VOID(check_first_volume(*options.volume, devices, table, options.extent_bytes));
    }
    meta::Record scheme;
    scheme.kind = meta::RecordKind::scheme_set;
    scheme.scheme_id = SchemeId{0};
    scheme.scheme = options.scheme;
    records.push_back(std::move(scheme));

    const Uuid lineage = Uuid::random(pool->rng_);
    XSAN_CO_TRY(pool->store_,
                meta::Store::create(std::move(records), std::move(members), lineage));
    pool->open_members();
    for (std::size_t i = 0; i < devices.size(); i++) {
        const MemberIndex index{static_cast<std::uint16_t>(i)};
        pool->members_.attach(index, std::move(devices[i].device),
                              pool->state().members()[i]->layout);
        pool->members_.set_live(index, true);
    }
    pool->start_running();
    auto opened = co_await pool->open_log();
    if (!opened) {
        const auto destroyed = co_await pool->destroy();
        static_cast<void>(destroyed);
        co_return opened.error();
    }
    if (pool->wear_ != nullptr) co_await pool->wear_->load(true);
    pool->start_jobs();
    co_return pool;
}

}  // namespace xsan::pool

// Requests of a volume: cut by cluster, mapped, handed to the engine.
#include "pool/volume.h"

#include <algorithm>
#include <cstring>

#include "base/units.h"

namespace xsan::pool {
namespace {

// The memory of a request as one range: as it is when it has one piece, else through a bounce buffer.
class Flat {
  public:
    explicit Flat(const dev::IoRequest& request) : request_(request) {
        if (request.iov_count == 1) {
            data_ = static_cast<std::byte*>(request.iov[0].iov_base);
            return;
        }
        bounce_ = dev::AlignedBuffer(request.length);
        data_ = bounce_.data();
        if (request.kind != dev::IoKind::write) return;
        std::byte* to = data_;
        for (std::uint32_t i = 0; i < request.iov_count; i++) {
            std::memcpy(to, request.iov[i].iov_base, request.iov[i].iov_len);
            to += request.iov[i].iov_len;
        }
    }
    std::byte* data() { return data_; }
    bool copied() const { return bounce_.size() != 0; }
    void scatter() const {
        if (!copied()) return;
        const std::byte* from = data_;
        for (std::uint32_t i = 0; i < request_.iov_count; i++) {
            std::memcpy(request_.iov[i].iov_base, from, request_.iov[i].iov_len);
            from += request_.iov[i].iov_len;
        }
    }

  private:
    const dev::IoRequest& request_;
    dev::AlignedBuffer bounce_;
    std::byte* data_ = nullptr;
};

Result<void> first_error(std::span<Task<Result<void>>> tasks) {
    Result<void> result;
    for (auto& task : tasks) {
        const auto one = task.take();
        if (!one) result = one;
    }
    return result;
}

}  // namespace

Volume::Volume(Pool& pool, meta::VolumeId id, unsigned reactors) : pool_(pool), id_(id) {
    const meta::Volume& stored = pool.state().volumes().at(id);
    map_ = stored.map.get();
    cluster_bytes_ = stored.info.cluster_bytes;
    identity_.kind = "volume";
    identity_.path = pool.name() + "/" + stored.info.name;
    identity_.serial = stored.info.uuid.to_string();
    limits_.logical_block_bytes = stored.info.block_bytes;
    limits_.physical_block_bytes = std::max<std::uint32_t>(stored.info.block_bytes, 4096);
    limits_.atomic_write_bytes = stored.info.block_bytes;
    limits_.volatile_cache = true;
    limits_.discard = true;
    limits_.discard_zeroes = true;
    limits_.discard_granularity_bytes = cluster_bytes_;
    for (unsigned i = 0; i < reactors; i++) tasks_.push_back(std::make_unique<TaskGroup>());
    refresh();
}

Volume::~Volume() = default;

const meta::VolumeInfo& Volume::info() const { return pool_.state().volumes().at(id_).info; }
const ec::Scheme& Volume::scheme() const { return *pool_.state().schemes()[info().scheme.get()]; }
std::uint64_t Volume::mapped_bytes() const { return map_->mapped() * cluster_bytes_; }

void Volume::refresh() {
    const std::uint64_t size = info().size_bytes;
    limits_.size_bytes = size;
    size_bytes_.store(size, std::memory_order_release);
}

void Volume::submit(dev::IoRequest& request) {
    tasks_[Reactor::current().index()]->spawn(serve(request));
}

Task<void> Volume::drain() { co_await tasks_[Reactor::current().index()]->join(); }

template <class Fn>
void Volume::for_each_cluster(std::uint64_t offset, std::uint64_t length, Fn&& fn) const {
    std::uint64_t done = 0;
    while (done < length) {
        const std::uint64_t at = offset + done;
        const std::uint64_t inside = at % cluster_bytes_;
        const std::uint64_t part = std::min<std::uint64_t>(length - done, cluster_bytes_ - inside);
        fn(Span{ClusterIndex{at / cluster_bytes_}, inside, part, done});
        done += part;
    }
}

raid::GroupRange Volume::place(meta::MapEntry entry, const Span& span) const {
    return {entry.group(), std::uint64_t{entry.place()} * cluster_bytes_ + span.offset, span.length};
}

Task<void> Volume::serve(dev::IoRequest& request) {
    bool waited = false;
    const auto result = co_await serve_checked(request, waited);
    // Never answered inside submit(); an error may have been found without waiting for anything.
    if (!waited || !result) co_await yield();
    request.complete(result.error());
}

Task<Result<void>> Volume::serve_checked(dev::IoRequest& request, bool& waited) {
    const std::uint64_t size = size_bytes_.load(std::memory_order_acquire);
    const std::uint64_t block = limits_.logical_block_bytes;
    if (request.kind != dev::IoKind::flush &&
        (request.offset % block != 0 || request.length % block != 0 || request.offset > size ||
         request.length > size - request.offset)) {
        co_return Error{Errc::invalid_argument};
    }
    raid::WriteFlags flags{request.fua, request.stable_buffer, request.reissued};
    Quiescence& quiescence = pool_.engine().quiescence();
    Result<void> result = Error{Errc::unsupported};
    switch (request.kind) {
        case dev::IoKind::read: {
            Flat flat(request);
            Quiescence::Scope scope(quiescence);
            result = co_await read(request.offset, request.length, flat.data(), waited);
            if (result) flat.scatter();
            break;
        }
        case dev::IoKind::write: {
            Flat flat(request);
            flags.stable_buffer |= flat.copied();
            waited = true;
            for (;;) {
                {
                    Quiescence::Scope scope(quiescence);
                    result = co_await write(request.offset, request.length, flat.data(), flags);
                }
                if (result.error().code != Errc::busy) break;
                co_await pool_.wait_for_unmapping();
            }
            break;
        }
        case dev::IoKind::flush: {
            Quiescence::Scope scope(quiescence);
            result = co_await pool_.engine().flush();
            break;
        }
        case dev::IoKind::write_zeroes:
            result = co_await zero(request.offset, request.length, flags, request.keep_space);
            break;
        case dev::IoKind::discard:
            result = co_await discard(request.offset, request.length);
            break;
    }
    co_return result;
}

Task<Result<void>> Volume::read(std::uint64_t offset, std::uint64_t length, std::byte* out,
                                bool& waited) {
    // One cluster is the common case and needs no list.
    if (offset % cluster_bytes_ + length <= cluster_bytes_) {
        const Span span{ClusterIndex{offset / cluster_bytes_}, offset % cluster_bytes_, length, 0};
        const meta::MapEntry entry = map_->get(span.cluster);
        if (!entry.is_mapped()) {
            std::memset(out, 0, length);
            co_return Result<void>{};
        }
        waited = true;
        co_return co_await read_span(entry, span, out);
    }
    std::vector<Task<Result<void>>> reads;
    for_each_cluster(offset, length, [&](const Span& span) {
        const meta::MapEntry entry = map_->get(span.cluster);
        if (entry.is_mapped()) {
            reads.push_back(read_span(entry, span, out + span.buffer_offset));
        } else {
            std::memset(out + span.buffer_offset, 0, span.length);
        }
    });
    waited = !reads.empty();
    co_await when_all(std::span(reads));
    co_return first_error(reads);
}

Task<Result<void>> Volume::read_span(meta::MapEntry entry, Span span, std::byte* out) {
    const raid::GroupRange range = place(entry, span);
    if (pool_.groups().flag(range.group, GroupTable::kHasBad)) {
        XSAN_CO_TRY_VOID(pool_.check_bad(range));
    }
    const auto result = co_await pool_.engine().read(range, out);
    // What was read may be the zeros that took the place of data which was given up meanwhile.
    if (result && pool_.groups().flag(range.group, GroupTable::kHasBad)) {
        XSAN_CO_TRY_VOID(pool_.check_bad(range));
    }
    co_return result;
}

Task<Result<void>> Volume::write(std::uint64_t offset, std::uint64_t length, const std::byte* data,
                                 raid::WriteFlags flags) {
    if (offset % cluster_bytes_ + length <= cluster_bytes_) {
        const Span span{ClusterIndex{offset / cluster_bytes_}, offset % cluster_bytes_, length, 0};
        co_return co_await write_span(span, data, flags);
    }
    std::vector<Task<Result<void>>> writes;
    for_each_cluster(offset, length, [&](const Span& span) {
        writes.push_back(write_span(span, data, flags));
    });
    co_await when_all(std::span(writes));
    co_return first_error(writes);
}

Task<Result<void>> Volume::write_span(Span span, const std::byte* data, raid::WriteFlags flags) {
    meta::MapEntry entry = map_->get(span.cluster);
    if (!entry.is_mapped() || pool_.groups().flag(entry.group(), GroupTable::kUnmapping)) {
        XSAN_CO_TRY(entry, pool_.map_cluster(id_, span.cluster));
    }
    if (pool_.needs_mark(entry.group())) XSAN_CO_TRY_VOID(pool_.mark_dirty(entry.group()));
    pool_.groups().set_flag(entry.group(), GroupTable::kTouched, true);
    const raid::GroupRange range = place(entry, span);
    const std::byte* from = data == nullptr ? nullptr : data + span.buffer_offset;
    co_return co_await pool_.engine().write(range, from, flags);
}

// Whole clusters are unmapped, which makes them zero; the rest of a mapped cluster is written. Where space is
// to be kept all that is mapped is written. What is unmapped is zero and stays so.
// No token is held here: unmapping waits for everybody who holds one.
Task<Result<void>> Volume::zero(std::uint64_t offset, std::uint64_t length, raid::WriteFlags flags,
                                bool keep_space) {
    Result<void> result;
    if (!keep_space) result = co_await discard(offset, length);
    std::vector<Span> spans;
    for_each_cluster(offset, length, [&](const Span& span) {
        if (keep_space || span.length < cluster_bytes_) spans.push_back(span);
    });
    for (std::size_t i = 0; i < spans.size();) {
        Result<void> one;
        {
            Quiescence::Scope scope(pool_.engine().quiescence());
            const bool mapped = map_->get(spans[i].cluster).is_mapped();
            if (mapped) one = co_await write_span(spans[i], nullptr, flags);
        }
        if (one.error().code == Errc::busy) {
            co_await pool_.wait_for_unmapping();
            continue;
        }
        if (!one) result = one;
        i++;
    }
    co_return result;
}

// Granularity is the cluster; smaller parts are left as they are, which a discard may do.
Task<Result<void>> Volume::discard(std::uint64_t offset, std::uint64_t length) {
    std::vector<ClusterIndex> clusters;
    for (std::uint64_t at = round_up(offset, cluster_bytes_); at + cluster_bytes_ <= offset + length;
         at += cluster_bytes_) {
        const ClusterIndex cluster{at / cluster_bytes_};
        if (map_->get(cluster).is_mapped()) clusters.push_back(cluster);
    }
    if (clusters.empty()) co_return Result<void>{};
    co_return co_await pool_.unmap_clusters(id_, clusters);
}

}  // namespace xsan::pool

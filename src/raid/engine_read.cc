// The read path: straight to the strips where all are present; under the interlock where something
// is lost or could not be read.
#include <algorithm>

#include "raid/engine.h"
#include "reactor/task_group.h"

namespace xsan::raid {

Task<Result<void>> Engine::read(GroupRange range, std::byte* out) {
    const GroupRow* row = map_.row(range.group);
    if (row == nullptr) co_return Error{Errc::not_found};
    const ec::Scheme& scheme = map_.codec(row->scheme()).scheme();

    StripIoList direct;
    dev::IoBatch batch;
    std::vector<Task<Result<void>>>
        slow;  // stays empty, and so allocates nothing, while nothing is lost
    for_each_stripe(scheme, range.offset, range.length, [&](const StripePart& part) {
        const std::size_t first = direct.size();
        bool all_present = true;
        for_each_piece(scheme, part, [&](const Piece& piece) {
            const StripPlace place = locate(map_, *row, scheme, part.stripe, piece.strip);
            if (place.device == nullptr) all_present = false;
            if (!all_present) return;
            StripIo& io = direct.add();
            io.request = {};
            io.place = place;
            io.request.offset = place.offset + piece.begin;
            io.request.set_buffer(out + piece.buffer_offset, piece.length());
        });
        if (all_present) return;
        direct.truncate(first);
        slow.push_back(read_stripe(range.group, part, out));
    });
    for (std::size_t i = 0; i < direct.size(); i++) {
        batch.submit(*direct[i].place.device, direct[i].request);
    }
    if (!slow.empty()) co_await when_all(std::span(slow));
    co_await batch.wait();

    bool any_failed = false;
    const unsigned reactor = Reactor::current().index();
    for (std::size_t i = 0; i < direct.size(); i++) {
        if (direct[i].request.error.is_ok()) {
            traffic_.count_read(reactor, direct[i].place.member, direct[i].request.length);
        } else {
            any_failed = true;
        }
    }
    Result<void> result;
    for (auto& task : slow) {
        const auto one = task.take();
        if (!one) result = one;
    }
    if (result) group_traffic_.count_read(reactor, range.group, range.length);
    if (!any_failed) co_return result;

    // The slow path reads the failed stripes' parts again, and heals.
    std::vector<Task<Result<void>>> again;
    std::size_t next = 0;
    for_each_stripe(scheme, range.offset, range.length, [&](const StripePart& part) {
        bool failed = false;
        const std::byte* end = out + part.buffer_offset + part.length;
        while (next < direct.size() && direct[next].request.single.iov_base < end) {
            failed |= !direct[next++].request.error.is_ok();
        }
        if (failed) again.push_back(read_stripe(range.group, part, out));
    });
    co_await when_all(std::span(again));
    for (auto& task : again) {
        const auto one = task.take();
        if (!one) result = one;
    }
    co_return result;
}

Task<Result<void>> Engine::read_stripe(GroupIndex group, StripePart part, std::byte* out) {
    co_await gate_.acquire(group.get(), KeyedLock::Mode::shared);
    KeyedLock::Guard gate(gate_, group.get(), KeyedLock::Mode::shared);
    const std::uint64_t stripe_key = key(group, part.stripe);
    co_await interlock_.acquire(stripe_key, KeyedLock::Mode::exclusive);
    KeyedLock::Guard interlock(interlock_, stripe_key, KeyedLock::Mode::exclusive);
    co_return co_await read_stripe_locked(group, part, out);
}

Task<Result<void>> Engine::read_stripe_locked(GroupIndex group, StripePart part, std::byte* out) {
    const GroupRow* row = map_.row(group);
    if (row == nullptr) co_return Error{Errc::not_found};
    const ec::Scheme& scheme = map_.codec(row->scheme()).scheme();
    const PartRows wants(scheme, part);
    StripeOp op(context(), *row, movers_.find(group), group, part.stripe, wants.hull());
    here().degraded_reads++;

    // Strips that are wanted over all rows are read in place, the others through the operation's
    // memory.
    const auto wanted_whole = [&](const Piece& piece) {
        return piece.begin == op.rows().begin && piece.end == op.rows().end;
    };
    for_each_piece(scheme, part, [&](const Piece& piece) {
        if (wanted_whole(piece)) op.lend(piece.strip, out + piece.buffer_offset);
    });
    const auto loaded = co_await op.load(wants.ranges());
    if (!loaded) co_return loaded;
    for_each_piece(scheme, part, [&](const Piece& piece) {
        if (wanted_whole(piece)) return;
        std::copy_n(op.at(piece.strip, piece.begin), piece.length(), out + piece.buffer_offset);
    });
    co_return loaded;
}

}  // namespace xsan::raid

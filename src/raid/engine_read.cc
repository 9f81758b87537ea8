// The read path: straight to the strips where all are present; under the interlock where something is lost
// or could not be read.
#include <algorithm>

#include "raid/engine.h"
#include "reactor/task_group.h"

namespace xsan::raid {
namespace {

constexpr ec::StripMask bit(unsigned strip) { return ec::strip_bit(ec::StripIndex{strip}); }

// The rows that a part of a stripe touches on any strip.
Rows hull_of(const ec::Scheme& scheme, const StripePart& part) {
    Rows hull{scheme.strip_bytes, 0};
    for_each_piece(scheme, part, [&](const Piece& piece) {
        hull.begin = std::min(hull.begin, piece.begin);
        hull.end = std::max(hull.end, piece.end);
    });
    return hull;
}

}  // namespace

Task<Result<void>> Engine::read(GroupRange range, std::byte* out) {
    const GroupRow* row = map_.row(range.group);
    if (row == nullptr) co_return Error{Errc::not_found};
    const ec::Scheme& scheme = map_.codec(row->scheme()).scheme();

    StripIoList direct;
    dev::IoBatch batch;
    std::vector<StripePart> slow;  // stays empty, and so allocates nothing, while nothing is lost
    for_each_stripe(scheme, range.offset, range.length, [&](const StripePart& part) {
        const std::size_t first = direct.size();
        bool all_present = true;
        for_each_piece(scheme, part, [&](const Piece& piece) {
            const StripPlace place = locate(map_, *row, scheme, part.stripe, piece.strip);
            if (place.device == nullptr) all_present = false;
            if (!all_present) return;
            StripIo& io = direct.add();
            io.request = {};
            io.strip = part.stripe.get();
            io.place = place;
            io.request.offset = place.offset + piece.begin;
            io.request.set_buffer(out + piece.buffer_offset, piece.length());
        });
        if (!all_present) {
            direct.truncate(first);
            slow.push_back(part);
        }
    });
    for (std::size_t i = 0; i < direct.size(); i++) {
        batch.submit(*direct[i].place.device, direct[i].request);
    }
    Result<void> result;
    for (const StripePart& part : slow) {
        const auto one = co_await read_stripe(range.group, part, out);
        if (!one) result = one;
    }
    co_await batch.wait();
    std::uint32_t failed_stripe = UINT32_MAX;
    for (std::size_t i = 0; i < direct.size(); i++) {
        if (direct[i].request.error.is_ok()) {
            traffic_.count_read(direct[i].place.member, direct[i].request.length);
        } else if (direct[i].strip != failed_stripe) {
            // Once per stripe: the slow path reads all of the request's part of it again and heals.
            failed_stripe = direct[i].strip;
            StripePart part;
            for_each_stripe(scheme, range.offset, range.length, [&](const StripePart& p) {
                if (p.stripe.get() == failed_stripe) part = p;
            });
            const auto one = co_await read_stripe(range.group, part, out);
            if (!one) result = one;
        }
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
    StripeOp op(context(), *row, movers_.find(group), group, part.stripe, hull_of(scheme, part));
    here().counters.degraded_reads++;

    ec::StripMask wanted = 0;
    std::vector<Piece> copies;
    for_each_piece(scheme, part, [&](const Piece& piece) {
        wanted |= bit(piece.strip);
        if (piece.begin == op.rows().begin && piece.end == op.rows().end) {
            op.lend(piece.strip, out + piece.buffer_offset);
        } else {
            copies.push_back(piece);
        }
    });
    const auto loaded = co_await op.load(wanted);
    if (!loaded) co_return loaded;
    for (const Piece& piece : copies) {
        const std::byte* from = op.buffer(piece.strip) + (piece.begin - op.rows().begin);
        std::copy_n(from, piece.length(), out + piece.buffer_offset);
    }
    co_return loaded;
}

}  // namespace xsan::raid

// Appending to the stripe log's rings.
#include "pool/stripe_log.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <mutex>

#include "base/crc32c.h"
#include "base/mutant.h"
#include "base/units.h"

namespace xsan::pool {
namespace {

// Of content, in a batch of several writes: larger ones would make the first wait for the last.
constexpr std::uint64_t kBatchBytesMax = kMiB;

using raid::for_each_strip;

// Checksums of all strips, granule by granule.
std::byte* put_checksums(const raid::LogRecord& record, std::uint32_t granule, std::byte* to) {
    for (unsigned s = 0; s < record.total_strips; s++) {
        for (std::uint32_t row = record.rows.begin; row < record.rows.end;) {
            const std::uint32_t end = std::min(row / granule * granule + granule, record.rows.end);
            const Le32 crc(crc32c({record.content[s] + (row - record.rows.begin), end - row}));
            std::memcpy(to, &crc, sizeof crc);
            to += sizeof crc;
            row = end;
        }
    }
    return to;
}

}  // namespace

StripeLog::StripeLog(Context context, std::uint64_t seed)
    : context_(std::move(context)), rng_(seed) {
    // As many lanes as the smallest region has room for; several reactors share one where it must
    // be.
    std::uint64_t region = UINT64_MAX;
    for (const auto& member : context_.state.members()) {
        if (member) region = std::min(region, member->layout.stripe_log_bytes);
    }
    auto lanes = static_cast<unsigned>(
        std::min<std::size_t>(context_.reactors.size(), meta::kStripeLogLanesMax));
    while (lanes > 1 && meta::stripe_log_lane_bytes(region, lanes) == 0) lanes--;
    for (unsigned i = 0; i < lanes; i++) {
        lanes_.push_back(std::make_unique<Lane>());
        lanes_.back()->index = i;
        lanes_.back()->reactor = context_.reactors[i];
    }
}

StripeLog::~StripeLog() {
    for (const auto& lane : lanes_) XSAN_ASSERT(lane->oldest == nullptr && !lane->is_running);
}

void StripeLog::use_block(std::uint32_t block_bytes) {
    std::uint32_t seen = granule_bytes_.load(std::memory_order_relaxed);
    while (block_bytes < seen &&
           !granule_bytes_.compare_exchange_weak(seen, block_bytes, std::memory_order_relaxed)) {
    }
}

StripeLog::Counters StripeLog::counters() const {
    return {records_.load(), batches_.load(), bytes_.load(), tails_.load()};
}

Task<Result<void>> StripeLog::append(raid::LogTicket& ticket,
                                     std::span<const raid::LogRecord> records) {
    Lane& lane = *lanes_[Reactor::current().index() % lanes_.size()];
    if (lane.reactor->is_home()) co_return co_await append_on(lane, ticket, records);
    auto there = [&]() { return append_on(lane, ticket, records); };
    co_return co_await call_on(*lane.reactor, there);
}

Task<Result<void>> StripeLog::append_on(Lane& lane, raid::LogTicket& ticket,
                                        std::span<const raid::LogRecord> records) {
    ticket.lane = lane.index;
    {
        // Together, so that advance() never sees the one without the other.
        std::lock_guard guard(lane.lock);
        ticket.sequence = next_sequence_.fetch_add(records.size(), std::memory_order_acq_rel);
        ticket.previous = lane.newest;
        ticket.next = nullptr;
        (lane.newest != nullptr ? lane.newest->next : lane.oldest) = &ticket;
        lane.newest = &ticket;
    }
    Request request;
    request.records = records;
    request.sequence = ticket.sequence;
    lane.queue.push_back(&request);
    if (!lane.is_running) {
        lane.is_running = true;
        lane.tasks.spawn(run(lane));
    }
    co_await request.done.wait();
    co_return request.result;
}

void StripeLog::retire(raid::LogTicket& ticket) {
    Lane& lane = *lanes_[ticket.lane];
    std::lock_guard guard(lane.lock);
    (ticket.previous != nullptr ? ticket.previous->next : lane.oldest) = ticket.next;
    (ticket.next != nullptr ? ticket.next->previous : lane.newest) = ticket.previous;
}

// Appends what waits, batch after batch. What arrives in one turn of the reactor goes together.
Task<void> StripeLog::run(Lane& lane) {
    while (!lane.queue.empty()) {
        co_await yield();
        std::vector<Outgoing> out;
        std::vector<Request*> requests = take_requests(lane, out);
        const auto room = co_await make_room(lane, out);
        if (room) {
            co_await write_batches(lane, out, requests);
        } else {
            for (Request* request : requests) request->result = room;
        }
        for (Request* request : requests) request->done.set();
    }
    lane.is_running = false;
}

std::vector<StripeLog::Request*> StripeLog::take_requests(Lane& lane, std::vector<Outgoing>& out) {
    std::vector<Request*> taken;
    while (!lane.queue.empty() && add_request(lane, *lane.queue.front(), out)) {
        taken.push_back(lane.queue.front());
        lane.queue.pop_front();
    }
    XSAN_ASSERT(!taken.empty());
    return taken;
}

// False, and nothing is changed, when a batch would become too large.
bool StripeLog::add_request(Lane& lane, const Request& request, std::vector<Outgoing>& out) const {
    const std::uint32_t granule = granule_bytes();
    const std::uint64_t batch_max = std::min<std::uint64_t>(append_bytes_max(), kBatchBytesMax);
    const auto find = [&](MemberIndex member) {
        return std::find_if(out.begin(), out.end(), [&](auto& o) { return o.member == member; });
    };
    std::map<MemberIndex, std::uint64_t> more;
    for (const raid::LogRecord& record : request.records) {
        const std::uint64_t bytes = raid::log_content_bytes(record.kind, record.rows, record.touched,
                                                            record.total_strips, granule);
        for_each_strip(record.holders, [&](unsigned s) { more[record.member[s]] += bytes; });
    }
    for (const auto& [member, bytes] : more) {
        const auto at = find(member);
        if (at != out.end() && (at->content_bytes + bytes > batch_max ||
                                at->descriptors.size() + request.records.size() > 62)) {
            return false;
        }
    }
    std::uint64_t sequence = request.sequence;
    for (const raid::LogRecord& record : request.records) {
        meta::StripeLogDescriptor descriptor;
        descriptor.sequence = sequence++;
        descriptor.touched = record.touched;
        descriptor.group = record.group;
        descriptor.generation = record.generation;
        descriptor.stripe = record.stripe;
        descriptor.row_begin = record.rows.begin;
        descriptor.row_end = record.rows.end;
        descriptor.kind = static_cast<std::uint8_t>(record.kind);
        descriptor.granule_bytes = static_cast<std::uint16_t>(granule);
        descriptor.content_bytes = static_cast<std::uint32_t>(raid::log_content_bytes(
            record.kind, record.rows, record.touched, record.total_strips, granule));
        for_each_strip(record.holders, [&](unsigned s) {
            auto at = find(record.member[s]);
            if (at == out.end()) {
                out.emplace_back();
                at = out.end() - 1;
                at->member = record.member[s];
                at->device = record.device[s];
                std::lock_guard guard(lane.lock);
                at->ring = lane.rings.at(record.member[s]).get();
            }
            descriptor.strip = static_cast<std::uint8_t>(s);
            at->descriptors.push_back(descriptor);
            at->records.push_back(&record);
            at->content_bytes += descriptor.content_bytes;
            at->sequence_max = descriptor.sequence;
        });
    }
    return true;
}

// Gives each batch its place; false, and nothing is changed, when a ring has no room.
bool StripeLog::place(Lane& lane, std::vector<Outgoing>& out) {
    std::unique_lock guard(lane.lock);
    bool is_filling = false;
    for (Outgoing& o : out) {
        const Ring& ring = *o.ring;
        o.position = meta::stripe_log_place(ring.head, o.bytes(), ring.lane_bytes);
        const std::uint64_t tail = mutant(Mutant::tail_room_early) ? ring.next_tail : ring.tail;
        const std::uint64_t used = o.position + o.bytes() - tail;
        is_filling |= used > ring.lane_bytes / 2;
        if (used > ring.lane_bytes) return false;
    }
    for (Outgoing& o : out) {
        o.ring->head = o.position + o.bytes();
        o.ring->batches.push_back({o.position, o.sequence_max});
    }
    guard.unlock();
    if (is_filling && !advance_wanted_.exchange(true)) lane.tasks.spawn(advance_from_lane());
    return true;
}

// Before the rings are full, so that nobody has to wait.
Task<void> StripeLog::advance_from_lane() {
    const auto advanced = co_await advance();
    static_cast<void>(advanced);  // who needs the room asks again, and is told
    advance_wanted_.store(false);
}

Task<Result<void>> StripeLog::make_room(Lane& lane, std::vector<Outgoing>& out) {
    while (!place(lane, out)) {
        XSAN_CO_TRY_VOID(advance());
        // What holds the room is being written in place.
        if (place(lane, out)) break;
        if (kept_from() <= retired_.load(std::memory_order_acquire)) co_return Error{Errc::io_error};
        co_await sleep_for(100 * kMicrosecond);
    }
    co_return Result<void>{};
}

void StripeLog::encode(const Lane& lane, Outgoing& out, Checksums& checksums) {
    const std::uint32_t bytes = out.bytes();
    if (out.ring->buffer.size() < bytes) {
        out.ring->buffer = dev::AlignedBuffer(std::bit_ceil(std::max<std::size_t>(bytes, 65536)));
    }
    std::byte* const start = out.ring->buffer.data();
    std::byte* to = start + meta::stripe_log_header_bytes(out.descriptors.size());
    for (std::size_t i = 0; i < out.descriptors.size(); i++) {
        const raid::LogRecord& record = *out.records[i];
        const auto& descriptor = out.descriptors[i];
        if (record.kind == raid::LogKind::overwrite) {
            // Computed for the first holder, copied for the others.
            const auto [at, is_first] = checksums.try_emplace(&record, to);
            if (is_first) {
                to = put_checksums(record, descriptor.granule_bytes, to);
            } else {
                std::memcpy(to, at->second, descriptor.content_bytes);
                to += descriptor.content_bytes;
            }
        } else if (record.kind == raid::LogKind::payload) {
            const std::size_t length = record.rows.length();
            for_each_strip(record.touched, [&](unsigned s) {
                std::memcpy(to, record.content[s], length);
                to += length;
            });
            std::memcpy(to, record.content[descriptor.strip], length);
            to += length;
        }
    }
    const meta::StripeLogBatchHead head{out.ring->incarnation, out.position,
                                        retired_.load(std::memory_order_acquire), lane.index};
    meta::encode_stripe_log_batch(head, out.descriptors, {start, bytes});
    out.io = {};
    out.io.kind = dev::IoKind::write;
    out.io.offset = out.ring->offset + out.position % out.ring->lane_bytes;
    out.io.fua = !mutant(Mutant::flush_log_append);
    out.io.stable_buffer = true;
    out.io.set_buffer(start, bytes);
}

Task<void> StripeLog::write_batches(Lane& lane, std::vector<Outgoing>& out,
                                    std::vector<Request*>& requests) {
    dev::IoBatch batch;
    Checksums checksums;
    for (Outgoing& o : out) {
        encode(lane, o, checksums);
        batch.submit(*o.device, o.io);
        records_.fetch_add(o.descriptors.size(), std::memory_order_relaxed);
        bytes_.fetch_add(o.bytes(), std::memory_order_relaxed);
    }
    batches_.fetch_add(out.size(), std::memory_order_relaxed);
    co_await batch.wait();
    for (Outgoing& o : out) {
        if (o.io.error.is_ok()) engine_->traffic().count_write(o.member, raid::WriteKind::log, o.bytes());
        if (o.io.error.is_ok() || mutant(Mutant::ack_append_error)) continue;
        const auto recorded = co_await context_.faults.member_failed(o.member, o.io.error);
        if (recorded) continue;
        co_await write_again(lane, o);
        if (o.io.error.is_ok()) continue;
        for (Request* request : requests) {
            for (const raid::LogRecord& record : request->records) {
                for_each_strip(record.holders, [&](unsigned s) {
                    if (record.member[s] == o.member) request->result = Error{Errc::io_error};
                });
            }
        }
    }
}

// The member stays, so its ring must have no hole: what lies behind one is not found at replay.
Task<void> StripeLog::write_again(Lane& lane, Outgoing& out) {
    dev::IoBatch batch;
    batch.submit(*out.device, out.io);
    co_await batch.wait();
    if (out.io.error.is_ok()) {
        engine_->traffic().count_write(out.member, raid::WriteKind::log, out.bytes());
        co_return;
    }
    std::lock_guard guard(lane.lock);
    out.ring->head = out.position;
    if (!out.ring->batches.empty() && out.ring->batches.back().position == out.position) {
        out.ring->batches.pop_back();
    }
}

Task<void> StripeLog::close() {
    for (const auto& lane : lanes_) {
        Lane* const l = lane.get();
        auto join = [l]() { return l->tasks.join(); };
        co_await call_on(*l->reactor, join);
    }
}

}  // namespace xsan::pool

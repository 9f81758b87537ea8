// StripeOp: one operation on one stripe, under its exclusive interlock: reads strips into working
// memory, reconstructs what is lost, heals what cannot be read, writes strips back, and tells the
// fault sink. Degraded reads, writes, scrub, resync and movers are all made of these steps.
//
// An operation works on the rows [begin, end) of the stripe: the same bytes of every strip. Buffers
// hold those rows; buffer(i) points at row `begin` of strip i.
//
// Invariants:
//  - A strip leaves the set of present ones only when its loss is durable (FaultSink) or when it
//  was a mover's
//    target and the mover has failed. Nothing joins the set.
//  - Every loop ends: each turn that repeats has lost a strip, or has healed one for the only time.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "dev/per_reactor.h"
#include "raid/doubt.h"
#include "raid/rows.h"
#include "raid/scratch.h"
#include "raid/stripe_view.h"
#include "raid/traffic.h"
#include "reactor/task.h"

namespace xsan::raid {

// Errors are told apart, and healed, in slices of this many rows.
inline constexpr std::uint32_t kSliceBytes = 4096;

// One device I/O of a stripe operation.
struct StripIo {
    dev::IoRequest request;
    unsigned strip = 0;
    bool second = false;
    StripPlace place;
    Rows rows;
};

// I/Os that are submitted together and awaited once. The first ones need no allocation.
class StripIoList {
  public:
    StripIo& add() {
        if (count_ < inline_.size()) return inline_[count_++];
        if (!more_) more_.emplace();
        count_++;
        return more_->emplace_back();
    }
    std::size_t size() const { return count_; }
    void truncate(std::size_t count) {
        XSAN_ASSERT(count <= count_);
        while (count_ > count && count_ > inline_.size()) {
            more_->pop_back();
            count_--;
        }
        count_ = count;
    }
    StripIo& operator[](std::size_t i) {
        return i < inline_.size() ? inline_[i] : (*more_)[i - inline_.size()];
    }

  private:
    std::array<StripIo, 12> inline_;
    std::optional<std::deque<StripIo>> more_;
    std::size_t count_ = 0;
};

// The large parts of a StripeOp, kept per reactor from one operation to the next.
struct StripeBody {
    StripeView view;
    StripIoList reads;
    StripIoList writes;
    std::array<std::byte*, ec::kStripsMax> buffers{};
    std::array<dev::PoolBuffer, ec::kStripsMax> memory;
    StripeBody* next_free = nullptr;
};
using StripeBodies = dev::OpPool<StripeBody>;

// What a read error means for the blocks that were asked for. Only the drive's own word that they
// cannot be read lets anyone overwrite or give them up; whatever else it answers may pass.
constexpr bool is_media_error(const Error& error) {
    return error.code == Errc::media_error;
}

class StripeOp {
  public:
    struct Context {
        const GroupMap& map;
        FaultSink& faults;
        Traffic& traffic;
        dev::BufferPool& buffers;
        StripeBodies& bodies;
        const DoubtTable& doubts;
    };

    StripeOp(const Context& context, const GroupRow& row, Mover* mover, GroupIndex group,
             StripeIndex stripe, Rows rows);
    StripeOp(const StripeOp&) = delete;
    StripeOp& operator=(const StripeOp&) = delete;
    ~StripeOp();

    const StripeView& view() const { return body_.view; }
    const ec::Codec& codec() const { return *body_.view.codec; }
    const ec::Scheme& scheme() const { return body_.view.scheme(); }
    Rows rows() const { return rows_; }
    // Strips whose members have been lost meanwhile leave the present ones.
    void refresh();
    // Present data strips whose content parity must not be trusted to give, because a write may have
    // been cut off. (For lost ones there is nothing else, and that is the policy's hole.)
    ec::StripMask doubtful() const { return torn_ ? scheme().data_mask() & body_.view.present : 0; }

    // Working memory of a strip; the same pointer each time.
    std::byte* buffer(unsigned strip);
    // The same at a row inside rows().
    std::byte* at(unsigned strip, std::uint32_t row) { return buffer(strip) + (row - rows_.begin); }
    // Of a strip whose buffer is there already.
    const std::byte* at(unsigned strip, std::uint32_t row) const {
        return body_.buffers[strip] + (row - rows_.begin);
    }
    // Uses the caller's memory for all rows of a strip instead; before the first buffer(strip).
    void lend(unsigned strip, std::byte* at_begin) {
        body_.buffers[strip] = at_begin;
        lent_ = true;
    }

    // Makes the rows of all wanted strips available in their buffers: reads the present ones,
    // decodes the lost ones from as few others as possible, never reads anything twice unless an
    // error forces it. Strips that cannot be read are reconstructed slice by slice, rewritten and
    // reported; in an unsettled stripe nothing is reconstructed: io_error. `wants`: at most
    // PartRows::kMax, ascending and disjoint. too_many_failures when strips are lost beyond what the
    // code decodes. When errors of present strips add to that: bad_slices() says where, and all other
    // slices have been provided; media_error when all of these strips said so, io_error when some
    // said something else, which may pass.
    Task<Result<void>> load(std::span<const RowMask> wants);
    const std::vector<Rows>& bad_slices() const { return bad_slices_; }

    struct Io {
        unsigned strip;
        Rows rows;        // a part of rows()
        std::byte* data;  // at row rows.begin
        bool second;      // writes of a doubled strip: the mover's target
    };
    // Reads of present strips for write plans. run_reads() gives false when some of them failed;
    // the failures have been handled (the strip is healed, or counts as lost or unreadable now), so
    // that the caller looks at view() and readable() and plans again.
    void add_read(const Io& io) { add(body_.reads, dev::IoKind::read, io); }
    Task<bool> run_reads();
    // Present strips that may be used as sources: view().present less those that cannot be read
    // here.
    ec::StripMask readable() const { return body_.view.present & ~unreadable_; }

    // The strips of `strips` (present ones) that could be read over the slice, into their buffers.
    // `errors` (by strip) receives what the others answered.
    Task<ec::StripMask> read_slice(Rows slice, ec::StripMask strips, std::span<Error> errors);

    // Writes. A member whose write failed is recorded as lost (durably) before run_writes() returns
    // success. Where it may not be, the write is tried once more; io_error when it fails again, and
    // write_failures() are the places that then have unknown content.
    void add_write(const Io& io, bool fua) {
        add(body_.writes, dev::IoKind::write, io).request.fua = fua;
    }
    // Adds the write of a strip, and of its second place where it has one.
    void add_writes(unsigned strip, Rows rows, std::byte* data, bool fua);
    Task<Result<void>> run_writes();
    const std::vector<RowMask>& write_failures() const { return write_failures_; }

  private:
    enum class ReadOutcome : std::uint8_t { good, changed, media_error };

    StripIo& add(StripIoList& list, dev::IoKind kind, const Io& io);
    Task<void> run(StripIoList& list);
    WriteKind kind_of(const StripIo& io) const;
    void drop(ec::StripMask strip);
    Task<bool> lose_vanished(const StripIo& io);
    Error read_error(ec::StripMask strips, std::span<const Error> errors) const;
    ec::StripMask confirming(ec::StripMask lost, ec::StripMask wanted) const;
    bool confirmed(Rows slice, ec::StripMask lost, ec::StripMask wanted);
    Task<ReadOutcome> load_once(std::span<const RowMask> wants);
    Task<Result<void>> load_slices(std::span<const RowMask> wants);
    Task<Result<void>> load_slices_apart(std::span<const RowMask> wants);
    Task<Result<void>> load_slice(Rows slice, ec::StripMask wanted);
    Task<void> heal(Rows slice, ec::StripMask bad, ec::StripMask have,
                    std::span<const Error> errors);
    Task<bool> rewrite(unsigned strip, Rows slice, Error& verify_error);
    Task<Result<void>> take_write_error(StripIo& io);
    Result<void> decode(Rows rows, ec::StripMask lost, ec::StripMask sources, ec::StripMask wanted);

    Context context_;
    const GroupRow& row_;
    GroupIndex group_;
    StripeIndex stripe_;
    Rows rows_;
    StripeBody& body_;
    ec::StripMask unreadable_ = 0;  // present strips that are not read any more by this operation
    ec::StripMask silent_ = 0;      // those of them that did not say media_error
    bool torn_;                     // parity may disagree with data
    bool unsettled_;                // it does, or may, and what it gives must not be believed
    bool lent_ = false;             // some of the buffers are the caller's
    ec::StripMask healed_ = 0;      // strips that run_reads() has healed; a second error is final
    std::vector<Rows> bad_slices_;
    std::vector<RowMask> write_failures_;
};

}  // namespace xsan::raid

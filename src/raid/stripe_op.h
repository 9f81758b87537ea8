// StripeOp: one operation on one stripe, under its exclusive interlock: reads strips into working memory,
// reconstructs what is lost, heals what cannot be read, writes strips back, and tells the fault sink.
// Degraded reads, writes, scrub, resync and movers are all made of these steps.
//
// An operation works on the rows [begin, end) of the stripe: the same bytes of every strip. Buffers hold
// those rows; buffer(i) points at row `begin` of strip i.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>

#include "raid/scratch.h"
#include "raid/stripe_view.h"
#include "raid/traffic.h"
#include "reactor/task.h"

namespace xsan::raid {

struct Rows {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::uint32_t length() const { return end - begin; }
};

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
        while (more_ && !more_->empty() && count_ > count) {
            more_->pop_back();
            count_--;
        }
        count_ = count;
    }
    StripIo& operator[](std::size_t i) {
        return i < inline_.size() ? inline_[i] : (*more_)[i - inline_.size()];
    }

  private:
    std::array<StripIo, 10> inline_;
    std::optional<std::deque<StripIo>> more_;
    std::size_t count_ = 0;
};

class StripeOp {
  public:
    struct Context {
        const GroupMap& map;
        FaultSink& faults;
        Traffic& traffic;
        dev::BufferPool& buffers;
    };

    StripeOp(const Context& context, const GroupRow& row, Mover* mover, GroupIndex group,
             StripeIndex stripe, Rows rows);
    StripeOp(const StripeOp&) = delete;
    StripeOp& operator=(const StripeOp&) = delete;

    const StripeView& view() const { return view_; }
    const ec::Codec& codec() const { return *view_.codec; }
    const ec::Scheme& scheme() const { return view_.scheme(); }
    Rows rows() const { return rows_; }

    // Working memory of a strip; the same pointer each time.
    std::byte* buffer(unsigned strip);
    // Uses the caller's memory for a strip instead; before the first buffer(strip).
    void lend(unsigned strip, std::byte* at_begin) { buffers_[strip] = at_begin; }

    // Makes the rows of all `wanted` strips available in their buffers: reads the present ones, decodes the
    // lost ones from as few others as possible, never reads a strip twice. A strip that cannot be read is
    // reconstructed, rewritten and reported. too_many_failures or media_error when that is impossible.
    Task<Result<void>> load(ec::StripMask wanted);

    struct Io {
        unsigned strip;
        Rows rows;        // a part of rows()
        std::byte* data;  // at row rows.begin
        bool second;      // writes of a doubled strip: the mover's target
    };
    // Partial reads of present strips for write plans. run_reads() gives false when some of them failed; the
    // failures have been handled as in load() (the strip is healed, or counts as lost now), so that the
    // caller looks at view() and plans again.
    void add_read(const Io& io) { add(reads_, dev::IoKind::read, io); }
    Task<bool> run_reads();
    // Present strips that may be used as sources: view().present less those that cannot be read here.
    ec::StripMask readable() const { return view_.present & ~unreadable_; }

    // Writes. A member whose write failed is recorded as lost (durably) before run_writes() returns
    // success; failure when it may not be.
    void add_write(const Io& io, bool fua) { add(writes_, dev::IoKind::write, io).request.fua = fua; }
    Task<Result<void>> run_writes();

  private:
    StripIo& add(StripIoList& list, dev::IoKind kind, const Io& io);
    Task<void> run(StripIoList& list);
    Task<void> on_read_error(const StripIo& io);
    Task<bool> heal(unsigned strip, Rows rows);

    Context context_;
    const GroupRow& row_;
    GroupIndex group_;
    StripeIndex stripe_;
    Rows rows_;
    StripeView view_;
    Scratch scratch_;
    std::array<std::byte*, ec::kStripsMax> buffers_{};
    ec::StripMask loaded_ = 0;       // strips whose rows are wholly in their buffers
    ec::StripMask unreadable_ = 0;   // present strips whose rows could not be read nor healed
    ec::StripMask healed_ = 0;       // strips that were rewritten once; a second error is final
    StripIoList reads_;
    StripIoList writes_;
};

}  // namespace xsan::raid

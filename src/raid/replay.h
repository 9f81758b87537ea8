// Replay: makes a stripe whole again from what the stripe log holds, after a power cut.
//
// Records of one stripe are taken in the order of their sequences. All but the last had finished in
// place before the next was appended; the last may have been under way, which it can only have been
// when every parity member in sync holds its copy. If one does not, its in-place writes never began
// and it is as if it had not been.
//
// For each range of rows, the content of a data strip is that of the newest record that touches it,
// else what lies in place. What cannot be had that way (lost strips; strips whose write of an
// `overwrite` record did not arrive, as its checksum tells) is decoded from the last record's parity
// or, behind an `overwrite`, from any K strips that hold what it says. Where that does not suffice
// and data is lost with its member, the range is given up, durably; with all data strips at hand
// parity is computed anew. Everything here can be cut off and repeated.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "raid/stripe_log.h"
#include "raid/stripe_op.h"

namespace xsan::raid {

// What one parity member's log holds of a record.
struct ReplayCopy {
    unsigned strip = 0;
    std::span<const std::byte> content;
};

struct ReplayRecord {
    std::uint64_t sequence = 0;
    LogKind kind = LogKind::payload;
    Rows rows;
    ec::StripMask touched = 0;
    std::uint32_t granule_bytes = 0;  // of an overwrite
    std::vector<ReplayCopy> copies;   // at least one
    ec::StripMask unknown = 0;        // strips on members whose log could not be read
};

// Could the engine have written this record? `content_bytes`: of each copy.
bool is_possible(const ReplayRecord& record, const ec::Scheme& scheme,
                 std::uint64_t content_bytes);

// One stripe; the operation covers the hull of the records' rows and sees no mover.
class StripeReplay {
  public:
    StripeReplay(StripeOp& op, FaultSink& faults, GroupRange stripe_data,
                 std::span<const ReplayRecord> records);

    // aborted: a member was lost meanwhile; do it again with a new operation. Other errors: a
    // member could neither be read or written nor be recorded as lost; what it holds may be needed,
    // so nothing was given up.
    Task<Result<void>> run();

  private:
    using List = std::vector<const ReplayRecord*>;

    std::vector<std::uint32_t> boundaries() const;
    List covering(Rows rows) const;
    bool is_complete(const ReplayRecord& record) const;
    Task<ec::StripMask> read_in_place(Rows rows, ec::StripMask strips);
    Task<Result<void>> redo_copies(Rows rows, const List& list);
    Task<Result<void>> redo_parity(Rows rows, List list);
    Task<Result<void>> redo_payload(Rows rows, const List& list, ec::StripMask readable);
    Task<Result<void>> redo_overwrite(Rows rows, const ReplayRecord& last, ec::StripMask readable);
    Task<ec::StripMask> read_twice(Rows rows, ec::StripMask strips);
    Task<Result<void>> finish(Rows rows, ec::StripMask given_up, ec::StripMask data_to_write);
    bool holds(const ReplayRecord& overwrite, unsigned strip, Rows rows);
    void copy_content(const ReplayRecord& payload, unsigned strip, Rows rows);
    bool decode(Rows rows, ec::StripMask lost, ec::StripMask wanted);
    void write(ec::StripMask strips, Rows rows);

    StripeOp& op_;
    FaultSink& faults_;
    GroupRange stripe_data_;  // the stripe's data in its group
    std::span<const ReplayRecord> records_;
    ec::StripMask readable_ = 0;  // over all rows of the operation
    ec::StripMask silent_ = 0;    // could not be read now, for another reason than a bad medium
};

}  // namespace xsan::raid

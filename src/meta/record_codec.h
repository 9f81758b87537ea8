// Records as bytes: a header of kind, version and length, then the fields of that kind
// (docs/on-disk-format.md, "Records"). Used by the metadata log and, for the small tables, by
// checkpoint pages. Decoding checks every bound before it uses it; whether a record fits a state is
// check_record()'s matter.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/endian.h"
#include "base/result.h"
#include "meta/records.h"

namespace xsan::meta {

struct RecordHeader {
    Le16 kind;     // RecordKind: a kind that is not known refuses the whole entry
    Le16 version;  // of the fields; a higher one was written by a newer xsan
    Le32 length;   // of the fields that follow: where the next record begins
};
static_assert(sizeof(RecordHeader) == 8);

inline constexpr std::uint16_t kRecordVersion = 1;

void encode_record(const Record& record, std::vector<std::byte>& out);

// Takes one record off the front of `in`. Errc::corrupt or Errc::version_mismatch, with a sentence.
Outcome<Record> decode_record(std::span<const std::byte>& in);

// Exactly `count` records and nothing behind them.
Outcome<std::vector<Record>> decode_records(std::span<const std::byte> in, std::uint32_t count);

}  // namespace xsan::meta

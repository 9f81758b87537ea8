// What replay asks of a record before it believes a byte of it. Pure.
#include <bit>

#include "raid/replay.h"

namespace xsan::raid {

bool is_possible(const ReplayRecord& record, const ec::Scheme& scheme,
                 std::uint64_t content_bytes) {
    const bool is_parity = scheme.kind == ec::CodeKind::parity;
    if (record.rows.begin >= record.rows.end || record.rows.end > scheme.strip_bytes ||
        record.rows.begin % 512 != 0 || record.rows.end % 512 != 0 || record.touched == 0 ||
        (record.touched & ~scheme.data_mask()) != 0) {
        return false;
    }
    switch (record.kind) {
        case LogKind::payload:
            if (!is_parity) return false;
            break;
        case LogKind::overwrite:
            if (!is_parity || record.touched != scheme.data_mask() ||
                record.granule_bytes < 512 || record.granule_bytes > kLogGranuleMax ||
                !std::has_single_bit(record.granule_bytes)) {
                return false;
            }
            break;
        case LogKind::copies:
            if (is_parity) return false;
            break;
        default: return false;
    }
    return content_bytes == log_content_bytes(record.kind, record.rows, record.touched,
                                              scheme.total_strips(), record.granule_bytes);
}

}  // namespace xsan::raid

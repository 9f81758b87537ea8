// FaultPlan: rules that say which of a simulated drive's requests go wrong, and how. Rules are
// tried in the order in which they were added; the first that fires decides.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/error.h"
#include "dev/block_device.h"
#include "sim/choice_stream.h"

namespace xsan::sim {

enum class FaultKind : std::uint8_t {
    error,        // completes with `code`; what it leaves of a write is `effect`
    slow,         // takes `delay` longer
    hold,         // does not complete until SimDevice::release_held()
    lost,         // a write that reports success and changes nothing
    misdirected,  // a read or write that happens at `target_offset` and reports success
    vanish,       // the device vanishes (SimDevice::vanish) as this request arrives
};

enum class FailedEffect : std::uint8_t { nothing, everything, torn };

struct FaultRule {
    FaultKind kind = FaultKind::error;
    std::optional<dev::IoKind> on;  // nullopt: any kind of request
    std::uint64_t offset = 0;  // requests that touch [offset, offset + length); a flush always does
    std::uint64_t length = UINT64_MAX;
    std::uint32_t skip = 0;            // lets so many matching requests pass first
    std::uint32_t count = UINT32_MAX;  // fires so often at most
    unsigned percent = 100;            // of the matching requests, by choice
    Errc code = Errc::ok;              // ok: media_error for reads, io_error for others
    FailedEffect effect = FailedEffect::nothing;
    TimeNs delay = 0;
    std::uint64_t target_offset = 0;
};

class FaultPlan {
  public:
    using RuleId = std::uint32_t;

    RuleId add(const FaultRule& rule);
    void remove(RuleId id);  // unknown ids are ignored
    void clear() { rules_.clear(); }
    std::uint64_t fired(RuleId id) const;  // also after the rule was removed or used up

    std::optional<FaultRule> match(const dev::IoRequest& request, ChoiceStream& choices,
                                   ChoiceLabel label);

  private:
    struct Active {
        RuleId id;
        FaultRule rule;
    };
    std::vector<Active> rules_;
    std::vector<std::uint64_t> fired_;  // by id
};

}  // namespace xsan::sim

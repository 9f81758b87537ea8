// Matching of fault rules.
#include "sim/fault.h"

namespace xsan::sim {
namespace {

bool touches(const FaultRule& rule, const dev::IoRequest& request) {
    if (rule.on.has_value() && *rule.on != request.kind) return false;
    if (request.kind == dev::IoKind::flush) return true;
    const bool before = request.offset + request.length <= rule.offset;
    const bool behind =
        request.offset >= rule.offset && request.offset - rule.offset >= rule.length;
    return !before && !behind;
}

}  // namespace

FaultPlan::RuleId FaultPlan::add(const FaultRule& rule) {
    const auto id = static_cast<RuleId>(fired_.size());
    fired_.push_back(0);
    rules_.push_back({id, rule});
    return id;
}

void FaultPlan::remove(RuleId id) {
    std::erase_if(rules_, [id](const Active& a) { return a.id == id; });
}

std::uint64_t FaultPlan::fired(RuleId id) const {
    return id < fired_.size() ? fired_[id] : 0;
}

std::optional<FaultRule> FaultPlan::match(const dev::IoRequest& request, ChoiceStream& choices,
                                          ChoiceLabel label) {
    for (Active& a : rules_) {
        if (a.rule.count == 0 || !touches(a.rule, request)) continue;
        if (a.rule.skip > 0) {
            a.rule.skip--;
            continue;
        }
        if (!choices.chance(a.rule.percent, label)) continue;
        if (a.rule.count != UINT32_MAX) a.rule.count--;
        fired_[a.id]++;
        return a.rule;
    }
    return std::nullopt;
}

}  // namespace xsan::sim

// Verbs that move one group: relocate, and rebuild of one group ahead of the others.
#include <fmt/format.h>

#include "daemon/service.h"

namespace xsan::daemon {
namespace {

std::string_view work_name(pool::GroupStatus::Work work) {
    switch (work) {
        case pool::GroupStatus::Work::none: return "idle";
        case pool::GroupStatus::Work::waits: return "queued";
        case pool::GroupStatus::Work::rebuild: return "rebuilding";
        case pool::GroupStatus::Work::relocate: return "relocating";
    }
    return "idle";
}

// Where a group is, and where its strips go.
nlohmann::json describe_group(const pool::GroupStatus& status) {
    const auto index_or_null = [](const std::optional<MemberIndex>& member) {
        return member ? nlohmann::json(member->get()) : nlohmann::json(nullptr);
    };
    nlohmann::json strips = nlohmann::json::array();
    for (const pool::GroupStatus::Strip& strip : status.strips) {
        strips.push_back(nlohmann::json::object({{"member", index_or_null(strip.member)},
                                                 {"state", strip.is_lost ? "lost" : "ok"},
                                                 {"to", index_or_null(strip.to)}}));
    }
    return nlohmann::json::object({{"group", status.group.get()},
                                   {"scheme", status.scheme},
                                   {"state", work_name(status.work)},
                                   {"strips", strips}});
}

GroupIndex group_in(const rpc::Params& params) {
    return GroupIndex{static_cast<std::uint32_t>(params.size("group"))};
}

}  // namespace

Task<Service::Answer> Service::relocate(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(Entry* entry, find(params.text("pool")));
    pool::MoveOrder order;
    order.group = group_in(params);
    XSAN_CO_TRY(order.from, resolve_member(*entry->pool, params.text("from")));
    XSAN_CO_TRY(order.to, resolve_member(*entry->pool, params.text("to")));
    XSAN_CO_CHECK(const pool::GroupStatus status, entry->pool->relocate(order));
    co_return describe_group(status);
}

Task<Service::Answer> Service::rebuild_group(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(Entry* entry, find(params.text("pool")));
    XSAN_CO_CHECK(const pool::GroupStatus status, entry->pool->rebuild_group(group_in(params)));
    co_return describe_group(status);
}

}  // namespace xsan::daemon

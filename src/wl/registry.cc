// Placement implementations by name.
#include "wl/registry.h"

#include <fmt/format.h>

#include <utility>

#include "wl/adaptive.h"
#include "wl/round_robin.h"
#include "wl/wear_policies.h"
#include "wl/weighted_random.h"

namespace xsan::wl {

Outcome<void> Registry::add(std::string name, Factory factory) {
    XSAN_ASSERT(factory != nullptr);
    if (name.empty()) return Failure(Errc::invalid_argument, "a placement needs a name");
    if (factories_.contains(name)) {
        return Failure(Errc::exists,
                       fmt::format("a placement named '{}' is registered already", name));
    }
    factories_.emplace(std::move(name), std::move(factory));
    return {};
}

Outcome<void> Registry::unknown(std::string_view name) const {
    std::string known;
    for (const auto& [n, factory] : factories_)
        known += (known.empty() ? "" : ", ") + n;
    return Failure(Errc::not_found,
                   fmt::format("there is no placement named '{}' (known: {})", name, known));
}

Outcome<void> Registry::remove(std::string_view name) {
    const auto at = factories_.find(name);
    if (at == factories_.end()) return unknown(name);
    factories_.erase(at);
    return {};
}

Outcome<std::unique_ptr<Placement>> Registry::make(std::string_view name) const {
    const auto at = factories_.find(name);
    if (at == factories_.end()) return unknown(name).error();
    std::unique_ptr<Placement> made = at->second();
    XSAN_ASSERT(made != nullptr);
    return made;
}

std::vector<std::string> Registry::names() const {
    std::vector<std::string> all;
    for (const auto& [name, factory] : factories_)
        all.push_back(name);
    return all;
}

namespace {

template <class Policy>
void add_policy(Registry& registry) {
    const auto added =
        registry.add(std::string(Policy::kName), [] { return std::make_unique<Policy>(); });
    XSAN_ASSERT(added.has_value());
}

}  // namespace

void add_builtin_placements(Registry& registry) {
    add_policy<RoundRobin>(registry);
    add_policy<LeastWorn>(registry);
    add_policy<Mixed>(registry);
    add_policy<WeightedRandom>(registry);
    add_policy<LoadBalance>(registry);
    add_policy<Staggered>(registry);
    add_policy<Adaptive>(registry);
}

}  // namespace xsan::wl

// Registry: implementations of Placement by name. The service owns one; implementations are added
// and removed while it runs. What make() gave lives on when its name is removed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wl/placement.h"

namespace xsan::wl {

class Registry {
  public:
    using Factory = std::function<std::unique_ptr<Placement>()>;

    // Errors: exists, invalid_argument (an empty name).
    Outcome<void> add(std::string name, Factory factory);
    // Errors: not_found.
    Outcome<void> remove(std::string_view name);
    // A new, stopped instance. Errors: not_found, with the names that exist.
    Outcome<std::unique_ptr<Placement>> make(std::string_view name) const;
    std::vector<std::string> names() const;

  private:
    Outcome<void> unknown(std::string_view name) const;

    std::map<std::string, Factory, std::less<>> factories_;
};

// Adds what this library implements: round_robin, least_worn, mixed, weighted_random, load,
// staggered, adaptive.
void add_builtin_placements(Registry& registry);

}  // namespace xsan::wl

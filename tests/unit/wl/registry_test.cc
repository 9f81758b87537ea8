// Placements come and go by name while instances live on.
#include "wl/registry.h"

#include "support/catch.h"
#include "wl/round_robin.h"

using namespace xsan;

TEST_CASE("a placement is made by name until its name is removed", "[wl][registry]") {
    wl::Registry registry;
    wl::add_builtin_placements(registry);
    REQUIRE(registry.names() == std::vector<std::string>{"adaptive", "least_worn", "load", "mixed",
                                                         "round_robin", "staggered",
                                                         "weighted_random"});
    for (const std::string& name : registry.names()) {
        REQUIRE((*registry.make(name))->name() == name);
    }
    auto made = registry.make("round_robin");
    REQUIRE(made.has_value());
    REQUIRE((*made)->name() == "round_robin");

    const auto twice =
        registry.add("round_robin", [] { return std::make_unique<wl::RoundRobin>(); });
    REQUIRE(twice.error().code == Errc::exists);

    REQUIRE(registry.remove("round_robin").has_value());
    REQUIRE(registry.names().size() == 6);
    REQUIRE((*made)->name() == "round_robin");
    REQUIRE(registry.remove("round_robin").error().code == Errc::not_found);
    const auto unknown = registry.make("round_robin");
    REQUIRE(unknown.error().code == Errc::not_found);
    REQUIRE(unknown.error().message.find("round_robin") != std::string::npos);
}

TEST_CASE("a placement without a name is refused", "[wl][registry]") {
    wl::Registry registry;
    const auto unnamed = registry.add("", [] { return std::make_unique<wl::RoundRobin>(); });
    REQUIRE(unnamed.error().code == Errc::invalid_argument);
}

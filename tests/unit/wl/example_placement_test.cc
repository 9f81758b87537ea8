// The example works as the documentation says.
#include "example_placement.h"

#include "fake_pool.h"

using namespace xsan;
using namespace xsan::wl;

TEST_CASE("a placement of one's own is registered, made by name and does what its score says",
          "[wl][example]") {
    Registry registry;
    add_builtin_placements(registry);
    REQUIRE(example::add_coldest(registry).has_value());
    REQUIRE(example::add_coldest(registry).error().code == Errc::exists);
    const auto made = registry.make("coldest");
    REQUIRE(made.has_value());
    Placement& placement = **made;

    test::FakePool pool(6, 100);
    placement.start(pool);
    const std::vector<MemberIo> written{{MemberIndex{0}, 0, 1, 0, 4 << 20},
                                        {MemberIndex{3}, 0, 1, 0, 4 << 20}};
    placement.on_io({written, {}});
    pool.candidates[0].outstanding = 1;  // with the next report something has changed
    for (int i = 0; i < 40; i++)
        REQUIRE(pool.make_group(placement, 3));
    REQUIRE(pool.candidates[0].extents_free == 100);
    REQUIRE(pool.candidates[3].extents_free == 100);
    // What every placement keeps comes with the base class.
    while (pool.make_group(placement, 3)) {
    }
    REQUIRE(pool.groups.size() == 200);
}

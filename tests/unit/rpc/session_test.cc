// Properties of xsanctl's calls against a daemon: exit codes, output, waits.
#include "xsanctl/session.h"

#include <atomic>
#include <string>

#include "rpc/json_guard.h"
#include "support/catch.h"
#include "unit/rpc/captured_run.h"
#include "unit/rpc/running_server.h"

using namespace xsan;
using namespace xsan::ctl;
using nlohmann::json;
using xsan::test::admin_here;
using xsan::test::Ran;
using xsan::test::run_words;
using xsan::test::RunningServer;

namespace {

std::atomic<int> polls{0};

Task<Outcome<json>> device(rpc::Caller, json) { co_return json{{"device", "/dev/ublkb7"}}; }
Task<Outcome<json>> refuse(rpc::Caller, json) {
    co_return Failure(Errc::too_many_failures, "failing it would lose data");
}
// Runs for two polls, then is done.
Task<Outcome<json>> rebuild(rpc::Caller, json) {
    const bool runs = polls++ < 2;
    json jobs = json::array();
    if (runs) jobs.push_back({{"kind", "rebuild"}, {"state", "running"}, {"percent", 40}});
    co_return json{{"jobs", jobs}, {"pending_groups", runs ? 3 : 0}, {"unplaced_groups", 0}};
}
Task<Outcome<json>> stuck_scrub(rpc::Caller, json) { co_return json{{"state", "failed"}}; }

void fill_session(rpc::Dispatcher& dispatcher) {
    dispatcher.handle("volume.attach", device);
    dispatcher.handle("fail", refuse);
    dispatcher.handle("rebuild.status", rebuild);
    dispatcher.handle("scrub.status", stuck_scrub);
}

}  // namespace

TEST_CASE("exit codes tell done, refused and no daemon apart", "[rpc][xsanctl]") {
    const RunningServer running(admin_here(), fill_session);
    const Ran done = run_words(running.path(), {"volume", "attach", "tank", "data"});
    CHECK(done.code == 0);
    CHECK(done.out == "/dev/ublkb7\n");
    CHECK(done.err.empty());
    const Ran refused = run_words(running.path(), {"fail", "tank", "0"});
    CHECK(refused.code == 1);
    CHECK(refused.out.empty());
    CHECK(refused.err == "xsanctl: failing it would lose data\n");
    const Ran later = run_words(running.path(), {"scrub", "tank", "repair"});
    CHECK(later.code == 1);
    CHECK(later.err == "xsanctl: this version of xsand cannot do 'scrub.repair' yet\n");
    const Ran nobody = run_words("/nonexistent/s", {"list"});
    CHECK(nobody.code == 3);
    CHECK(nobody.err.find("xsanctl: no xsand answers on /nonexistent/s") == 0);
}

TEST_CASE("with --json results and errors are one line on standard output", "[rpc][xsanctl]") {
    const RunningServer running(admin_here(), fill_session);
    const Ran done = run_words(running.path(), {"--json", "volume", "attach", "tank", "data"});
    CHECK(done.out == "{\"device\":\"/dev/ublkb7\"}\n");
    const Ran refused = run_words(running.path(), {"--json", "fail", "tank", "0"});
    CHECK(refused.code == 1);
    CHECK(refused.err.empty());
    const auto error = rpc::parse_json(refused.out);
    REQUIRE(error);
    CHECK(*error ==
          json({{"code", "too_many_failures"}, {"message", "failing it would lose data"}}));
}

TEST_CASE("a wait polls until the end and says how it ended", "[rpc][xsanctl]") {
    const RunningServer running(admin_here(), fill_session);
    polls = 0;
    const Ran waited = run_words(running.path(), {"rebuild", "tank", "wait"});
    CHECK(waited.code == 0);
    CHECK(polls == 3);
    CHECK(waited.out == "rebuild [############--------------------]  40 %\n"
                        "rebuild [################################] 100 %\n");
    const Ran failed = run_words(running.path(), {"scrub", "tank", "wait"});
    CHECK(failed.code == 1);
    CHECK(failed.err.find("xsanctl: the scrub failed") == 0);
    polls = 0;
    const Ran as_json = run_words(running.path(), {"--json", "rebuild", "tank", "wait"});
    CHECK(as_json.code == 0);
    CHECK(rpc::parse_json(as_json.out)->at("pending_groups") == 0);
}

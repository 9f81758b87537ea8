// Properties of the commands of wear against a daemon: exit codes, files, watching.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "rpc/json_guard.h"
#include "support/catch.h"
#include "unit/rpc/captured_run.h"
#include "unit/rpc/running_server.h"
#include "unit/rpc/wear_answers.h"
#include "xsanctl/wear/csv.h"

using namespace xsan;
using nlohmann::json;
using xsan::test::admin_here;
using xsan::test::answer_of;
using xsan::test::Ran;
using xsan::test::run_words;
using xsan::test::RunningServer;

namespace {

constexpr std::int64_t kEvents = 5000;
std::atomic<int> asked{0};  // for the events of the pool that goes

Task<Outcome<json>> show(rpc::Caller, json) { co_return answer_of(test::kShown); }
Task<Outcome<json>> history(rpc::Caller, json) { co_return answer_of(test::kHistory); }
// The pool's name says what is reached.
Task<Outcome<json>> predict(rpc::Caller, json params) {
    const std::string pool = params["pool"].get<std::string>();
    if (pool == "empty") co_return json::object();
    co_return test::prediction(pool == "first" ? 80 : pool == "last" ? 90 : 0);
}
Task<Outcome<json>> events(rpc::Caller, json params) {
    if (params["pool"] == "gone" || (params["pool"] == "going" && asked++ > 0)) {
        co_return Failure(Errc::not_found, "no pool 'gone'");
    }
    json list = json::array();
    const auto since = params.value("since", std::int64_t{0});
    const auto end = std::min(kEvents, since + params["count_max"].get<std::int64_t>());
    for (std::int64_t n = since + 1; n <= end; n++) {
        list.push_back({{"number", n}, {"time", n}, {"kind", "wear_moved"}, {"text", "t"}});
    }
    json answer = {{"pool", params["pool"]}, {"first", 1}, {"last", kEvents}};
    answer["events"] = std::move(list);
    co_return answer;
}

void fill_wear(rpc::Dispatcher& dispatcher) {
    dispatcher.handle("wear.show", show);
    dispatcher.handle("wear.history", history);
    dispatcher.handle("wear.predict", predict);
    dispatcher.handle("events", events);
}

class TemporaryFile {
  public:
    TemporaryFile() { REQUIRE(::mkdtemp(folder_) != nullptr); }
    ~TemporaryFile() { std::filesystem::remove_all(folder_); }
    std::string path() const { return std::string(folder_) + "/out"; }
    bool exists() const { return !std::filesystem::is_empty(folder_); }
    std::string content() const {
        std::ifstream in(path());
        std::ostringstream text;
        text << in.rdbuf();
        return text.str();
    }

  private:
    char folder_[32] = "/tmp/xsan-test-XXXXXX";
};

}  // namespace

TEST_CASE("a check's exit code says which threshold is reached", "[rpc][xsanctl][wear]") {
    const RunningServer running(admin_here(), fill_wear);
    const auto code_of = [&](const char* pool) {
        return run_words(running.path(), {"wear", "predict", pool, "--check"}).code;
    };
    CHECK(code_of("none") == 0);
    CHECK(code_of("first") == 4);
    CHECK(code_of("last") == 5);
    CHECK(run_words(running.path(), {"wear", "predict", "last"}).code == 0);
    const auto within = [&](const char* pool, const char* days) {
        return run_words(running.path(), {"wear", "predict", pool, "--within", days});
    };
    CHECK(within("none", "400").code == 0);
    CHECK(within("none", "500").code == 6);
    CHECK(within("none", "500").out.ends_with("\nmember 3 (xsan3) reaches 80 points in 475 d\n"));
    CHECK(within("first", "1000").code == 4);
    CHECK(within("last", "1000").code == 5);
    const Ran as_json = run_words(running.path(), {"wear", "predict", "last", "--check", "--json"});
    CHECK(as_json.code == 5);
    CHECK(*rpc::parse_json(as_json.out) == test::prediction(90));
    const Ran unclear = run_words(running.path(), {"wear", "predict", "empty", "--check"});
    CHECK(unclear.code == 1);
    CHECK(unclear.err == "xsanctl: xsand's answer names no thresholds to check\n");
    CHECK(run_words("/nonexistent/s", {"wear", "predict", "t", "--check"}).code == 3);
}

TEST_CASE("an export has everything, or is not there", "[rpc][xsanctl][wear]") {
    const RunningServer running(admin_here(), fill_wear);
    const TemporaryFile file;
    const std::string path = file.path();
    const Ran gone =
        run_words(running.path(), {"wear", "export", "gone", path.c_str(), "--format", "json"});
    CHECK(gone.code == 1);
    CHECK(gone.err == "xsanctl: no pool 'gone'\n");
    CHECK(!file.exists());

    const Ran done =
        run_words(running.path(), {"wear", "export", "tank", path.c_str(), "--format", "json"});
    CHECK(done.code == 0);
    CHECK(done.out.empty());
    const json document = answer_of(file.content().c_str());
    CHECK(document["show"] == answer_of(test::kShown));
    CHECK(document["history"] == answer_of(test::kHistory));
    CHECK(document["predict"] == test::prediction(0));
    CHECK(document["events"]["events"].size() == kEvents);
    CHECK(document["events"]["events"].back()["number"] == kEvents);

    const Ran csv = run_words(running.path(), {"wear", "export", "tank", path.c_str(), "--format",
                                               "csv", "--json"});
    CHECK(csv.code == 0);
    CHECK(file.content().starts_with("time,member,serial,wear\n1795600000,0,xsan0,12.25\n"));
    CHECK(answer_of(csv.out.c_str())["size_bytes"] == file.content().size());

    CHECK(run_words(running.path(), {"wear", "export", "tank", path.c_str(), "--format", "csv", "--what", "members"})
              .code == 0);
    CHECK(file.content() == ctl::wear::members_csv(answer_of(test::kShown)));
    CHECK(run_words(running.path(), {"wear", "export", "tank", path.c_str(), "--format", "csv", "--what", "events"})
              .code == 0);
    CHECK(file.content().starts_with("number,time,kind,text\n1,1,wear_moved,t\n2,2,"));
    CHECK(file.content().ends_with("\n5000,5000,wear_moved,t\n"));

    const Ran refused = run_words(running.path(), {"wear", "export", "tank", "/nonexistent/w.csv"});
    CHECK(refused.code == 1);
    CHECK(refused.err ==
          "xsanctl: cannot write '/nonexistent/w.csv': No such file or directory\n");
}

TEST_CASE("a chart of the history goes to its file", "[rpc][xsanctl][wear]") {
    const RunningServer running(admin_here(), fill_wear);
    const TemporaryFile file;
    const std::string path = file.path();
    const Ran done = run_words(running.path(), {"wear", "history", "tank", "--svg", path.c_str()});
    CHECK(done.code == 0);
    CHECK(done.out.empty());
    CHECK(file.content().starts_with("<svg "));
}

TEST_CASE("watching ends after as many as were asked for", "[rpc][xsanctl][wear]") {
    const RunningServer running(admin_here(), fill_wear);
    const Ran watched = run_words(running.path(), {"wear", "watch", "tank", "--interval", "0.1",
                                                   "--count", "2", "--json"});
    CHECK(watched.code == 0);
    const auto end = watched.out.find('\n');
    CHECK(answer_of(watched.out.substr(0, end).c_str()) == answer_of(test::kShown));
    CHECK(watched.out.substr(end + 1) == watched.out.substr(0, end + 1));
    const Ran once = run_words(running.path(), {"wear", "watch", "tank", "--count", "1"});
    CHECK(once.out.find("over 90") != std::string::npos);
}

TEST_CASE("following ends with one line when the pool is gone", "[rpc][xsanctl][wear]") {
    const RunningServer running(admin_here(), fill_wear);
    asked = 0;
    const Ran followed = run_words(running.path(), {"events", "going", "--follow", "--json",
                                                    "--since", "4999"});
    CHECK(followed.code == 1);
    const auto end = followed.out.find('\n');
    CHECK(answer_of(followed.out.substr(0, end).c_str())["number"] == 5000);
    CHECK(answer_of(followed.out.substr(end + 1).c_str()) ==
          json({{"code", "not_found"}, {"message", "pool 'going' is gone"}}));
    // One that never was there is refused as by any command.
    const Ran never = run_words(running.path(), {"events", "gone", "--follow"});
    CHECK(never.code == 1);
    CHECK(never.err == "xsanctl: no pool 'gone'\n");
}

TEST_CASE("what the daemon cannot do yet is told in one line", "[rpc][xsanctl][wear]") {
    const RunningServer running(admin_here(), fill_wear);
    const Ran later = run_words(running.path(), {"wear", "balance", "tank"});
    CHECK(later.code == 1);
    CHECK(later.err == "xsanctl: this version of xsand cannot do 'wear.balance' yet\n");
}

// Properties of the parameter check, and of the table of methods itself.
#include "rpc/schema.h"

#include <algorithm>
#include <set>
#include <string>

#include "rpc/json_guard.h"
#include "rpc/methods.h"
#include "rpc/params.h"
#include "support/catch.h"

using namespace xsan;
using namespace xsan::rpc;
using nlohmann::json;

namespace {

std::string problem_of(const char* method, const char* params) {
    json object = *parse_json(params);
    const auto checked = check_params(*find_method(method), object);
    return checked ? std::string() : checked.error().message;
}

}  // namespace

TEST_CASE("names follow the rule of 1 to 32 characters", "[rpc][schema]") {
    for (const char* good : {"a", "0", "tank", "T.a_n-k", "12345678901234567890123456789012"}) {
        CHECK(is_valid_name(good));
    }
    for (const char* bad : {"", ".a", "-a", "_a", "a b", "a/b", "..", "a\n", "\xc3\xa4",
                            "123456789012345678901234567890123"}) {
        CAPTURE(bad);
        CHECK(!is_valid_name(bad));
    }
}

TEST_CASE("a wrong parameter is named in one line", "[rpc][schema]") {
    const struct {
        const char* method;
        const char* params;
        const char* message;
    } cases[] = {
        {"show", "{}", "show: pool: required and missing"},
        {"show", R"({"pool":"a","x":1})", "show: 'x': unknown parameter"},
        {"show", R"({"pool":7})", "show: pool: must be a string"},
        {"show", R"({"pool":""})", "show: pool: a name must not be empty"},
        {"show", R"({"pool":null})", "show: pool: must be a string"},
        {"list", R"({"pool":"a"})", "list: 'pool': unknown parameter"},
        {"stop", R"({"pool":"123456789012345678901234567890123"})",
         "stop: pool: a name has at most 32 characters"},
        {"destroy", R"({"pool":"a","yes":1})", "destroy: yes: must be true or false"},
        {"add", R"({"pool":"a","devices":"b"})", "add: devices: must be an array of strings"},
        {"add", R"({"pool":"a","devices":[]})", "add: devices: must have 1 to 1024 items"},
        {"add", R"({"pool":"a","devices":["b",3]})", "add: devices: item 1 must be a string"},
        {"add", R"({"pool":"a","devices":[""]})", "add: devices: item 0 must not be empty"},
        {"add", R"({"pool":"a","devices":["a\u0000b"]})",
         "add: devices: item 0 must not contain control characters"},
        {"volume.resize", R"({"pool":"a","name":"b","size_bytes":1.5})",
         "volume.resize: size_bytes: must be an integer"},
        {"volume.resize", R"({"pool":"a","name":"b","size_bytes":"1G"})",
         "volume.resize: size_bytes: must be an integer"},
        {"volume.resize", R"({"pool":"a","name":"b","size_bytes":0})",
         "volume.resize: size_bytes: must be 1 to 9223372036854775807"},
        {"volume.resize", R"({"pool":"a","name":"b","size_bytes":-1})",
         "volume.resize: size_bytes: must be 1 to 9223372036854775807"},
        {"volume.resize", R"({"pool":"a","name":"b","size_bytes":18446744073709551615})",
         "volume.resize: size_bytes: must be 1 to 9223372036854775807"},
        {"create", R"({"name":"a","scheme":"4+2","devices":["b"],"block_bytes":1024})",
         "create: block_bytes: must be one of 512|4096"},
        {"create", R"({"name":"a","scheme":"4+2","devices":["b"],"consistency":"maybe"})",
         "create: consistency: must be one of log|resync|none"},
        {"wear.set", R"({"pool":"a","settings":[]})", "wear.set: settings: must have 1 to 64 items"},
        {"wear.set", R"({"pool":"a","settings":"gap=1"})",
         "wear.set: settings: must be an array of strings"},
        {"wear.endurance", R"({"pool":"a","member":"1"})",
         "wear.endurance: endurance_bytes: required and missing"},
        {"wear.endurance", R"({"pool":"a","member":"1","endurance_bytes":-1})",
         "wear.endurance: endurance_bytes: must be 0 to 9223372036854775807"},
        {"wear.predict", R"({"pool":"a","threshold":0})",
         "wear.predict: threshold: must be 1 to 100"},
        {"wear.predict", R"({"pool":"a","threshold":101})",
         "wear.predict: threshold: must be 1 to 100"},
        {"wear.reset", R"({"pool":"a","history":1})", "wear.reset: history: must be true or false"},
        {"wear.policy", R"({"pool":"a","policy":""})", "wear.policy: policy: must not be empty"},
        {"events", R"({"pool":"a","since":-1})",
         "events: since: must be 0 to 9223372036854775807"},
        {"events", R"({"pool":"a","count_max":4097})", "events: count_max: must be 1 to 4096"},
    };
    for (const auto& c : cases) CHECK(problem_of(c.method, c.params) == c.message);
}

TEST_CASE("absent parameters get their defaults and others stay absent", "[rpc][schema]") {
    json params = *parse_json(R"({"name":"a","scheme":"4+2","devices":["b"]})");
    REQUIRE(check_params(*find_method("create"), params));
    const Params view(params);
    CHECK(view.text("volume") == "data");
    CHECK(view.flag("attach"));
    CHECK(!view.flag("force"));
    CHECK(view.texts("spares").empty());
    CHECK(view.texts("devices") == std::vector<std::string>{"b"});
    CHECK(!view.maybe_size("strip_bytes"));
    CHECK(!view.maybe_text("consistency"));
    json events = *parse_json(R"({"pool":"a"})");
    REQUIRE(check_params(*find_method("events"), events));
    CHECK(Params(events).size("count_max") == 256);
    CHECK(!Params(events).has("since"));
}

TEST_CASE("every method has a role, distinct parameters and defaults that pass its own check",
          "[rpc][schema]") {
    std::set<std::string_view> names;
    for (const auto& method : methods()) {
        CAPTURE(method.name);
        CHECK(names.insert(method.name).second);
        CHECK(find_method(method.name) == &method);
        CHECK((method.role == Role::viewer || method.role == Role::admin));
        std::set<std::string_view> params;
        for (const auto& param : method.params) {
            CAPTURE(param.name);
            CHECK(params.insert(param.name).second);
            CHECK(param.least <= param.most);
            CHECK(!(param.required && !param.fallback.empty()));
            if (param.fallback.empty()) continue;
            const MethodSpec alone{method.name, method.role, std::span(&param, 1), ""};
            json object = {{std::string(param.name), *parse_json(param.fallback)}};
            CHECK(check_params(alone, object));
        }
    }
}

TEST_CASE("viewers may call exactly the methods that only read", "[rpc][schema]") {
    std::set<std::string_view> readable;
    for (const auto& method : methods()) {
        if (method.role == Role::viewer) readable.insert(method.name);
    }
    CHECK(readable == std::set<std::string_view>{"ping", "version", "list", "show",
                                                 "rebuild.status", "scrub.status", "volume.list",
                                                 "wear.show", "wear.history", "wear.plan",
                                                 "wear.predict", "events"});
    // They say which pool, member, threshold or event they ask about; there is nothing to switch.
    for (const auto& method : methods()) {
        if (method.role != Role::viewer) continue;
        for (const auto& param : method.params) {
            CAPTURE(method.name, param.name);
            CHECK((param.type == ParamType::name || param.type == ParamType::integer ||
                   param.name == "member"));
        }
    }
}

// Seeded random abuse of the whole path from bytes to answer. A failure prints its seed.
#include <array>
#include <string>

#include "base/rng.h"
#include "rpc/dispatcher.h"
#include "rpc/framing.h"
#include "rpc/json_guard.h"
#include "rpc/methods.h"
#include "support/catch.h"

using namespace xsan;
using namespace xsan::rpc;
using nlohmann::json;

namespace {

// The address sanitizer makes a round some twenty times as long.
#if defined(__SANITIZE_ADDRESS__)
constexpr int kRounds = 10'000;
#else
constexpr int kRounds = 100'000;
#endif

Task<Outcome<json>> echo_fuzz(Caller, json params) {
    co_return params;
}

std::string random_value(Rng& rng, int depth) {
    static constexpr std::array<const char*, 14> kScalars = {
        "null", "true", "false", "0", "-1", "1.5", "4096", "9223372036854775808", "1e400", "\"\"",
        "\"tank\"", "\"a b\"", "\"\\u0000\"", "\"/dev/nvme0n1\""};
    const auto kind = rng.below(depth > 3 ? 1 : 4);
    if (kind <= 1) return kScalars[rng.below(kScalars.size())];
    std::string text = kind == 2 ? "[" : "{";
    for (auto n = rng.below(4); n > 0; n--) {
        if (text.size() > 1) text += ",";
        if (kind == 3) text += "\"k" + std::to_string(rng.below(6)) + "\":";
        text += random_value(rng, depth + 1);
    }
    return text + (kind == 2 ? "]" : "}");
}

// Mostly right, so that mutations reach beyond the first check.
std::string random_request(Rng& rng) {
    const auto table = methods();
    const auto& method = table[rng.below(table.size())];
    std::string params;
    for (const auto& param : method.params) {
        if (rng.chance_percent(15)) continue;
        if (!params.empty()) params += ",";
        params += "\"" + std::string(param.name) + "\":";
        if (rng.chance_percent(25)) {
            params += random_value(rng, 0);
        } else if (param.type == ParamType::integer) {
            params += "4096";
        } else if (param.type == ParamType::boolean) {
            params += "true";
        } else {
            params += param.type == ParamType::texts ? "[\"/dev/a\"]" : "\"none\"";
        }
    }
    std::string id = rng.chance_percent(90) ? "\"id\":1," : "";
    return "{\"jsonrpc\":\"2.0\"," + id + "\"method\":\"" + std::string(method.name) +
           "\",\"params\":{" + params + "}}";
}

void mutate(Rng& rng, std::string& text) {
    for (auto n = rng.below(3); n > 0 && !text.empty(); n--) {
        const std::size_t at = rng.below(text.size());
        switch (rng.below(4)) {
            case 0: text[at] = static_cast<char>(rng.next()); break;
            case 1: text.erase(at, 1 + rng.below(4)); break;
            case 2: text.insert(at, 1, "{}[]\",:\\0e\n"[rng.below(11)]); break;
            default: text.insert(at, text.substr(rng.below(text.size()), rng.below(16))); break;
        }
    }
}

}  // namespace

TEST_CASE("whatever the line, the answer is one well-formed line or none", "[rpc][fuzz]") {
    Dispatcher dispatcher;
    for (const auto& method : methods())
        dispatcher.handle(method.name, echo_fuzz);
    constexpr std::uint64_t kSeed = 20261120;
    Rng rng(kSeed);
    int results = 0;
    for (int round = 0; round < kRounds; round++) {
        std::string line = rng.chance_percent(90) ? random_request(rng) : random_value(rng, 0);
        mutate(rng, line);
        LineFramer framer(4096);
        framer.feed(line + "\n");
        for (auto next = framer.next(); next.event == LineFramer::Event::line;
             next = framer.next()) {
            const Caller caller{static_cast<Role>(rng.below(3)), 1000, 1};
            auto task = dispatcher.dispatch(caller, next.line);
            task.start();
            const bool finished = task.finished();
            const std::string reply = task.take();
            if (reply.empty()) continue;
            const auto parsed = parse_json(reply);
            const bool well_formed = finished && reply.find('\n') == reply.size() - 1 && parsed &&
                                     parsed->contains("id") &&
                                     parsed->contains("result") != parsed->contains("error");
            results += parsed && parsed->contains("result") ? 1 : 0;
            if (well_formed) continue;
            CAPTURE(kSeed, round, next.line, reply);
            REQUIRE(well_formed);
        }
    }
    CHECK(results > kRounds / 20);  // otherwise the requests were too wrong to test anything
}
